"""What every detector here shares: images in, predictions out, one at a time; saving and loading; typed refusals.

Each image is computed alone. The kernels that torch picks depend on the shape of a batch, so nothing else makes the result of an
image independent of its neighbours bit for bit; with one small image per call it costs no time on a CPU.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Generic, Self, TypeVar

import numpy as np
import torch
from pydantic import PrivateAttr
from torch import Tensor, nn

from flawsmith.core.arrays import Image
from flawsmith.core.detector import DetectorTraits, Prediction
from flawsmith.core.errors import DamagedFile, DataError, NeedUnmet, NotFitted
from flawsmith.core.methods import Method
from flawsmith.core.samples import Sample
from flawsmith.data.resize import resize_image, resize_map
from flawsmith.detectors.storage import DESCRIPTION, StoredDetector, read_detector, write_detector
from flawsmith.learning.batches import to_tensor

StateT = TypeVar("StateT")


class ImageDetector(Method, Generic[StateT]):
    """A detector that looks at one size×size image at a time.

    A subclass fits `_state` and says how to score (`_score`) and how its state becomes tensors and JSON and back
    (`_to_storage`, `_from_storage`).
    """

    traits: ClassVar[DetectorTraits]
    size: int

    _state: StateT | None = PrivateAttr(None)

    def predict(self, images: Iterable[Image], *, product: str | None = None) -> Iterator[Prediction]:
        """One prediction per image, in order; the map is in image size.

        Raises:
            NotFitted: before `fit` or `load`.
            DataError: an image is not uint8 H×W×3 (E_PIXELS).
        """
        state = self.fitted
        return (self._predicted(state, image) for image in images)

    @property
    def fitted(self) -> StateT:
        """What was learned.

        Raises:
            NotFitted: nothing yet.
        """
        if self._state is None:
            raise NotFitted(self.name)
        return self._state

    @property
    def facts(self) -> Mapping[str, Any]:
        """What was learned beside the tensors, as in `detector.json`: the origin of the backbone's weights among others.

        Raises:
            NotFitted: nothing yet.
        """
        return self._to_storage(self.fitted)[0]

    def save(self, folder: Path) -> None:
        """Write `model.safetensors` and `detector.json` into `folder`.

        Raises:
            NotFitted: nothing to save yet.
            OutputError: the folder cannot be written.
        """
        facts, tensors = self._to_storage(self.fitted)
        write_detector(folder, StoredDetector(self.name, self.model_dump(mode="json"), facts, tensors))

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote; nothing else is needed, no weight file and no data.

        Raises:
            DamagedFile: a file is missing, was changed, or holds something else.
        """
        stored = read_detector(folder, cls.name)
        detector = cls.from_params(stored.params)
        try:
            detector._state = detector._from_storage(stored.state, stored.tensors)
        except (KeyError, RuntimeError, TypeError, ValueError) as error:
            reason = str(error).replace("\n", " ")
            raise DamagedFile(
                f"{folder / DESCRIPTION} does not fit its tensors ({reason}); expected a saved {cls.name}: train again"
            ) from error
        return detector

    def graph(self) -> nn.Module:
        """Refused: no exportable graph (see `traits.exports`).

        Raises:
            NeedUnmet: always.
        """
        raise NeedUnmet(self.name, "a graph that can be exported", "choose a detector whose traits say that it exports")

    @abstractmethod
    def _score(self, state: StateT, image: Tensor) -> tuple[float, Tensor]:
        """Score and size×size map of one image, 1×3×size×size in [0, 1]."""

    @abstractmethod
    def _to_storage(self, state: StateT) -> tuple[dict[str, Any], dict[str, Tensor]]:
        """JSON values and tensors."""

    @abstractmethod
    def _from_storage(self, facts: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> StateT:
        """The inverse of `_to_storage`."""

    @torch.no_grad()
    def _predicted(self, state: StateT, image: Image) -> Prediction:
        score, working_map = self._score(state, prepare(image, self.size))
        return Prediction(score, resize_map(working_map.numpy(), image.shape[:2]))


def prepare(image: Image, size: int) -> Tensor:
    """uint8 H×W×3 to float32 1×3×size×size in [0, 1].

    Raises:
        DataError: another shape or type (E_PIXELS).
    """
    if not isinstance(image, np.ndarray) or image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
        got = f"{image.dtype} {image.shape}" if isinstance(image, np.ndarray) else type(image).__name__
        raise DataError("E_PIXELS", f"an image is {got}; expected uint8 H×W×3: repeat a grey channel, scale to 0…255")
    return to_tensor([resize_image(image, (size, size))])


def require_normals(method: str, normals: Sequence[Sample]) -> None:
    """Refuse to learn normality from nothing, or from a picture with a defect.

    Raises:
        NeedUnmet: no normal.
        DataError: an anomaly among the normals (E_LABEL).
    """
    if not normals:
        raise NeedUnmet(method, "at least one normal image", "put good images into the training split")
    for sample in normals:
        if not sample.is_normal:
            raise DataError(
                "E_LABEL",
                f"{method} was given {sample.id} ({sample.defect}) as a normal; expected good images only: check the split",
                [sample.source.location],
            )


def under(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors whose names start with `prefix`/, without it."""
    return {key.removeprefix(f"{prefix}/"): value for key, value in tensors.items() if key.startswith(f"{prefix}/")}
