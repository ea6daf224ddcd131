"""Machine code on disk, shared by all processes of a user.

An entry is one object file, one program that calls some, or what is known of a graph, behind a
header (magic, digest of its key, length, checksum). It is written under another name and then
renamed, so readers see whole entries or none. Whatever does not read back exactly is dropped and
counts as absent. No failure of the disk reaches the caller.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import stat
import struct
import sys
import time
from collections.abc import Mapping
from pathlib import Path

__all__ = [
    "LIMIT",
    "PROGRAM",
    "ObjectCache",
    "choose_folder",
    "digest_of",
    "open_cache",
    "open_programs",
    "open_stable",
]

LIMIT = 256 << 20  # bytes of all entries
SHARDS = 256  # subfolders, named by the first two digits of a digest; each has its share of LIMIT
TRIM_BELOW = 16  # of 256: entries whose next two digits are below trim their shard when stored
BLOCK = 4096  # what a small file takes on disk
FRESH = 3600.0  # seconds: entries used later than this are marked as used
MAGIC = b"symgraph object 1\n"
PROGRAM = b"symgraph program1\n"
STABLE = b"symgraph stable 1\n"
SUFFIXES = {MAGIC: ".o", PROGRAM: ".program", STABLE: ".stable"}
HEADER = struct.Struct(f"<{len(MAGIC)}s20sQ16s")  # magic, digest, length, checksum


def digest_of(text: str) -> str:
    """The name of the entry whose key is ``text``: 40 hexadecimal digits."""
    return hashlib.blake2b(text.encode(), digest_size=20).hexdigest()


def checksum(payload: bytes) -> bytes:
    return hashlib.blake2b(payload, digest_size=16).digest()


class ObjectCache:
    """Entries under one folder, at most ``limit`` bytes; those used longest ago go first.

    ``magic`` is the kind of the entries: object files, or programs beside them under one limit.
    """

    def __init__(
        self, folder: str | os.PathLike[str], limit: int = LIMIT, magic: bytes = MAGIC
    ) -> None:
        self.folder, self.limit, self.magic = Path(folder), limit, magic
        self.trouble = ""

    @property
    def state(self) -> str:
        """Where the entries are, and the last write that failed."""
        return f"{self.folder}; {self.trouble}" if self.trouble else str(self.folder)

    def path(self, digest: str) -> Path:
        """The file of an entry."""
        return self.folder / digest[:2] / f"{digest}{SUFFIXES[self.magic]}"

    def fetch(self, digest: str) -> bytes | None:
        """The entry's contents, or None if there is no sound one."""
        path = self.path(digest)
        try:
            with open(path, "rb", buffering=0) as file:
                status = os.fstat(file.fileno())
                whole = file.read() if status.st_size <= self.limit else b""
        except OSError:
            return None
        payload = whole[HEADER.size :]
        if whole[: HEADER.size] != header(digest, payload, self.magic):
            self.discard(digest)
            return None
        if time.time() - status.st_mtime > FRESH:
            with contextlib.suppress(OSError):
                os.utime(path)
        return payload

    def discard(self, digest: str) -> None:
        """Drop an entry that is of no use."""
        with contextlib.suppress(OSError):
            os.unlink(self.path(digest))

    def store(self, digest: str, payload: bytes) -> bool:
        """Write an entry; False if that failed (``state`` says why)."""
        path = self.path(digest)
        temporary = path.with_name(f"{digest}.{os.urandom(6).hex()}.tmp")
        try:
            os.makedirs(path.parent, 0o700, exist_ok=True)
            write_new(temporary, header(digest, payload, self.magic) + payload)
            os.replace(temporary, path)
        except OSError as error:
            self.trouble = f"last write failed: {error.strerror or error}"
            with contextlib.suppress(OSError):
                os.unlink(temporary)
            return False
        self.trouble = ""
        if int(digest[2:4], 16) < TRIM_BELOW:
            self.trim(path.parent)
        return True

    def trim(self, shard: Path) -> None:
        """Keep one subfolder within its share of the limit; leftovers of dead writers go too."""
        entries, now = [], time.time()
        with contextlib.suppress(OSError), os.scandir(shard) as found:
            for file in found:
                with contextlib.suppress(OSError):
                    status = file.stat(follow_symlinks=False)
                    if not file.name.endswith(".tmp"):
                        entries.append((status.st_mtime, status.st_size, file.path))
                    elif now - status.st_mtime > FRESH:
                        os.unlink(file.path)
        share = self.limit // SHARDS
        total = sum(map(occupied, entries))
        if total <= share:
            return
        for entry in sorted(entries):
            with contextlib.suppress(OSError):
                os.unlink(entry[2])
            total -= occupied(entry)
            if total <= share * 3 // 4:
                return


def occupied(entry: tuple[float, int, str]) -> int:
    return (entry[1] + BLOCK - 1) // BLOCK * BLOCK


def header(digest: str, payload: bytes, magic: bytes = MAGIC) -> bytes:
    """What must stand before ``payload`` in the entry ``digest``."""
    return HEADER.pack(magic, bytes.fromhex(digest), len(payload), checksum(payload))


def write_new(path: Path, data: bytes) -> None:
    """Write a file that did not exist; OSError if any byte did not get there."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    handle = os.open(path, flags, 0o644)
    with open(handle, "wb", buffering=0) as file:
        if file.write(data) != len(data):
            raise OSError("the disk took only a part")


def choose_folder(platform: str, environment: Mapping[str, str], home: Path) -> Path:
    """``SYMGRAPH_CACHE_DIR``, else ``symgraph`` in the user's cache folder of the platform."""
    asked = environment.get("SYMGRAPH_CACHE_DIR")
    if asked:
        return Path(asked).expanduser()
    if platform == "win32":
        return Path(environment.get("LOCALAPPDATA") or home / "AppData" / "Local") / "symgraph"
    if platform == "darwin":
        return home / "Library" / "Caches" / "symgraph"
    base = environment.get("XDG_CACHE_HOME", "")
    return (Path(base) if os.path.isabs(base) else home / ".cache") / "symgraph"


@functools.cache
def open_cache() -> tuple[ObjectCache | None, str]:
    """The cache of this process, if it has one, and why not; decided at the first compilation."""
    if os.environ.get("SYMGRAPH_CACHE", "1") == "0":
        return None, "off: SYMGRAPH_CACHE=0"
    try:
        folder = choose_folder(sys.platform, os.environ, Path(os.path.expanduser("~")))
        folder = folder.absolute() / "objects"
        os.makedirs(folder, 0o700, exist_ok=True)
        mode, above = os.stat(folder).st_mode, os.stat(folder.parent).st_mode
    except OSError as error:
        return None, f"off: {error.filename}: {error.strerror}"
    if os.name == "posix" and mode & stat.S_IWOTH:
        return None, f"off: {folder} can be written by anyone"
    if os.name == "posix" and above & stat.S_IWOTH and not above & stat.S_ISVTX:
        return None, f"off: {folder.parent} can be written by anyone"
    return ObjectCache(folder), ""


def open_programs() -> ObjectCache | None:
    """The programs of that cache."""
    return _open_kind(PROGRAM)


def open_stable() -> ObjectCache | None:
    """The graphs with nothing to stabilise of that cache."""
    return _open_kind(STABLE)


def _open_kind(magic: bytes) -> ObjectCache | None:
    cache, _ = open_cache()
    return None if cache is None else ObjectCache(cache.folder, cache.limit, magic)
