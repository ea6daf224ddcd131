"""Code from disk in new processes: the same bits, and every damage is healed on the way."""

from __future__ import annotations

import ctypes
import functools
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from symgraph.backends.llvm import objects
from symgraph.backends.llvm.builder import Builder, Module
from symgraph.backends.llvm.fingerprint import fingerprint
from symgraph.backends.llvm.jit import Target, host
from symgraph.backends.llvm.object_cache import HEADER, ObjectCache
from symgraph.backends.llvm.objects import Loaded, Part, load_parts
from symgraph.backends.llvm.sources import source_files, sources_digest

PROGRAM = Path(__file__).with_name("cached_models.py")


def start(folder: Path, *arguments: str, **environment: str) -> subprocess.Popen[str]:
    """A new process that compiles, with its cache in ``folder``."""
    return subprocess.Popen(
        [sys.executable, str(PROGRAM), *arguments],
        env={**os.environ, "SYMGRAPH_CACHE_DIR": str(folder), **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process: subprocess.Popen[str]) -> Any:
    out, errors = process.communicate()
    assert (process.returncode, errors) == (0, ""), errors
    return json.loads(out)


def run(folder: Path, *arguments: str, **environment: str) -> Any:
    return finish(start(folder, *arguments, **environment))


def entries(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.o"))


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    """A filled cache, and what the process that filled it found."""
    folder = tmp_path_factory.mktemp("cache")
    return folder, run(folder, "models")


def copied(first: tuple[Path, Any], folder: Path) -> Any:
    """Fill ``folder`` with the same entries."""
    shutil.copytree(first[0], folder, dirs_exist_ok=True)
    assert entries(folder)
    return first[1]


def test_a_new_process_compiles_nothing(first: tuple[Path, Any]) -> None:
    folder, found = first
    again = run(folder, "models")
    assert found["compiled"] > 8 and found["from_disk"] == 0
    assert (again["compiled"], again["from_disk"]) == (0, found["compiled"])
    assert again["bits"] == found["bits"]
    assert again["cache"] == str(folder / "objects")


def test_every_operation_gives_the_same_bits_from_disk(tmp_path: Path) -> None:
    one, two = run(tmp_path, "table"), run(tmp_path, "table")
    assert one["from_disk"] == 0 and one["compiled"] > 200
    assert (two["compiled"], two["from_disk"]) == (0, one["compiled"])
    assert two["bits"] == one["bits"]


def answering(name: str, value: int, helper: str = "") -> Module:
    """A module whose function ``name`` answers ``value``, maybe by a helper of that name."""
    module = Module()
    if helper:
        inner = Builder(module, helper, "i64", [], linkage="internal")
        inner.ret(inner.i64(value))
    b = Builder(module, name, "i64", [])
    b.ret(b.call(helper, "i64", []) if helper else b.i64(value))
    return module


def unsound(code: bytes) -> Callable[[Path], None]:
    """A well-formed entry whose code is ``code``."""

    def replace(file: Path) -> None:
        cache = ObjectCache(file.parents[1])
        cache.store(file.stem, code)

    return replace


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[: HEADER.size + 10])


def garble(file: Path) -> None:
    whole = bytearray(file.read_bytes())
    whole[len(whole) // 2] ^= 255
    file.write_bytes(whole)


def contents(whole: bytes) -> Callable[[Path], None]:
    def replace(file: Path) -> None:
        file.write_bytes(whole)

    return replace


def make_folder(file: Path) -> None:
    file.unlink()
    file.mkdir()


HEALED: dict[str, Callable[[Path], None]] = {
    "cut": cut,
    "garbled": garble,
    "empty": contents(b""),
    "foreign": contents(b"a file of another program\n" * 20),
    "gone": Path.unlink,
    "no object file": unsound(b"this is no object file, though the entry is sound"),
    "no code": unsound(b""),
}


@pytest.mark.parametrize("kind", HEALED)
def test_damage_to_every_entry_is_healed(
    first: tuple[Path, Any], tmp_path: Path, kind: str
) -> None:
    found = copied(first, tmp_path)
    for file in entries(tmp_path):
        HEALED[kind](file)
    healed = run(tmp_path, "models")
    assert healed["bits"] == found["bits"] and healed["from_disk"] == 0
    after = run(tmp_path, "models")
    assert after["bits"] == found["bits"] and after["compiled"] == 0


def test_entries_that_cannot_be_replaced_do_no_harm(
    first: tuple[Path, Any], tmp_path: Path
) -> None:
    copied(first, tmp_path)
    for file in entries(tmp_path):
        make_folder(file)
    hindered = run(tmp_path, "models")
    assert hindered["bits"] == first[1]["bits"] and hindered["from_disk"] == 0
    assert "last write failed" in hindered["cache"]


def test_objects_of_other_kernels_are_no_answer(first: tuple[Path, Any], tmp_path: Path) -> None:
    """Sound entries that hold each other's code: the functions they lack give them away."""
    copied(first, tmp_path)
    files = entries(tmp_path)
    payloads = [f.read_bytes()[HEADER.size :] for f in files]
    for file, payload in zip(files, payloads[1:] + payloads[:1], strict=True):
        ObjectCache(file.parents[1]).store(file.stem, payload)
    assert run(tmp_path, "models")["bits"] == first[1]["bits"]


def test_without_a_folder_it_compiles(first: tuple[Path, Any], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    blocked = run(tmp_path / "file", "models")
    off = run(tmp_path / "off", "models", SYMGRAPH_CACHE="0")
    for found in (blocked, off):
        assert found["bits"] == first[1]["bits"] and found["from_disk"] == 0
        assert found["cache"].startswith("off: ")
    assert not (tmp_path / "off").exists()


def test_processes_fill_one_folder_at_once(first: tuple[Path, Any], tmp_path: Path) -> None:
    together = [start(tmp_path, "models") for _ in range(3)]
    assert all(finish(p)["bits"] == first[1]["bits"] for p in together)
    after = run(tmp_path, "models")
    assert after["compiled"] == 0 and after["bits"] == first[1]["bits"]
    assert list(tmp_path.rglob("*.tmp")) == []


def test_own_code_under_one_name_is_told_apart(tmp_path: Path) -> None:
    """The number of a user's operation says nothing in another process."""
    three, four, again = (run(tmp_path, "own", f) for f in ("3", "4", "3"))
    assert three["bits"] != four["bits"] and three["bits"] == again["bits"]
    assert [r["compiled"] for r in (three, four, again)] == [1, 1, 0]


# ---- keys ----------------------------------------------------------------------------------------


def test_the_entry_depends_on_the_target() -> None:
    part, here = Part("kernel", ("k",), Module), host()
    others = [Target("other", here.features, 512), Target(here.cpu, "+sse2", here.vector_bits)]
    assert len({objects._digest(part, t) for t in (here, *others)}) == 3


def test_the_entry_depends_on_our_sources(monkeypatch: pytest.MonkeyPatch) -> None:
    part = Part("kernel", ("k",), Module)
    before = objects._digest(part, host())
    monkeypatch.setattr(objects, "fingerprint", lambda: fingerprint() + "changed")
    assert objects._digest(part, host()) != before


def test_any_change_of_a_source_changes_the_digest(tmp_path: Path) -> None:
    (tmp_path / "ops").mkdir()
    (tmp_path / "backends" / "llvm" / "deep").mkdir(parents=True)
    places = ("op.py", "sizes.py", "types.py", "ops/a.py", "backends/llvm/deep/b.py")
    for name in places:
        (tmp_path / name).write_text("x = 1\n")
    assert len(source_files(str(tmp_path))) == len(places)
    seen = {sources_digest(str(tmp_path))}
    for name in places:
        (tmp_path / name).write_text("x = 2\n")
        seen.add(sources_digest(str(tmp_path)))
    (tmp_path / "ops" / "a.py").rename(tmp_path / "ops" / "c.py")
    seen.add(sources_digest(str(tmp_path)))
    assert len(seen) == len(places) + 2


def test_sources_that_cannot_be_read_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(OSError, match=r"op\.py"):
        sources_digest(str(tmp_path))


def test_without_sources_nothing_is_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    cache = ObjectCache(tmp_path)
    monkeypatch.setattr(objects, "open_cache", lambda: (cache, ""))
    monkeypatch.setattr(objects, "fingerprint", lambda: "")
    part = Part("answer", ("answer",), lambda: answering("answer", 42))
    assert load_parts([part], host()).from_disk == load_parts([part], host()).from_disk == 0
    assert entries(tmp_path) == [] and objects.cache_state().startswith("off: ")


# ---- several parts in one object -----------------------------------------------------------------


def parts_of(*names: str, helpers: bool = False) -> list[Part]:
    """Parts that answer 40, 41, ...; with one helper of different contents if wanted."""
    return [
        Part(n, (n,), functools.partial(answering, n, 40 + k, "helper" if helpers else ""))
        for k, n in enumerate(names)
    ]


def answers(loaded: Loaded, *names: str) -> list[int]:
    call = ctypes.CFUNCTYPE(ctypes.c_int64)
    return [call(loaded.library.address(n))() for n in names]


@pytest.fixture
def kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> ObjectCache:
    cache = ObjectCache(tmp_path)
    monkeypatch.setattr(objects, "open_cache", lambda: (cache, ""))
    return cache


def test_parts_compiled_together_are_one_object(kept: ObjectCache) -> None:
    loaded = load_parts(parts_of("a", "b", "c"), host())
    assert answers(loaded, "a", "b", "c") == [40, 41, 42] and loaded.from_disk == 0
    assert len(set(loaded.digests)) == 1 and len(entries(kept.folder)) == 4


def test_each_part_of_an_object_is_found_by_itself(kept: ObjectCache) -> None:
    load_parts(parts_of("a", "b", "c"), host())
    b = parts_of("a", "b", "c")[1]
    alone = load_parts([b], host())
    assert answers(alone, "b") == [41] and alone.from_disk == 1


def test_parts_of_several_objects_load_together(kept: ObjectCache) -> None:
    a, b, c = parts_of("a", "b", "c")
    load_parts([a, b], host())
    loaded = load_parts([a, c, b], host())
    assert answers(loaded, "a", "b", "c") == [40, 41, 42] and loaded.from_disk == 2


@pytest.mark.parametrize("lost", ["object", "part"])
def test_a_lost_object_or_part_is_made_anew(kept: ObjectCache, lost: str) -> None:
    parts = parts_of("a", "b", "c")
    first = load_parts(parts, host())
    kept.discard(first.digests[0] if lost == "object" else objects._digest(parts[1], host()))
    healed = load_parts(parts, host())
    assert answers(healed, "a", "b", "c") == [40, 41, 42]
    assert load_parts(parts, host()).from_disk == 3


def test_a_part_in_two_objects_does_no_harm(kept: ObjectCache) -> None:
    """Two processes that compiled at once leave objects that have some parts twice."""
    a, b, c = parts_of("a", "b", "c")
    load_parts([a, b], host())
    kept.discard(objects._digest(b, host()))
    load_parts([b, c], host())
    loaded = load_parts([a, b, c], host())
    assert answers(loaded, "a", "b", "c") == [40, 41, 42]
    assert load_parts([a, b, c], host()).from_disk == 3


def test_an_entry_of_an_object_loads_all_its_parts(kept: ObjectCache) -> None:
    first = load_parts(parts_of("a", "b", "c"), host())
    again = objects.load_entries(first.digests, ("a", "b", "c"))
    assert again is not None and answers(again, "a", "b", "c") == [40, 41, 42]
    assert again.digests == first.digests
    kept.discard(first.digests[0])
    assert objects.load_entries(first.digests, ("a", "b", "c")) is None


def test_parts_that_disagree_about_a_helper_are_two_objects(kept: ObjectCache) -> None:
    loaded = load_parts(parts_of("a", "b", helpers=True), host())
    assert answers(loaded, "a", "b") == [40, 41] and len(set(loaded.digests)) == 2


def test_an_object_has_a_bounded_number_of_parts(kept: ObjectCache) -> None:
    names = [f"f{k}" for k in range(objects.TOGETHER + 2)]
    loaded = load_parts(parts_of(*names), host())
    assert answers(loaded, *names) == list(range(40, 40 + len(names)))
    assert len(set(loaded.digests)) == 2
