"""The form of a row in the tables of misuse: what the message of an error must say."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from symgraph.errors import SymgraphError


@dataclass(frozen=True, slots=True)
class Misuse:
    """One thing done wrong, the error it must raise, and pieces of its message.

    ``what`` names what was done or to whom, ``why`` the reason, ``cure`` what to do instead;
    ``where`` is False where no variable of the user's is involved, so that no line can be named.
    """

    name: str
    use: Callable[[], object]
    error: type[SymgraphError]
    what: str
    why: str
    cure: str
    where: bool = True


def check(misuse: Misuse, file: str) -> None:
    """Run the misuse; the message must hold its pieces and a line of ``file``."""
    with pytest.raises(SymgraphError) as caught:
        misuse.use()
    assert type(caught.value) is misuse.error
    message = str(caught.value)
    for piece in (misuse.what, misuse.why, misuse.cure):
        assert piece in message, f"{piece!r} is missing in: {message}"
    assert bool(re.search(rf"{file}\.py:\d+", message)) == misuse.where, message
