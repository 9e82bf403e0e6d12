"""Statistics of draws by the command `export --statistics-data`, on a prepared data set."""

import json

import numpy as np
import pytest
from click.testing import CliRunner

from tests.helpers import small_data
from tests.helpers.exported_models import LABELS, small_info, small_model
from vipann_tf.cli import main
from vipann_tf.datasets.base import Clip, Source
from vipann_tf.errors import UserError
from vipann_tf.evaluation.draw_statistics import draw_statistics
from vipann_tf.evaluation.evaluate import evaluate
from vipann_tf.records.prepare import prepare
from vipann_tf.saved_model.export import export
from vipann_tf.saved_model.load import load_model
from vipann_tf.saved_model.reexport import with_signs

pytestmark = pytest.mark.slow


def decode(clip, sample_rate_hz):
    rng = np.random.default_rng(int(clip.clip_id))
    return rng.normal(0, 0.1, sample_rate_hz).astype(np.float32)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A Flipout and a det-flip model, and forty clips of noise with their labels."""
    out = tmp_path_factory.mktemp("made")
    clips = [Clip(str(n), "", (LABELS[n % 5],), "train" if n < 40 else "eval") for n in range(48)]
    source = Source("noise", "multilabel", tuple(LABELS), clips, 1.0, decode=decode)
    prepare(source, out / "data", shards=1, workers=1)
    for kind in ("flip", "det-flip"):
        model = small_model(kind)
        export(model, out / kind, small_info(model), LABELS)
    return out


def test_the_command(made):
    arguments = ["export", str(made / "flip"), "--out", str(made / "own")]
    arguments += ["--statistics-data", str(made / "data")]
    result = CliRunner().invoke(main, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    metrics = {
        name: evaluate(made / name, made / "data", made / f"{name}-results", split="eval")
        for name in ("flip", "own")
    }
    assert metrics["flip"]["draws"] == metrics["own"]["draws"] == 3
    assert metrics["flip"]["metrics"]["nll"] != metrics["own"]["metrics"]["nll"]
    refused = ["evaluate", str(made / "own"), "--data", str(made / "data"), "--split", "eval"]
    refused += ["--num-draws", "4", "--out", str(made / "more")]
    result = CliRunner().invoke(main, refused)
    assert result.exit_code == 1
    assert "has BatchNorm statistics of 3 draws of seed 11" in result.output
    card = (made / "own" / "1" / "README.md").read_text(encoding="utf-8")
    assert "each with BatchNorm statistics of its own" in card
    info = json.loads((made / "own" / "1" / "assets.extra" / "vipann.json").read_text())
    assert info["batch_norm"] == "draw"


def test_the_same_seed_gives_the_same_statistics(made):
    one, other = (draw_statistics(made / "flip", made / "data") for _ in range(2))
    assert one.moments.keys() == other.moments.keys()
    for name, moments in one.moments.items():
        np.testing.assert_array_equal(moments, other.moments[name])
        assert moments.shape[:2] == [2, 3]


def test_what_is_refused(made, tmp_path):
    with pytest.raises(UserError, match=r"trunk of .* is deterministic.*leave --statistics-data"):
        draw_statistics(made / "det-flip", made / "data")
    small_data.write(tmp_path / "slow", {"train": 40})
    with pytest.raises(UserError, match="sample rate of 1000 Hz"):
        draw_statistics(made / "flip", tmp_path / "slow")


def test_statistics_are_those_of_the_signs_exported(made):
    """Signs per activation make other draws: theirs are the statistics that the export keeps."""
    arguments = [
        "export",
        str(made / "flip"),
        "--out",
        str(made / "signs"),
        "--signs",
        "activation",
    ]
    arguments += ["--statistics-data", str(made / "data")]
    assert CliRunner().invoke(main, arguments, catch_exceptions=False).exit_code == 0
    exported, info = load_model(made / "signs")
    assert info.architecture.signs == "activation"
    own = draw_statistics(made / "flip", made / "data", signs="activation")
    other = draw_statistics(made / "flip", made / "data")
    for name, moments in exported.draw_statistics.moments.items():
        np.testing.assert_array_equal(moments, own.moments[name])
    assert any(np.abs(own.moments[n] - other.moments[n]).max() > 1e-3 for n in own.moments)
    # A network with other signs has none until they are estimated.
    assert (
        exported.twin(architecture=with_signs(info.architecture, "channel", "m")).draw_statistics
        is None
    )
