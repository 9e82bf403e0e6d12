"""One study of the smallest size, run once, and what tests of parts of it need."""

import contextlib

import pytest

from vipann_tf.recipes import load_recipe
from vipann_tf.study.grid import cells
from vipann_tf.study.recipe import StudyRecipe

BAD = "<script>&'\""


@contextlib.contextmanager
def quickly():
    """Use networks of one block, and skip graphs, SavedModels and reports of evaluations."""
    from tests.helpers.tiny_training import eagerly, shallow
    from vipann_tf.evaluation import evaluate

    with pytest.MonkeyPatch.context() as patch, eagerly(patch):
        shallow(patch.setitem)
        for name in ("write_report", "reliability_diagram"):
            patch.setattr(evaluate, name, lambda *args, **options: None)
        yield


@pytest.fixture(scope="session")
def recipe():
    """The shipped recipe for tests."""
    return load_recipe(StudyRecipe, "studies/smoke")


@pytest.fixture(scope="session")
def smoke(recipe, tmp_path_factory):
    """Its directory, finished."""
    from vipann_tf.study.run import run_study

    out = tmp_path_factory.mktemp("study") / "smoke"
    with quickly():
        outcome = run_study(recipe, out, cells(recipe), everything=True)
    assert not outcome.failed
    return out


@pytest.fixture(scope="session")
def made_up(tmp_path_factory):
    """Directory, cells and what was found, of a finished study that was made up."""
    from tests.helpers.made_up_study import study_recipe, write_cell, write_upstream
    from vipann_tf.study.directory import StudyDirectory

    recipe = study_recipe(hardware=BAD)
    directory = StudyDirectory(recipe, tmp_path_factory.mktemp("made") / "up")
    found = {cell: write_cell(directory, cell) for cell in cells(recipe)}
    networks = {name: write_upstream(directory, name) for name in recipe.upstream}
    return directory, found, networks


@pytest.fixture
def eager():
    """See `quickly`."""
    with quickly():
        yield
