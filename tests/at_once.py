"""Running several pieces of work in threads of their own."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

__all__ = ["at_once"]


def at_once(*work: Callable[[], Any], limit: float = 120.0) -> None:
    """Run all in threads of their own; fails where one raises, or does not end in ``limit`` s."""
    failures: list[BaseException] = []

    def guarded(one: Callable[[], Any]) -> None:
        try:
            one()
        except BaseException as failure:
            failures.append(failure)

    threads = [threading.Thread(target=guarded, args=(one,), daemon=True) for one in work]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(limit)
    assert not any(thread.is_alive() for thread in threads) and not failures, failures
