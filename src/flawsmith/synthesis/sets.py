"""A synthetic set: a sequence of anomalies, made on access, and any one of them made again from its line in a manifest."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, overload

import numpy as np

from flawsmith import __version__
from flawsmith.appearance.picture_cache import CACHE
from flawsmith.core.errors import BadParameter, DamagedFile, DataError, NeedUnmet, UnknownName, UsageError
from flawsmith.core.files import canonical_json
from flawsmith.core.methods import MethodRecipe
from flawsmith.core.recipes import SynthesisRecipe, WeightedMethod, parse_methods
from flawsmith.core.registry import build_synthesizer, synthesizers
from flawsmith.core.requests import Anomaly, Provenance, Request
from flawsmith.core.samples import GOOD, Sample, SupportSet
from flawsmith.core.seeding import Seed
from flawsmith.core.shots import Shots
from flawsmith.core.synthesizer import Heritage, Synthesizer, check_needs, heritage_of, together
from flawsmith.data.dataset import Dataset
from flawsmith.data.resize import resize_image
from flawsmith.data.splits import AUTO, with_absolute_files
from flawsmith.synthesis import build, confined
from flawsmith.synthesis.asked_masks import AskedMask, asked_mask
from flawsmith.synthesis.folders import refuse_textures_from, with_absolute_folders
from flawsmith.synthesis.sources import NONE, Sources, sources_of

ATTEMPTS = 8
"""Draws per item, each with a normal of its own, before it stays a normal."""


@dataclass(frozen=True, eq=False)
class SyntheticSet(Sequence[Anomaly]):
    """Anomalies of one or more products; item i is a pure function of (recipe, data, i).

    The products take turns. An item that ends without a defect is drawn again from another normal, up to `ATTEMPTS` times; what
    is still a normal then says so (`Anomaly.is_normal`).

    Under mixing `concat` item i belongs to member i // n, and each member takes the normals of each product in order, over and
    over; an item without a defect is drawn again from the same normal.

    Args:
        recipe: methods spelled out, number, size, seed.
        sources: by product, the normals that may be used, and the split they come from.
        data: name, root, licence and citation of the data set.
    """

    recipe: SynthesisRecipe
    sources: Mapping[str, Sources]
    data: Mapping[str, str]
    _fitted: dict[tuple[str, int | None], Synthesizer] = field(default_factory=dict, init=False, repr=False)

    def __len__(self) -> int:
        return self.recipe.n * (len(self.recipe.methods) if self._in_turn else 1)

    @property
    def _in_turn(self) -> bool:
        return self.recipe.mixing == "concat"

    @property
    def supports(self) -> dict[str, SupportSet]:
        """By product, the normals and the real anomalies that may be used."""
        return {product: sources.support for product, sources in self.sources.items()}

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
        products = list(self.sources)
        return products[index % self.recipe.n % len(products)]

    def _make(self, index: int) -> Anomaly:
        product = self.product_of(index)
        item = Seed(self.recipe.seed, (product, "item", index))
        synthesizer = self._synthesizer(product, index // self.recipe.n if self._in_turn else None)
        for attempt in range(ATTEMPTS):
            seed = item.child("again", attempt) if attempt else item
            normal = self._normal(product, index, seed)
            dataset = self.sources[product].support.dataset
            anomaly = make_one(synthesizer, normal, seed, self.recipe.defect, self._size, self.asked, dataset)
            if not anomaly.is_normal:
                break
        if self._in_turn and len(self.recipe.methods) > 1:
            return replace(anomaly, provenance=replace(anomaly.provenance, component=synthesizer.name))
        return anomaly

    def _normal(self, product: str, index: int, seed: Seed) -> Sample:
        normals = self.sources[product].support.normals
        if self._in_turn:
            return normals[index % self.recipe.n // len(self.sources) % len(normals)]
        return normals[int(seed.numpy("normal").integers(len(normals)))]

    def heritages(self) -> dict[str, Heritage]:
        """By product, what its synthesizers bring from before this run, as it is when first asked; they are fitted for it."""
        return self._heritages

    @cached_property
    def _heritages(self) -> dict[str, Heritage]:
        members = range(len(self.recipe.methods)) if self._in_turn else (None,)
        return {
            product: together([heritage_of(self._synthesizer(product, member)) for member in members]) for product in self.sources
        }

    @cached_property
    def asked(self) -> AskedMask | None:
        """Where the caller wants the defects; None: the methods decide."""
        return asked_mask(self.recipe.mask_shape, [build_synthesizer(member.method) for member in self.recipe.methods])

    @property
    def _size(self) -> tuple[int, int] | None:
        return (self.recipe.size, self.recipe.size) if self.recipe.size else None

    def _synthesizer(self, product: str, member: int | None) -> Synthesizer:
        if (product, member) not in self._fitted:
            methods = self.recipe.methods if member is None else self.recipe.methods[member : member + 1]
            self._fitted[product, member] = build(methods).fit(self.sources[product].support)
        return self._fitted[product, member]


def synthesize(
    data: Dataset,
    methods: str | Sequence[WeightedMethod],
    n: int,
    *,
    seed: int = 0,
    size: int | None = None,
    product: str | None = None,
    defect: str | None = None,
    split: str = AUTO,
    defect_shots: int | str = 0,
    mixing: str = "choice",
    mask_shape: str | None = None,
    foreground: str | None = None,
    settings: Sequence[str] = (),
) -> SyntheticSet:
    """Describe a set of `n` anomalies made from the normals of `data`; nothing is made before it is asked for.

    It starts from the normals that `train` learns from with the same split policy and seed, so that such a training never tests
    on one of them. Data without a train and test side is split for this; of a folder of good pictures alone a fifth is kept for
    the test. Data that `Split.apply` has put on its sides keeps them.

    Args:
        data: from `flawsmith.load`.
        methods: `draem:2,cutpaste:1`, or the same as data.
        n: how many anomalies, over all products.
        seed: root of every draw, the split's among them.
        size: side to which normals are resized, pixels; None: as they are.
        product: one product; None: all, in turn.
        defect: name of the defect; None: the method's own.
        split: policy or file as in `train`; `none`: every normal outside the folder's own test and validation sides.
        defect_shots: real anomalies of each defect for the methods that use them: those that `train` draws with the same split,
            seed and number or words (`core.shots`). Anomalies on the folder's own train side join them.
        mixing: of several methods: `choice` draws each image's by weight; `concat` makes `n` images with each of them, over the
            normals in order, as ASBench does with `n` the number of normals.
        mask_shape: words for families of masks, as in `line:small`; each defect then lies in a mask drawn for it. None: the
            methods decide where.
        foreground: rule or folder of masks for every method that has the parameter and is not told another; None: their own.
        settings: `METHOD.PARAMETER=VALUE`, where `methods` is text.

    Raises:
        BadParameter: a number out of range, or a defect name that cannot name a folder.
        UnknownName: no such method, preset, split policy, product or family of masks.
        UsageError: real anomalies are given to methods that use none, or masks to one that takes none.
        NeedUnmet: a method works from real anomalies, and a product has none for it, or from a folder that is not named.
        DataError: a product without a normal to start from (E_EMPTY_SPLIT), an anomaly in a training folder, or fewer anomalies
            than asked for (E_FEW).
    """
    weighted = parse_methods(methods, settings) if isinstance(methods, str) else tuple(methods)
    weighted = confined(weighted, foreground)
    built = [build_synthesizer(m.method) for m in weighted]
    for method in built:
        check_needs(method)
    refuse_textures_from(data, {method.name: heritage_of(method) for method in built})
    spelled = [
        WeightedMethod(method=with_absolute_folders(b.recipe()), weight=m.weight) for b, m in zip(built, weighted, strict=True)
    ]
    fields: dict[str, Any] = {
        "n": n,
        "seed": seed,
        "size": size,
        "defect": defect,
        "product": product,
        "layout": data.layout,
        "split": with_absolute_files(split),
    }
    fields |= {"methods": spelled, "defect_shots": defect_shots, "mixing": mixing, "mask_shape": mask_shape}
    recipe = SynthesisRecipe.parse(fields, "synthesis")
    if defect is not None:
        check_folder_name(defect, "defect")
        if defect == GOOD:
            raise BadParameter(f"defect is {GOOD!r}, the name of normals; expected the name of a defect, as in scratch")
    references = pastes_references(built, recipe.defect_shots)
    asked_mask(recipe.mask_shape, built)
    chosen = data.of(product=product)
    sources = {
        name: sources_of(chosen, name, recipe.split, recipe.seed, references=references, defect_shots=recipe.defect_shots)
        for name in chosen.products
    }
    if not sources:
        raise DataError("E_EMPTY_SPLIT", f"{data.root} has no image; expected at least one good one: check the folder")
    _refuse_unmet(built, sources, chosen)
    about = {"name": data.name, "root": str(data.root), "licence": data.licence, "citation": data.citation}
    return SyntheticSet(recipe, sources, about)


def pastes_references(methods: Sequence[Synthesizer], defect_shots: int | str = 0) -> bool:
    """Whether any of the methods works from real anomalies of the support set; a set made before may hold its own.

    Raises:
        UsageError: none does, and `defect_shots` asks for some.
    """
    used = any("references" in method.traits.needs for method in methods)
    if defect_shots and not used:
        names = " and ".join(method.name for method in methods)
        takers = ", ".join(name for name, entry in synthesizers.entries.items() if "references" in entry.traits.needs)
        told = f"{names} use{'s' if len(methods) == 1 else ''} no real anomalies, so {defect_shots} defect shots would do nothing"
        raise UsageError(f"{told}; expected none, or a method that uses them: {takers}")
    return used


def _refuse_unmet(methods: Sequence[Synthesizer], sources: Mapping[str, Sources], data: Dataset) -> None:
    needing = next((method.name for method in methods if "references" in method.traits.needs), None)
    bare = next((name for name, source in sources.items() if not source.support.anomalies), None)
    if needing and bare:
        remedy = "give it some with --defect-shots 1"
        if not data.defects(bare):
            remedy = (
                f"add photographs of defects with their masks to {data.root}, or choose a method that needs none, such as draem"
            )
        elif sources[bare].policy == NONE:
            remedy += f", and leave out --split {NONE}"
        raise NeedUnmet(needing, f"real anomalies of {bare}", remedy)


def make_one(
    synthesizer: Synthesizer,
    normal: Sample,
    seed: Seed,
    defect: str | None,
    size: tuple[int, int] | None,
    asked: AskedMask | None = None,
    dataset: str = "",
) -> Anomaly:
    """One anomaly from one normal, resized to `size` where one is given, with the size in its provenance.

    Where a mask is asked for, it is drawn here, and its family is added to what was drawn; where none fits, the normal stays.
    """
    source = normal.source
    pixels = CACHE.get(
        (id(source), size), lambda: source.image() if size is None else resize_image(source.image(), size), owner=source
    )
    resized = normal.with_pixels(pixels)
    place = None if asked is None else asked.draw(pixels, normal.id, seed, dataset)
    if asked is not None and place is None:
        return _unplaced(synthesizer, resized, seed, defect, size)
    request = Request(resized, seed, defect, None if place is None else place.mask)
    anomaly = synthesizer.synthesize([request])[0]
    drawn = anomaly.provenance.drawn if place is None else {**anomaly.provenance.drawn, "mask_family": place.family}
    return replace(anomaly, provenance=replace(anomaly.provenance, size=size, drawn=drawn))


def _unplaced(synthesizer: Synthesizer, normal: Sample, seed: Seed, defect: str | None, size: tuple[int, int] | None) -> Anomaly:
    """The normal, because no mask of the kind asked for fits into it."""
    pixels = normal.image()
    told = Provenance(
        method=synthesizer.name,
        recipe=synthesizer.recipe().model_dump(mode="json"),
        version=__version__,
        seed=seed.to_json(),
        normal_id=normal.id,
        defect=defect,
        status="no_placement",
        size=size,
    )
    return Anomaly(pixels.copy(), np.zeros(pixels.shape[:2], bool), GOOD, pixels, "normal", None, told)


def replay(line: str | Mapping[str, Any], data: Dataset) -> Anomaly:
    """Make the anomaly of one manifest line again: the very same pixels.

    Args:
        line: a line of `manifest.jsonl`, as text or decoded; one without a split policy is taken to be of `auto`.
        data: the data that it was made from.

    Raises:
        DamagedFile: the line is no manifest line.
        UnknownName: the data lacks the normal it started from.
        NeedUnmet: the caller had decided where the defect shall be, with a mask that the line does not say how to draw.
    """
    record = decoded(line)
    provenance = provenance_of(record)
    with _as_damage():
        asked = AskedMask.from_json(record.get("asked_mask"))
    if provenance.asked_mask_sha256 is not None and asked is None:
        raise NeedUnmet("replay", "the mask that was asked for", "send the same request with that mask")
    found = {sample.id: sample for sample in data.samples}
    name = str(provenance.normal_id)
    if name not in found:
        raise UnknownName("sample", name, found, f"the line was made from other data than {data.root}")
    normal = found[name]
    with _as_damage():
        seed = Seed.from_json(dict(provenance.seed))
        method = MethodRecipe.model_validate(provenance.recipe)
    with _as_damage():
        shots = Shots.parse(record.get("defect_shots", 0)).spelled()
    policy = str(record.get("split", AUTO))
    support = sources_of(data, normal.product, policy, seed.root, references=True, defect_shots=shots).support
    synthesizer = build_synthesizer(method).fit(support)
    anomaly = make_one(synthesizer, normal, seed, provenance.defect, provenance.size, asked, support.dataset)
    return replace(anomaly, provenance=replace(anomaly.provenance, component=provenance.component))


@contextmanager
def _as_damage() -> Iterator[None]:
    """Say of whatever cannot be read in the block that it is no manifest line."""
    try:
        yield
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise DamagedFile(f"this is no manifest line ({reason}); expected one line of manifest.jsonl: copy it whole") from error


def decoded(line: str | Mapping[str, Any]) -> dict[str, Any]:
    """A manifest line as a dictionary.

    Raises:
        DamagedFile: the line is no manifest line.
    """
    with _as_damage():
        record = dict(json.loads(line) if isinstance(line, str) else line)
        canonical_json(record).encode()  # so that it can be written again: no half of a letter, no infinity, no depth without end
        return record


def provenance_of(line: str | Mapping[str, Any]) -> Provenance:
    """The provenance in a manifest line.

    Raises:
        DamagedFile: the line is no manifest line.
    """
    with _as_damage():
        return Provenance.from_json(decoded(line)["provenance"])


def check_folder_name(name: str, what: str) -> None:
    """Refuse a name that cannot be one folder of a set; it may come from a file, and then be anything.

    Raises:
        BadParameter: it is empty, or would lead elsewhere.
    """
    if not isinstance(name, str) or name in ("", ".", "..") or any(sign in name for sign in "/\\\0") or name != name.strip():
        raise BadParameter(f"{what} is {name!r}; expected a name that can be a folder, as in scratch")
