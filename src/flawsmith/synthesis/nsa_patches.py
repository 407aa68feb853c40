"""Patches as NSA puts them: cut from a source, resized, placed, and blended one onto the other.

NSA (Schlüter, Tan, Hou and Kainz, ECCV 2022), section 3.1. Original code: hmsch/natural-synthetic-anomalies (self_sup_tasks.py,
_patch_ex).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from typing import Literal

import cv2
import numpy as np

from flawsmith.appearance.change import GRAIN, Changes, changed_pixels, changes_between
from flawsmith.appearance.pasting import paste
from flawsmith.appearance.poisson import blend, erosion_at
from flawsmith.core.arrays import Image, Mask
from flawsmith.masks.boxes import Box, box_of, framed, inside, random_box
from flawsmith.masks.gamma_boxes import HalfWidths
from flawsmith.masks.morphology import widened
from flawsmith.synthesis.nsa_products import Product

Gradients = Literal["normal", "mixed", "uniform", "swap"]

TRIES = 200
"""Most draws of a place, for the cut and for the target."""

FEWEST = 50
"""Pixels at 256 below which a Poisson patch is left out, as in the original."""

FOREGROUND_SHARE = 0.5
"""Least share of a patch that lies in the foreground."""

MARGIN = 5
"""Pixels around the patches that the label's filters look at."""


@dataclass(frozen=True, eq=False)
class Ground:
    """What patches are cut from and put on.

    Args:
        image: uint8 H×W×3.
        source: uint8 H×W×3.
        objects: where the object is in the source and in the image; None: patches go anywhere.
        foreground: bool H×W that patches stay inside; None: everywhere.
    """

    image: Image
    source: Image
    objects: tuple[Mask, Mask] | None = None
    foreground: Mask | None = None

    @property
    def size(self) -> tuple[int, int]:
        """(H, W)."""
        return self.image.shape[0], self.image.shape[1]


@dataclass(frozen=True)
class Plan:
    """How patches are drawn and blended.

    Args:
        product: its numbers.
        gradients: whose lead a Poisson blend follows (`normal`, `mixed`), or `uniform` mixing, or a hard `swap`.
        strength: of the blend, 0…1.
        size_draw: of half-widths.
        ellipses: in a patch; 0: rectangles.
        skewed: ellipses of the published formula.
        erode: how often a Poisson blend shrinks its mask at 256 pixels.
    """

    product: Product
    gradients: Gradients
    strength: float = 1.0
    size_draw: Literal["gamma", "uniform"] = "gamma"
    ellipses: int = 0
    skewed: bool = False
    erode: int = 3

    @property
    def half_widths(self) -> HalfWidths:
        """How half-widths are drawn."""
        return HalfWidths(self.product.height, self.product.width, self.product.gamma if self.size_draw == "gamma" else None)


@dataclass(frozen=True, eq=False)
class Patched:
    """A picture with its patches.

    Args:
        image: uint8 H×W×3.
        patches: bool H×W, what they cover.
        boxes: of each patch in the source and in the picture.
    """

    image: Image
    patches: Mask
    boxes: tuple[tuple[Box, Box], ...]

    @property
    def around(self) -> Box:
        """A box around all patches with a margin for the label's filters."""
        return widened(box_of(self.patches), MARGIN, self.patches.shape)

    def places(self) -> list[Box]:
        """The patches' boxes counted in `around`, which may cut them."""
        left, top, width, height = self.around
        found = []
        for _, (x, y, w, h) in self.boxes:
            first, last = (max(x, left), max(y, top)), (min(x + w, left + width), min(y + h, top + height))
            found.append((first[0] - left, first[1] - top, max(0, last[0] - first[0]), max(0, last[1] - first[1])))
        return found


@dataclass(frozen=True, eq=False)
class _Cut:
    """A patch that was cut out: where, its pixels, its mask, and the object in it."""

    box: Box
    pixels: Image
    mask: Mask
    objects: Mask | None


def compose(ground: Ground, plan: Plan, rng: np.random.Generator) -> Patched:
    """Put patches on the picture, one onto the other: the first always, each further one with probability one half.

    A patch that finds no place within `TRIES` draws is left out.
    """
    image, patches = ground.image, np.zeros(ground.size, bool)
    boxes: list[tuple[Box, Box]] = []
    for number in range(plan.product.patches):
        if number and rng.random() < 0.5:
            continue
        cut = _cut(ground, plan, rng)
        target = None if cut is None else _draw_target(ground, cut, plan.product, rng)
        if cut is None or target is None:
            continue
        mask, blended = _masks(ground, cut, target)
        made = _put(image, cut.pixels, target, mask, blended, plan)
        if made is not None:
            image = made
            patches[inside(target)] |= mask  # departs: the original lets a later patch erase an earlier one's label
            boxes.append((cut.box, target))
    return Patched(image, patches, tuple(boxes))


def compose_under(asked: Mask, ground: Ground, plan: Plan, rng: np.random.Generator) -> Patched:
    """Put one patch of the source, at its own size, under a mask; nothing shrinks the mask but the foreground."""
    target = widened(box_of(asked), 1, asked.shape)
    mask = (asked if ground.foreground is None else asked & ground.foreground)[inside(target)]
    cut = random_box(target[2:], asked.shape, rng)
    patch = ground.source[inside(cut)]
    if plan.gradients in ("normal", "mixed"):
        image = blend(ground.image, patch, target, mask, guidance=plan.gradients, strength=plan.strength)
    else:
        image = _mixed(ground.image, patch, target, mask, plan)
    return Patched(image, framed(mask, target, asked.shape), ((cut, target),))


def changes_under(ground: Ground, patched: Patched, tolerance: float, grain: int = GRAIN) -> tuple[Changes, Mask]:
    """What the patches changed, and the pixels where that exceeds the tolerance; both in the box `around`."""
    around = inside(patched.around)
    patches = patched.patches[around]
    changes = changes_between(ground.image[around], patched.image[around]) * patches
    return changes, changed_pixels(changes, tolerance, grain) & patches


def _cut(ground: Ground, plan: Plan, rng: np.random.Generator) -> _Cut | None:
    """Cut a patch that holds enough of the object out of the source, and resize it."""
    widths, shape = plan.half_widths, ground.source.shape
    half = widths.draw(shape, rng)
    for _ in range(TRIES):
        box = widths.box(half, shape, rng)
        mask = _patch_mask(box, half, plan, shape, rng)
        objects = None if ground.objects is None else ground.objects[0][inside(box)]
        if objects is None or _count(mask & objects) > plan.product.min_object * _count(mask):
            return _resized(_Cut(box, ground.source[inside(box)], mask, objects), plan, shape, rng)
    return None


def _patch_mask(box: Box, half: tuple[int, int], plan: Plan, shape: tuple[int, ...], rng: np.random.Generator) -> Mask:
    if not plan.ellipses:
        return np.ones((box[3], box[2]), bool)
    (least_high, _), (least_wide, _) = plan.half_widths.pixels(shape)
    return union_of_ellipses((box[3], box[2]), half, (least_high, least_wide), plan.ellipses, rng, plan.skewed)


def _resized(cut: _Cut, plan: Plan, shape: tuple[int, ...], rng: np.random.Generator) -> _Cut:
    """Scale a patch, its shape kept. Sic: the whole new side is held within the bounds of half-widths."""
    (low_high, most_high), (low_wide, most_wide) = plan.half_widths.pixels(shape)
    _, _, w, h = cut.box
    scale = min(max(rng.normal(1, 0.5), plan.product.resize[0]), plan.product.resize[1])
    height = min(max(scale * h, low_high), most_high)
    width = min(max(int(height / h * w), low_wide), most_wide)
    height = min(max(int(width / w * h), low_high), most_high)
    pixels = np.asarray(cv2.resize(cut.pixels, (width, height)), np.uint8)
    objects = None if cut.objects is None else _resized_mask(cut.objects, width, height)
    return _Cut(cut.box, pixels, _resized_mask(cut.mask, width, height), objects)


def _resized_mask(mask: Mask, width: int, height: int) -> Mask:
    return np.asarray(cv2.resize(np.ascontiguousarray(mask).view(np.uint8), (width, height))).view(np.bool_)


def _draw_target(ground: Ground, cut: _Cut, product: Product, rng: np.random.Generator) -> Box | None:
    """Where a patch comes to lie: a pixel inside the border, enough of it on the object and in the foreground."""
    height, width = cut.mask.shape
    last = ground.size[0] - 1 - height, ground.size[1] - 1 - width
    held = 0 if cut.objects is None else _count(cut.objects)
    if min(last) < 1 or (cut.objects is not None and held <= product.min_object * _count(cut.mask)):
        return None
    for _ in range(TRIES):
        target = int(rng.integers(1, last[1] + 1)), int(rng.integers(1, last[0] + 1)), width, height
        if cut.objects is not None and ground.objects is not None:
            shared = cut.mask & cut.objects & ground.objects[1][inside(target)]
            if _count(shared) <= product.min_overlap * held:
                continue
        room = cut.mask if ground.foreground is None else cut.mask & ground.foreground[inside(target)]
        if _count(room) >= FOREGROUND_SHARE * _count(cut.mask):
            return target
    return None


def _masks(ground: Ground, cut: _Cut, target: Box) -> tuple[Mask, Mask]:
    """Which pixels of a patch count as changed, and which lend their gradients: background on background blends along."""
    mask = blended = cut.mask
    if cut.objects is not None and ground.objects is not None:
        either = cut.objects | ground.objects[1][inside(target)]
        mask, blended = mask & either, mask | ~either
    if ground.foreground is not None:
        room = ground.foreground[inside(target)]
        mask, blended = mask & room, blended & room
    blended = blended.copy()
    blended[0], blended[-1], blended[:, 0], blended[:, -1] = False, False, False, False
    return mask, blended


def _put(image: Image, patch: Image, target: Box, mask: Mask, blended: Mask, plan: Plan) -> Image | None:
    """The picture with a patch in it; None where too little of it is left to blend."""
    if plan.gradients not in ("normal", "mixed"):
        return _mixed(image, patch, target, mask, plan)
    if _count(blended) < FEWEST * min(1.0, min(image.shape[:2]) / 256) ** 2:
        return None
    strength = ceil(255 * plan.strength) / 255  # the original's mask is a byte
    erode = erosion_at(image.shape, plan.erode)
    return blend(image, patch, target, blended, guidance=plan.gradients, strength=strength, erode=erode)


def _mixed(image: Image, patch: Image, target: Box, mask: Mask, plan: Plan) -> Image:
    """The picture with a patch under its mask, at partial strength unless it is a swap."""
    if plan.gradients == "uniform":
        strength = plan.strength
        patch = np.asarray(cv2.addWeighted(patch, strength, image[inside(target)], 1 - strength, 0), np.uint8)
    return paste(image, patch, target, mask)


def union_of_ellipses(
    shape: tuple[int, int],
    half: tuple[int, int],
    least: tuple[int, int],
    number: int,
    rng: np.random.Generator,
    skewed: bool = False,
) -> Mask:
    """Ellipses at any places of a box, at any angles.

    Args:
        shape: (h, w) of the box.
        half: the patch's half-widths along y and x; semi-axes are below half of them.
        least: least semi-axes.
        number: of ellipses.
        rng: the only source of draws.
        skewed: the published formula, which has +sin in both rows and is no rotation.

    Returns:
        bool h×w.
    """
    union = np.zeros(shape, bool)
    y, x = np.arange(shape[0], dtype=np.float32)[:, None], np.arange(shape[1], dtype=np.float32)
    for _ in range(number):
        angle = rng.uniform(0, np.pi)
        dy, dx = y - rng.integers(shape[0]), x - rng.integers(shape[1])
        a, b = (int(rng.integers(low, max(low + 1, extent // 2))) for low, extent in zip(least, half, strict=True))
        cosine, sine = np.float32(np.cos(angle)), np.float32(np.sin(angle))
        along, across = dy * cosine + dx * sine, (dy if skewed else -dy) * sine + dx * cosine
        union |= (along / a) ** 2 + (across / b) ** 2 <= 1
    return union


def _count(mask: Mask) -> int:
    return cv2.countNonZero(mask.view(np.uint8))
