"""A label without a usable clip: said by prepare, refused by training."""

import numpy as np
import pytest
import soundfile

from tests.helpers.dataset_layouts import audio, text
from vipann_tf import datasets
from vipann_tf.errors import UserError
from vipann_tf.records.empty_labels import check_training_labels, empty_labels
from vipann_tf.records.prepare import prepare
from vipann_tf.records.summary import read_notices


def sounds(root):
    """Three classes: one of sounds, one of rejected files, one of files that no decoder takes."""
    audio(root / "dog/a.wav")
    audio(root / "dog/b.wav")
    text(root / "cock/a.wav", "x")
    soundfile.write(root / "cock/b.wav", np.zeros(3), 8_000)
    text(root / "hen/a.raw", "x")
    return root


def test_prepare_names_labels_without_a_usable_clip(tmp_path):
    source = datasets.load("folder", sounds(tmp_path / "in"))
    info = prepare(source, tmp_path / "out", seconds=0.5, workers=1)
    assert info.labels == ["cock", "dog", "hen"] and info.splits["train"].label_counts == [0, 2, 0]
    assert info.notices["empty-label"] == 2
    found = {x.detail.split("; ")[0] for x in read_notices(tmp_path / "out") if "label" in x.kind}
    assert found == {
        "label 'cock' has no usable clip (1 too-short, 1 undecodable)",
        "label 'hen' has no usable clip (none was listed)",
    }
    with pytest.raises(UserError, match="notices, which --strict makes errors"):
        prepare(source, tmp_path / "strict", seconds=0.5, workers=1, strict=True)
    with pytest.raises(UserError, match="no clip for 2 of 3 labels .cock, hen. in train;.*--allow"):
        check_training_labels(info, ["train"])


@pytest.mark.parametrize("task", ["multiclass", "multilabel"])
def test_labels_of_other_splits(tmp_path, task):
    """The labels of a multilabel model are scored one by one; those of a multiclass one are not."""
    for name in ("train/dog/a.wav", "train/cat/a.wav", "eval/owl/b.wav"):
        audio(tmp_path / "in" / name)
    source = datasets.load("folder", tmp_path / "in", task=task)
    info = prepare(source, tmp_path / "out", seconds=0.5, workers=1)
    assert not info.notices
    assert empty_labels(info, ["train"]) == ["owl"] and not empty_labels(info, ["train", "eval"])
    check_training_labels(info, ["train", "eval"])
    if task == "multilabel":
        check_training_labels(info, ["train"])
    else:
        with pytest.raises(UserError, match="no clip for 1 of 3 labels .owl. in train"):
            check_training_labels(info, ["train"])
