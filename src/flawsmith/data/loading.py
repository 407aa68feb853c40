"""From a folder to a `Dataset`: find the layout, say why, read the names, refuse what is broken."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from flawsmith.core.errors import BadParameter, DataError
from flawsmith.data.dataset import Dataset
from flawsmith.data.layouts import AUTO, LAYOUTS, SCALE, build_layout, parse_layout, with_scale
from flawsmith.data.layouts.base import Found, Layout
from flawsmith.data.layouts.enclosing import refuse_part_of_folder, refuse_part_of_published
from flawsmith.data.layouts.folder import FolderLayout
from flawsmith.data.manifest.files import is_list
from flawsmith.data.problems import raise_errors
from flawsmith.data.scales import scaled
from flawsmith.data.tree import Tree, bare_tree, scan

PACKAGED = "elpv"
"""The root that stands for the installed package `elpv-dataset`."""

LIST = "manifest"
"""The layout of a list that stands in place of a folder."""

SYNTHETIC = "synth.json"
"""The file by which a set written by `flawsmith synth` is known."""


def load(root: str | Path, layout: str = AUTO, *, product: str | None = None, scale: str | None = None) -> Dataset:
    """Read a folder of images, or a list of them; no image is opened, unless for `minmax-dataset`.

    Args:
        root: the folder, a list (CSV, Parquet, JSON Lines: docs/manifest.md), or `elpv` for the installed package of solar cells.
        layout: `auto`, or a layout's name with options, as in `folder:normal=fine` or `elpv:uncertain=soft`.
        product: keep one product.
        scale: for images of more than 8 bits: `divide:65535` or `minmax-dataset` (`flawsmith.data.scales`).

    Raises:
        DataError: the folder is missing, unreadable, without images, of no known layout or of two, or two files claim one place.
        UnknownName: no such layout or product.
        BadParameter: no such option.
    """
    opened = open_folder(root, with_scale(layout, scale))
    raise_errors(opened.found.problems)
    return opened.found.dataset.of(product=product)


@dataclass(frozen=True)
class Opened:
    """A folder's names, and what its layout made of them."""

    tree: Tree
    found: Found


def open_folder(root: str | Path, layout: str = AUTO) -> Opened:
    """Scan a folder and read it with its layout, or read a list; broken rules are listed in the result, not raised.

    Raises:
        DataError: the folder cannot be read at all, or fits no layout or several (E_ROOT, E_LAYOUT), or not one sample of it is
            left by its problems, the first of which is raised.
        UnknownName: no such layout.
        BadParameter: no such option.
    """
    name, options = parse_layout(layout)
    scale = options.pop(SCALE, None)
    opened = _open(root, name, options)
    if scale is None:
        return opened
    return replace(opened, found=replace(opened.found, dataset=scaled(opened.found.dataset, scale)))


def _open(root: str | Path, name: str, options: Mapping[str, str]) -> Opened:
    if str(root) == PACKAGED and name in (AUTO, PACKAGED) and not Path(root).is_dir():
        from flawsmith.data.layouts.elpv import package_folder

        name, root = PACKAGED, package_folder()
    if name in (AUTO, LIST) and Path(root).is_file() and is_list(Path(root).name):
        return _open_list(Path(root), options)
    return open_as(Path(root), None if name == AUTO else build_layout(name, options))


def _open_list(path: Path, options: Mapping[str, str]) -> Opened:
    if options:
        raise BadParameter(f"{path} is a list already; expected no option file: give the folder of its paths, or the list")
    return open_as(path.parent, build_layout(LIST, {"file": path.name}))


def open_as(root: Path, chosen: Layout | None) -> Opened:
    """`open_folder` with a layout that was built already; None: the one that fits.

    Raises:
        DataError: as for `open_folder`.
    """
    if chosen is not None and not chosen.scans:
        tree = bare_tree(root)
        return Opened(tree, chosen.read(tree))
    tree = scan(root)
    if SYNTHETIC in tree.top.others:
        raise DataError(
            "E_LAYOUT",
            f"{root} is a set of synthetic defects ({SYNTHETIC}), not photographs; expected the folder it was made from: train "
            f"on that one with --synth precomputed --set precomputed.folder={root}",
            [str(root)],
        )
    if not tree.top.has_images:
        aside = f" ({len(tree.strays)} links that lead nowhere or out of it were left aside)" if tree.strays else ""
        raise DataError(
            "E_LAYOUT",
            f"{root} holds no image{aside}; expected files ending in png, jpg, bmp, tif or webp: check the path",
            [str(root)],
        )
    found = (chosen or _recognised(tree)).read(tree)
    if not found.dataset.samples:
        raise_errors(found.problems)
        raise DataError(
            "E_LAYOUT", f"{root} has no image where the layout {found.dataset.layout} looks; check the path", [str(root)]
        )
    return Opened(tree, replace(found, dataset=replace(found.dataset, notes=(*found.dataset.notes, *_left_aside(tree)))))


def _recognised(tree: Tree) -> Layout:
    layouts = [layout for layout in (build_layout(name, {}) for name in LAYOUTS) if layout.sought]
    refuse_part_of_published(tree, layouts)
    published = [(layout, why) for layout in layouts if layout.known for why in layout.fits(tree)]
    fitting = published or [(layout, why) for layout in layouts if not layout.known for why in layout.fits(tree)]
    if len(fitting) == 1:
        layout = fitting[0][0]
        if isinstance(layout, FolderLayout):
            refuse_part_of_folder(tree, layout)
        return layout
    if not fitting:
        inside = _known_inside(tree, layouts)
        if inside:
            told = f"{tree.root} fits no layout, but it holds {', '.join(inside)}; expected one data set: give its folder"
            raise DataError("E_LAYOUT", told, [tree.root])
        wanted = "; ".join(layout.expects(tree) for layout in layouts if not layout.known)
        known = ", ".join(layout.name for layout in layouts if layout.known)
        raise DataError(
            "E_LAYOUT",
            f"{tree.root} fits no layout: {wanted}; nor has it the names of a known data set ({known}): --layout NAME says why",
            [tree.root],
        )
    told = "; or ".join(f"{layout.name}: {why}" for layout, why in fitting)
    names = sorted({layout.name for layout, _ in fitting})
    remedy = (
        f"choose one with --layout {'|'.join(names)}" if len(names) > 1 else "move what does not belong, or point at the product"
    )
    raise DataError("E_LAYOUT", f"{tree.root} can be read in {len(fitting)} ways: {told}; expected one: {remedy}", [tree.root])


def _known_inside(tree: Tree, layouts: Sequence[Layout]) -> list[str]:
    """The published data sets right below the root."""
    found = []
    for name, folder in tree.top.folders.items():
        below = Tree(tree.root / name, folder, (), ())
        found += [f"{layout.name} in {name}/" for layout in layouts if layout.known and layout.fits(below)]
    return found


def _left_aside(tree: Tree) -> list[str]:
    notes = []
    if tree.strays:
        told = "symbolic links that lead out of the folder, nowhere or to what was read already were ignored"
        notes.append(f"{len(tree.strays)} {told}, such as {tree.strays[0]}")
    return notes
