import numpy as np
import pytest
from scipy import ndimage

from flawsmith.appearance.surfaces import KINDS, surface
from flawsmith.core.errors import BadParameter, UnknownName
from flawsmith.core.seeding import Seed


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [(32, 32), (103, 64), (250, 300)])
def test_the_same_seed_gives_the_same_picture_and_another_gives_another(kind, size):
    one, again, other = surface(kind, Seed(3), size), surface(kind, Seed(3), size), surface(kind, Seed(4), size)
    np.testing.assert_array_equal(one.image, again.image)
    np.testing.assert_array_equal(one.foreground, again.foreground)
    assert one.image.shape == (*size, 3)
    assert one.image.dtype == np.uint8
    assert one.foreground.shape == size
    assert one.foreground.dtype == np.bool_
    assert (one.image != other.image).mean() > 0.5


@pytest.mark.parametrize("kind", KINDS)
def test_photographs_of_one_product_are_alike(kind):
    means = np.array([surface(kind, Seed(i), (128, 128)).image.mean(axis=(0, 1)) for i in range(8)])
    assert np.ptp(means, axis=0).max() < 10


def test_a_part_lies_whole_on_a_darker_ground_with_a_bore_and_holes():
    for i in range(20):
        made = surface("machined_part", Seed(i), (160, 200), holes=5)
        border = np.concatenate([made.foreground[[0, -1]].ravel(), made.foreground[:, [0, -1]].ravel()])
        assert not border.any()
        assert ndimage.label(made.foreground)[1] == 1
        assert ndimage.label(~made.foreground)[1] == 1 + 1 + 5  # ground, bore, screw holes
        grey = made.image.mean(axis=2)
        assert grey[made.foreground].mean() > 100 + grey[~made.foreground].mean()


def test_a_sheet_is_brushed_along_and_a_weave_repeats():
    sheet = surface("brushed_metal", Seed(1), (128, 128), angle=0).image[:, :, 0].astype(float)
    assert np.abs(np.diff(sheet, axis=0)).mean() > 1.5 * np.abs(np.diff(sheet, axis=1)).mean()
    cloth = surface("weave", Seed(1), (160, 160), thread=0.05, unevenness=0).image.astype(float).mean(axis=2)
    apart = {shift: np.abs(cloth[:, shift:] - cloth[:, :-shift]).mean() for shift in (8, 16)}
    assert apart[16] < 0.5 * apart[8]  # threads of 8 pixels: over and under again after two


def test_parameters_reach_the_picture():
    red = surface("brushed_metal", Seed(0), (48, 48), colour=(200, 20, 20)).image.mean(axis=(0, 1))
    assert red[0] > 150 > 60 > red[1]
    thick = surface("machined_part", Seed(0), (96, 96), bore=0.05).foreground.mean()
    assert thick > surface("machined_part", Seed(0), (96, 96), bore=0.2).foreground.mean()


def test_refuses_what_it_does_not_know():
    with pytest.raises(UnknownName, match="no surface 'weaves'; did you mean weave"):
        surface("weaves", Seed(0), (64, 64))
    with pytest.raises(BadParameter, match="weave has no parameter 'threads'; did you mean thread"):
        surface("weave", Seed(0), (64, 64), threads=3)
    with pytest.raises(BadParameter, match="expected at least 16 pixels"):
        surface("weave", Seed(0), (64, 8))
