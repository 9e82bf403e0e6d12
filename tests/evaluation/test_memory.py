"""Memory of an evaluation does not grow with the draws."""

import json
import subprocess
import sys

import pytest

# A head of the published width: its kernels are 17 MB per draw, 840 MB for 50 that were kept. The
# trunk is left out, since it is computed once per clip.
SCRIPT = """
import json, resource
import numpy as np, tensorflow as tf
from vipann_tf.evaluation.inference import predict_batches
from vipann_tf.models.architecture import Architecture
from vipann_tf.models.flipout import FlipoutDense
from vipann_tf.models.randomness import Draw, randomness
from vipann_tf.models.compiled_network import CompiledNetwork

layers = [FlipoutDense(2048, name="fc1"), FlipoutDense(10, name="fc_out")]
for layer in layers:
    layer.build([None, 2048])

class Model:
    architecture = Architecture(head="flipout", task="multilabel", labels=10)
    draw = staticmethod(lambda seed, index: Draw(
        seed, index, {layer.name: layer.drawn_kernel(Draw(seed, index)) for layer in layers}))

    @staticmethod
    def run(x, start="waveform", stop="logits", draw=None):
        if stop == "shared":
            return x
        with randomness(draw):
            return layers[1](tf.nn.relu(layers[0](x)))

Model.compiled_network = CompiledNetwork(Model)

def batches():
    rng = np.random.default_rng(0)
    for start in range(0, 80, 16):
        yield {
            "waveform": tf.constant(rng.normal(size=[16, 2048]), tf.float32),
            "labels": tf.zeros([16, 10]),
            "clip_id": tf.constant([str(start + i) for i in range(16)]),
        }

def peak_mb(samples):
    found = predict_batches(Model, batches(), num_draws=samples, seed=0)
    assert found.decomposition.probabilities.shape == (80, 10)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

print(json.dumps([peak_mb(1), peak_mb(50)]))
"""


@pytest.mark.alone
def test_fifty_draws_take_little_more_than_one():
    found = subprocess.run(
        [sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True
    )
    one, fifty = json.loads(found.stdout)
    assert fifty - one < 300, (one, fifty)
