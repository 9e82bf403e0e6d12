"""Work that is done once, beside other work, and that ends early when the page is closed."""

import threading

import pytest

from vipann_tf.app.later import Later


def test_two_who_ask_at_once_get_one_result():
    asked, go = threading.Event(), threading.Event()
    calls = []

    def work(show):
        calls.append(1)
        show(3, 8)
        asked.set()
        assert go.wait(60)
        return object()

    later, found = Later(work), []
    threads = [threading.Thread(target=lambda: found.append(later.get())) for _ in range(2)]
    threads[0].start()
    assert asked.wait(60)
    assert later.steps == (3, 8) and not later.is_ready
    threads[1].start()
    go.set()
    for thread in threads:
        thread.join()
    assert len(calls) == 1 and found[0] is found[1] and later.is_ready and later.steps is None


def test_what_failed_is_tried_again():
    answers = iter([ValueError("not yet"), "found"])

    def work(show):
        if isinstance(answer := next(answers), Exception):
            raise answer
        return answer

    later = Later(work)
    with pytest.raises(ValueError, match="not yet"):
        later.get()
    assert later.steps is None and later.get() == "found"


def test_it_stops_at_a_step():
    later = Later(lambda show: [later.stop(), show(1, 2)])
    with pytest.raises(InterruptedError, match="the page was closed"):
        later.get()
    assert not later.is_ready
