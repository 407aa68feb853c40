"""One scale for every image of more than 8 bits: how its values become 0…255.

`divide:65535` says which value is white. `minmax-dataset` looks at the good images that are not tested on and takes their darkest
and brightest value; it is replaced at once by what it found, `range:LOW..HIGH`, which everything made from the data set carries.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from flawsmith.core.errors import BadParameter, DataError
from flawsmith.core.progress import track
from flawsmith.core.samples import Sample
from flawsmith.data.dataset import Dataset
from flawsmith.data.headers import read_header
from flawsmith.data.layouts import with_scale
from flawsmith.data.reading import FileSource, Scale, read_deep

MINMAX = "minmax-dataset"
EXPECTED = f"{MINMAX}, divide:V (the value that is white, as in divide:65535) or range:LOW..HIGH"


def parse_scale(text: str) -> Scale | None:
    """Read `divide:V` or `range:LOW..HIGH`; None for `minmax-dataset`.

    Raises:
        BadParameter: none of them, or an empty range.
    """
    if text == MINMAX:
        return None
    kind, _, value = text.partition(":")
    try:
        low, high = (0.0, float(value)) if kind == "divide" else map(float, value.split(".."))
    except ValueError:
        low = high = math.nan
    if kind not in ("divide", "range") or not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise BadParameter(f"scale {text!r} is unknown; expected {EXPECTED}")
    return Scale(low, high, strict=kind == "divide")


def scaled(dataset: Dataset, text: str) -> Dataset:
    """The data set, read with a scale.

    Args:
        dataset: of files.
        text: `minmax-dataset` (then every good image that is not tested on is opened), `divide:V` or `range:LOW..HIGH`.

    Raises:
        BadParameter: another text.
        DataError: E_MODE: for `minmax-dataset`, an image of 8 bits, or images that all have one value; E_CORRUPT.
    """
    scale = parse_scale(text) or _span(dataset)
    samples = tuple(replace(sample, source=_with(sample, scale)) for sample in dataset.samples)
    return replace(dataset, samples=samples, layout=with_scale(dataset.layout, str(scale)))


def scale_of(dataset: Dataset) -> str:
    """How its images are scaled; empty where they are read as they are."""
    scales = {str(sample.source.scale or "") for sample in dataset.samples if isinstance(sample.source, FileSource)}
    return scales.pop() if len(scales) == 1 else ""


def refuse_other_scale(trained: str, dataset: Dataset) -> None:
    """Refuse files whose values mean something else than those that an inspector was trained on.

    Pictures in memory are 8 bits deep: whoever made them has scaled them.

    Raises:
        DataError: E_MODE; the message names the scale to read with.
    """
    found = scale_of(dataset)
    if found == trained or not any(isinstance(sample.source, FileSource) for sample in dataset.samples):
        return
    remedy = f"--scale {trained}" if trained else "no --scale"
    raise DataError(
        "E_MODE",
        f"{dataset.root} is read with {f'the scale {found}' if found else 'no scale'}, the inspector was trained with "
        f"{trained or 'none'}; expected the same: read it with {remedy}",
        [str(dataset.root)],
    )


def _with(sample: Sample, scale: Scale) -> Any:
    return replace(sample.source, scale=scale) if isinstance(sample.source, FileSource) else sample.source


def _span(dataset: Dataset) -> Scale:
    """From the darkest to the brightest value of the good images that are not tested on; of all images where there are none."""
    learned = [sample for sample in dataset.samples if sample.is_normal and sample.split != "test"]
    files = [s.source.root / s.source.path for s in learned or dataset.samples if isinstance(s.source, FileSource)]
    low, high = math.inf, -math.inf
    for values in track(_values(files), "looking for the scale", total=len(files)):
        low, high = min(low, float(values.min())), max(high, float(values.max()))
    if not low < high:
        raise DataError(
            "E_MODE",
            f"{dataset.root} has one value in all its good images; expected a span to scale: check them",
            [str(dataset.root)],
        )
    return Scale(low, high)


def _values(files: Iterable[Path]) -> Iterable[NDArray[Any]]:
    for file in files:
        if not read_header(file).deep:
            raise DataError(
                "E_MODE", f"{file} has 8 bits per channel, which need no scale; expected none: leave out --scale {MINMAX}", [file]
            )
        yield read_deep(file)
