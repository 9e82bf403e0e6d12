"""Which cells there are, and which are chosen."""

import functools
import operator

import pytest

from vipann_tf.errors import UserError
from vipann_tf.recipes import load_recipe
from vipann_tf.study.derived import sources
from vipann_tf.study.grid import Cell, cells, select, shard, transfer_recipe
from vipann_tf.study.recipe import StudyRecipe

BASES = {
    "plain-one": {"model": "m/det", "kind": "deterministic"},
    "flipout": {"model": "m/flip", "kind": "flipout"},
}
RECIPES = {
    "fixed": {"recipe": "transfer/small_fixed", "settings": {"training": {"steps": 7, "seed": 9}}},
    "finetune": {"recipe": "transfer/small_finetune"},
}


def study(grid, **changes):
    values = {
        "datasets": {"a": {"directory": "d/a"}, "b": {"directory": "d/b"}},
        "upstream": BASES,
        "downstream": {
            "a": {"data": "a", "folds": 2, "recipes": RECIPES},
            "b": {"data": "b", "recipes": {"fixed": {"settings": {"data": {"train": ["x"]}}}}},
        },
        "variants": {
            "moped": {"variational": {"moped_delta": 0.1}},
            "few-steps": {"training": {"steps": 3}},
        },
        "grid": grid,
    }
    return load_recipe(StudyRecipe, None, [{**values, **changes}])


def names(grid, **changes):
    return [cell.name for cell in cells(study(grid, **changes))]


def test_a_base_that_fits_as_well():
    """Dropout starts from a deterministic network if there is no other, or if it is named."""
    block = {"strategies": ["drop"], "modes": ["fixed"], "downstream": ["b"]}
    assert names([block]) == ["b/plain-one/drop-fixed/seed0"]
    both = {**BASES, "mc": {"model": "m/drop", "kind": "dropout"}}
    assert names([block], upstream=both) == ["b/mc/drop-fixed/seed0"]
    named = {**block, "upstream": ["plain-one", "mc", "flipout"]}
    assert names([named], upstream=both) == [
        "b/plain-one/drop-fixed/seed0",
        "b/mc/drop-fixed/seed0",
    ]


def test_what_is_made_from_other_cells():
    block = {"strategies": ["ens", "det-laplace", "det"], "modes": ["fixed"], "seeds": [1]}
    recipe = study(
        [{**block, "downstream": ["b"], "variants": ["plain", "fewer"]}],
        variants={"fewer": {"export": {"num_draws": 3}}},
        ensemble={"members": 2},
    )
    made = {cell.name: [source.name for source in sources(recipe, cell)] for cell in cells(recipe)}
    assert made == {
        "b/plain-one/ens-fixed/seed1": [f"b/plain-one/det-fixed/seed{n}" for n in (2, 3)],
        "b/plain-one/ens-fixed-fewer/seed1": ["b/plain-one/ens-fixed/seed1"],
        "b/plain-one/det-laplace-fixed/seed1": ["b/plain-one/det-fixed/seed1"],
        "b/plain-one/det-laplace-fixed-fewer/seed1": ["b/plain-one/det-laplace-fixed/seed1"],
        "b/plain-one/det-fixed/seed1": [],
        "b/plain-one/det-fixed-fewer/seed1": ["b/plain-one/det-fixed/seed1"],
    }


def test_a_block_by_hand():
    block = {"strategies": ["det", "flip"], "modes": ["fixed"], "seeds": [0, 4]}
    assert names([block]) == [
        "a/plain-one/det-fixed/seed0-fold1",
        "a/plain-one/det-fixed/seed0-fold2",
        "a/plain-one/det-fixed/seed4-fold1",
        "a/plain-one/det-fixed/seed4-fold2",
        "a/flipout/flip-fixed/seed0-fold1",
        "a/flipout/flip-fixed/seed0-fold2",
        "a/flipout/flip-fixed/seed4-fold1",
        "a/flipout/flip-fixed/seed4-fold2",
        "b/plain-one/det-fixed/seed0",
        "b/plain-one/det-fixed/seed4",
        "b/flipout/flip-fixed/seed0",
        "b/flipout/flip-fixed/seed4",
    ]


def test_a_cell_of_two_blocks_is_one():
    block = {"strategies": ["det"], "modes": ["fixed"], "downstream": ["a"]}
    assert names([block, {**block, "fractions": [1.0, 0.25], "folds": [2]}]) == [
        "a/plain-one/det-fixed/seed0-fold1",
        "a/plain-one/det-fixed/seed0-fold2",
        "a/plain-one/det-fixed-25pct/seed0-fold2",
    ]


def test_moped_starts_from_a_deterministic_base():
    block = {"strategies": ["flip"], "modes": ["finetune"], "downstream": ["a"], "folds": [1]}
    assert names([{**block, "variants": ["plain", "moped"]}]) == [
        "a/flipout/flip-finetune/seed0-fold1",
        "a/plain-one/flip-finetune-moped/seed0-fold1",
    ]


def test_several_bases_of_a_kind():
    bases = {**BASES, "other": {"model": "m/o", "kind": "deterministic"}}
    block = {"strategies": ["det"], "modes": ["fixed"], "downstream": ["b"]}
    assert names([block], upstream=bases) == [
        "b/plain-one/det-fixed/seed0",
        "b/other/det-fixed/seed0",
    ]
    one = {**block, "upstream": ["other"]}
    assert names([one], upstream=bases) == ["b/other/det-fixed/seed0"]


def test_what_counts_in_a_cells_recipe():
    """The cell over the variant over the settings over the file."""
    whole = study([])
    resolved = transfer_recipe(whole, Cell("a", "x", "det", "fixed", "plain", 0.5, 3, 1))
    assert (resolved.training.steps, resolved.training.seed) == (7, 3)
    assert (resolved.data.fraction, resolved.strategy, resolved.mode) == (0.5, "det", "fixed")
    assert resolved.dropout_dense == 0.2  # of the file
    resolved = transfer_recipe(whole, Cell("a", "x", "det", "fixed", "few-steps", 1.0, 0, 1))
    assert (resolved.training.steps, resolved.training.seed) == (3, 0)


def test_no_network_to_start_from():
    with pytest.raises(UserError, match="drop with plain options starts from a dropout network"):
        names([{"strategies": ["drop"], "modes": ["fixed"]}], upstream={"f": BASES["flipout"]})


def test_no_recipe_for_a_mode():
    with pytest.raises(UserError, match="b has no recipe for mode finetune, only for fixed"):
        names([{"strategies": ["det"], "modes": ["finetune"]}])


@pytest.fixture(scope="module")
def found(recipe):
    return cells(recipe)


def test_select(found):
    assert select(found, []) == found
    chosen = select(found, ["strategy=det|flip, fold=1, fraction=1, variant=plain", "variant=elbo"])
    assert [cell.name.partition("/")[2] for cell in chosen] == [
        "deterministic/det-fixed/seed0-fold1",
        "flipout/flip-fixed/seed0-fold1",
        "deterministic/det-flip-fixed-elbo/seed0-fold1",
    ]
    assert [cell.fraction for cell in select(found, ["fraction=0.5"])] == [0.5]


@pytest.mark.parametrize(
    ("only", "message"),
    [
        ("strategy", "'strategy' is not key=value with one of the keys downstream, upstream"),
        ("stategy=det", "'stategy=det' is not key=value with one of the keys"),
        ("strategy=dt", "no strategy is 'dt'; there are det, det-flip, flip"),
        ("strategy=flip,variant=elbo", "flip,variant=elbo: the study has no such cell"),
    ],
)
def test_select_nothing(found, only, message):
    with pytest.raises(UserError) as error:
        select(found, [only])
    assert message in str(error.value)


def test_shards_are_a_partition(found):
    parts = [shard(found, f"{i}/3") for i in (1, 2, 3)]
    assert sorted(functools.reduce(operator.iadd, parts, []), key=found.index) == found
    assert max(map(len, parts)) - min(map(len, parts)) <= 1
    assert shard(found, None) == found


@pytest.mark.parametrize("text", ["0/3", "4/3", "1", "a/b", "1/", "/2"])
def test_wrong_shards(found, text):
    with pytest.raises(UserError, match=f"--shard is '{text}'; give i/n with i from 1 to n"):
        shard(found, text)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"downstream": {"a": {"data": "c", "recipes": {}}}},
            "downstream.a.data names 'c'; there are a, b",
        ),
        ({"datasets": {"a": {}}}, "datasets.a: give either dataset (to be prepared) or directory"),
        ({"datasets": {"a": {"dataset": "esc51"}}}, "dataset 'esc51' is unknown"),
        ({"upstream": {"x": {"kind": "flipout"}}}, "upstream.x: give one of recipe (to be"),
        ({"upstream": {"x": {"model": "m"}}}, "upstream.x: say its kind"),
        ({"upstream": {"x": {"recipe": "r"}}}, "a recipe needs data to train on"),
        (
            {"upstream": {"x": {"recipe": "r", "data": "a", "kind": "flipout"}}},
            "the kind is that of the recipe",
        ),
        ({"variants": {"plain": {}}}, "a variant can't be called plain"),
        ({"variants": {"a/b": {}}}, "variants can't have the name 'a/b'"),
        (
            {"grid": [{"strategies": ["det"], "modes": [], "variants": ["x"]}]},
            "grid.0.variants names 'x'; there are plain, moped, few-steps",
        ),
        ({"grid": [{"strategy": []}]}, "unknown key grid.0.strategy; did you mean strategies?"),
        ({"upstream": {"x": {"modell": ""}}}, "unknown key upstream.x.modell; did you mean model?"),
    ],
)
def test_wrong_studies(changes, message):
    with pytest.raises(UserError) as error:
        study(**{"grid": [], **changes})
    assert message in str(error.value), str(error.value)
