"""The trunks of LPIPS: AlexNet and VGG16 up to their last ReLU, with the features that LPIPS compares.

Krizhevsky, "One weird trick" (arXiv 1404.5997); Simonyan and Zisserman (ICLR 2015). Names of the parameters are those of
torchvision's weight files (`features.N.weight`, BSD-3-Clause).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from torch import Tensor, nn


class Trunk(nn.Module):
    """A row of layers with marks where features are taken."""

    name: ClassVar[str]
    channels: ClassVar[tuple[int, ...]]
    """Of the five features, fine to coarse."""
    marks: ClassVar[tuple[int, ...]]
    """Places of the ReLUs whose outputs they are."""
    least: ClassVar[int]
    """Shortest side of a picture that leaves a position at the last of them."""

    def __init__(self, layers: list[nn.Module]) -> None:
        super().__init__()
        self.features = nn.Sequential(*layers)
        self.requires_grad_(False)
        self.eval()

    def forward(self, x: Tensor) -> list[Tensor]:
        """The five features of N×3×H×W, each N×channels×h×w."""
        found = []
        for number, layer in enumerate(self.features):
            x = layer(x)
            if number in self.marks:
                found.append(x)
        return found


class AlexNet(Trunk):
    """relu1–5 with 64, 192, 384, 256 and 256 channels."""

    name, least = "alexnet", 31
    channels = (64, 192, 384, 256, 256)
    marks = (1, 4, 7, 9, 11)

    def __init__(self) -> None:
        super().__init__(
            [
                nn.Conv2d(3, 64, 11, 4, padding=2),
                nn.ReLU(),
                nn.MaxPool2d(3, 2),
                nn.Conv2d(64, 192, 5, padding=2),
                nn.ReLU(),
                nn.MaxPool2d(3, 2),
                nn.Conv2d(192, 384, 3, padding=1),
                nn.ReLU(),
                nn.Conv2d(384, 256, 3, padding=1),
                nn.ReLU(),
                nn.Conv2d(256, 256, 3, padding=1),
                nn.ReLU(),
            ]
        )


class Vgg16(Trunk):
    """relu1_2, 2_2, 3_3, 4_3 and 5_3 with 64, 128, 256, 512 and 512 channels."""

    name, least = "vgg16", 16
    channels = (64, 128, 256, 512, 512)
    marks = (3, 8, 15, 22, 29)

    def __init__(self) -> None:
        layers: list[nn.Module] = []
        channels = 3
        for number, (out, repeats) in enumerate(zip(self.channels, (2, 2, 3, 3, 3), strict=True)):
            layers += [nn.MaxPool2d(2, 2)] if number else []
            for _ in range(repeats):
                layers += [nn.Conv2d(channels, out, 3, padding=1), nn.ReLU()]
                channels = out
        super().__init__(layers)


TRUNKS: Mapping[str, type[AlexNet] | type[Vgg16]] = {"alexnet": AlexNet, "vgg16": Vgg16}
"""By name."""


def build_trunk(name: str) -> Trunk:
    """A trunk by name, its weights still to be loaded."""
    return TRUNKS[name]()
