"""What the documents promise: their commands run, in order, in a copy of a fresh clone."""

import doctest
import re
import shlex

import pytest
from click.testing import CliRunner

from tests.helpers import recorders, small_esc50
from tests.helpers.clone import copy_clone, not_ignored
from tests.helpers.documents import (
    Block,
    blocks,
    indented_blocks,
    inline_codes,
    links,
    shape,
)
from tests.helpers.paths import ROOT
from vipann_tf.cli import main
from vipann_tf.cli.printing import terminal
from vipann_tf.downloads import read_table

pytestmark = pytest.mark.slow

DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
LINKING = [
    *DOCUMENTS,
    *(ROOT / name for name in ("CONTRIBUTING.md", "deploy/README.md", "saved_models/README.md")),
]
BLOCKS = [block for document in DOCUMENTS for block in blocks(document)]


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    """The one working directory of all blocks, with the sounds that a reader would have."""
    folder = copy_clone(tmp_path_factory.mktemp("documents") / "vipann-tf")
    small_esc50.write(folder / "downloads" / "esc50")
    small_esc50.write_classes(folder / "recordings" / "classes")
    recorders.write(folder / "recordings" / "recorders")
    return folder


def run(command: str) -> tuple[str, int]:
    """What a command shows on the terminal, and its exit status."""
    program, *arguments = shlex.split(command, comments=True)
    file = None
    if ">" in arguments:
        *arguments, _, file = arguments
    assert program == "vipann-tf", f"the test cannot run {program}"
    result = CliRunner().invoke(main, arguments, prog_name="vipann-tf")
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    if file is None:
        return result.output, result.exit_code
    with open(file, "w", encoding="utf-8") as output:
        output.write(result.stdout)
    return result.stderr, result.exit_code


@pytest.mark.parametrize("block", [b for b in BLOCKS if not b.why_not], ids=str)
def test_commands_show_what_the_document_shows(block, clone, monkeypatch):
    """Each block finds what those before it made, so that all must run, in order."""
    monkeypatch.chdir(clone)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr(terminal, "LOG_INTERVAL_S", float("inf"))
    if block.language == "python":
        exec(compile(block.text, block.place, "exec"), {})
        return
    if block.language == "pycon":
        session = doctest.DocTestParser().get_doctest(block.text, {}, block.place, None, 0)
        assert session.examples and doctest.DocTestRunner().run(session).failed == 0
        return
    steps = block.steps()
    for step in steps:
        shown, status = run(step.command)
        assert status == (block.status if step is steps[-1] else 0), shown
        if step.shown is not None:
            assert shape(shown, block.differs) == shape(step.shown, block.differs), step.command


def test_what_the_commands_made_is_ignored_by_git(clone):
    assert (clone / "models" / "esc10").is_dir()
    assert not_ignored(clone) == []


def written_commands():
    """Commands that do not run, and those in running text."""
    for block in BLOCKS:
        if block.why_not and block.language != "python":
            for step in block.steps():
                yield block.place, step.command
    for document in DOCUMENTS:
        for code in inline_codes(document):
            yield document.name, code


def test_other_commands_have_names_and_options_that_exist():
    found = 0
    for place, text in written_commands():
        for name, words in re.findall(r"\bvipann-tf ([a-z]\S*)([^&|>]*)", text):
            assert name in main.commands, f"{place}: {text}"
            known = {option for one in main.commands[name].params for option in one.opts}
            options = {word for word in words.split() if re.fullmatch("--[a-z].*", word)}
            assert options <= known | {"--help"}, f"{place}: {text}"
            found += 1
    assert found > 10


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_indented_blocks_have_no_commands(document):
    """They have no marker; a command belongs into a fenced block."""
    commands = re.compile(r"^(\$ |vipann-tf |make |pip |python3? |docker |curl )")
    for text in indented_blocks(document):
        assert not any(commands.match(line) for line in text.splitlines()), text


@pytest.mark.parametrize("document", LINKING, ids=lambda path: path.parent.name + path.name)
def test_links_and_pictures_exist(document):
    for target in links(document):
        path, _, heading = target.partition("#")
        file = document.parent / path if path else document
        assert file.exists(), f"{document.name} links to {target}"
        if heading:
            titles = re.findall(r"^#+ (.*)$", file.read_text(encoding="utf-8"), flags=re.M)
            slugs = {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}
            assert heading in slugs, f"{document.name} links to {target}"


def test_the_readme_says_where_the_published_files_are():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `([a-z0-9-]+)` \| .* \| ([\d,-]+) \| .*\((http\S+)\).* \|$", text, re.M)
    assert rows == [
        (name, f"{entry.expected_mb:,.0f}" if entry.files else "-", entry.page)
        for name, entry in read_table().items()
    ]


def write(tmp_path, text):
    path = tmp_path / "page.md"
    path.write_text(text)
    return path


def test_a_marker_is_read(tmp_path):
    marker = '<!-- run\nsmall: {"--clips 9": "--clips 2"}\ndiffers: ["^s.*"]\nstatus: 1\n-->'
    page = write(tmp_path, f"Words.\n\n{marker}\n```\n$ a --clips 9 \\\n  -b # c\nshown 1\n```\n")
    [block] = blocks(page)
    assert (block.place, block.differs, block.status) == ("page.md:8", ("^s.*",), 1)
    [step] = block.steps()
    assert shlex.split(step.command, comments=True) == ["a", "--clips", "2", "-b"]
    assert step.shown == "shown 1"


def test_a_block_without_a_prompt_shows_nothing(tmp_path):
    marker = "<!-- not run: a server -->"
    [block] = blocks(write(tmp_path, f"{marker}\n```\n# why\na\n\nb \\\n c\n```\n"))
    assert block.why_not == "a server"
    assert [(step.command, step.shown) for step in block.steps()] == [("a", None), ("b  c", None)]


@pytest.mark.parametrize(
    "text, message",
    [
        ("```\na\n```\n", "page.md:1: before this block stands ''; it needs a marker"),
        ("<!-- run -->\n\nWords.\n\n```\na\n```\n", "page.md:5: before this block stands ''"),
        ("<!-- ran -->\n```\na\n```\n", "page.md:2: before this block stands '<!-- ran -->'"),
        ("<!-- not run: tired -->\n```\na\n```\n", "page.md:2: 'tired' is none of a pattern,"),
        ("<!-- run\nscale: 1\n-->\n```\na\n```\n", "page.md:4: {'scale'} is none of small,"),
    ],
)
def test_blocks_that_nobody_marked_are_errors(tmp_path, text, message):
    with pytest.raises(ValueError, match=message):
        list(blocks(write(tmp_path, text)))


def test_a_stale_scale_is_an_error():
    with pytest.raises(ValueError, match="x:1: no command has '--clips 9', which `small` replaces"):
        Block("x:1", "", "$ a\n--clips 9\n", small={"--clips 9": ""}).steps()
    with pytest.raises(ValueError, match=r"x:1: no line is '\^b', which `differs` leaves out"):
        Block("x:1", "", "$ b\nab\n", differs=("^b",)).steps()
    with pytest.raises(ValueError, match="x:1: 'out' stands before the first command"):
        Block("x:1", "", "out\n$ a\n").steps()


SHOWN = "fold1, 80 clips\nmetric  value  95 % from\nece     0.099      0.01\nlabel dog\n"


@pytest.mark.parametrize(
    "other, same",
    [
        ("fold1, 8 clips\nmetric value 95 % from\nece -1.2 2\nlabel dog", True),
        (SHOWN.replace("label dog", "label cat"), True),  # said to differ
        (SHOWN.replace("fold1", "fold2"), False),
        (SHOWN.replace("clips", "sounds"), False),
        (SHOWN.replace("0.01", ""), False),
        (SHOWN.replace("0.01", "-"), False),
        (SHOWN.replace("metric  value", "value  metric"), False),
        ("\n".join(reversed(SHOWN.splitlines())), False),
        (SHOWN + "more\n", False),
    ],
)
def test_shapes(other, same):
    assert (shape(other, ("^label .*$",)) == shape(SHOWN, ("^label .*$",))) is same
