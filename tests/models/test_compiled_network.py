"""Compiled networks, and draws in lower precision."""

import numpy as np
import tensorflow as tf

from tests.helpers import networks
from vipann_tf.models.loss import probabilities
from vipann_tf.models.randomness import Draw

CLIPS = networks.waveforms(7)


def ask(model, clips, draw):
    shared = model.run(clips, stop="shared")
    return probabilities(model.run(shared, start="shared", draw=draw), "multilabel").numpy()


def test_compiled_once_and_reads_the_variables_of_now():
    model = networks.network("flipout", {"width": 1 / 64})
    waveform = 0.1 * tf.random.stateless_normal([2, 32000], [1, 2])
    seed, index = tf.constant(3, tf.int64), tf.constant(1, tf.int64)

    def compiled():
        network = model.compiled_network
        return network.logits(network.until("shared", waveform), network.draw(seed, index))

    def eager():
        return model.run(waveform, draw=model.draw(seed, index))

    np.testing.assert_allclose(compiled(), eager(), rtol=1e-3, atol=1e-5)
    first = model.compiled_network
    for variable in model.trainable_variables:
        variable.assign(0.5 * variable)
    np.testing.assert_allclose(compiled(), eager(), rtol=1e-3, atol=1e-5)
    assert model.compiled_network is first


def test_in_lower_precision_batch_norm_is_in_the_drawn_kernels():
    full, low = networks.network("flipout"), networks.network("flipout", dtype="mixed_bfloat16")
    norms = {name.split("/")[0] for name in low.named_variables() if name.endswith("/gamma")}
    draw = low.draw(3, 2)
    assert set(draw.offsets) == norms - {"bn0"}
    assert not full.draw(3, 2).offsets
    assert not networks.network("imported", dtype="mixed_bfloat16").draw(3, 2).offsets
    expected = ask(full, CLIPS, full.draw(3, 2))
    folded, apart = ask(low, CLIPS, draw), ask(low, CLIPS, Draw(3, 2))
    assert np.abs(folded - apart).max() > 0  # another order of rounding
    for answer in (folded, apart):
        np.testing.assert_allclose(answer, expected, atol=0.02)
    assert np.ptp(expected, axis=0).max() > 0.1
