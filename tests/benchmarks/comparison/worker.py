"""The process around one library: ``python -m comparison.worker NAME``, one JSON object per line.

Requests: ``load``, ``warm_up``, ``build`` (case, folder with its arrays), ``settle``,
``time`` (seconds).
Answers carry ``seconds`` and what the request asked for, or ``failed`` with a reason. Only the
standard library is imported before ``load``, so that the time of the import is the library's own.
"""

from __future__ import annotations

import gc
import json
import os
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from comparison.cases import BY_NAME
from comparison.library import Library, NotWritten, open_library

__all__ = ["Session", "main", "pin", "samples", "turns"]

#: One sample lasts at least this long (s), so that the clock's own cost does not show.
SAMPLE = 2e-4


def turns(call: Callable[[], Any], shortest: float = SAMPLE) -> int:
    """How many calls make one sample."""
    count = 1
    while True:
        start = time.perf_counter()
        for _ in range(count):
            call()
        spent = time.perf_counter() - start
        if spent > shortest or count >= 100_000:
            return count
        count = max(2 * count, int(1.5 * count * shortest / max(spent, 1e-7)))


def samples(call: Callable[[], Any], count: int, seconds: float) -> list[float]:
    """Seconds per call, sample after sample until ``seconds`` are over; one call first."""
    call()
    out: list[float] = []
    gc.disable()
    try:
        end = time.perf_counter() + seconds
        while not out or time.perf_counter() < end:
            start = time.perf_counter()
            for _ in range(count):
                call()
            out.append((time.perf_counter() - start) / count)
    finally:
        gc.enable()
    return out


class Session:
    """Answers requests about one library."""

    def __init__(self, library: Library) -> None:
        self.library = library
        self.call: Callable[[], Any] | None = None
        self.count = 1

    def load(self) -> dict[str, Any]:
        start = time.perf_counter()
        self.library.load()
        spent = time.perf_counter() - start
        found = {"version": self.library.version(), "compiles": self.library.compiles}
        return {"seconds": spent, **found}

    def warm_up(self) -> dict[str, Any]:
        start = time.perf_counter()
        self.library.warm_up()
        return {"seconds": time.perf_counter() - start}

    def build(self, case: str, folder: str) -> dict[str, Any]:
        """Prepare a case and call it once: the time of both, and what is wrong with the result."""
        from comparison import oracles

        self.call = None
        gc.collect()
        given, right = (_arrays(Path(folder) / f"{part}.npz") for part in ("inputs", "expected"))
        start = time.perf_counter()
        call, fetch = self.library.prepare(BY_NAME[case], given)
        result = call()
        spent = time.perf_counter() - start
        error, wrong = oracles.compare(BY_NAME[case], fetch(result), right)
        del result
        self.call = call
        return {"seconds": spent, "error": error, "wrong": wrong}

    def settle(self) -> dict[str, Any]:
        """Find how many calls make a sample."""
        assert self.call is not None
        self.count = turns(self.call)
        return {"turns": self.count}

    def time(self, seconds: float) -> dict[str, Any]:
        """Samples (seconds per call) over a slot of so many seconds."""
        assert self.call is not None
        return {"samples": samples(self.call, self.count, seconds)}

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        """The answer to one request; a failure is an answer too."""
        handler: Callable[..., dict[str, Any]] = getattr(self, request.pop("do"))
        try:
            return handler(**request)
        except NotWritten as error:
            return {"failed": str(error), "left_out": True}
        except Exception as error:
            traceback.print_exc()
            reason = next(iter(str(error).splitlines()), "")
            return {"failed": f"{type(error).__name__}: {reason}"}


def _arrays(file: Path) -> dict[str, Any]:
    import numpy as np

    with np.load(file) as stored:
        return {name: stored[name] for name in stored.files}


def pin() -> None:
    """Stay on one core, the last allowed one: thread variables alone do not hold every library."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})


def main() -> None:
    pin()
    replies = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # what libraries print must not mix with the answers
    session = Session(open_library(sys.argv[1]))
    for line in sys.stdin:
        print(json.dumps(session.answer(json.loads(line))), file=replies, flush=True)


if __name__ == "__main__":
    main()
