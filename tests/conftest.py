"""Golden texts: compared with the files under ``golden/`` beside a test, rewritten on request."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest


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
