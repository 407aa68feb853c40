"""Plain implementations to measure against: each written straight from its paper's formulas, as a competent author would have.

One file per method, `make(image, inputs, rng) -> (image, mask)` in each, and a further `make_<preset>` where a preset has a
figure of its own. They use NumPy, OpenCV, Pillow, SciPy and scikit-image in the obvious way: dense noise, one operator after
the other, a sparse factorisation or `cv2.seamlessClone` for Poisson. None of them imports Flawsmith, so that no shortcut of
ours is in them; none is slow on purpose. What is drawn (places, sizes, strengths) has the distributions of the method's own
page.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]
Truth = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Inputs:
    """What a reference may use, decoded and at the picture's size beforehand, as in the originals' loops.

    Args:
        normals: good pictures of one product, uint8 H×W×3.
        textures: foreign pictures of the same size.
        anomalies: real anomalies and their masks.
        files: image and mask files of a set made before.
        prepared: what a reference computes once.
    """

    normals: list[Picture]
    textures: list[Picture]
    anomalies: list[tuple[Picture, Truth]] = field(default_factory=list)
    files: list[tuple[Path, Path]] = field(default_factory=list)
    prepared: dict[str, Any] = field(default_factory=dict)


Reference = Callable[[Picture, Inputs, np.random.Generator], tuple[Picture, Truth]]


def reference(method: str, preset: str = "") -> Reference | None:
    """The plain implementation of a method, or of one of its presets; None where there is none."""
    try:
        module = importlib.import_module(f"{__name__}.{method}")
    except ModuleNotFoundError:
        return None
    return getattr(module, f"make_{preset}" if preset else "make", None)
