"""float32 scores as uint32 keys of the same order, so that their leading bits make bins without a range known in advance.

A float's bits, read as an integer, already ascend for positive numbers; negative ones are inverted, and the sign bit is set for
the others. −0 becomes +0 first. uint32 sorts as fast as float32, and shares a uint64 with a second number.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Keys = NDArray[np.uint32]
Packed = NDArray[np.uint64]

SIGN = np.uint32(1 << 31)
HALF = np.uint64(32)


def keys_of(values: NDArray[np.float32]) -> Keys:
    """Order-preserving keys of finite or infinite values."""
    keys = (values + np.float32(0)).view(np.uint32)
    # −1 for negative values and 0 for others, as bits: all bits flip, or the first alone.
    keys ^= (keys.view(np.int32) >> 31).view(np.uint32) | SIGN
    return keys


def values_of(keys: Keys) -> NDArray[np.float32]:
    """The inverse of `keys_of`."""
    negative = keys < SIGN
    return np.where(negative, ~keys, keys ^ SIGN).view(np.float32)


def packed(keys: Keys, numbers: NDArray[Any]) -> Packed:
    """Keys with a number below 2^32 each; they sort by key first."""
    both = keys.astype(np.uint64)
    both <<= HALF
    both |= numbers.astype(np.uint64)
    return both


def unpacked_keys(both: Packed) -> Keys:
    """The keys of `packed`."""
    return (both >> HALF).astype(np.uint32)


def unpacked_numbers(both: Packed) -> NDArray[np.uint32]:
    """The numbers of `packed`."""
    return both.astype(np.uint32)
