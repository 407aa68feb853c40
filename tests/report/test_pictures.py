import base64
import io

import numpy as np
import pytest
from PIL import Image as PillowImage

from flawsmith.core.errors import BadParameter
from flawsmith.report.pictures import (
    OUTLINE,
    Scale,
    colour_steps,
    contact_sheet,
    enlarged_mask,
    fitted,
    jpeg_uri,
    outline,
    overlay,
    peak_is_near,
    scale_of,
    views,
)

GREY = np.full((60, 90, 3), 128, np.uint8)


def test_overlay_leaves_pixels_below_the_scale_and_colours_those_above() -> None:
    anomaly_map = np.zeros((60, 90), np.float32)
    anomaly_map[20:30, 40:60] = 5
    seen = overlay(GREY, anomaly_map, scale=Scale(1, 4))
    assert (seen[anomaly_map == 0] == 128).all()
    assert (np.ptp(seen[anomaly_map == 5].astype(int), axis=1) > 30).all()
    assert seen.dtype == np.uint8


def test_overlay_on_one_scale_makes_equal_values_equal_colours() -> None:
    weak, strong = np.full((60, 90), 2, np.float32), np.full((60, 90), 4, np.float32)
    strong[:30] = 2
    scale = Scale(0, 4)
    assert (overlay(GREY, weak, scale=scale)[:30] == overlay(GREY, strong, scale=scale)[:30]).all()


def test_overlay_of_a_map_far_below_the_threshold_stays_grey() -> None:
    rng = np.random.default_rng(0)
    quiet = rng.random((60, 90)).astype(np.float32)
    far = np.abs(overlay(GREY, quiet, threshold=100.0).astype(int) - 128).max()
    assert far <= 3


def test_overlay_does_not_change_its_input_and_refuses_another_size() -> None:
    image = GREY.copy()
    image.flags.writeable = False
    overlay(image, np.ones((60, 90), np.float32), 0.5, np.eye(60, 90, dtype=bool))
    with pytest.raises(BadParameter, match="expected equal sizes"):
        overlay(GREY, np.zeros((3, 3), np.float32))


def test_constant_maps_still_have_a_scale() -> None:
    for value in (0.0, -3.5, 1e6):
        flat = np.full((8, 8), value, np.float32)
        assert np.isfinite(scale_of([flat]).unit(flat)).all()
    with pytest.raises(BadParameter, match="expected low < high"):
        Scale(1, 1)


def test_scale_ends_no_lower_than_the_threshold() -> None:
    maps = [np.linspace(0, 1, 64, dtype=np.float32).reshape(8, 8)]
    assert scale_of(maps).high == pytest.approx(1.0)
    assert scale_of(maps, threshold=3.0).high == 3.0


def test_outline_goes_around_the_defect_and_leaves_a_thin_scratch_in_view() -> None:
    mask = np.zeros((60, 90), bool)
    mask[30, 20:70] = True
    seen = outline(GREY, mask)
    assert (seen[mask] == 128).all()
    drawn = (seen == OUTLINE).all(axis=2)
    assert drawn.any()
    assert drawn[:30].any()
    assert drawn[31:].any()
    assert (GREY == 128).all()


def test_outline_of_a_defect_at_the_border_and_of_the_whole_image() -> None:
    mask = np.zeros((60, 90), bool)
    mask[:5, :5] = True
    assert (outline(GREY, mask) == OUTLINE).all(axis=2).any()
    assert (outline(GREY, np.ones((60, 90), bool)) == OUTLINE).all(axis=2).any()
    assert (outline(GREY, np.zeros((60, 90), bool)) == GREY).all()


def test_views_share_one_size_and_have_no_truth_without_a_defect() -> None:
    image, anomaly_map = np.zeros((300, 600, 3), np.uint8), np.zeros((300, 600), np.float32)
    mask = np.zeros((300, 600), bool)
    assert views(image, anomaly_map, mask, Scale(0, 1)).truth is None
    assert views(image, anomaly_map, None, Scale(0, 1)).truth is None
    mask[5, 5] = True
    seen = views(image, anomaly_map, mask, Scale(0, 1))
    assert seen.truth is not None
    assert seen.image.shape == seen.truth.shape == seen.coloured.shape == (128, 256, 3)


def test_a_scratch_of_one_pixel_does_not_vanish_when_shrunk() -> None:
    mask = np.zeros((1000, 1000), bool)
    mask[500, 100:900] = True
    assert enlarged_mask(mask, (100, 100)).sum() >= 80
    assert enlarged_mask(mask[490:510, :20], (40, 40)).shape == (40, 40)


def test_fitted_keeps_proportions_and_never_reaches_zero() -> None:
    assert fitted((100, 200), 50) == (25, 50)
    assert fitted((1, 1000), 50) == (1, 50)


def test_peak_on_beside_and_far_from_the_defect() -> None:
    mask, anomaly_map = np.zeros((100, 100), bool), np.zeros((100, 100), np.float32)
    mask[10:20, 10:20] = True
    for place, near in (((15, 15), True), ((21, 15), True), ((60, 60), False)):
        anomaly_map[:] = 0
        anomaly_map[place] = 1
        assert peak_is_near(mask, anomaly_map) is near


def test_contact_sheet_holds_every_picture_on_white() -> None:
    pictures = [np.full((20 + i, 40, 3), 10 * i, np.uint8) for i in range(1, 6)]
    sheet = contact_sheet(pictures, columns=3, side=32, gap=2)
    assert sheet.shape == (2 * 34 - 2, 3 * 34 - 2, 3)
    assert {10, 20, 30, 40, 50, 255} <= set(sheet[:, :, 0].ravel().tolist())
    assert contact_sheet(pictures[:1], columns=6, side=32).shape == (32, 32, 3)
    with pytest.raises(BadParameter, match="at least one picture"):
        contact_sheet([])


def test_a_uri_decodes_to_the_picture() -> None:
    picture = np.zeros((16, 24, 3), np.uint8)
    picture[8:16, 8:16] = (250, 10, 90)  # a whole block of the format, so that only its rounding is left
    uri = jpeg_uri(picture)
    assert uri.startswith("data:image/jpeg;base64,")
    decoded = PillowImage.open(io.BytesIO(base64.b64decode(uri.removeprefix("data:image/jpeg;base64,"))))
    assert np.abs(np.asarray(decoded).astype(int) - picture).max() <= 4
    assert uri == jpeg_uri(picture.copy())


def test_colours_get_lighter_from_low_to_high() -> None:
    steps = [sum(bytes.fromhex(colour[1:])) for colour in colour_steps()]
    assert steps == sorted(steps)
