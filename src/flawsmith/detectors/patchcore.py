"""PatchCore: how far is each patch from the nearest patch of a normal image?

Roth et al., "Towards Total Recall in Industrial Anomaly Detection", CVPR 2022, arXiv 2106.08265; equation and algorithm numbers
are the paper's. Original code: amazon-science/patchcore-inspection (Apache-2.0).

Follows the paper in what the original code leaves out: the image score is re-weighted (eq. 7; `reweight=False` for the code's).
Departs in two places: neighbouring patches are averaged and the layers concatenated, without the code's further pooling to 1024
channels (as anomalib does); the first centre of the coreset is drawn and stays in the memory.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Self

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from pydantic import AfterValidator, Field
from torch import Tensor

from flawsmith.core.detector import TrainingTask
from flawsmith.core.errors import BadParameter
from flawsmith.core.progress import track
from flawsmith.core.samples import Sample
from flawsmith.core.seeding import Seed
from flawsmith.detectors import TRAITS
from flawsmith.detectors.base import ImageDetector, prepare, require_normals, under
from flawsmith.detectors.coreset import greedy_k_centre, projected
from flawsmith.encoders.extractor import FeatureExtractor, check_layers
from flawsmith.encoders.hub import build_encoder, check_backbone

QUERIES_AT_ONCE, ROWS_AT_ONCE = 1024, 8192
GIB = 2**30


@dataclass(frozen=True, eq=False)
class Memory:
    """What was learned.

    Args:
        encoder: the frozen backbone.
        rows: normal patches, float32 M×D.
        norms: their squared lengths, M.
        patches: how many patches the rows were chosen from.
    """

    encoder: FeatureExtractor
    rows: Tensor
    norms: Tensor
    patches: int

    @classmethod
    def of(cls, encoder: FeatureExtractor, rows: Tensor, patches: int) -> Memory:
        """With the lengths computed."""
        return cls(encoder, rows, rows.square().sum(1), patches)


class PatchCore(ImageDetector[Memory]):
    """Memory of normal patches.

    Args:
        size: working side, pixels.
        backbone: whose features.
        pretrained: trained weights; False draws random ones, which only tests want.
        layers: fine to coarse; all are brought to the grid of the first.
        coreset_ratio: share of all patches that the memory keeps.
        coreset_max: most rows that it keeps; None: as many as the ratio says.
        row_share: share of each image's patches that the choice is made from, drawn at random; 1 as in the paper.
        neighbours: size b of the neighbourhood in eq. 7.
        reweight: whether the image score is re-weighted.
        sigma: of the Gaussian that smooths the map, pixels at the working size; 0: none.
        memory_gib: most memory that the patches may take while fitting.
    """

    name = "patchcore"
    traits = TRAITS["patchcore"]
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {"cpu": {}, "paper": {"coreset_max": None}}

    size: int = Field(default=256, ge=64)
    backbone: Annotated[str, AfterValidator(check_backbone)] = "efficientnet_lite0"
    pretrained: bool = True
    layers: Annotated[tuple[str, ...], AfterValidator(check_layers)] = ("layer2", "layer3")
    coreset_ratio: float = Field(default=0.1, gt=0, le=1)
    coreset_max: int | None = Field(default=10_000, ge=1)
    row_share: float = Field(default=1.0, gt=0, le=1)
    neighbours: int = Field(default=9, ge=1)
    reweight: bool = True
    sigma: float = Field(default=4.0, ge=0)
    memory_gib: float = Field(default=2.0, gt=0)

    def fit(self, task: TrainingTask) -> Self:
        """Algorithm 1: gather the patches of all normals, keep a coreset of them.

        Raises:
            NeedUnmet: no normals.
            DataError: an anomaly among them.
            BadParameter: the patches would take more than `memory_gib`.
        """
        require_normals(self.name, task.normals)
        encoder = build_encoder(self.backbone, deepest=self.layers[-1], pretrained=self.pretrained, seed=task.seed)
        patches = self._gather(encoder, task.normals, task.seed)
        rows = patches[self._choose(patches, task.seed)]
        self._state = Memory.of(encoder, rows, len(patches))
        return self

    def _gather(self, encoder: FeatureExtractor, normals: Sequence[Sample], seed: Seed) -> Tensor:
        rows = torch.empty(0)
        for number, sample in enumerate(track(normals, "reading normals")):
            found = patch_rows(encoder, prepare(sample.image(), self.size), self.layers)
            kept = max(1, round(self.row_share * len(found)))
            if number == 0:
                rows = torch.empty(self._affordable(len(normals) * kept, found.shape[1]))
            if kept < len(found):
                found = found[_drawn(len(found), kept, seed.torch("rows", number))]
            rows[number * kept : (number + 1) * kept] = found
        return rows

    def _affordable(self, count: int, width: int) -> tuple[int, int]:
        needed = count * width * 4 / GIB
        if needed > self.memory_gib:
            share = self.row_share * self.memory_gib / needed
            raise BadParameter(
                f"{self.name} would hold {count:,} patches × {width} × 4 bytes = {needed:.3g} GiB; "
                f"expected at most memory_gib={self.memory_gib:g}: set row_share={share:.2g} or raise memory_gib"
            )
        return count, width

    def _choose(self, patches: Tensor, seed: Seed) -> Tensor:
        size = max(1, int(len(patches) * self.coreset_ratio))
        size = size if self.coreset_max is None else min(size, self.coreset_max)
        if size == len(patches):
            return torch.arange(size)
        first = int(seed.numpy("first centre").integers(len(patches)))
        return greedy_k_centre(projected(patches, seed.torch("projection")), size, first)

    def _score(self, state: Memory, image: Tensor) -> tuple[float, Tensor]:
        """Eqs. 6 and 7, and the smoothed map."""
        queries = patch_rows(state.encoder, image, self.layers)
        distances = nearest_distances(queries, state.rows, state.norms)
        score = image_score(queries, distances, state.rows, state.norms, self.neighbours if self.reweight else 1)
        height, width = (-(-side // state.encoder.strides[self.layers[0]]) for side in image.shape[2:])
        grid = distances.view(1, 1, height, width)
        full = F.interpolate(grid, size=image.shape[2:], mode="bilinear", align_corners=False)[0, 0]
        return score, smoothed(full, self.sigma)

    def _to_storage(self, state: Memory) -> tuple[dict[str, Any], dict[str, Tensor]]:
        facts = {
            "backbone": self.backbone,
            "backbone_weights": state.encoder.weights,
            "patches": state.patches,
            "rows": len(state.rows),
        }
        weights = {f"backbone/{key}": value for key, value in state.encoder.state_dict().items()}
        return facts, {"rows": state.rows, **weights}

    def _from_storage(self, facts: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> Memory:
        encoder = build_encoder(self.backbone, deepest=self.layers[-1], pretrained=False)
        encoder.load_state_dict(under("backbone", tensors))
        encoder.weights = str(facts["backbone_weights"])
        return Memory.of(encoder, tensors["rows"], int(facts["patches"]))


def patch_rows(encoder: FeatureExtractor, image: Tensor, layers: Sequence[str]) -> Tensor:
    """Locally aware patch features (eqs. 1-3) of one image: (grid cells of the first layer)×D."""
    maps = [F.avg_pool2d(found, 3, 1, 1) for found in encoder.extract(image, layers).values()]
    grid = maps[0].shape[2:]
    maps[1:] = [F.interpolate(found, size=grid, mode="bilinear", align_corners=False) for found in maps[1:]]
    return torch.cat(maps, 1)[0].flatten(1).T.contiguous()


def nearest_distances(queries: Tensor, rows: Tensor, norms: Tensor) -> Tensor:
    """Euclidean distance of each query to its nearest row (eq. 6), in blocks, so that memory stays bounded."""
    nearest = torch.full((len(queries),), torch.inf)
    for q in range(0, len(queries), QUERIES_AT_ONCE):
        some = slice(q, q + QUERIES_AT_ONCE)
        for r in range(0, len(rows), ROWS_AT_ONCE):
            block = slice(r, r + ROWS_AT_ONCE)
            less_own_length = torch.addmm(norms[None, block], queries[some], rows[block].T, alpha=-2)
            nearest[some] = torch.minimum(nearest[some], less_own_length.amin(1))
    return (nearest + queries.square().sum(1)).clamp_(min=0).sqrt_()


def image_score(queries: Tensor, distances: Tensor, rows: Tensor, norms: Tensor, neighbours: int) -> float:
    """The largest patch distance s*, times one minus the softmax of its nearest row among that row's neighbours (eq. 7)."""
    patch = queries[int(distances.argmax())]
    nearest = int(torch.addmv(norms, rows, patch, alpha=-2).argmin())
    farthest = float((rows[nearest] - patch).square().sum().sqrt())
    count = min(neighbours, len(rows))
    if count == 1:
        return farthest
    around = torch.addmv(norms, rows, rows[nearest], alpha=-2)
    around[nearest] = -torch.inf  # the row itself comes first, whatever rounding says
    hood = rows[around.topk(count, largest=False).indices]
    weight = 1 - torch.softmax((hood - patch).square().sum(1).sqrt(), 0)[0]
    return farthest * float(weight)


def smoothed(anomaly_map: Tensor, sigma: float) -> Tensor:
    """Gaussian of 4 sigma to each side with reflected borders; on maps smaller than that, kernel and sigma shrink together."""
    if sigma == 0:
        return anomaly_map
    kernel = 2 * int(4 * sigma + 0.5) + 1
    side = min(anomaly_map.shape)
    if kernel > side:
        fitting = side - 1 + side % 2
        kernel, sigma = fitting, sigma * fitting / kernel
    blurred = cv2.GaussianBlur(anomaly_map.numpy(), (kernel, kernel), sigma, borderType=cv2.BORDER_REFLECT_101)
    return torch.from_numpy(np.asarray(blurred, np.float32))


def _drawn(count: int, kept: int, generator: torch.Generator) -> Tensor:
    return torch.randperm(count, generator=generator)[:kept].sort().values
