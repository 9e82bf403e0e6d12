"""One table in three notations."""

from vipann_tf.study.table import Number, Table
from vipann_tf.uncertainty.bootstrap import Interval


def table():
    made = Table("name", "Title", "A note.", ["set", "accuracy", "gain"])
    made.rows.append(
        [
            "50 % of a_b",
            Number(Interval(0.91234567, 0.5, 1.0)),
            Number(Interval(0.1, 0.05, 0.2), True, "better"),
        ]
    )
    made.rows.append(["x|y", Number(Interval(0.5)), Number(Interval(None), True)])
    made.rows.append(["", "", Number(Interval(-0.1, -0.2, 0.3), True)])
    return made


def test_csv():
    assert table().csv() == (
        "set,accuracy,accuracy low,accuracy high,gain,gain low,gain high,gain verdict\n"
        "50 % of a_b,0.912346,0.5,1,0.1,0.05,0.2,better\n"
        "x|y,0.5,,,,,,\n"
        ",,,,-0.1,-0.2,0.3,\n"
    )


def test_markdown():
    assert table().markdown() == (
        "## Title\n\nA note.\n\n"
        "| set | accuracy | gain |\n| --- | --- | --- |\n"
        "| 50 % of a_b | 0.912 (0.500 to 1.000) | **+0.100 (+0.050 to +0.200) better** |\n"
        "| x\\|y | 0.500 | - |\n"
        "|  |  | -0.100 (-0.200 to +0.300) |\n"
    )


def test_latex():
    assert table().latex() == "\n".join(
        [
            "% Title. A note.",
            r"\begin{tabular}{lrr}",
            r"\toprule",
            r"set & accuracy & gain \\",
            r"\midrule",
            r"50 \% of a\_b & $0.912$ {\scriptsize $(0.500,\ 1.000)$} & "
            r"\textbf{$+0.100$ {\scriptsize $(+0.050,\ +0.200)$}} better \\",
            r"x|y & $0.500$ & -- \\",
            r" &  & $-0.100$ {\scriptsize $(-0.200,\ +0.300)$} \\",
            r"\bottomrule",
            r"\end{tabular}",
            "",
        ]
    )
