"""A synthesizer that counts its calls and paints a square, and normals to paint on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
import pytest
from pydantic import PrivateAttr

from flawsmith.core.methods import Method
from flawsmith.core.requests import Anomaly, Provenance, Request
from flawsmith.core.samples import GOOD, Sample, SupportSet
from flawsmith.core.seeding import Seed
from flawsmith.core.synthesizer import SynthesizerTraits
from flawsmith.testing.toy import toy_normals


class Square(Method):
    name: ClassVar[str] = "square"
    traits: ClassVar[SynthesizerTraits] = SynthesizerTraits()

    side: int = 8
    _calls: list[int] = PrivateAttr(default_factory=list)

    def fit(self, support: SupportSet) -> Square:
        return self

    def synthesize(self, requests: Sequence[Request]) -> list[Anomaly]:
        return [self._one(request) for request in requests]

    def _one(self, request: Request) -> Anomaly:
        self._calls.append(1)
        normal = request.normal.image()
        mask = np.zeros(normal.shape[:2], bool)
        y, x = request.seed.numpy("place").integers(0, normal.shape[0] - self.side, 2)
        mask[y : y + self.side, x : x + self.side] = True
        image = np.where(mask[:, :, None], np.uint8(255), normal)
        provenance = Provenance(self.name, {}, "0", request.seed.to_json(), request.normal.id)
        return Anomaly(image, mask, "square" if mask.any() else GOOD, normal, "normal", None, provenance)


@pytest.fixture
def square() -> Square:
    return Square()


@pytest.fixture(scope="session")
def normals() -> list[Sample]:
    return toy_normals(6, Seed(0), size=48)
