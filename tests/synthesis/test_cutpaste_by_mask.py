import json
from dataclasses import replace

import cv2
import numpy as np
import pytest

from flawsmith.core.errors import BadParameter, DataError, NeedUnmet, NotFitted, UnknownName, UsageError
from flawsmith.core.requests import Request
from flawsmith.core.samples import ArraySource, Region, Sample, SupportSet
from flawsmith.core.seeding import Seed
from flawsmith.masks.morphology import close
from flawsmith.synthesis.cutpaste_by_mask import CutPasteByMask, Scene, feathered

SIZE = (96, 128)


@pytest.fixture(scope="module")
def reference(noise):
    """reference(mask, defect, pixels): a real anomaly."""

    def make(mask, defect="dent", pixels=None, name="a"):
        picture = noise(*mask.shape, seed=9) if pixels is None else pixels
        return Sample(
            f"p/test/{defect}/{name}", "p", defect, "test", name, ArraySource(picture, (Region(defect, mask),), f"{name}.png")
        )

    return make


@pytest.fixture(scope="module")
def fitted(reference, normal, noise):
    """fitted(*anomalies, **parameters): a method that may use them."""

    def fit(*anomalies, **parameters):
        return CutPasteByMask(**parameters).fit(SupportSet((normal(noise()),), anomalies))

    return fit


def block(x, y, w, h, size=SIZE):
    mask = np.zeros(size, bool)
    mask[y : y + h, x : x + w] = True
    return mask


L_SHAPE = block(40, 30, 20, 6) | block(40, 30, 6, 24)


def write_mask(folder, where):
    folder.mkdir(exist_ok=True)
    cv2.imwrite(str(folder / "0.png"), where.astype(np.uint8) * 255)
    return str(folder)


# --- what is pasted


def test_pasted_pixels_are_the_flipped_pixels_of_the_reference(fitted, made, noise, reference):
    pixels, source = noise(), reference(L_SHAPE)
    method, seen = fitted(source), set()
    for seed in range(60):
        anomaly = made(method, pixels, seed)
        (told,) = anomaly.provenance.drawn["references"]
        np.testing.assert_array_equal(anomaly.image[~anomaly.mask], pixels[~anomaly.mask])
        if told["change"] == "turn":
            continue
        seen.add((told["transposed"], told["change"]))
        (x, y, w, h), (left, top, width, height) = told["from"], told["to"]
        patch, mask = source.image()[y : y + h, x : x + w], L_SHAPE[y : y + h, x : x + w]
        if told["transposed"]:
            patch, mask = patch.transpose(1, 0, 2), mask.T
        patch, mask = {
            "none": (patch, mask),
            "mirror": (patch[:, ::-1], mask[:, ::-1]),
            "flip": (patch[::-1], mask[::-1]),
        }[told["change"]]
        assert mask.shape == (height, width)
        np.testing.assert_array_equal(anomaly.mask[top : top + height, left : left + width], mask)
        assert anomaly.mask.sum() == mask.sum()
        np.testing.assert_array_equal(anomaly.image[anomaly.mask], patch[mask])
    assert len(seen) == 6


def test_red_is_where_the_label_is_whatever_the_turn(fitted, made, noise, reference):
    pixels = noise() // 2
    red = np.where(L_SHAPE[..., None], np.uint8([255, 0, 0]), noise(seed=4) // 2)
    method = fitted(reference(L_SHAPE, pixels=red))
    for seed in range(60):
        anomaly = made(method, pixels, seed)
        inner = cv2.erode(anomaly.mask.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
        assert inner.any()
        assert (anomaly.image[inner] == [255, 0, 0]).all(axis=1).mean() > 0.97
        assert not (anomaly.image[~anomaly.mask, 0] > 215).any()


def test_100_pastes_of_one_reference_have_90_masks(fitted, made, noise, reference):
    method = fitted(reference(L_SHAPE))
    masks = {made(method, noise(), seed).mask.tobytes() for seed in range(100)}
    assert len(masks) >= 90


def test_a_place_can_be_reserved(fitted, made, noise, reference, tmp_path):
    source, pixels = reference(L_SHAPE), noise()
    anomaly = made(fitted(source, position_reserved=True), pixels, 3)
    np.testing.assert_array_equal(anomaly.mask, L_SHAPE)
    np.testing.assert_array_equal(anomaly.image, np.where(L_SHAPE[..., None], source.image(), pixels))
    (told,) = anomaly.provenance.drawn["references"]
    assert told["from"] == told["to"]
    smaller = made(fitted(source, position_reserved=True), noise(48, 64))
    np.testing.assert_array_equal(smaller.mask, L_SHAPE[::2, ::2])
    with pytest.raises(BadParameter, match="position_reserved needs resize=stretch"):
        CutPasteByMask.from_params({"position_reserved": True, "resize": "shape"})


def test_the_bank_cannot_be_written_through_what_was_pasted(fitted, normal, noise, reference):
    method = fitted(reference(L_SHAPE), augment=False)
    (piece,) = method.compose(Scene(noise(), Seed(0), None, None, normal(noise()))).pieces
    for array in (piece.patch.image, piece.patch.mask, piece.mask):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0


def test_several_pieces_of_one_kind(fitted, made, noise, reference):
    method = fitted(reference(L_SHAPE), reference(block(10, 10, 12, 12), "hole", name="b"), most=3)
    counts = np.zeros(4, int)
    for seed in range(300):
        anomaly = made(method, noise(), seed)
        told = anomaly.provenance.drawn["references"]
        counts[len(told)] += 1
        assert {piece["defect"] for piece in told} == {anomaly.defect}
    assert counts[0] == 0
    np.testing.assert_allclose(counts[1:] / 300, 1 / 3, atol=3 * (2 / 9 / 300) ** 0.5)


def test_pieces_and_kinds_are_drawn_uniformly(fitted, made, noise, reference):
    many = block(5, 5, 12, 12) | block(40, 5, 12, 12) | block(80, 50, 12, 12)
    method = fitted(reference(many), reference(block(50, 40, 12, 12), "hole", name="b"), augment=False)
    told = [made(method, noise(), seed).provenance.drawn["references"][0] for seed in range(600)]
    assert np.mean([t["defect"] == "hole" for t in told]) == pytest.approx(0.5, abs=3 * 0.5 / 600**0.5)
    pieces = [t["piece"] for t in told if t["defect"] == "dent"]
    np.testing.assert_allclose(np.bincount(pieces) / len(pieces), 1 / 3, atol=3 * (2 / 9 / len(pieces)) ** 0.5)


# --- names


def test_the_reference_names_the_defect_and_the_caller_may_choose(fitted, made, noise, reference):
    method = fitted(reference(L_SHAPE), reference(block(10, 10, 12, 12), "hole", name="b"))
    named = [made(method, noise(), seed) for seed in range(30)]
    assert {a.defect for a in named} == {"dent", "hole"}
    assert all(a.provenance.drawn["references"][0]["defect"] == a.defect for a in named)
    chosen = [made(method, noise(), seed, defect="hole") for seed in range(20)]
    assert {a.provenance.drawn["references"][0]["id"] for a in chosen} == {"p/test/hole/b"}
    assert {a.defect for a in chosen} == {"hole"}
    with pytest.raises(UnknownName, match="no defect 'banana'; known: dent, hole; the references show dent, hole"):
        made(method, noise(), defect="banana")


# --- where


def test_crops_lie_in_the_box_of_the_foreground_and_only_its_pixels_change(fitted, made, noise, reference, tmp_path):
    pixels = noise()
    where = block(30, 20, 80, 60) & ~block(60, 40, 10, 10)
    method = fitted(reference(L_SHAPE), foreground=write_mask(tmp_path / "f", where))
    for seed in range(40):
        anomaly = made(method, pixels, seed)
        left, top, width, height = anomaly.provenance.drawn["references"][0]["to"]
        assert 30 <= left <= 110 - width
        assert 20 <= top <= 80 - height
        assert anomaly.mask.any()
        assert not (anomaly.mask & ~where).any()
        np.testing.assert_array_equal(anomaly.image[~where], pixels[~where])


def test_places_are_uniform(fitted, made, noise, reference):
    method = fitted(reference(block(40, 30, 16, 16)), augment=False)
    boxes = np.array([made(method, noise(), seed).provenance.drawn["references"][0]["to"] for seed in range(2000)])
    assert (boxes[:, 2:] == 24).all()
    for axis, room in ((0, 128 - 24), (1, 96 - 24)):
        shares = boxes[:, axis] / room
        assert (shares.min(), shares.max()) == (0, 1)
        assert shares.mean() == pytest.approx(0.5, abs=3 / 12**0.5 / 2000**0.5)


def test_a_foreground_smaller_than_the_defect_takes_what_fits_or_nothing(fitted, made, noise, reference, tmp_path):
    large = reference(block(10, 10, 60, 60))
    for name, where, placed in (
        ("some", block(50, 40, 40, 40), True),
        ("pixel", block(50, 40, 1, 1), None),
        ("checkerboard", np.indices(SIZE).sum(axis=0) % 2 == 0, True),
    ):
        method = fitted(large, foreground=write_mask(tmp_path / name, where))
        for seed in range(5):
            anomaly = made(method, noise(), seed)
            assert not (anomaly.mask & ~where).any()
            assert placed is None or anomaly.mask.any() == placed
            assert anomaly.provenance.attempts <= 100


def test_a_crop_that_no_turn_makes_fit_is_a_normal(fitted, made, noise, reference):
    method = fitted(reference(block(2, 46, 124, 4)), resize="shape", scale=(4, 4))
    anomaly = made(method, noise())
    assert anomaly.is_normal
    assert anomaly.provenance.attempts == 100
    assert anomaly.provenance.status == "no_placement"


def test_too_little_of_the_foreground_is_drawn_again(fitted, made, noise, reference, tmp_path):
    """At least half of the smallest piece's share of the picture, of the foreground: here 0.5 · 400/12288 of 5,120 pixels."""
    sparse = np.zeros(SIZE, bool)
    sparse[:, :40] = True
    sparse[:, -13:] = True
    where = write_mask(tmp_path / "f", sparse)
    least = 0.5 * 400 / (96 * 128) * sparse.sum()
    method = fitted(reference(block(40, 30, 20, 20)), foreground=where, augment=False)
    found = [made(method, noise(), seed) for seed in range(200)]
    assert max(a.provenance.attempts for a in found) > 1
    assert min(close(a.mask, 1).sum() for a in found) >= least
    assert min(a.mask.sum() for a in found) < 1.3 * least


# --- labels and blending


def test_the_label_is_what_was_pasted_unless_closing_counts(fitted, made, noise, reference):
    comb = np.zeros((256, 256), bool)
    comb[60:100, 60:120:2] = True
    comb[58:60, 60:120] = True
    source, pixels = reference(comb), noise(256, 256)
    tight, closed = (fitted(source, augment=False, close_label=choice) for choice in (False, True))
    one, other = made(tight, pixels, 2), made(closed, pixels, 2)
    assert one.mask.sum() == comb.sum()
    np.testing.assert_array_equal(one.image, other.image)
    np.testing.assert_array_equal(other.mask, close(one.mask, 3))
    assert other.mask.sum() > 1.5 * one.mask.sum()
    assert CutPasteByMask(preset="uniadc").close_label
    assert not CutPasteByMask(preset="uniadc").expand


def test_feathering_fades_inwards(fitted, made, reference):
    white, black = np.full((128, 128, 3), 255, np.uint8), np.zeros((128, 128, 3), np.uint8)
    mask = block(40, 40, 21, 21, (128, 128))
    anomaly = made(fitted(reference(mask, pixels=white), blend="feather", augment=False), black)
    assert anomaly.mask.sum() == 21 * 21
    y, x = np.argwhere(anomaly.mask)[0]
    line = anomaly.image[y + 10, x : x + 21, 0].astype(int)
    assert line.tolist() == [128, *[255] * 19, 128]  # a ramp of one pixel at 128
    np.testing.assert_array_equal(anomaly.soft_mask > 0, anomaly.mask)
    np.testing.assert_allclose(anomaly.soft_mask, anomaly.image[..., 0] / 255, atol=0.003)
    ramp = feathered(mask, 4)
    np.testing.assert_allclose(ramp[50, 40:45], [0.2, 0.4, 0.6, 0.8, 1])
    assert not ramp[~mask].any()
    edge = feathered(np.ones((5, 5), bool), 1)
    assert edge[2].tolist() == [0.5, 1, 1, 1, 0.5]


def test_poisson_pastes_gradients(fitted, made, reference):
    """A dent on a brighter photograph keeps its contrast on a darker one, and nothing outside changes."""
    pixels = np.full((128, 128, 3), 90, np.uint8)
    mask = block(40, 40, 30, 30, (128, 128))
    source = np.full((128, 128, 3), 180, np.uint8)
    source[45:65, 45:65] = 150
    hard, smooth = (
        made(fitted(reference(mask, pixels=source), blend=blend, augment=False), pixels, 1) for blend in ("hard", "poisson")
    )
    np.testing.assert_array_equal(hard.mask, smooth.mask)
    np.testing.assert_array_equal(smooth.image[~smooth.mask], pixels[~smooth.mask])
    assert set(np.unique(hard.image[hard.mask])) == {150, 180}
    dent = hard.image[..., 0] == 150
    inner = cv2.erode(dent.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
    assert abs(smooth.image[inner].mean() - 60) < 4
    assert abs(smooth.image[smooth.mask & ~dent].mean() - 90) < 4


def test_brightness_is_matched_to_the_ring(fitted, made, reference):
    pixels = np.full((256, 256, 3), (80, 90, 100), np.uint8)
    source = np.full((256, 256, 3), (150, 160, 170), np.uint8)
    mask = block(60, 60, 40, 40, (256, 256))
    source[mask] = (100, 110, 120)
    anomaly = made(fitted(reference(mask, pixels=source), match_brightness=True), pixels, 5)
    assert (anomaly.image[anomaly.mask] == [30, 40, 50]).all(axis=1).mean() > 0.98
    plain = made(fitted(reference(mask, pixels=source)), pixels, 5)
    assert (plain.image[plain.mask] == [100, 110, 120]).all(axis=1).mean() > 0.98
    everywhere = fitted(reference(np.ones((64, 64), bool), pixels=source[:64, :64]), match_brightness=True, augment=False)
    assert (made(everywhere, pixels[:64, :64]).image == source[:64, :64]).all()  # there is no ring


def test_a_grey_picture_gets_a_grey_defect(fitted, made, noise, reference):
    grey = np.repeat(noise()[..., :1], 3, axis=2)
    for seed in range(10):
        assert np.ptp(made(fitted(reference(L_SHAPE)), grey, seed).image, axis=2).max() == 0
    assert np.ptp(made(fitted(reference(L_SHAPE), preset="uniadc"), grey).image, axis=2).max() > 0


def test_a_defect_that_changes_nothing_is_drawn_again_or_is_a_normal(fitted, made, reference):
    flat = np.full((*SIZE, 3), 120, np.uint8)
    assert made(fitted(reference(L_SHAPE, pixels=flat)), flat).is_normal
    assert made(fitted(reference(L_SHAPE, pixels=flat), require_change=False), flat).mask.any()


def test_scale_changes_the_size(fitted, made, noise, reference):
    for scale in (0.5, 2.0):
        method = fitted(reference(block(50, 40, 16, 12)), scale=(scale, scale), augment=False)
        assert made(method, noise()).mask.sum() == pytest.approx(16 * 12 * scale**2, rel=0.1)


def test_references_of_another_shape_are_stretched_or_keep_theirs(fitted, made, noise, reference):
    disc = np.zeros((200, 100), bool)
    cv2.circle(disc.view(np.uint8), (50, 100), 20, 1, -1)
    stretched, kept = (
        made(fitted(reference(disc), resize=resize, augment=False), noise(100, 200)).mask for resize in ("stretch", "shape")
    )
    for mask, ratio in ((stretched, 4), (kept, 1)):
        _, _, width, height = cv2.boundingRect(mask.astype(np.uint8))
        assert width / height == pytest.approx(ratio, rel=0.1)
    assert kept.sum() == disc.sum()


def test_the_reference_canvas_agrees_with_the_picture_inside_the_mask(fitted, noise, reference, normal):
    pixels = noise()
    method = fitted(reference(L_SHAPE), most=2)
    for seed in range(20):
        made = method.compose(Scene(pixels, Seed(seed), None, None, normal(pixels)))
        canvas, known = made.reference()
        assert not (made.mask & ~known).any()
        assert known.sum() > made.mask.sum()
        assert not canvas[~known].any()
        if len(made.pieces) == 1:
            np.testing.assert_array_equal(canvas[made.mask], made.image[made.mask])


# --- the record, and bad input


def test_the_record_makes_the_same_pixels_again_and_is_json(fitted, made, noise, reference):
    method = fitted(reference(L_SHAPE), reference(block(10, 10, 12, 12), "hole", name="b"), most=2)
    anomaly = made(method, noise(), 4)
    told = json.loads(json.dumps(anomaly.provenance.drawn))
    assert set(told["references"][0]) == {"id", "piece", "defect", "from", "to", "transposed", "change", "degrees", "scale"}
    np.testing.assert_array_equal(made(method, noise(), 4).image, anomaly.image)


def test_refuses_what_it_cannot_paste(fitted, made, noise, normal, reference):
    with pytest.raises(NeedUnmet, match=r"needs real anomalies with masks, and this run has none; .*--defect-shots 1"):
        fitted()
    with pytest.raises(NotFitted):
        made(CutPasteByMask(), noise())
    bare = replace(reference(L_SHAPE), source=ArraySource(noise(), None, "bare.png"))
    with pytest.raises(DataError, match=r"bare\.png has no mask"):
        fitted(bare)
    with pytest.raises(DataError, match=r"the mask of a\.png is empty"):
        fitted(reference(np.zeros(SIZE, bool)))
    small = fitted(reference(block(10, 10, 3, 3) | block(40, 40, 2, 2)))
    with pytest.raises(DataError, match=r"covers 12 pixels at 128×96 \(there are pieces of 9, 4 pixels\).*lower least_area"):
        made(small, noise())
    both = fitted(reference(block(10, 10, 3, 3)), reference(block(10, 10, 30, 30), "hole", name="b"))
    assert made(both, noise()).defect == "hole"
    with pytest.raises(DataError, match="no piece of dent covers 12 pixels"):
        made(both, noise(), defect="dent")
    with pytest.raises(UsageError, match="takes no mask"):
        both.synthesize([Request(normal(noise()), Seed(0), mask=L_SHAPE)])


@pytest.mark.parametrize(
    "params",
    [
        {"most": 0},
        {"least_area": -0.1},
        {"context": -1},
        {"scale": [1.2, 0.8]},
        {"scale": [0.1, 1]},
        {"blend": "soft"},
        {"resize": "crop"},
    ],
)
def test_refuses_parameters_out_of_range(params):
    with pytest.raises(BadParameter, match=f"cutpaste_by_mask: parameter {next(iter(params))}"):
        CutPasteByMask.from_params(params)
