import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chisquare

from flawsmith.core.errors import BadParameter
from flawsmith.synthesis.cutout import CutOut


def grey(height, width, value):
    return np.full((height, width, 3), value, np.uint8)


@given(seed=st.integers(0, 2**32), height=st.integers(32, 300), width=st.integers(32, 300), inside=st.booleans())
def test_the_picture_is_black_on_the_mask_and_itself_elsewhere(made, noise, seed, height, width, inside):
    pixels = np.maximum(noise(height, width), 2)
    anomaly = made(CutOut(preset="asbench", inside=inside), pixels, seed)
    ((x, y, w, h),) = anomaly.provenance.drawn["holes"]
    mask = np.zeros((height, width), bool)
    mask[y : y + h, x : x + w] = True
    np.testing.assert_array_equal(anomaly.mask, mask)
    np.testing.assert_array_equal(anomaly.image, np.where(mask[..., None], 0, pixels))
    largest = 2 * (round(50 * min(height, width) / 256) // 2)
    assert 1 <= min(w, h) <= max(w, h) <= max(2, largest)
    if inside:
        assert w == h


def test_areas_and_clipping_are_those_of_the_original(made, noise):
    """Mean area 1.8 % (5-95 %: 0.6-3.5 %) and 25 % of the boxes clipped, at 256."""
    pixels, method = np.maximum(noise(256, 256), 2), CutOut()
    boxes = np.array([made(method, pixels, seed).provenance.drawn["holes"][0] for seed in range(3000)])
    _, _, w, h = boxes.T
    areas = 100 * w * h / 256**2
    assert areas.mean() == pytest.approx(1.8, abs=0.05 + 3 * areas.std() / np.sqrt(len(areas)))
    low, high = np.percentile(areas, [5, 95])
    assert low == pytest.approx(0.6, abs=0.1)
    assert high == pytest.approx(3.5, abs=0.15)
    clipped = (w != h).mean()  # but for the few that a corner cuts alike both ways
    assert clipped == pytest.approx(0.25, abs=0.005 + 3 * np.sqrt(0.25 * 0.75 / len(areas)))
    assert areas.max() <= 100 * 50**2 / 256**2
    assert set(2 * (np.maximum(w, h) // 2)) <= set(range(10, 52, 2))


def test_centres_are_uniform_up_to_the_border(made, noise):
    """A box that was cut at one end still tells its centre by the other."""
    pixels, method = np.maximum(noise(64, 64), 2), CutOut(side=(40, 40))  # half-width 5 at 64
    centres = []
    for seed in range(3000):
        x, _, w, _ = made(method, pixels, seed).provenance.drawn["holes"][0]
        centres.append(x + 5 if x > 0 else w - 5)
    assert chisquare(np.histogram(centres, 16, (0, 64))[0]).pvalue > 0.001


def test_sizes_scale_with_the_picture(made, noise):
    def mean_area(side):
        return np.mean([made(CutOut(), noise(side, side) | 2, seed).mask.mean() for seed in range(300)])

    assert mean_area(128) == pytest.approx(mean_area(512), rel=0.12)


def test_black_pixels_are_not_labelled_and_a_black_hole_is_drawn_again(made, noise):
    pixels = grey(96, 96, 0)
    pixels[40:70, 40:70] = 90
    anomalies = [made(CutOut(), pixels, seed) for seed in range(100)]
    for anomaly in anomalies:
        assert anomaly.mask.any()
        assert not (anomaly.mask & (pixels[..., 0] == 0)).any()
        np.testing.assert_array_equal(anomaly.image == 0, (pixels == 0) | anomaly.mask[..., None])
    assert max(anomaly.provenance.attempts for anomaly in anomalies) > 1


def test_a_black_picture_stays_normal(made):
    anomaly = made(CutOut(), grey(64, 64, 0))
    assert anomaly.is_normal
    assert anomaly.provenance.status == "no_placement"
    assert made(CutOut(preset="asbench"), grey(64, 64, 0)).mask.any()


def test_one_level_is_no_change(made):
    anomaly = made(CutOut(fill=(100, 100, 101)), grey(64, 64, 100))
    assert anomaly.is_normal
    assert made(CutOut(fill=(100, 100, 102)), grey(64, 64, 100)).mask.any()


def test_fills(made, noise):
    pixels = noise(128, 128) // 2
    kinds = {}
    for fill in ("black", "mean", "noise", (10, 200, 30)):
        anomaly = made(CutOut(fill=fill, require_change=False), pixels, 3)
        kinds[fill] = anomaly.image[anomaly.mask]
    assert (kinds["black"] == 0).all()
    np.testing.assert_array_equal(np.unique(kinds["mean"], axis=0), np.rint(pixels.mean(axis=(0, 1)))[None])
    assert (kinds[10, 200, 30] == (10, 200, 30)).all()
    drawn = kinds["noise"].astype(float)
    assert drawn.min() < 10
    assert drawn.max() > 245
    assert abs(np.corrcoef(drawn.T)[0, 1]) < 0.2


@pytest.mark.parametrize("fill", ["black", "mean", "noise"])
def test_a_grey_picture_stays_grey(made, noise, fill):
    pixels = np.repeat(noise(64, 64)[..., :1], 3, axis=2)
    image = made(CutOut(fill=fill), pixels, 1).image
    assert (image == image[..., :1]).all()


def test_several_holes(made, noise):
    anomaly = made(CutOut(n_holes=5, side=(20, 20), inside=True), np.maximum(noise(256, 256), 2), 2)
    expected = np.zeros((256, 256), bool)
    for x, y, w, h in anomaly.provenance.drawn["holes"]:
        expected[y : y + h, x : x + w] = True
    assert len(anomaly.provenance.drawn["holes"]) == 5
    np.testing.assert_array_equal(anomaly.mask, expected)


@pytest.mark.parametrize("inside", [False, True])
def test_on_an_object_the_centre_lies_on_it(made, noise, inside):
    pixels = grey(128, 128, 10)
    pixels[:, 50:58] = noise(128, 128)[:, 50:58] // 2 + 120
    method = CutOut(foreground="threshold:60,bright", side=(40, 60), inside=inside)
    for seed in range(50):
        anomaly = made(method, pixels, seed)
        ((x, _, w, _),) = anomaly.provenance.drawn["holes"]
        assert anomaly.mask.any()
        assert not anomaly.mask[:, :50].any()
        assert not anomaly.mask[:, 58:].any()
        assert x <= 57 < 50 + w


def test_an_asked_mask_is_blanked(made, noise):
    asked = np.zeros((96, 128), bool)
    asked[30:50, 20:70] = np.random.default_rng(1).random((20, 50)) < 0.5
    pixels = np.maximum(noise(), 2)
    anomaly = made(CutOut(), pixels, 3, mask=asked)
    np.testing.assert_array_equal(anomaly.mask, asked)
    assert (anomaly.image[asked] == 0).all()
    assert made(CutOut(), grey(96, 128, 0), 3, mask=asked).provenance.attempts == 1


@pytest.mark.parametrize(
    "params",
    [{"side": [0, 20]}, {"side": [30, 20]}, {"n_holes": 0}, {"fill": "white"}, {"fill": [0, 0]}, {"fill": [0, 0, 256]}],
)
def test_refuses_parameters_out_of_range(params):
    with pytest.raises(BadParameter, match=f"cutout: parameter {next(iter(params))}"):
        CutOut.from_params(params)
