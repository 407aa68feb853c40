"""What an inspector is worth on images it has never seen: metrics with their protocol record, and every single result."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch

from flawsmith import __version__
from flawsmith.core.errors import DataError, NoPixelTruth, UnknownName
from flawsmith.core.progress import track
from flawsmith.core.samples import Sample
from flawsmith.data.dataset import Dataset
from flawsmith.data.fingerprints import Fingerprint, fingerprint, turned_digest
from flawsmith.data.good_masks import refuse_marked_normals
from flawsmith.data.leakage import find_leaks
from flawsmith.data.problems import raise_errors
from flawsmith.data.scales import refuse_other_scale
from flawsmith.inspection.inspector import Inspector
from flawsmith.inspection.kinds import DERIVED, measure_kinds
from flawsmith.inspection.looking import ImageResult, Look, look
from flawsmith.inspection.measuring import Stamp, measure, pixel_resamples_of
from flawsmith.inspection.protocols import HONEST, OWN, RELEASED, Geometry, geometry_of
from flawsmith.inspection.spool import BUDGET
from flawsmith.learning.threads import use_threads
from flawsmith.metrics import METRIC_IDS
from flawsmith.metrics.extra import refuse_unknown
from flawsmith.metrics.records import MetricValue
from flawsmith.metrics.steps import Floats

__all__ = ["Chosen", "Evaluation", "ImageResult", "choose_test_images", "environment", "evaluate", "split_record"]


@dataclass(frozen=True, eq=False)
class Evaluation:
    """Everything a report shows.

    Args:
        name: what to call it.
        detector: registry name.
        dataset: of the test images.
        product: of the test images.
        protocol: `honest`: nothing of the test set touched training, selection, threshold or scores; or `as_released`.
        metrics: by id of docs/metrics.md, each with its record.
        per_defect: the same for each defect against all normals.
        results: one per test image, in the data set's order.
        threshold: of the verdicts.
        threshold_source: where it came from.
        recipe: the training recipe, JSON-able.
        split: policy, seed, digest, flags and counts.
        timings: seconds and milliseconds by name.
        command: what makes it again.
        environment: versions and machine.
        licence: of the data, with its citation.
        warnings: what a reader must know.
        layout: that read the test images, with its options.
        curves: points of `image_roc`, `image_pr`, `pixel_roc`, `pixel_pr` and `pixel_pro` as (x, y); those that are defined.
    """

    name: str
    detector: str
    dataset: str
    product: str
    protocol: str
    metrics: Mapping[str, MetricValue]
    per_defect: Mapping[str, Mapping[str, MetricValue]]
    results: tuple[ImageResult, ...]
    threshold: float
    threshold_source: str
    recipe: Mapping[str, Any]
    split: Mapping[str, Any]
    timings: Mapping[str, float]
    command: str
    environment: Mapping[str, str]
    licence: str
    warnings: tuple[str, ...]
    layout: str = ""
    curves: Mapping[str, tuple[Floats, Floats]] = field(default_factory=dict, repr=False)

    def __getitem__(self, metric: str) -> float:
        """The value of a metric; NaN where undefined.

        Raises:
            UnknownName: no such metric.
        """
        if metric not in self.metrics:
            raise UnknownName("metric", metric, list(self.metrics))
        return self.metrics[metric].value

    @property
    def protocol_told(self) -> str:
        """The protocol, and the code that it follows: `as_released:draem (VitjanZ/DRAEM, …)`."""
        record = next((value.record for value in self.metrics.values()), None)
        family, _, code = (record.details.get(RELEASED, "") if record else "").partition(": ")
        return f"{self.protocol}:{family} ({code})" if family else self.protocol

    def to_json(self) -> dict[str, Any]:
        """Metrics with their records, verdict counts and one line per image; undefined values are null with a reason."""
        return {
            "name": self.name,
            "detector": self.detector,
            "dataset": self.dataset,
            "layout": self.layout,
            "product": self.product,
            "protocol": self.protocol,
            "metrics": {name: value.to_json() for name, value in self.metrics.items()},
            "per_defect": {
                defect: {name: value.to_json() for name, value in values.items()} for defect, values in self.per_defect.items()
            },
            "threshold": {"value": self.threshold, "source": self.threshold_source},
            "recipe": dict(self.recipe),
            "split": dict(self.split),
            "timings": dict(self.timings),
            "command": self.command,
            "environment": dict(self.environment),
            "licence": self.licence,
            "warnings": list(self.warnings),
            "images": [
                {
                    "id": result.sample.id,
                    "defect": result.sample.defect,
                    "score": result.prediction.score,
                    "verdict": result.prediction.verdict,
                }
                for result in self.results
            ],
        }


def evaluate(
    inspector: Inspector,
    data: Dataset,
    *,
    require: Sequence[str] = (),
    name: str = "",
    command: str = "",
    protocol: str = "honest",
    geometry: Geometry = HONEST,
    memory: int = BUDGET,
    pixel_resamples: int | None = None,
) -> Evaluation:
    """Run an inspector over the test images of `data`.

    Where `data` is what the inspector was trained on, wherever it lies now, the test images are those of its own split. In other
    data they are all of the product that the folder does not mark as training or validation.

    Args:
        inspector: a trained inspector.
        data: the data set it was trained on, or another folder of the same product.
        require: metric ids that must be defined; those beyond the standard ones are measured because they are asked for.
        name: what to call the result; empty: the detector and the product.
        command: what the user typed, for the record.
        protocol: `honest`; `as_released`: as the detector's original code evaluates, to compare with its published numbers;
            `as_released:NAME`: as one of `flawsmith.inspection.protocols.FAMILIES`.
        geometry: resolution, mask rule, image score and AUPRO by hand; only with `honest`.
        memory: bytes of anomaly maps and masks that are held; more goes to a temporary file.
        pixel_resamples: bootstrap draws behind the intervals of pixel metrics; None: as for image metrics, up to 50 million
            pixels, and none beyond.

    Raises:
        DataError: no test image (E_EMPTY_SPLIT), one that the inspector was trained on (E_DUPLICATE) or whose group is
            (E_GROUP), that is synthetic (E_SYNTHETIC), has two labels (E_LABEL_CONFLICT) or is good and marked
            (E_MASK_ON_NORMAL), or images scaled in another way than those of the training were (E_MODE).
        NoPixelTruth: a required pixel metric has no masks to be measured on.
        UnknownName: a required metric or a protocol does not exist.
        BadParameter: the detector has no as_released protocol, or a geometry was given beside it.
        OutputError: the temporary folder is full.
    """
    for metric in require:
        if metric not in DERIVED:
            refuse_unknown(metric, (*METRIC_IDS, *DERIVED))
    chosen = geometry_of(protocol, inspector.detector.name, geometry)
    refuse_other_scale(inspector.origin.scale, data)
    side = choose_test_images(inspector, data)
    refuse_marked_normals(side.samples)
    _refuse_without_truth(side.samples, require)
    with use_threads() as threads:
        seen = look(inspector, side.samples, chosen, memory)
    stamp = Stamp(protocol.partition(":")[0], test_digest(inspector, side), data.mask_rule, chosen)
    measured = _measured(inspector, data, side, seen, stamp, require, pixel_resamples_of(seen, pixel_resamples))
    _refuse_undefined(measured, require)
    return replace(
        measured,
        name=name or measured.name,
        command="\n".join(part for part in (inspector.origin.command, command) if part),
        environment={**environment(), "threads": str(threads)},
    )


@dataclass(frozen=True)
class Chosen:
    """The images to test on.

    Args:
        samples: at least one.
        own: they are the test side of the inspector's own split.
        warnings: what was left out, or differs from training.
    """

    samples: tuple[Sample, ...]
    own: bool
    warnings: tuple[str, ...]


def choose_test_images(inspector: Inspector, data: Dataset) -> Chosen:
    """Choose the images to test on.

    The data are those of the training, wherever they lie now, if every image of the split is there and those that were learned
    from have the same pixels.

    Raises:
        UnknownName: several products, none of them the inspector's.
        DataError: no image to test on (E_EMPTY_SPLIT), some of what was learned from among them (E_DUPLICATE), or another leak
            (E_GROUP, E_LABEL_CONFLICT, E_SYNTHETIC).
    """
    product, warnings = _product(inspector, data)
    mine = data.of(product=product)
    own = _is_training_data(inspector, mine)
    placed = inspector.split.apply(mine) if own else mine
    chosen = tuple(sample for sample in placed.samples if sample.split not in ("train", "val"))
    if not own and len(chosen) < len(mine):
        left = len(mine) - len(chosen)
        warnings += (f"{left} images that {data.root} marks as training or validation were left out",)
    turned, prints = _looked_at(chosen)
    unseen, renamed = _unseen(inspector, chosen, own, turned)
    warnings += renamed
    if not unseen:
        raise DataError(
            "E_EMPTY_SPLIT", f"{data.root} has no test image for {inspector.origin.product}; expected some: add images"
        )
    learned = [sample for sample in placed.samples if own and sample.split in ("train", "val")]
    _refuse_leaks(replace(placed, samples=(*learned, *(sample.moved_to("test") for sample in unseen))), prints, chosen)
    return Chosen(unseen, own, warnings)


def _looked_at(samples: Sequence[Sample]) -> tuple[dict[str, str], dict[str, Fingerprint]]:
    """By id, what remains of each picture in any turn, and as it is."""
    turned, prints = {}, {}
    for sample in track(samples, "looking for leaks"):
        image = sample.image()
        turned[sample.id], prints[sample.id] = turned_digest(image), fingerprint(image)
    return turned, prints


def _refuse_leaks(sides: Dataset, prints: Mapping[str, Fingerprint], looked_at: Sequence[Sample]) -> None:
    """The rules of the leakage test beside that of learned pictures: labels, synthetic ones, groups and files on two sides.

    Near copies of training images are not looked for: those of the inspector's own test side are among the warnings of its
    training, and of training images that are elsewhere no more is kept than what says whether a picture is the same.
    """
    there = {sample.id for sample in sides.samples}
    aside = [sample for sample in looked_at if sample.id not in there]
    raise_errors(find_leaks(sides, prints, aside).problems)


def _unseen(
    inspector: Inspector, samples: tuple[Sample, ...], own: bool, found: Mapping[str, str]
) -> tuple[tuple[Sample, ...], tuple[str, ...]]:
    """The samples that were not learned from, and a word where some were left out.

    Where other data hold everything that was learned from, they are the training data under other names, and what was learned
    from is left out. Where they hold only some of it, or the inspector's own test side does, it is a leak.
    """
    learned = set(inspector.origin.digests)
    left = tuple(sample for sample in samples if found[sample.id] not in learned)
    if len(left) == len(samples):
        return samples, ()
    if own or not learned <= set(found.values()):
        twice = [sample.source.location for sample in samples if found[sample.id] in learned]
        raise DataError(
            "E_DUPLICATE",
            f"{twice[0]} is, perhaps turned, among the images the inspector was trained on ({len(twice)} such); expected unseen: "
            f"remove the copies or train on another split",
            twice,
        )
    told = f"this is the training data under other names: {len(samples) - len(left)} images that were learned from were left out"
    return left, (told,)


def _product(inspector: Inspector, data: Dataset) -> tuple[str, tuple[str, ...]]:
    mine = inspector.origin.product
    if mine in data.products:
        return mine, ()
    if len(data.products) > 1:
        raise UnknownName("product", mine, data.products, "choose which to test on with --product")
    (only,) = data.products
    return only, (f"the inspector was trained on {mine}; these images are of {only}",)


def _is_training_data(inspector: Inspector, data: Dataset) -> bool:
    by_id = {sample.id: sample for sample in data.samples}
    kept = {name: place for name, place in inspector.split.assignment.items() if place != "dropped"}
    if not kept.keys() <= by_id.keys():
        return False
    seen = set(inspector.origin.digests)
    learned = (name for name, place in kept.items() if place in ("train", "val"))
    return all(turned_digest(by_id[name].image()) in seen for name in learned if by_id[name].is_normal)


def _refuse_without_truth(samples: Sequence[Sample], require: Sequence[str]) -> None:
    asked = [metric for metric in require if metric.startswith("pixel_")]
    if asked and not any(sample.has_mask for sample in samples if not sample.is_normal):
        raise NoPixelTruth(
            f"{', '.join(asked)} was asked, and none of the {len(samples)} test images has a mask; expected pixel ground truth: "
            f"add masks or ask for image-level metrics"
        )


def test_digest(inspector: Inspector, side: Chosen) -> str:
    """What says which images were tested on: the digest of the split, or of the names of other data's images."""
    if side.own:
        return inspector.split.digest
    return hashlib.sha256("\n".join(sorted(sample.id for sample in side.samples)).encode()).hexdigest()


def _measured(
    inspector: Inspector,
    data: Dataset,
    side: Chosen,
    seen: Look,
    stamp: Stamp,
    require: Sequence[str],
    pixel_resamples: int,
) -> Evaluation:
    wanted = [metric for metric in require if metric not in DERIVED]
    measures = measure(seen, stamp, (*METRIC_IDS, *wanted), pixel_resamples)
    kinds = measure_kinds(inspector, data, seen, measures, stamp)
    anomalous = sum(not result.sample.is_normal for result in seen.results)
    origin = inspector.origin
    return Evaluation(
        name=f"{inspector.detector.name} on {origin.product}",
        detector=inspector.detector.name,
        dataset=data.name,
        product=origin.product,
        protocol=stamp.protocol,
        metrics={**measures.metrics, **kinds},
        per_defect=measures.per_defect,
        results=seen.results,
        threshold=inspector.threshold.value,
        threshold_source=inspector.threshold.source,
        recipe=inspector.recipe.model_dump(mode="json"),
        split=split_record(inspector, side, anomalous),
        timings={"train_seconds": float(inspector.metrics["train_seconds"]), "predict_ms_per_image": seen.milliseconds},
        command="",
        environment={},
        licence=" ".join(part for part in (data.licence, data.citation) if part),
        warnings=(*_told_in_training(inspector, side), *side.warnings, *measures.warnings, *_geometry_warnings(stamp.geometry)),
        layout=data.layout,
        curves=measures.curves,
    )


def _told_in_training(inspector: Inspector, side: Chosen) -> tuple[str, ...]:
    """The warnings of the training; of other data without the flags of its split, which are about its own test."""
    flags = () if side.own else {f"the split {flag}" for flag in inspector.split.flags}
    return tuple(warning for warning in inspector.origin.warnings if warning not in flags)


def _geometry_warnings(geometry: Geometry) -> tuple[str, ...]:
    if geometry.image_score == OWN:
        return ()
    return (f"image metrics are of {geometry.image_score} of the maps; verdicts and threshold are of the detector's own score",)


def _refuse_undefined(measured: Evaluation, require: Sequence[str]) -> None:
    for metric in require:
        if metric not in measured.metrics:
            raise DataError(
                "E_UNDEFINED", f"{metric} was asked and these data and this detector do not give it; {DERIVED[metric]}"
            )
        if (reason := measured.metrics[metric].reason) is not None:
            raise DataError(
                "E_UNDEFINED", f"{metric} was asked and is undefined ({reason}); expected both good and defective test images"
            )


def split_record(inspector: Inspector, side: Chosen, anomalous: int) -> dict[str, Any]:
    """Policy, seed, digest, options, flags (on the inspector's own data) and counts of the split behind a result."""
    split, tested = inspector.split, len(side.samples)
    parts = list(split.assignment.values())
    return {
        "policy": split.policy if side.own else f"{split.policy} for training, other data for testing",
        "seed": split.seed,
        "digest": split.digest,
        "options": dict(split.options),
        "flags": list(split.flags) if side.own else [],
        "train": parts.count("train"),
        "val": parts.count("val"),
        "test": tested,
        "test_anomalous": anomalous,
    }


def environment() -> dict[str, str]:
    """Versions and machine behind a figure."""
    return {
        "flawsmith": __version__,
        "python": platform.python_version(),
        "torch": str(torch.__version__),
        "numpy": np.__version__,
        "machine": f"{platform.system()} {platform.machine()}",
    }
