"""The contract of everything that makes anomalies (or normals)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Protocol, Self, runtime_checkable

from flawsmith.core.methods import MethodRecipe
from flawsmith.core.requests import Anomaly, Request
from flawsmith.core.samples import SupportSet

Makes = Literal["anomalies", "normals"]
SynthesizerNeed = Literal["normal", "normals", "text", "textures", "references", "foreground", "precomputed"]


@dataclass(frozen=True)
class SynthesizerTraits:
    """What a synthesizer promises; `flawsmith.testing.check_synthesizer` holds it to every word.

    Args:
        makes: anomalies, normals, or both.
        trainable: `fit` learns something; otherwise it only notes the support set.
        uses_real_anomalies: it has seen real defects; carried into every table.
        needs: what a request or the support set must bring.
        local: the image equals the normal wherever the mask is False.
        coarse_label: the mask may cover pixels that did not change.
        batch_exact: an anomaly does not depend on the other requests of its batch.
        takes_mask: it puts the defect where `Request.mask` says; otherwise it refuses such a request.
        min_side: smallest height and width it accepts, pixels.
        nonempty: least share of requests that end in an anomaly, over many seeds on a textured image.
        area: (least, largest) mean share of the image that a non-empty mask covers, over many seeds.
    """

    makes: frozenset[Makes] = frozenset({"anomalies"})
    trainable: bool = False
    uses_real_anomalies: bool = False
    needs: frozenset[SynthesizerNeed] = frozenset({"normal"})
    local: bool = True
    coarse_label: bool = False
    batch_exact: bool = True
    takes_mask: bool = False
    min_side: int = 32
    nonempty: float = 0.95
    area: tuple[float, float] = (0.0, 1.0)


@runtime_checkable
class Synthesizer(Protocol):
    """Makes labelled anomalies. Usually a subclass of `flawsmith.core.methods.Method`."""

    name: ClassVar[str]
    traits: ClassVar[SynthesizerTraits]

    def fit(self, support: SupportSet) -> Self:
        """Learn from, or note, the support set; returns self. Twice equals once."""
        ...

    def synthesize(self, requests: Sequence[Request]) -> list[Anomaly]:
        """One anomaly per request, in order."""
        ...

    def recipe(self) -> MethodRecipe:
        """Every parameter."""
        ...

    @classmethod
    def from_params(cls, params: Any) -> Self:
        """Build from plain values."""
        ...
