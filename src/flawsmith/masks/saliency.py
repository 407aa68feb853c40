"""Where the object is, by a saliency network that the user has.

UniADC uses BiRefNet: 512×512, ImageNet mean and deviation, the last output, sigmoid, at least one half. Nothing is downloaded,
and no code of a model runs: a network is an ONNX file, which OpenCV executes, or any object with `segment`.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from threading import Lock
from typing import Protocol

import cv2
import numpy as np

from flawsmith.core.arrays import Image, Mask
from flawsmith.core.errors import BadParameter, DamagedFile
from flawsmith.data.resize import resize_mask

FILE = "model.onnx"
SIDE = 512
MEAN = (0.485, 0.456, 0.406)
DEVIATION = (0.229, 0.224, 0.225)


class Segmenter(Protocol):
    """Finds the object of a picture."""

    def segment(self, image: Image) -> Mask:
        """The object's pixels, bool H×W, of a uint8 H×W×3 RGB picture."""
        ...


class OnnxSegmenter:
    """A saliency network in a file.

    Args:
        folder: holds `model.onnx`, which takes 1×3×512×512 float32, normalised like ImageNet, and whose last output is 1×1×h×w of
            logits, above 0 on the object.

    Raises:
        BadParameter: the folder lacks the file.
        DamagedFile: OpenCV cannot read it.
    """

    def __init__(self, folder: str) -> None:
        self.file = Path(folder).expanduser() / FILE
        if not self.file.is_file():
            raise BadParameter(
                f"foreground is model:{folder}, and there is no file {self.file}; expected a saliency network as {FILE} "
                f"(1×3×{SIDE}×{SIDE} in, logits out): put one there, nothing is downloaded"
            )
        try:
            self._net = cv2.dnn.readNetFromONNX(str(self.file))
        except cv2.error as error:
            raise DamagedFile(f"{self.file} is no ONNX network ({_first_line(error)}); expected one: export it again") from error
        self._output = self._net.getUnconnectedOutLayersNames()[-1]
        self._lock = Lock()

    def segment(self, image: Image) -> Mask:
        """The object's pixels, bool H×W.

        Raises:
            BadParameter: the network does not take the picture, or answers with something else than one map.
        """
        small = cv2.resize(np.ascontiguousarray(image), (SIDE, SIDE), interpolation=cv2.INTER_AREA).astype(np.float32) / 255
        batch = np.ascontiguousarray(((small - MEAN) / DEVIATION).astype(np.float32).transpose(2, 0, 1)[None])
        try:
            with self._lock:
                self._net.setInput(batch)
                logits = np.squeeze(self._net.forward(self._output))
        except cv2.error as error:
            raise BadParameter(f"{self.file} refuses 1×3×{SIDE}×{SIDE} float32: {_first_line(error)}; export it so") from error
        if logits.ndim != 2:
            raise BadParameter(f"the last output of {self.file} is {logits.shape}; expected one map, 1×1×h×w: export it so")
        return resize_mask(logits >= 0, (image.shape[0], image.shape[1]))


@lru_cache(maxsize=2)
def open_segmenter(folder: str) -> OnnxSegmenter:
    """The network of a folder, read once per process."""
    return OnnxSegmenter(folder)


def _first_line(error: Exception) -> str:
    return " ".join(str(error).split())[:160]
