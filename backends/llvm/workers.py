"""Tasks that run at once on the cores this process may use."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

__all__ = ["all_of", "cores"]


def cores() -> int:
    """How many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def all_of(tasks: Sequence[Callable[[], Any]]) -> list[Any]:
    """What each task returns. They run at once where there are cores for it, in turn where not; the
    first runs in this thread.

    Tasks must not wait for a lock that the caller holds. What one raises is raised here once all
    have ended; where several do, the first counts. After an interrupt no further task is begun.
    """
    threads = min(len(tasks), cores()) - 1
    if threads < 1:
        return [task() for task in tasks]
    waiting = deque(enumerate(tasks))
    results: dict[int, Any] = {}
    errors: dict[int, BaseException] = {}

    def do(number: int, task: Callable[[], Any]) -> None:
        try:
            results[number] = task()
        except BaseException as error:  # raised by the caller, in its own thread
            errors[number] = error
            if not isinstance(error, Exception):
                waiting.clear()

    def work() -> None:
        while True:
            try:
                following = waiting.popleft()
            except IndexError:
                return
            do(*following)

    helpers: list[threading.Thread] = []
    first = waiting.popleft()
    try:
        with suppress(RuntimeError):  # the system may have no more threads: fewer will do
            for _ in range(threads):
                helper = threading.Thread(target=work, name="symgraph compile")
                helper.start()
                helpers.append(helper)
        do(*first)
        work()
        for helper in helpers:
            helper.join()
    finally:
        waiting.clear()
    if errors:
        raise errors[min(errors)]
    # in the child of a fork the other threads are gone: what they were at is done here
    return [results[k] if k in results else task() for k, task in enumerate(tasks)]
