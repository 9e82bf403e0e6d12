"""Warm-up requests, which TensorFlow Serving sends to a version before clients can use it.

The file has TFRecords of `PredictionLog` (tensorflow_serving/apis/prediction_log.proto). They are
written here in protobuf's wire format around TensorFlow's `TensorProto`, so that an export does not
need tensorflow-serving-api; the tests read the file with it.
"""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from vipann_tf.saved_model.load import load_signatures
from vipann_tf.saved_model.metadata import MIN_SECONDS, STATUS, WARMUP, ModelInfo

# Field numbers of tensorflow_serving/apis/{prediction_log,predict,model}.proto.
_PREDICTION_LOG_PREDICT_LOG = 6
_PREDICT_LOG_REQUEST = 1
_PREDICT_REQUEST_MODEL_SPEC = 1
_PREDICT_REQUEST_INPUTS = 2
_MODEL_SPEC_SIGNATURE_NAME = 3
_MAP_KEY, _MAP_VALUE = 1, 2
_LENGTH_DELIMITED = 2


def write_warmup(version: Path, info: ModelInfo) -> list[tuple[str, dict[str, npt.NDArray[Any]]]]:
    """Send a SavedModel the requests of a client, and record them beside it.

    Args:
      version: Version folder, complete except for the requests.
      info: Metadata of the model.

    Returns:
      The requests: (signature, inputs by name).

    Raises:
      tf.errors.OpError: The SavedModel does not answer.
      UserError: `load_signatures` would refuse it.
    """
    loaded = load_signatures(version)  # which also finds that it is safe
    asked = requests(info)
    file = version / WARMUP
    file.parent.mkdir(exist_ok=True)
    with tf.io.TFRecordWriter(str(file)) as writer:
        for signature, inputs in asked:
            answer = loaded.signatures[signature](**{k: tf.constant(v) for k, v in inputs.items()})
            for name, value in answer.items():
                if name == STATUS:
                    tf.debugging.assert_equal(value, "", f"{signature} refuses its warm-up")
                    continue
                tf.debugging.assert_all_finite(
                    value, f"{signature} answers {name} that is not finite"
                )
            writer.write(prediction_log(signature, inputs))
    return asked


def requests(info: ModelInfo) -> list[tuple[str, dict[str, npt.NDArray[Any]]]]:
    """Return requests of one row each: (signature, inputs by name).

    `monte_carlo` is left out: a server with request batching refuses its scalars, and does not
    serve a version whose warm-up fails. A larger batch might exceed the server's limit. The
    waveforms are constant, since TensorFlow's protos store such a tensor in a few bytes.
    """
    seconds = info.fixed_seconds or info.clip_seconds
    samples = round(max(seconds, MIN_SECONDS) * info.sample_rate_hz)
    waveform = {"waveform": np.zeros([1, samples], np.float32)}
    asked = [(name, waveform) for name in ("serving_default", "embed", "posterior_mean")]
    if info.fixed_seconds is None:
        # One second, resampled, once it is slowed down.
        rate_hz = round(8000 * info.time_expansion)
        if rate_hz != 8000 * info.time_expansion:
            return asked
        silence = tf.audio.encode_wav(tf.zeros([8000, 1]), rate_hz).numpy()
        asked.append(("wav", {"wav": np.array([silence], object)}))
    return asked


def prediction_log(signature: str, inputs: dict[str, npt.NDArray[Any]]) -> bytes:
    """Serialise a `PredictionLog` of a request without a response."""
    request = _field(
        _PREDICT_REQUEST_MODEL_SPEC, _field(_MODEL_SPEC_SIGNATURE_NAME, signature.encode())
    )
    for name, value in sorted(inputs.items()):
        request += _field(
            _PREDICT_REQUEST_INPUTS,
            _field(_MAP_KEY, name.encode()) + _field(_MAP_VALUE, tensor_proto(value)),
        )
    return _field(_PREDICTION_LOG_PREDICT_LOG, _field(_PREDICT_LOG_REQUEST, request))


def tensor_proto(value: npt.NDArray[Any]) -> bytes:
    """Serialise a `TensorProto`; an array of one repeated number is stored as that number."""
    value = np.asarray(value)
    if value.size > 1 and value.dtype == np.float32 and (value == value.flat[0]).all():
        proto = tf.make_tensor_proto(value.flat[0], shape=value.shape)
    else:
        proto = tf.make_tensor_proto(value)
    serialised: bytes = proto.SerializeToString()
    return serialised


def _field(number: int, content: bytes) -> bytes:
    """Return a length-delimited field of a protobuf message."""
    return _varint(number << 3 | _LENGTH_DELIMITED) + _varint(len(content)) + content


def _varint(value: int) -> bytes:
    """Return an unsigned number, seven bits per byte, lowest bits first."""
    pieces = []
    while value > 0x7F:
        pieces.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*pieces, value])
