"""The picture of a recording in Python is that of the commands."""

import click.testing
import pytest

import vipann_tf as vt
from tests.helpers.recordings import events, wav
from vipann_tf.cli import main


def run(*arguments):
    result = click.testing.CliRunner().invoke(main, [str(x) for x in arguments])
    assert result.exit_code == 0, result.output
    return result.output


@pytest.fixture(scope="module")
def recording(tmp_path_factory):
    path = tmp_path_factory.mktemp("recording") / "20230501_050000.wav"
    path.write_bytes(wav(events(4.3)))
    return path


def test_of_a_model_that_listens_now(model, recording, tmp_path):
    windows = ("--window", "1", "--hop", "0.5", "--threshold", "0.1", "--num-draws", "2")
    run("predict", model.path, recording, *windows, "--plot", tmp_path / "command.html")
    count = model.timeline(
        *(recording, tmp_path / "python.html"), window_s=1, hop_s=0.5, threshold=0.1, num_draws=2
    )
    pages = [(tmp_path / f"{name}.html").read_bytes() for name in ("command", "python")]
    assert count > 0 and pages[0] == pages[1]


def test_of_a_scan(model, recording, tmp_path):
    scan = tmp_path / "scan"
    model.scan(recording, scan, threshold=0.1)
    told = run("timeline", scan, recording, "--out", tmp_path / "command.png")
    count = vt.timeline(scan, "20230501_050000.wav", tmp_path / "python.png")
    assert f"({count} detection" in told
    assert (tmp_path / "python.png").read_bytes() == (tmp_path / "command.png").read_bytes()
    with pytest.raises(vt.UserError, match="is a scan, which was heard already; leave window_s"):
        vt.timeline(scan, "20230501_050000.wav", tmp_path / "python.png", window_s=1)


def test_what_is_refused_before_it_listens(model, recording, tmp_path):
    with pytest.raises(vt.UserError, match="window_s is None"):
        vt.timeline(model, recording, tmp_path / "a.html")
    with pytest.raises(vt.UserError, match="let its name end in .png"):
        model.timeline(recording, tmp_path / "a.txt", window_s=1)
    (tmp_path / "none.wav").write_text("no sound")
    with pytest.raises(vt.UserError, match="none.wav: "):
        model.timeline(tmp_path / "none.wav", tmp_path / "a.html", window_s=1)
    assert not (tmp_path / "a.html").exists()
