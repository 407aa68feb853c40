"""What the checks on a synthesizer share: pictures to start from, requests, digests, and the same work in a fresh process."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from flawsmith.core.arrays import Image
from flawsmith.core.requests import Anomaly, Request
from flawsmith.core.samples import GOOD, Sample, SupportSet
from flawsmith.core.seeding import Seed
from flawsmith.core.synthesizer import Synthesizer
from flawsmith.testing.fresh_process import ask_fresh_process, class_of
from flawsmith.testing.sources import WatchedSource
from flawsmith.testing.toy import toy_anomalies, toy_texture

SIDE = 96
DENT = "dent"
UNHEARD_OF = "no defect of this name"
ROOT = Seed(20, ("conformance",))


def picture(index: int = 0, size: tuple[int, int] = (SIDE, SIDE), grey: bool = False) -> Image:
    """A textured picture in colour, or in three equal channels; uint8 H×W×3."""
    side = max(size)
    channels = [toy_texture(ROOT.child("picture", index, 0 if grey else c), side)[: size[0], : size[1], 0] for c in range(3)]
    return np.ascontiguousarray(np.stack(channels, axis=2))


def sample(pixels: Image, name: str = "0") -> Sample:
    """A normal with writable pixels."""
    return Sample(f"toy/train/{GOOD}/{name}", "toy", GOOD, "train", name, WatchedSource(pixels))


@dataclass(frozen=True, eq=False)
class SynthesizerCase:
    """One synthesizer under test.

    Args:
        make: builds it, unfitted.
        docs: the folder that holds its page, `<name>.md`; None: pages are not looked at.
        seeds: how many seeds the spread is judged on; None: 500 where a sample costs under 20 ms, else 32.
    """

    make: Callable[[], Synthesizer]
    docs: Path | None = None
    seeds: int | None = None

    @cached_property
    def method(self) -> Synthesizer:
        """One of them, fitted on `support`."""
        return self.fitted()

    @cached_property
    def grey_method(self) -> Synthesizer:
        """One of them, fitted on grey normals."""
        return self.make().fit(self.support(grey=True))

    def fitted(self) -> Synthesizer:
        """A new one, fitted on `support`."""
        return self.make().fit(self.support())

    def support(self, grey: bool = False) -> SupportSet:
        """Three normals in colour or grey, and real anomalies, which are grey, for methods that use them."""
        normals = tuple(sample(picture(k, grey=grey), str(k)) for k in range(3))
        traits = self.make().traits
        wants = traits.uses_real_anomalies or "references" in traits.needs
        return SupportSet(normals, tuple(toy_anomalies(4, ROOT, SIDE)) if wants else (), product="toy", dataset="toy")

    def request(self, index: int, pixels: Image | None = None, **fields: Any) -> Request:
        """Request number `index`, on its own picture or on `pixels`."""
        normal = sample(picture(index % 3) if pixels is None else pixels, str(index % 3))
        return Request(normal, ROOT.child("request", index), **fields)

    def defects(self) -> tuple[str, ...]:
        """The kinds of the support's real anomalies; `dent` where there are none."""
        return tuple(sorted({anomaly.defect for anomaly in self.support().anomalies})) or (DENT,)

    def answers(self, requests: Sequence[Request]) -> list[Anomaly]:
        """What the fitted method makes of them, in one call."""
        return self.method.synthesize(requests)

    def some(self, n: int = 8, **fields: Any) -> list[Anomaly]:
        """The answers to the first `n` requests."""
        return self.answers([self.request(i, **fields) for i in range(n)])


def digest(anomaly: Anomaly) -> str:
    """SHA-256 of everything seen of an anomaly."""
    parts = (anomaly.image, anomaly.mask, anomaly.clean, anomaly.soft_mask)
    told = hashlib.sha256(f"{anomaly.defect} {anomaly.twin}".encode())
    for part in parts:
        told.update(
            b"none" if part is None else repr((part.shape, str(part.dtype))).encode() + np.ascontiguousarray(part).tobytes()
        )
    return told.hexdigest()


def digests_in_fresh_process(case: SynthesizerCase, indices: Sequence[int]) -> list[str]:
    """The digests that a new Python makes of the same requests: other hash seed, no GPU, one thread, no network."""
    order = {"params": case.make().recipe().params, "indices": list(indices)}
    answer = "flawsmith.testing.synthesizer_case:answer_order"
    return ask_fresh_process(type(case.make()), answer, order, OMP_NUM_THREADS="1")


def answer_order() -> None:
    """The other side of `digests_in_fresh_process`: an order on stdin, digests on stdout."""
    order = json.load(sys.stdin)
    method = class_of(order)
    case = SynthesizerCase(lambda: method.from_params(order["params"]))
    sys.stdout.write(json.dumps([digest(anomaly) for anomaly in case.answers([case.request(i) for i in order["indices"]])]))
