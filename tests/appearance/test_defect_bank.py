"""Real defects are cut out as UniADC does it, and picture and mask stay together whatever is done to them."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flawsmith.appearance.defect_bank import (
    CHANGES,
    KEPT,
    Augmentation,
    DefectBank,
    Patch,
    augmented,
    crops_of,
    draw_augmentation,
    reference_canvas,
    ring,
    trimmed,
)
from flawsmith.core.errors import DataError
from flawsmith.core.samples import ArraySource, Region, Sample

RED = np.array([255, 0, 0], np.uint8)


def anomaly(mask, pixels=None, defect="dent", name="a", more=()):
    """A photograph of noise without red, on which the mask's pixels are red."""
    noise = np.random.default_rng(3).integers(0, 200, (*mask.shape, 3), dtype=np.uint8)
    image = np.where(mask[..., None], RED, noise) if pixels is None else pixels
    regions = (Region(defect, mask), *more)
    return Sample(f"p/test/{defect}/{name}", "p", defect, "test", name, ArraySource(image, regions, f"{name}.png"))


def blocks(size, *boxes):
    mask = np.zeros(size, bool)
    for x, y, w, h in boxes:
        mask[y : y + h, x : x + w] = True
    return mask


def test_separated_blobs_become_crops_with_a_quarter_of_their_box_around_them():
    mask = blocks((120, 160), (40, 20, 20, 40), (100, 90, 24, 8))
    crops, areas = crops_of(anomaly(mask), "dent", (120, 160))
    assert [crop.place for crop in crops] == [(35, 10, 30, 60), (94, 88, 36, 12)]
    assert [crop.area for crop in crops] == areas == [800, 192]
    for crop in crops:
        x, y, w, h = crop.place
        assert crop.image.shape == (h, w, 3)
        np.testing.assert_array_equal(crop.mask, mask[y : y + h, x : x + w])
        np.testing.assert_array_equal((crop.image == RED).all(axis=2), crop.mask)


def test_the_context_ends_at_the_border_and_neighbours_stay_in_the_mask():
    mask = blocks((60, 60), (0, 0, 16, 16), (18, 4, 8, 8), (50, 50, 10, 10))
    crops, _ = crops_of(anomaly(mask), "dent", (60, 60))
    assert [crop.place for crop in crops] == [(0, 0, 20, 20), (16, 2, 12, 12), (47, 47, 13, 13)]
    assert crops[0].mask.sum() == 16 * 16 + 2 * 8  # two columns of the neighbour
    assert crops[0].area == 256


def test_corners_that_touch_are_one_piece():
    mask = blocks((40, 40), (5, 5, 10, 10), (15, 15, 10, 10))
    assert crops_of(anomaly(mask), "dent", (40, 40))[1] == [200]


@pytest.mark.parametrize(("size", "largest_dropped"), [((512, 512), 255), ((256, 256), 63), ((1024, 256), 255)])
def test_pieces_under_the_least_area_are_dropped(size, largest_dropped):
    kept = largest_dropped + 1
    mask = (
        blocks(size, (10, 10, kept, 1), (10, 100, largest_dropped, 1))
        if size[1] > kept
        else blocks(size, (10, 10, kept // 2, 2), (10, 100, largest_dropped // 3, 3))
    )
    bank = DefectBank((anomaly(mask),))
    (crop,) = bank.of_kind("dent", size)
    assert crop.area == kept
    with pytest.raises(
        DataError, match=rf"no piece of a defect covers \d+ pixels .*\(there are pieces of {kept}, {largest_dropped}"
    ) as caught:
        DefectBank((anomaly(mask),), least_area=0.1).of_drawn_kind(size, np.random.default_rng(0))
    assert caught.value.code == "E_FEW"
    assert len(DefectBank((anomaly(mask),), least_area=1 / 4096).of_kind("dent", size)) == 2


def test_kinds_are_kept_apart_and_small_ones_are_told():
    more = (Region("scratch", blocks((64, 64), (40, 40, 3, 3))), Region("dent", blocks((64, 64), (40, 10, 9, 9))))
    bank = DefectBank(
        (anomaly(blocks((64, 64), (5, 5, 8, 8)), more=more), anomaly(blocks((64, 64), (5, 5, 9, 9)), defect="hole"))
    )
    assert {kind: len(samples) for kind, samples in bank.kinds.items()} == {"dent": 1, "hole": 1, "scratch": 1}
    assert {kind: len(bank.of_kind(kind, (64, 64))) for kind in bank.kinds} == {"dent": 2, "hole": 1, "scratch": 1}
    few = DefectBank(bank.anomalies, least_area=10 / 4096)
    r = np.random.default_rng(0)
    drawn = [few.of_drawn_kind((64, 64), r)[0].defect for _ in range(1000)]
    assert set(drawn) == {"dent", "hole"}
    assert drawn.count("dent") / 1000 == pytest.approx(0.5, abs=3 * 0.5 / 1000**0.5)
    with pytest.raises(DataError, match=r"no piece of scratch covers 10 pixels at 64×64 \(there are pieces of 9 pixels\)"):
        few.of_kind("scratch", (64, 64))
    assert len(few.of_kind("dent", (64, 64))) == 2


def test_photographs_are_resized_before_anything_is_measured():
    mask = blocks((200, 100), (20, 40, 40, 60))
    stretched = DefectBank((anomaly(mask),)).of_kind("dent", (100, 100))[0]
    shaped = DefectBank((anomaly(mask),), fit="shape").of_kind("dent", (100, 100))[0]
    assert stretched.area == 40 * 30
    assert stretched.place == (10, 12, 60, 45)
    assert shaped.mask.shape[0] / shaped.mask.shape[1] == pytest.approx(1.5, abs=0.1)
    assert shaped.area == pytest.approx(40 * 60 / 2, rel=0.06)


def test_nothing_is_cut_out_twice_and_only_some_sizes_are_kept():
    bank = DefectBank((anomaly(blocks((64, 64), (5, 5, 20, 20))),))
    first = bank.of_kind("dent", (64, 64))
    assert bank.of_kind("dent", (64, 64))[0] is first[0]
    for side in range(65, 65 + KEPT):
        bank.of_kind("dent", (side, side))
    assert bank.of_kind("dent", (64, 64))[0] is not first[0]
    np.testing.assert_array_equal(bank.of_kind("dent", (64, 64))[0].image, first[0].image)


def test_refuses_photographs_without_a_mask():
    bare = Sample("p/test/dent/b", "p", "dent", "test", "b", ArraySource(np.zeros((40, 40, 3), np.uint8), None, "b.png"))
    for sample, code, message in (
        (bare, "E_MISSING_MASK", "b.png has no mask"),
        (anomaly(np.zeros((40, 40), bool)), "E_EMPTY_MASK", "the mask of a.png is empty"),
    ):
        with pytest.raises(DataError, match=message) as caught:
            DefectBank((anomaly(blocks((40, 40), (5, 5, 9, 9))), sample))
        assert caught.value.code == code


# --- augmentation


def crop_of(mask):
    return crops_of(anomaly(mask), "dent", mask.shape, context=0.5)[0][0]


CROP = crop_of(blocks((90, 90), (30, 40, 24, 9)) | blocks((90, 90), (30, 40, 5, 20)))


@given(
    transposed=st.booleans(),
    change=st.sampled_from(CHANGES),
    degrees=st.integers(0, 90),
    scale=st.floats(0.5, 2),
    expand=st.booleans(),
)
@settings(deadline=None, max_examples=200)
def test_red_stays_where_the_mask_is(transposed, change, degrees, scale, expand):
    how = Augmentation(transposed, change, degrees if change == "turn" else 0, scale)
    image, mask, known = augmented(CROP, how, expand)
    assert image.shape[:2] == mask.shape == known.shape
    assert not (mask & ~known).any()
    red = (image[..., 0] > 215) & (image[..., 1:].max(axis=2) < 40)
    edge = cv2.morphologyEx(mask.astype(np.uint8), cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8)) > 0
    inner = cv2.erode(known.astype(np.uint8), np.ones((3, 3), np.uint8)).astype(bool) & ~edge
    np.testing.assert_array_equal(red[inner], mask[inner])
    if expand:
        outline = 2 * (24 + 20) * scale
        assert mask.sum() == pytest.approx(CROP.mask.sum() * scale**2, abs=outline / 2)


@pytest.mark.parametrize("change", ["none", "mirror", "flip"])
@pytest.mark.parametrize("transposed", [False, True])
def test_flips_keep_every_pixel(change, transposed):
    image, mask, known = augmented(CROP, Augmentation(transposed, change))
    assert known.all()
    back = {"none": np.s_[:, :], "mirror": np.s_[:, ::-1], "flip": np.s_[::-1]}[change]
    image, mask = image[back], mask[back]
    np.testing.assert_array_equal(image.transpose(1, 0, 2) if transposed else image, CROP.image)
    np.testing.assert_array_equal(mask.T if transposed else mask, CROP.mask)


def test_a_quarter_turn_loses_nothing_unless_the_canvas_stays():
    image, mask, known = augmented(CROP, Augmentation(change="turn", degrees=90))
    assert known.all()
    np.testing.assert_array_equal(mask, np.rot90(CROP.mask))
    np.testing.assert_array_equal(image, np.rot90(CROP.image))
    long = crop_of(blocks((90, 90), (10, 40, 60, 4)))
    kept, cut = (augmented(long, Augmentation(change="turn", degrees=90), expand).mask for expand in (True, False))
    assert kept.sum() == 240
    assert cut.shape == long.mask.shape
    assert cut.sum() < 60


def test_augmentations_are_drawn_fairly():
    r = np.random.default_rng(0)
    drawn = [draw_augmentation(r, (0.8, 1.25)) for _ in range(4000)]
    assert np.mean([a.transposed for a in drawn]) == pytest.approx(0.5, abs=3 * 0.5 / 4000**0.5)
    for change in CHANGES:
        assert np.mean([a.change == change for a in drawn]) == pytest.approx(0.25, abs=3 * (3 / 16 / 4000) ** 0.5)
    turns = np.array([a.degrees for a in drawn if a.change == "turn"])
    assert (turns.min(), turns.max()) == (0, 90)
    assert not any(a.degrees for a in drawn if a.change != "turn")
    scales = np.array([a.scale for a in drawn])
    assert 0.8 <= scales.min() < scales.max() <= 1.25
    assert {draw_augmentation(r).scale for _ in range(9)} == {1.0}


def test_a_crop_that_is_too_large_loses_its_surroundings_then_its_chance():
    patch = augmented(CROP, Augmentation())
    assert trimmed(patch, CROP.mask.shape) is patch
    small = trimmed(patch, (20, 24))
    assert small is not None
    assert small.image.shape == (20, 24, 3)
    assert small.mask.sum() == CROP.mask.sum()
    assert trimmed(patch, (19, 24)) is None
    assert trimmed(patch._replace(mask=np.zeros_like(patch.mask)), (90, 90)) is None


def test_the_reference_canvas_holds_the_crops_with_their_surroundings():
    black, corner = np.zeros((4, 6, 3), np.uint8), np.ones((4, 6), bool)
    corner[0, 0] = False
    first, second = Patch(black, corner, np.ones((4, 6), bool)), Patch(black + 9, corner, corner)
    canvas, known = reference_canvas([(first, (1, 2, 6, 4)), (second, (5, 4, 6, 4))], (10, 12, 3))
    assert known.sum() == 24 + 24 - 2 * 2
    assert canvas[known].tolist().count([9, 9, 9]) == 23
    assert not canvas[~known].any()
    assert known[2, 1]
    assert not known[1, 1]


def test_a_ring_lies_around_and_not_inside():
    mask = blocks((20, 20), (8, 8, 4, 4))
    found = ring(mask, 2)
    assert found.sum() == 64 - 16
    assert not (found & mask).any()
