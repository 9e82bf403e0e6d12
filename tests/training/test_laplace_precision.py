"""What is said of a prior whose precision the clips do not determine."""

import re

import pytest

from vipann_tf.training.laplace import precision_warning


@pytest.mark.parametrize(
    ("precision", "words"),
    [
        (1.0000001e-4, "lowest of its range, 0.0001: the clips hardly determine"),
        (9.999999e5, r"highest of its range, 1e\+06: the last layer is nearly 0"),
    ],
)
def test_a_precision_at_the_end_of_its_range_is_told(precision, words):
    assert re.search(words, precision_warning(precision))


def test_a_precision_within_its_range_is_not():
    assert precision_warning(2e-4) is precision_warning(9e5) is None
