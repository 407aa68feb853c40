"""Pictures on disk, mapped into memory: what was decoded or computed once serves all processes and runs.

They lie in `textures` under $FLAWSMITH_CACHE, else $XDG_CACHE_HOME/flawsmith, else ~/.cache/flawsmith; the folder may be deleted
at any time. A file is named by what the picture is of, by the state that this was in, and by the size asked for, so a photograph
that was changed is decoded again, and what was kept of it before goes. When the folder is full, pictures go that were not used
for a day: each process that uses one sets its time of access, once. Who has mapped a removed picture keeps it.
"""

from __future__ import annotations

import hashlib
import mmap
import os
import shutil
import stat
import struct
import tempfile
import time
import warnings
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path

import numpy as np

from flawsmith.appearance.picture_cache import CACHE, PictureCache
from flawsmith.core.arrays import Image
from flawsmith.core.files import cache_home

LIMIT_BYTES = 4 * 2**30
OPEN_BYTES = 16 * 2**20
"""Of pictures that are mapped at once: they count as resident memory, and mapping one again is quick (0.04 ms)."""

UNUSED_SECONDS = 24 * 3600
"""Since its last use, before a picture may go: were those in use to go, a larger set would be written over and over."""

SUFFIX, PARTIAL = ".pixels", ".partial"
MAGIC = b"flawpix1"
HEADER = struct.Struct("<8sIII")
"""Magic, height, width, CRC-32 of the pixels."""

OFFSET = 64
"""Where the pixels begin."""


class PictureStore:
    """Pictures of some sizes, one file each.

    Whatever the disk refuses, the pictures come, only more slowly, and one warning says so.

    Args:
        folder: made when the first picture is kept.
        limit: bytes that all files together may take; pictures that were not used for long then make room, and where there are
            none, new ones stay in memory. What other processes write at the same time is seen a little late.
        refused: why the folder is not to be used, not even read; empty: it is.
    """

    def __init__(self, folder: Path, limit: int = LIMIT_BYTES, refused: str = "") -> None:
        self.folder, self.limit, self.refused = folder, limit, refused
        self._open = PictureCache(OPEN_BYTES)
        self._sound: set[str] = set()
        self._room = self._measure_below = limit
        self._full = False
        self._warned: set[str] = set()

    def get(self, what: str, state: str, size: tuple[int, int], make: Callable[[], Image]) -> Image:
        """What `make` returns, read-only: from memory, from the folder, or made now and kept.

        Args:
            what: the picture, as a path or any other text that no other picture has.
            state: changes whenever `make` would make another picture of it.
            size: (H, W) that was asked of `make`.
            make: uint8 H×W×3, no larger than `size`.
        """
        name = _name_of(what, state, size)
        return self._open.get(name, lambda: self._fetched(name, make))

    def _fetched(self, name: str, make: Callable[[], Image]) -> Image:
        try:
            if self.refused:
                raise PermissionError(self.refused)
            kept = self._mapped(name)
            if kept is None:
                kept = self._made_once(name, make)
        except OSError as error:
            self._warn(f"cannot be kept in {self.folder} ({error.strerror or error})")
            kept = None
        return CACHE.get((self.folder, name), make) if kept is None else kept

    def _mapped(self, name: str) -> Image | None:
        """The picture in a file; None where there is no file or it is damaged."""
        with suppress(FileNotFoundError, ValueError), (self.folder / name).open("rb") as stream:
            whole = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
            magic, height, width, checksum = HEADER.unpack(whole[: HEADER.size].ljust(HEADER.size, b"\0"))
            if magic == MAGIC and len(whole) == OFFSET + 3 * height * width:
                pixels = np.frombuffer(whole, np.uint8, offset=OFFSET).reshape(height, width, 3)
                if name in self._sound:
                    return pixels
                if zlib.crc32(pixels.data) == checksum:
                    self._sound.add(name)
                    _note_use(self.folder / name)
                    return pixels
        return None

    def _made_once(self, name: str, make: Callable[[], Image]) -> Image | None:
        """Make a picture and keep it, unless another process did so just now; None where there is no room."""
        file = self.folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        with _turn(file.parent):
            kept = self._mapped(name)
            if kept is None and self._has_room():
                self._write(file, make())
                kept = self._mapped(name)
        return kept

    def _has_room(self) -> bool:
        """Measured at first, and again each time that half of what was left is used."""
        if not self._full and self._room <= self._measure_below:
            self._room = self._measured()
            if self._room <= 0:
                _remove_unused(self.folder, self.limit // 4)
                self._room = self._measured()
            self._measure_below = self._room // 2
            self._full = self._room <= 0
        if self._full:
            self._warn(f"have filled {self.folder}, which may take {self.limit / 2**30:.1f} GiB and half of the free space")
        return not self._full

    def _measured(self) -> int:
        return min(self.limit - _bytes_in(self.folder), shutil.disk_usage(self.folder).free // 2)

    def _write(self, file: Path, picture: Image) -> None:
        pixels = picture.tobytes()
        header = HEADER.pack(MAGIC, *picture.shape[:2], zlib.crc32(pixels)).ljust(OFFSET, b"\0")
        aside = file.with_suffix(f".{os.getpid()}{PARTIAL}")
        try:
            aside.write_bytes(header + pixels)
            aside.replace(file)
        finally:
            aside.unlink(missing_ok=True)
        self._room -= OFFSET + len(pixels)
        _forget_older(file)

    def _warn(self, what: str) -> None:
        if what not in self._warned:
            self._warned.add(what)
            told = f"textures {what}; some are made again and again: free some space or set FLAWSMITH_CACHE"
            warnings.warn(told, stacklevel=2)


def picture_store() -> PictureStore:
    """This process's store in the folder that the environment names."""
    return _store_in(cache_home())


@lru_cache(maxsize=4)
def _store_in(folder: str) -> PictureStore:
    try:
        home = Path(folder).expanduser()
    except RuntimeError:  # a user without a home
        return _store_without_home()
    return PictureStore(home.absolute() / "textures")


def _store_without_home() -> PictureStore:
    """In a folder for this user alone among the temporary ones, whose names anybody may take first: then in memory alone."""
    user = os.getuid() if hasattr(os, "getuid") else 0
    home = Path(tempfile.gettempdir()).absolute() / f"flawsmith-{user}"
    with suppress(OSError):
        home.mkdir(mode=0o700, parents=True)
    refused = "it is no folder of this user alone"
    with suppress(OSError):
        found = home.lstat()
        if stat.S_ISDIR(found.st_mode) and found.st_uid == user and not found.st_mode & 0o077:
            refused = ""
    return PictureStore(home / "textures", refused=refused)


def state_of_file(path: Path) -> str:
    """Changes when the file is written again; empty where there is no file."""
    try:
        found = path.stat()
    except OSError:
        return ""
    return f"{found.st_size} {found.st_mtime_ns}"


def _name_of(what: str, state: str, size: tuple[int, int]) -> str:
    thing = hashlib.sha256(os.fsencode(what)).hexdigest()[:24]
    version = hashlib.sha256(state.encode()).hexdigest()[:16]
    return f"{thing[:2]}/{thing}-{version}-{size[0]}x{size[1]}{SUFFIX}"


def _forget_older(file: Path) -> None:
    """Remove what was kept of the same thing and size in another state."""
    thing, _, size = file.name.split("-")
    for kept in file.parent.glob(f"{thing}-*-{size}"):
        if kept != file:
            kept.unlink(missing_ok=True)


def _note_use(file: Path) -> None:
    with suppress(OSError):  # such as a folder that may only be read
        os.utime(file, ns=(time.time_ns(), file.stat().st_mtime_ns))


def _bytes_in(folder: Path) -> int:
    return sum(found.st_size for _, found in _files_in(folder))


def _remove_unused(folder: Path, enough: int) -> None:
    """Remove the pictures that were not used for long, the oldest first, until so many bytes are free."""
    before, freed = time.time() - UNUSED_SECONDS, 0
    for file, found in sorted(_files_in(folder), key=lambda item: item[1].st_atime_ns):
        if freed >= enough or found.st_atime > before:
            return
        with suppress(OSError):
            file.unlink()
            freed += found.st_size


def _files_in(folder: Path) -> Iterator[tuple[Path, os.stat_result]]:
    """The pictures of a store, those half written among them; what another process removes meanwhile is passed over."""
    for part in _entries(folder):
        for file in _entries(part):
            if file.suffix in (SUFFIX, PARTIAL):
                with suppress(FileNotFoundError):
                    yield file, file.stat()


def _entries(folder: Path) -> list[Path]:
    try:
        with os.scandir(folder) as entries:
            return [folder / entry.name for entry in entries]
    except (FileNotFoundError, NotADirectoryError):
        return []


@contextmanager
def _turn(folder: Path) -> Iterator[None]:
    """Wait until no other process is making a picture of this folder; on systems without such locks go ahead at once."""
    try:
        import fcntl
    except ImportError:
        yield
        return
    with (folder / "lock").open("a") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
