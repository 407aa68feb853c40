"""Which generated pictures are compared with which real ones: by product, and by kind of defect.

The generated side is a set that `flawsmith synth` or another tool wrote, or a plain folder: pictures, DEFECT/pictures or
PRODUCT/DEFECT/pictures, where `good` stands for normals. The real side is any data set.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from flawsmith.core.arrays import Image, Mask
from flawsmith.core.errors import DataError, UnknownName, UsageError
from flawsmith.core.samples import GOOD, UNKNOWN, Sample
from flawsmith.data.dataset import Dataset
from flawsmith.data.headers import read_header
from flawsmith.data.precomputed.masks import read_set_mask
from flawsmith.data.precomputed.opening import AUTO, LAYOUTS, open_set
from flawsmith.data.precomputed.pairs import HEADER, Listing, Pair
from flawsmith.data.reading import read_image
from flawsmith.data.resize import resize_mask_nearest
from flawsmith.data.tree import Folder, Tree, natural_key, scan

PLAIN = "plain"
"""The layout of a folder without masks."""

TEXTURES = "sdas"
"""The reader of sets that fits every folder of pictures, and is of no use here."""

SAME_TYPE, EVERY_TYPE, NORMALS = "the same type", "all types of the product", "normals"


@dataclass(frozen=True, eq=False)
class Picture:
    """One picture; nothing is read before it is asked for.

    Args:
        name: its file, for messages.
        image: reads uint8 H×W×3.
        mask: reads bool of the picture's size; None where there is none.
        source: reads the picture that it was made from; None where that is not known.
        format: reads the name of the file's format.
    """

    name: str
    image: Callable[[], Image]
    mask: Callable[[], Mask] | None = None
    source: Callable[[], Image] | None = None
    format: Callable[[], str] = lambda: "memory"


@dataclass(frozen=True, eq=False)
class Group:
    """What is measured together.

    Args:
        product: as the real data calls it.
        defect: as the generated side calls it.
        generated: its pictures.
        real: those that they are compared with.
        real_rule: which ones these are.
        references: the cluster centres of IC-LPIPS.
        reference_rule: which ones these are.
    """

    product: str
    defect: str
    generated: tuple[Picture, ...]
    real: tuple[Picture, ...]
    real_rule: str
    references: tuple[Picture, ...]
    reference_rule: str


@dataclass(frozen=True, eq=False)
class Generated:
    """The generated side.

    Args:
        pictures: (product or None, defect) → pictures.
        learned_from: product → what the generator learned from, as (defect, stem) or by id, among normals perhaps.
        notes: what a reader of results must know.
    """

    pictures: Mapping[tuple[str | None, str], tuple[Picture, ...]]
    learned_from: Mapping[str, frozenset[tuple[str, str] | str]]
    notes: tuple[str, ...]

    def of(self, product: str | None) -> Generated:
        """The pictures of one product, where there are some; those that tell no product stay."""
        kept = {key: pictures for key, pictures in self.pictures.items() if key[0] in (None, product)}
        return self if product is None or not kept else replace(self, pictures=kept)


def read_generated(root: Path, data: Dataset, layout: str = AUTO) -> Generated:
    """List the generated pictures; no image is opened.

    Args:
        root: the folder.
        data: the real data, where sources are looked up by their ids.
        layout: `auto`, `plain`, or a layout of synthetic sets.

    Raises:
        UnknownName: no such layout.
        DataError: the folder is missing (E_ROOT), fits two layouts or is too deep (E_LAYOUT), or its files do not pair (E_PAIRS).
        DamagedFile: a file that describes the set cannot be read.
    """
    names = [name for name in LAYOUTS if name != TEXTURES]
    if layout not in (AUTO, PLAIN, *names):
        raise UnknownName("layout of a synthetic set", layout, (AUTO, PLAIN, *names))
    tree = scan(root)
    fitting = [name for name in names if LAYOUTS[name].fits(tree)] if layout == AUTO else []
    if layout == PLAIN or (layout == AUTO and not fitting and HEADER not in tree.top.others):
        return _plain(tree, data)
    if len(fitting) > 1:
        told = " and as ".join(fitting)
        raise DataError("E_LAYOUT", f"{root} can be read as {told}; expected one: choose it with --synthetic-layout", [root])
    listing = open_set(root, layout)
    by_id = {sample.id: sample for sample in data.samples}
    found: dict[tuple[str | None, str], list[Picture]] = defaultdict(list)
    for pair in listing.pairs:
        found[pair.product, pair.defect].append(_of_pair(listing, pair, by_id))
    kept = {key: tuple(pictures) for key, pictures in found.items()}
    products = {*listing.real, *listing.trained_on}
    taught = {name: listing.real.get(name, frozenset()) | listing.trained_on.get(name, frozenset()) for name in products}
    return Generated(kept, taught, listing.notes)


def _of_pair(listing: Listing, pair: Pair, by_id: Mapping[str, Sample]) -> Picture:
    path = listing.root / pair.image
    source = None
    if pair.origin is not None:
        source = _reader(listing.root / pair.origin)
    elif (made_from := by_id.get(pair.source or "")) is not None:
        source = made_from.image
    return Picture(str(path), _reader(path), lambda: _mask(listing.root, pair), source, lambda: read_header(path).format)


def _reader(path: Path) -> Callable[[], Image]:
    return lambda: read_image(path)


def _mask(root: Path, pair: Pair) -> Mask:
    """The mask at its picture's size."""
    return resize_mask_nearest(read_set_mask(root / pair.mask, 0.5)[0], read_header(root / pair.image).size)


def _plain(tree: Tree, data: Dataset) -> Generated:
    found: dict[tuple[str | None, str], tuple[Picture, ...]] = {}
    for folder in tree.top.walk():
        if not folder.images:
            continue
        key = _told(tree, folder, data)
        found[key] = (*found.get(key, ()), *(_of_file(tree.root / folder.join(name)) for name in folder.images))
    if not found:
        raise DataError("E_LAYOUT", f"{tree.root} holds no image; expected generated pictures: check the path", [tree.root])
    return Generated(found, {}, ())


def _told(tree: Tree, folder: Folder, data: Dataset) -> tuple[str | None, str]:
    """(product, defect) that the place of a folder tells."""
    parts = folder.path.split("/") if folder.path else []
    if not parts:
        return None, UNKNOWN
    if len(parts) == 1:
        return (parts[0], UNKNOWN) if parts[0] in data.products and parts[0] not in data.defects() else (None, parts[0])
    if len(parts) == 2:
        return parts[0], parts[1]
    told = f"{tree.root / folder.path} lies too deep; expected pictures, DEFECT/pictures or PRODUCT/DEFECT/pictures"
    raise DataError("E_LAYOUT", f"{told}: give the folder that holds them", [tree.root / folder.path])


def _of_file(path: Path) -> Picture:
    return Picture(str(path), _reader(path), format=lambda: read_header(path).format)


def _of_sample(sample: Sample) -> Picture:
    header = getattr(sample.source, "header", None)
    kind = (lambda: str(header().format)) if header is not None else (lambda: "memory")
    mask = sample.mask if sample.has_mask and not sample.is_normal else None
    return Picture(sample.source.location, sample.image, mask, None, kind)


def match(generated: Generated, data: Dataset) -> tuple[list[Group], list[str]]:
    """(groups by product and kind of defect, notes on how they were matched).

    A kind that the real data does not have, such as the name of a method, is compared with all anomalies of the product.

    Raises:
        UsageError: the generated side names no product, and the real data has several.
        UnknownName: a product that the real data does not have.
    """
    homes = _products({product for product, _ in generated.pictures}, data)
    groups: dict[tuple[str, str], Group] = {}
    notes = []
    for (product, defect), pictures in generated.pictures.items():
        home = homes[product]
        rule, real = _real_of(home, defect, data)
        references, reference_rule = _references(real, generated.learned_from.get(product or home, frozenset()), rule)
        if references is not real:
            told = (
                f"{home} {defect}: {len(references)} of the {len(real)} real pictures are those that the generator learned from"
            )
            notes.append(f"{told}; they are among those that it is compared with, and the clusters of ic_lpips lie around them")
        if rule == EVERY_TYPE:
            notes.append(f"{defect} is no type of {home} in {data.name}: it is compared with all {len(real)} anomalies")
        before = groups[home, defect].generated if (home, defect) in groups else ()
        everything = {id(sample): _of_sample(sample) for sample in real}
        all_real = tuple(everything.values())
        groups[home, defect] = Group(
            product=home,
            defect=defect,
            generated=(*before, *pictures),
            real=all_real,
            real_rule=rule,
            references=all_real if references is real else tuple(everything[id(sample)] for sample in references),
            reference_rule=reference_rule,
        )
    order = sorted(groups, key=lambda key: (natural_key(key[0]), natural_key(key[1])))
    return [groups[key] for key in order], notes


def _products(told: set[str | None], data: Dataset) -> dict[str | None, str]:
    """Product of the generated side → product of the real data."""
    homes: dict[str | None, str] = {}
    for product in told:
        if product is not None and product in data.products:
            homes[product] = product
        elif len(data.products) == 1 and len(told) == 1:
            homes[product] = data.products[0]
        elif product is None:
            there = ", ".join(data.products)
            raise UsageError(f"the generated pictures tell no product, and the real data has {there}; choose one with --product")
        else:
            raise UnknownName("product", product, data.products, "the real data has others than the generated pictures")
    return homes


def _real_of(product: str, defect: str, data: Dataset) -> tuple[str, list[Sample]]:
    mine = [sample for sample in data.samples if sample.product == product]
    if defect == GOOD:
        return NORMALS, [sample for sample in mine if sample.is_normal]
    anomalies = [sample for sample in mine if not sample.is_normal]
    same = [sample for sample in anomalies if sample.defect.casefold() == defect.casefold()]
    return (SAME_TYPE, same) if same else (EVERY_TYPE, anomalies)


def _references(real: Sequence[Sample], taught: Collection[tuple[str, str] | str], rule: str) -> tuple[Sequence[Sample], str]:
    """The real pictures that the generator learned from; all, where it learned from none or does not say."""
    known = [sample for sample in real if sample.id in taught or (sample.defect, sample.id.rpartition("/")[2]) in taught]
    if known:
        return known, f"those of {rule} that the generator learned from"
    return real, f"all real ones of {rule}, since none is known to have taught the generator"
