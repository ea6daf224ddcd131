"""The loaded entry, one copy per process; what emits it is imported where it is not on disk."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from ..jit import Library, host
from ..objects import precompiled
from ..once import once

if TYPE_CHECKING:
    from ..builder import Module

__all__ = ["CODE", "CONTEXT", "ENTRY_WORDS", "OWNER", "TABLE", "entry_address"]

ENTRY_WORDS = 4  # words that an instance has behind its base class's part
CODE, OWNER, CONTEXT, TABLE = range(ENTRY_WORDS)  # entry, object that owns the header, header, api

#: What most calls do without, or do beside long work.
RARE = (
    "report", "grow", "refit", "run_long", "gather_outs", "overlaps", "adopt", "by_name", "keep",
    "recycle", "convert_and_run",
)  # fmt: skip


@once
def library(offset: int) -> Library:
    """The code for instances whose words begin ``offset`` bytes into the object."""
    key, module = f"entry {offset}", functools.partial(_module, offset)
    return precompiled(key, ("entry",), module, host(), RARE)


def _module(offset: int) -> Module:
    from .entry import entry_module

    return entry_module(offset)


def entry_address(offset: int) -> int:
    """Where the vectorcall function for instances with this offset stands."""
    return library(offset).address("entry")
