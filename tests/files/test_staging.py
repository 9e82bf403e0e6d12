import os

import pytest

from vipann_tf.errors import UserError
from vipann_tf.files.staging import WORK, resumable_directory, staged_directory

BOTH = pytest.mark.parametrize("stage", [staged_directory, resumable_directory])


def fill(stage, text="new"):
    with open(os.path.join(stage, "mark"), "w", encoding="utf-8") as file:
        file.write(text)


def leftovers(path):
    return [name for name in os.listdir(path) if name.startswith(".")]


@BOTH
def test_appears_when_complete(tmp_path, stage):
    out = tmp_path / "deep" / "out"
    with stage(out, mark="mark", overwrite=False) as directory:
        fill(directory)
        assert os.path.isdir(os.path.join(directory, WORK)) and not out.exists()
    assert os.listdir(out) == ["mark"] and not leftovers(tmp_path / "deep")
    assert os.stat(out).st_mode & 0o777 == 0o777 & ~current_umask()


def current_umask():
    umask = os.umask(0)
    os.umask(umask)
    return umask


def begin(stage, out, *, overwrite):
    with stage(out, mark="mark", overwrite=overwrite):
        raise AssertionError("must not begin")


@BOTH
def test_existing_output_is_kept(tmp_path, stage):
    out = tmp_path / "out"
    with stage(out, mark="mark", overwrite=False) as directory:
        fill(directory, "old")
    with pytest.raises(UserError, match="out exists; choose another .* or add --overwrite"):
        begin(stage, out, overwrite=False)
    assert (out / "mark").read_text() == "old"


@BOTH
def test_overwrite_replaces_at_the_end(tmp_path, stage):
    out = tmp_path / "out"
    with stage(out, mark="mark", overwrite=False) as directory:
        fill(directory, "old")
    with pytest.raises(UserError, match="stop"), stage(out, mark="mark", overwrite=True):
        raise UserError("stop")
    assert (out / "mark").read_text() == "old" and not leftovers(tmp_path)
    with stage(out, mark="mark", overwrite=True) as directory:
        fill(directory)
        assert (out / "mark").read_text() == "old"
    assert (out / "mark").read_text() == "new" and not leftovers(tmp_path)


@BOTH
@pytest.mark.parametrize("overwrite", [False, True])
def test_other_peoples_directories_are_never_replaced(tmp_path, stage, overwrite):
    (tmp_path / "thesis.tex").write_text("precious")
    with pytest.raises(UserError, match="not a directory that this command made .no mark."):
        begin(stage, tmp_path, overwrite=overwrite)
    assert (tmp_path / "thesis.tex").exists()


@BOTH
def test_an_empty_directory_is_as_good_as_none(tmp_path, stage):
    (tmp_path / "out").mkdir()
    with stage(tmp_path / "out", mark="mark", overwrite=False) as directory:
        fill(directory)
    assert (tmp_path / "out" / "mark").exists()


@BOTH
def test_two_runs_at_once(tmp_path, stage):
    with stage(tmp_path / "out", mark="mark", overwrite=False) as directory:
        with pytest.raises(UserError, match="another run is making .*out right now"):
            begin(stage, tmp_path / "out", overwrite=False)
        fill(directory)
    assert (tmp_path / "out" / "mark").exists() and not leftovers(tmp_path)


def dead_run(tmp_path):
    """What SIGKILL leaves: a staging directory that nobody holds."""
    stale = tmp_path / ".out.preparing-x1"
    (stale / WORK).mkdir(parents=True)
    (stale / "part").write_text("half")
    return stale


def test_leftovers_are_deleted(tmp_path):
    stale = dead_run(tmp_path)
    with staged_directory(tmp_path / "out", mark="mark", overwrite=False) as directory:
        assert not stale.exists() and os.listdir(directory) == [WORK]
        fill(directory)
    assert not leftovers(tmp_path)


def test_leftovers_are_handed_over(tmp_path):
    stale = dead_run(tmp_path)
    (tmp_path / ".out.preparing-x2").mkdir()  # killed even earlier
    (tmp_path / ".other.preparing-x3").mkdir()  # of another output
    with resumable_directory(tmp_path / "out", mark="mark", overwrite=False) as directory:
        assert not stale.exists() and sorted(os.listdir(directory)) == [WORK, "part"]
        fill(directory)
    assert leftovers(tmp_path) == [".other.preparing-x3"]
    assert sorted(os.listdir(tmp_path / "out")) == ["mark", "part"]


def fail(stage, out, error, *, resumed=False):
    with stage(out, mark="mark", overwrite=False) as directory:
        assert ("mark" in os.listdir(directory)) == resumed
        fill(directory)
        raise error


def test_what_a_failure_leaves(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        fail(staged_directory, tmp_path / "out", KeyboardInterrupt())
    assert os.listdir(tmp_path) == []
    with pytest.raises(KeyboardInterrupt):
        fail(resumable_directory, tmp_path / "out", KeyboardInterrupt())
    assert len(leftovers(tmp_path)) == 1 and not (tmp_path / "out").exists()
    with pytest.raises(UserError, match="nothing usable"):
        fail(resumable_directory, tmp_path / "out", UserError("nothing usable"), resumed=True)
    assert os.listdir(tmp_path) == []


@BOTH
def test_unwritable_place(tmp_path, stage):
    (tmp_path / "file").write_text("x")
    with pytest.raises(UserError, match="can't write beside .*: (Not a directory|File exists)"):
        begin(stage, tmp_path / "file" / "out", overwrite=False)
