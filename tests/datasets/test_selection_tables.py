"""Selection tables of Raven and label files of Audacity, as they are written and kept."""

import pytest

from vipann_tf.datasets.selection_tables import LABEL_COLUMNS, Selection, read_table
from vipann_tf.errors import UserError

HEADING = (
    "Selection",
    "View",
    "Channel",
    "Begin Time (s)",
    "End Time (s)",
    "Low Freq (Hz)",
    "High Freq (Hz)",
    "Annotation",
)
# The first rows of the example table of crowsetta 5.1.2 (BSD licence), whose column is Species, and
# what crowsetta's reader gives for them.
EATO = """\
Selection\tView\tChannel\tBegin Time (s)\tEnd Time (s)\tLow Freq (Hz)\tHigh Freq (Hz)\tSpecies
1\tSpectrogram 1\t1\t154.387792767\t154.911598217\t2878.2\t4049.0\tEATO
2\tSpectrogram 1\t1\t167.526598245\t168.17302044\t2731.9\t3902.7\tEATO
3\tSpectrogram 1\t1\t183.609636834\t184.097751553\t2878.2\t3975.8\tEATO
"""
EATO_TIMES = [
    (154.387792767, 154.911598217),
    (167.526598245, 168.17302044),
    (183.609636834, 184.097751553),
]


def table(*rows, heading=HEADING, separator="\t"):
    return "\n".join(separator.join(row) for row in (heading, *rows)) + "\n"


def row(begin="0.5", end="2.25", label="dog", *, number="1", view="Spectrogram 1", channel="1"):
    return number, view, channel, begin, end, "100.0", "9000.0", label


def read(text, column=None):
    found = read_table(text, "t.txt", column)
    return [(x.begin_s, x.end_s, x.label) for x in found.selections]


def kinds(text, column=None):
    return [kind for kind, _ in read_table(text, "t.txt", column).notices]


def test_times_are_those_that_crowsetta_reads():
    assert read(EATO) == [(*times, "EATO") for times in EATO_TIMES]
    assert read(EATO.replace("\n", "\r\n")) == read(EATO) and not kinds(EATO)


def test_one_selection_in_two_views_is_one():
    views = [row(view="Waveform 1"), row(view="Spectrogram 1"), row("3", "4", number="2")]
    assert read(table(*views)) == [(0.5, 2.25, "dog"), (3, 4, "dog")]
    again = [row(number="1"), row("5", "6", number="1")]  # tables put behind one another
    assert len(read(table(*again))) == 2


def test_a_table_without_rows_is_a_recording_without_sounds():
    assert read(table()) == [] and read("") == [] and read("\n \n") == []


def test_whole_seconds_and_no_frequencies():
    heading = ("Begin Time (s)", "End Time (s)", "Label")
    assert read(table(("0", "2", "NA"), heading=heading)) == [(0, 2, "NA")]


@pytest.mark.parametrize("separator", ["\t", ";", ","])
def test_separators(separator):
    assert read(table(row(), row("3", "4"), separator=separator)) == [
        (0.5, 2.25, "dog"),
        (3, 4, "dog"),
    ]


def test_decimal_commas_are_read_and_said():
    text = table(row("0,5", "2,25"), row("3", "4"))
    assert read(text) == [(0.5, 2.25, "dog"), (3, 4, "dog")]
    [(kind, detail)] = read_table(text, "t.txt").notices
    assert kind == "decimal-comma" and detail.startswith("line 2: commas")
    with pytest.raises(UserError, match="line 2 has a decimal comma and line 3 a decimal point"):
        read(table(row("0,5", "2"), row("3.5", "4")))


@pytest.mark.parametrize("name", LABEL_COLUMNS)
def test_usual_columns(name):
    heading = (*HEADING[:-1], name.upper() + " ")
    assert read(table(row(), heading=heading)) == [(0.5, 2.25, "dog")]


def test_which_of_several_columns():
    heading = (*HEADING[:-1], "Species Code", "Common Name", "Species")
    rows = [(*row()[:-1], "tufted", "Titmouse", "tuti")]
    text = table(*rows, heading=heading)
    assert read(text) == [(0.5, 2.25, "tuti")]
    [(kind, detail)] = read_table(text, "t.txt").notices
    assert kind == "annotation-column" and "'Species', not from 'Common Name'" in detail
    assert read(text, "species code") == [(0.5, 2.25, "tufted")]
    assert kinds(text, "Common Name") == []
    # A column that nobody filled in is not the one.
    assert read(table((*row()[:-1], "", "Titmouse", ""), heading=heading))[0][2] == "Titmouse"


def test_missing_columns_are_listed():
    heading = (*HEADING[:-1], "Call")
    with pytest.raises(UserError, match=r"--annotation-column\): Selection, View, .*, Call$"):
        read(table(row(), heading=heading))
    with pytest.raises(UserError, match="no column 'Cal'; its columns are Selection, .*, Call"):
        read(table(row(), heading=heading), "Cal")


def test_labels_keep_their_words():
    assert read(table(row(label=' "Grünspecht", a  b ')))[0][2] == '"Grünspecht", a  b'
    assert read(table(row()[:-1]))[0][2] == ""  # the last tab was taken off


@pytest.mark.parametrize(
    "written, label",
    [
        ('"dog', '"dog'),
        ('"dog" 2', '"dog" 2'),
        ('"dog, old"', "dog, old"),
        ('"a ""b"" c"', 'a "b" c'),
    ],
)
def test_quotation_marks_swallow_no_rows(written, label):
    assert read(table(row(label=written), row("3", "4"))) == [(0.5, 2.25, label), (3, 4, "dog")]


def test_an_open_quotation_in_a_table_with_commas_is_an_error():
    with pytest.raises(UserError, match="t.txt, line 3: unexpected end of data"):
        read(table(row(label='"dog'), row("3", "4"), separator=","))


def test_file_offsets_count_in_the_file():
    heading = (*HEADING, "Begin File", "File Offset (s)", "Begin Path")
    rows = [
        (*row("0.5", "2"), "a.wav", "0.5", "C:\\rec\\a.wav"),
        (*row("60.5", "63", number="2"), "b.wav", "0.5", ""),
    ]
    found = read_table(table(*rows, heading=heading), "t.txt")
    assert found.names_files
    assert [(x.file, x.begin_s, x.end_s) for x in found.selections] == [
        ("C:\\rec\\a.wav", 0.5, 2),
        ("b.wav", 0.5, 3),
    ]


def test_files_without_offsets():
    heading = (*HEADING, "Begin File")
    alone = read_table(table((*row(), "a.wav"), heading=heading), "t.txt")
    assert alone.selections == (Selection("a.wav", 0.5, 2.25, "dog"),)
    with pytest.raises(UserError, match=r"2 recordings \(a.wav, b.wav ...\) .*'File Offset \(s\)'"):
        read(table((*row(), "a.wav"), (*row("8", "9"), "b.wav"), heading=heading))
    with pytest.raises(UserError, match="line 2: it names no recording in Begin File"):
        read(table((*row(), ""), heading=heading))


@pytest.mark.parametrize(
    "bad, message",
    [
        (row("x"), "line 2: Begin Time .s. 'x' is not a number of seconds, 0 or more"),
        (row("-1"), "line 2: Begin Time .s. '-1' is not"),
        (row("nan"), "'nan' is not"),
        (row("1_0", "20"), "'1_0' is not"),
        (row("1,000.5", "2000"), "'1,000.5' is not"),
        (row(end=""), "line 2: End Time .s. '' is not"),
        (row("3"), "line 2: the selection ends at 2.25 s, before it begins at 3 s"),
        (row(channel="0"), "line 2: Channel '0' is no number from 1 on"),
        (row(channel="left"), "Channel 'left' is no number"),
        ((*row(), "more"), "line 2: 9 fields where the heading has 8"),
    ],
)
def test_wrong_values_are_named(bad, message):
    with pytest.raises(UserError, match=f"t.txt, {message}" if message[0] == "l" else message):
        read(table(bad))


def test_audacity():
    text = "0.5\t2.25\tdog\n\\\t100.0\t9000.0\n7\t7\tbird  chirp\n1.0\t2.0\t\n3\t4\n"
    assert read(text) == [
        (0.5, 2.25, "dog"),
        (7, 7, "bird  chirp"),
        (1, 2, ""),
        (3, 4, ""),
    ]
    assert kinds(text) == [] and kinds("0,5\t1,5\tdog\n") == ["decimal-comma"]


@pytest.mark.parametrize(
    "text, message",
    [
        ("1\t2\ta\nx\t3\tb\n", "t.txt, line 2: begin 'x' is not a number of seconds"),
        ("1\t2\ta\n3\n", "t.txt, line 2: '3' is not a begin, an end and a text"),
        ("2\t1\ta\n", "t.txt, line 1: the label ends at 1 s, before it begins at 2 s"),
    ],
)
def test_wrong_label_files(text, message):
    with pytest.raises(UserError, match=message):
        read(text)


@pytest.mark.parametrize("text", ["Notes of the day", "1\tone", "Begin Time (s)\tLabel\n1\tx"])
def test_what_is_no_table(text):
    assert read_table(text, "t.txt") is None
