"""Fetch, check, unpack, and only then give the folder its name."""

from __future__ import annotations

import hashlib
import re
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

from flawsmith.core.errors import BadParameter, DownloadError, UnsafeArchive
from flawsmith.core.files import output_errors, publish, refuse_taken, sole_writer
from flawsmith.core.progress import track
from flawsmith.data.getting.catalogue import Archive, Checksum, Entry
from flawsmith.data.getting.download import ATTEMPTS, check_url, download, forget, resumable
from flawsmith.data.getting.unpacking import unpack

CHUNK = 1 << 20
ARCHIVE = "archive"
UNPACKED = "unpacked"


def archive_of(entry: Entry, url: str | None = None, sha256: str | None = None) -> Archive | None:
    """What would be downloaded: the catalogue's archive, from a mirror or with another hash where one is given.

    Raises:
        BadParameter: `url` is no address, `sha256` no SHA-256, `sha256` alone without an archive, or `url` without any hash.
    """
    if sha256 is not None and not re.fullmatch(r"[0-9a-fA-F]{64}", sha256):
        raise BadParameter(f"--sha256 is {sha256}; expected 64 hexadecimal digits, as sha256sum prints them")
    if url is None:
        if sha256 is not None and entry.archive is None:
            raise BadParameter(f"--sha256 without --url: {entry.name} has no plain download; expected its address as well")
        if sha256 is None or entry.archive is None:
            return entry.archive
        return Archive(entry.archive.url, Checksum("sha256", sha256.lower()), "--sha256")
    check_url(url)
    if sha256 is not None:
        return Archive(url, Checksum("sha256", sha256.lower()), "--url and --sha256")
    if entry.archive is None:
        raise BadParameter(
            f"--url without --sha256: nobody published a hash of {entry.name}; expected the SHA-256 of the archive: give --sha256"
        )
    return Archive(url, entry.archive.checksum, f"--url; {entry.archive.source}")


def get(
    entry: Entry, archive: Archive, out: Path, *, attempts: int = ATTEMPTS, pause: Callable[[float], None] = time.sleep
) -> int:
    """Download a data set into the new folder `out`. What an interrupted call has fetched is gone on with.

    Args:
        entry: the data set.
        archive: see `archive_of`.
        out: a new or empty folder; `.NAME.download` beside it holds what can be gone on with.
        attempts, pause: see `download`.

    Returns:
        The number of files.

    Raises:
        DownloadError: it cannot be fetched, or the hash is another one.
        UnsafeArchive: it would write outside its folder or more than it may, or is damaged.
        OutputError: `out` is taken, or the disk refuses.
    """
    out = out.absolute()
    refuse_taken(out)
    work = out.with_name(f".{out.name}.download")
    with sole_writer(work):
        file = work / ARCHIVE
        try:
            download(archive.url, file, entry.limits.size, attempts=attempts, pause=pause)
            _check(file, archive)
            files = _unpack(file, work / UNPACKED, out, entry)
        finally:
            shutil.rmtree(work / UNPACKED, ignore_errors=True)
            if not resumable(file):
                shutil.rmtree(work, ignore_errors=True)
    shutil.rmtree(work, ignore_errors=True)
    return files


def _unpack(file: Path, folder: Path, out: Path, entry: Entry) -> int:
    """Unpack and give the folder its name; an archive that may not be unpacked is removed."""
    shutil.rmtree(folder, ignore_errors=True)
    try:
        files = unpack(file, folder, entry.limits)
    except UnsafeArchive:
        forget(file)
        raise
    publish(folder, out)
    return files


def _check(file: Path, archive: Archive) -> None:
    with output_errors(file):
        found = _digest(file, archive.checksum.kind)
    if found == archive.checksum.value:
        return
    page = _is_page(file)
    forget(file)
    what = "is a web page" if page else f"is another file: its {Checksum(archive.checksum.kind, found)}"
    raise DownloadError(
        f"what came from {urlsplit(archive.url).netloc} {what}; expected {archive.checksum}: it was removed, try again or "
        f"give a mirror with --url"
    )


def _digest(file: Path, kind: str) -> str:
    total = -(-file.stat().st_size // CHUNK)
    digest = hashlib.new(kind, usedforsecurity=kind != "md5")
    for chunk in track(_chunks(file), "check (MiB)", total=total):
        digest.update(chunk)
    return digest.hexdigest()


def _chunks(file: Path) -> Iterator[bytes]:
    with file.open("rb") as stream:
        while chunk := stream.read(CHUNK):
            yield chunk


def _is_page(file: Path) -> bool:
    with file.open("rb") as stream:
        return stream.read(256).lstrip().lower().startswith((b"<!doctype", b"<html"))
