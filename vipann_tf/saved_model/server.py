"""A client of TensorFlow Serving over gRPC."""

import random
import time
from typing import Any

from numpy.typing import NDArray

from vipann_tf.errors import UserError

# Transient errors: the server is starting, or its queue is full.
_RETRIED = ("UNAVAILABLE", "RESOURCE_EXHAUSTED")
# Another transient error: a batching server put clips of two lengths into one batch.
_MIXED = "from different tasks have different shapes"
FIRST_PAUSE_S = 0.25
LONGEST_PAUSE_S = 4.0


class RequestRefused(ValueError):
    """An error of one request; other requests may succeed."""


class Server:
    """A model on a server.

    Args:
      address: `HOST:PORT` of gRPC (the usual port is 8500), or `HOST:PORT/NAME` if the model has
        another name there.
      name: Default name of the model on the server.
      deadline_s: Longest time for one request including retries, in seconds.

    Raises:
      UserError: tensorflow-serving-api is not installed, or an argument is not allowed.
    """

    def __init__(self, address: str, name: str, *, deadline_s: float = 60.0):
        try:
            import grpc
            from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc
        except ImportError as error:
            raise UserError(
                f"--server needs tensorflow-serving-api ({error}); "
                "install it: pip install 'vipann-tf[serving]'"
            ) from error
        place, _, own_name = address.partition("/")
        host, separator, port = place.rpartition(":")
        if not (host and separator and port.isdecimal()):
            raise UserError(f"--server is {address!r}; use HOST:PORT, such as localhost:8500")
        if not deadline_s > 0:
            raise UserError(f"--deadline is {deadline_s:g}; use a number of seconds above 0")
        self._grpc, self._predict_pb2 = grpc, predict_pb2
        self.address, self._name, self._deadline_s = place, own_name or name, deadline_s
        self._channel = grpc.insecure_channel(
            place,
            # A batch of long clips exceeds gRPC's limit of 4 MB.
            options=[("grpc.max_send_message_length", -1), ("grpc.max_receive_message_length", -1)],
        )
        self._stub = prediction_service_pb2_grpc.PredictionServiceStub(self._channel)

    def ask(self, signature: str, inputs: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Return the outputs of a signature by name.

        Args:
          signature: Name of the signature.
          inputs: Inputs by name, with the dtypes of the signature.

        Raises:
          RequestRefused: The server refuses this request and would refuse it again.
          UserError: No server answers in time, or the server has no such model.
        """
        import tensorflow as tf

        request = self._predict_pb2.PredictRequest()
        request.model_spec.name = self._name
        request.model_spec.signature_name = signature
        for name, value in inputs.items():
            request.inputs[name].CopyFrom(tf.make_tensor_proto(value))
        response = self._call(request)
        return {name: tf.make_ndarray(value) for name, value in response.outputs.items()}

    def close(self) -> None:
        """Close the connection."""
        self._channel.close()

    def _call(self, request: Any) -> Any:
        end = time.monotonic() + self._deadline_s
        pause = FIRST_PAUSE_S
        while True:
            try:
                return self._stub.Predict(request, timeout=max(end - time.monotonic(), 0.001))
            except self._grpc.RpcError as error:
                code, details = error.code().name, error.details()
            # Random, so that clients that failed together do not retry together.
            wait = pause * random.uniform(0.5, 1.0)
            passes = code in _RETRIED or _MIXED in details
            if not passes or time.monotonic() + wait > end:
                raise self._explained(code, details)
            time.sleep(wait)
            pause = min(2 * pause, LONGEST_PAUSE_S)

    def _explained(self, code: str, details: str) -> Exception:
        if code == "INVALID_ARGUMENT":
            return RequestRefused(details)
        if code == "NOT_FOUND":
            return UserError(
                f"the server at {self.address} has no model {self._name!r} ({details}); "
                "give its name: --server HOST:PORT/NAME"
            )
        if code in ("DEADLINE_EXCEEDED", *_RETRIED):
            return UserError(
                f"the server at {self.address} did not answer in {self._deadline_s:g} s ({code}: "
                f"{details}); is it running, with gRPC at this port? --deadline allows more time"
            )
        return UserError(f"the server at {self.address} failed ({code}: {details})")
