"""A gRPC server with TensorFlow Serving's protos, which answers by a SavedModel's signatures."""

import concurrent.futures
import contextlib
import threading

import pytest
import tensorflow as tf


@contextlib.contextmanager
def serving(name, signatures):
    """Serve a model.

    Args:
      name: Its name on the server.
      signatures: Function that returns the signatures by name.

    Yields:
      The service: `address`, `requests` so far, `codes` of gRPC, `failures` to answer with next as
      pairs of code and text, and the event `silent`, which keeps answers back until `released`.
    """
    grpc = pytest.importorskip("grpc", reason="needs grpcio (the extra `serving`)")
    apis = "tensorflow_serving.apis"
    pytest.importorskip(apis, reason="needs tensorflow-serving-api (the extra `serving`)")
    from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

    class Service(prediction_service_pb2_grpc.PredictionServiceServicer):
        codes = grpc.StatusCode
        address = ""

        def __init__(self):
            self.failures, self.requests = [], []
            self.silent, self.released = threading.Event(), threading.Event()

        def Predict(self, request, context):  # noqa: N802 (gRPC names it)
            self.requests.append(request)
            if self.failures:
                context.abort(*self.failures.pop(0))
            if self.silent.is_set():
                self.released.wait(20)
            if request.model_spec.name != name:
                context.abort(grpc.StatusCode.NOT_FOUND, "Servable not found for request")
            signature = signatures()[request.model_spec.signature_name]
            inputs = {k: tf.constant(tf.make_ndarray(v)) for k, v in request.inputs.items()}
            response = predict_pb2.PredictResponse()
            try:
                answer = signature(**inputs)
            except tf.errors.InvalidArgumentError as error:
                context.abort(grpc.StatusCode.INVALID_ARGUMENT, error.message)
            for key, value in answer.items():
                response.outputs[key].CopyFrom(tf.make_tensor_proto(value.numpy()))
            return response

    service = Service()
    server = grpc.server(
        concurrent.futures.ThreadPoolExecutor(4),
        options=[("grpc.max_receive_message_length", -1)],
    )
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(service, server)
    service.address = f"localhost:{server.add_insecure_port('localhost:0')}"
    server.start()
    try:
        yield service
    finally:
        service.released.set()
        server.stop(None).wait()
