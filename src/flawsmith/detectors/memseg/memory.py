"""The memory of MemSeg: features of some normal images, the nearest of them for each input, and the distance to it.

Section 3.2 of the paper. One image is chosen for all levels together; differences are squared, as in the code (the paper's
equation 1 has the Euclidean distance).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from flawsmith.core.errors import BadParameter
from flawsmith.detectors.memseg.network import LEVELS


@dataclass(frozen=True, eq=False)
class NormalMemory:
    """Features of N normals.

    Args:
        features: N×C×H×W by level.
        scale: mean difference per level, of each stored image to the nearest other one (shape 3); the residual readout divides
            by it. A memory of one image has no other: its own mean square stands in.
    """

    features: Mapping[str, Tensor]
    scale: Tensor

    @classmethod
    def of(cls, features: Mapping[str, Tensor]) -> NormalMemory:
        """With the scale computed, leaving each image out of its own comparison."""
        count = len(features[LEVELS[0]])
        if count == 1:
            means = [features[level].square().mean() for level in LEVELS]
        else:
            found = [_of_the_others(features, index) for index in range(count)]
            means = [torch.stack([one[level].mean() for one in found]).mean() for level in LEVELS]
        return cls(features, torch.stack(means).clamp(min=torch.finfo(torch.float32).tiny))

    def __len__(self) -> int:
        return len(self.features[LEVELS[0]])

    def differences(self, features: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Squared differences B×C×H×W by level to the nearest stored image.

        Raises:
            BadParameter: the memory was made at another size or with another backbone.
        """
        for level in LEVELS:
            if features[level].shape[1:] != self.features[level].shape[1:]:
                raise BadParameter(
                    f"the memory holds {level} of {tuple(self.features[level].shape[1:])}, the image has "
                    f"{tuple(features[level].shape[1:])}; expected one size and one backbone: train again"
                )
        nearest = self.nearest(features)
        return {level: (features[level] - self.features[level][nearest]).square() for level in LEVELS}

    @torch.no_grad()
    def nearest(self, features: Mapping[str, Tensor]) -> Tensor:
        """Index of the stored image with the least sum over levels of mean squared differences, per input (B)."""
        count = len(features[LEVELS[0]])
        return torch.stack([self._distances({level: features[level][b] for level in LEVELS}).argmin() for b in range(count)])

    def _distances(self, features: Mapping[str, Tensor]) -> Tensor:
        return torch.stack([(self.features[level] - features[level]).square().mean((1, 2, 3)) for level in LEVELS]).sum(0)

    def residual(self, features: Mapping[str, Tensor], size: tuple[int, int]) -> Tensor:
        """Anomaly map B×H×W without any training: mean differences over channels, each level in units of its scale, added."""
        differences = self.differences(features)
        levels = [differences[level].mean(1, keepdim=True) / scale for level, scale in zip(LEVELS, self.scale, strict=True)]
        full = [F.interpolate(level, size=size, mode="bilinear", align_corners=False) for level in levels]
        return torch.stack(full).sum(0)[:, 0]


def _of_the_others(features: Mapping[str, Tensor], index: int) -> dict[str, Tensor]:
    kept = [n for n in range(len(features[LEVELS[0]])) if n != index]
    others = NormalMemory({level: features[level][kept] for level in LEVELS}, torch.ones(len(LEVELS)))
    return others.differences({level: features[level][index : index + 1] for level in LEVELS})
