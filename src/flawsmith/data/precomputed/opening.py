"""From a folder to the pairs that can be used: find the layout, list, choose, open everything once, and say what was left out."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from flawsmith.core.errors import BadParameter, DataError, UnknownName
from flawsmith.core.files import canonical_json, sha256_bytes
from flawsmith.core.progress import track
from flawsmith.core.samples import GOOD
from flawsmith.data.headers import read_header
from flawsmith.data.precomputed.anomalydiffusion import AnomalyDiffusionLayout
from flawsmith.data.precomputed.dfmgan import DfmganLayout
from flawsmith.data.precomputed.masks import read_set_mask
from flawsmith.data.precomputed.native import NativeLayout
from flawsmith.data.precomputed.pairs import Listing, Pair, SetLayout
from flawsmith.data.precomputed.textures import SdasLayout
from flawsmith.data.precomputed.triplet import TripletLayout
from flawsmith.data.tree import Tree, natural_key, scan

AUTO = "auto"
LayoutName = Literal["auto", "native", "anomalydiffusion", "dfmgan", "asbench-triplet", "sdas"]
OnEmptyMask = Literal["skip", "normal", "error"]

LAYOUTS: Mapping[str, SetLayout] = {
    layout.name: layout for layout in (NativeLayout(), AnomalyDiffusionLayout(), DfmganLayout(), TripletLayout(), SdasLayout())
}
"""In the order in which `auto` probes them."""

FULL = 0.95
"""Share of the picture from which a mask counts as covering all of it; the anomaly stream takes none that is larger."""


def open_set(root: Path, layout: str = AUTO) -> Listing:
    """Find the layout of a synthetic set and list its pairs; no image is opened.

    Raises:
        DataError: the folder is missing (E_ROOT), fits no layout or two (E_LAYOUT), or its files do not pair (E_PAIRS).
        UnknownName: no such layout.
        DamagedFile: a file that describes the set cannot be read.
    """
    if layout not in (AUTO, *LAYOUTS):
        raise UnknownName("layout of a synthetic set", layout, (AUTO, *LAYOUTS))
    tree = scan(root)
    listing = (_recognised(tree) if layout == AUTO else LAYOUTS[layout]).read(tree)
    if not listing.pairs:
        raise DataError("E_PAIRS", f"{root} holds no anomaly; expected {LAYOUTS[listing.layout].expects()}", [root])
    return listing


def _recognised(tree: Tree) -> SetLayout:
    fitting = [(layout, why) for layout in LAYOUTS.values() if (why := layout.fits(tree))]
    if len(fitting) == 1:
        return fitting[0][0]
    if not fitting:
        told = "; ".join(f"{layout.name}: {layout.expects()}" for layout in LAYOUTS.values())
        raise DataError("E_LAYOUT", f"{tree.root} is no synthetic set of a known layout; expected one of {told}", [tree.root])
    told = "; or ".join(f"{layout.name}: {why}" for layout, why in fitting)
    names = "|".join(layout.name for layout, _ in fitting)
    raise DataError(
        "E_LAYOUT",
        f"{tree.root} can be read in {len(fitting)} ways: {told}; expected one: choose it with --set precomputed.layout={names}",
        [tree.root],
    )


def choose(
    listing: Listing, product: str | None = None, types: Sequence[str] | None = None, max_per_type: int | None = None
) -> tuple[Pair, ...]:
    """The pairs of one product and of some types, the first ones of each type.

    Args:
        listing: from `open_set`.
        product: as the set calls it; ignored where the set names none.
        types: kinds of defect; None: all.
        max_per_type: None: no limit.

    Raises:
        UnknownName: no such product or type; the message lists what there is.
        BadParameter: a type is `good`.
    """
    pairs = listing.pairs
    if listing.products:
        if product not in listing.products:
            raise UnknownName("product", str(product), listing.products, _holds(listing.root, listing.products))
        pairs = tuple(pair for pair in pairs if pair.product == product)
    there = sorted({pair.defect for pair in pairs}, key=natural_key)
    for name in types or ():
        if name == GOOD:
            raise BadParameter(f"types holds {GOOD!r}, the name of normals; expected kinds of defect: {', '.join(there)}")
        if name not in there:
            raise UnknownName("type of defect", name, there, _holds(listing.root, there))
    count: Counter[str] = Counter()
    chosen = []
    for pair in pairs:
        count[pair.defect] += 1
        if (types is None or pair.defect in types) and (max_per_type is None or count[pair.defect] <= max_per_type):
            chosen.append(pair)
    return tuple(chosen)


def _holds(root: Path, names: Sequence[str]) -> str:
    return f"{root} holds {', '.join(names)}"


@dataclass(frozen=True)
class Usable:
    """The pairs that passed.

    Args:
        pairs: with a mask that marks something, and not everything.
        normals: with an empty mask, where those were asked to stand for normals.
        notes: what was left out or read in an unusual way, one sentence each.
        state: digest of the names, sizes and times of change of their files.
    """

    pairs: tuple[Pair, ...]
    normals: tuple[Pair, ...]
    notes: tuple[str, ...]
    state: str

    @property
    def twins(self) -> bool:
        """Whether every pair has its origin."""
        return all(pair.origin is not None for pair in (*self.pairs, *self.normals))


def validate(root: Path, pairs: Sequence[Pair], threshold: float = 0.5, on_empty_mask: OnEmptyMask = "skip") -> Usable:
    """Open every mask, and the header of every image and origin, once.

    Args:
        root: the set's folder.
        pairs: from `choose`.
        threshold: share of full white above which a mask's pixel is defect.
        on_empty_mask: what becomes of a pair whose mask marks nothing: `skip` it, take it for a `normal`, or raise an `error`.
            A mask over all of the picture is always skipped, or an error.

    Raises:
        DataError: a file cannot be read (E_CORRUPT, E_MODE), a mask is empty and that is an error, or all masks are empty or
            cover everything (E_EMPTY_MASK, E_MASK_VALUES).
    """
    kinds: dict[str, list[Pair]] = defaultdict(list)
    odd: dict[str, list[str]] = defaultdict(list)
    for pair in track(pairs, "checking the set"):
        area = _area(root, pair, threshold, odd)
        kind = "empty" if area == 0 else "full" if area > FULL else "good"
        if kind != "good" and on_empty_mask == "error":
            raise _refusal(root, [pair], kind, 1)
        kinds[kind].append(pair)
    if not kinds["good"]:
        kind = "empty" if kinds["empty"] else "full"
        raise _refusal(root, kinds[kind], kind, len(pairs))
    normals = tuple(kinds["empty"]) if on_empty_mask == "normal" else ()
    notes = (*_left_out(kinds, on_empty_mask), *_oddities(odd))
    return Usable(tuple(kinds["good"]), normals, notes, _state(root, pairs))


def _area(root: Path, pair: Pair, threshold: float, odd: dict[str, list[str]]) -> float:
    """The share of the picture that the mask covers; what is unusual about the files is noted in `odd`."""
    image = read_header(root / pair.image)
    mask, header = read_set_mask(root / pair.mask, threshold)
    if header.mode == "P":
        odd["palette"].append(pair.mask)
    if mask.shape != image.size:
        odd["mask size"].append(pair.mask)
    if pair.origin is not None and read_header(root / pair.origin).size != image.size:
        odd["origin size"].append(pair.origin)
    return float(mask.mean())


def _refusal(root: Path, pairs: Sequence[Pair], kind: str, number: int) -> DataError:
    files = [root / pair.mask for pair in pairs]
    marked = "nothing" if kind == "empty" else f"over {FULL:.0%} of the picture"
    told = f"{files[0]} marks {marked}"
    if number > 1:
        told = f"none of the {number} masks of {root} can be used: {told}"
    remedy = "check the masks and mask_threshold" if kind == "empty" else "are the masks inverted?"
    code = "E_EMPTY_MASK" if kind == "empty" else "E_MASK_VALUES"
    return DataError(code, f"{told}; expected the defect in white on black: {remedy}", files)


def _left_out(kinds: Mapping[str, Sequence[Pair]], on_empty_mask: OnEmptyMask) -> Iterator[str]:
    total = sum(map(len, kinds.values()))
    if kinds["empty"]:
        becomes = "stand for normals" if on_empty_mask == "normal" else "are left out"
        yield f"{len(kinds['empty'])} of {total} pairs have an empty mask and {becomes}, such as {kinds['empty'][0].mask}"
    if kinds["full"]:
        first = kinds["full"][0].mask
        yield f"{len(kinds['full'])} of {total} masks cover over {FULL:.0%} of the picture and are left out, such as {first}"


def _oddities(odd: Mapping[str, Sequence[str]]) -> Iterator[str]:
    told: dict[str, Callable[[int], str]] = {
        "palette": lambda n: f"{n} masks have a colour palette; every index but 0 is read as defect",
        "mask size": lambda n: f"{n} masks have another size than their image and are resized to it, by nearest pixel",
        "origin size": lambda n: f"{n} origins have another size than their image and are resized to it",
    }
    for kind, files in odd.items():
        yield f"{told[kind](len(files))}, such as {files[0]}"


def _state(root: Path, pairs: Sequence[Pair]) -> str:
    stamps = []
    for path in sorted({path for pair in pairs for path in pair.files.values()}):
        status = (root / path).stat()
        stamps.append([path, status.st_size, status.st_mtime_ns])
    return sha256_bytes(canonical_json(stamps).encode())
