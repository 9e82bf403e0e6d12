"""Arguments of the Flipout layers."""

import numpy as np
import pytest
import tensorflow as tf

from tests.helpers.oracles import LARGEST_Z
from vipann_tf.models.flipout import FlipoutConv2D, FlipoutDense


def test_initial_posterior():
    names_and_seeds = [("a", None), ("b", None), ("a", None), ("c", 9), ("d", 9)]
    layers = [FlipoutConv2D(40, 3, name=name, seed=seed) for name, seed in names_and_seeds]
    for layer in layers:
        layer.build([None, None, None, 30])
    a, b, again, c, d = (layer.kernel_loc.numpy() for layer in layers)
    assert not np.isclose(a, b).all()  # TensorFlow Probability's start alike
    np.testing.assert_array_equal(a, again)
    np.testing.assert_array_equal(c, d)
    limit = np.sqrt(6 / (9 * 30 + 9 * 40))  # Glorot's uniform
    assert 0.99 * limit < np.abs(a).max() <= limit
    z = (np.square(a).mean() / (limit**2 / 3) - 1) / np.sqrt(0.8 / a.size)  # kurtosis 1.8
    assert abs(z) < LARGEST_Z
    np.testing.assert_allclose(layers[0].kernel_rho, -3.0, atol=1e-6)
    dense = FlipoutDense(2, initial_stddev=1)  # a whole number is one, too
    dense.build([None, 3])
    np.testing.assert_allclose(dense.kernel_stddev(), 1.0, rtol=1e-6)


def test_shapes_are_declared():
    conv, dense = FlipoutConv2D(4, (3, 2)), FlipoutDense(4)
    assert conv.compute_output_shape([None, 7, 8, 3]).as_list() == [None, 7, 8, 4]
    assert dense.compute_output_shape([None, 3]).as_list() == [None, 4]
    conv(tf.zeros([2, 5, 7, 3]))
    dense(tf.zeros([2, 3]))
    with pytest.raises(ValueError, match=r"expected axis -1.* value 3.*\(2, 5, 7, 6\)"):
        conv(tf.zeros([2, 5, 7, 6]))
    with pytest.raises(ValueError, match=r"expected ndim=2, found ndim=3.*\(2, 5, 3\)"):
        dense(tf.zeros([2, 5, 3]))


@pytest.mark.parametrize("layer", [(FlipoutConv2D, 4, 3), (FlipoutDense, 4)])
@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ({"prior": "flat"}, "prior is 'flat'; allowed are 'normal', 'pretrained', 'empirical'"),
        ({"prior_stddev": 0.0}, "prior_stddev is 0.0; a standard deviation must be above 0"),
        ({"kl_weight": -1.0}, "kl_weight is -1.0; it must be finite and at least 0"),
        ({"kl_weight": tf.Variable(1.0)}, r"shape \(\) with trainable=True; it must be a scalar"),
        ({"bias_kind": "flipout"}, "bias_kind is 'flipout'; allowed are 'deterministic', 'normal'"),
        ({"initial_stddev": -0.5}, "initial_stddev is -0.5; a standard deviation must be above 0"),
    ],
)
def test_wrong_arguments(layer, argument, message):
    make_layer, *sizes = layer
    with pytest.raises(ValueError, match=message):
        make_layer(*sizes, **argument)


def test_wrong_signs():
    with pytest.raises(ValueError, match="signs is 'pixel'; allowed are 'channel' and 'activ"):
        FlipoutConv2D(4, 3, signs="pixel")


@pytest.mark.parametrize(
    "argument", [{"data_format": "channels_first"}, {"kernel_divergence_fn": None}]
)
def test_arguments_that_would_be_ignored_are_refused(argument):
    message = f"unexpected keyword argument '{next(iter(argument))}'"
    with pytest.raises(TypeError, match=message):
        FlipoutConv2D(4, 3, **argument)
    with pytest.raises(TypeError, match=message):
        FlipoutDense(4, **argument)
