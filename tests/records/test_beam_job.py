"""Preparations on a cluster, by Apache Beam: Dask's, of two worker processes on this machine."""

import sys

import pytest
from click.testing import CliRunner
from distributed import LocalCluster

from tests.helpers import slow_preparation
from tests.helpers.paths import ROOT
from tests.helpers.prepared import contents
from vipann_tf.cli import main
from vipann_tf.errors import UserError
from vipann_tf.records.prepare import prepare

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def expected(tmp_path_factory):
    """What this process alone writes."""
    out = tmp_path_factory.mktemp("expected") / "out"
    prepare(slow_preparation.source(), out, workers=1)
    return contents(out)


@pytest.fixture(scope="module")
def notes(tmp_path_factory):
    """The directory where workers leave their process ids."""
    return tmp_path_factory.mktemp("notes")


@pytest.fixture(scope="module")
def cluster(notes):
    """A scheduler and two worker processes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NOTES", str(notes))
        patch.setenv("PYTHONPATH", str(ROOT))
        with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster:
            yield cluster


def test_two_dask_workers_write_the_same(cluster, notes, expected, tmp_path):
    options = ["--dask_client_address", cluster.scheduler_address]
    source = slow_preparation.source(slow_preparation.noting)
    prepare(source, tmp_path / "out", runner="dask", beam_options=options)
    assert contents(tmp_path / "out") == expected
    workers = {str(worker.pid) for worker in cluster.workers.values()}
    assert len(workers) == 2 and {path.name for path in notes.iterdir()} == workers


def test_the_command(cluster, tmp_path):
    command = "prepare synthetic OUT --task ood --clips 5 --seconds 1 --overwrite"
    words = [str(tmp_path / "out") if word == "OUT" else word for word in command.split()]
    cluster_words = ["--runner", "dask", "--dask-client-address", cluster.scheduler_address]
    written = []
    for extra in (cluster_words, []):
        result = CliRunner().invoke(main, [*words, *extra])
        assert result.exit_code == 0 and "5 clips" in result.output, result.output
        written.append(contents(tmp_path / "out"))
    assert written[0] == written[1]


def test_dask_workers_that_die(cluster, tmp_path):
    """Dask gives the shard to another worker, and gives up after the fourth."""
    options = ["--dask_client_address", cluster.scheduler_address]
    words = "on 4 different workers, but all those workers died .*the same command resumes"
    with pytest.raises(UserError, match=words):
        prepare(
            slow_preparation.source(slow_preparation.dying),
            tmp_path / "out",
            runner="dask",
            beam_options=options,
        )
    assert not (tmp_path / "out").exists()


def test_any_runner_of_beam(expected, tmp_path):
    prepare(slow_preparation.source(), tmp_path / "out", runner="BundleBasedDirectRunner")
    assert contents(tmp_path / "out") == expected


def broken(clip, sample_rate_hz):
    raise ZeroDivisionError("a bug of ours")


def test_our_own_mistakes_are_not_rejections(tmp_path):
    source = slow_preparation.source(broken)
    with pytest.raises(ZeroDivisionError, match="a bug of ours"):
        prepare(source, tmp_path / "out", runner="BundleBasedDirectRunner")


@pytest.mark.parametrize(
    ("runner", "options", "message"),
    [
        ("NoRunner", [], "Beam can't use runner 'NoRunner'"),
        ("DirectRunner", [], "runner 'DirectRunner' is for tests of Beam; leave --runner out"),
        ("dask", ["--dask-clyent=tcp://x"], "Beam has no option --dask_clyent for the runner dask"),
        ("dask", ["--dask-npartitions=x"], "Beam refuses its options .*invalid int"),
    ],
)
def test_wrong_arguments(tmp_path, runner, options, message):
    with pytest.raises(UserError, match=message):
        prepare(slow_preparation.source(), tmp_path / "out", runner=runner, beam_options=options)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("package", "install"),
    [("apache_beam", "pip install 'vipann-tf.beam.'"), ("distributed", "pip install dask dist")],
)
def test_what_is_not_installed(tmp_path, monkeypatch, package, install):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(UserError, match=f"needs {package}, which is not installed: {install}"):
        prepare(slow_preparation.source(), tmp_path / "out", runner="dask")


def test_a_preparation_on_this_machine_needs_no_beam(expected, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "apache_beam", None)
    prepare(slow_preparation.source(), tmp_path / "out", workers=2)
    assert contents(tmp_path / "out") == expected
