"""The trained part of MemSeg: multi-scale fusion with coordinate attention, spatial attention, and a U-Net decoder.

Sections 3.3 and 3.4 of the paper. With the channels of a ResNet18 and width 48 it has the code's 7,869,202 parameters.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from flawsmith.encoders.extractor import LAYERS

LEVELS = ("layer1", "layer2", "layer3")
"""The levels that the memory holds, fine to coarse."""

DEEPEST = "layer4"


def doubled(x: Tensor) -> Tensor:
    """Twice the height and width, bilinear with aligned corners."""
    return F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=True)


class CoordinateAttention(nn.Module):
    """Gates in (0, 1) along each row and each column (Hou, Zhou and Feng, CVPR 2021)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        inner = max(8, channels // 32)
        self.squeeze = nn.Conv2d(channels, inner, 1)
        self.norm = nn.BatchNorm2d(inner)
        self.activation = nn.Hardswish()
        self.rows = nn.Conv2d(inner, channels, 1)
        self.columns = nn.Conv2d(inner, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """`x` (N×C×H×W) times both gates."""
        of_rows, of_columns = x.mean(3, keepdim=True), x.mean(2, keepdim=True).transpose(2, 3)
        both = self.activation(self.norm(self.squeeze(torch.cat([of_rows, of_columns], 2))))
        of_rows, of_columns = both.split([x.shape[2], x.shape[3]], 2)
        return x * torch.sigmoid(self.rows(of_rows)) * torch.sigmoid(self.columns(of_columns).transpose(2, 3))


class LevelFusion(nn.Module):
    """One level's 2C channels of concatenated information to C channels; no norm and no activation, as in the code."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(2 * channels, 2 * channels, 3, padding=1)
        self.attention = CoordinateAttention(2 * channels)
        self.reduce = nn.Conv2d(2 * channels, channels, 3, padding=1)
        self.mix = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """N×2C×H×W to N×C×H×W."""
        fused: Tensor = self.mix(self.reduce(self.convolution(x) * self.attention(x)))
        return fused


class MultiScaleFusion(nn.Module):
    """Fuses every level by itself, then adds the coarse ones to the finer ones, then attends to where differences are."""

    def __init__(self, channels: Mapping[str, int]) -> None:
        super().__init__()
        fine, middle, coarse = (channels[level] for level in LEVELS)
        self.levels = nn.ModuleList(LevelFusion(channels[level]) for level in LEVELS)
        self.to_middle = nn.Conv2d(coarse, middle, 3, padding=1)
        self.to_fine = nn.Conv2d(middle, fine, 3, padding=1)

    def forward(self, features: Mapping[str, Tensor], differences: Mapping[str, Tensor]) -> list[Tensor]:
        """Attended maps, fine to coarse, in the shapes of the levels' features."""
        joined = [torch.cat([features[level], differences[level]], 1) for level in LEVELS]
        fine, middle, coarse = (level(x) for level, x in zip(self.levels, joined, strict=True))
        middle = middle + self.to_middle(doubled(coarse))
        fine = fine + self.to_fine(doubled(middle))
        gates = spatial_attention([differences[level] for level in LEVELS])
        return [x * gate for x, gate in zip((fine, middle, coarse), gates, strict=True)]


def spatial_attention(differences: list[Tensor]) -> list[Tensor]:
    """Mean difference over channels, each level times the next coarser one's (N×1×H×W, fine to coarse)."""
    fine, middle, coarse = (difference.mean(1, keepdim=True) for difference in differences)
    middle = middle * doubled(coarse)
    return [fine * doubled(middle), middle, coarse]


class UpConvolution(nn.Sequential):
    """Twice the size, 3×3 convolution, batch norm, ReLU."""

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__(
            nn.Upsample(scale_factor=2, mode="bilinear", align_corners=True),
            nn.Conv2d(channels_in, channels_out, 3, padding=1),
            nn.BatchNorm2d(channels_out),
            nn.ReLU(inplace=True),
        )


class Decoder(nn.Module):
    """U-Net decoder from the deepest features up to two logits per pixel."""

    def __init__(self, channels: Mapping[str, int], width: int) -> None:
        super().__init__()
        stem, fine, middle, coarse, deep = (channels[layer] for layer in LAYERS)
        self.from_deep = UpConvolution(deep, coarse)
        self.from_coarse = UpConvolution(2 * coarse, middle)
        self.from_middle = UpConvolution(2 * middle, fine)
        self.from_fine = UpConvolution(2 * fine, width)
        self.skip = nn.Conv2d(stem, width, 3, padding=1)
        self.to_full = UpConvolution(2 * width, width)
        self.logits = nn.Conv2d(width, 2, 3, padding=1)

    def forward(self, stem: Tensor, attended: list[Tensor], deep: Tensor) -> Tensor:
        """Logits N×2×H×W at the size of the image; channel 1 is the anomaly."""
        fine, middle, coarse = attended
        x = torch.cat([self.from_deep(deep), coarse], 1)
        x = torch.cat([self.from_coarse(x), middle], 1)
        x = torch.cat([self.from_middle(x), fine], 1)
        x = torch.cat([self.from_fine(x), self.skip(stem)], 1)
        logits: Tensor = self.logits(self.to_full(x))
        return logits


class SegmentationHead(nn.Module):
    """Everything that is trained.

    Args:
        channels: of the backbone, by layer.
        width: channels of the last two decoder stages.
    """

    def __init__(self, channels: Mapping[str, int], width: int) -> None:
        super().__init__()
        self.fusion = MultiScaleFusion(channels)
        self.decoder = Decoder(channels, width)

    def forward(self, features: Mapping[str, Tensor], differences: Mapping[str, Tensor]) -> Tensor:
        """Logits N×2×H×W from the features of all five layers and the differences of `LEVELS`."""
        logits: Tensor = self.decoder(features["stem"], self.fusion(features, differences), features[DEEPEST])
        return logits


def anomaly_loss(logits: Tensor, mask: Tensor) -> dict[str, Tensor]:
    """0.6 L1 + 0.4 focal (section 3.5); `mask` is N×1×H×W of 0 and 1.

    The code's focal loss: γ = 4, targets clipped to 1e-5 … 1 - 1e-5, and both classes enter the sum.
    """
    probability = logits.softmax(1)
    target = torch.cat([1 - mask, mask], 1).clamp(1e-5, 1 - 1e-5)
    l1 = (probability[:, 1:] - mask).abs().mean()
    focal = (-((1 - probability) ** 4) * target * (probability + 1e-5).log()).sum(1).mean()
    return {"total": 0.6 * l1 + 0.4 * focal, "l1": l1, "focal": focal}
