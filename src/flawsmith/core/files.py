"""Writing that is never half done: aside first, then renamed; and the hashes that say whether a file is still itself."""

import errno
import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from flawsmith.core.errors import DamagedFile, OutputError

PARTIAL = ".partial"


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
        return f"cannot write {where}: {error.strerror}; expected room for the result: free some space or choose another --out"
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return f"cannot write {where}: {error.strerror}; expected a folder you may write to: choose another --out"
    if error.errno in (errno.ENOTDIR, errno.EEXIST):
        return f"cannot write {where}: a file stands where a folder is needed; move it or choose another --out"
    return f"cannot write {where}: {error.strerror or error}; choose another --out"


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
    except (ValueError, OSError) as error:
        raise DamagedFile(f"{path} cannot be read ({error}); expected JSON: make it again") from error


def staging_of(folder: Path) -> Path:
    """The folder beside `folder` in which it grows until it is whole."""
    return folder.with_name(f".{folder.name}{PARTIAL}")


def refuse_taken(folder: Path) -> None:
    """Refuse to write into a folder that already holds something, or into a file's place.

    Raises:
        OutputError: `folder` is a file or is not empty.
    """
    with output_errors(folder):
        if folder.is_file() or (folder.is_dir() and any(folder.iterdir())):
            kind = "a file" if folder.is_file() else "a folder that is not empty"
            raise OutputError(f"{folder} is {kind}; expected a new or empty folder: remove it or choose another --out")


def publish(staging: Path, folder: Path, *, overwrite: bool = False) -> None:
    """Rename the finished `staging` folder to `folder`.

    Args:
        staging: the finished folder, on the same file system.
        folder: its name from now on.
        overwrite: an older `folder` gives way, and is deleted only once the new one stands in its place.

    Raises:
        OutputError: `folder` is taken and `overwrite` is not set, or cannot be written.
    """
    if not overwrite:
        refuse_taken(folder)
    old = folder.with_name(f".{folder.name}.old{PARTIAL}")
    with output_errors(folder):
        if folder.exists():
            shutil.rmtree(old, ignore_errors=True)
            folder.rename(old)
        staging.rename(folder)
        shutil.rmtree(old, ignore_errors=True)


@contextmanager
def new_folder(folder: Path, *, overwrite: bool = False) -> Iterator[Path]:
    """Yield a folder to fill; it becomes `folder` when the block ends well, and vanishes when it does not.

    Raises:
        OutputError: `folder` is taken (unless `overwrite`), or cannot be written.
    """
    if not overwrite:
        refuse_taken(folder)
    staging = staging_of(folder)
    with output_errors(folder):
        shutil.rmtree(staging, ignore_errors=True)
        staging.mkdir(parents=True)
    try:
        with output_errors(folder):
            yield staging
        publish(staging, folder, overwrite=overwrite)
    except BaseException:
        shutil.rmtree(staging, ignore_errors=True)
        raise
