"""Modules that are imported when they are first needed, while no other thread forks.

The child of a fork in the midst of an import would wait for ever for the thread that was importing.
"""

from __future__ import annotations

import os
import threading

__all__ = ["loading"]

#: Held around imports: ``with loading: from ... import ...``.
loading = threading.RLock()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=loading.acquire, after_in_parent=loading.release, after_in_child=loading.release
    )
