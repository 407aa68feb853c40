"""What a synthetic set consists of, and the contract of its layouts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from flawsmith.data.tree import Tree, natural_key

HEADER = "synth.json"
"""The file by which a set written by `flawsmith synth`, or one in the native layout, is known."""

NO_SHA256: Mapping[str, str] = {}


@dataclass(frozen=True)
class Pair:
    """One synthetic anomaly. Paths are relative to the set's folder.

    Args:
        product: as the set calls it; None where it names none.
        defect: its kind; `unknown` where the set tells none.
        image: the picture with the defect.
        mask: where the defect is.
        origin: the same picture without it, where there is one.
        source: the photograph that it was made from, where the set tells.
        sha256: path → digest that the set notes of its files.
    """

    product: str | None
    defect: str
    image: str
    mask: str
    origin: str | None = None
    source: str | None = None
    sha256: Mapping[str, str] = field(default_factory=lambda: NO_SHA256, compare=False, repr=False)

    @property
    def files(self) -> dict[str, str]:
        """Kind → path: image, mask, and origin where there is one."""
        found = {"image": self.image, "mask": self.mask, "origin": self.origin}
        return {kind: path for kind, path in found.items() if path is not None}


@dataclass(frozen=True)
class Listing:
    """What a layout reads from the names in a folder.

    Args:
        root: the folder.
        layout: who read it.
        pairs: all of them; `sorted_pairs` puts them in their order.
        uses_real_anomalies: the set was made with real defects.
        tells: whether the set says what it was made from.
        trained_on: product → ids of the samples that it was made from.
        named: product → more of them, known by a part of their path.
        real: product → (defect, stem) of the real anomalies that its generator learned from, where the set tells.
        notes: what a reader of results must know.
    """

    root: Path
    layout: str
    pairs: tuple[Pair, ...]
    uses_real_anomalies: bool
    tells: bool = False
    trained_on: Mapping[str, frozenset[str]] = field(default_factory=dict)
    named: Mapping[str, frozenset[str]] = field(default_factory=dict)
    real: Mapping[str, frozenset[tuple[str, str]]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def products(self) -> tuple[str, ...]:
        """Names of the products, naturally sorted; empty where the set names none."""
        return tuple(sorted({pair.product for pair in self.pairs if pair.product is not None}, key=natural_key))


class SetLayout(Protocol):
    """A way to lay out a synthetic set."""

    name: str

    def fits(self, tree: Tree) -> str:
        """Why the folder is of this kind; empty where it is not."""
        ...

    def expects(self) -> str:
        """What such a folder looks like, for messages."""
        ...

    def read(self, tree: Tree) -> Listing:
        """List the pairs; no image is opened.

        Raises:
            DataError: E_PAIRS: images, masks and origins do not belong together; E_LAYOUT: the folder is not of this kind.
            DamagedFile: a file that describes the set cannot be read.
        """
        ...


def sorted_pairs(pairs: list[Pair]) -> tuple[Pair, ...]:
    """In an order that does not depend on how the disk lists them: product, defect, natural order of the image's path."""
    return tuple(sorted(pairs, key=lambda p: (natural_key(p.product or ""), natural_key(p.defect), natural_key(p.image))))
