"""What remains of a picture once its pixels are gone, enough to find it again: exactly, turned, or nearly."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from flawsmith.core.arrays import Image

SIDE = 32
"""Side of the thumbnail, pixels."""

FREQUENCIES = 8
"""Side of the block of lowest DCT coefficients that the perceptual hash keeps."""

MOST_BITS = 4
LEAST_CORRELATION = 0.97
FEW = 2000
REACH = 100


@dataclass(frozen=True, eq=False)
class Fingerprint:
    """One picture.

    Args:
        digest: SHA-256 of pixels and size.
        turned: what the 8 rotations and flips leave as it is: the sorted sides and the grey histogram.
        bits: 64-bit perceptual hash.
        thumbnail: grey, uint8 32×32.
    """

    digest: str
    turned: str
    bits: int
    thumbnail: NDArray[np.uint8]


def fingerprint(image: Image) -> Fingerprint:
    """The fingerprint of a picture."""
    grey = cv2.cvtColor(np.ascontiguousarray(image), cv2.COLOR_RGB2GRAY)
    histogram = np.bincount(grey.ravel(), minlength=256)
    turned = hashlib.sha256(repr(sorted(grey.shape)).encode() + histogram.tobytes()).hexdigest()
    thumbnail = cv2.resize(grey, (SIDE, SIDE), interpolation=cv2.INTER_AREA).astype(np.uint8)
    return of_thumbnail(thumbnail, digest_of(image), turned)


def of_thumbnail(thumbnail: NDArray[np.uint8], digest: str, turned: str) -> Fingerprint:
    """The fingerprint of a picture whose thumbnail (grey, uint8 32×32) and digests are known."""
    return Fingerprint(digest, turned, _perceptual_hash(thumbnail), thumbnail)


def digest_of(image: Image) -> str:
    """SHA-256 of pixels and size, the same as `Sample.digest`."""
    return hashlib.sha256(repr(image.shape).encode() + np.ascontiguousarray(image).tobytes()).hexdigest()


def turned_digest(image: Image) -> str:
    """The least `digest_of` among the 8 rotations and flips of a picture: equal for pictures that differ by one of them.

    Args:
        image: uint8 H×W×3.
    """
    turns = [np.rot90(side, quarter) for side in (image, image[:, ::-1]) for quarter in range(4)]
    return min(digest_of(turn) for turn in turns)


def _perceptual_hash(thumbnail: NDArray[np.uint8]) -> int:
    lowest = cv2.dct(thumbnail.astype(np.float32))[:FREQUENCIES, :FREQUENCIES].ravel()
    return int.from_bytes(np.packbits(lowest > np.median(lowest)).tobytes(), "big")


class NearIndex:
    """Finds pictures that nearly agree: at most 4 of 64 bits differ, and thumbnails correlate above 0.97.

    Two hashes that differ in at most 4 bits agree wholly in one of 5 bands, so only pictures that share a band are compared.
    Among up to 2,000 pictures nothing is missed; among more, in a band shared by very many (parts in one fixture), each is
    compared with its 100 neighbours in the order of the hashes.
    """

    def __init__(self, prints: Sequence[Fingerprint]) -> None:
        self.bits = np.array([item.bits for item in prints], np.uint64)
        self.reach = len(prints) if len(prints) <= FEW else REACH
        flat = np.stack([item.thumbnail for item in prints]).reshape(len(prints), -1).astype(np.float32)
        flat -= flat.mean(axis=1, keepdims=True)
        norm = np.linalg.norm(flat, axis=1, keepdims=True)
        self.thumbnails = np.divide(flat, norm, out=np.zeros_like(flat), where=norm > 0)

    def are_near(self, first: NDArray[np.intp], second: NDArray[np.intp]) -> NDArray[np.bool_]:
        """Whether the pictures at `first` and `second`, pair by pair, nearly agree."""
        near: NDArray[np.bool_] = np.bitwise_count(self.bits[first] ^ self.bits[second]) <= MOST_BITS
        where = np.flatnonzero(near)
        for part in np.array_split(where, max(1, len(where) // 50_000)):
            correlation = np.einsum("ij,ij->i", self.thumbnails[first[part]], self.thumbnails[second[part]])
            near[part] = correlation > LEAST_CORRELATION
        return near

    def pairs(self) -> NDArray[np.intp]:
        """Index pairs (i < j) that nearly agree, N×2, sorted, each once."""
        found = [pair for band in range(5) for pair in self._in_band(band)]
        if not found:
            return np.zeros((0, 2), np.intp)
        return np.unique(np.concatenate(found), axis=0)

    def _in_band(self, band: int) -> list[NDArray[np.intp]]:
        width = 13
        mask = np.uint64((1 << min(width, 64 - band * width)) - 1)
        values = (self.bits >> np.uint64(band * width)) & mask
        order = np.lexsort((self.bits, values))
        sorted_values = values[order]
        found = []
        for shift in range(1, min(self.reach, len(order) - 1) + 1):
            same = np.flatnonzero(sorted_values[:-shift] == sorted_values[shift:])
            if not len(same):
                break
            first, second = order[same], order[same + shift]
            near = self.are_near(first, second)
            found.append(np.sort(np.stack([first[near], second[near]], axis=1), axis=1))
        return found
