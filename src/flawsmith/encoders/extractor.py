"""What every frozen backbone is to a detector: named feature maps with declared channels and strides.

A backbone is a row of stages from fine to coarse; a call runs no further than the deepest layer that was asked for. Images come
in as N×3×H×W in [0, 1]; each backbone normalises for itself (detectors' spec, section 1.1).
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn

from flawsmith.core.detector import Norm
from flawsmith.core.errors import BadParameter, DataError, UnknownName

LAYERS = ("stem", "layer1", "layer2", "layer3", "layer4")
"""Layer names, fine to coarse: strides 2, 4, 8, 16, 32."""

STRIDES: Mapping[str, int] = {"stem": 2, "layer1": 4, "layer2": 8, "layer3": 16, "layer4": 32}

MEAN_STD: Mapping[Norm, tuple[tuple[float, ...], tuple[float, ...]]] = {
    "unit": ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0)),
    "imagenet": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "efflite": ((127 / 255,) * 3, (128 / 255,) * 3),
    "clip": ((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)),
}
"""Input ranges: (image - mean) / std per channel."""


class FeatureExtractor(nn.Module):
    """A backbone in stages; frozen and in eval mode unless a detector thaws layers on purpose.

    A subclass says `name`, `norm`, `channels` per layer, `stage` and `stage_modules`.

    Args:
        deepest: the last layer that is built.
    """

    name: ClassVar[str]
    norm: ClassVar[Norm]
    channels: ClassVar[Mapping[str, int]]
    strides: ClassVar[Mapping[str, int]] = STRIDES

    def __init__(self, deepest: str = "layer4") -> None:
        super().__init__()
        self.layers = LAYERS[: LAYERS.index(check_layers([deepest])[0]) + 1]
        self.weights = "random"
        """Where the weights came from: `imagenet`, or `random`."""
        self._batch_statistics = False

    @abstractmethod
    def stage(self, layer: str, x: Tensor) -> Tensor:
        """Run the stage that ends in `layer`; the first gets the normalised image."""

    @abstractmethod
    def stage_modules(self, layer: str) -> list[nn.Module]:
        """The modules whose parameters belong to `layer`."""

    def forward(self, images: Tensor, layers: Sequence[str]) -> dict[str, Tensor]:
        """Feature maps N×channels×(H/stride)×(W/stride) by layer name, with gradients where parameters are thawed."""
        x = self.normalised(images)
        found: dict[str, Tensor] = {}
        for layer in self.layers[: self.layers.index(self._built(layers[-1])) + 1]:
            x = self.stage(layer, x)
            if layer in layers:
                found[layer] = x
        return found

    @torch.no_grad()
    def extract(self, images: Tensor, layers: Sequence[str]) -> dict[str, Tensor]:
        """Feature maps of `images` by layer name, without gradients.

        Args:
            images: float32 N×3×H×W in [0, 1], no side shorter than the deepest stride.
            layers: fine to coarse.

        Raises:
            UnknownName: no such layer.
            BadParameter: layers out of order, or deeper than this backbone was built.
            DataError: not three channels, too small, or pixels that are not finite (E_SIZE, E_PIXELS).
        """
        check_layers(layers)
        self._check_images(images, self.strides[layers[-1]])
        return dict(self(images, layers))

    def normalised(self, images: Tensor) -> Tensor:
        """The images in the range that the weights were trained with, channels last in memory (quicker on a CPU)."""
        mean, std = (images.new_tensor(values)[:, None, None] for values in MEAN_STD[self.norm])
        return torch.addcmul(-mean / std, images, 1 / std).contiguous(memory_format=torch.channels_last)

    def thaw(self, layers: Sequence[str], *, batch_statistics: bool = False) -> None:
        """Let the parameters of `layers` learn; with `batch_statistics` every batch norm follows `train` as well."""
        for layer in layers:
            for module in self.stage_modules(layer):
                module.requires_grad_(True)
        self._batch_statistics = batch_statistics

    def train(self, mode: bool = True) -> FeatureExtractor:
        """Stay in eval mode: a frozen backbone never updates its batch statistics (unless thawed with them)."""
        return super().train(mode and self._batch_statistics)

    def freeze(self) -> FeatureExtractor:
        """Eval mode, no gradients."""
        self._batch_statistics = False
        self.requires_grad_(False)
        return self.train(False)

    def _built(self, layer: str) -> str:
        if layer not in self.layers:
            raise BadParameter(f"layer {layer!r} of {self.name} was not built; expected one of: {', '.join(self.layers)}")
        return layer

    def _check_images(self, images: Tensor, stride: int) -> None:
        if images.ndim != 4 or images.shape[1] != 3:
            raise DataError("E_PIXELS", f"{self.name} got images {tuple(images.shape)}; expected N×3×H×W: repeat a grey channel")
        if min(images.shape[2:]) < stride:
            size = "×".join(str(side) for side in images.shape[2:])
            raise DataError("E_SIZE", f"{self.name} got images of {size}; expected at least {stride}×{stride}: use larger ones")
        if not bool(torch.isfinite(images.sum())):
            raise DataError("E_PIXELS", f"{self.name} got pixels that are not finite; expected values in 0…1: check the image")


def check_layers(layers: Sequence[str]) -> Sequence[str]:
    """Return `layers` if each exists and they run from fine to coarse.

    Raises:
        UnknownName: no such layer.
        BadParameter: none at all, or out of order.
    """
    for layer in layers:
        if layer not in LAYERS:
            raise UnknownName("layer", layer, LAYERS)
    places = [LAYERS.index(layer) for layer in layers]
    if not places or places != sorted(set(places)):
        raise BadParameter(f"layers are {list(layers)}; expected each once, fine to coarse, out of: {', '.join(LAYERS)}")
    return layers
