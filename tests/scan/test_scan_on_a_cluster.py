"""Scans by other executors: Dask's workers, and a server. The rows are the same."""

import click.testing
import numpy as np
import pyarrow.parquet as pq
import pytest
from distributed import LocalCluster

from tests.helpers.paths import ROOT
from tests.helpers.recordings import events, wav
from vipann_tf.cli import main


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


def test_two_dask_workers_give_the_same_rows(model, season, tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    expected = scan(model, season, tmp_path / "here")
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster:
        found = scan(
            *(model, season, tmp_path / "there", "--runner", "dask"),
            *("--dask-client-address", cluster.scheduler_address),
        )
    assert found.keys() == expected.keys()
    for name, values in expected.items():
        if isinstance(values[0], float):
            np.testing.assert_allclose(found[name], values, atol=1e-6)
        else:
            assert found[name] == values


def test_options_that_belong_to_nobody(model, season, tmp_path):
    command = ["scan", model, str(season), "--out", str(tmp_path / "out"), "--nonsense", "1"]
    result = click.testing.CliRunner().invoke(main, command)
    assert result.exit_code == 1
    assert "option --nonsense is unknown" in result.stderr
    command = [*command[:-2], "--runner", "dask", "--workers", "2"]
    result = click.testing.CliRunner().invoke(main, command)
    assert result.exit_code == 1 and "determines its workers" in result.stderr
