"""Stream items as tensors, and what a training saw of its stream."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from flawsmith.core.arrays import Image
from flawsmith.core.detector import ItemStream, StreamItem


@dataclass(frozen=True, eq=False)
class Batch:
    """Items side by side.

    Args:
        image: B×3×H×W float32 in [0, 1].
        clean: B×3×H×W float32; the image itself where there is no twin.
        has_clean: B bool, where `clean` may be used.
        mask: B×1×H×W float32, exactly 0 or 1.
        label: B int64, 1 iff the mask holds something.
        items: index, defect, maker, sample id and empty draws of each.
    """

    image: Tensor
    clean: Tensor
    has_clean: Tensor
    mask: Tensor
    label: Tensor
    items: tuple[dict[str, Any], ...]


def to_tensor(images: Sequence[Image]) -> Tensor:
    """uint8 H×W×3 arrays of one size to B×3×H×W float32 in [0, 1]."""
    stacked = np.ascontiguousarray(np.stack(images).transpose(0, 3, 1, 2))
    return torch.from_numpy(stacked).to(torch.float32).div_(255)


def collate(items: Sequence[StreamItem]) -> Batch:
    """Stack items of one size."""
    masks = np.stack([item.mask for item in items])[:, None]
    return Batch(
        image=to_tensor([item.image for item in items]),
        clean=to_tensor([item.image if item.clean is None else item.clean for item in items]),
        has_clean=torch.tensor([item.clean is not None for item in items]),
        mask=torch.from_numpy(masks.astype(np.float32)),
        label=torch.tensor([item.label for item in items]),
        items=tuple(
            {
                "index": item.index,
                "defect": item.defect,
                "maker": item.maker,
                "sample": item.sample_id,
                "empty_draws": item.empty_draws,
                "area": float(item.mask.mean()),
            }
            for item in items
        ),
    )


class _Indexed(Dataset[StreamItem]):
    def __init__(self, stream: ItemStream) -> None:
        self.stream = stream

    def __getitem__(self, index: int) -> StreamItem:
        return self.stream[index]


def _one_thread(_: int) -> None:
    torch.set_num_threads(1)
    cv2.setNumThreads(1)


def batches(stream: ItemStream, size: int, start: int, stop: int, workers: int = 0) -> Iterator[Batch]:
    """Batches number `start` … `stop`-1; batch b holds items b·size … (b+1)·size-1, whatever the number of workers."""
    indices = [list(range(b * size, (b + 1) * size)) for b in range(start, stop)]
    loader = DataLoader(
        _Indexed(stream),
        batch_sampler=indices,
        num_workers=workers,
        collate_fn=collate,
        worker_init_fn=_one_thread,
        generator=torch.Generator().manual_seed(0),  # without it the loader would draw from torch's global generator
    )
    yield from loader


@dataclass
class StreamTally:
    """What a training saw: the realised ratio, who made how many, how often nothing could be placed."""

    items: int = 0
    anomalous: int = 0
    empty_draws: int = 0
    area: float = 0.0
    makers: Counter[str] = field(default_factory=Counter)

    def add(self, batch: Batch) -> None:
        """Count one batch."""
        for item, label in zip(batch.items, batch.label.tolist(), strict=True):
            self.items += 1
            self.anomalous += label
            self.empty_draws += item["empty_draws"]
            self.area += item["area"]
            self.makers[item["maker"]] += 1

    def to_json(self) -> dict[str, Any]:
        """Realised ratio, mean mask area of the anomalies, and the counts."""
        return {
            "items": self.items,
            "realised_ratio": self.anomalous / max(1, self.items),
            "mean_mask_area": self.area / max(1, self.anomalous),
            "empty_draws": self.empty_draws,
            "makers": dict(sorted(self.makers.items())),
        }
