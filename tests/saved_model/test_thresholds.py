"""The thresholds of a model directory: what is stored, said, and used while listening."""

import io
import shutil

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner

from tests.helpers.exported_models import LABELS, small_info
from tests.helpers.networks import network
from vipann_tf.cli import main
from vipann_tf.cli.printing.directories import print_model
from vipann_tf.errors import UserError
from vipann_tf.saved_model.card import model_card
from vipann_tf.saved_model.connection import connect
from vipann_tf.saved_model.detections import Detector
from vipann_tf.saved_model.metadata import read_model_info, write_metadata
from vipann_tf.saved_model.stored_calibration import Calibration, DetectionThresholds
from vipann_tf.saved_model.thresholds import label_thresholds, threshold_notices
from vipann_tf.saved_model.timeline import Listener, Window
from vipann_tf.timelines.text import timeline

RATE = 32000


def _with(info, *thresholds, clip_seconds=1.0):
    """Return the metadata with these thresholds."""
    stored = DetectionThresholds(
        measure="precision",
        wanted=0.9,
        clips=80,
        clip_seconds=clip_seconds,
        thresholds=list(thresholds),
    )
    calibration = Calibration(temperature=1.7, detection=stored, fitted_on=["tiny/fold5"])
    return info.model_copy(update={"calibration": calibration})


@pytest.fixture(scope="module")
def plain():
    return small_info(network("deterministic"))


@pytest.fixture(scope="module")
def some(plain):
    """Metadata with a threshold for all labels but the second."""
    labels = plain.architecture.labels
    return _with(plain, 0.7, None, *[0.1] * (labels - 2))


def test_a_number_is_that_of_all_labels(plain):
    found = label_thresholds(plain, 0.3, "mine")
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, np.full(plain.architecture.labels, np.float32(0.3)))
    assert threshold_notices(plain, 0.3, [], "mine", window_s=9.0) == ()


def test_a_calibrated_model_has_one_for_each_label(some):
    found = label_thresholds(some, "calibrated", "mine")
    rest = [np.float32(0.1)] * (some.architecture.labels - 2)
    np.testing.assert_array_equal(found, np.array([0.7, np.nan, *rest], np.float32))


def test_labels_without_one_and_another_length_are_notices(some):
    labels = ["owl", "Regen", *(f"bird {i}" for i in range(some.architecture.labels - 2))]
    first, second = threshold_notices(some, "calibrated", labels, "models/mine", window_s=2.0)
    assert (first.path, first.kind) == ("models/mine", "labels-without-threshold")
    assert first.detail == (
        f"1 of {len(labels)} labels have no calibrated threshold and are never detected: Regen"
    )
    assert second.kind == "thresholds-of-another-length"
    assert (
        "chosen on clips of 1 s, and windows have 2 s; their precision may differ" in second.detail
    )
    assert threshold_notices(some, "calibrated", labels, "mine", window_s=1.0) == (
        threshold_notices(some, "calibrated", labels, "mine")
    )


def test_a_notice_of_many_labels_names_twenty(plain):
    info = _with(plain, 0.5, *[None] * 25)
    labels = [f"bird {i}" for i in range(26)]
    (notice,) = threshold_notices(info, "calibrated", labels, "mine")
    assert "25 of 26 labels" in notice.detail
    assert notice.detail.endswith("bird 19, bird 20 and 5 more")


def test_what_is_not_there_or_not_allowed_is_named(plain, some):
    for function in (label_thresholds, lambda *given: threshold_notices(*given[:2], [], given[2])):
        with pytest.raises(UserError, match="mine has no calibrated thresholds; give a number, or"):
            function(plain, "calibrated", "mine")
    for wrong in (-0.1, 1.5, float("nan")):
        with pytest.raises(UserError, match=rf"threshold is {wrong}; it must be in \[0, 1\]"):
            label_thresholds(plain, wrong, "mine")
    nothing = _with(plain, *[None] * plain.architecture.labels)
    with pytest.raises(
        UserError, match="no threshold for any label: none reached a precision of 0"
    ):
        label_thresholds(nothing, "calibrated", "mine")


def test_models_keep_them_and_former_models_have_none(some, plain, tmp_path, capsys):
    write_metadata(tmp_path, some, [str(i) for i in range(some.architecture.labels)])
    (tmp_path / "saved_model.pb").touch()
    assert read_model_info(tmp_path) == some
    print_model(tmp_path)
    labels = some.architecture.labels
    line = f"precision 0.9 or more on 80 clips of 1 s, for {labels - 1} of {labels} labels"
    assert f"calibrated thresholds: {line}\n" in capsys.readouterr().out
    card = model_card(some, ["owl"], name="mine")
    assert f"thresholds of detections, from tiny/fold5: {line}. It is lower where" in card
    assert "predict mine long.wav --window 1 --threshold calibrated\n```" in card
    former = {"temperature": 1.5, "conformal": None, "fitted_on": ["tiny/fold5"]}
    assert Calibration.model_validate(former).detection is None
    assert "threshold" not in model_card(plain, ["owl"], name="mine")


def _window(start: float, *probs: float) -> Window:
    probs = np.array(probs, np.float32)
    return Window(start, start + 2.0, probs, probs, probs, probs, probs, 0.5, 0.4, 0.1)


def test_each_label_is_detected_by_its_own_threshold():
    detector = Detector(np.array([0.9, np.nan, 0.1]), 2.0)  # 0.9 and 0.1 are float32 in windows
    found = []
    for x in (_window(0, 0.89, 1.0, 0.1), _window(2, 0.9, 1.0, 0.09), _window(9, 0.9, 1, 0)):
        found += detector.add(x.start_s, x.end_s, x.probabilities, x.label_epistemic)
    found += detector.close()
    expected = [(2, 0.0, 2.0), (0, 2.0, 4.0), (0, 9.0, 11.0)]
    assert [(d.label, d.start_s, d.end_s) for d in found] == expected


@pytest.fixture(scope="module")
def listened(exported, tmp_path_factory):
    """A model, a recording, and its windows of 1 s."""
    path = exported("det-flip").path
    root = tmp_path_factory.mktemp("listened")
    noise = np.random.default_rng(0).normal(size=6 * RATE)
    soundfile.write(root / "night.wav", noise * np.geomspace(0.001, 0.2, len(noise)), RATE)
    listener = Listener(connect(path), window_s=1.0, hop_s=0.5)
    return path, root, list(listener.listen(root / "night.wav"))


def test_the_command_uses_them(listened):
    """Against one timeline for each label, with its threshold for all."""
    path, root, windows = listened
    middle = np.median([window.probabilities for window in windows], axis=0)
    model = root / "mine"
    shutil.copytree(path, model)
    stored = _with(read_model_info(model), None, *map(float, middle[1:]))
    write_metadata(model / "1", stored, LABELS)
    expected = []
    for label in range(1, len(LABELS)):
        file = io.StringIO()
        lines = timeline(
            "audacity", file, "night.wav", LABELS, top=1, threshold=float(middle[label]), hop_s=0.5
        )
        for window in windows:
            lines.add(window)
        lines.close()
        expected += [x for x in file.getvalue().splitlines() if f"\t{LABELS[label]} " in x]
    assert len(expected) >= len(LABELS) - 1
    asked = [model, root / "night.wav", "--window", 1, "--hop", 0.5, "--threshold", "calibrated"]
    shown = _predict(*asked, "--format", "audacity")
    assert sorted(shown.stdout.splitlines()) == sorted(expected)
    notice = f"labels-without-threshold: 1 of {len(LABELS)} labels have no calibrated threshold"
    assert notice in shown.stderr and shown.stderr.rstrip().endswith(LABELS[0])
    strict = _predict(*asked, "--strict", status=1)
    assert strict.stdout == "" and "which --strict makes errors" in strict.stderr


def _predict(*arguments, status=0):
    result = CliRunner().invoke(main, ["predict", *map(str, arguments)])
    assert result.exit_code == status, result.output + repr(result.exception)
    return result


def test_a_model_without_them_is_refused_before_listening(listened):
    path, root, _ = listened
    asked = (path, root / "night.wav", "--window", 1, "--threshold", "calibrated")
    assert "has no calibrated thresholds; give a number" in _predict(*asked, status=1).stderr


@pytest.mark.parametrize("word", ["calibrate", "1.5", "-0.1", "nan"])
def test_other_words_are_named(word):
    shown = _predict("mine", "night.wav", "--window", 1, "--threshold", word, status=2)
    assert f"'{word}' is neither a number from 0 to 1 nor 'calibrated'" in shown.output
