"""A data set: its samples in their order, and what is known of it as a whole."""

from __future__ import annotations

from abc import abstractmethod
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from flawsmith.core.errors import DataError, NoPixelTruth, UnknownName
from flawsmith.core.samples import GOOD, Sample, SplitName
from flawsmith.data.tree import natural_key


class SampleTable(Sequence[Sample]):
    """Samples kept as columns, for lists too long for one object per row; each sample is built when it is asked for."""

    @abstractmethod
    def counts(self) -> dict[tuple[str, SplitName, str], int]:
        """(product, split, defect) → number of samples, in the order of the samples."""

    @abstractmethod
    def of(self, product: str | None, split: SplitName | None) -> SampleTable:
        """The part that belongs to a product, to a split, or to both."""

    @abstractmethod
    def mask_rules(self) -> set[str]:
        """How the masks of the anomalies are read; empty where no anomaly has one."""


ANY_DEFECT = "all defects"
"""In `Dataset.expected`: the anomalies of a product together, where the count of each defect is not published."""


@dataclass(frozen=True)
class Dataset:
    """What a layout reads from a folder; everything after it sees only this.

    Args:
        name: short name, such as `mtd`, or the folder's.
        root: where it lies.
        layout: the layout that read it, with its options.
        samples: sorted by product, split, defect, natural order of the stem; a tuple, or a `SampleTable`.
        licence: of the images.
        citation: what to cite.
        default_split: policy that `auto` takes where the folder has no train and test of its own.
        notes: what a reader of the data should know.
        pixel_truth: whether this kind of data can have masks at all.
        expected: (product, defect) → number of images of the complete data set, where it is a known one; under `ANY_DEFECT` that
            of all anomalies.
        classes: product → its defects in the order of their class ids 1, 2, …, where the source declares one.
        combined: defects that stand for several at once; such images are left out of classification.
        classes_released: whether `classes` are those of a published release, of which this may be a part; what users declare
            themselves they must have.
        flags: what a reader of results must know of its train and test sides; every split carries them.
    """

    name: str
    root: Path
    layout: str
    samples: Sequence[Sample] = field(repr=False)
    licence: str = "not stated"
    citation: str = ""
    default_split: str = "grouped"
    notes: tuple[str, ...] = ()
    pixel_truth: bool = True
    expected: Mapping[tuple[str, str], int] = field(default_factory=dict, repr=False, hash=False)
    classes: Mapping[str, tuple[str, ...]] = field(default_factory=dict, repr=False, hash=False)
    combined: frozenset[str] = frozenset()
    classes_released: bool = False
    flags: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.samples)

    @property
    def products(self) -> tuple[str, ...]:
        """Names of the products, naturally sorted."""
        return tuple(sorted({name for name, _, _ in self.counts()}, key=natural_key))

    def defects(self, product: str | None = None) -> tuple[str, ...]:
        """Names of the defects of one product or all, naturally sorted; `good` is none of them."""
        mine = {defect for name, _, defect in self.counts() if product in (None, name)}
        return tuple(sorted(mine - {GOOD}, key=natural_key))

    @property
    def has_masks(self) -> bool:
        """Whether the pixel truth of at least one anomaly is known."""
        if isinstance(self.samples, SampleTable):
            return bool(self.samples.mask_rules())
        return any(sample.has_mask for sample in self.samples if not sample.is_normal)

    @property
    def mask_rule(self) -> str:
        """How mask values become defect pixels, for the record of a pixel metric."""
        if isinstance(self.samples, SampleTable):
            rules = self.samples.mask_rules()
        else:
            rules = {sample.source.mask_rule for sample in self.samples if not sample.is_normal and sample.has_mask}
        return ", ".join(sorted(rules)) or "no masks"

    def counts(self) -> dict[tuple[str, SplitName, str], int]:
        """(product, split, defect) → number of images, in the order of the samples."""
        if isinstance(self.samples, SampleTable):
            return self.samples.counts()
        return dict(Counter((sample.product, sample.split, sample.defect) for sample in self.samples))

    def of(self, product: str | None = None, split: SplitName | None = None) -> Dataset:
        """The part that belongs to a product, to a split, or to both.

        Raises:
            UnknownName: no such product.
        """
        if product is not None and product not in self.products:
            raise UnknownName("product", product, self.products)
        if isinstance(self.samples, SampleTable):
            return replace(self, samples=self.samples.of(product, split))
        kept = (sample for sample in self.samples if product in (None, sample.product) and split in (None, sample.split))
        return replace(self, samples=tuple(kept))

    def without_masks(self) -> list[str]:
        """Images of anomalies whose mask is missing (not those whose mask is known to be blank)."""
        return [sample.source.location for sample in self.samples if not sample.has_mask and "blank_mask" not in sample.tags]

    def require_masks(self) -> None:
        """Refuse a data set in which an anomaly has no mask.

        Raises:
            NoPixelTruth: this kind of data has no masks (E_NO_PIXEL_GT).
            DataError: E_MISSING_MASK, listing the images.
        """
        if not self.pixel_truth:
            raise NoPixelTruth(f"{self.name} has no pixel masks; expected pixel ground truth: use image-level metrics for it")
        bare = self.without_masks()
        if bare:
            raise DataError("E_MISSING_MASK", missing_mask(bare), bare)


def missing_mask(bare: list[str]) -> str:
    """The message about anomalies without a mask."""
    return (
        f"{bare[0]} has no mask ({len(bare)} such images); expected one for each anomaly: add it under ground_truth/, masks/ "
        f"or mask/ as STEM_mask.png, or use image-level metrics"
    )


def sort_key(sample: Sample) -> tuple[object, ...]:
    """Order of samples: product, split, defect, then the natural order of the id."""
    return natural_key(sample.product), sample.split, natural_key(sample.defect), natural_key(sample.id)
