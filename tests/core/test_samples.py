import numpy as np
import pytest

from flawsmith.core.errors import DataError, NoPixelTruth
from flawsmith.core.samples import ArraySource, Region, Sample

PIXELS = np.arange(4 * 6 * 3, dtype=np.uint8).reshape(4, 6, 3)


def sample(regions: tuple[Region, ...] | None = (), defect: str = "good") -> Sample:
    return Sample("p/test/x/0", "p", defect, "test", "0", ArraySource(PIXELS, regions))


def corner(h: int = 4, w: int = 6) -> np.ndarray:
    mask = np.zeros((h, w), bool)
    mask[0, 0] = True
    return mask


def test_a_normal_has_an_empty_mask_of_its_size():
    assert sample().is_normal
    assert sample().mask().shape == (4, 6)
    assert not sample().mask().any()


def test_the_mask_is_the_union_of_the_regions():
    other = np.zeros((4, 6), bool)
    other[3, 5] = True
    union = sample((Region("a", corner()), Region("b", other)), "a").mask()
    assert np.argwhere(union).tolist() == [[0, 0], [3, 5]]


def test_unknown_pixels_are_refused_by_name():
    assert not sample(None, "crack").has_mask
    with pytest.raises(NoPixelTruth, match="image-level"):
        sample(None, "crack").mask()


def test_a_region_of_another_size_is_refused():
    with pytest.raises(DataError, match=r"7×4.*6×4") as caught:
        sample((Region("a", corner(4, 7)),), "a").mask()
    assert caught.value.code == "E_SIZE"


def test_handed_out_pixels_cannot_be_changed():
    with pytest.raises(ValueError, match="read-only"):
        sample().image()[0, 0] = 0


def test_digest_depends_on_pixels_and_shape():
    turned = sample().with_pixels(PIXELS.reshape(6, 4, 3))
    assert sample().digest() == sample((Region("a", corner()),)).digest()
    assert sample().digest() != turned.digest()
