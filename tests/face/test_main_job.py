"""The main job by public names alone, at a small scale."""

import json
import re
import runpy

import numpy as np
import pytest

import vipann_tf as vt
from tests.helpers.light_model import light_version
from tests.helpers.paths import ROOT
from tests.helpers.tiny_training import light_export
from vipann_tf.saved_model import export, reexport
from vipann_tf.training import fit

pytestmark = pytest.mark.slow
SCRIPT = ROOT / "examples" / "main_job.py"


@pytest.fixture(scope="module")
def done(exported_base, tmp_path_factory):
    """What the example made in three steps of training, and what it returned."""
    out = tmp_path_factory.mktemp("main_job")
    # The graph of the first model is not used, since `export` writes another; no server warms up.
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(export, "write_warmup", lambda version, info: [])
        patch.setattr(fit, "export", light_export)
        with pytest.warns(vt.NoticeWarning, match="silent"):
            answers = runpy.run_path(str(SCRIPT))["main"](out, base=str(exported_base), steps=3)
    return out, answers


def test_only_public_names(done):
    _, answers = done
    text = SCRIPT.read_text(encoding="utf-8")
    assert set(re.findall(r"\bvt\.(\w+)", text)) <= set(vt.__all__)
    assert re.findall(r"^(?:import|from) (vipann_tf\S*)", text, re.M) == ["vipann_tf"]
    assert len(answers) == 12 and answers.num_draws == 5
    np.testing.assert_allclose(answers.probabilities.sum(axis=1), 1, atol=1e-5)
    assert (answers.epistemic > 0).all()


def test_what_it_made_is_a_model_like_any_other(done, monkeypatch):
    out, _ = done
    monkeypatch.setattr(reexport, "add_version", light_version)
    model = vt.load(out / "model")
    assert model.info.num_draws == 20 and model.info.data.held_out == ["fold5"]
    stored = json.loads((out / "results" / "metrics.json").read_text(encoding="utf-8"))
    assert model.evaluate(out / "data")["metrics"] == stored["metrics"]
    ranked = vt.rank(model, out / "data", top=3, splits=["fold5"])
    assert [row.rank for row in ranked] == [1, 2, 3]
    with pytest.raises(vt.UserError, match=r"rank needs data, the dataset directory"):
        vt.rank(model)
    fitted = vt.calibrate(model, out / "data", out / "calibrated", recall=0.5)
    assert fitted.clips == 6
    assert vt.load(out / "calibrated").info.calibration.temperature > 0
    with pytest.raises(vt.UserError, match="precision 0.9 and recall 0.5 were given"):
        vt.calibrate(model, out / "data", out / "other", precision=0.9, recall=0.5)


def test_a_scan_in_one_call(done):
    out, _ = done
    model = vt.load(out / "fast")
    with pytest.warns(vt.NoticeWarning, match="no-time"):
        found = model.scan(
            [ROOT / "examples" / "sounds" / f"{name}.ogg" for name in ("rain", "dog")],
            out / "scan",
            threshold=0.0,
            formats=["raven"],
            extract=1,
            num_draws=2,
        )
    assert (found.recordings, found.windows, found.errors) == (2, 20, [])
    assert found.clips == 6 and [path.is_file() for path in found.tables] == [True]
    for options, message in (
        ({"formats": "raven"}, "formats has 'r'; use a list of raven, audacity, csv"),
        ({"extract": 0}, "extract is 0; use 1 or more"),
        ({"extract_by": "worst"}, "extract_by is 'worst'; use one of best, random, uncertain"),
    ):
        with pytest.raises(vt.UserError, match=message):
            model.scan(ROOT / "examples" / "sounds", out / "other", **options)
    assert not (out / "other").exists()
