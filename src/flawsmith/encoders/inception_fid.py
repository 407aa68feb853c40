"""The Inception network that defines FID, KID and Inception Score: the graph of 2015-12-05.

Szegedy et al., "Rethinking the Inception Architecture" (CVPR 2016); its weights in PyTorch's form come with mseitzer/pytorch-fid
and toshas/torch-fidelity (Apache-2.0), whose names the parameters have here. It is not the usual ImageNet Inception v3: 1008
logits, average pools that ignore the padding, and a max pool in the last block. Pictures are resized to 299 as TensorFlow 1 did:
bilinearly, without antialias, the grid starting at the corner.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

SIDE, POOLED, CLASSES = 299, 2048, 1008

Sides = int | tuple[int, int]


class ConvNorm(nn.Module):
    """Convolution without bias, batch norm, ReLU."""

    def __init__(self, channels_in: int, channels_out: int, kernel: Sides, stride: int = 1, padding: Sides = 0) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels_in, channels_out, kernel, stride, padding, bias=False)
        self.bn = nn.BatchNorm2d(channels_out, eps=1e-3)

    def forward(self, x: Tensor) -> Tensor:
        """N×in×H×W to N×out×H'×W'."""
        return F.relu(self.bn(self.conv(x)), inplace=True)


def _average(x: Tensor) -> Tensor:
    """A 3×3 average that counts no padding."""
    return F.avg_pool2d(x, 3, stride=1, padding=1, count_include_pad=False)


def _largest(x: Tensor) -> Tensor:
    return F.max_pool2d(x, 3, stride=1, padding=1)


class Block(nn.Module):
    """Branches side by side; each is a chain of layers, and the outputs are joined along the channels.

    A subclass names its layers as the weight files do and lists the chains in `chains`; a tuple at the end of a chain means that
    its layers split there.
    """

    chains: ClassVar[tuple[tuple[str | tuple[str, str], ...], ...]]

    def chained(self, x: Tensor, chain: Sequence[str | tuple[str, str]]) -> Tensor:
        """What comes out of one chain."""
        for step in chain:
            x = torch.cat([self._layer(x, name) for name in step], 1) if isinstance(step, tuple) else self._layer(x, step)
        return x

    def forward(self, x: Tensor) -> Tensor:
        """All chains, then the pooled branch."""
        return torch.cat([*(self.chained(x, chain) for chain in self.chains), self.pooled(x)], 1)

    def pooled(self, x: Tensor) -> Tensor:
        """The branch that pools."""
        return self._layer(_average(x), "branch_pool")

    def _layer(self, x: Tensor, name: str) -> Tensor:
        out: Tensor = self.get_submodule(name)(x)
        return out


class BlockA(Block):
    """35×35: 1×1, 5×5, double 3×3, pool."""

    chains = (("branch1x1",), ("branch5x5_1", "branch5x5_2"), ("branch3x3dbl_1", "branch3x3dbl_2", "branch3x3dbl_3"))

    def __init__(self, channels: int, pool: int) -> None:
        super().__init__()
        self.branch1x1 = ConvNorm(channels, 64, 1)
        self.branch5x5_1 = ConvNorm(channels, 48, 1)
        self.branch5x5_2 = ConvNorm(48, 64, 5, padding=2)
        self.branch3x3dbl_1 = ConvNorm(channels, 64, 1)
        self.branch3x3dbl_2 = ConvNorm(64, 96, 3, padding=1)
        self.branch3x3dbl_3 = ConvNorm(96, 96, 3, padding=1)
        self.branch_pool = ConvNorm(channels, pool, 1)


class Halving(Block):
    """A block whose pooled branch halves the sides by a max pool without a convolution."""

    def pooled(self, x: Tensor) -> Tensor:
        """Max pool 3×3 with stride 2."""
        return F.max_pool2d(x, 3, stride=2)


class BlockB(Halving):
    """35×35 to 17×17."""

    chains = (("branch3x3",), ("branch3x3dbl_1", "branch3x3dbl_2", "branch3x3dbl_3"))

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.branch3x3 = ConvNorm(channels, 384, 3, stride=2)
        self.branch3x3dbl_1 = ConvNorm(channels, 64, 1)
        self.branch3x3dbl_2 = ConvNorm(64, 96, 3, padding=1)
        self.branch3x3dbl_3 = ConvNorm(96, 96, 3, stride=2)


class BlockC(Block):
    """17×17: 1×1, 7×7 and double 7×7 in rows and columns, pool."""

    chains = (
        ("branch1x1",),
        ("branch7x7_1", "branch7x7_2", "branch7x7_3"),
        ("branch7x7dbl_1", "branch7x7dbl_2", "branch7x7dbl_3", "branch7x7dbl_4", "branch7x7dbl_5"),
    )

    def __init__(self, channels: int, inner: int) -> None:
        super().__init__()
        row, column = ((1, 7), (0, 3)), ((7, 1), (3, 0))
        self.branch1x1 = ConvNorm(channels, 192, 1)
        self.branch7x7_1 = ConvNorm(channels, inner, 1)
        self.branch7x7_2 = ConvNorm(inner, inner, row[0], padding=row[1])
        self.branch7x7_3 = ConvNorm(inner, 192, column[0], padding=column[1])
        self.branch7x7dbl_1 = ConvNorm(channels, inner, 1)
        self.branch7x7dbl_2 = ConvNorm(inner, inner, column[0], padding=column[1])
        self.branch7x7dbl_3 = ConvNorm(inner, inner, row[0], padding=row[1])
        self.branch7x7dbl_4 = ConvNorm(inner, inner, column[0], padding=column[1])
        self.branch7x7dbl_5 = ConvNorm(inner, 192, row[0], padding=row[1])
        self.branch_pool = ConvNorm(channels, 192, 1)


class BlockD(Halving):
    """17×17 to 8×8."""

    chains = (("branch3x3_1", "branch3x3_2"), ("branch7x7x3_1", "branch7x7x3_2", "branch7x7x3_3", "branch7x7x3_4"))

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.branch3x3_1 = ConvNorm(channels, 192, 1)
        self.branch3x3_2 = ConvNorm(192, 320, 3, stride=2)
        self.branch7x7x3_1 = ConvNorm(channels, 192, 1)
        self.branch7x7x3_2 = ConvNorm(192, 192, (1, 7), padding=(0, 3))
        self.branch7x7x3_3 = ConvNorm(192, 192, (7, 1), padding=(3, 0))
        self.branch7x7x3_4 = ConvNorm(192, 192, 3, stride=2)


class BlockE(Block):
    """8×8: 1×1, 3×3 and double 3×3 that split into a row and a column, pool.

    Args:
        channels: that come in.
        largest: the pool takes the largest, as this graph's last block does, in place of the average.
    """

    chains = (
        ("branch1x1",),
        ("branch3x3_1", ("branch3x3_2a", "branch3x3_2b")),
        ("branch3x3dbl_1", "branch3x3dbl_2", ("branch3x3dbl_3a", "branch3x3dbl_3b")),
    )

    def __init__(self, channels: int, *, largest: bool) -> None:
        super().__init__()
        self.largest = largest
        self.branch1x1 = ConvNorm(channels, 320, 1)
        self.branch3x3_1 = ConvNorm(channels, 384, 1)
        self.branch3x3_2a = ConvNorm(384, 384, (1, 3), padding=(0, 1))
        self.branch3x3_2b = ConvNorm(384, 384, (3, 1), padding=(1, 0))
        self.branch3x3dbl_1 = ConvNorm(channels, 448, 1)
        self.branch3x3dbl_2 = ConvNorm(448, 384, 3, padding=1)
        self.branch3x3dbl_3a = ConvNorm(384, 384, (1, 3), padding=(0, 1))
        self.branch3x3dbl_3b = ConvNorm(384, 384, (3, 1), padding=(1, 0))
        self.branch_pool = ConvNorm(channels, 192, 1)

    def pooled(self, x: Tensor) -> Tensor:
        """The branch that pools."""
        return self._layer(_largest(x) if self.largest else _average(x), "branch_pool")


class InceptionFid(nn.Module):
    """The network, without gradients; 23 850 960 parameters."""

    def __init__(self) -> None:
        super().__init__()
        self.Conv2d_1a_3x3 = ConvNorm(3, 32, 3, stride=2)
        self.Conv2d_2a_3x3 = ConvNorm(32, 32, 3)
        self.Conv2d_2b_3x3 = ConvNorm(32, 64, 3, padding=1)
        self.Conv2d_3b_1x1 = ConvNorm(64, 80, 1)
        self.Conv2d_4a_3x3 = ConvNorm(80, 192, 3)
        self.Mixed_5b = BlockA(192, 32)
        self.Mixed_5c = BlockA(256, 64)
        self.Mixed_5d = BlockA(288, 64)
        self.Mixed_6a = BlockB(288)
        self.Mixed_6b = BlockC(768, 128)
        self.Mixed_6c = BlockC(768, 160)
        self.Mixed_6d = BlockC(768, 160)
        self.Mixed_6e = BlockC(768, 192)
        self.Mixed_7a = BlockD(768)
        self.Mixed_7b = BlockE(1280, largest=False)
        self.Mixed_7c = BlockE(2048, largest=True)
        self.fc = nn.Linear(POOLED, CLASSES)
        self.requires_grad_(False)
        self.eval()

    @torch.no_grad()
    def forward(self, pictures: Tensor) -> tuple[Tensor, Tensor]:
        """(pool features N×2048, logits without their bias N×1008) of N×3×H×W in 0…255, of any size."""
        x = (resized_as_tensorflow_1(pictures.to(torch.float32), SIDE) - 128) / 128
        x = self.Conv2d_2b_3x3(self.Conv2d_2a_3x3(self.Conv2d_1a_3x3(x)))
        x = F.max_pool2d(x, 3, stride=2)
        x = self.Conv2d_4a_3x3(self.Conv2d_3b_1x1(x))
        x = F.max_pool2d(x, 3, stride=2)
        for block in ("5b", "5c", "5d", "6a", "6b", "6c", "6d", "6e", "7a", "7b", "7c"):
            x = self.get_submodule(f"Mixed_{block}")(x)
        pooled = x.mean((2, 3))
        return pooled, pooled @ self.fc.weight.T


def resized_as_tensorflow_1(pictures: Tensor, side: int) -> Tensor:
    """Bilinear N×C×H×W to N×C×side×side, without antialias: pixel i of the result lies at i·H/side of the source."""
    for dimension in (2, 3):
        old = pictures.shape[dimension]
        place = torch.arange(side, dtype=torch.float32) * torch.tensor(old / side, dtype=torch.float32)
        low = place.long()
        high = (low + 1).clamp_max(old - 1)
        share = (place - low)[:, None] if dimension == 2 else place - low
        left = pictures.index_select(dimension, low)
        pictures = left + (pictures.index_select(dimension, high) - left) * share
    return pictures
