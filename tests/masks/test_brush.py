import numpy as np
import pytest
from PIL import Image, ImageDraw

from flawsmith.masks.brush import draw_stroke, stroke


def strokes(n, **given):
    rng = np.random.default_rng(0)
    return [stroke((300, 400), (2, 9), rng, **given) for _ in range(n)]


def test_strokes_zigzag_between_the_borders():
    for corners in strokes(200):
        assert corners.min() >= -1
        assert (corners <= (400, 300)).all()
        assert 3 <= len(corners) <= 10
        inner = corners[((corners > 0) & (corners < (399, 299))).all(axis=1)]
        if len(inner) == len(corners):
            turns = np.sign(np.diff(corners[:, 1]))
            assert (turns[1:] * turns[:-1] <= 0).all()


def test_the_original_drifts_to_the_right_and_ours_does_not():
    def to_the_right(**given):
        return np.mean([corners[-1, 0] > corners[0, 0] for corners in strokes(2000, **given)])

    assert to_the_right(parity=True) > 0.95
    assert to_the_right() == pytest.approx(0.5, abs=3 * 0.5 / np.sqrt(2000) + 0.02)


def test_segments_lean_as_the_paper_says():
    """48 to 96 degrees from the horizontal, up and down in turn; whole pixels cost a degree or two."""
    leans = []
    for corners in strokes(500, parity=True):
        inside = ((corners > 0) & (corners < (399, 299))).all(axis=1)
        steps = np.diff(corners, axis=0)
        whole = inside[1:] & (np.hypot(*steps.T) > 40)
        leans += np.degrees(np.arctan2(np.abs(steps[whole, 1]), steps[whole, 0])).tolist()
    assert min(leans) > 46
    assert max(leans) < 98
    assert np.mean(leans) == pytest.approx(72, abs=2)


@pytest.mark.parametrize("room", [(0, 0, 400, 300), (100, 80, 30, 25), (390, 290, 10, 10), (0, 150, 1, 1)])
def test_what_is_left_out_lies_outside_the_room(room):
    x, y, w, h = room
    for corners in strokes(60):
        whole, part = np.zeros((300, 400), np.uint8), np.zeros((300, 400), np.uint8)
        draw_stroke(whole, corners, 9)
        draw_stroke(part, corners, 9, room)
        np.testing.assert_array_equal(part[y : y + h, x : x + w], whole[y : y + h, x : x + w])
        assert not (part & ~whole).any()


@pytest.mark.parametrize("width", [1, 4, 7, 12, 24])
def test_strokes_are_as_wide_as_pillow_draws_them(width):
    ours = theirs = 0
    for corners in strokes(60):
        canvas = np.zeros((300, 400), np.uint8)
        draw_stroke(canvas, corners, width)
        picture = Image.new("L", (400, 300), 0)
        pen = ImageDraw.Draw(picture)
        points = [tuple(point) for point in corners.astype(int).tolist()]
        pen.line(points, fill=1, width=width)
        for x, y in points:
            pen.ellipse((x - width // 2, y - width // 2, x + width // 2, y + width // 2), fill=1)
        ours += int(canvas.sum())
        theirs += int(np.asarray(picture).sum())
    assert ours == pytest.approx(theirs, rel=0.05)
