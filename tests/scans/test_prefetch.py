"""Items taken ahead: in order, bounded, with errors in their place, and no thread left behind."""

import contextlib
import itertools
import threading

import pytest

from vipann_tf.scans.prefetch import prefetched


def test_order_and_bound():
    taken = []
    with contextlib.closing(prefetched((taken.append(i) or i for i in range(50)), 3)) as items:
        for number in range(50):
            assert next(items) == number
            # What is waiting, what waits to be put, and what was asked for.
            assert len(taken) <= number + 1 + 3 + 1
        assert next(items, None) is None


def test_an_error_comes_after_the_items_before_it():
    def numbers():
        yield from range(2)
        raise OSError("no disk")

    items = prefetched(numbers(), 5)
    assert list(itertools.islice(items, 2)) == [0, 1]
    with pytest.raises(OSError, match="no disk"):
        next(items)


def test_closing_ends_the_thread():
    before = threading.active_count()
    items = prefetched(itertools.count(), 2)
    assert next(items) == 0
    assert threading.active_count() == before + 1
    items.close()
    assert threading.active_count() == before
