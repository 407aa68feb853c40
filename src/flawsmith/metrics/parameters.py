"""What a caller gives, as numbers, lists and arrays that metrics can rely on, or one clear error: the place that checks it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flawsmith.core.errors import BadParameter, DataError

LARGEST_WHOLE = 1 << 53
"""float64 holds every whole number up to here."""


def whole(name: str, value: Any, least: int | None = None, *, example: int) -> int:
    """A whole number; 4e9 is one.

    Raises:
        BadParameter: it is none, or below `least`.
    """
    number = _number(value)
    if number is None or number != number // 1 or (least is not None and number < least):
        expected = "a whole number" if least is None else f"a whole number of at least {least}"
        raise BadParameter(f"{name} is {value!r}; expected {expected}, such as {example}")
    return int(number)


def above_zero(name: str, value: Any, *, most: float | None = None, example: float) -> float:
    """A number above 0.

    Raises:
        BadParameter: it is none, or above `most`.
    """
    number = _number(value)
    if number is None or not number > 0 or (most is not None and number > most):
        expected = "a number above 0" if most is None else f"a share above 0 and at most {most:g}"
        raise BadParameter(f"{name} is {value!r}; expected {expected}, such as {example}")
    return float(number)


def length(what: str, values: Any, count: int | None = None) -> int:
    """Length of a sequence that can be read by position.

    Args:
        what: plural, for the message.
        count: how many maps there are; None: these are the maps.

    Raises:
        BadParameter: it is no sequence, or its length is not that of the maps.
    """
    expected = "a sequence such as a list or an array" if count is None else "a sequence with one item per map"
    remedy = ": give what can be read only once to flawsmith.metrics.score_stream" if count is None else ""
    try:
        found = len(values)
    except TypeError:
        raise BadParameter(f"{what} are a {type(values).__name__}, which has no length; expected {expected}{remedy}") from None
    if isinstance(values, str | bytes | Mapping) or not hasattr(values, "__getitem__"):
        raise BadParameter(f"{what} are a {type(values).__name__}; expected {expected}: give a list")
    if count is not None and found != count:
        raise BadParameter(f"there are {found} {what} for {count} maps; expected one per map")
    return found


def plain_array(what: str, values: Any, files: tuple[str, ...] = ()) -> NDArray[Any]:
    """An array whose every element counts.

    Raises:
        DataError: it cannot be read as an array, or has masked elements (E_MODE).
    """
    try:
        array = np.asarray(values)
    except (RuntimeError, TypeError, ValueError) as error:  # ragged lists, tensors on a GPU or with a gradient
        told = str(error).partition("\n")[0].rstrip(".")
        raise DataError("E_MODE", f"{what} cannot be read ({told}); expected numbers: give a NumPy array", files) from None
    if np.ma.is_masked(values):
        raise DataError(
            "E_MODE",
            f"{what} has {np.count_nonzero(np.ma.getmask(values))} masked elements, which no metric leaves out; expected a plain "
            "array: fill them (numpy.ma.filled), or leave the image out",
            files,
        )
    return array


def listed_scores(values: Any) -> NDArray[Any]:
    """A list of scores: float32 as given, anything else as float64.

    Raises:
        BadParameter: it is no list of numbers.
        DataError: as `plain_array` and `refuse_new_ties`.
    """
    array = plain_array("the list of scores", values)
    if array.ndim != 1:
        raise BadParameter(f"scores have shape {array.shape}; expected a list with one number each: give numpy.ravel(scores)")
    refuse_new_ties("the list of scores", array)
    try:
        return array if array.dtype in (np.float32, np.float64) else array.astype(np.float64)
    except (TypeError, ValueError):
        raise BadParameter(f"scores are of type {array.dtype}; expected numbers, such as 0.7") from None


def refuse_new_ties(what: str, values: NDArray[Any], files: tuple[str, ...] = ()) -> None:
    """Refuse numbers that float64, in which metrics compare, may not tell apart.

    Raises:
        DataError: whole numbers beyond 2^53, or long floats that float64 rounds (E_MODE).
    """
    if not _float64_holds(values):
        raise DataError(
            "E_MODE",
            f"{what} is {values.dtype} and holds numbers that float64 rounds, which may make ties; expected numbers that it "
            "holds, such as whole ones up to 2^53: rank them, take an offset off, or round them with astype(numpy.float64)",
            files,
        )


def _float64_holds(values: NDArray[Any]) -> bool:
    if not values.size or np.can_cast(values.dtype, np.float32):
        return True
    if values.dtype.kind in "iu":
        return max(-int(values.min()), int(values.max())) <= LARGEST_WHOLE
    if values.dtype.kind == "f" and values.dtype.itemsize > 8:
        with np.errstate(over="ignore", under="ignore"):
            return np.array_equal(values.astype(np.float64), values, equal_nan=True)
    return True


def _number(value: Any) -> float | int | None:
    """A finite or infinite number of Python's; None for anything else, NaN and booleans among it."""
    plain = value.item() if isinstance(value, np.generic) else value
    return plain if isinstance(plain, int | float) and not isinstance(plain, bool) and plain == plain else None
