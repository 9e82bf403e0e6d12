"""Ask TensorFlow Serving about a WAV file, over gRPC.

    python deploy/ask.py localhost:8500 vipann some.wav

Needs tensorflow-serving-api, which brings TensorFlow and grpcio, and nothing of vipann-tf.
"""

import sys

try:
    import grpc
    import numpy as np
    import tensorflow as tf
    from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc
except ModuleNotFoundError as error:
    sys.exit(f"Error: {error}; pip install tensorflow-serving-api brings all that this needs")

DEADLINE_S = 60.0


def ask(address: str, model: str, file: str) -> dict[str, np.ndarray]:
    """Return what the signature `wav` answers about one file, without the batch axis."""
    request = predict_pb2.PredictRequest()
    request.model_spec.name = model
    request.model_spec.signature_name = "wav"
    with open(file, "rb") as stream:
        request.inputs["wav"].CopyFrom(tf.make_tensor_proto([stream.read()]))
    with grpc.insecure_channel(address) as channel:
        stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        response = stub.Predict(request, timeout=DEADLINE_S)
    return {name: tf.make_ndarray(value)[0] for name, value in response.outputs.items()}


def main(address: str, model: str, file: str) -> None:
    """Ask, and print the answer."""
    answer = ask(address, model, file)
    if status := answer["status"].decode():
        sys.exit(f"Error: {file}: {status}")
    print("probabilities", np.round(answer["probabilities"], 3))
    for name in ("total", "aleatoric", "epistemic"):
        print(f"{name} {answer[name]:.3f} nats")


if __name__ == "__main__":
    main(*sys.argv[1:])
