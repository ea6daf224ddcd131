"""Random graphs live in a table of their own, so that they meet no node of another test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from symgraph.tensor import private_table


@pytest.fixture(autouse=True, scope="module")
def own_table() -> Iterator[None]:
    """The table is dropped when the module's tests are done."""
    with private_table():
        yield
