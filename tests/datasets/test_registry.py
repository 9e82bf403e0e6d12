"""The registry, and what every dataset module must keep."""

import pytest

from tests.helpers.dataset_layouts import audio
from vipann_tf import datasets
from vipann_tf.datasets.base import check_split, split_of_fold
from vipann_tf.errors import UserError


def test_unknown_name_lists_the_valid_ones():
    with pytest.raises(UserError, match="dataset 'esc-50' is unknown; use one of .*esc50"):
        datasets.load("esc-50", "x")


def test_unknown_option_lists_the_valid_ones(tmp_path):
    with pytest.raises(UserError, match="dataset esc50 has no option 'task'; its options: subset"):
        datasets.load("esc50", tmp_path, task="multilabel")
    with pytest.raises(UserError, match="dataset audioset has no option 'x'; its options: none"):
        datasets.load("audioset", tmp_path, x=1)


def test_options_that_are_none_are_left_out(tmp_path):
    audio(tmp_path / "dog/a.wav")
    audio(tmp_path / "cat/a.wav")
    assert datasets.load("folder", tmp_path, subset=None, seconds=None).labels == ("cat", "dog")


def test_missing_directory():
    with pytest.raises(UserError, match="no directory '/no/such/place'"):
        datasets.load("folder", "/no/such/place")


def test_source_where_there_is_none_and_none_where_there_must_be(tmp_path):
    with pytest.raises(UserError, match="dataset synthetic has no source, but '.*' was given"):
        datasets.load("synthetic", tmp_path)
    with pytest.raises(UserError, match="dataset esc50 needs its source directory: audio/"):
        datasets.load("esc50")


def test_synthetic_takes_its_options():
    source = datasets.load("synthetic", task="multiclass", clips=12, seed=3, folds=3, seconds=2.0)
    assert len(source.clips) == 12 and source.clip_seconds == 2.0
    assert {clip.split for clip in source.clips} == {"fold1", "fold2", "fold3"}


@pytest.mark.parametrize("dataset", datasets.DATASETS.values(), ids=lambda d: d.name)
def test_every_dataset_describes_itself_and_refuses_an_empty_directory(dataset, tmp_path):
    assert dataset.summary and datasets.find(dataset.name) is dataset
    if dataset.needs_source:
        with pytest.raises(UserError, match="looked for .* found no files"):
            dataset.load(datasets.SourceTree(tmp_path))


def test_glimpse_is_short(tmp_path):
    for number in range(12):
        audio(tmp_path / f"{number:02d}.wav")
    with pytest.raises(UserError, match="found 00.wav, .*, 07.wav and 4 more"):
        datasets.load("folder", tmp_path)


@pytest.mark.parametrize(
    "fold", [3, 3.0, "3", " 03", "3.0", "3,0", "3.", "fold3", "Fold_3", "fold-03", "FOLD 3"]
)
def test_fold_names(fold):
    assert split_of_fold(fold) == "fold3"


@pytest.mark.parametrize("fold", ["", "three", "-1", "fold", "1.5", "1.05"])
def test_bad_fold_names(fold):
    with pytest.raises(UserError, match=f"fold {fold!r} is not a number"):
        split_of_fold(fold)


def test_split_names():
    assert check_split("train_2", "here") == "train_2"
    for name in ("", "a b", "1", "a-b", "a/b", "../a"):
        with pytest.raises(UserError, match="here: split .* is not a usable name"):
            check_split(name, "here")
