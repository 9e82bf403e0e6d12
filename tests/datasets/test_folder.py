import pytest

from tests.helpers.dataset_layouts import audio, text
from vipann_tf import datasets
from vipann_tf.errors import UserError


def listed(root):
    return [(c.clip_id, c.labels[0], c.split) for c in datasets.load("folder", root).clips]


def test_one_folder_a_class(tmp_path):
    for name in ("dog/a.wav", "dog/b.FLAC", "cat/x.ogg", "cat/.hidden.wav", "cat/readme.txt"):
        path = tmp_path / name
        audio(path) if path.suffix != ".txt" else text(path, "x")
    source = datasets.load("folder", tmp_path)
    assert (source.task, source.labels) == ("multiclass", ("cat", "dog"))
    assert source.name == tmp_path.name
    assert listed(tmp_path) == [
        ("cat/x.ogg", "cat", "train"),
        ("dog/a.wav", "dog", "train"),
        ("dog/b.FLAC", "dog", "train"),
    ]


@pytest.mark.parametrize(
    "folders, splits",
    [
        (("train", "eval"), ("train", "eval")),
        (("Train", "validation", "TEST"), ("train", "validation", "test")),
        (("fold1", "fold_2", "Fold-10"), ("fold1", "fold2", "fold10")),
        (("1", "2"), ("fold1", "fold2")),
    ],
)
def test_split_folders(tmp_path, folders, splits):
    for folder in folders:
        audio(tmp_path / folder / "dog" / "a.wav")
        audio(tmp_path / folder / "cat" / "deep" / "b.wav")
    source = datasets.load("folder", tmp_path)
    assert source.labels == ("cat", "dog")
    assert {clip.split for clip in source.clips} == set(splits)
    assert {clip.labels for clip in source.clips} == {("cat",), ("dog",)}


def test_a_class_called_train_is_a_class(tmp_path):
    audio(tmp_path / "train/a.wav")
    audio(tmp_path / "airplane/b.wav")
    assert listed(tmp_path) == [
        ("airplane/b.wav", "airplane", "train"),
        ("train/a.wav", "train", "train"),
    ]


def test_deeper_folders_belong_to_their_class(tmp_path):
    audio(tmp_path / "dog/monday/a.wav")
    audio(tmp_path / "cat/b.wav")
    assert listed(tmp_path) == [("cat/b.wav", "cat", "train"), ("dog/monday/a.wav", "dog", "train")]


def test_mixture_of_splits_and_classes_is_refused(tmp_path):
    audio(tmp_path / "train/dog/a.wav")
    audio(tmp_path / "extra/dog/a.wav")
    with pytest.raises(UserError, match="folder 'train' looks like a split .* 'extra' does not"):
        datasets.load("folder", tmp_path)


def test_files_outside_folders_are_rejected(tmp_path):
    audio(tmp_path / "dog/a.wav")
    audio(tmp_path / "cat/a.wav")
    audio(tmp_path / "stray.wav")
    source = datasets.load("folder", tmp_path)
    assert [(r.clip_id, r.reason) for r in source.rejected] == [("stray.wav", "no-label")]


def test_task(tmp_path):
    audio(tmp_path / "dog/a.wav")
    assert datasets.load("folder", tmp_path, task="multilabel").task == "multilabel"
    with pytest.raises(UserError, match="task is 'tags'; it must be one of multilabel, multiclass"):
        datasets.load("folder", tmp_path, task="tags")


def test_no_audio_says_what_was_sought_and_found(tmp_path):
    text(tmp_path / "dog/a.txt", "x")
    audio(tmp_path / "b.wav")
    with pytest.raises(UserError, match="looked for audio files in folders; found b.wav, dog/"):
        datasets.load("folder", tmp_path)


def test_empty_directory(tmp_path):
    with pytest.raises(UserError, match="found no files"):
        datasets.load("folder", tmp_path)


def test_real_digits(real_data):
    source = datasets.load("folder", real_data("spoken_digits"))
    assert len(source.clips) == 200 and source.labels == tuple(f"digit_{n}" for n in range(10))
