"""Items that are made in a thread of their own, before they are needed."""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Generator, Iterable
from typing import Any, TypeVar

__all__ = ["prefetched"]

_Item = TypeVar("_Item")


def prefetched(items: Iterable[_Item], most: int) -> Generator[_Item, None, None]:
    """Yield items that a thread takes ahead of their use, in their order.

    Close the generator (`contextlib.closing`) if it may not be used up: that ends its thread.

    Args:
      items: Where they come from. An exception that it raises is raised here, in its place.
      most: Items at most that wait to be used.
    """
    waiting: queue.Queue[tuple[bool, Any]] = queue.Queue(most)
    stopped = threading.Event()

    def put(entry: tuple[bool, Any]) -> bool:
        while not stopped.is_set():
            with contextlib.suppress(queue.Full):
                waiting.put(entry, timeout=0.1)
                return True
        return False

    def take() -> None:
        try:
            for item in items:
                if not put((True, item)):
                    return
        except BaseException as error:
            put((False, error))
        else:
            put((False, None))

    thread = threading.Thread(target=take, daemon=True)
    thread.start()
    try:
        while True:
            is_item, value = waiting.get()
            if not is_item:
                if value is not None:
                    raise value
                return
            yield value
    finally:
        stopped.set()
        thread.join()
