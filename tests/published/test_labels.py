"""AudioSet's labels against the published list, and every complaint about a label file."""

import csv

import pytest

from tests.helpers.reference import AUDIOSET_LABELS
from vipann_tf.errors import UserError
from vipann_tf.published import labels


def write(tmp_path, text, encoding="utf-8"):
    path = tmp_path / "labels.csv"
    path.write_bytes(text.encode(encoding))
    return path


def test_audioset_labels_are_the_published_list():
    with open(AUDIOSET_LABELS, encoding="utf-8", newline="") as lines:
        rows = list(csv.DictReader(lines))
    assert labels.audioset_labels() == tuple(row["display_name"] for row in rows)
    assert labels.read_labels(AUDIOSET_LABELS, 527) == labels.audioset_labels()
    with labels._AUDIOSET.open(encoding="utf-8", newline="") as lines:
        ours = [(row["index"], row["id"]) for row in csv.DictReader(lines)]
    assert ours == [(row["index"], row["mid"]) for row in rows]


@pytest.mark.parametrize(
    "text",
    [
        "index,name\n0,dog\n1,'cat, big'\n".replace("'", '"'),
        '\ufeffname\ndog\n"cat, big"\n',
        'index,mid,display_name\r\n0,/m/1,dog\r\n1,/m/2,"cat, big"\r\n',
        'label,id\n dog ,a\n"cat, big",b\n',
    ],
)
def test_formats_that_are_read(tmp_path, text):
    assert labels.read_labels(write(tmp_path, text), 2) == ("dog", "cat, big")


@pytest.mark.parametrize(
    ("text", "count", "message"),
    [
        ("", None, "has the columns of an empty file; one of name, display_name, label must"),
        ("index,sound\n0,dog\n", None, "has the columns index, sound; one of name,"),
        ("name\n", None, "has 0 labels; at least one is needed"),
        ("name\ndog\ncat\n", 3, "has 2 labels; the network has 3"),
        ("index,name\n0,dog\n2,cat\n", None, "has index '2' in row 1; rows must be in the order"),
        ("index,name\n1,dog\n2,cat\n", None, "has index '1' in row 0"),
        ("index,name\n0,dog\n1, \n", None, "has an empty name in row 1"),
        ("index,name\n0,dog\n1\n", None, "has an empty name in row 1"),
        ("name\ndog\ncat\ndog\n", None, "has the label 'dog' in rows 0 and 2"),
    ],
)
def test_what_is_refused(tmp_path, text, count, message):
    with pytest.raises(UserError, match=message):
        labels.read_labels(write(tmp_path, text), count)


def test_unreadable_files_are_named(tmp_path):
    with pytest.raises(UserError, match="absent.csv cannot be read: No such file"):
        labels.read_labels(tmp_path / "absent.csv")
    with pytest.raises(UserError, match="labels.csv is not a CSV file in UTF-8"):
        labels.read_labels(write(tmp_path, "name\nhörn\n", "latin-1"))
