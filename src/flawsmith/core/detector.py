"""The contract of everything that scores, localises and, where it can, classifies."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol, Self, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from flawsmith.core.arrays import Image, Map, Mask
from flawsmith.core.methods import MethodRecipe
from flawsmith.core.samples import GOOD, Origin, Sample, SupportSet
from flawsmith.core.seeding import Seed

if TYPE_CHECKING:
    from torch import nn

LearnsFrom = Literal["normals", "anomalies"]
Demand = Literal["required", "optional", "unused"]
Norm = Literal["unit", "imagenet", "efflite", "clip"]


@dataclass(frozen=True)
class Stage:
    """One part of a training: its name and its share of the steps."""

    name: str
    share: float


@dataclass(frozen=True)
class Needs:
    """What a detector asks for; the trainer checks it before the first step.

    Args:
        paired: whether each anomaly needs its pixel-aligned clean twin.
        memory: how many normals it stores at most.
        anomalies: whether it needs anomalies, synthetic or real.
        text: whether it needs words.
        defect_labels: whether anomalies must carry the kind of defect.
        norm: how it normalises its input, inside itself.
        multiple: its working size is a multiple of this, pixels.
        min_batch: smallest batch it trains on.
        stages: its training stages; empty where nothing is optimised.
        residual: its readout where no anomalies were seen; None: there is none.
        native_size: the only working side it takes, pixels; None: it takes several.
    """

    paired: Demand = "unused"
    memory: int = 0
    anomalies: Demand = "unused"
    text: bool = False
    defect_labels: bool = False
    norm: Norm = "efflite"
    multiple: int = 32
    min_batch: int = 1
    stages: tuple[Stage, ...] = ()
    residual: str | None = None
    native_size: int | None = None


@dataclass(frozen=True)
class DetectorTraits:
    """What a detector promises; `flawsmith.testing.check_detector` holds it to every word.

    Args:
        learns_from: normals, anomalies, or both.
        needs: what a training task must bring.
        classifies: it names the defect.
        multi_product: one model serves several products.
        position_bound: its model is tied to image positions (all images must be aligned and of one size).
        default_synth: the synthesizers it is trained with unless told otherwise, in the form of `--synth`.
        exports: `graph()` works.
    """

    learns_from: frozenset[LearnsFrom]
    needs: Needs = field(default_factory=Needs)
    classifies: bool = False
    multi_product: bool = False
    position_bound: bool = False
    default_synth: str = ""
    exports: bool = False


@dataclass(frozen=True)
class Budget:
    """How long a training may take. `steps` None: the detector's own number; `seconds` None: no clock."""

    steps: int | None = None
    seconds: float | None = None


@dataclass(frozen=True, eq=False)
class StreamItem:
    """One draw of the anomaly stream, at the detector's working size.

    Args:
        image: uint8 H×W×3, what the network sees.
        clean: the same without the anomaly; the image itself for normals; None where there is no twin.
        mask: bool H×W; all False for normals.
        defect: `good` for normals.
        origin: whether the anomaly is real or synthetic.
        maker: registry name of the synthesizer, `real`, or `normal`.
        sample_id: the normal or real anomaly that it started from.
        index: its place in the stream.
        empty_draws: how many attempts ended with an empty mask before this item was settled.
    """

    image: Image
    clean: Image | None
    mask: Mask
    defect: str
    origin: Origin
    maker: str
    sample_id: str
    index: int
    empty_draws: int = 0

    @property
    def label(self) -> int:
        """1 if there is a defect in the mask, else 0."""
        return int(self.defect != GOOD)


class ItemStream(Protocol):
    """An endless sequence of training items; item i is a pure function of (seed, i)."""

    def __getitem__(self, index: int) -> StreamItem:
        """The item at `index` ≥ 0."""
        ...


@dataclass(frozen=True, eq=False)
class TrainingTask:
    """Everything one training may use; nothing of the test set is in it.

    Args:
        stream: normals and anomalies in the chosen ratio; None where the detector learns from normals alone.
        normals: training normals.
        support: what a few-shot method may see.
        validation: held-out normals and (synthetic or held-out real) anomalies.
        auxiliary: other products' samples by name, for methods that pre-train on them.
        budget: steps and seconds.
        seed: every stage draws from its own stream of it.
        folder: where checkpoints go; None: nothing is written.
        fingerprint: digest of recipe and split; a checkpoint with another one belongs to another training and is not resumed.
    """

    stream: ItemStream | None
    normals: Sequence[Sample]
    support: SupportSet
    validation: Sequence[Sample] = ()
    auxiliary: Mapping[str, Sequence[Sample]] = field(default_factory=dict)
    budget: Budget = Budget()
    seed: Seed = field(default_factory=lambda: Seed(0))
    folder: Path | None = None
    fingerprint: str = ""


@dataclass(frozen=True, eq=False)
class Prediction:
    """What a detector says of one image.

    Args:
        score: anomaly score, higher is more anomalous, raw.
        map: float32 H×W in image size, raw.
        label_map: int H×W, 0 is good; only from detectors that classify.
        defect_probabilities: by defect name, `good` among them, sums to 1; only from detectors that classify.
        threshold: added by the inspector.
        verdict: `defect` or `good`, added by the inspector.
        defect: the most probable defect, added by the inspector.
        threshold_source: where the threshold came from, added by the inspector.
    """

    score: float
    map: Map
    label_map: NDArray[np.int64] | None = None
    defect_probabilities: Mapping[str, float] | None = None
    threshold: float | None = None
    verdict: Literal["defect", "good"] | None = None
    defect: str | None = None
    threshold_source: str | None = None


@runtime_checkable
class Detector(Protocol):
    """Learns from a `TrainingTask`, predicts images. Usually a subclass of `flawsmith.core.methods.Method`."""

    name: ClassVar[str]
    traits: ClassVar[DetectorTraits]
    size: int
    """Working side, pixels: images are resized to size×size inside, maps back to image size."""

    def fit(self, task: TrainingTask) -> Self:
        """Train; returns self. The same task gives the same weights."""
        ...

    def predict(self, images: Iterable[Image], *, product: str | None = None) -> Iterator[Prediction]:
        """One prediction per image, in order, each independent of the others."""
        ...

    def save(self, folder: Path) -> None:
        """Write `model.safetensors` and `detector.json` into `folder`."""
        ...

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote."""
        ...

    def graph(self) -> nn.Module:
        """uint8 in, score and map out; only where `traits.exports`."""
        ...

    def recipe(self) -> MethodRecipe:
        """Every parameter."""
        ...

    @classmethod
    def from_params(cls, params: Any) -> Self:
        """Build from plain values."""
        ...
