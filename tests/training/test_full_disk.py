"""A full disk ends a training in one line, and the same command resumes when there is room."""

import contextlib
import resource
import subprocess

import pytest
import tensorflow as tf

from tests.helpers.tiny_training import cheapest_run, log_bytes, same_weights
from vipann_tf.errors import UserError
from vipann_tf.saved_model.export import export
from vipann_tf.training import fit
from vipann_tf.training.checkpoints import first_line
from vipann_tf.training.run import unfinished

pytestmark = pytest.mark.slow


@pytest.fixture
def no_more_than():
    """Limits the size of files, which is what a full disk looks like to a writer."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield lambda size: resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.usefixtures("eager")
def test_files_cannot_grow(bases, events, tmp_path, no_more_than):
    def train(**options):
        cheapest_run(bases, events, tmp_path / "m", **options)

    def fill(progress):
        if progress.step == 2:
            no_more_than(4096)

    with pytest.raises(UserError) as error:
        train(on_progress=fill)
    assert f"can't save the checkpoint of step 2 in {tmp_path}" in str(error.value)
    assert "the same command resumes" in str(error.value) and "\n" not in str(error.value)

    no_more_than(10)
    with pytest.raises(UserError, match="can't write in .*: File too large; make room"):
        train()

    no_more_than(resource.getrlimit(resource.RLIMIT_FSIZE)[1])
    train()
    smooth = cheapest_run(bases, events, tmp_path / "smooth")
    assert log_bytes(tmp_path / "m") == log_bytes(smooth)
    assert same_weights(tmp_path / "m", smooth)


@pytest.fixture
def small_disk(tmp_path):
    """Mount a file system; give it and functions that fill it to the last byte and empty it."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = ["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", str(place)]
    try:
        subprocess.run(mounted, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"a full disk needs one to mount, which only root may: {error}")

    def fill():
        with contextlib.suppress(OSError), open(place / "filler", "ab", buffering=0) as filler:
            while True:
                filler.write(bytes(4096))

    yield place, fill, (place / "filler").unlink
    subprocess.run(["umount", "--lazy", str(place)], check=True)


@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize("full_at", ["checkpoint", "export"])
def test_no_space_left(bases, events, small_disk, monkeypatch, full_at):
    """ENOSPC as the system gives it, to whoever writes first."""
    disk, fill, empty = small_disk
    out = disk / "m"
    settings = ("validation.splits=[fold2]", "validation.num_draws=1")
    with monkeypatch.context() as patch:
        if full_at == "export":

            def fill_and_export(*args, **kwargs):
                fill()
                return export(*args, **kwargs)

            patch.setattr(fit, "export", fill_and_export)
            words = (
                f"can't write the model in {out}: ",
                "No space left",
                "the same command writes it",
            )
        else:
            words = ("can't ", str(out), "No space left", "make room", "the same command resumes")

        def progress(seen):
            if seen.step == 2 and full_at == "checkpoint":
                fill()

        with pytest.raises(UserError) as error:
            cheapest_run(bases, events, out, *settings, on_progress=progress)
    for word in words:
        assert word in str(error.value)
    assert "\n" not in str(error.value)
    kept = unfinished(out)
    assert kept["checkpoint"] == (4 if full_at == "export" else 1)

    empty()
    seen = []
    cheapest_run(bases, events, out, *settings, on_progress=seen.append)
    assert [progress.step for progress in seen] == ([] if full_at == "export" else [2, 3, 4])
    assert not [file for file in out.iterdir() if file.name.startswith(".export")]
    whole = cheapest_run(bases, events, disk / "whole", *settings)
    assert log_bytes(out) == log_bytes(whole) and same_weights(out, whole)


def test_the_reason_survives_a_long_path():
    message = f"{{{{function_node x}}}} {'/deep' * 100}; No space left on device [Op:SaveV2]\nstack"
    line = first_line(tf.errors.ResourceExhaustedError(None, None, message))
    assert line.startswith("/deep") and "No space left on device" in line
    assert len(line) <= 300 and "function_node" not in line
