"""One order to a synthesizer, and what it returns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from flawsmith.core.arrays import Image, Mask
from flawsmith.core.samples import GOOD, Sample
from flawsmith.core.seeding import Seed

Twin = Literal["normal", "own", "none"]
Status = Literal["ok", "no_placement"]


@dataclass(frozen=True, eq=False)
class Request:
    """One order.

    Args:
        normal: the picture to start from; None: the method makes its own background.
        seed: every stage draws from its own stream of it.
        defect: the kind wanted, when the caller decides.
        mask: bool H×W, where the defect shall be, when the caller decides.
    """

    normal: Sample | None
    seed: Seed
    defect: str | None = None
    mask: Mask | None = None


LARGEST = 8192
"""Most pixels a side to which normals are resized."""


@dataclass(frozen=True)
class Provenance:
    """How an anomaly came to be; with the data, enough to make the very same pixels again.

    Args:
        method: registry name.
        recipe: the method's full parameters (`Method.recipe().model_dump()`).
        version: the version of flawsmith.
        seed: `Seed.to_json()` of the request.
        normal_id: the sample it started from.
        defect: what was asked for, if the caller decided.
        status: `ok`, or `no_placement` when no anomaly fitted within the attempts.
        attempts: how many draws it took.
        drawn: every number drawn, and the ids of textures and references used.
        component: the member of a mix that made it.
        asked_mask_sha256: digest of the mask, if the caller decided where.
        size: (H, W) the normal was resized to before synthesis; None: native.
    """

    method: str
    recipe: Mapping[str, Any]
    version: str
    seed: Mapping[str, Any]
    normal_id: str | None
    defect: str | None = None
    status: Status = "ok"
    attempts: int = 1
    drawn: Mapping[str, Any] = field(default_factory=dict)
    component: str | None = None
    asked_mask_sha256: str | None = None
    size: tuple[int, int] | None = None

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Provenance:
        """The inverse of `to_json`.

        Raises:
            ValueError: a text or the size is none.
            TypeError: a field is missing or unknown.
        """
        size = value.get("size")
        told = cls(**{**value, "size": tuple(size) if size else None})
        for name in ("method", "version", "normal_id", "component", "asked_mask_sha256"):
            if not isinstance(getattr(told, name), str | None):
                raise ValueError(f"{name} is {getattr(told, name)!r:.80}")
        if told.size is not None and not (len(told.size) == 2 and all(type(n) is int and 0 < n <= LARGEST for n in told.size)):
            raise ValueError(f"size is {told.size!r:.80}")
        return told


@dataclass(frozen=True, eq=False)
class Anomaly:
    """What every synthesizer returns.

    Args:
        image: uint8 H×W×3.
        mask: bool H×W. The label follows it: an empty mask is a normal.
        defect: the kind; `good` where the mask is empty.
        clean: the same picture without the defect, pixel-aligned, if there is one.
        twin: whose picture `clean` is: the request's normal, the method's own, or none.
        soft_mask: float32 H×W in 0…1, 0 outside `mask` and above 0 inside.
        provenance: how it was made.
    """

    image: Image
    mask: Mask
    defect: str
    clean: Image | None
    twin: Twin
    soft_mask: NDArray[np.float32] | None
    provenance: Provenance

    @property
    def is_normal(self) -> bool:
        """Whether nothing was placed."""
        return self.defect == GOOD
