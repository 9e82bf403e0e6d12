"""Warm-up records: what they hold, read by TensorFlow Serving's own protos; replaying them."""

import numpy as np
import pytest
import tensorflow as tf

from tests.helpers.exported_models import KINDS
from vipann_tf.saved_model.metadata import STATUS, WARMUP
from vipann_tf.saved_model.warmup import prediction_log, requests

prediction_log_pb2 = pytest.importorskip(
    "tensorflow_serving.apis.prediction_log_pb2",
    reason="needs tensorflow-serving-api (the extra `serving`), which is not here",
)


def records(model) -> list[bytes]:
    return [record.numpy() for record in tf.data.TFRecordDataset(str(model.path / "1" / WARMUP))]


@pytest.mark.parametrize("kind", KINDS)
def test_every_record_is_a_request_that_the_savedmodel_answers(exported, kind):
    model = exported(kind)
    asked = []
    for record in records(model):
        log = prediction_log_pb2.PredictionLog.FromString(record)
        assert log.WhichOneof("log_type") == "predict_log"
        request = log.predict_log.request
        signature = model.signatures[request.model_spec.signature_name]
        specs = signature.structured_input_signature[1]
        inputs = {name: tf.constant(tf.make_ndarray(x)) for name, x in request.inputs.items()}
        assert inputs.keys() == specs.keys()
        for name, value in inputs.items():
            assert specs[name].is_compatible_with(value)
        answer = signature(**inputs)
        assert all(status == b"" for status in answer.pop(STATUS, tf.constant([])).numpy())
        assert all(np.isfinite(value).all() for value in answer.values())
        asked.append(request.model_spec.signature_name)
    # `monte_carlo` would be refused, and the version with it, where request batching is on.
    assert asked == ["serving_default", "embed", "posterior_mean", "wav"]
    assert (model.path / "1" / WARMUP).stat().st_size < 40_000


def test_a_log_is_what_the_protos_would_write():
    inputs = {
        "waveform": np.random.default_rng(0).normal(size=[2, 300]).astype(np.float32),
        "num_samples": np.int32(700),
        "seed": np.int64(-3),
    }
    log = prediction_log_pb2.PredictionLog()
    log.predict_log.request.model_spec.signature_name = "monte_carlo"
    for name, value in inputs.items():
        log.predict_log.request.inputs[name].CopyFrom(tf.make_tensor_proto(value))
    assert prediction_log_pb2.PredictionLog.FromString(prediction_log("monte_carlo", inputs)) == log


def test_requests_have_the_length_of_the_models_clips(exported):
    info = exported("det").info
    (_, inputs), *_ = requests(info.model_copy(update={"clip_seconds": 5.0}))
    assert inputs["waveform"].shape == (1, 160_000)
    (_, inputs), *_ = requests(info.model_copy(update={"clip_seconds": 0.5}))
    assert inputs["waveform"].shape == (1, 32_000)  # the least that the network takes
    fixed = requests(info.model_copy(update={"fixed_seconds": 2.0}))
    assert fixed[0][1]["waveform"].shape == (1, 64_000)
    assert [signature for signature, _ in fixed] == ["serving_default", "embed", "posterior_mean"]
