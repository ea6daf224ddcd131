"""The documents: their code is run, what it prints is what stands below it, their diffs apply.

In a document every ``python`` block is run, all of them as one program, and the ``text`` block that
follows one holds what it prints. ``pytest --update-golden`` writes what is printed now.
"""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
RUN = (
    "README.md", "CONTRIBUTING.md", "docs/tour.md", "docs/q-minus-p.md", "docs/rules.md",
    "docs/trace.md", "docs/compile-time.md",
)  # fmt: skip
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)

#: Runs a list of code blocks as one file and prints what each printed.
RUNNER = """
import contextlib, io, json, sys
space, out, line = {"__name__": "model"}, [], 0
for code in json.load(sys.stdin):
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        exec(compile("\\n" * line + code, "model.py", "exec"), space)
    out.append(printed.getvalue())
    line += code.count("\\n")
print(json.dumps(out))
"""


@dataclass(frozen=True)
class Block:
    """A fenced block of a document: its language, its text, where the text stands."""

    kind: str
    text: str
    start: int
    end: int


def blocks(document: str) -> list[Block]:
    found = BLOCK.finditer(document)
    return [Block(m[1], m[2], m.start(2), m.end(2)) for m in found]


def run(codes: list[str]) -> list[str]:
    """What each piece of one program prints, vectors being 128 bits wide as on every machine."""
    done = subprocess.run(
        [sys.executable, "-c", RUNNER],
        input=json.dumps(codes),
        env={**os.environ, "SYMGRAPH_VECTOR_BITS": "128"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    printed: list[str] = json.loads(done.stdout)
    return printed


def followers(document: str) -> list[tuple[Block, Block | None]]:
    """Every ``python`` block with the ``text`` block right after it, if there is one."""
    found = blocks(document)
    pairs = []
    for k, block in enumerate(found):
        after = found[k + 1] if k + 1 < len(found) else None
        adjacent = after is not None and after.kind == "text"
        if after is not None and adjacent:
            between = document[block.end : after.start]
            adjacent = between.split() == ["```", "```text"]
        if block.kind == "python":
            pairs.append((block, after if adjacent else None))
    return pairs


@pytest.mark.parametrize("name", RUN)
def test_blocks_print_what_stands_below_them(name: str, request: pytest.FixtureRequest) -> None:
    path = ROOT / name
    document = path.read_text(encoding="utf-8")
    pairs = followers(document)
    printed = run([code.text for code, _ in pairs])
    if request.config.getoption("--update-golden"):
        for (_, shown), text in reversed(list(zip(pairs, printed, strict=True))):
            if shown is not None:
                document = document[: shown.start] + text + document[shown.end :]
        path.write_text(document, encoding="utf-8")
        pairs = followers(document)
    assert [shown.text if shown else "" for _, shown in pairs] == printed


def mnemonics(assembly: str) -> set[str]:
    """The instructions by name, those for wider vectors (vaddpd) as the others (addpd)."""
    lines = [line.split() for line in assembly.splitlines() if line.startswith("\t")]
    return {words[0].removeprefix("v") for words in lines if not words[0].startswith(".")}


def test_the_machine_code_of_q_minus_p_is_of_the_kind_shown() -> None:
    document = (ROOT / "docs/q-minus-p.md").read_text(encoding="utf-8")
    codes = [code.text for code, _ in followers(document)]
    *_, assembly = run([*codes, "print(f.assembly())"])
    (shown,) = [b.text for b in blocks(document) if b.kind == "asm"]
    arithmetic = {name for name in mnemonics(shown) if name.startswith(("div", "sub"))}
    assert arithmetic == {"divpd", "subpd"}
    if platform.machine() == "x86_64":  # other machines have other names
        assert arithmetic <= mnemonics(assembly)


def documents() -> list[Path]:
    return [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]


@pytest.mark.parametrize("path", documents(), ids=lambda p: p.name)
def test_files_that_are_linked_exist(path: Path) -> None:
    links = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", path.read_text(encoding="utf-8"))
    assert [link for link in links if not (path.parent / link).exists()] == []


@pytest.mark.parametrize("path", documents(), ids=lambda p: p.name)
def test_commands_that_are_named_exist(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    scripts = set(re.findall(r"(?:tests|examples)/[\w/]+\.py", text))
    targets = set(re.findall(r"`make (\w+)`", text))
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    new = set(re.findall(r"^\+\+\+ b/(\S+)", text, re.MULTILINE))
    assert [s for s in scripts - new if not (ROOT / s).is_file()] == []
    assert [t for t in targets if f"\n{t}:" not in makefile] == []


def test_decisions_are_numbered_and_short() -> None:
    records = sorted(p for p in (ROOT / "docs/decisions").glob("*.md"))
    assert [int(p.name[:3]) for p in records] == list(range(1, len(records) + 1))
    assert all(len(p.read_text(encoding="utf-8").splitlines()) <= 40 for p in records)


# ---- the recipes of CONTRIBUTING -----------------------------------------------------------------


def patched(text: str, hunk: list[str]) -> str:
    """The text after one hunk of a unified diff, placed by its lines and not by their numbers."""
    old = "".join(line[1:] + "\n" for line in hunk if line[0] != "+")
    new = "".join(line[1:] + "\n" for line in hunk if line[0] != "-")
    assert text.count(old) == 1 or (not text and not old), f"these lines are not there once:\n{old}"
    return text.replace(old, new) if old else new


def apply_diff(diff: str, root: Path) -> None:
    """Change or make the files under ``root`` that a unified diff names."""
    for part in re.split(r"^--- .*\n", diff, flags=re.MULTILINE)[1:]:
        head, *lines = part.splitlines()
        path = root / head.removeprefix("+++ b/")
        text = path.read_text(encoding="utf-8") if path.exists() else ""
        hunk: list[str] = []
        for line in [*lines, "@@"]:
            if not line.startswith("@@"):
                hunk.append(line or " ")
            elif hunk:
                text, hunk = patched(text, hunk), []
        path.write_text(text, encoding="utf-8")


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the repository's code."""
    for folder in ("symgraph", "passes", "backends", "tests"):
        without = shutil.ignore_patterns("__pycache__", "benchmarks")
        shutil.copytree(ROOT / folder, tmp_path / folder, symlinks=True, ignore=without)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def recipe(title: str) -> str:
    """The diff in the section of CONTRIBUTING with this title."""
    document = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    section = re.split(r"^## ", document, flags=re.MULTILINE)
    (found,) = [s for s in section if s.startswith(title + "\n")]
    return "".join(b.text for b in blocks(found) if b.kind == "diff")


RECIPES = {
    "Add an operation": ("tests/table", "rsqrt"),
    "Add a rule": ("tests/passes", "cos_negative"),
    "Add a pass": ("tests/passes/test_freeze.py", "freeze"),
}


@pytest.mark.parametrize("title", RECIPES)
def test_the_diff_of_a_recipe_applies_and_passes_its_tests(title: str, copy: Path) -> None:
    apply_diff(recipe(title), copy)
    where, chosen = RECIPES[title]
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", where, "-k", chosen]
    done = subprocess.run(
        command,
        cwd=copy,
        env={**os.environ, "PYTHONPATH": str(copy)},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert re.search(r"\d+ passed", done.stdout)
