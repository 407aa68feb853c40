"""A trained inspector, and the folder it lives in.

The folder holds `model.safetensors`, `detector.json`, `recipe.yaml`, `split.json`, `inspector.json` (threshold, what it was
trained on), `metrics.json` (what it scored on validation), `card.md`, `training.jsonl` where there was a loop, and `files.json`
with the SHA-256 of each. No pickle; a changed or missing file is refused.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Self

from flawsmith.core.arrays import Image
from flawsmith.core.detector import Detector, Prediction
from flawsmith.core.errors import DamagedFile, DataError, UsageError
from flawsmith.core.files import LOCK, new_folder, read_json, sha256_file, write_json, write_text
from flawsmith.core.recipes import TrainingRecipe
from flawsmith.core.registry import detectors
from flawsmith.core.samples import GOOD
from flawsmith.data.splits import Split
from flawsmith.inspection.card import card_of
from flawsmith.inspection.thresholds import Threshold
from flawsmith.learning.loop import CHECKPOINT

FORMAT = 1
FILES = "files.json"
MARKER = "inspector.json"
"""The file by which a folder is known to be an inspector."""

FINGERPRINT = "fingerprint"
NEEDED = frozenset({"model.safetensors", "detector.json", "recipe.yaml", "split.json", MARKER, "metrics.json", "card.md"})
GROWING = frozenset({FILES, FINGERPRINT, LOCK, CHECKPOINT})
"""Files of a folder that are no part of what is listed."""


@dataclass(frozen=True)
class Origin:
    """What an inspector was trained on.

    Args:
        dataset: its name.
        product: the product it inspects.
        root: the folder, as it was given.
        licence: of the data.
        citation: of the data.
        digests: of every image it has seen, threshold images among them; equal for all eight turns and mirror images of one.
        warnings: what a reader of its numbers must know.
        learned_from_anomalies: anomalies took part in training.
        uses_real_anomalies: real defects took part in training, by themselves or through a synthesizer.
        command: what the user typed.
        scale: how its images of more than 8 bits were read (`flawsmith.data.scales`); empty: they had 8.
    """

    dataset: str
    product: str
    root: str
    licence: str
    citation: str
    digests: tuple[str, ...]
    warnings: tuple[str, ...] = ()
    learned_from_anomalies: bool = False
    uses_real_anomalies: bool = False
    command: str = ""
    scale: str = ""

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """The inverse of `dataclasses.asdict` after a trip through JSON, where tuples become lists."""
        return cls(**{**value, "digests": tuple(value["digests"]), "warnings": tuple(value["warnings"])})


@dataclass(frozen=True, eq=False)
class Inspector:
    """A fitted detector with its threshold.

    Args:
        detector: the fitted detector.
        recipe: everything that defined its training.
        split: which sample went where.
        threshold: above it an image is defective.
        origin: what it was trained on.
        metrics: validation figures and times; JSON-able.
    """

    detector: Detector
    recipe: TrainingRecipe
    split: Split
    threshold: Threshold
    origin: Origin
    metrics: Mapping[str, Any]

    def predict(self, images: Iterable[Image]) -> Iterator[Prediction]:
        """Scores, maps and verdicts, one per image, in order.

        Args:
            images: uint8 H×W×3, any size.
        """
        for prediction in self.detector.predict(images, product=self.origin.product):
            yield self._judged(prediction)

    def _judged(self, prediction: Prediction) -> Prediction:
        if not math.isfinite(prediction.score):
            raise DataError(
                "E_NOT_FINITE",
                f"{self.detector.name} scored an image {prediction.score}; expected a finite score: train it again",
            )
        defective = prediction.score > self.threshold.value
        likely = prediction.defect_probabilities or {}
        kinds = {name: share for name, share in likely.items() if name != GOOD}
        named = max(kinds, key=lambda name: kinds[name]) if kinds else None
        return replace(
            prediction,
            threshold=self.threshold.value,
            verdict="defect" if defective else "good",
            defect=(named or "defect") if defective else GOOD,
            threshold_source=self.threshold.source,
        )

    def save(self, folder: Path) -> None:
        """Write the whole folder aside and rename it to `folder`, which must be new or empty.

        Raises:
            OutputError: `folder` is taken or cannot be written.
        """
        with new_folder(folder) as staging:
            self.write_into(staging)

    def write_into(self, folder: Path) -> None:
        """Write every file into an existing folder; `files.json` last."""
        self.detector.save(folder)
        self.recipe.write(folder / "recipe.yaml")
        self.split.save(folder / "split.json")
        write_json(folder / "metrics.json", dict(self.metrics))
        told = {"format": FORMAT, "detector": self.detector.name, "threshold": self.threshold.to_json()}
        write_json(folder / MARKER, {**told, "origin": asdict(self.origin)})
        write_text(folder / "card.md", card_of(self.detector, self.recipe, self.threshold, self.origin, self.metrics))
        digests = {file.name: sha256_file(file) for file in sorted(folder.iterdir()) if file.name not in GROWING}
        write_json(folder / FILES, {"format": FORMAT, "sha256": digests})

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read an inspector's folder.

        Raises:
            UsageError: `folder` is no inspector.
            DamagedFile: a file is missing, changed, or of an unknown format.
        """
        verify_files(folder)
        told = read_json(folder / MARKER)
        try:
            if told["format"] != FORMAT:
                raise DamagedFile(f"{folder} has format {told['format']}; expected {FORMAT}: train it again with this version")
            name, threshold, origin = told["detector"], Threshold.from_json(told["threshold"]), Origin.from_json(told["origin"])
        except (KeyError, TypeError, ValueError) as error:
            raise DamagedFile(f"{folder / MARKER} is not as it was written ({error}); train the inspector again") from error
        return cls(
            detectors.entry(name).resolve().load(folder),
            TrainingRecipe.read(folder / "recipe.yaml"),
            Split.load(folder / "split.json"),
            threshold,
            origin,
            read_json(folder / "metrics.json"),
        )


def _listed(folder: Path) -> Mapping[str, str]:
    listed = read_json(folder / FILES)
    digests = listed.get("sha256") if isinstance(listed, dict) else None
    if not isinstance(digests, dict) or not digests.keys() >= NEEDED:
        raise DamagedFile(f"{folder / FILES} does not list {', '.join(sorted(NEEDED))}; expected all: train the inspector again")
    return digests


def verify_files(folder: Path) -> None:
    """Check every file of an inspector's folder against `files.json`.

    Raises:
        UsageError: there is no such folder, or it is no inspector.
        DamagedFile: a file is missing or changed; names it.
    """
    if not (folder / FILES).is_file():
        raise UsageError(f"{folder} is no inspector; expected a folder written by `flawsmith train`, with {FILES} in it")
    for name, digest in _listed(folder).items():
        if Path(name).name != name:
            raise DamagedFile(f"{folder / FILES} names {name!r}; expected plain file names: train the inspector again")
        if not (folder / name).is_file():
            raise DamagedFile(
                f"{folder / name} is missing; expected the file of {FILES}: copy the whole folder again or train anew"
            )
        if sha256_file(folder / name) != digest:
            raise DamagedFile(
                f"{folder / name} was changed after training; expected SHA-256 {digest[:12]}…: copy it again or train anew"
            )
