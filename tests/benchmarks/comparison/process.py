"""The runner's end of a worker: its environment, its interpreter, its time limits."""

from __future__ import annotations

import json
import os
import queue
import subprocess
import tempfile
import threading
from pathlib import Path
from typing import Any

__all__ = ["Worker", "environment"]

FOLDER = Path(__file__).resolve().parents[1]

#: Settings that may be left in a shell and would slow NumPy's matrix product, or every import.
PINS = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE", "PYTHONDONTWRITEBYTECODE")

ONE_THREAD = (
    "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS",
    "NUMEXPR_NUM_THREADS", "VECLIB_MAXIMUM_THREADS", "BLIS_NUM_THREADS",
)  # fmt: skip


def environment(cache: str) -> dict[str, str]:
    """A worker's environment: one thread everywhere, no pins, caches in an empty folder."""
    kept = {k: v for k, v in os.environ.items() if k not in PINS}
    kept.update(dict.fromkeys(ONE_THREAD, "1"))
    kept["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
    kept["PYTENSOR_FLAGS"] = f"base_compiledir={cache}/pytensor"
    kept["NUMBA_CACHE_DIR"] = f"{cache}/numba"
    kept["CACHEDB"], kept["DEV"] = f"{cache}/tinygrad.db", "CPU"
    kept["SYMGRAPH_CACHE_DIR"] = f"{cache}/symgraph"
    kept["JAX_COMPILATION_CACHE_DIR"] = f"{cache}/jax"
    kept["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"
    kept["JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES"] = "-1"
    kept["PYTHONPATH"] = os.pathsep.join(filter(None, (str(FOLDER), kept.get("PYTHONPATH"))))
    return kept


class Worker:
    """One process running one library; used in a ``with`` statement.

    ``cache`` is the folder of its caches; without, an empty one that goes with the process.
    """

    def __init__(self, name: str, python: str, log: Path, cache: str = "") -> None:
        self.name = name
        self.python, self.log = python, log
        self.own = tempfile.TemporaryDirectory(prefix="symgraph-bench-")
        self.cache = cache or self.own.name
        self.process: subprocess.Popen[str] | None = None
        self.answers: queue.Queue[str | None] = queue.Queue()

    def __enter__(self) -> Worker:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [self.python, "-m", "comparison.worker", self.name],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env=environment(self.cache),
                cwd=self.own.name,
                text=True,
            )
        threading.Thread(target=self._read, args=(self.process,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        self.own.cleanup()

    def _read(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        for line in process.stdout:
            self.answers.put(line)
        self.answers.put(None)

    def stop(self) -> None:
        """End the process, if it still runs."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            for stream in (self.process.stdin, self.process.stdout):
                if stream is not None:
                    stream.close()
            self.process = None

    def ask(self, do: str, limit: float = 60, **request: Any) -> dict[str, Any]:
        """The worker's answer; ``{"failed": why}`` after ``limit`` seconds or if it ended."""
        process = self.process
        if process is None or process.stdin is None:
            return {"failed": "the process has ended", "left_out": True}
        try:
            process.stdin.write(json.dumps({"do": do, **request}) + "\n")
            process.stdin.flush()
            line = self.answers.get(timeout=limit)
        except queue.Empty:
            self.stop()
            return {"failed": f"took more than {limit:.0f} s"}
        except OSError:
            line = None
        if line is None:
            status = process.wait()
            self.stop()
            return {"failed": f"the process ended with status {status}"}
        answer: dict[str, Any] = json.loads(line)
        return answer
