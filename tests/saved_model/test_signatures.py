"""Signatures against the Keras model, and what they say of bad requests."""

import numpy as np
import pytest
import tensorflow as tf
from scipy.special import expit, softmax

from tests.helpers.exported_models import CLOSE, KINDS, LABELS, NUM_DRAWS, SEED, ask
from vipann_tf.saved_model.metadata import STATUS
from vipann_tf.saved_model.signatures import OUTPUTS

PER_LABEL = {"probabilities", "label_total", "label_aleatoric", "label_epistemic"}


@pytest.mark.parametrize("kind", KINDS)
class TestAgainstKeras:
    def test_serving_default_alone_and_in_a_batch_of_seven(self, exported, waveforms, kind):
        model = exported(kind)
        expected = model.expected(waveforms)
        together = ask(model, "serving_default", waveform=waveforms)
        for name in OUTPUTS:
            np.testing.assert_allclose(together[name], getattr(expected, name), **CLOSE)
        for row in (0, 4):
            alone = ask(model, "serving_default", waveform=waveforms[row : row + 1])
            for name in OUTPUTS:
                np.testing.assert_allclose(alone[name][0], together[name][row], **CLOSE)

    def test_monte_carlo_takes_its_own_draws_and_seed(self, exported, waveforms, kind):
        model, clips = exported(kind), waveforms[:2]
        answer = ask(model, "monte_carlo", waveform=clips, num_samples=2, seed=np.int64(5))
        expected = model.expected(clips, num_draws=2, seed=5)
        for name in OUTPUTS:
            np.testing.assert_allclose(answer[name], getattr(expected, name), **CLOSE)
        samples = answer["sample_probabilities"]
        assert samples.shape == (2, 2, len(LABELS))  # batch, T, labels
        np.testing.assert_allclose(samples.mean(axis=1), answer["probabilities"], **CLOSE)
        # Draw 1 is the same network however many are asked for, and another under another seed.
        more = ask(model, "monte_carlo", waveform=clips, num_samples=3, seed=np.int64(5))
        np.testing.assert_allclose(more["sample_probabilities"][:, :2], samples, **CLOSE)
        other = ask(model, "monte_carlo", waveform=clips, num_samples=2, seed=np.int64(6))
        differs = np.abs(other["probabilities"] - answer["probabilities"]).max() > 1e-4
        assert differs == model.info.architecture.stochastic

    def test_serving_default_has_the_draws_of_the_export(self, exported, waveforms, kind):
        model, clips = exported(kind), waveforms[:1]
        default = ask(model, "serving_default", waveform=clips)
        same = ask(model, "monte_carlo", waveform=clips, num_samples=NUM_DRAWS, seed=np.int64(SEED))
        for name in OUTPUTS:
            np.testing.assert_allclose(default[name], same[name], **CLOSE)

    def test_embed_is_the_mean_networks(self, exported, waveforms, kind):
        model = exported(kind)
        answer = ask(model, "embed", waveform=waveforms[:2])
        expected = model.keras.run(tf.constant(waveforms[:2]), stop="embedding")
        assert answer["embedding"].shape == (2, 128)  # 2048 / 16
        scale = float(tf.reduce_max(tf.abs(expected)))
        assert scale > 0
        np.testing.assert_allclose(answer["embedding"], expected, rtol=0, atol=1e-5 * max(scale, 1))

    def test_posterior_mean_is_the_mean_networks(self, exported, waveforms, kind):
        model = exported(kind)
        answer = ask(model, "posterior_mean", waveform=waveforms[:2])
        expected = model.keras(tf.constant(waveforms[:2]), training=False).numpy()
        scale = np.abs(expected).max()
        assert scale > 0
        np.testing.assert_allclose(answer["logits"], expected, rtol=0, atol=1e-5 * max(scale, 1))
        task = model.keras.architecture.task
        scaled = expected / model.info.calibration.temperature
        probs = softmax(scaled, axis=-1) if task == "multiclass" else expit(scaled)
        np.testing.assert_allclose(answer["probabilities"], probs, **CLOSE)

    def test_names_types_and_shapes(self, exported, kind):
        signatures = exported(kind).signatures
        assert set(signatures) == {
            "serving_default",
            "monte_carlo",
            "embed",
            "posterior_mean",
            "wav",
        }
        waveform = {"waveform": ([None, None], tf.float32)}
        draws = {"num_samples": ([], tf.int32), "seed": ([], tf.int64)}
        inputs = {
            "serving_default": waveform,
            "monte_carlo": {**waveform, **draws},
            "embed": waveform,
            "posterior_mean": waveform,
            "wav": {"wav": ([None], tf.string)},
        }
        for name, expected in inputs.items():
            found = signatures[name].structured_input_signature[1]
            assert {k: (s.shape.as_list(), s.dtype) for k, s in found.items()} == expected
        for name in ("serving_default", "monte_carlo", "wav"):
            outputs = signatures[name].structured_outputs
            extra = {"monte_carlo": {"sample_probabilities"}, "wav": {STATUS}}.get(name, set())
            assert set(outputs) == set(OUTPUTS) | extra
            for output in OUTPUTS:
                shape = [None, len(LABELS)] if output in PER_LABEL else [None]
                assert outputs[output].shape.as_list() == shape, output
                assert outputs[output].dtype == tf.float32


def test_the_clip_has_an_influence(exported, waveforms):
    """Else all the comparisons above would hold for a constant."""
    answer = ask(exported("det-flip"), "serving_default", waveform=waveforms)
    assert np.ptp(answer["probabilities"], axis=0).max() > 1e-3
    assert answer["epistemic"].min() > 1e-6


GOOD = np.full([1, 32000], 0.1, np.float32)
NAN = np.where(np.arange(32000) == 77, np.nan, GOOD).astype(np.float32)
INTEGERS = np.where(np.arange(32000) == 5, -23456, np.round(10 * GOOD)).astype(np.float32)
INFINITE = np.where(np.arange(32000) < 2, np.inf, GOOD).astype(np.float32)


@pytest.mark.parametrize("signature", ["serving_default", "embed", "posterior_mean", "monte_carlo"])
@pytest.mark.parametrize(
    "waveform, texts",
    [
        (GOOD[:0], ["waveform has no rows: the batch is empty", "0 32000"]),
        (GOOD[:, :31999], ["waveform is too short: send at least 32000 samples", "31999"]),
        (GOOD[:, :0], ["waveform is too short", "[0]"]),
        (NAN, ["waveform holds NaN or infinite samples", "[1]"]),
        (INFINITE, ["waveform holds NaN or infinite samples", "[2]"]),
        (INTEGERS, ["their peak is", "[23456]", "divide 16-bit integers by 32768"]),
        (np.concatenate([GOOD, 2 * np.round(GOOD + 0.5)]), ["their peak is", "[2]"]),
        (GOOD * 101, ["their peak is", "[10.1"]),
    ],
    ids=["empty", "short", "no samples", "nan", "infinite", "integers", "second row", "large"],
)
def test_bad_waveforms_are_told_apart(exported, signature, waveform, texts):
    model = exported("flip")
    draws = {"num_samples": 1, "seed": np.int64(0)} if signature == "monte_carlo" else {}
    with pytest.raises(tf.errors.InvalidArgumentError) as caught:
        ask(model, signature, waveform=waveform, **draws)
    for text in texts:
        assert text in caught.value.message
    # The next good request is answered.
    assert np.isfinite(ask(model, signature, waveform=GOOD, **draws).popitem()[1]).all()


@pytest.mark.parametrize("kind", ["det-flip", "det"])
@pytest.mark.parametrize("samples", [0, -1, 1001, 10_000])
def test_numbers_of_draws_out_of_range(exported, kind, samples):
    with pytest.raises(tf.errors.InvalidArgumentError) as caught:
        ask(exported(kind), "monte_carlo", waveform=GOOD, num_samples=samples, seed=np.int64(0))
    assert "num_samples must be from 1 to 1000; received" in caught.value.message
    assert f"[{samples}]" in caught.value.message


def test_only_core_operations_and_no_python(exported):
    """No operation that calls Python or comes from another library."""
    from tensorflow.core.protobuf import saved_model_pb2

    for kind in KINDS:
        text = (exported(kind).path / "1" / "saved_model.pb").read_bytes()
        graph = saved_model_pb2.SavedModel.FromString(text).meta_graphs[0]
        nodes = [
            *graph.graph_def.node,
            *(n for f in graph.graph_def.library.function for n in f.node_def),
        ]
        operations = {node.op for node in nodes}
        functions = {f.signature.name for f in graph.graph_def.library.function}
        known = set(tf.raw_ops.__dict__) | functions
        assert operations <= known, operations - known
        assert not {op for op in operations if op.startswith(("PyFunc", "EagerPyFunc", "IO>"))}
        # Nothing stateful is written and nothing draws without a seed.
        random = {op for op in operations if "Random" in op}
        assert all(op.startswith("Stateless") for op in random), random


@pytest.mark.parametrize("kind", KINDS)
def test_the_graph_is_small(exported, kind):
    """Parts of the network are shared by the signatures, not traced for each."""
    size = (exported(kind).path / "1" / "saved_model.pb").stat().st_size
    assert size < (2_000_000 if kind == "flip" else 1_300_000)
