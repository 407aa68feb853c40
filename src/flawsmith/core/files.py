"""Writing that is never half done: aside first, then renamed; and the hashes that say whether a file is still itself."""

import errno
import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from flawsmith.core.errors import DamagedFile, OutputError

PARTIAL = ".partial"
LOCK = "lock"


def sha256_bytes(data: bytes) -> str:
    """SHA-256 of `data` in hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def sha256_file(path: Path) -> str:
    """SHA-256 of a file's bytes in hexadecimal, read in chunks."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def canonical_json(value: Any) -> str:
    """JSON with sorted keys and no spaces: equal values give equal text, so it can be hashed."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


@contextmanager
def output_errors(path: Path) -> Iterator[None]:
    """Turn the operating system's refusals to write into one `OutputError` that names `path` and the way out."""
    try:
        yield
    except OSError as error:
        raise OutputError(_explain(path, error)) from error


def _explain(path: Path, error: OSError) -> str:
    where = error.filename or path
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return f"cannot write {where}: {error.strerror}; expected room for the result: free some space or write it elsewhere"
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return f"cannot write {where}: {error.strerror}; expected a folder you may write to: write it elsewhere"
    if error.errno in (errno.ENOTDIR, errno.EEXIST):
        return f"cannot write {where}: a file stands where a folder is needed; move it, or write elsewhere"
    return f"cannot write {where}: {error.strerror or error}; write it elsewhere"


def write_bytes(path: Path, data: bytes) -> None:
    """Write `data` to `path` so that a reader sees the old file or the new one, never a part.

    Raises:
        OutputError: no space, no permission, or a file where a folder is needed.
    """
    aside = path.with_name(f".{path.name}.{os.getpid()}{PARTIAL}")
    with output_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            aside.write_bytes(data)
            aside.replace(path)
        except BaseException:
            with suppress(OSError):
                aside.unlink(missing_ok=True)
            raise


def write_text(path: Path, text: str) -> None:
    """`write_bytes` for UTF-8 text."""
    write_bytes(path, text.encode())


def write_json(path: Path, value: Any) -> None:
    """Write `value` as indented JSON. NaN is refused: say null and a reason."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def read_json(path: Path) -> Any:
    """Read a JSON file.

    Raises:
        DamagedFile: the file is missing or is no JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise DamagedFile(f"{path} is missing; expected a file written by flawsmith: make it again") from error
    except (ValueError, OSError, RecursionError) as error:
        raise DamagedFile(f"{path} cannot be read ({error}); expected JSON: make it again") from error


def cache_home() -> str:
    """Where things lie that can be made again: $FLAWSMITH_CACHE, else flawsmith/ under $XDG_CACHE_HOME or ~/.cache."""
    own, common = os.environ.get("FLAWSMITH_CACHE"), os.environ.get("XDG_CACHE_HOME")
    return own or f"{common or '~/.cache'}/flawsmith"


def staging_of(folder: Path) -> Path:
    """The folder beside `folder` in which it grows until it is whole."""
    return folder.with_name(f".{folder.name}{PARTIAL}")


def refuse_taken(folder: Path, *, replaceable: str | None = None) -> None:
    """Refuse to write into a folder that already holds something, or into a file's place.

    Args:
        folder: where the result shall be.
        replaceable: a folder that holds a file of this name is one of ours and may be replaced; None: nothing may.

    Raises:
        OutputError: `folder` is a file or is not empty, and is not replaceable.
    """
    with output_errors(folder):
        if folder.is_file():
            raise OutputError(f"{folder} is a file; expected a new or empty folder: move it or choose another --out")
        if not folder.is_dir() or not any(folder.iterdir()):
            return
        if replaceable is None:
            raise OutputError(f"{folder} is not empty; expected a new or empty folder: remove it or choose another --out")
        if not (folder / replaceable).is_file():
            raise OutputError(
                f"{folder} is not empty and holds no {replaceable}, so it is not ours to replace; choose another --out"
            )


def refuse_overlap(out: Path, sources: Iterable[Path], option: str = "--out") -> None:
    """Refuse a place for results that lies inside what is read, or around it.

    Args:
        out: the place.
        sources: what is read.
        option: which chose the place.

    Raises:
        OutputError: `out` is one of `sources`, is inside one, or holds one.
    """
    there = out.resolve()
    for source in sources:
        read = source.resolve()
        if there == read or read in there.parents or there in read.parents:
            raise OutputError(
                f"{out} and {source}, which is read, lie in one another; expected a place apart: choose another {option}"
            )


def publish(staging: Path, folder: Path, *, replaceable: str | None = None) -> None:
    """Rename the finished `staging` folder to `folder`.

    Args:
        staging: the finished folder, on the same file system.
        folder: its name from now on.
        replaceable: see `refuse_taken`; an older folder gives way, is put back if the new one cannot take its place, and is
            deleted only after.

    Raises:
        OutputError: `folder` is taken, or cannot be written.
    """
    refuse_taken(folder, replaceable=replaceable)
    old = folder.with_name(f".{folder.name}.old{PARTIAL}")
    with output_errors(folder):
        if folder.exists():
            shutil.rmtree(old, ignore_errors=True)
            folder.rename(old)
        try:
            staging.rename(folder)
        except BaseException:
            if old.exists():
                old.rename(folder)
            raise
        shutil.rmtree(old, ignore_errors=True)


@contextmanager
def new_folder(folder: Path, *, replaceable: str | None = None) -> Iterator[Path]:
    """Yield a folder to fill; it becomes `folder` when the block ends well, and vanishes when it does not.

    Raises:
        OutputError: `folder` is taken (see `refuse_taken`), or cannot be written.
    """
    refuse_taken(folder, replaceable=replaceable)
    staging = staging_of(folder)
    with output_errors(folder):
        shutil.rmtree(staging, ignore_errors=True)
        staging.mkdir(parents=True)
    try:
        with output_errors(folder):
            yield staging
        publish(staging, folder, replaceable=replaceable)
    except BaseException:
        shutil.rmtree(staging, ignore_errors=True)
        raise


@contextmanager
def sole_writer(staging: Path) -> Iterator[None]:
    """Make `staging` and keep a second run away from it; the lock falls with the process.

    Raises:
        OutputError: another run is writing there, or it cannot be made.
    """
    with output_errors(staging):
        staging.mkdir(parents=True, exist_ok=True)
        handle = (staging / LOCK).open("w")
    with handle:
        try:
            _lock(handle)
        except BlockingIOError as error:
            told = f"another run is writing {staging}; expected one at a time: wait for it, or choose another --out"
            raise OutputError(told) from error
        yield


def _lock(handle: IO[str]) -> None:
    """Take the lock of an open file, or raise `BlockingIOError`; on systems without such locks do nothing."""
    try:
        import fcntl
    except ImportError:
        return
    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
