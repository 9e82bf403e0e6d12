"""Scans by other executors: Dask's workers, and a server. The rows are the same."""

import click.testing
import numpy as np
import pyarrow.parquet as pq
import pytest
from distributed import LocalCluster

from tests.helpers.model_service import serving
from tests.helpers.paths import ROOT
from tests.helpers.recordings import events, wav
from vipann_tf.cli import main
from vipann_tf.saved_model.load import load_signatures

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def season(tmp_path_factory):
    folder = tmp_path_factory.mktemp("season")
    for i in range(3):
        (folder / f"{i}.wav").write_bytes(wav(events(4.0 + i, seed=i)))
    return folder


def scan(model, season, out, *arguments):
    command = ["scan", model, str(season), "--out", str(out), *arguments]
    result = click.testing.CliRunner().invoke(main, command)
    assert result.exit_code == 0, result.output
    return pq.read_table(out / "windows").to_pydict()


def same(found, expected):
    assert found.keys() == expected.keys()
    for name, values in expected.items():
        if isinstance(values[0], float):
            np.testing.assert_allclose(found[name], values, atol=1e-6)
        else:
            assert found[name] == values


@pytest.fixture(scope="module")
def here(model, season, tmp_path_factory):
    return scan(model, season, tmp_path_factory.mktemp("here") / "out")


def test_two_dask_workers_give_the_same_rows(model, season, here, tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster:
        found = scan(
            *(model, season, tmp_path / "there", "--runner", "dask"),
            *("--dask-client-address", cluster.scheduler_address),
        )
    same(found, here)


def test_a_server_gives_the_same_rows(model, season, here, tmp_path):
    signatures = load_signatures(model).signatures
    with serving("det", lambda: signatures) as service:
        found = scan(model, season, tmp_path / "served", "--server", service.address)
        same(found, here)
        assert len(service.requests) == 1  # windows of several recordings share it
        # What passes does no harm; what does not is one line, and the scan goes on later.
        service.failures += [(service.codes.UNAVAILABLE, "starting")]
        command = ["scan", model, str(season), "--out", str(tmp_path / "later"), "--server"]
        run = click.testing.CliRunner().invoke
        result = run(main, [*command, f"{service.address}/other"])
        assert result.exit_code == 1 and "has no model 'other'" in result.stderr
        assert run(main, [*command, service.address]).exit_code == 0
    same(pq.read_table(tmp_path / "later/windows").to_pydict(), here)


def test_options_that_belong_to_nobody(model, season, tmp_path):
    command = ["scan", model, str(season), "--out", str(tmp_path / "out"), "--nonsense", "1"]
    result = click.testing.CliRunner().invoke(main, command)
    assert result.exit_code == 1
    assert "option --nonsense is unknown" in result.stderr
    command = [*command[:-2], "--runner", "dask", "--workers", "2"]
    result = click.testing.CliRunner().invoke(main, command)
    assert result.exit_code == 1 and "determines its workers" in result.stderr
