"""MemSeg as a detector: what it remembers, how it trains, how it reads out.

Paper and code differ in what is frozen. The code freezes the weights of layers 1-3 only, and lets every batch norm follow the
batches while the memory was computed once: memory and queries drift apart (TooTouch/MemSeg #38). Here the whole backbone stays as
it is (`freeze="strict"`); `layer4` trains the last layer as the paper's figure shows it, `legacy` does as the code does.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal, Self

import torch
from pydantic import AfterValidator, Field
from torch import Tensor, nn
from torch.optim import AdamW, Optimizer

from flawsmith.core.detector import Stage, TrainingTask
from flawsmith.core.errors import NeedUnmet
from flawsmith.core.samples import Sample
from flawsmith.core.seeding import Seed
from flawsmith.detectors import TRAITS
from flawsmith.detectors.base import ImageDetector, prepare, require_normals, under
from flawsmith.detectors.memseg.memory import NormalMemory
from flawsmith.detectors.memseg.network import LEVELS, SegmentationHead, anomaly_loss
from flawsmith.detectors.scores import topk_mean
from flawsmith.encoders.extractor import LAYERS, FeatureExtractor
from flawsmith.encoders.hub import build_encoder, check_backbone
from flawsmith.learning.batches import Batch
from flawsmith.learning.initialisation import seeded_construction
from flawsmith.learning.loop import LoopSettings, Schedule, train

Freeze = Literal["strict", "layer4", "legacy"]
Readout = Literal["auto", "head", "residual"]

LEAST_RATE = 1e-4
WARM_UP = 0.1


@dataclass(frozen=True, eq=False)
class Learned:
    """What was learned.

    Args:
        encoder: the backbone.
        head: the trained part.
        memory: the stored normals.
        readout: `head` or `residual`.
        facts: which images are stored, what the training saw.
    """

    encoder: FeatureExtractor
    head: SegmentationHead
    memory: NormalMemory
    readout: Literal["head", "residual"]
    facts: Mapping[str, Any]


class MemSeg(ImageDetector[Learned]):
    """Memory-guided segmentation.

    Args:
        size: working side, pixels.
        backbone: whose features.
        pretrained: trained weights; False draws random ones, which only tests want.
        freeze: what of the backbone stays as it is: `strict` all, `layer4` all but the last layer, `legacy` as in the code.
        width: channels of the last two decoder stages.
        memory: how many normals are stored.
        clamp_memory: store fewer, with a warning, where there are fewer; False: refuse.
        batch: items per step.
        steps: optimiser steps, unless the task's budget says otherwise.
        learning_rate: the highest, after the warm-up.
        weight_decay: of AdamW.
        readout: `head`, the decoder's probability; `residual`, the distance to the memory, which needs no training; `auto`, the
            head unless no anomaly was seen.
    """

    name = "memseg"
    traits = TRAITS["memseg"]
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "cpu": {"size": 128, "width": 24, "batch": 4, "steps": 300},
        "paper": {"size": 256, "width": 48, "batch": 8, "steps": 5000},
    }

    size: int = Field(ge=64, multiple_of=32)
    backbone: Annotated[str, AfterValidator(check_backbone)] = "efficientnet_lite0"
    pretrained: bool = True
    freeze: Freeze = "strict"
    width: int = Field(ge=1)
    memory: int = Field(default=30, ge=1)
    clamp_memory: bool = True
    batch: int = Field(ge=1)
    steps: int = Field(ge=1)
    learning_rate: float = Field(default=3e-3, gt=LEAST_RATE)
    weight_decay: float = Field(default=5e-4, ge=0)
    readout: Readout = "auto"

    def fit(self, task: TrainingTask) -> Self:
        """Store normals, then train the head on the stream; without anomalies the memory alone is the model.

        Raises:
            NeedUnmet: no normals; fewer than `memory` where `clamp_memory` is False; no stream where the head must be trained.
            DataError: an anomaly among the normals.
        """
        require_normals(self.name, task.normals)
        stored = self._choose(task)
        trained = self._will_train(task)
        encoder = build_encoder(self.backbone, pretrained=self.pretrained, seed=task.seed)
        head = self._new_head(task.seed.child("network"), encoder)
        memory = NormalMemory.of(self._remember(encoder, stored))
        seen = self._train(encoder, head, memory, task) if trained else None
        readout = self._settled_readout(seen)
        facts = {"memory": [sample.id for sample in stored], "training": seen}
        self._state = Learned(encoder.freeze(), head.eval().requires_grad_(False), memory, readout, facts)
        return self

    def _choose(self, task: TrainingTask) -> list[Sample]:
        have = len(task.normals)
        if have < self.memory:
            if not self.clamp_memory:
                raise NeedUnmet(self.name, f"{self.memory} normals (there are {have})", f"set memory={have} or clamp_memory=true")
            warnings.warn(f"{self.name} stores {have} normals, not {self.memory}: there are no more", stacklevel=4)
        chosen = task.seed.numpy("memory").choice(have, min(have, self.memory), replace=False)
        return [task.normals[int(index)] for index in sorted(chosen)]

    def _will_train(self, task: TrainingTask) -> bool:
        if self.readout == "residual" or (self.readout == "auto" and getattr(task.stream, "ratio", None) == 0):
            return False
        if task.stream is None and self.readout == "head":
            raise NeedUnmet(self.name, "anomalies for its head", "name a synthesizer with --synth or set readout=residual")
        return task.stream is not None

    def _new_head(self, seed: Seed, encoder: FeatureExtractor) -> SegmentationHead:
        with seeded_construction(seed):
            head = SegmentationHead(encoder.channels, self.width)
        return head.to(memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]

    def _remember(self, encoder: FeatureExtractor, stored: Sequence[Sample]) -> dict[str, Tensor]:
        found = [encoder.extract(prepare(sample.image(), self.size), LEVELS) for sample in stored]
        return {level: torch.cat([one[level] for one in found]).contiguous() for level in LEVELS}

    def _train(
        self, encoder: FeatureExtractor, head: SegmentationHead, memory: NormalMemory, task: TrainingTask
    ) -> dict[str, Any]:
        trainee = HeadTraining(encoder, head, memory, self)
        log = train(trainee, task, LoopSettings.within(task.budget, self.steps, self.batch))
        finished = {key: value for key, value in log.lines[-1].items() if key not in ("event", "seconds")}
        return {"steps": finished["items"] // self.batch, **finished}

    def _settled_readout(self, seen: Mapping[str, Any] | None) -> Literal["head", "residual"]:
        without = seen is None or seen["realised_ratio"] == 0
        if self.readout == "head" and without:
            warnings.warn(f"{self.name} saw no anomaly: its head says nothing; readout=residual would", stacklevel=4)
        if self.readout == "auto":
            return "residual" if without else "head"
        return self.readout

    def _score(self, state: Learned, image: Tensor) -> tuple[float, Tensor]:
        features = state.encoder.extract(image, LAYERS)
        if state.readout == "residual":
            anomaly_map = state.memory.residual(features, (self.size, self.size))[0]
        else:
            anomaly_map = state.head(features, state.memory.differences(features)).softmax(1)[0, 1]
        return topk_mean(anomaly_map), anomaly_map

    def _to_storage(self, state: Learned) -> tuple[dict[str, Any], dict[str, Tensor]]:
        facts = {"backbone": self.backbone, "backbone_weights": state.encoder.weights, "readout": state.readout, **state.facts}
        tensors = {f"memory/{level}": value for level, value in state.memory.features.items()}
        tensors |= {f"backbone/{key}": value for key, value in state.encoder.state_dict().items()}
        tensors |= {f"head/{key}": value for key, value in state.head.state_dict().items()}
        return facts, {**tensors, "scale": state.memory.scale}

    def _from_storage(self, facts: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> Learned:
        encoder = build_encoder(self.backbone, pretrained=False)
        encoder.load_state_dict(under("backbone", tensors))
        encoder.weights = str(facts["backbone_weights"])
        head = self._new_head(Seed(0), encoder)
        head.load_state_dict(under("head", tensors))
        stored = under("memory", tensors)
        for level in LEVELS:
            side = self.size // encoder.strides[level]
            if stored[level].shape[1:] != (encoder.channels[level], side, side):
                raise ValueError(f"{level} of the memory is {tuple(stored[level].shape[1:])}, made at another size")
        memory = NormalMemory({level: stored[level] for level in LEVELS}, tensors["scale"])
        kept = {key: facts[key] for key in ("memory", "training")}
        return Learned(encoder, head.eval().requires_grad_(False), memory, facts["readout"], kept)


class HeadTraining:
    """MemSeg's side of the training loop (section 4.2 of the detectors' spec).

    Args:
        encoder: the backbone; thawed here as far as `freeze` says.
        head: what is trained.
        memory: the stored normals, as computed before training.
        settings: the detector's parameters.
    """

    def __init__(self, encoder: FeatureExtractor, head: SegmentationHead, memory: NormalMemory, settings: MemSeg) -> None:
        self.encoder, self.head, self.memory, self.settings = encoder, head, memory, settings
        if settings.freeze == "layer4":
            encoder.thaw(("layer4",))
        elif settings.freeze == "legacy":
            encoder.thaw(("stem", "layer4"), batch_statistics=True)
        changing = {"head": head} if settings.freeze == "strict" else {"head": head, "backbone": encoder}
        self.network = nn.ModuleDict(changing).train()

    @property
    def stages(self) -> tuple[Stage, ...]:
        """One stage."""
        return self.settings.traits.needs.stages

    def configure(self, stage: Stage) -> tuple[Optimizer, Schedule]:
        """AdamW on what is thawed; warm-up and cosine."""
        parameters = [parameter for parameter in self.network.parameters() if parameter.requires_grad]
        highest = self.settings.learning_rate
        optimiser = AdamW(parameters, lr=highest, weight_decay=self.settings.weight_decay)
        return optimiser, lambda progress: rate_factor(progress, LEAST_RATE / highest)

    def loss(self, batch: Batch, stage: Stage) -> Mapping[str, Tensor]:
        """L1 and focal loss of one batch."""
        frozen = self.settings.freeze == "strict"
        features = self.encoder.extract(batch.image, LAYERS) if frozen else self.encoder(batch.image, LAYERS)
        return anomaly_loss(self.head(features, self.memory.differences(features)), batch.mask)


def rate_factor(progress: float, least: float) -> float:
    """Share of the highest learning rate: from `least` up in the first tenth, then by a cosine back to `least`."""
    if progress < WARM_UP:
        return least + (1 - least) * progress / WARM_UP
    return least + (1 - least) * (1 + math.cos(math.pi * (progress - WARM_UP) / (1 - WARM_UP))) / 2
