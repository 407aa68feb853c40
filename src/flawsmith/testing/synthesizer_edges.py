"""Checks on a synthesizer at the edges: sizes, grey and plain pictures, foregrounds with hardly a place."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from tempfile import TemporaryDirectory

import cv2
import numpy as np

from flawsmith.core.arrays import Image, Mask, freeze
from flawsmith.core.errors import FlawsmithError, UsageError
from flawsmith.core.requests import Anomaly, Request
from flawsmith.core.synthesizer import Synthesizer
from flawsmith.testing.synthesizer_case import SynthesizerCase, picture, sample
from flawsmith.testing.synthesizer_form import assert_form, assert_local

COMMON_SIZES = ((32, 32), (103, 632), (250, 300), (1024, 1024))
PATIENCE = 2.0
"""Seconds that a few answers may take where there is hardly a place for them; a search without bound takes longer."""


def odd_sizes_work(case: SynthesizerCase) -> None:
    """61×97 and the smallest declared size are answered in form (a grid may refuse them); a smaller one is a `UsageError`."""
    least = case.method.traits.min_side
    for size in ((61, 97), (97, 61), (least, least)):
        if min(size) >= least:
            request = case.request(1, picture(1, size))
            for anomaly in _answers_unless_bound_to_a_grid(case, [(case.method, request)], size):
                assert_form(anomaly, request)
    try:
        case.answers([case.request(1, picture(1, (least - 1, least)))])
    except UsageError:
        return
    raise AssertionError(f"a picture of {least}×{least - 1} pixels is accepted; declared at least {least}")


def common_sizes_work(case: SynthesizerCase) -> None:
    """Grey and colour pictures of 32², 103×632, 250×300 and 1024² are answered in form, each size by an anomaly at least once.

    A preset that is not the default may be bound to a grid, and refuse a size by a `UsageError` that names it.
    """
    for size in COMMON_SIZES:
        if min(size) < case.method.traits.min_side:
            continue
        requests = [(method, case.request(k, _surface(size, grey))) for k, (method, grey) in enumerate(_both_kinds(case))]
        answers = _answers_unless_bound_to_a_grid(case, requests, size)
        for (_, request), anomaly in zip(requests, answers, strict=False):
            assert_form(anomaly, request)
            assert_local(case, anomaly)
        assert not answers or not all(a.is_normal for a in answers), f"no anomaly on {len(answers)} pictures of {size}"


def grey_stays_grey(case: SynthesizerCase) -> None:
    """A grey picture of a grey product stays grey, unless the method's parameter `match_grey` is off, or it starts from none."""
    if "normal" not in case.method.traits.needs or _may_colour(case.method):
        return
    for index in range(12):
        anomaly = case.grey_method.synthesize([case.request(index, picture(index % 3, grey=True))])[0]
        assert (anomaly.image == anomaly.image[..., :1]).all(), f"request {index} on a grey picture comes back in colour"


def plain_pictures_work(case: SynthesizerCase) -> None:
    """Black, white and grey constant pictures, and a grey texture, are answered in form."""
    plain = [np.full((64, 64, 3), value, np.uint8) for value in (0, 128, 255)]
    for k, pixels in enumerate((*plain, picture(2, grey=True))):
        request = case.request(k, pixels)
        assert_form(case.answers([request])[0], request)


def foreground_confines(case: SynthesizerCase) -> None:
    """A method with a foreground keeps its mask inside a plain object, and takes a picture without one as all object."""
    method = case.make()
    if "foreground" not in getattr(type(method), "model_fields", {}):
        return
    confined = type(method).from_params({**method.recipe().params, "foreground": "auto"}).fit(case.support())
    pixels, inside = np.full((96, 96, 3), 10, np.uint8), np.zeros((96, 96), bool)
    inside[24:80, 16:72] = True
    pixels[inside] = np.clip(picture()[inside] // 2 + 120, 0, 255)
    for index in range(8):
        anomaly = confined.synthesize([case.request(index, pixels)])[0]
        assert not (anomaly.mask & ~inside).any(), "the mask leaves the foreground"
    bare = case.request(0, np.full((64, 64, 3), 128, np.uint8))
    assert_form(confined.synthesize([bare])[0], bare)


def hostile_foregrounds_end(case: SynthesizerCase) -> None:
    """A foreground of nothing, one pixel, chequers or all of the picture ends soon: anomalies inside it, normals or our error."""
    method = case.make()
    if "foreground" not in getattr(type(method), "model_fields", {}):
        return
    pixels = picture(0, (64, 64))
    for name, room in _hostile_masks(pixels.shape[:2]).items():
        with TemporaryDirectory() as folder:
            for normal in range(3):
                cv2.imwrite(f"{folder}/{normal}.png", room.astype(np.uint8) * 255)
            confined = type(method).from_params({**method.recipe().params, "foreground": folder}).fit(case.support())
            began = time.perf_counter()
            answers, refusal = _answers_or_refusal([(confined, case.request(k, pixels)) for k in range(3)], FlawsmithError)
        assert time.perf_counter() - began < PATIENCE, f"a foreground of {name} takes more than {PATIENCE} seconds"
        assert not refusal or name != "all", f"a foreground that is all of the picture is refused: {refusal}"
        assert not any((anomaly.mask & ~room).any() for anomaly in answers), f"the mask leaves a foreground of {name}"


def plain_sources_end(case: SynthesizerCase) -> None:
    """Normals of one plain value, and a folder of such textures where the method takes one, end soon on any picture."""
    plain = np.full((64, 64, 3), 120, np.uint8)
    normals = tuple(sample(plain, str(k)) for k in range(3))
    method, support = case.make(), replace(case.support(), normals=normals)
    with TemporaryDirectory() as folder:
        cv2.imwrite(f"{folder}/plain.png", plain)
        has_textures = "textures" in getattr(type(method), "model_fields", {})
        for change in ({}, *([{"textures": folder}] if has_textures else [])):
            fitted = type(method).from_params({**method.recipe().params, **change}).fit(support)
            began = time.perf_counter()
            for k, pixels in enumerate((plain, picture(0, (64, 64)))):
                request = case.request(k, pixels)
                assert_form(fitted.synthesize([request])[0], request)
            assert time.perf_counter() - began < PATIENCE, f"plain sources take more than {PATIENCE} seconds"


@lru_cache(maxsize=16)
def _surface(size: tuple[int, int], grey: bool) -> Image:
    return freeze(picture(7, size, grey))


def _both_kinds(case: SynthesizerCase) -> list[tuple[Synthesizer, bool]]:
    """The method fitted on normals in colour and on grey ones, with the kind of picture for it, twice."""
    return [(case.method, False), (case.grey_method, True)] * 2


def _is_default(method: Synthesizer) -> bool:
    """Whether its parameters come from the default preset; true where there are no presets."""
    presets = list(getattr(method, "presets", ()))
    return not presets or getattr(method, "preset", presets[0]) == presets[0]


def _may_colour(method: Synthesizer) -> bool:
    """Whether a method, or a member of a mix, says that it puts colour into grey pictures."""
    return not getattr(method, "match_grey", True) or any(_may_colour(member) for member in getattr(method, "built", ()))


def _hostile_masks(shape: tuple[int, ...]) -> dict[str, Mask]:
    pixel, rows, columns = np.zeros(shape, bool), *np.indices(shape)
    pixel[shape[0] // 2, shape[1] // 3] = True
    return {
        "nothing": np.zeros(shape, bool),
        "one pixel": pixel,
        "chequers": (rows + columns) % 2 == 0,
        "all": np.ones(shape, bool),
    }


def _answers_or_refusal(
    requests: Sequence[tuple[Synthesizer, Request]], refusals: type[FlawsmithError]
) -> tuple[list[Anomaly], str]:
    """The answers, or what the first error of that kind says."""
    try:
        return [method.synthesize([request])[0] for method, request in requests], ""
    except refusals as error:
        return [], str(error)


def _answers_unless_bound_to_a_grid(
    case: SynthesizerCase, requests: Sequence[tuple[Synthesizer, Request]], size: tuple[int, int]
) -> list[Anomaly]:
    """The answers; none where a preset that is not the default refuses the size by name."""
    answers, refusal = _answers_or_refusal(requests, UsageError)
    assert not refusal or not _is_default(case.method), f"the default preset refuses a picture of {size}: {refusal}"
    assert not refusal or str(size[0]) in refusal, f"the refusal of a picture of {size} does not tell its size: {refusal}"
    return answers
