"""Keyed seeds: every stage of every item draws from its own stream, found by name and not by order.

`Seed(7, "tile", 12).numpy("mask")` is the same generator in every process, whatever was drawn before it elsewhere; a new stage
added beside it moves none of the others.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from flawsmith.core.files import canonical_json

if TYPE_CHECKING:
    import torch

Key = str | int


@dataclass(frozen=True)
class Seed:
    """A root number and the path of keys that leads to one place of the work.

    Args:
        root: any integer, 0 among them.
        keys: names and numbers, such as a product, an epoch, an index.
    """

    root: int
    keys: tuple[Key, ...] = ()

    def child(self, *keys: Key) -> Seed:
        """The seed one or more keys further down."""
        return Seed(self.root, (*self.keys, *keys))

    def entropy(self, *keys: Key) -> int:
        """256 bits that depend on the root, the path and `keys`, and on nothing else (SHA-256 of their JSON)."""
        return int.from_bytes(self._digest(keys), "little")

    def numpy(self, *stream: Key) -> np.random.Generator:
        """A NumPy generator for the stage named `stream`."""
        words = np.frombuffer(self._digest(stream), "<u4")  # NumPy takes words apart faster than one long number
        return np.random.Generator(np.random.PCG64(np.random.SeedSequence(words)))

    def torch(self, *stream: Key) -> torch.Generator:
        """A CPU torch generator for the stage named `stream`."""
        import torch

        return torch.Generator().manual_seed(self.entropy(*stream) % 2**63)

    def _digest(self, keys: tuple[Key, ...]) -> bytes:
        return hashlib.sha256(canonical_json([self.root, *self.keys, *keys]).encode()).digest()

    def to_json(self) -> dict[str, Any]:
        """The seed as JSON values."""
        return {"root": self.root, "keys": list(self.keys)}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Seed:
        """The inverse of `to_json`."""
        return cls(int(value["root"]), tuple(value["keys"]))
