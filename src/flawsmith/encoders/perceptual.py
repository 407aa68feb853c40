"""One vector per picture whose squared Euclidean distances are LPIPS.

Zhang et al., "The Unreasonable Effectiveness of Deep Features" (CVPR 2018, richzhang/PerceptualSimilarity, v0.1): five layers,
unit length over channels, squared difference, non-negative weights per channel, mean over positions, sum over layers. A feature
is multiplied by √(weight / positions). With other backbones the weights are 1: another distance, never called LPIPS without a
suffix.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from flawsmith.core.errors import BadParameter, DataError
from flawsmith.encoders.extractor import LAYERS, FeatureExtractor
from flawsmith.encoders.lpips_trunks import build_trunk
from flawsmith.encoders.weight_files import HEAD, WeightFile

SHIFT, SCALE = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)
TINY = 1e-10


class PerceptualNet(ABC):
    """A network with a weight for each channel of its layers.

    Args:
        label: what to call it in records.
        suffix: what follows `@` in the metrics' names; empty with the reference weights.
        weights: SHA-256 of the weights, or their seed.
    """

    least: int

    def __init__(self, label: str, suffix: str, weights: str) -> None:
        self.label, self.suffix, self.weights = label, suffix, weights

    @abstractmethod
    def layers(self, images: Tensor) -> list[tuple[Tensor, Tensor | None]]:
        """(features N×C×h×w, weights of their channels C, None for 1) of N×3×H×W that were in [−1, 1]."""

    @torch.no_grad()
    def vectors(self, images: Tensor, *, check_range: bool = True) -> NDArray[np.float32]:
        """N vectors of equal length for pictures of equal size.

        Args:
            images: float N×3×H×W in [−1, 1].
            check_range: False hands over whatever values there are, as some released code does.

        Raises:
            DataError: another shape, too small (E_SIZE), or values that are not finite or outside [−1, 1] (E_PIXELS).
        """
        self._check(images, check_range)
        parts = []
        for features, weights in self.layers(images.to(torch.float32)):
            unit = features / (features.square().sum(1, keepdim=True).sqrt() + TINY)
            scaled = unit if weights is None else unit * weights.sqrt()[None, :, None, None]
            parts.append((scaled / float(features.shape[2] * features.shape[3]) ** 0.5).flatten(1))
        return np.ascontiguousarray(torch.cat(parts, 1).numpy())

    def _check(self, images: Tensor, check_range: bool) -> None:
        if images.ndim != 4 or images.shape[1] != 3 or not images.is_floating_point():
            raise DataError("E_SIZE", f"LPIPS got {images.dtype} {tuple(images.shape)}; expected floats N×3×H×W in [−1, 1]")
        if min(images.shape[2:]) < self.least:
            size = "×".join(str(side) for side in images.shape[2:])
            raise DataError("E_SIZE", f"LPIPS got pictures of {size}; expected sides of at least {self.least}: use larger ones")
        low, high = float(images.min()), float(images.max())
        if not (np.isfinite(low) and np.isfinite(high)):
            raise DataError("E_PIXELS", "LPIPS got pixels that are not finite; expected values in [−1, 1]: check the pictures")
        if check_range and (low < -1 or high > 1):
            told = f"LPIPS got values in [{low:g}, {high:g}]; expected [−1, 1]: scale uint8 pixels by /127.5 − 1"
            raise DataError("E_PIXELS", told)


class Lpips(PerceptualNet):
    """LPIPS v0.1 on AlexNet or VGG16.

    Args:
        trunk: weights of the trunk.
        heads: weights of its five heads.

    Raises:
        BadParameter: heads of the other trunk.
    """

    def __init__(self, trunk: WeightFile, heads: WeightFile) -> None:
        if heads.role != f"lpips-{trunk.role}":
            raise BadParameter(f"{trunk.path} is {trunk.role} and {heads.path} is {heads.role}; expected heads of the same trunk")
        known = trunk.is_reference and heads.is_reference
        suffix = "" if known else f"{trunk.role}-{trunk.sha256[:8]}-{heads.sha256[:8]}"
        label = f"lpips-v0.1-{trunk.role}" if known else suffix
        super().__init__(label, suffix, f"{trunk.sha256} {heads.sha256}")
        self.trunk = build_trunk(trunk.role)
        self.trunk.load_state_dict(dict(trunk.tensors))
        self.least = self.trunk.least
        self.heads = [heads.tensors[HEAD.format(number)].flatten() for number in range(len(self.trunk.channels))]

    def layers(self, images: Tensor) -> list[tuple[Tensor, Tensor | None]]:
        """The five features of the trunk with the weights of their heads."""
        shift, scale = (torch.tensor(values)[None, :, None, None] for values in (SHIFT, SCALE))
        return list(zip(self.trunk((images - shift) / scale), self.heads, strict=True))


class BackboneDistance(PerceptualNet):
    """The same distance on any backbone, every channel with weight 1.

    Args:
        backbone: with all five layers.
        label: what to call it.
        weights: SHA-256 of its weights, or their seed.
    """

    def __init__(self, backbone: FeatureExtractor, label: str, weights: str) -> None:
        super().__init__(label, label, weights)
        self.backbone = backbone
        self.least = backbone.strides[LAYERS[-1]]

    def layers(self, images: Tensor) -> list[tuple[Tensor, Tensor | None]]:
        """All layers of the backbone."""
        found: Mapping[str, Tensor] = self.backbone((images + 1) / 2, LAYERS)
        return [(found[layer], None) for layer in LAYERS]


def signed(images: Sequence[NDArray[np.uint8]]) -> Tensor:
    """Pictures uint8 H×W×3 of one size as float32 N×3×H×W in [−1, 1]."""
    return as_bytes(images) / 127.5 - 1


def as_bytes(images: Sequence[NDArray[np.uint8]]) -> Tensor:
    """Pictures uint8 H×W×3 of one size as float32 N×3×H×W in 0…255.

    Raises:
        DataError: other pixels, or two sizes (E_PIXELS, E_SIZE).
    """
    for image in images:
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
            raise DataError("E_PIXELS", f"a picture is {image.dtype} {image.shape}; expected uint8 H×W×3: repeat a grey channel")
        if image.shape != images[0].shape:
            raise DataError("E_SIZE", f"pictures of {images[0].shape[:2]} and {image.shape[:2]}; expected one size: resize them")
    return torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).to(torch.float32)
