"""What the checks on a detector share: a texture with defects that cannot be missed, tasks, digests, a fresh process."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import numpy as np

from flawsmith.core.arrays import Image
from flawsmith.core.detector import Detector, ItemStream, Prediction, StreamItem, TrainingTask
from flawsmith.core.errors import UsageError
from flawsmith.core.samples import GOOD, Region, Sample, SupportSet
from flawsmith.core.seeding import Seed
from flawsmith.data.resize import resize_image
from flawsmith.testing.fresh_process import ask_fresh_process, class_of
from flawsmith.testing.sources import WatchedSource
from flawsmith.testing.toy import toy_texture

SIDE = 64
ROOT = Seed(21, ("conformance", "detector"))
NORMALS = 5


class TouchedByMistake(AssertionError):
    """Something was read that this training may not see."""


class Interrupted(Exception):
    """A training was stopped from outside."""


def normal_image(index: int, size: tuple[int, int] = (SIDE, SIDE)) -> Image:
    """A normal, uint8 H×W×3: one and the same piece of cloth, photographed again with fresh noise."""
    cloth = toy_texture(ROOT, max(size))[: size[0], : size[1]]
    noise = ROOT.numpy("noise", index).normal(0, 4, size)
    return np.clip(cloth + noise[:, :, None], 0, 255).astype(np.uint8)


def defective_image(index: int, side: int = SIDE) -> tuple[Image, np.ndarray[Any, np.dtype[np.bool_]]]:
    """The same kind of picture with a black or white square over a ninth of it, and the square's mask."""
    image, mask = normal_image(1000 + index, (side, side)), np.zeros((side, side), bool)
    y, x = ROOT.numpy("square", index).integers(side // 8, side - side // 8 - side // 3, 2)
    mask[y : y + side // 3, x : x + side // 3] = True
    image[mask] = 255 * (index % 2)
    return image, mask


def normal_sample(index: int, pixels: Image | None = None, refusal: Exception | None = None) -> Sample:
    """A training normal."""
    source = WatchedSource(normal_image(index) if pixels is None else pixels, refusal=refusal)
    return Sample(f"toy/train/{GOOD}/{index:03d}", "toy", GOOD, "train", str(index), source)


def defective_sample(index: int, refusal: Exception | None = None) -> Sample:
    """An anomaly of the kind `square`."""
    image, mask = defective_image(index)
    source = WatchedSource(image, (Region("square", mask),), refusal=refusal)
    return Sample(f"toy/test/square/{index:03d}", "toy", "square", "test", f"square-{index}", source)


@dataclass
class SquareStream:
    """Normals and squares in turn, at the detector's size.

    Args:
        size: side, pixels.
        stop_at: index at which reading is interrupted; None: never.
        refusal: raised at any access.
    """

    size: int
    stop_at: int | None = None
    refusal: Exception | None = None
    read: list[int] = field(default_factory=list)

    def __getitem__(self, index: int) -> StreamItem:
        """The item at `index`."""
        if self.refusal is not None:
            raise self.refusal
        if self.stop_at is not None and index >= self.stop_at:
            raise Interrupted(f"at item {index}")
        self.read.append(index)
        clean = resize_image(normal_image(1000 + index), (self.size, self.size))
        if index % 2 == 0:
            return StreamItem(clean, clean, np.zeros((self.size, self.size), bool), GOOD, "real", "normal", str(index), index)
        _, mask = defective_image(index, self.size)
        image = clean.copy()
        image[mask] = 255 * (index // 2 % 2)
        return StreamItem(image, clean, mask, "square", "synthetic", "square", str(index), index)


@dataclass(frozen=True, eq=False)
class DetectorCase:
    """One detector under test.

    Args:
        make: builds it, unfitted and cheap: small, few steps.
        docs: the folder that holds its page, `<name>.md`; None: pages are not looked at.
    """

    make: Callable[[], Detector]
    docs: Path | None = None

    @cached_property
    def detector(self) -> Detector:
        """One of them, fitted on `task()`."""
        return self.make().fit(self.task())

    @property
    def images(self) -> list[Image]:
        """Two normals and two squares, none of them seen in training."""
        return [normal_image(100), defective_image(100)[0], normal_image(101), defective_image(101)[0]]

    def stream(self, **fields: Any) -> ItemStream | None:
        """Anomalies for detectors that learn from them, None for the others."""
        made = self.make()
        return SquareStream(made.size, **fields) if "anomalies" in made.traits.learns_from else None

    def task(self, normals: Sequence[Sample] | None = None, **fields: Any) -> TrainingTask:
        """A training on five normals, or on `normals`."""
        chosen = tuple(normal_sample(i) for i in range(NORMALS)) if normals is None else tuple(normals)
        support = SupportSet(chosen, product="toy", dataset="toy")
        return TrainingTask(**{"stream": self.stream(), "normals": chosen, "support": support, "seed": ROOT, **fields})

    def predictions(self, detector: Detector | None = None, images: Sequence[Image] | None = None) -> list[Prediction]:
        """What a detector (the fitted one) says of images (the four)."""
        return list((detector or self.detector).predict(self.images if images is None else images))

    def digests(self, detector: Detector | None = None, images: Sequence[Image] | None = None) -> list[str]:
        """Digest of each prediction."""
        return [digest(prediction) for prediction in self.predictions(detector, images)]


def digest(prediction: Prediction) -> str:
    """SHA-256 of everything that a detector says of an image."""
    classes = prediction.defect_probabilities
    told = hashlib.sha256(repr((prediction.score, list(classes.items()) if classes else None)).encode())
    for part in (prediction.map, prediction.label_map):
        told.update(b"none" if part is None else np.ascontiguousarray(part).tobytes())
    return told.hexdigest()


@contextmanager
def checkpoint_at_every_step() -> Iterator[None]:
    """Let the training loop's clock run so fast that a checkpoint is due after every step."""
    ticks = iter(range(0, 10**9, 1000))
    with patch("flawsmith.learning.loop.time", SimpleNamespace(monotonic=lambda: float(next(ticks)))):
        yield


def digests_in_fresh_process(detector: Detector, folder: Path) -> list[str]:
    """What a new Python that loads `folder` says of the four images: no GPU, one thread as here, no data."""
    threads = sys.modules["torch"].get_num_threads() if "torch" in sys.modules else 1
    order = {"folder": str(folder), "threads": threads}
    return ask_fresh_process(type(detector), "flawsmith.testing.detector_case:answer_order", order)


def answer_order() -> None:
    """The other side of `digests_in_fresh_process`: an order on stdin, digests on stdout."""
    order = json.load(sys.stdin)
    import torch

    torch.set_num_threads(order["threads"])
    detector = class_of(order).load(Path(order["folder"]))
    sys.stdout.write(json.dumps(DetectorCase(lambda: detector).digests(detector)))


def assert_form(image: Image, prediction: Prediction) -> None:
    """The map is finite float32 in image size, the score a finite float, the inspector's fields are empty."""
    assert isinstance(prediction.map, np.ndarray), f"the map is a {type(prediction.map).__name__}"
    assert prediction.map.dtype == np.float32, f"the map is {prediction.map.dtype}; expected float32"
    assert prediction.map.shape == image.shape[:2], f"the map is {prediction.map.shape}; expected {image.shape[:2]}"
    assert np.isfinite(prediction.map).all(), "the map is not finite"
    assert isinstance(prediction.score, float), f"the score is a {type(prediction.score).__name__}"
    assert np.isfinite(prediction.score), f"the score is {prediction.score}"
    left = (prediction.threshold, prediction.verdict, prediction.threshold_source)
    assert left == (None, None, None), f"threshold and verdict are {left}; expected None: they are the inspector's"


def assert_refused(call: Callable[[], object], error: type[Exception] | tuple[type[Exception], ...], what: str) -> None:
    """`call` raises `error`, which `what` deserves."""
    names = " or ".join(kind.__name__ for kind in (error if isinstance(error, tuple) else (error,)))
    try:
        call()
    except error:
        return
    except Exception as other:
        raise AssertionError(f"{what} raises {type(other).__name__} ({other}); expected {names}") from other
    raise AssertionError(f"{what} is accepted; expected {names}")


def refusal_of(method: Detector, changes: Mapping[str, Any]) -> str:
    """What the class says against its parameters with `changes`; empty where it accepts them."""
    try:
        type(method).from_params({**method.recipe().params, **changes})
    except UsageError as error:
        return str(error)
    return ""
