"""Unpacking an archive that somebody else made: only files and folders, only inside, only as much as declared.

Every member is looked at before anything of it is written. Links are refused whole (a set of pictures has none, and a chain of
links can lead anywhere), and so are devices, paths that leave the folder, two members of one name, and more files or bytes than
the limits or than the archive itself declares. Modes, owners and times are not taken over. tarfile's `data_filter` (PEP 706) is
asked as well.
"""

from __future__ import annotations

import lzma
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import IO

from flawsmith.core.errors import UnsafeArchive
from flawsmith.core.files import output_errors
from flawsmith.core.progress import track
from flawsmith.data.getting.catalogue import Limits

CHUNK = 1 << 20
MOST_RATIO = 100
"""How many bytes one byte of an archive may become: pictures are compressed already, and BMP files shrink tenfold at most."""
ALWAYS = 64 << 20
"""So many bytes are never too many, whatever the ratio."""
LONGEST_HEADER = 1 << 20
"""Bytes of an extended tar header, which is read into memory whole."""
UNREADABLE = (
    tarfile.TarError,
    zipfile.BadZipFile,
    lzma.LZMAError,
    zlib.error,
    EOFError,
    NotImplementedError,
    RuntimeError,
    ValueError,
)
END = bytes(512)
"""The block after the last member of a tar."""
HEADERS = (tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK)


def unpack(archive: Path, folder: Path, limits: Limits) -> int:
    """Unpack a tar (plain, gz, bz2, xz) or zip archive into a new folder.

    Args:
        archive: the file; its content says what it is.
        folder: what it becomes; must not exist. Where the archive holds one folder at its top, that one becomes `folder`.
        limits: what it may unpack to.

    Returns:
        The number of files.

    Raises:
        UnsafeArchive: it is damaged, is no archive, or breaks a rule; the folder is then half written and yours to remove.
        OutputError: the disk refuses.
    """
    budget = _Budget(archive, _within(archive, limits))
    with output_errors(folder), _damage(archive):
        folder.mkdir(parents=True)
        if zipfile.is_zipfile(archive):
            _unpack_zip(archive, folder, budget)
        elif tarfile.is_tarfile(archive):
            _unpack_tar(archive, folder, budget)
        else:
            raise UnsafeArchive(f"{archive.name} is no whole tar or zip archive; expected one: get it again")
        if not budget.files:
            raise UnsafeArchive(f"{archive.name} holds no file; expected those of a picture set: get it again")
        _lift_only_folder(folder)
    return budget.files


def _within(archive: Path, limits: Limits) -> Limits:
    return Limits(limits.files, min(limits.size, ALWAYS + MOST_RATIO * archive.stat().st_size))


@contextmanager
def _damage(archive: Path) -> Iterator[None]:
    try:
        yield
    except UNREADABLE as error:
        told = str(error).strip().rstrip(".") or type(error).__name__
        raise UnsafeArchive(
            f"{archive.name} cannot be unpacked ({told}); expected a whole tar or zip archive: get it again"
        ) from error


@dataclass
class _Budget:
    """What was unpacked so far, and what may be."""

    archive: Path
    limits: Limits
    members: int = 0
    files: int = 0
    size: int = 0
    names: set[str] = field(default_factory=set)

    def place(self, name: str, folder: Path) -> Path:
        """Where a member goes: inside `folder`, and nobody was there before."""
        path = PurePosixPath(name.replace("\\", "/"))
        if path.is_absolute() or ".." in path.parts or "\0" in name or any(":" in part for part in path.parts[:1]):
            raise self.refusal(f"holds {name!r}, which leads out of its folder")
        self.members += 1
        if self.members > self.limits.files:
            raise self.refusal(f"holds more than {self.limits.files} files")
        return folder.joinpath(*path.parts)

    def claim(self, name: str, size: int) -> None:
        """Count a file before it is written."""
        if name in self.names:
            raise self.refusal(f"holds {name!r} twice")
        self.names.add(name)
        self.files += 1
        self.size += size
        if self.size > self.limits.size:
            raise self.refusal(
                f"unpacks to more than {self.limits.size / 1e9:.2f} GB, {self.archive.stat().st_size} bytes as it is"
            )

    def refusal(self, what: str) -> UnsafeArchive:
        return UnsafeArchive(
            f"{self.archive.name} {what}; expected files and folders of a picture set: nothing was kept, do not unpack it by hand"
        )


def _unpack_zip(archive: Path, folder: Path, budget: _Budget) -> None:
    with zipfile.ZipFile(archive) as packed:
        members = packed.infolist()
        for member in track(members, "unpack (files)"):
            target = budget.place(member.filename, folder)
            kind = stat.S_IFMT(member.external_attr >> 16)
            if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
                raise budget.refusal(f"holds {member.filename!r}, which is a link or a device")
            if member.flag_bits & 0x1:
                raise budget.refusal(f"holds {member.filename!r}, which is encrypted")
            if member.is_dir():
                _make_folder(target, budget, member.filename)
                continue
            budget.claim(member.filename, member.file_size)
            with packed.open(member) as stream:
                _write(stream, target, member.file_size, budget, member.filename)


class _WholeHeaders(tarfile.TarInfo):
    """Refuses what tarfile takes for the end of an archive, and extended headers that would fill the memory.

    A whole archive ends with a block of zeros; tarfile also ends, without a word, where a header is missing, cut or damaged.
    """

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> _WholeHeaders:
        try:
            info = super().frombuf(buf, encoding, errors)
        except tarfile.HeaderError as error:
            if buf == END:
                raise
            raise tarfile.ReadError(f"a header is missing, cut or damaged: {error}") from error
        if info.type in HEADERS and info.size > LONGEST_HEADER:
            raise tarfile.ReadError(f"a header of {info.size} bytes")
        return info


def _unpack_tar(archive: Path, folder: Path, budget: _Budget) -> None:
    with tarfile.open(archive, "r|*", tarinfo=_WholeHeaders) as packed:
        for member in track(packed, "unpack (files)"):
            target = budget.place(member.name, folder)
            if not (member.isreg() or member.isdir()) or member.issparse():
                raise budget.refusal(f"holds {member.name!r}, which is a link, a device or a sparse file")
            _ask_filter(member, folder, budget)
            if member.isdir():
                _make_folder(target, budget, member.name)
                continue
            budget.claim(member.name, member.size)
            stream = packed.extractfile(member)
            if stream is not None:
                _write(stream, target, member.size, budget, member.name)


def _ask_filter(member: tarfile.TarInfo, folder: Path, budget: _Budget) -> None:
    ask = getattr(tarfile, "data_filter", None)  # Python 3.11.0 to 3.11.3 have none; every rule of it is also one of ours
    if ask is None:
        return
    try:
        ask(member, str(folder))
    except tarfile.TarError as error:
        raise budget.refusal(f"holds {member.name!r}: {error}") from error


def _make_folder(target: Path, budget: _Budget, name: str) -> None:
    try:
        target.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise budget.refusal(f"holds {name!r} both as a file and as a folder") from error


def _write(stream: IO[bytes], target: Path, declared: int, budget: _Budget, name: str) -> None:
    _make_folder(target.parent, budget, name)
    left = declared
    try:
        copy = target.open("xb")
    except (FileExistsError, IsADirectoryError) as error:
        raise budget.refusal(f"holds {name!r} twice") from error
    with copy:
        while chunk := stream.read(CHUNK):
            left -= len(chunk)
            if left < 0:
                raise budget.refusal(f"holds {name!r}, which is larger than it declares")
            copy.write(chunk)
    if left:
        raise UnsafeArchive(f"{budget.archive.name} ends within {name!r}; expected a whole archive: get it again")


def _lift_only_folder(folder: Path) -> None:
    """`folder/top/…` becomes `folder/…` where `top` is all there is."""
    inside = list(folder.iterdir())
    if len(inside) != 1 or not inside[0].is_dir():
        return
    aside = folder.with_name(f"{folder.name}.lifted")
    inside[0].rename(aside)
    folder.rmdir()
    aside.rename(folder)
