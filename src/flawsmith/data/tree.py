"""A folder as it lies on disk: names only, in an order that depends neither on the file system nor on the locale.

Hidden entries and symbolic links that lead out of the folder (or round in a circle, or nowhere) are left aside and listed. So is,
in a linked folder, a link to what was read already: n folders that link to each other would have n! paths.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from flawsmith.core.errors import DataError

IMAGE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp"})
MOST_LINKS = 8
"""So many links may lead one through another to a folder; systems open no path of more than about 40."""

IGNORED_NAMES = frozenset({"thumbs.db", "desktop.ini", "__macosx"})


@dataclass(frozen=True)
class Folder:
    """One folder.

    Args:
        path: relative to the root, with `/`; empty for the root.
        images: names of image files, naturally sorted.
        others: names of other files.
        folders: sub-folders by name, naturally sorted.
    """

    path: str
    images: tuple[str, ...]
    others: tuple[str, ...]
    folders: Mapping[str, Folder]

    @property
    def name(self) -> str:
        """The last part of the path."""
        return self.path.rpartition("/")[2]

    def join(self, name: str) -> str:
        """The path of an entry of this folder."""
        return f"{self.path}/{name}" if self.path else name

    def walk(self) -> Iterator[Folder]:
        """This folder and everything below it."""
        yield self
        for folder in self.folders.values():
            yield from folder.walk()

    def all_images(self) -> Iterator[str]:
        """Paths of all images here and below."""
        return (folder.join(name) for folder in self.walk() for name in folder.images)

    @property
    def has_images(self) -> bool:
        """Whether there is an image here or below."""
        return any(folder.images for folder in self.walk())

    def at(self, path: str) -> Folder | None:
        """The folder at a path relative to this one; None where there is none."""
        found: Folder | None = self
        for part in (part for part in path.split("/") if part not in ("", ".")):
            found = found.folders.get(part) if found else None
        return found


@dataclass(frozen=True)
class Tree:
    """A root folder and what was left aside in it.

    Args:
        root: where it lies.
        top: its content.
        hidden: hidden files and folders.
        strays: symbolic links that lead out of the root, round in a circle, through other links to what was read, or nowhere.
    """

    root: Path
    top: Folder
    hidden: tuple[str, ...]
    strays: tuple[str, ...]


def natural_key(text: str) -> tuple[tuple[bool, int, str], ...]:
    """Sort key under which `2` comes before `10`."""
    return tuple((not part.isdecimal(), int(part) if part.isdecimal() else 0, part) for part in re.split(r"(\d+)", text) if part)


def split_suffix(name: str) -> tuple[str, str]:
    """(stem, lower-case suffix with its dot) of a file name."""
    stem, dot, suffix = name.rpartition(".")
    return (stem, f".{suffix.lower()}") if dot and stem else (name, "")


def scan(root: Path) -> Tree:
    """Read the names in and below `root`.

    Raises:
        DataError: E_ROOT, where `root` is missing, no folder, unreadable, or holds a name that is no text.
    """
    _refuse_no_folder(root)
    real = root.resolve()
    scanned = _Scan(real)
    top = scanned.folder(root, "", (real,))
    return Tree(root, top, tuple(sorted(scanned.hidden, key=natural_key)), tuple(sorted(scanned.strays, key=natural_key)))


def bare_tree(root: Path) -> Tree:
    """A folder in which no name is looked at, since a list tells them.

    Raises:
        DataError: E_ROOT, where `root` is missing or no folder.
    """
    _refuse_no_folder(root)
    return Tree(root, Folder("", (), (), {}), (), ())


def _refuse_no_folder(root: Path) -> None:
    try:
        is_folder = stat.S_ISDIR(root.stat().st_mode)
    except FileNotFoundError:
        raise DataError("E_ROOT", f"{root} does not exist; expected a folder with images: check the path", [root]) from None
    except OSError as error:
        raise _unreadable(root, error) from error
    if not is_folder:
        raise DataError("E_ROOT", f"{root} is a file; expected a folder with images: give the folder that holds it", [root])


def _unreadable(folder: Path, error: OSError) -> DataError:
    told = f"{folder} cannot be read ({error.strerror}); expected a folder you may open: check its path and permissions"
    return DataError("E_ROOT", told, [folder])


@dataclass
class _Scan:
    """One reading of a root; what was left aside, and the real folders that were read."""

    real_root: Path
    hidden: list[str] = field(default_factory=list)
    strays: list[str] = field(default_factory=list)
    read: set[Path] = field(default_factory=set)

    def folder(self, folder: Path, path: str, chain: tuple[Path, ...], links: int = 0) -> Folder:
        """A folder and everything below it.

        Args:
            folder: where.
            path: the same, from the root.
            chain: the real folders from the root down to this one.
            links: how many of them lead here.
        """
        images, others, folders = [], [], {}
        self.read.add(chain[-1])
        for entry in _entries(folder):
            inside = f"{path}/{entry.name}" if path else entry.name
            if entry.name.startswith(".") or entry.name.lower() in IGNORED_NAMES:
                self.hidden.append(inside)
                continue
            link = entry.is_symlink()
            target = _target(entry, self.real_root, chain)
            if target is None or (link and links and (target in self.read or links == MOST_LINKS)):
                self.strays.append(inside)
            elif target.is_dir():
                folders[entry.name] = self.folder(folder / entry.name, inside, (*chain, target), links + link)
            elif split_suffix(entry.name)[1] in IMAGE_SUFFIXES:
                images.append(entry.name)
            else:
                others.append(entry.name)
        return Folder(path, tuple(images), tuple(others), folders)


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            found = sorted(entries, key=lambda entry: natural_key(entry.name))
    except OSError as error:
        raise _unreadable(folder, error) from error
    for entry in found:
        if any(ord(letter) < 32 or 0xD800 <= ord(letter) <= 0xDFFF for letter in entry.name):
            raise DataError(
                "E_ROOT", f"{folder} holds the name {entry.name!r}; expected names of printable text: rename it", [folder]
            )
    return found


def _target(entry: os.DirEntry[str], real_root: Path, chain: tuple[Path, ...]) -> Path | None:
    """What an entry stands for; None for a link that leads out, round in a circle, or nowhere."""
    if not entry.is_symlink():
        return chain[-1] / entry.name
    try:
        target = Path(entry.path).resolve(strict=True)
    except (OSError, RuntimeError):
        return None
    return target if target.is_relative_to(real_root) and target not in chain else None
