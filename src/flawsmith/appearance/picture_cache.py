"""Pictures kept in memory: those used last, up to a limit in bytes and one in number.

Both are low, so that the memory of a long run is what it was after some hundred pictures, of however many it draws.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

from flawsmith.core.arrays import Image, freeze

CACHE_BYTES = 64 * 2**20
CACHE_PICTURES = 320
"""All normals of most data sets, and what the bytes hold at 256×256. More small ones would go on filling memory for long."""


class PictureCache:
    """The pictures used last.

    Args:
        limit: bytes of all together; one picture is kept whatever its size.
        most: how many.
    """

    def __init__(self, limit: int, most: int = CACHE_PICTURES) -> None:
        self.limit, self.most = limit, most
        self._held: OrderedDict[object, tuple[Image, object]] = OrderedDict()
        self._bytes = 0

    def get(self, key: object, make: Callable[[], Image], owner: object = None) -> Image:
        """The picture kept under `key`, read-only, made now if it is not there; those longest unused make room.

        `owner` is kept alive as long as the picture, for keys that hold its identity.
        """
        if key not in self._held:
            self._held[key] = freeze(make()), owner
            self._bytes += self._held[key][0].nbytes
            while (self._bytes > self.limit or len(self._held) > self.most) and len(self._held) > 1:
                self._bytes -= self._held.popitem(last=False)[1][0].nbytes
        self._held.move_to_end(key)
        return self._held[key][0]


CACHE = PictureCache(CACHE_BYTES)
