"""A checked test set: maps, masks, labels and scores that fit each other, or one clear error naming the image."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from flawsmith.core.arrays import Mask
from flawsmith.core.errors import BadParameter, DataError, NoPixelTruth
from flawsmith.metrics.reduction import image_score_of

Maps = Sequence[NDArray[Any]] | NDArray[Any]
Masks = Sequence[NDArray[Any] | None] | NDArray[Any]


@dataclass(frozen=True, eq=False)
class CheckedSet:
    """What metrics may rely on.

    Args:
        maps: one 2-D map per image, of any size; pixels are checked when read by `map`.
        masks: bool mask of each anomaly whose pixels count; None for normals and for anomalies without one.
        labels: 1 for an anomaly, int8 per image.
        scores: image scores, float64.
        names: what to call each image in messages.
        dtype: float type in which maps are compared.
        masked: per image, whether it is an anomaly that came with a mask, an empty one among them.
        image_score: how scores came about.
    """

    maps: Sequence[NDArray[Any]]
    masks: tuple[Mask | None, ...]
    labels: NDArray[np.int8]
    scores: NDArray[np.float64]
    names: tuple[str, ...]
    dtype: np.dtype[Any]
    masked: NDArray[np.bool_]
    image_score: str

    @property
    def usable(self) -> NDArray[np.bool_]:
        """Per image, whether its pixels count: normals, and anomalies with a mask that is not empty."""
        return np.array([mask is not None or not label for mask, label in zip(self.masks, self.labels, strict=True)], bool)

    def pixels(self, i: int) -> int:
        """Number of pixels of image i."""
        return int(np.size(self.maps[i]))

    def defect_pixels(self, i: int) -> int:
        """Number of pixels of image i that its mask marks."""
        mask = self.masks[i]
        return 0 if mask is None else int(np.count_nonzero(mask))

    def mask(self, i: int) -> Mask | None:
        """Mask of image i, as in `masks`."""
        return self.masks[i]

    def map(self, i: int) -> NDArray[Any]:
        """Map i in the common dtype."""
        return np.asarray(self.maps[i]).astype(self.dtype, copy=False)


def check_set(
    maps: Maps,
    masks: Masks | None = None,
    labels: ArrayLike | None = None,
    scores: ArrayLike | None = None,
    *,
    image_score: str = "max",
    names: Sequence[str] | None = None,
    require_pixels: bool = False,
) -> CheckedSet:
    """Check everything once. Arguments and errors as in `flawsmith.metrics.score_maps`."""
    if not len(maps):
        raise BadParameter("there are no maps; expected at least one image: give the maps of the test set")
    titles = tuple(names) if names is not None else tuple(f"image {i}" for i in range(len(maps)))
    given: Sequence[Any] = [None] * len(maps) if masks is None else list(masks)
    counts = {"names": len(titles), "masks": len(given), "labels": _length(labels, maps), "scores": _length(scores, maps)}
    for what, count in counts.items():
        if count != len(maps):
            raise BadParameter(f"there are {count} {what} for {len(maps)} maps; expected one per map")
    for title, each in zip(titles, maps, strict=True):
        _check_map(title, np.asarray(each))
    truth = [_checked_mask(title, mask, np.shape(m)) for title, mask, m in zip(titles, given, maps, strict=True)]
    known = _labels(labels, truth, titles)
    masked = np.array([bool(label) and mask is not None for label, mask in zip(known, truth, strict=True)])
    if require_pixels:
        _require_masks(known, truth, titles)
    return CheckedSet(
        maps=list(maps),
        masks=tuple(_usable_mask(*row) for row in zip(titles, truth, known, strict=True)),
        labels=known,
        scores=_scores(scores, maps, image_score, titles),
        names=titles,
        dtype=_common_dtype(maps),
        masked=masked,
        image_score=image_score if scores is None else "given",
    )


def _length(values: ArrayLike | None, maps: Maps) -> int:
    return len(maps) if values is None else np.size(values)


def _check_map(title: str, values: NDArray[Any]) -> None:
    if values.ndim != 2 or values.size == 0 or values.dtype.kind not in "fiub":
        raise DataError(
            "E_SIZE",
            f"the map of {title} is {values.dtype} of shape {values.shape}; expected numbers of shape height×width",
            [title],
        )
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        bad = int((~np.isfinite(values)).sum())
        raise DataError(
            "E_NOT_FINITE",
            f"the map of {title} has {bad} pixels that are NaN or infinite; expected finite numbers: repair it",
            [title],
        )


def _checked_mask(title: str, mask: Any, shape: tuple[int, ...]) -> Mask | None:
    if mask is None:
        return None
    values = np.asarray(mask)
    if values.shape != shape:
        raise DataError(
            "E_SIZE",
            f"the mask of {title} is {'×'.join(map(str, values.shape))}, its map {'×'.join(map(str, shape))} (height×width); "
            "expected equal sizes: resize the map to the mask",
            [title],
        )
    if values.dtype == bool:
        return values
    distinct = set(np.unique(values).tolist()) if values.dtype.kind in "iuf" else {str(values.dtype)}
    if not (distinct <= {0, 1} or distinct <= {0, 255}):
        odd = sorted(distinct - {0, 1, 255}, key=str) or sorted(distinct)
        raise DataError(
            "E_MASK_VALUES",
            f"the mask of {title} holds {odd[0]}; expected booleans, 0/1 or 0/255: apply the data's mask rule",
            [title],
        )
    marked: Mask = values != 0
    return marked


def _labels(labels: ArrayLike | None, masks: Sequence[Mask | None], titles: Sequence[str]) -> NDArray[np.int8]:
    if labels is None:
        for title, mask in zip(titles, masks, strict=True):
            if mask is None:
                raise BadParameter(f"{title} has neither a label nor a mask; expected labels where masks are missing")
        return np.array([mask is not None and mask.any() for mask in masks], np.int8)
    values = np.asarray(labels)
    if not np.isin(values, (0, 1)).all():
        odd = int(np.flatnonzero(~np.isin(values, (0, 1)))[0])
        raise DataError("E_LABEL", f"the label of {titles[odd]} is {values[odd]}; expected 0 (good) or 1 (defect)", [titles[odd]])
    return values.astype(np.int8)


def _usable_mask(title: str, mask: Mask | None, label: int) -> Mask | None:
    if label:
        return mask if mask is not None and mask.any() else None
    if mask is not None and mask.any():
        raise DataError(
            "E_MASK_ON_NORMAL", f"{title} is labelled good, and its mask marks {int(mask.sum())} pixels; repair one", [title]
        )
    return None


def _require_masks(labels: Iterable[int], masks: Iterable[Mask | None], titles: Iterable[str]) -> None:
    bare = [title for label, mask, title in zip(labels, masks, titles, strict=True) if label and mask is None]
    if bare:
        raise NoPixelTruth(
            f"pixel metrics were asked for, and {len(bare)} anomalous images have no mask ({bare[0]} first); "
            "give masks or ask for image metrics alone",
            bare,
        )


def _scores(scores: ArrayLike | None, maps: Maps, how: str, titles: Sequence[str]) -> NDArray[np.float64]:
    if scores is None:
        return np.array([image_score_of(np.asarray(each), how) for each in maps], np.float64)
    values = np.asarray(scores, np.float64)
    if values.ndim != 1:
        raise BadParameter(f"scores have shape {values.shape}; expected one number per image")
    if not np.isfinite(values).all():
        odd = int(np.flatnonzero(~np.isfinite(values))[0])
        raise DataError("E_NOT_FINITE", f"the score of {titles[odd]} is {values[odd]}; expected a finite number", [titles[odd]])
    return values


def _common_dtype(maps: Maps) -> np.dtype[Any]:
    kinds = {np.asarray(each).dtype for each in maps}
    return np.dtype(np.float32) if all(np.can_cast(kind, np.float32) for kind in kinds) else np.dtype(np.float64)
