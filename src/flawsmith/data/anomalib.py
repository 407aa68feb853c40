"""`load_folder`: anomalib's `Folder`, by its own arguments (open-edge-platform/anomalib, `data/datamodules/image/folder.py`)."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from flawsmith.core.errors import BadParameter
from flawsmith.data.dataset import Dataset
from flawsmith.data.layouts import build_layout
from flawsmith.data.loading import open_as
from flawsmith.data.problems import raise_errors

Folders = str | Path | Sequence[str | Path]


def load_folder(
    name: str = "",
    root: str | Path | None = None,
    normal_dir: Folders | None = None,
    abnormal_dir: Folders | None = None,
    normal_test_dir: Folders | None = None,
    mask_dir: Folders | None = None,
    normal_split_ratio: float | None = None,
    extensions: str | Sequence[str] | None = None,
    test_split_mode: str | None = "from_dir",
    test_split_ratio: float | None = None,
    val_split_mode: str | None = "none",
    val_split_ratio: float = 0.5,
    seed: int | None = 0,
    *,
    allow_test_as_val: bool = False,
) -> Dataset:
    """Read folders that are named one by one; no image is opened.

    Where this differs from anomalib on purpose is told in docs/manifest.md: masks pair by exact name, validation is never the
    test set unless `allow_test_as_val` says so, 0 is a seed and a ratio.

    Args:
        name: of the data set and its product; empty: the root's.
        root: what relative folders are joined to, masks too; None: the folder around all of them.
        normal_dir: good images to train on; like the others a path or several.
        abnormal_dir: images of anomalies, one folder per defect.
        normal_test_dir: good images to test on; without, `test_split_ratio` of the others are tested.
        mask_dir: masks.
        normal_split_ratio: deprecated name of `test_split_ratio`.
        extensions: endings of images, with or without their dot; None: all that can be read.
        test_split_mode: `from_dir` or `none`.
        test_split_ratio: share of the normals that is tested without `normal_test_dir`; None: 0.2.
        val_split_mode: `none` (training holds out normals itself), `from_train`, or `from_test` with `allow_test_as_val`.
        val_split_ratio: share of that side.
        seed: of the draws.
        allow_test_as_val: that test images may be looked at for choices; every split then says so.

    Raises:
        BadParameter: an argument outside its range, no `normal_dir`, or no seed.
        DataError: E_ROOT, E_LAYOUT: a folder is missing, empty or outside the root; E_AMBIGUOUS_PAIR, E_ORPHAN_MASK, E_DUPLICATE.
    """
    if seed is None:
        raise BadParameter("seed is None; expected an integer, 0 among them: a split is always seeded")
    folders = {
        "normal_dir": _listed(normal_dir),
        "abnormal_dir": _listed(abnormal_dir),
        "normal_test_dir": _listed(normal_test_dir),
        "mask_dir": _listed(mask_dir),
    }
    given = [path for paths in folders.values() for path in paths]
    if not folders["normal_dir"]:
        raise BadParameter('normal_dir names no folder; expected one with good images, as in normal_dir="good"')
    if root is None:
        folders = {argument: [str(Path(path).absolute()) for path in paths] for argument, paths in folders.items()}
    more = {"test_split_ratio": test_split_ratio, "normal_split_ratio": normal_split_ratio}
    options = {
        "called": name,
        **folders,
        "extensions": _listed(extensions),
        "test_split_mode": test_split_mode,
        "val_split_mode": val_split_mode,
        "val_split_ratio": val_split_ratio,
        "seed": seed,
        "allow_test_as_val": allow_test_as_val,
        **{argument: value for argument, value in more.items() if value is not None},
    }
    layout = build_layout("anomalib", options)
    found = open_as(Path(root) if root is not None else _around(given), layout).found
    raise_errors(found.problems)
    return found.dataset


def _listed(value: Folders | None) -> list[str]:
    if value is None:
        return []
    return [str(value)] if isinstance(value, str | Path) else [str(part) for part in value]


def _around(paths: Sequence[str]) -> Path:
    """The folder around several; the one above where there is only one."""
    whole = [str(Path(path).absolute()) for path in paths]
    return Path(os.path.commonpath(whole)) if len(set(whole)) > 1 else Path(whole[0]).parent
