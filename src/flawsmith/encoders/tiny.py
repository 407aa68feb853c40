"""A tiny random backbone for tests: quick, seeded, with the same five layers as the large ones."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from torch import Tensor, nn

from flawsmith.core.detector import Norm
from flawsmith.encoders.extractor import LAYERS, FeatureExtractor


class TinyCnn(FeatureExtractor):
    """Two convolutions with batch norm and ReLU per stage; 8@2, 8@4, 16@8, 32@16, 64@32."""

    name = "tiny_cnn"
    norm: ClassVar[Norm] = "unit"
    channels: ClassVar[Mapping[str, int]] = {"stem": 8, "layer1": 8, "layer2": 16, "layer3": 32, "layer4": 64}

    def __init__(self, deepest: str = "layer4") -> None:
        super().__init__(deepest)
        channels = [3, *(self.channels[layer] for layer in LAYERS)]
        self.stages = nn.ModuleDict(
            {layer: _stage(channels[i], channels[i + 1]) for i, layer in enumerate(LAYERS) if layer in self.layers}
        )
        self.freeze()

    def stage(self, layer: str, x: Tensor) -> Tensor:
        """One stage."""
        features: Tensor = self.stages[layer](x)
        return features

    def stage_modules(self, layer: str) -> list[nn.Module]:
        """The modules of one stage."""
        return [self.stages[layer]]


def _stage(channels_in: int, channels_out: int) -> nn.Sequential:
    halve = nn.Conv2d(channels_in, channels_out, 3, 2, padding=1, bias=False)
    keep = nn.Conv2d(channels_out, channels_out, 3, padding=1, bias=False)
    return nn.Sequential(halve, nn.BatchNorm2d(channels_out), nn.ReLU(), keep, nn.BatchNorm2d(channels_out), nn.ReLU())
