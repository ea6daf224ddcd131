"""What all tests share: golden texts beside a test, and a compile cache of the session's own."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

CACHE = pytest.StashKey[tempfile.TemporaryDirectory[str]]()


def pytest_configure(config: pytest.Config) -> None:
    """No test touches the user's own cache; child processes inherit the folder."""
    folder = tempfile.TemporaryDirectory(prefix="symgraph-tests-", ignore_cleanup_errors=True)
    config.stash[CACHE] = folder
    os.environ["SYMGRAPH_CACHE_DIR"] = folder.name
    os.environ.pop("SYMGRAPH_CACHE", None)


def pytest_unconfigure(config: pytest.Config) -> None:
    config.stash[CACHE].cleanup()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--update-golden", action="store_true", help="rewrite golden texts with what is printed now"
    )


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[str, str], None]:
    """``golden(name, text)`` checks ``text`` against the file ``golden/name.txt``."""
    update = request.config.getoption("--update-golden")
    folder = Path(request.path).parent / "golden"

    def check(name: str, text: str) -> None:
        file = folder / f"{name}.txt"
        if update:
            folder.mkdir(exist_ok=True)
            file.write_text(text + "\n", encoding="utf-8")
        assert file.is_file(), f"{file} is missing; run pytest --update-golden"
        assert text + "\n" == file.read_text(encoding="utf-8")

    return check
