"""NSA as a method: its label and whose numbers it uses. Geometry and blending: test_nsa_patches; fitting: test_nsa_products."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flawsmith.core.errors import BadParameter, NeedUnmet, NotFitted, UnknownName
from flawsmith.core.requests import Request
from flawsmith.core.samples import ArraySource, Sample, SupportSet
from flawsmith.core.seeding import Seed
from flawsmith.synthesis.nsa import Nsa
from flawsmith.synthesis.nsa_products import PRODUCTS, TEXTURE

DRAWS = 2000


def bottle(seed, side=256):
    """A dark mottled disc of 0.84 of the side on a bright ground."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:side, :side] - (side - 1) / 2
    radius = np.hypot(y, x) / (0.42 * side)
    mottle = cv2.GaussianBlur(rng.standard_normal((side, side)), (0, 0), 2) * 40 + rng.normal(0, 3, (side, side))
    disc = 60 + 40 * np.cos(radius * 6 + rng.uniform(0, 0.4)) + 20 * x / side + mottle
    grey = np.where(radius < 1, disc, rng.normal(235, 2, (side, side)))
    return np.repeat(np.clip(grey, 0, 255).astype(np.uint8)[:, :, None], 3, axis=2)


def samples(pictures, product="mine"):
    return tuple(
        Sample(f"{product}/train/good/{k}", product, "good", "train", str(k), ArraySource(p)) for k, p in enumerate(pictures)
    )


def anomalies(method, normals, n):
    method.fit(SupportSet(normals))
    return (method.synthesize([Request(normals[k % len(normals)], Seed(11, (k,)))])[0] for k in range(n))


@pytest.fixture(scope="module")
def surfaces(noise):
    return samples([noise(256, 256, seed) for seed in range(6)])


@pytest.fixture(scope="module")
def bottles():
    return samples([bottle(seed) for seed in range(6)], "bottle")


# --- mean labelled areas of the specification


@pytest.mark.parametrize(("params", "stated"), [({"preset": "asbench"}, 0.019), ({"product": "tile", "label": "binary"}, 0.097)])
def test_mean_labelled_area_on_surfaces(surfaces, params, stated):
    """Depends on the pictures: here every pixel is white noise, so that nearly all of a patch changes. On smoother surfaces less
    of it does (8.1 % on brick, 9.0 % on grass)."""
    areas = np.array([anomaly.mask.mean() for anomaly in anomalies(Nsa(**params), surfaces, DRAWS)])
    assert areas.mean() == pytest.approx(stated, abs=3 * areas.std() / np.sqrt(DRAWS) + 0.0005)


def test_mean_labelled_area_and_soft_value_on_bottles(bottles):
    """With the table's row; the mean soft value inside the label is stated as about 0.35 to 0.5."""
    areas = np.array([anomaly.mask.mean() for anomaly in anomalies(Nsa(label="binary"), bottles, DRAWS)])
    assert areas.mean() == pytest.approx(0.077, abs=3 * areas.std() / np.sqrt(DRAWS) + 0.0005)
    soft = [anomaly.soft_mask[anomaly.mask].mean() for anomaly in anomalies(Nsa(), bottles, 400) if anomaly.mask.any()]
    assert 0.35 - 3 * np.std(soft) / np.sqrt(400) <= np.mean(soft) <= 0.5


# --- label


@given(offset=st.integers(-50, 50), seed=st.integers(0, 2**32))
@settings(deadline=None, max_examples=15)
def test_a_constant_offset_is_no_anomaly(made, offset, seed):
    """Equal gradients everywhere: nothing changes, nothing is labelled."""
    flat = np.full((96, 96, 3), 120, np.uint8)
    normals = samples([flat, (flat.astype(int) + offset).astype(np.uint8)])
    anomaly = made(Nsa(product="tile").fit(SupportSet(normals)), flat, seed)
    assert anomaly.is_normal
    assert anomaly.provenance.status == "no_placement"
    np.testing.assert_array_equal(anomaly.image, flat)


def test_the_logistic_label_is_monotone_and_one_half_at_x0(noise):
    """A hard swap of flat pictures changes by one amount, which the disc's median keeps inside the patch."""
    values = []
    for level in (4, 7, 10, 20, 60):
        own, other = np.full((128, 128, 3), 100, np.uint8), np.full((128, 128, 3), 100 + level, np.uint8)
        method = Nsa(product="none", blend="swap", logistic=(1 / 3, 10.0), height=(0.2, 0.2), width=(0.2, 0.2), patches=1)
        anomaly = next(anomalies(method, samples([own, other]), 1))
        y, x = (int(at.mean()) for at in np.nonzero(anomaly.mask))
        values.append(float(anomaly.soft_mask[y, x]))
        assert values[-1] == pytest.approx(1 / (1 + np.exp(-(level - 10) / 3)), abs=1e-5)
    assert values == sorted(values)
    assert values[2] == pytest.approx(0.5)


@pytest.mark.parametrize("label", ["logistic", "intensity", "continuous", "binary"])
def test_soft_masks(surfaces, label):
    for anomaly in anomalies(Nsa(product="tile", label=label), surfaces, 6):
        soft = anomaly.soft_mask
        np.testing.assert_array_equal(soft > 0, anomaly.mask)
        assert soft.max() <= 1
        if label == "binary":
            assert set(soft[anomaly.mask]) == {1.0}
        if label == "continuous":
            assert set(soft[anomaly.mask]) == {np.float32(anomaly.provenance.drawn["strength"])}
            assert 0.05 <= anomaly.provenance.drawn["strength"] <= 0.95


def test_the_intensity_label_is_the_smoothed_change(surfaces):
    from scipy.ndimage import median_filter
    from skimage.morphology import disk

    for anomaly in anomalies(Nsa(product="tile", label="intensity"), surfaces, 4):
        change = np.abs(anomaly.image.astype(float) - anomaly.clean).mean(axis=2) * anomaly.mask
        expected = np.maximum(median_filter(change, footprint=disk(5), mode="nearest") / 255, 1 / 765)
        np.testing.assert_allclose(anomaly.soft_mask[anomaly.mask], expected[anomaly.mask], atol=1e-6)


def test_labels_lie_in_the_patches_and_patches_in_the_picture(surfaces):
    for anomaly in anomalies(Nsa(product="tile", ellipses=5), surfaces, 40):
        union = np.zeros((256, 256), bool)
        for patch in anomaly.provenance.drawn["patches"]:
            x, y, w, h = patch["to"]
            assert 1 <= x < x + w <= 255
            assert 1 <= y < y + h <= 255
            assert max(w, h) <= round(0.4 * 256)  # sic: the whole side is held within the half-width's bounds
            union[y : y + h, x : x + w] = True
        assert not (anomaly.mask & ~union).any()
        np.testing.assert_array_equal(anomaly.image[~anomaly.mask], anomaly.clean[~anomaly.mask])


def test_a_tolerance_leaves_faint_changes_out(surfaces):
    areas = [np.mean([a.mask.mean() for a in anomalies(Nsa(preset="asbench", tolerance=t), surfaces, 20)]) for t in (1, 30, 90)]
    assert areas == sorted(areas, reverse=True)
    assert areas[0] > 3 * areas[2]


def test_the_patches_come_from_the_other_picture(surfaces, noise):
    """A constant other picture, swapped in, is seen on the label and nowhere else; blended in, it lends no gradient."""
    magenta = np.full((256, 256, 3), (255, 0, 255), np.uint8)
    for method in (Nsa(product="tile", blend="swap"), Nsa(product="tile", blend="normal", erode=0)):
        own = samples([noise(256, 256), magenta])
        anomaly = method.fit(SupportSet(own)).synthesize([Request(own[0], Seed(2))])[0]
        np.testing.assert_array_equal(anomaly.image[~anomaly.mask], anomaly.clean[~anomaly.mask])
        if method.blend == "swap":
            assert (anomaly.image[anomaly.mask] == magenta[0, 0]).all(axis=1).mean() > 0.99
        else:
            before, after = (np.abs(np.diff(p.astype(int), axis=0)).mean(axis=2) for p in (anomaly.clean, anomaly.image))
            inner = cv2.erode(anomaly.mask.astype(np.uint8), np.ones((5, 5), np.uint8))[1:] > 0
            assert after[inner].mean() < 0.2 * before[inner].mean()


# --- products


def test_the_table_is_that_of_the_specification():
    """Half-widths along y and x, patches, k and x0, background and tolerance, least object, least overlap; typed again."""
    stated = """
    bottle     .03-.40 .03-.40 3 1/12 24 200,60 .7  .25
    cable      .05-.40 .05-.40 3 1/12 24 -      -   -
    capsule    .03-.15 .03-.40 3 1/2  4  200,60 .7  .25
    hazelnut   .03-.35 .03-.35 3 1/12 24 20,20  .7  .25
    metal_nut  .03-.40 .03-.40 3 1/3  7  20,20  .5  .25
    pill       .03-.20 .03-.40 3 1/3  7  20,20  .7  .25
    screw      .03-.12 .03-.12 4 1    3  200,60 .5  .25
    toothbrush .03-.40 .03-.20 3 1/6  15 20,20  .25 .25
    transistor .03-.40 .03-.40 3 1/6  15 -      -   -
    zipper     .03-.40 .03-.20 4 1/6  15 200,60 .7  .25
    carpet     .03-.40 .03-.40 4 1/3  7  -      -   -
    grid       .03-.40 .03-.40 4 1/3  7  -      -   -
    leather    .03-.40 .03-.40 4 1/3  7  -      -   -
    tile       .03-.40 .03-.40 4 1/3  7  -      -   -
    wood       .03-.40 .03-.40 4 1/6  15 -      -   -
    chest_xray .03-.40 .03-.40 3 1/2  4  0,20   .7  .7
    """
    rows = {row.split()[0]: row.split()[1:] for row in stated.strip().splitlines()}
    assert rows.keys() == PRODUCTS.keys()
    surfaces = {"carpet", "grid", "leather", "tile", "wood"}
    for name, (height, width, patches, k, x0, background, least, overlap) in rows.items():
        product = PRODUCTS[name]
        assert product.height == tuple(float(end) for end in height.split("-"))
        assert product.width == tuple(float(end) for end in width.split("-"))
        assert product.patches == int(patches)
        numerator, _, denominator = k.partition("/")
        assert product.logistic == (int(numerator) / int(denominator or 1), float(x0))
        assert product.objects == ("none" if background == "-" else f"nsa:{background}")
        if background != "-":
            assert (product.min_object, product.min_overlap) == (float(least), float(overlap))
        assert product.resize == ((0.5, 2) if name in surfaces else (0.7, 1.3))
        assert product.gradients == ("mixed" if name in surfaces | {"chest_xray"} else "normal")
        assert product.gamma == ((2, 0.03, 0.05) if name == "chest_xray" else (2, 0.05, 0.03))


@pytest.mark.parametrize(
    ("params", "name", "origin", "row"),
    [
        ({}, "zipper", "table: zipper", PRODUCTS["zipper"]),
        ({"product": "tile"}, "zipper", "table: tile", PRODUCTS["tile"]),
        ({"product": "none"}, "zipper", "none", TEXTURE),
        ({}, "my_widget", "fitted: texture", None),
        ({"product": "fit"}, "zipper", "fitted: texture", None),
    ],
)
def test_whose_numbers_are_used(surfaces, params, name, origin, row):
    product, found = Nsa(**params).fit(SupportSet(surfaces)).product_of(name)
    assert found == origin
    assert row is None or product == row


def test_parameters_win_over_the_table():
    method = Nsa(
        product="screw", height=(0.1, 0.2), patches=7, logistic=(0.2, 9.0), objects="none", blend="mixed", min_object=0.9
    )
    product, _ = method.product_of("any")
    assert (product.height, product.width, product.patches) == ((0.1, 0.2), PRODUCTS["screw"].width, 7)
    assert (product.logistic, product.objects, product.gradients, product.min_object) == ((0.2, 9.0), "none", "mixed", 0.9)


def test_provenance_tells_the_numbers(surfaces):
    drawn = next(anomalies(Nsa(), surfaces, 1)).provenance.drawn
    product, origin = Nsa().fit(SupportSet(surfaces)).product_of("mine")
    assert drawn["product"] == origin == "fitted: texture"
    assert drawn["parameters"] == product.told()
    assert drawn["parameters"]["logistic"] == list(product.logistic)
    assert drawn["from"].startswith("mine/train/good/")


def test_asbench_runs_without_a_support_set(made, noise):
    anomaly = made(Nsa(preset="asbench"), noise(128, 128))
    (patch,) = anomaly.provenance.drawn["patches"]
    assert anomaly.provenance.drawn["gradients"] == "normal"
    assert max(patch["to"][2:]) <= round(0.2 * 128)
    assert "from" not in anomaly.provenance.drawn


# --- objects and foreground


@pytest.mark.parametrize("name", ["bottle", "pill", "screw"])
def test_without_an_object_nothing_is_placed(made, name):
    """A picture of the background alone; it ends within the tries."""
    ground = np.full((96, 96, 3), 200 if name != "pill" else 20, np.uint8)
    normals = samples([ground, ground])
    anomaly = made(Nsa(product=name).fit(SupportSet(normals)), ground)
    assert anomaly.is_normal
    assert anomaly.provenance.status == "no_placement"


def test_the_object_rule_guides_and_the_foreground_confines(bottles):
    inside = np.hypot(*(np.mgrid[:256, :256] - 127.5)) < 0.42 * 256
    guided = [a.mask for a in anomalies(Nsa(label="binary"), bottles, 60)]
    confined = [a.mask for a in anomalies(Nsa(label="binary", foreground="auto"), bottles, 60)]
    share = np.mean([mask[inside].sum() / mask.sum() for mask in guided])
    assert 0.8 < share < 0.999  # patches reach over the object's edge
    thick = cv2.dilate(inside.astype(np.uint8), np.ones((7, 7))) > 0
    assert all(mask.any() and not (mask & ~thick).any() for mask in confined)


def test_a_foreground_may_hold_next_to_nothing(made, noise, tmp_path):
    speck = np.zeros((96, 96), np.uint8)
    speck[50, 50] = 255
    cv2.imwrite(str(tmp_path / "0.png"), speck)
    normals = samples([noise(96, 96), noise(96, 96, 1)])
    anomaly = made(Nsa(product="tile", foreground=str(tmp_path)).fit(SupportSet(normals)), noise(96, 96))
    assert anomaly.provenance.status == "no_placement"


# --- an asked mask


@pytest.mark.parametrize("blend", ["product", "uniform", "swap"])
def test_an_asked_mask_is_filled(made, noise, blend):
    asked = np.zeros((96, 128), np.uint8)
    cv2.ellipse(asked, (60, 50), (30, 14), 20, 0, 360, 1, -1)
    cv2.line(asked, (5, 5), (20, 80), 1, 1)
    normals = samples([noise(), noise(seed=1)])
    anomaly = made(Nsa(product="tile", blend=blend).fit(SupportSet(normals)), noise(), 3, mask=asked > 0)
    assert not anomaly.mask[asked == 0].any()
    assert anomaly.mask[asked > 0].mean() > 0.75
    np.testing.assert_array_equal(anomaly.image[asked == 0], noise()[asked == 0])


# --- bad input


@pytest.mark.parametrize(
    "params",
    [
        {"height": [0.1, 0.6]},
        {"width": [0, 0.4]},
        {"height": [0.4, 0.1]},
        {"patches": 0},
        {"tolerance": -1},
        {"ellipses": -1},
        {"resize": [0, 1]},
        {"resize": [2, 1]},
        {"min_object": 1.0},
        {"logistic": [0, 5]},
        {"erode": -1},
        {"blend": "paste"},
        {"label": "soft"},
        {"gamma": [2, 0.05, 1.2]},
    ],
)
def test_refuses_parameters_out_of_range(params):
    with pytest.raises(BadParameter, match=f"nsa: parameter {next(iter(params))}"):
        Nsa.from_params(params)


def test_refuses_unknown_words():
    with pytest.raises(UnknownName, match="did you mean bottle"):
        Nsa(product="botle")
    with pytest.raises(UnknownName, match="foreground rule"):
        Nsa(objects="otzu")


def test_refuses_half_widths_that_round_to_nothing(made, noise):
    normals = samples([noise(64, 64), noise(64, 64, 1)])
    with pytest.raises(BadParameter, match="rounds to 0 of 64 pixels"):
        made(Nsa(product="none", height=(0.005, 0.3)).fit(SupportSet(normals)), noise(64, 64))


def test_says_what_is_missing(made, noise, normal):
    with pytest.raises(NotFitted):
        made(Nsa(), noise())
    with pytest.raises(NotFitted):
        made(Nsa(source="own"), noise())  # numbers to fit
    with pytest.raises(NeedUnmet, match="a second normal"):
        Nsa().fit(SupportSet((normal(noise()),)))
    assert made(Nsa(source="own").fit(SupportSet((normal(noise()),))), noise()).mask.any()
