"""Layouts by name. A layout says whether a folder is one of its kind, and reads it into a `Dataset`."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any, cast

from pydantic import ValidationError

from flawsmith.core.errors import BadParameter, UnknownName, nearest_of
from flawsmith.core.methods import describe_invalid
from flawsmith.data.layouts.base import Layout

AUTO = "auto"

SCALE = "scale"
"""The option that every layout has: how images of more than 8 bits are scaled (`flawsmith.data.scales`)."""

LAYOUTS: Mapping[str, tuple[str, str]] = {
    "folder": (
        "flawsmith.data.layouts.folder:FolderLayout",
        "your own folders: good/ and one per defect, or train/ and test/ as MVTec AD",
    ),
    "mvtec": ("flawsmith.data.layouts.mvtec:MvtecLayout", "MVTec AD, 15 products"),
    "mvtec-fs": ("flawsmith.data.layouts.mvtec_fs:MvtecFsLayout", "MVTec-FS with classes, the authors' or UniADC's repack"),
    "mvtec-folders": ("flawsmith.data.layouts.mvtec_fs:MvtecFoldersLayout", "MVTec AD with its folders as classes"),
    "loco": ("flawsmith.data.layouts.loco:LocoLayout", "MVTec LOCO AD, 5 products with logical and structural anomalies"),
    "mvtec3d": ("flawsmith.data.layouts.mvtec3d:Mvtec3dLayout", "MVTec 3D-AD, the photographs of 10 products"),
    "visa": ("flawsmith.data.layouts.visa:VisaLayout", "VisA, 12 products, raw (Data/Images, split_csv) or converted"),
    "btad": ("flawsmith.data.layouts.btad:BtadLayout", "BTAD, 3 products 01 … 03 with ok/ and ko/"),
    "mpdd": ("flawsmith.data.layouts.mpdd:MpddLayout", "MPDD, 6 kinds of painted metal parts"),
    "wfdd": ("flawsmith.data.layouts.wfdd:WfddLayout", "WFDD, 4 woven fabrics"),
    "wfdd-uniadc": ("flawsmith.data.layouts.mvtec_fs:WfddUniadcLayout", "WFDD with kinds of defects, UniADC's repack"),
    "mtd": ("flawsmith.data.layouts.mtd:MtdLayout", "magnetic tiles, official folders MT_Free … MT_Uneven"),
    "manifest": ("flawsmith.data.layouts.manifest:ManifestLayout", "a list of images: CSV, Parquet or JSON Lines"),
    "anomalib": ("flawsmith.data.layouts.anomalib:AnomalibLayout", "folders named one by one, as anomalib's Folder does"),
    "elpv": ("flawsmith.data.layouts.elpv:ElpvLayout", "solar cells, from the package elpv-dataset or a checkout of it"),
    "dtd": ("flawsmith.data.layouts.dtd:DtdLayout", "DTD: textures, which are read by --set METHOD.textures=./dtd alone"),
}
"""Name → (target, summary)."""


def parse_layout(text: str) -> tuple[str, dict[str, str]]:
    """Read `NAME` or `NAME:OPTION=VALUE,…`, as in `elpv:uncertain=soft` or `folder:normal=fine+perfect,masks=labels`.

    Raises:
        UnknownName: no such layout; the nearest are offered.
        BadParameter: an option without a value.
    """
    name, _, rest = text.partition(":")
    if name not in (AUTO, *LAYOUTS):
        raise UnknownName("layout", name, (AUTO, *LAYOUTS), "`flawsmith data check --help` explains them")
    options = {}
    for part in (part for part in rest.split(",") if part):
        key, equals, value = part.partition("=")
        if not (key and equals and value):
            raise BadParameter(f"layout {text!r}: {part!r} is malformed; expected OPTION=VALUE, as in folder:normal=fine")
        options[key] = value
    if name == AUTO and set(options) - {SCALE}:
        raise BadParameter(f"layout {text!r}: auto takes no options; expected a layout's name, as in folder:normal=fine")
    return name, options


def with_scale(layout: str, scale: str | None) -> str:
    """A layout with a scale among its options; without one, the layout as it is.

    Raises:
        BadParameter: it has one already.
    """
    if not scale:
        return layout
    if SCALE in parse_layout(layout)[1]:
        raise BadParameter(f"layout {layout!r} has a scale already; expected one: leave out --scale {scale}")
    return f"{layout}{',' if ':' in layout else ':'}{SCALE}={scale}"


def build_layout(name: str, options: Mapping[str, Any]) -> Layout:
    """The layout `name` with its options.

    Raises:
        UnknownName: no such layout.
        BadParameter: no such option, or a value it does not take.
    """
    if name not in LAYOUTS:
        raise UnknownName("layout", name, LAYOUTS)
    module, _, attribute = LAYOUTS[name][0].partition(":")
    kind = cast(type[Layout], getattr(importlib.import_module(module), attribute))
    for option in options:
        if option not in kind.model_fields:
            raise BadParameter(f"layout {name} has no option {option!r}; {nearest_of(option, list(kind.model_fields))}")
    try:
        return kind(**options)
    except ValidationError as error:
        raise BadParameter(describe_invalid(f"layout {name}", error)) from error
