"""What synthesis starts from: the normals, and where asked for the real anomalies, that a training with the same split policy,
seed and number of defect shots learns from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from flawsmith.core.errors import DataError
from flawsmith.core.samples import Sample, SupportSet
from flawsmith.data.dataset import Dataset
from flawsmith.data.policies import Option
from flawsmith.data.splits import AUTO, Split, is_stored, make_split, parse_policy, policy_of, refuse_unknown_policy
from flawsmith.data.support import draw_anomalies, refuse_copies, shots_of, support_set

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
        options: of that split, the shots among them.
        flags: of that split: what a reader of results must know.
    """

    support: SupportSet
    policy: str
    seed: int
    digest: str | None
    left: int
    options: Mapping[str, Option] = field(default_factory=dict)
    flags: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The split as JSON values, for the record."""
        told = {"policy": self.policy, "seed": self.seed, "digest": self.digest}
        return {**told, "options": dict(self.options), "flags": list(self.flags)}


def sources_of(
    data: Dataset, product: str, policy: str = AUTO, seed: int = 0, *, references: bool = False, defect_shots: int | str = 0
) -> Sources:
    """The normals of a product that synthesis may use, and its real anomalies.

    A folder's own train side stays as it is under `auto`, and so does one that `Split.apply` made.

    Args:
        data: from `flawsmith.load`.
        product: whose.
        policy: of the split, or its file, as in `flawsmith train`; `none`: every normal outside the folder's own test and
            validation sides.
        seed: of the split.
        references: real anomalies are wanted: those on the folder's own train side, which nothing tests on, are taken along.
        defect_shots: number of real anomalies of each defect, or words (`core.shots`), drawn and kept from the test as a training
            does; under `none` they are drawn from all outside the folder's own test side, and 0 takes all of those.

    Raises:
        UnknownName: no such policy or product.
        DataError: there is no such normal (E_EMPTY_SPLIT), an anomaly in a training folder (E_ANOMALY_IN_TRAIN), or fewer
            anomalies than asked for (E_FEW).
    """
    refuse_unknown_policy(policy, (NONE,))
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
    if shots_of(defect_shots).third:
        refuse_copies(support.anomalies, (sample for sample in split.on(rest, "test") if not sample.is_normal))
    support = replace(support, anomalies=(*given, *support.anomalies))
    left = len(normals) - len(support.normals)
    return Sources(support, split.policy, seed, split.digest, left, split.options, split.flags)


def _as_training(data: Dataset, product: str, policy: str, seed: int, defect_shots: int | str) -> tuple[SupportSet, Split]:
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
    if is_stored(policy) or policy_of(data, parse_policy(policy)[0]) != "folder":
        return ()
    return tuple(sample for sample in data.samples if not sample.is_normal and sample.split == "train")


def _outside_the_test(data: Dataset, defect_shots: int | str, seed: int) -> tuple[Sample, ...]:
    """Anomalies outside the folder's own test and validation sides: all of them, or so many of each defect."""
    usable = [sample for sample in data.samples if not sample.is_normal and sample.split in LEARNABLE_SPLITS]
    shots = shots_of(defect_shots)
    if not shots:
        return tuple(usable)
    drawn = []
    for defect in replace(data, samples=tuple(usable)).defects():
        drawn += draw_anomalies([sample for sample in usable if sample.defect == defect], shots, seed, defect)
    return tuple(drawn)
