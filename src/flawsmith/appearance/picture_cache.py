"""Pictures kept in memory: those used last, up to a limit in bytes."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

from flawsmith.core.arrays import Image, freeze

CACHE_BYTES = 192 * 2**20


class PictureCache:
    """The pictures used last, up to a limit in bytes.

    Args:
        limit: bytes.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._held: OrderedDict[object, tuple[Image, object]] = OrderedDict()
        self._bytes = 0

    def get(self, key: object, make: Callable[[], Image], owner: object = None) -> Image:
        """The picture kept under `key`, read-only, made now if it is not there; those longest unused make room.

        `owner` is kept alive as long as the picture, for keys that hold its identity.
        """
        if key not in self._held:
            self._held[key] = freeze(make()), owner
            self._bytes += self._held[key][0].nbytes
            while self._bytes > self.limit and len(self._held) > 1:
                self._bytes -= self._held.popitem(last=False)[1][0].nbytes
        self._held.move_to_end(key)
        return self._held[key][0]


CACHE = PictureCache(CACHE_BYTES)
