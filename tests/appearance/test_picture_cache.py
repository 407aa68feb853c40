import numpy as np
import pytest

from flawsmith.appearance.picture_cache import PictureCache


@pytest.mark.parametrize("cache", [PictureCache(3 * 300), PictureCache(10**6, most=3)])
def test_the_cache_keeps_what_was_used_last(cache):
    made = []

    def picture(key):
        return cache.get(key, lambda: made.append(key) or np.zeros((10, 10, 3), np.uint8))

    for key in "abcadab":
        picture(key)
    assert made == ["a", "b", "c", "d", "b"]
