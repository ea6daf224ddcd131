"""Modules that are imported when they are first needed, while no other thread forks.

The child of a fork in the midst of an import would wait for ever for the thread that was importing.
"""

from __future__ import annotations

from symgraph.locks import lock_across_forks

__all__ = ["loading"]

#: Held around imports: ``with loading: from ... import ...``.
loading = lock_across_forks()
