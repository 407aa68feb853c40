"""The contract of everything that makes anomalies (or normals)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
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
        twins: every anomaly comes with the same picture without it.
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
    twins: bool = True
    takes_mask: bool = False
    min_side: int = 32
    nonempty: float = 0.95
    area: tuple[float, float] = (0.0, 1.0)


@dataclass(frozen=True)
class Heritage:
    """What a fitted synthesizer brings into a run from before it.

    Args:
        ids: the samples that its pictures were made from, or that it learned from.
        names: more of them, known by as much of their path as was told (`train/good/000.png`, `000`).
        real: (defect, stem) of real anomalies that it learned from and that are known by name alone.
        uses_real_anomalies: real anomalies took part, known by name or not.
        warnings: what a reader of the results must know, one sentence each.
        folders: what it reads; results are kept out of them.
        textures: those of them whose pictures appear in the anomalies.
        sets: those of them that hold pictures made before.
        state: digest of the files in them; empty where there are none.
    """

    ids: frozenset[str] = frozenset()
    names: frozenset[str] = frozenset()
    real: frozenset[tuple[str, str]] = frozenset()
    uses_real_anomalies: bool = False
    warnings: tuple[str, ...] = ()
    folders: tuple[Path, ...] = ()
    textures: tuple[Path, ...] = ()
    sets: tuple[Path, ...] = ()
    state: str = ""


@runtime_checkable
class Synthesizer(Protocol):
    """Makes labelled anomalies. Usually a subclass of `flawsmith.core.methods.Method`.

    Two members are optional: `check_needs()` refuses, before any work, to go on without what no support set can give; `heritage`
    tells, once fitted, what comes from before this run.
    """

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


def check_needs(synthesizer: Synthesizer) -> None:
    """Refuse a synthesizer that lacks what no support set can give it; no image is opened.

    Raises:
        NeedUnmet: it says what is missing.
        DataError: what is given cannot be used.
    """
    if hasattr(synthesizer, "check_needs"):
        synthesizer.check_needs()


def heritage_of(synthesizer: Synthesizer) -> Heritage:
    """What a fitted synthesizer brings from before this run; nothing for one that does not tell."""
    return getattr(synthesizer, "heritage", Heritage())


def together(heritages: Sequence[Heritage]) -> Heritage:
    """One heritage of several."""
    return Heritage(
        ids=frozenset().union(*(heritage.ids for heritage in heritages)),
        names=frozenset().union(*(heritage.names for heritage in heritages)),
        real=frozenset().union(*(heritage.real for heritage in heritages)),
        uses_real_anomalies=any(heritage.uses_real_anomalies for heritage in heritages),
        warnings=tuple(dict.fromkeys(warning for heritage in heritages for warning in heritage.warnings)),
        folders=_all(heritage.folders for heritage in heritages),
        textures=_all(heritage.textures for heritage in heritages),
        sets=_all(heritage.sets for heritage in heritages),
        state="+".join(heritage.state for heritage in heritages if heritage.state),
    )


def _all(folders: Iterable[tuple[Path, ...]]) -> tuple[Path, ...]:
    return tuple(dict.fromkeys(folder for some in folders for folder in some))
