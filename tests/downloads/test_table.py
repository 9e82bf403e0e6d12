"""The table of addresses, and what a wrong table is told."""

import pytest
import yaml

from vipann_tf.downloads import find, read_table
from vipann_tf.errors import UserError

FILE = {"name": "a.zip", "url": "https://host.org/a.zip", "size": 5, "md5": "0" * 32}
ENTRY = {"title": "a set", "page": "https://host.org/a", "licence": "CC0", "files": [FILE]}


def table(path, **entries):
    (path / "table.yaml").write_text(yaml.safe_dump(entries))
    return path / "table.yaml"


def test_the_shipped_table():
    entries = read_table()
    assert {"esc50", "urbansound8k", "dcase2013", "shipsear", "audioset"} <= set(entries)
    for name, entry in entries.items():
        for file in entry.files:
            assert file.url.startswith("https://"), name
            assert bool(file.sha256 or file.md5) != (file.unverified == "checksum"), name
    assert entries["urbansound8k"].expected_mb == pytest.approx(6023.741708)
    assert entries["audioset"].expected_mb == pytest.approx(0.014675 + 1.143389 + 1.211931 + 100)


def test_a_table_of_ones_own(tmp_path):
    entries = read_table(table(tmp_path, mine=ENTRY))
    assert list(entries) == ["mine"] and entries["mine"].files[0].size == 5


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"sha": "1"}, r"mine\.files\.0\.sha: Extra inputs are not permitted \(it is '1'\)"),
        ({"url": "ftp://host.org/a"}, r"files\.0\.url: .*'ftp://host.org/a'"),
        ({"name": "../a"}, r"files\.0\.name: .*'\.\./a'"),
        ({"name": ".."}, r"files\.0\.name: .*'\.\.'"),
        ({"unpack": "a/b"}, r"files\.0\.unpack"),
        ({"md5": "abc"}, r"files\.0\.md5: .*'abc'"),
        ({"about_mb": 1}, "one of size and about_mb is needed"),
        ({"size": None}, "one of size and about_mb is needed"),
        ({"md5": None}, "without sha256 and md5, unverified must be checksum"),
    ],
)
def test_wrong_files(tmp_path, change, words):
    path = table(tmp_path, mine={**ENTRY, "files": [{**FILE, **change}]})
    with pytest.raises(UserError, match=f"table.yaml, .*{words}.*as in the package's addresses"):
        read_table(path)


def test_an_entry_without_files_says_what_to_do(tmp_path):
    with pytest.raises(UserError, match="mine: .*files or how is needed"):
        read_table(table(tmp_path, mine={**ENTRY, "files": []}))
    assert read_table(table(tmp_path, mine={**ENTRY, "files": [], "how": "ask"}))


def test_what_is_no_table(tmp_path):
    with pytest.raises(UserError, match=f"no table of addresses at {tmp_path}/none: No such file"):
        read_table(tmp_path / "none")
    (tmp_path / "a.yaml").write_text("a: [")
    with pytest.raises(UserError, match="a.yaml is not YAML"):
        read_table(tmp_path / "a.yaml")
    (tmp_path / "a.yaml").write_text("- a")
    with pytest.raises(UserError, match=r"a.yaml, the table: .*dictionary \(it is \['a'\]\)"):
        read_table(tmp_path / "a.yaml")


def test_an_unknown_name():
    with pytest.raises(UserError, match="named 'urbansound'; use one of urbansound8k"):
        find("urbansound", read_table())
