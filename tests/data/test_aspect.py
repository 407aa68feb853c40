"""Squares and back: a mark comes home, nothing is invented, nothing is lost."""

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import example, given, settings

from flawsmith.core.errors import BadParameter
from flawsmith.data.aspect import Pad, Stretch, Tile, parse_aspect

sides = st.integers(1, 90)
ways = st.one_of(
    st.builds(Stretch, st.integers(8, 64)),
    st.builds(Pad, st.integers(8, 64)),
    st.integers(8, 64).flatmap(lambda size: st.builds(Tile, st.just(size), st.integers(0, size - 1))),
)


def scales(way, height, width):
    """Picture pixels per square pixel, down and across."""
    if isinstance(way, Stretch):
        return height / way.size, width / way.size
    if isinstance(way, Pad):
        box = way.box((height, width))
        return height / box[2], width / box[3]
    return 1.0, 1.0


@settings(max_examples=300)
@given(ways, sides, sides, st.data())
def test_a_mark_of_one_pixel_comes_back_within_one_pixel(way, height, width, data):
    row, column = data.draw(st.integers(0, height - 1)), data.draw(st.integers(0, width - 1))
    image = np.zeros((height, width, 3), np.uint8)
    image[row, column] = 255
    seen = [square[..., 0].astype(np.float32) for square in way.images(image)]
    back = way.whole(seen, (height, width))
    assert back.shape == (height, width)
    assert back.dtype == np.float32
    found = np.argwhere(back == back.max())
    grid = [max(1.0, scale) for scale in scales(way, height, width)]
    for place in found:
        assert abs(place[0] - row) <= grid[0]
        assert abs(place[1] - column) <= grid[1]


@settings(max_examples=200)
@given(ways, sides, sides, st.data())
def test_a_marked_pixel_of_a_mask_comes_back_too_where_squares_are_as_fine(way, height, width, data):
    """`pad` and `stretch` keep a pixel that grows or stays; a pixel that shrinks below half is gone, by the mask rule."""
    row, column = data.draw(st.integers(0, height - 1)), data.draw(st.integers(0, width - 1))
    mask = np.zeros((height, width), bool)
    mask[row, column] = True
    back = way.whole([square.astype(np.float32) for square in way.masks(mask)], (height, width))
    if max(scales(way, height, width)) <= 1:
        assert back.max() > 0
        for place in np.argwhere(back == back.max()):
            assert abs(place[0] - row) <= 1
            assert abs(place[1] - column) <= 1
    assert back.max() <= 1


@given(st.integers(8, 64), st.data(), sides, sides, st.integers(0, 2**32 - 1))
def test_tiles_give_back_every_value(size, data, height, width, seed):
    way = Tile(size, data.draw(st.integers(0, size - 1)))
    values = np.random.default_rng(seed).random((height, width)).astype(np.float32)
    image = np.repeat((values * 255).astype(np.uint8)[..., None], 3, axis=2)
    maps = [square[..., 0].astype(np.float32) for square in way.images(image)]
    assert np.abs(way.whole(maps, (height, width)) - image[..., 0]).max() <= 1e-4
    mask = values < 0.5
    assert (way.whole([square.astype(np.float32) for square in way.masks(mask)], (height, width)).round() == mask).all()


@given(ways, sides, sides, st.floats(-1e3, 1e3, width=32))
@example(Tile(8, 7), 90, 90, 1e-30)
def test_a_flat_map_stays_flat(way, height, width, value):
    count = len(way.images(np.zeros((height, width, 3), np.uint8)))
    back = way.whole([np.full((way.size, way.size), value, np.float32)] * count, (height, width))
    assert np.allclose(back, value, rtol=1e-5, atol=0)


@given(ways, sides, sides)
def test_squares_have_their_size_and_one_order(way, height, width):
    images = way.images(np.zeros((height, width, 3), np.uint8))
    masks = way.masks(np.zeros((height, width), bool))
    assert len(images) == len(masks) >= 1
    assert {image.shape for image in images} == {(way.size, way.size, 3)}
    assert {(mask.shape, mask.dtype) for mask in masks} == {((way.size, way.size), np.dtype(bool))}


def test_a_wide_picture_is_padded_above_and_below():
    image = np.zeros((20, 40, 3), np.uint8)
    image[0], image[-1] = 10, 20
    (square,) = Pad(40).images(image)
    assert Pad(40).box((20, 40)) == (10, 0, 20, 40)
    assert (square[:11] == 10).all()
    assert (square[29:] == 20).all()
    assert (square[11:29] == 0).all()
    (mask,) = Pad(40).masks(np.ones((20, 40), bool))
    assert mask.sum() == 20 * 40
    assert mask[10:30].all()


def test_what_is_outside_the_picture_does_not_count():
    anomaly_map = np.full((40, 40), 9.0, np.float32)
    anomaly_map[10:30] = 1.0
    assert (Pad(40).whole([anomaly_map], (20, 40)) == 1.0).all()


def test_tiles_step_by_their_size_less_the_overlap_and_the_last_one_is_moved_in():
    way = Tile(10, 4)
    assert way.corners((10, 23)) == [(0, 0), (0, 6), (0, 12), (0, 13)]
    assert way.corners((7, 10)) == [(0, 0)]
    assert way.corners((11, 16)) == [(0, 0), (0, 6), (1, 0), (1, 6)]


def test_the_middle_of_a_tile_outweighs_the_border_of_its_neighbour():
    way = Tile(10, 6)
    left, right = np.zeros((10, 10), np.float32), np.ones((10, 10), np.float32)
    merged = way.whole([left, right], (10, 14))[5]
    assert merged[:4].tolist() == [0] * 4
    assert merged[10:].tolist() == [1] * 4
    assert (np.diff(merged) >= 0).all()
    assert merged[4] == pytest.approx(1 / (5 + 1) * 1)  # weights there: 5 steps from the border to the left, 1 to the right
    assert np.allclose(merged + merged[::-1], 1)


def test_the_words_are_read():
    assert parse_aspect("stretch", 256) == Stretch(256)
    assert parse_aspect("pad", 256) == Pad(256)
    assert parse_aspect("tile:512,64", 256) == Tile(512, 64)


@pytest.mark.parametrize(
    "text", ["", "crop", "pad:3", "tile", "tile:64", "tile:64,64", "tile:64,-1", "tile:a,b", "tile:0,0", "tile:8,4,2"]
)
def test_other_words_are_refused(text):
    with pytest.raises(BadParameter, match="expected stretch, pad or tile:SIZE,OVERLAP"):
        parse_aspect(text, 256)


@pytest.mark.parametrize("way", [Stretch(8), Pad(8), Tile(8, 2)])
def test_maps_of_other_numbers_and_sizes_are_refused(way):
    count = len(way.images(np.zeros((20, 20, 3), np.uint8)))
    with pytest.raises(ValueError, match="expected"):
        way.whole([np.zeros((8, 8), np.float32)] * (count + 1), (20, 20))
    with pytest.raises(ValueError, match="of 8×8"):
        way.whole([np.zeros((7, 8), np.float32)] * count, (20, 20))
