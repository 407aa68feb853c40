"""A synthetic set: a sequence of anomalies, made on access, and any one of them made again from its line in a manifest."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, overload

from flawsmith.appearance.textures import CACHE
from flawsmith.core.errors import BadParameter, DamagedFile, DataError, NeedUnmet, UnknownName
from flawsmith.core.methods import MethodRecipe
from flawsmith.core.recipes import SynthesisRecipe, WeightedMethod, parse_methods
from flawsmith.core.registry import build_synthesizer
from flawsmith.core.requests import Anomaly, Provenance, Request
from flawsmith.core.samples import GOOD, Sample, SupportSet
from flawsmith.core.seeding import Seed
from flawsmith.core.synthesizer import Synthesizer
from flawsmith.data.dataset import Dataset
from flawsmith.data.resize import resize_image
from flawsmith.synthesis import build

ATTEMPTS = 8
"""Draws per item, each with a normal of its own, before it stays a normal."""

LEARNABLE_SPLITS = ("train", "pool")


@dataclass(frozen=True, eq=False)
class SyntheticSet(Sequence[Anomaly]):
    """Anomalies of one or more products; item i is a pure function of (recipe, data, i).

    The products take turns. An item that ends without a defect is drawn again from another normal, up to `ATTEMPTS` times; what
    is still a normal then says so (`Anomaly.is_normal`).

    Args:
        recipe: methods spelled out, number, size, seed.
        supports: by product, the normals that may be used.
        data: name, root, licence and citation of the data set.
    """

    recipe: SynthesisRecipe
    supports: Mapping[str, SupportSet]
    data: Mapping[str, str]
    _fitted: dict[str, Synthesizer] = field(default_factory=dict, init=False, repr=False)

    def __len__(self) -> int:
        return self.recipe.n

    @overload
    def __getitem__(self, index: int) -> Anomaly: ...
    @overload
    def __getitem__(self, index: slice) -> list[Anomaly]: ...
    def __getitem__(self, index: int | slice) -> Anomaly | list[Anomaly]:
        """The anomaly at `index`, made now; a list for a slice."""
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        at = index + len(self) if index < 0 else index
        if not 0 <= at < len(self):
            raise IndexError(f"index is {index}; expected a number below {len(self)}")
        return self._make(at)

    def product_of(self, index: int) -> str:
        """The product of item `index`."""
        products = list(self.supports)
        return products[index % len(products)]

    def _make(self, index: int) -> Anomaly:
        product = self.product_of(index)
        item = Seed(self.recipe.seed, (product, "item", index))
        for attempt in range(ATTEMPTS):
            seed = item.child("again", attempt) if attempt else item
            normals = self.supports[product].normals
            normal = normals[int(seed.numpy("normal").integers(len(normals)))]
            anomaly = make_one(self._synthesizer(product), normal, seed, self.recipe.defect, self._size)
            if not anomaly.is_normal:
                break
        return anomaly

    @property
    def _size(self) -> tuple[int, int] | None:
        return (self.recipe.size, self.recipe.size) if self.recipe.size else None

    def _synthesizer(self, product: str) -> Synthesizer:
        if product not in self._fitted:
            self._fitted[product] = build(self.recipe.methods).fit(self.supports[product])
        return self._fitted[product]


def synthesize(
    data: Dataset,
    methods: str | Sequence[WeightedMethod],
    n: int,
    *,
    seed: int = 0,
    size: int | None = None,
    product: str | None = None,
    defect: str | None = None,
    settings: Sequence[str] = (),
) -> SyntheticSet:
    """Describe a set of `n` anomalies made from the normals of `data`; nothing is made before it is asked for.

    Args:
        data: from `flawsmith.load`; only normals marked train or pool are used, never those of a test or validation side.
        methods: `draem:2,cutpaste:1`, or the same as data.
        n: how many anomalies, over all products.
        seed: root of every draw.
        size: side to which normals are resized, pixels; None: as they are.
        product: one product; None: all, in turn.
        defect: name of the defect; None: the method's own.
        settings: `METHOD.PARAMETER=VALUE`, where `methods` is text.

    Raises:
        BadParameter: a number out of range, or a defect name that cannot name a folder.
        UnknownName: no such method, preset or product.
        DataError: a product without a normal (E_EMPTY_SPLIT).
    """
    weighted = parse_methods(methods, settings) if isinstance(methods, str) else tuple(methods)
    spelled = [WeightedMethod(method=build_synthesizer(m.method).recipe(), weight=m.weight) for m in weighted]
    fields = {"methods": spelled, "n": n, "seed": seed, "size": size, "defect": defect, "product": product, "layout": data.layout}
    recipe = SynthesisRecipe.parse(fields, "synthesis")
    if defect is not None:
        check_folder_name(defect, "defect")
        if defect == GOOD:
            raise BadParameter(f"defect is {GOOD!r}, the name of normals; expected the name of a defect, as in scratch")
    chosen = data.of(product=product)
    supports = {name: support_of(chosen, name) for name in chosen.products}
    if not supports:
        raise DataError("E_EMPTY_SPLIT", f"{data.root} has no image; expected at least one good one: check the folder")
    about = {"name": data.name, "root": str(data.root), "licence": data.licence, "citation": data.citation}
    return SyntheticSet(recipe, supports, about)


def support_of(data: Dataset, product: str) -> SupportSet:
    """The normals of a product that synthesis may use, as a support set.

    Raises:
        DataError: there is none (E_EMPTY_SPLIT).
    """
    normals = tuple(s for s in data.samples if s.product == product and s.is_normal and s.split in LEARNABLE_SPLITS)
    if not normals:
        raise DataError(
            "E_EMPTY_SPLIT",
            f"{product} in {data.root} has no normal to start from; expected good images outside the test side",
        )
    return SupportSet(normals, product=product, dataset=data.name)


def make_one(synthesizer: Synthesizer, normal: Sample, seed: Seed, defect: str | None, size: tuple[int, int] | None) -> Anomaly:
    """One anomaly from one normal, resized to `size` where one is given, with the size in its provenance."""
    source = normal.source
    pixels = CACHE.get(
        (id(source), size), lambda: source.image() if size is None else resize_image(source.image(), size), owner=source
    )
    anomaly = synthesizer.synthesize([Request(normal.with_pixels(pixels), seed, defect)])[0]
    return replace(anomaly, provenance=replace(anomaly.provenance, size=size))


def replay(line: str | Mapping[str, Any], data: Dataset) -> Anomaly:
    """Make the anomaly of one manifest line again: the very same pixels.

    Args:
        line: a line of `manifest.jsonl`, as text or decoded.
        data: the data that it was made from.

    Raises:
        DamagedFile: the line is no manifest line.
        UnknownName: the data lacks the normal it started from.
        NeedUnmet: the caller had decided where the defect shall be; a manifest line does not hold that mask.
    """
    provenance = provenance_of(line)
    if provenance.asked_mask_sha256 is not None:
        raise NeedUnmet("replay", "the mask that was asked for", "send the same request with that mask")
    found = {sample.id: sample for sample in data.samples}
    if provenance.normal_id not in found:
        raise UnknownName("sample", str(provenance.normal_id), found, f"the line was made from other data than {data.root}")
    normal = found[provenance.normal_id]
    synthesizer = build_synthesizer(MethodRecipe.model_validate(provenance.recipe)).fit(support_of(data, normal.product))
    anomaly = make_one(synthesizer, normal, Seed.from_json(dict(provenance.seed)), provenance.defect, provenance.size)
    return replace(anomaly, provenance=replace(anomaly.provenance, component=provenance.component))


def provenance_of(line: str | Mapping[str, Any]) -> Provenance:
    """The provenance in a manifest line.

    Raises:
        DamagedFile: the line is no manifest line.
    """
    try:
        values = json.loads(line) if isinstance(line, str) else line
        return Provenance.from_json(values["provenance"])
    except (ValueError, KeyError, TypeError) as error:
        raise DamagedFile(f"this is no manifest line ({error}); expected one line of manifest.jsonl: copy it whole") from error


def check_folder_name(name: str, what: str) -> None:
    """Refuse a name that cannot be one folder of a set.

    Raises:
        BadParameter: it is empty, or would lead elsewhere.
    """
    if name in ("", ".", "..") or any(sign in name for sign in "/\\\0") or name != name.strip():
        raise BadParameter(f"{what} is {name!r}; expected a name that can be a folder, as in scratch")
