"""BatchNorm statistics of each draw in the SavedModel: the same answers everywhere."""

import numpy as np
import pytest
import tensorflow as tf

from tests.helpers.exported_models import LABELS, Exported, ask, small_info, small_model
from vipann_tf.errors import UserError
from vipann_tf.evaluation.model_under_test import ModelUnderTest
from vipann_tf.models.draw_statistics import estimate_statistics
from vipann_tf.saved_model.connection import connect
from vipann_tf.saved_model.export import export
from vipann_tf.saved_model.load import load_model, load_signatures
from vipann_tf.saved_model.metadata import read_model_info
from vipann_tf.saved_model.reexport import reexport

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("no_warmup")]
CLOSE = {"rtol": 0, "atol": 1e-5}


@pytest.fixture(scope="module", params=["flip", "drop"])
def made(request, tmp_path_factory, waveforms):
    """A model whose draws have statistics, and its directory."""
    model = small_model(request.param)
    info = small_info(model)
    shared = model.run(tf.constant(waveforms), stop="shared")
    statistics = estimate_statistics(model, [shared], num_draws=info.num_draws, seed=info.seed)
    path = tmp_path_factory.mktemp("models") / request.param
    export(model, path / "plain", info, LABELS)
    reexport(path / "plain", path / "own", draw_statistics=statistics)
    model.draw_statistics = statistics
    loaded = load_signatures(path / "own")
    return Exported(model, path / "own", read_model_info(path / "own"), loaded.signatures), loaded


def test_answers_are_those_of_the_keras_model(made, waveforms):
    model, _ = made
    expected = model.expected(waveforms)
    answer = ask(model, "serving_default", waveform=waveforms)
    np.testing.assert_allclose(answer["probabilities"], expected.probabilities, **CLOSE)
    np.testing.assert_allclose(answer["epistemic"], expected.epistemic, **CLOSE)
    alone = ask(model, "serving_default", waveform=waveforms[2:3])
    np.testing.assert_allclose(alone["probabilities"][0], answer["probabilities"][2], **CLOSE)
    plain = connect(model.path.parent / "plain").ask(waveforms)
    assert np.abs(plain["probabilities"] - answer["probabilities"]).max() > 1e-3


def test_a_loaded_network_has_them(made, waveforms):
    model, _ = made
    loaded, info = load_model(model.path)
    assert info.batch_norm == "draw"
    again = Exported(loaded, model.path, info, {}).expected(waveforms[:2])
    np.testing.assert_allclose(
        again.probabilities, model.expected(waveforms[:2]).probabilities, **CLOSE
    )
    # Another setting of serving keeps them.
    reexport(model.path, model.path.parent / "licensed", licence="CC0")
    answer = connect(model.path.parent / "licensed").ask(waveforms[:2])
    np.testing.assert_allclose(answer["probabilities"], again.probabilities, **CLOSE)


def test_other_draws_are_refused(made, waveforms):
    model, _ = made
    fewer = ask(
        model, "monte_carlo", waveform=waveforms[:1], num_samples=np.int32(2), seed=np.int64(11)
    )
    expected = model.expected(waveforms[:1], num_draws=2)
    np.testing.assert_allclose(fewer["probabilities"], expected.probabilities, **CLOSE)
    for num_samples, seed in ((4, 11), (3, 12)):
        with pytest.raises(tf.errors.InvalidArgumentError, match="of 3 draws of seed 11"):
            ask(
                model,
                "monte_carlo",
                waveform=waveforms[:1],
                num_samples=np.int32(num_samples),
                seed=np.int64(seed),
            )
        for opened in (connect, ModelUnderTest.open):
            with pytest.raises(UserError, match=f"{num_samples} draws of seed {seed} were asked"):
                opened(model.path, num_draws=num_samples, seed=seed)
    with pytest.raises(UserError, match="add --statistics-data DIR to estimate theirs"):
        reexport(model.path, model.path.parent / "other", num_draws=2)


def test_statistics_must_fit_the_draws(made):
    model, _ = made
    with pytest.raises(ValueError, match="statistics of 3 draws of seed 11 do not fit 5 draws"):
        reexport(
            model.path,
            model.path.parent / "five",
            num_draws=5,
            draw_statistics=model.keras.draw_statistics,
        )
