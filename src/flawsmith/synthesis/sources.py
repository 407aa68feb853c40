"""The normals that synthesis starts from: those that a training with the same split policy and seed learns from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from flawsmith.core.errors import DataError, UnknownName
from flawsmith.core.samples import SupportSet
from flawsmith.data.dataset import Dataset
from flawsmith.data.policies import POLICIES
from flawsmith.data.splits import AUTO, make_split

NONE = "none"
"""The policy that starts from every normal outside the folder's own test and validation sides."""

LEARNABLE_SPLITS = ("train", "pool")


@dataclass(frozen=True)
class Sources:
    """Where the anomalies of one product start from.

    Args:
        support: the normals, as a support set.
        policy: of the split whose training side they are; `none`: there was no split.
        seed: of that split.
        digest: of that split, as in the `split.json` of `flawsmith train` before it sets normals aside; None without a split.
        left: how many normals of the product are not among them.
    """

    support: SupportSet
    policy: str
    seed: int
    digest: str | None
    left: int

    def to_json(self) -> dict[str, Any]:
        """The split as JSON values, for the record."""
        return {"policy": self.policy, "seed": self.seed, "digest": self.digest}


def sources_of(data: Dataset, product: str, policy: str = AUTO, seed: int = 0) -> Sources:
    """The normals of a product that synthesis may use.

    A folder's own train side stays as it is under `auto`, and so does one that `Split.apply` made.

    Args:
        data: from `flawsmith.load`.
        product: whose.
        policy: of the split, as in `flawsmith train`; `none`: every normal outside the folder's own test and validation sides.
        seed: of the split.

    Raises:
        UnknownName: no such policy or product.
        DataError: there is no such normal (E_EMPTY_SPLIT), or an anomaly in a training folder (E_ANOMALY_IN_TRAIN).
    """
    if policy not in (AUTO, NONE, *POLICIES):
        raise UnknownName("split policy", policy, (AUTO, NONE, *POLICIES))
    mine = data.of(product=product)
    normals = [sample for sample in mine.samples if sample.is_normal]
    usable = [sample for sample in normals if sample.split in LEARNABLE_SPLITS]
    if not usable:
        raise DataError(
            "E_EMPTY_SPLIT",
            f"{product} in {data.root} has no normal to start from; expected good images outside the test side",
        )
    if policy == NONE:
        support = SupportSet(tuple(usable), product=product, dataset=data.name)
        return Sources(support, NONE, seed, None, len(normals) - len(usable))
    try:
        split = make_split(mine, policy, seed=seed)
    except DataError as error:
        if error.code != "E_EMPTY_SPLIT":
            raise
        told = f"{error}; or choose the split {NONE}, which starts from every normal and keeps none for a test"
        raise DataError(error.code, told, error.files) from error
    chosen = tuple(sample for sample in split.on(mine, "train") if sample.is_normal)
    support = SupportSet(chosen, product=product, dataset=data.name)
    return Sources(support, split.policy, seed, split.digest, len(normals) - len(chosen))
