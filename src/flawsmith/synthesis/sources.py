"""What synthesis starts from: the normals, and where asked for the real anomalies, that a training with the same split policy,
seed and number of defect shots learns from."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from flawsmith.core.errors import DataError, UnknownName
from flawsmith.core.samples import Sample, SupportSet
from flawsmith.data.dataset import Dataset
from flawsmith.data.policies import POLICIES
from flawsmith.data.splits import AUTO, Split, draw_anomalies, make_split, support_set

NONE = "none"
"""The policy that starts from every normal outside the folder's own test and validation sides."""

LEARNABLE_SPLITS = ("train", "pool")


@dataclass(frozen=True)
class Sources:
    """Where the anomalies of one product start from.

    Args:
        support: the normals, and the real anomalies where methods use them, as a support set.
        policy: of the split whose training side they are; `none`: there was no split.
        seed: of that split.
        digest: of that split once the anomalies drawn have left its test, as in the `split.json` of `flawsmith train` before it
            sets normals aside; None without a split.
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


def sources_of(
    data: Dataset, product: str, policy: str = AUTO, seed: int = 0, *, references: bool = False, defect_shots: int = 0
) -> Sources:
    """The normals of a product that synthesis may use, and its real anomalies.

    A folder's own train side stays as it is under `auto`, and so does one that `Split.apply` made.

    Args:
        data: from `flawsmith.load`.
        product: whose.
        policy: of the split, as in `flawsmith train`; `none`: every normal outside the folder's own test and validation sides.
        seed: of the split.
        references: real anomalies are wanted: those on the folder's own train side, which nothing tests on, are taken along.
        defect_shots: number of real anomalies of each defect, drawn and kept from the test as a training does; under `none` they
            are drawn from all outside the folder's own test side, and 0 takes all of those.

    Raises:
        UnknownName: no such policy or product.
        DataError: there is no such normal (E_EMPTY_SPLIT), an anomaly in a training folder (E_ANOMALY_IN_TRAIN), or fewer
            anomalies than asked for (E_FEW).
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
        anomalies = _outside_the_test(mine, defect_shots, seed) if references else ()
        support = SupportSet(tuple(usable), anomalies, product=product, dataset=data.name)
        return Sources(support, NONE, seed, None, len(normals) - len(usable))
    given = _given(mine, policy) if references else ()
    kept = {sample.id for sample in given}
    rest = replace(mine, samples=tuple(sample for sample in mine.samples if sample.id not in kept))
    support, split = _as_training(rest, product, policy, seed, defect_shots)
    support = replace(support, anomalies=(*given, *support.anomalies))
    return Sources(support, split.policy, seed, split.digest, len(normals) - len(support.normals))


def _as_training(data: Dataset, product: str, policy: str, seed: int, defect_shots: int) -> tuple[SupportSet, Split]:
    try:
        split = make_split(data, policy, seed=seed)
        return support_set(data, split, product=product, defect_shots=defect_shots, seed=seed)
    except DataError as error:
        remedies = {
            "E_EMPTY_SPLIT": f"the split {NONE}, which starts from every normal and keeps none for a test",
            "E_FEW": f"the split {NONE}, which keeps no anomaly for a test",
        }
        if error.code not in remedies:
            raise
        raise DataError(error.code, f"{error}; or choose {remedies[error.code]}", error.files) from error


def _given(data: Dataset, policy: str) -> tuple[Sample, ...]:
    """The anomalies on the train side that the folder itself has: they are there to be learned from."""
    if policy not in (AUTO, "folder"):
        return ()
    return tuple(sample for sample in data.samples if not sample.is_normal and sample.split == "train")


def _outside_the_test(data: Dataset, defect_shots: int, seed: int) -> tuple[Sample, ...]:
    """Anomalies outside the folder's own test and validation sides: all of them, or so many of each defect."""
    usable = [sample for sample in data.samples if not sample.is_normal and sample.split in LEARNABLE_SPLITS]
    if defect_shots == 0:
        return tuple(usable)
    drawn = []
    for defect in replace(data, samples=tuple(usable)).defects():
        drawn += draw_anomalies([sample for sample in usable if sample.defect == defect], defect_shots, seed, defect)
    return tuple(drawn)
