"""Where the paths of a list lead: inside the root, to files that are there. Whole columns at once, no file is opened."""

from __future__ import annotations

import os
import posixpath
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

FEW = 32
"""Files wanted of one folder up to which each is asked for; above, the folder is listed once."""

_UNUSUAL = r"^/|^\./|//|/\.?$|(^|/)\.\.?(/|$)|\\|[[:cntrl:]]"

Texts = Any
"""A pyarrow array of `large_string`."""


def inside(paths: Texts, root: Path) -> tuple[Texts, NDArray[np.intp]]:
    """(paths without `.`, `..` or the root before them, the places of those that leave the root).

    A path that leaves the root, or is no printable text, stays as it is.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    unusual = np.flatnonzero(pc.match_substring_regex(paths, _UNUSUAL).fill_null(False).to_numpy(zero_copy_only=False))
    if unusual.size == 0:
        return paths, unusual
    bases = tuple(dict.fromkeys(f"{base.rstrip('/')}/" for base in (root.absolute().as_posix(), root.resolve().as_posix())))
    plain = [_plain(paths[int(row)].as_py(), bases) for row in unusual]
    leaving = unusual[[path is None for path in plain]]
    kept = np.array([path is not None for path in plain], bool)
    mended = np.zeros(len(paths), bool)
    mended[unusual[kept]] = True
    values = pa.array([path for path in plain if path is not None], pa.large_string())
    return pc.replace_with_mask(paths, pa.array(mended), values), leaving


def _plain(path: str, bases: Sequence[str]) -> str | None:
    if any(ord(letter) < 32 for letter in path):
        return None
    plain = posixpath.normpath(path)
    for base in bases:
        plain = plain.removeprefix(base)
    return None if plain.startswith(("/", "../")) or plain in (".", "..") else plain


class Folders:
    """Which files are there, folder by folder, each looked at once.

    Args:
        root: the folder that paths start from.
    """

    def __init__(self, root: Path) -> None:
        self.root, self.real = root, root.resolve()
        self._listed: dict[str, tuple[Texts, Texts]] = {}

    def absent(self, paths: Texts) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """(places of paths without a file, places of paths whose file lies outside the root, through a symbolic link).

        Args:
            paths: relative to the root.
        """
        import pyarrow as pa
        import pyarrow.compute as pc

        if len(paths) == 0:
            nothing = np.empty(0, np.intp)
            return nothing, nothing
        above = pc.replace_substring_regex(paths, r"/[^/]*$", "")
        folders = pc.dictionary_encode(pc.if_else(pc.match_substring(paths, "/"), above, pa.scalar("", pa.large_string())))
        names = pc.replace_substring_regex(paths, r"^.*/", "")
        codes = folders.indices.to_numpy(zero_copy_only=False)
        order = np.argsort(codes, kind="stable")
        starts = np.searchsorted(codes[order], np.arange(len(folders.dictionary) + 1))
        gone, out = [], []
        for index, folder in enumerate(folders.dictionary.to_pylist()):
            rows = order[starts[index] : starts[index + 1]]
            wanted = names.take(pa.array(rows))
            there, strays = self._files(folder, wanted)
            has = pc.is_in(wanted, there).to_numpy(zero_copy_only=False)
            astray = pc.is_in(wanted, strays).to_numpy(zero_copy_only=False)
            gone.append(rows[~has & ~astray])
            out.append(rows[astray])
        return np.sort(np.concatenate(gone)), np.sort(np.concatenate(out))

    def _files(self, folder: str, wanted: Texts) -> tuple[Texts, Texts]:
        """(names of the files in a folder, names of those that a link leads out of the root); of a few, only those wanted."""
        import pyarrow as pa

        if folder in self._listed:
            return self._listed[folder]
        few = len(wanted) <= FEW
        found, strays = self._looked_at(self.root / folder, wanted.to_pylist() if few else None)
        answer = pa.array(found, pa.large_string()), pa.array(strays, pa.large_string())
        if not few:
            self._listed[folder] = answer
        return answer

    def _looked_at(self, folder: Path, wanted: Sequence[str] | None) -> tuple[list[str], list[str]]:
        try:
            inside = folder.resolve(strict=True).is_relative_to(self.real)
            if wanted is None:
                with os.scandir(folder) as entries:
                    found = {entry.name: entry.is_symlink() for entry in entries if _is_text(entry.name) and _is_file(entry)}
            else:
                found = {name: (folder / name).is_symlink() for name in wanted if (folder / name).is_file()}
        except (OSError, RuntimeError, ValueError):
            return [], []
        if not inside:
            return [], list(found)
        links = [name for name, linked in found.items() if linked]
        strays = [name for name in links if not (folder / name).resolve().is_relative_to(self.real)]
        return list(found.keys() - set(strays)) if strays else list(found), strays


def _is_file(entry: os.DirEntry[str]) -> bool:
    """Whether an entry is a file, or a link that ends at one; not a link in a circle."""
    try:
        return entry.is_file()
    except OSError:
        return False


def _is_text(name: str) -> bool:
    """Whether a name of the file system is text, which alone a list can hold."""
    return name.isascii() or not any(0xD800 <= ord(letter) <= 0xDFFF for letter in name)
