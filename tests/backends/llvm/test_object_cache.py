"""The cache on disk, entry by entry: whatever happens to a file, the answer is right or none."""

from __future__ import annotations

import errno
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from symgraph.backends.llvm import object_cache
from symgraph.backends.llvm.object_cache import (
    HEADER,
    ObjectCache,
    choose_folder,
    digest_of,
    open_cache,
)

KEY, OTHER = digest_of("one kernel"), digest_of("another")
CODE = bytes(range(256)) * 5


@pytest.fixture
def cache(tmp_path: Path) -> ObjectCache:
    return ObjectCache(tmp_path)


def test_an_entry_comes_back(cache: ObjectCache) -> None:
    assert cache.fetch(KEY) is None
    assert cache.store(KEY, CODE) and cache.store(OTHER, b"")
    assert cache.fetch(KEY) == CODE and cache.fetch(OTHER) == b""
    assert cache.state == str(cache.folder)


def test_a_second_write_replaces_the_first(cache: ObjectCache) -> None:
    cache.store(KEY, CODE)
    cache.store(KEY, CODE[::-1])
    assert cache.fetch(KEY) == CODE[::-1]


def flipped(at: int) -> Callable[[bytes], bytes]:
    return lambda whole: whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :]


DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda _: b"",
    "half a header": lambda whole: whole[: HEADER.size // 2],
    "header only": lambda whole: whole[: HEADER.size],
    "cut short": lambda whole: whole[:-1],
    "grown": lambda whole: whole + b"\0",
    "zeros": lambda whole: bytes(len(whole)),
    "foreign": lambda _: b"not a cache entry at all, but a longer text than a header is",
    "other version": flipped(16),
    "digest": flipped(20),
    "length": flipped(40),
    "checksum": flipped(HEADER.size - 1),
    "code": flipped(HEADER.size + 77),
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_a_damaged_entry_is_dropped_and_rebuilt(cache: ObjectCache, kind: str) -> None:
    cache.store(KEY, CODE)
    file = cache.path(KEY)
    file.write_bytes(DAMAGE[kind](file.read_bytes()))
    assert cache.fetch(KEY) is None and not file.exists()
    assert cache.store(KEY, CODE) and cache.fetch(KEY) == CODE


def test_an_entry_under_a_wrong_name_is_dropped(cache: ObjectCache) -> None:
    cache.store(OTHER, CODE)
    cache.path(KEY).parent.mkdir(exist_ok=True)
    os.replace(cache.path(OTHER), cache.path(KEY))
    assert cache.fetch(KEY) is None


def test_a_file_beyond_the_limit_is_not_read(tmp_path: Path) -> None:
    ObjectCache(tmp_path).store(KEY, CODE)
    assert ObjectCache(tmp_path, limit=100).fetch(KEY) is None


def test_a_folder_in_the_place_of_an_entry(cache: ObjectCache) -> None:
    cache.path(KEY).mkdir(parents=True)
    assert cache.fetch(KEY) is None and not cache.store(KEY, CODE)
    assert "last write failed" in cache.state
    assert os.listdir(cache.path(KEY).parent) == [cache.path(KEY).name]


def test_a_folder_that_vanished_is_made_again(cache: ObjectCache) -> None:
    cache.store(KEY, CODE)
    cache.path(KEY).unlink()
    cache.path(KEY).parent.rmdir()
    assert cache.fetch(KEY) is None and cache.store(KEY, CODE) and cache.fetch(KEY) == CODE


@pytest.mark.parametrize("number", [errno.EACCES, errno.EIO, errno.ENOENT, errno.ESTALE])
def test_an_entry_that_cannot_be_read_is_absent(
    cache: ObjectCache, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    cache.store(KEY, CODE)

    def fail(_: int) -> os.stat_result:
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fstat", fail)
        assert cache.fetch(KEY) is None
    assert cache.fetch(KEY) == CODE


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EACCES, errno.EDQUOT])
@pytest.mark.parametrize("call", ["open", "replace", "makedirs"])
def test_a_write_that_fails_leaves_nothing(
    cache: ObjectCache, monkeypatch: pytest.MonkeyPatch, call: str, number: int
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patch:
        patch.setattr(os, call, fail)
        assert not cache.store(KEY, CODE)
    assert os.strerror(number) in cache.state
    assert [f for f in cache.folder.rglob("*") if f.is_file()] == []
    assert cache.store(KEY, CODE) and cache.fetch(KEY) == CODE
    assert cache.state == str(cache.folder)


def test_a_disk_that_fills_up_midway_leaves_nothing(
    cache: ObjectCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    def half(path: Path, data: bytes) -> None:
        path.write_bytes(data[: len(data) // 2])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(object_cache, "write_new", half)
    assert not cache.store(KEY, CODE) and cache.fetch(KEY) is None
    assert [f for f in cache.folder.rglob("*") if f.is_file()] == []


def test_a_writer_that_dies_midway_is_not_seen(
    cache: ObjectCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    def die(*_: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", die)
        with pytest.raises(Killed):
            cache.store(KEY, CODE)
    assert cache.fetch(KEY) is None
    assert cache.store(KEY, CODE) and cache.fetch(KEY) == CODE


def test_leftovers_of_dead_writers_go(cache: ObjectCache) -> None:
    cache.store(KEY, CODE)
    shard = cache.path(KEY).parent
    old, young = shard / "x.tmp", shard / "y.tmp"
    for file in (old, young):
        file.write_bytes(b"half")
    os.utime(old, (time.time() - 7200,) * 2)
    cache.trim(shard)
    assert not old.exists() and young.exists() and cache.fetch(KEY) == CODE


def names(count: int) -> list[str]:
    """Digests that share a subfolder and trim it when stored."""
    return [f"ab00{k:036x}" for k in range(count)]


def test_what_was_used_longest_ago_goes_first(tmp_path: Path) -> None:
    cache = ObjectCache(tmp_path, limit=object_cache.SHARDS * 8 * object_cache.BLOCK)
    kept = names(8)
    for k, digest in enumerate(kept):
        cache.store(digest, CODE)
        os.utime(cache.path(digest), (time.time() - 9000 + k,) * 2)
    assert cache.fetch(kept[0]) == CODE  # used again: now the newest
    more = digest_of("more")
    cache.store("ab00" + more[4:], CODE)
    left = [d for d in kept if cache.path(d).exists()]
    assert left == [kept[0], *kept[-4:]]
    assert cache.fetch("ab00" + more[4:]) == CODE


def test_the_size_stays_within_the_limit(tmp_path: Path) -> None:
    limit = object_cache.SHARDS * 16 * object_cache.BLOCK
    cache = ObjectCache(tmp_path, limit)
    for digest in names(100):
        cache.store(digest, CODE)
        files = [f for f in (tmp_path / "ab").iterdir() if f.suffix == ".o"]
        assert len(files) <= 16


def test_many_writers_and_readers_at_once(cache: ObjectCache) -> None:
    keys = {digest_of(str(k)): bytes([k]) * 20_000 for k in range(4)}
    wrong: list[str] = []

    def work(seed: int) -> None:
        for turn in range(40):
            digest = list(keys)[(seed + turn) % len(keys)]
            if (turn + seed) % 3 == 0:
                cache.store(digest, keys[digest])
            elif cache.fetch(digest) not in (None, keys[digest]):
                wrong.append(digest)

    threads = [threading.Thread(target=work, args=(k,)) for k in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert wrong == [] and all(cache.fetch(d) == code for d, code in keys.items())
    assert list(cache.folder.rglob("*.tmp")) == []


# ---- where it is ---------------------------------------------------------------------------------

HOME = Path(os.path.abspath(os.sep)) / "home" / "someone"
ABSOLUTE = str(HOME / "elsewhere")


@pytest.mark.parametrize(
    ("platform", "environment", "folder"),
    [
        ("linux", {}, HOME / ".cache" / "symgraph"),
        ("linux", {"XDG_CACHE_HOME": ABSOLUTE}, Path(ABSOLUTE) / "symgraph"),
        ("linux", {"XDG_CACHE_HOME": "relative"}, HOME / ".cache" / "symgraph"),
        ("darwin", {"XDG_CACHE_HOME": ABSOLUTE}, HOME / "Library" / "Caches" / "symgraph"),
        ("win32", {}, HOME / "AppData" / "Local" / "symgraph"),
        ("win32", {"LOCALAPPDATA": ABSOLUTE}, Path(ABSOLUTE) / "symgraph"),
        ("linux", {"SYMGRAPH_CACHE_DIR": "here", "XDG_CACHE_HOME": ABSOLUTE}, Path("here")),
        ("linux", {"SYMGRAPH_CACHE_DIR": ""}, HOME / ".cache" / "symgraph"),
    ],
)
def test_the_folder(platform: str, environment: dict[str, str], folder: Path) -> None:
    assert choose_folder(platform, environment, HOME) == folder


def opened(monkeypatch: pytest.MonkeyPatch, folder: Path) -> tuple[ObjectCache | None, str]:
    monkeypatch.setenv("SYMGRAPH_CACHE_DIR", str(folder))
    return open_cache.__wrapped__()


def test_it_opens_where_it_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    cache, _ = opened(monkeypatch, tmp_path / "new" / "folder")
    assert cache is not None and cache.folder == tmp_path / "new" / "folder" / "objects"
    assert cache.folder.is_dir()


def test_it_can_be_switched_off(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SYMGRAPH_CACHE", "0")
    assert opened(monkeypatch, tmp_path / "x") == (None, "off: SYMGRAPH_CACHE=0")
    assert not (tmp_path / "x").exists()


def test_a_file_in_its_place(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    cache, why = opened(monkeypatch, tmp_path / "file")
    assert cache is None and why.startswith("off: ") and "file" in why


def test_a_home_that_is_read_only(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def refuse(path: Path, *_: object, **__: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(path))

    with monkeypatch.context() as patch:
        patch.setattr(os, "makedirs", refuse)
        cache, why = opened(patch, tmp_path / "home")
    assert cache is None and os.strerror(errno.EROFS) in why and str(tmp_path) in why


@pytest.mark.parametrize(
    ("inner", "outer", "trusted"),
    [
        (0o40777, 0o40700, False),
        (0o40700, 0o40777, False),
        (0o40700, 0o41777, True),  # in such a folder nobody replaces what is another's
    ],
)
def test_a_folder_open_to_all_is_not_trusted(
    inner: int, outer: int, trusted: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    found = os.stat(tmp_path)

    def with_mode(path: Path) -> os.stat_result:
        return os.stat_result((inner if path.name == "objects" else outer, *found[1:]))

    with monkeypatch.context() as patch:
        patch.setattr(os, "stat", with_mode)
        patch.setattr(os, "makedirs", lambda *_, **__: None)
        patch.setattr(os, "name", "posix")
        cache, why = opened(monkeypatch, tmp_path)
    assert (cache is not None) == trusted and ("by anyone" in why) != trusted
