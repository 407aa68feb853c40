"""How maps become numbers: the geometry of an evaluation, ours or that of released code.

The same maps give different numbers when masks are resized by another rule, when the image score is reduced otherwise, or when
AUPRO is integrated otherwise. `honest` evaluates at the mask's own size. `as_released` does what a method's original code does at
evaluation time, to compare with its published numbers; what that code does in training (a checkpoint chosen on the test set) is
never done, and the record says so.

Sources: metrics' specification, sections 1.1-1.3, 4.2, 5 and 9; `flawsmith.data.resize.MASK_RULES` names the files behind them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal, get_args

import numpy as np

from flawsmith.core.errors import BadParameter, UnknownName
from flawsmith.data.resize import MASK_RULES
from flawsmith.metrics.reduction import REDUCTIONS, image_score_of
from flawsmith.metrics.variants import VARIANTS

Protocol = Literal["honest", "as_released"]
Resolution = Literal["native", "256", "512"]
Labels = Literal["folder", "mask"]
Blank = Literal["left out", "background"]

OWN = "own"
"""The image score that the detector itself gives."""

DEFAULT = "default"
"""The mask rule of the data set at native size, `area` elsewhere."""

MVTEC = "mvtec"
"""The AUPRO of MVTec AD's authors."""

RELEASED = "released"
"""The detail that says whose code a record follows, as `memseg: TooTouch/MemSeg, …`."""

NOT_DONE = "the original chooses its checkpoint by its score on the test set; this was not done"


def _check_variant(name: str) -> None:
    if name not in (MVTEC, *VARIANTS):
        raise UnknownName("AUPRO variant", name, (MVTEC, *VARIANTS))


def _check_reduction(name: str) -> None:
    if name == OWN:
        return
    if name.partition("@")[0] not in REDUCTIONS:
        raise UnknownName("image score", name, (OWN, *REDUCTIONS))
    image_score_of(np.zeros((1, 1)), name)  # refuses a parameter that it does not take


@dataclass(frozen=True)
class Geometry:
    """Where maps and masks meet, and what is made of them.

    Args:
        resolution: `native`: the map comes to the mask's own size; `256`, `512`: image and mask are resized to a square of it.
        mask_rule: one of `MASK_RULES`, or `default`.
        image_score: `own`, or a reduction of `flawsmith.metrics.reduction` that makes the score of the map.
        pro: variant of AUPRO.
        pro_mask_rule: mask rule for AUPRO alone; empty: the same as `mask_rule`.
        labels: whether an image is anomalous by its folder or manifest, or by its resized mask.
        blank: whether an anomaly whose mask is empty (once resized) is left out of pixel metrics, or counts as background.
        global_minmax: classification scales the maps over the whole test set first; our detectors give class maps, not scores of
            classes, so that this is told, and not done.
        absent_counts_zero: a class that is neither there nor predicted counts 0 in the mean IoU.
        details: what else the record should say.
    """

    resolution: Resolution = "native"
    mask_rule: str = DEFAULT
    image_score: str = OWN
    pro: str = MVTEC
    pro_mask_rule: str = ""
    labels: Labels = "folder"
    blank: Blank = "left out"
    global_minmax: bool = False
    absent_counts_zero: bool = False
    details: Mapping[str, str] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        if self.resolution not in get_args(Resolution):
            raise UnknownName("resolution", self.resolution, get_args(Resolution))
        for rule in (self.mask_rule, self.pro_mask_rule):
            if rule not in ("", DEFAULT, *MASK_RULES):
                raise UnknownName("mask rule", rule, (DEFAULT, *MASK_RULES))
        _check_variant(self.pro)
        _check_reduction(self.image_score)

    @property
    def side(self) -> int | None:
        """The side of the square that images and masks are resized to; None: none."""
        return None if self.resolution == "native" else int(self.resolution)

    def rule_of(self, of_the_data: str) -> str:
        """What the record says of the mask rule, given that of the data set."""
        return _told(self.mask_rule, self.side, of_the_data)

    def pro_rule_of(self, of_the_data: str) -> str:
        """The same for AUPRO."""
        return _told(self.pro_mask_rule or self.mask_rule, self.side, of_the_data)

    def told(self) -> dict[str, str]:
        """What the details of a record say beyond its fields."""
        own = {"labels": "by mask"} if self.labels == "mask" else {}
        if self.blank == "background":
            own["empty masks"] = "count as background"
        return {**own, **self.details}


HONEST = Geometry()


def geometry_by_hand(resolution: str, mask_rule: str, image_score: str, pro: str) -> Geometry:
    """A geometry from words, such as those of a command line.

    Raises:
        UnknownName: one of them is not known; the nearest are offered.
    """
    return Geometry(resolution, mask_rule, image_score, pro)  # type: ignore[arg-type]


@dataclass(frozen=True)
class Family:
    """One released way to evaluate.

    Args:
        name: id.
        code: whose, and where it was read.
        geometry: what it does.
        selects_on_test: its training chooses a checkpoint on the test set.
        notes: where it cannot be followed, or is not of one mind.
    """

    name: str
    code: str
    geometry: Geometry
    selects_on_test: bool = True
    notes: str = ""


def _family(name: str, code: str, *, selects_on_test: bool = True, notes: str = "", **geometry: object) -> Family:
    """Released code pools the pixels of all test images, an anomaly's with an empty mask among them."""
    return Family(name, code, Geometry(blank="background", **geometry), selects_on_test, notes)  # type: ignore[arg-type]


FAMILIES: Mapping[str, Family] = {
    family.name: family
    for family in (
        _family(
            "draem",
            "VitjanZ/DRAEM, and its copy in M-3LAB/ASBench",
            resolution="256",
            mask_rule="truncate",
            image_score="smooth21_max",
            pro="mvtec3d-100",
        ),
        _family(
            "anomalydiffusion",
            "sjtuplayer/anomalydiffusion, the segmentation U-Net",
            resolution="256",
            mask_rule="truncate",
            image_score="smooth21_max",
            pro="mvtec3d-100",
            pro_mask_rule="any",
        ),
        _family(
            "memseg",
            "TooTouch/MemSeg, and its copy in M-3LAB/ASBench",
            resolution="256",
            mask_rule="truncate-bicubic",
            image_score="top100",
            pro="full",
            pro_mask_rule="any-bicubic",
        ),
        _family(
            "destseg",
            "apple/ml-destseg, and its copy in M-3LAB/ASBench",
            resolution="256",
            mask_rule="half",
            image_score="top100",
            pro="anomalib<2.3",
            labels="mask",
        ),
        _family(
            "uniadc",
            "cnulab/UniADC",
            resolution="512",
            mask_rule="nearest",
            image_score="top100",
            pro="uniform-200/max",
            labels="mask",
            global_minmax=True,
            absent_counts_zero=True,
            selects_on_test=False,
            notes="its test script never calls the AUPRO that it defines; the paper says that the image score is the maximum",
        ),
        _family(
            "lfd",
            "HUST-SLOW/LFD, the segmenters of SeaS",
            resolution="256",
            mask_rule="any-bilinear",
            image_score="max",
            notes="it measures no AUPRO",
        ),
        _family(
            "ader",
            "zhangzjn/ADer",
            resolution="256",
            mask_rule="half-bilinear",
            image_score="max",
            pro="uniform-200/minmax",
            labels="mask",
            notes="it leaves the threshold of the resized mask to its trainers",
        ),
        _family("mvtec", "the evaluation code of MVTec AD", resolution="native", selects_on_test=False),
    )
}

DETECTORS: Mapping[str, str] = {
    "draem": "draem",
    "memseg": "memseg",
    "destseg": "destseg",
    "uniadc": "uniadc",
    "unet": "anomalydiffusion",
}
"""Detector → whose evaluation its published numbers were made with. `patchcore` has none: its original code evaluates after a
centre crop, which hides defects at the border, and the papers that print its numbers do not say how they were made."""


def geometry_of(protocol: str, detector: str, chosen: Geometry = HONEST) -> Geometry:
    """The geometry of a protocol for a detector.

    Args:
        protocol: `honest`; `as_released`, as the detector's original code does; `as_released:NAME`, as one of `FAMILIES`.
        detector: registry name.
        chosen: what was asked for by hand; only with `honest`.

    Raises:
        UnknownName: no such protocol or family.
        BadParameter: the detector has no released evaluation that could be followed, or something was asked for beside it.
    """
    name, _, family = protocol.partition(":")
    if name not in get_args(Protocol) or (family and name == "honest"):
        raise UnknownName("protocol", protocol, (*get_args(Protocol), *(f"as_released:{each}" for each in FAMILIES)))
    if name == "honest":
        return chosen
    family = family or DETECTORS.get(detector, "")
    if not family:
        raise BadParameter(
            f"{detector} has no as_released protocol of its own; expected the code that you compare with: as_released:NAME with "
            f"one of {', '.join(FAMILIES)}, or --resolution, --mask-rule, --pro and --image-score"
        )
    if family not in FAMILIES:
        raise UnknownName("released evaluation", family, FAMILIES)
    if chosen != HONEST:
        raise BadParameter(
            "as_released decides resolution, mask rule, AUPRO and image score by itself; expected none of them beside it: "
            "leave them out, or take protocol honest"
        )
    return released(FAMILIES[family])


def released(family: Family) -> Geometry:
    """A family's geometry, with all that a record must say of it."""
    told = {RELEASED: f"{family.name}: {family.code}", "image resize": "by area or bilinear, ours"}
    if family.geometry.resolution == "native":
        told.pop("image resize")
    if family.geometry.pro_mask_rule:
        told["mask rule of AUPRO"] = family.geometry.pro_mask_rule
    if family.geometry.global_minmax:
        told["classification"] = "the original scales the maps over the whole test set before its threshold; this was not done"
    if family.notes:
        told["note"] = family.notes
    if family.selects_on_test:
        told["selection"] = NOT_DONE
    return replace(family.geometry, details=told)


def _told(rule: str, side: int | None, of_the_data: str) -> str:
    if rule == DEFAULT:
        return of_the_data if side is None else f"area, after {of_the_data}"
    return f"area, after {of_the_data}" if rule == "area" else rule
