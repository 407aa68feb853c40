"""Small text files that stand beside images: tables of classes, of defects, of splits. Links out of the root are not followed."""

from __future__ import annotations

from pathlib import Path

from flawsmith.data.tree import Folder

LARGEST = 64 * 2**20


def path_in(root: Path, folder: Folder, name: str) -> Path | None:
    """The path of a file of a folder, as the scan of the root has found it; None where it is not there."""
    return root / folder.join(name) if name in folder.others else None


def read_small(path: Path) -> str:
    """The text of a file, with or without a byte-order mark.

    Raises:
        OSError: it cannot be read.
        ValueError: it is no UTF-8, or larger than 64 MiB.
    """
    if path.stat().st_size > LARGEST:
        raise ValueError(f"more than {LARGEST >> 20} MiB")
    return path.read_text(encoding="utf-8-sig")
