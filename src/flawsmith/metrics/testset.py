"""A checked test set: maps, masks, labels and scores that fit each other, or one clear error naming the image.

Maps and masks are looked at one image after the other and never held together: they may be arrays, memory maps, or a sequence
that reads a file when asked for an item. Whoever counts pixels looks on during that one pass. Of what may be read again a
checksum is kept, so that another map than the first one is an error and not a number.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np
from numpy.typing import ArrayLike, NDArray

from flawsmith.core.arrays import Mask
from flawsmith.core.errors import BadParameter, DataError, NoPixelTruth
from flawsmith.data.problems import Problem, raise_errors
from flawsmith.metrics.parameters import length, listed_scores, plain_array, refuse_new_ties
from flawsmith.metrics.reduction import image_score_of

Maps = Sequence[NDArray[Any]] | NDArray[Any]
Masks = Sequence[NDArray[Any] | None] | NDArray[Any]


@dataclass(frozen=True, eq=False)
class CheckedImage:
    """One image that fits.

    Args:
        values: its map.
        mask: bool mask of an anomaly whose pixels count; None: a normal, or an anomaly without a mask or with an empty one.
        label: 1 for an anomaly.
        masked: whether it is an anomaly that came with a mask, an empty one among them.
        defect_pixels: how many pixels the mask marks.
    """

    values: NDArray[Any]
    mask: Mask | None
    label: int
    masked: bool
    defect_pixels: int

    @property
    def usable(self) -> bool:
        """Whether its pixels count: normals, and anomalies with a mask that is not empty."""
        return not self.label or self.mask is not None


@dataclass(frozen=True, eq=False)
class CheckedSet:
    """What metrics may rely on. Maps and masks are read again, where they came from, by `map` and `mask`.

    Args:
        maps: one 2-D map per image, of any size.
        truth: the masks as given; None: no image has one.
        labels: 1 for an anomaly, int8 per image.
        scores: image scores, float64.
        names: what to call each image in messages.
        dtype: float type in which maps are compared.
        masked: per image, whether it is an anomaly that came with a mask, an empty one among them.
        image_score: how scores came about.
        shapes: of the maps.
        defects: pixels per image that its mask marks, int64.
        prints: `print_of` each map, and of each mask that marks something.
    """

    maps: Maps
    truth: Masks | None
    labels: NDArray[np.int8]
    scores: NDArray[np.float64]
    names: tuple[str, ...]
    dtype: np.dtype[Any]
    masked: NDArray[np.bool_]
    image_score: str
    shapes: tuple[tuple[int, ...], ...]
    defects: NDArray[np.int64]
    prints: tuple[tuple[int, int | None], ...]

    @property
    def usable(self) -> NDArray[np.bool_]:
        """Per image, whether its pixels count: normals, and anomalies with a mask that is not empty."""
        usable: NDArray[np.bool_] = (self.labels == 0) | (self.defects > 0)
        return usable

    def pixels(self, i: int) -> int:
        """Number of pixels of image i."""
        return math.prod(self.shapes[i])

    def defect_pixels(self, i: int) -> int:
        """Number of pixels of image i that its mask marks."""
        return int(self.defects[i])

    def mask(self, i: int) -> Mask | None:
        """Bool mask of image i; None for normals and for anomalies without a mask or with an empty one.

        Raises:
            DataError: it differs from the first reading (E_CHANGED).
        """
        if self.truth is None or not self.defects[i]:
            return None
        mask = checked_mask(self.names[i], self.truth[i], self.shapes[i])
        if mask is None or print_of(mask) != self.prints[i][1]:
            self._refuse_changed("mask", i)
        return mask

    def map(self, i: int) -> NDArray[Any]:
        """Map i in the common dtype. Errors as in `map_as_given`."""
        return self.map_as_given(i).astype(self.dtype, copy=False)

    def map_as_given(self, i: int) -> NDArray[Any]:
        """Map i in its own dtype.

        Raises:
            DataError: it differs from the first reading (E_CHANGED).
        """
        values = np.asarray(self.maps[i])
        if print_of(values) != self.prints[i][0]:
            self._refuse_changed("map", i)
        return values

    def _refuse_changed(self, what: str, i: int) -> NoReturn:
        raise DataError(
            "E_CHANGED",
            f"the {what} of {self.names[i]} differs from its first reading; expected the same {what} at each reading: "
            f"store the {what}s, or use flawsmith.metrics.score_stream",
            [self.names[i]],
        )


See = Callable[[int, CheckedImage], None]
"""Looks at image i while it is there."""


def check_set(
    maps: Maps,
    masks: Masks | None = None,
    labels: ArrayLike | None = None,
    scores: ArrayLike | None = None,
    *,
    image_score: str = "max",
    names: Sequence[str] | None = None,
    require_pixels: bool = False,
    see: See | None = None,
) -> CheckedSet:
    """Check everything in one pass that reads every map and mask once.

    Args:
        see: called with every image that fits, in order.
        maps, masks, …: as in `flawsmith.metrics.score_maps`, and so are the errors.
    """
    count = length("maps", maps)
    if not count:
        raise BadParameter("there are no maps; expected at least one image: give the maps of the test set")
    for what, given in {"names": names, "masks": masks, "labels": labels, "scores": scores}.items():
        if given is not None:
            length(what, given, count)
    titles = tuple(names) if names is not None else tuple(f"image {i}" for i in range(count))
    known = None if labels is None else checked_labels(labels, titles)
    told = None if scores is None else _checked_scores(scores, titles)
    gathering = Gathering(image_score, see)
    for i, title in enumerate(titles):
        score = None if told is None else float(told[i])
        gathering.look(title, maps[i], None if masks is None else masks[i], None if known is None else int(known[i]), score)
    found = gathering.finish(require_pixels)
    return CheckedSet(maps=maps, truth=masks, image_score=image_score if told is None else "given", **found)


class Gathering:
    """Checks one image after the other and remembers what is small: labels, scores, counts.

    Args:
        image_score: how a map becomes the score of its image.
        see: called with every image that fits, until one does not.
    """

    def __init__(self, image_score: str, see: See | None = None) -> None:
        self.image_score, self.see = image_score, see
        self.names: list[str] = []
        self.labels: list[int] = []
        self.scores: list[float] = []
        self.masked: list[bool] = []
        self.shapes: list[tuple[int, ...]] = []
        self.defects: list[int] = []
        self.prints: list[tuple[int, int | None]] = []
        self.kinds: set[np.dtype[Any]] = set()
        self.problems: list[Problem] = []

    def look(self, title: str, values: Any, mask: Any, label: Any, score: float | None) -> None:
        """Check an image; what is wrong with it is told by `finish`, with all others of its kind.

        Raises:
            BadParameter: it has neither a label nor a mask.
        """
        try:
            image = checked_image(title, values, mask, label)
        except DataError as error:
            self.problems.append(Problem(error.code, str(error), error.files))
            return
        if self.problems:
            return
        self.names.append(title)
        self.labels.append(image.label)
        self.scores.append(image_score_of(image.values, self.image_score) if score is None else score)
        self.masked.append(image.masked)
        self.shapes.append(image.values.shape)
        self.defects.append(image.defect_pixels)
        self.prints.append((print_of(image.values), None if image.mask is None else print_of(image.mask)))
        self.kinds.add(image.values.dtype)
        if self.see is not None:
            self.see(len(self.names) - 1, image)

    def finish(self, require_pixels: bool = False) -> dict[str, Any]:
        """What was found, as arguments of `CheckedSet`.

        Raises:
            DataError: what is wrong; one error names all images with that problem.
            NoPixelTruth: `require_pixels`, and an anomaly has no mask.
        """
        raise_errors(self.problems)
        if require_pixels:
            self._require_masks()
        return {
            "labels": np.array(self.labels, np.int8),
            "scores": np.array(self.scores, np.float64),
            "names": tuple(self.names),
            "dtype": common_dtype(self.kinds),
            "masked": np.array(self.masked, bool),
            "shapes": tuple(self.shapes),
            "defects": np.array(self.defects, np.int64),
            "prints": tuple(self.prints),
        }

    def _require_masks(self) -> None:
        bare = [title for title, label, masked in zip(self.names, self.labels, self.masked, strict=True) if label and not masked]
        if bare:
            raise NoPixelTruth(
                f"pixel metrics were asked for, and {len(bare)} anomalous images have no mask ({bare[0]} first); "
                "give masks or ask for image metrics alone",
                bare,
            )


def checked_image(title: str, values: Any, mask: Any, label: Any) -> CheckedImage:
    """One image whose parts fit each other. Errors as in `flawsmith.metrics.score_maps`."""
    array = _checked_map(title, values)
    marks = checked_mask(title, mask, array.shape)
    if label is None and marks is None:
        raise BadParameter(f"{title} has neither a label nor a mask; expected labels where masks are missing")
    count = 0 if marks is None else int(np.count_nonzero(marks))
    known = int(count > 0) if label is None else checked_label(title, label)
    if count and not known:
        raise DataError(
            "E_MASK_ON_NORMAL",
            f"{title} is labelled good, and its mask marks {count} pixels; expected a normal's mask to be empty: repair the mask "
            "or the label",
            [title],
        )
    return CheckedImage(array, marks if count else None, known, bool(known) and marks is not None, count)


def checked_mask(title: str, mask: Any, shape: tuple[int, ...]) -> Mask | None:
    """A mask as booleans; None where there is none.

    Raises:
        DataError: another size than its map (E_SIZE), or other values than booleans, 0/1 or 0/255 (E_MASK_VALUES).
    """
    if mask is None:
        return None
    values = plain_array(f"the mask of {title}", mask, (title,))
    if values.shape != shape:
        raise DataError(
            "E_SIZE",
            f"the mask of {title} is {'×'.join(map(str, values.shape))}, its map {'×'.join(map(str, shape))} (height×width); "
            "expected equal sizes: resize the map to the mask",
            [title],
        )
    if values.dtype == bool:
        return values
    if values.dtype.kind in "iuf":
        marked: Mask = values != 0
        count = int(np.count_nonzero(marked))
        if count in (np.count_nonzero(values == 1), np.count_nonzero(values == 255)):
            return marked
    raise DataError(
        "E_MASK_VALUES",
        f"the mask of {title} holds {_odd_values(values)}; expected booleans, 0/1 or 0/255: apply the data's mask rule",
        [title],
    )


def checked_labels(labels: ArrayLike, titles: Sequence[str]) -> NDArray[np.int8]:
    """Labels as int8.

    Raises:
        BadParameter: they are no list.
        DataError: some are neither 0 nor 1 (E_LABEL).
    """
    values = plain_array("the list of labels", labels)
    if values.ndim != 1:
        raise BadParameter(f"labels have shape {values.shape}; expected one number per image: give numpy.ravel(labels)")
    raise_errors(list(_label_problems(titles, values.tolist())))
    return values.astype(np.int8)


def checked_label(title: str, label: Any) -> int:
    """The label of one image. Errors as in `checked_labels`."""
    raise_errors(list(_label_problems([title], [label])))
    return int(label)


def _label_problems(titles: Sequence[str], labels: Sequence[Any]) -> Iterator[Problem]:
    for title, label in zip(titles, labels, strict=True):
        if np.ndim(label) or label not in (0, 1):
            told = f"the label of {title} is {label!r}; expected 0 (good) or 1 (defect): give 1 for defects of every kind"
            yield Problem("E_LABEL", told, (title,))


def print_of(array: NDArray[Any]) -> int:
    """A checksum of type, shape and numbers; 10⁸ float32 pixels take some 0.1 s."""
    head = f"{array.dtype.str} {array.shape}".encode()
    return zlib.crc32(np.ascontiguousarray(array).data, zlib.crc32(head))


def common_dtype(kinds: set[np.dtype[Any]]) -> np.dtype[Any]:
    """float32 where it holds every value of these types, else float64."""
    return np.dtype(np.float32) if all(np.can_cast(kind, np.float32) for kind in kinds) else np.dtype(np.float64)


def _checked_map(title: str, given: Any) -> NDArray[Any]:
    values = plain_array(f"the map of {title}", given, (title,))
    if values.ndim != 2 or values.size == 0 or values.dtype.kind not in "fiub":
        raise DataError(
            "E_SIZE",
            f"the map of {title} is {values.dtype} of shape {values.shape}; expected numbers of shape height×width: give one "
            "such array per image",
            [title],
        )
    if values.dtype.kind == "f" and not np.isfinite([values.min(), values.max()]).all():
        bad = int((~np.isfinite(values)).sum())
        raise DataError(
            "E_NOT_FINITE",
            f"the map of {title} has {bad} pixels that are NaN or infinite; expected finite numbers: repair it",
            [title],
        )
    refuse_new_ties(f"the map of {title}", values, (title,))
    return values


def _odd_values(values: NDArray[Any]) -> str:
    if values.dtype.kind not in "iuf":
        return f"values of type {values.dtype}"
    odd = sorted(set(np.unique(values).tolist()) - {0, 1, 255})
    return str(odd[0]) if odd else "both 1 and 255"


def _checked_scores(scores: ArrayLike, titles: Sequence[str]) -> NDArray[np.float64]:
    values = listed_scores(scores).astype(np.float64)
    odd = [
        Problem(
            "E_NOT_FINITE",
            f"the score of {titles[i]} is {values[i]}; expected a finite number: repair it, or leave scores= out to make them of "
            "the maps",
            (titles[i],),
        )
        for i in np.flatnonzero(~np.isfinite(values)).tolist()
    ]
    raise_errors(odd)
    return values
