"""Precomputed: anomalies that were made before, by `flawsmith synth` or by another tool, read from a folder.

ASBench trains its detectors so on the results of AnomalyDiffusion, DFMGAN and others (M-3LAB/ASBench, `aug_dir`, `mask_dir`,
`origin_dir` of its loaders; no licence is stated). A pair is drawn uniformly with replacement, as there; its own picture without
the defect is the clean twin, where there is one.

Departs in four places: image, mask and origin belong together by name, never by position in a sorted list without a word; masks
are two-valued whatever they were saved as; sizes are made to agree; the normals of a training stay its own, where ASBench's DRAEM
and MemSeg loaders replace them by the origins of the pairs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import groupby
from pathlib import Path
from typing import Any, ClassVar, Literal, Self, cast

import numpy as np
from pydantic import Field, PrivateAttr

from flawsmith import __version__
from flawsmith.appearance.picture_cache import CACHE
from flawsmith.core.arrays import Image, freeze
from flawsmith.core.errors import BadParameter, NeedUnmet, NotFitted, UnknownName, UsageError
from flawsmith.core.methods import Method
from flawsmith.core.requests import Anomaly, Provenance, Request, Twin
from flawsmith.core.samples import GOOD, SupportSet
from flawsmith.core.synthesizer import Heritage, SynthesizerTraits
from flawsmith.data.precomputed.opening import LayoutName, OnEmptyMask, Usable, choose, open_set, validate
from flawsmith.data.precomputed.pairs import Listing, Pair, sorted_pairs
from flawsmith.data.precomputed.pixels import PairPixels, digests_of, read_pair

NormalSource = Literal["train_good", "origin"]
Weights = Literal["uniform_pair", "uniform_type"]

ATTEMPTS = 8
"""Draws until a mask still marks something at the request's size."""

TRAITS = SynthesizerTraits(needs=frozenset({"precomputed"}), local=False, coarse_label=True, twins=False)
"""What every folder keeps; an instance promises what its own folder does."""


class _TraitsOfFolder:
    """Traits of the class, or of the folder that an instance was fitted on."""

    def __get__(self, method: Precomputed | None, owner: type[Precomputed]) -> SynthesizerTraits:
        return TRAITS if method is None or method._set is None else method._set.traits


class Precomputed(Method):
    """Anomalies from a folder.

    Args:
        folder: where they lie.
        layout: how they lie there; `auto` finds out.
        product: the product's name in the folder; None: the name it has here.
        aliases: product here → its name in the folder, for several products.
        types: kinds of defect to use; None: all.
        max_per_type: of each kind only so many, the first in natural order; None: all.
        weights: `uniform_pair` draws pairs alike; `uniform_type` draws a kind first.
        mask_threshold: share of full white above which a mask's pixel is defect.
        on_empty_mask: a pair whose mask marks nothing is left out (`skip`), is a `normal`, or an `error`.
        normal_source: what such a normal shows: the request's normal (`train_good`), or the pair's `origin`.
    """

    name: ClassVar[str] = "precomputed"
    traits: ClassVar[SynthesizerTraits] = cast(SynthesizerTraits, _TraitsOfFolder())
    presets: ClassVar[dict[str, dict[str, Any]]] = {"official": {}}

    folder: str = ""
    layout: LayoutName = "auto"
    product: str | None = None
    aliases: dict[str, str] = Field(default_factory=dict)
    types: tuple[str, ...] | None = None
    max_per_type: int | None = Field(default=500, ge=1)
    weights: Weights = "uniform_pair"
    mask_threshold: float = Field(default=0.5, gt=0, lt=1)
    on_empty_mask: OnEmptyMask = "skip"
    normal_source: NormalSource = "train_good"
    _set: _OpenedSet | None = PrivateAttr(None)

    def check_needs(self) -> None:
        """Refuse to work without a folder whose names make sense; no image is opened.

        Raises:
            NeedUnmet: none is named.
            DataError: it is missing, of no known layout, or its files do not pair.
            DamagedFile: what describes it cannot be read.
        """
        self._listing()

    def _listing(self) -> Listing:
        self._refuse_without_folder()
        return open_set(Path(self.folder).expanduser(), self.layout)

    def _refuse_without_folder(self) -> None:
        if not self.folder:
            raise NeedUnmet(self.name, "a folder of anomalies made before", "name it with --set precomputed.folder=./SET")

    def fit(self, support: SupportSet) -> Self:
        """Open the set for the product of the support set: every mask and every header once; returns self.

        Raises:
            NeedUnmet: no folder is named.
            DataError: the folder or one of its files cannot be used; the message says why.
            UnknownName: it has no such product or type.
        """
        listing = self._listing()
        here = support.product
        called = self.product or self.aliases.get(here, here)
        pairs = choose(listing, called, self.types, self.max_per_type)
        usable = validate(listing.root, pairs, self.mask_threshold, self.on_empty_mask)
        self._set = _OpenedSet(listing, usable, called if listing.products else None, here, self.mask_threshold)
        return self

    def synthesize(self, requests: Sequence[Request]) -> list[Anomaly]:
        """One anomaly per request, in order, at the size of its normal; one whose mask vanishes at that size is drawn again.

        Raises:
            NeedUnmet: no folder is named.
            NotFitted: the folder was not opened.
            UsageError: a mask is asked for.
            UnknownName: the set has no defect of the name that is asked for.
            BadParameter: the normal is too small.
        """
        self._refuse_without_folder()
        if self._set is None:
            raise NotFitted(self.name)
        return [self._answer(request, self._set) for request in requests]

    @property
    def heritage(self) -> Heritage:
        """What the fitted set brings from before this run."""
        return Heritage() if self._set is None else self._set.heritage

    def _answer(self, request: Request, opened: _OpenedSet) -> Anomaly:
        size = self._size_of(request)
        if request.mask is not None:
            raise UsageError(f"{self.name} takes no mask, and this request has one; expected none: its pairs have their own")
        kinds = opened.kinds(request.defect)
        rng = request.seed.numpy("pair")
        for attempt in range(1, ATTEMPTS + 1):
            pair = _draw(kinds, self.weights, rng)
            pixels = opened.pixels(pair, size)
            provenance = self._provenance(request, pair, opened.digests(pair), attempt)
            if pixels.mask.any():
                return _anomaly(pair, pixels, provenance)
            if pair in opened.usable.normals:
                break
        return self._normal(request, pair, pixels, provenance)

    def _size_of(self, request: Request) -> tuple[int, int] | None:
        if request.normal is None:
            return None
        size = request.normal.source.size()
        if min(size) < self.traits.min_side:
            raise BadParameter(
                f"the image of {request.normal.id} is {size[1]}×{size[0]}; {self.name} expects at least {self.traits.min_side} "
                f"pixels each way: use larger images"
            )
        return size

    def _normal(self, request: Request, pair: Pair, pixels: PairPixels, provenance: Provenance) -> Anomaly:
        """What a pair without a defect stands for: the request's normal, or its own origin."""
        own = pixels.origin if self.normal_source == "origin" else None
        image = own if own is not None or request.normal is None else freeze(np.ascontiguousarray(request.normal.image()))
        if image is None:
            raise NeedUnmet(self.name, f"a normal in place of {pair.image}, whose mask is empty", "give the request a normal")
        twin: Twin = "normal" if own is None else "own"
        mask = np.zeros(image.shape[:2], bool)
        return Anomaly(image.copy(), mask, GOOD, image, twin, None, replace(provenance, status="no_placement"))

    def _provenance(self, request: Request, pair: Pair, digests: Mapping[str, str], attempts: int) -> Provenance:
        files = {kind: {"path": path, "sha256": digests[kind]} for kind, path in pair.files.items()}
        return Provenance(
            method=self.name,
            recipe=self._told_recipe,
            version=__version__,
            seed=request.seed.to_json(),
            normal_id=request.normal.id if request.normal else None,
            defect=request.defect,
            attempts=attempts,
            drawn={"files": files, "source": pair.source},
        )

    @cached_property
    def _told_recipe(self) -> dict[str, Any]:
        return self.recipe().model_dump(mode="json")


def _anomaly(pair: Pair, pixels: PairPixels, provenance: Provenance) -> Anomaly:
    return Anomaly(
        image=pixels.image,
        mask=pixels.mask,
        defect=pair.defect,
        clean=None if pixels.origin is None else freeze(pixels.origin),
        twin="none" if pixels.origin is None else "own",
        soft_mask=None,
        provenance=provenance,
    )


def _draw(kinds: Mapping[str, Sequence[Pair]], weights: Weights, rng: np.random.Generator) -> Pair:
    if weights == "uniform_type":
        names = list(kinds)
        pairs = kinds[names[int(rng.integers(len(names)))]]
        return pairs[int(rng.integers(len(pairs)))]
    drawn = int(rng.integers(sum(map(len, kinds.values()))))
    for pairs in kinds.values():
        if drawn < len(pairs):
            return pairs[drawn]
        drawn -= len(pairs)
    raise AssertionError("drawn past the last pair")


@dataclass(frozen=True, eq=False)
class _OpenedSet:
    """A validated set for one product.

    Args:
        listing: everything in the folder.
        usable: what can be drawn.
        called: the product's name in the folder; None where it names none.
        here: the product's name in this run.
        threshold: of the masks.
    """

    listing: Listing
    usable: Usable
    called: str | None
    here: str
    threshold: float
    _digests: dict[Pair, dict[str, str]] = field(default_factory=dict, init=False, repr=False)

    @cached_property
    def traits(self) -> SynthesizerTraits:
        """What this set promises."""
        return replace(TRAITS, twins=self.usable.twins, uses_real_anomalies=self.listing.uses_real_anomalies)

    @cached_property
    def _by_kind(self) -> dict[str, tuple[Pair, ...]]:
        pairs = sorted_pairs([*self.usable.pairs, *self.usable.normals])
        return {kind: tuple(pairs_of) for kind, pairs_of in groupby(pairs, key=lambda pair: pair.defect)}

    def kinds(self, defect: str | None) -> Mapping[str, Sequence[Pair]]:
        """The pairs by kind of defect: all, or one kind alone.

        Raises:
            UnknownName: there is no such kind.
        """
        if defect is None:
            return self._by_kind
        if defect not in self._by_kind:
            there = f"{self.listing.root} holds {', '.join(self._by_kind)}"
            raise UnknownName("defect", defect, self._by_kind, there)
        return {defect: self._by_kind[defect]}

    def pixels(self, pair: Pair, size: tuple[int, int] | None) -> PairPixels:
        """New arrays with the pixels of a pair at (H, W), or as they are; what was read last is kept."""
        key = (self.listing.root, pair.image, self.usable.state, self.threshold, size)
        return _unpacked(CACHE.get(key, lambda: _packed(self._read(pair, size))), pair.origin is not None)

    def _read(self, pair: Pair, size: tuple[int, int] | None) -> PairPixels:
        read = read_pair(self.listing.root, pair, self.threshold)
        return read if size is None else read.resized(size)

    def digests(self, pair: Pair) -> dict[str, str]:
        """SHA-256 of the pair's files by kind, as they were when this set first used it."""
        if pair not in self._digests:
            self._digests[pair] = digests_of(self.listing.root, pair)
        return self._digests[pair]

    @cached_property
    def heritage(self) -> Heritage:
        """What is known of the photographs behind the set, and what is not."""
        name, listing = f"{Precomputed.name}: {self.listing.root}", self.listing
        notes = [f"{name}: {note}" for note in (*listing.notes, *self.usable.notes)]
        unknown = "whether any of them is tested on here is not known"
        if not listing.tells:
            notes.append(f"{name} ({listing.layout}) does not say which photographs it was made from; {unknown}")
        elif self.called != self.here:
            notes.append(f"{name} was made from photographs of {self.called}, which is called {self.here} here; {unknown}")
        same = self.here if self.called == self.here else ""
        return Heritage(
            ids=listing.trained_on.get(same, frozenset()),
            names=listing.named.get(same, frozenset()),
            real=listing.real.get(same, frozenset()),
            uses_real_anomalies=listing.uses_real_anomalies,
            warnings=tuple(notes),
            folders=(listing.root,),
            sets=(listing.root,),
            state=self.usable.state,
        )


def _packed(pixels: PairPixels) -> Image:
    """Image, mask and origin one after the other, so that they are kept and forgotten together: uint8, 4H×W or 7H×W."""
    height, width = pixels.mask.shape
    parts = [pixels.image.reshape(3 * height, width), pixels.mask.view(np.uint8)]
    return np.concatenate([*parts, *([] if pixels.origin is None else [pixels.origin.reshape(3 * height, width)])])


def _unpacked(packed: Image, has_origin: bool) -> PairPixels:
    """The inverse of `_packed`, in new arrays."""
    rows, width = packed.shape
    height = rows // (7 if has_origin else 4)
    image, mask, origin = (part.copy() for part in (packed[: 3 * height], packed[3 * height : 4 * height], packed[4 * height :]))
    shape = (height, width, 3)
    return PairPixels(image.reshape(shape), mask.view(np.bool_), origin.reshape(shape) if has_origin else None)
