import cv2
import numpy as np
import pytest
import skimage.data

from flawsmith.core.errors import UnknownName
from flawsmith.core.requests import Request
from flawsmith.core.samples import ArraySource, Sample, SupportSet
from flawsmith.core.seeding import Seed
from flawsmith.masks.foreground import parse_rule
from flawsmith.synthesis.nsa import Nsa
from flawsmith.synthesis.nsa_products import fitted, object_mask


def shaped(seed, half_height, half_width, side=128, bright=False):
    """A mottled ellipse in the middle of a plain ground."""
    rng = np.random.default_rng(seed)
    y, x = (np.mgrid[:side, :side] - (side - 1) / 2) / side
    inside = (y / half_height) ** 2 + (x / half_width) ** 2 < 1
    mottle = cv2.GaussianBlur(rng.standard_normal((side, side)), (0, 0), 2) * 30
    grey = np.where(inside, (200 if bright else 70) + mottle, rng.normal(30 if bright else 230, 2, (side, side)))
    return np.repeat(np.clip(grey, 0, 255).astype(np.uint8)[:, :, None], 3, axis=2)


def support(pictures):
    return SupportSet(
        tuple(Sample(f"w/train/good/{k}", "w", "good", "train", str(k), ArraySource(p)) for k, p in enumerate(pictures))
    )


def textures(name):
    whole = getattr(skimage.data, name)()
    return [np.repeat(whole[y : y + 160, x : x + 160, None], 3, axis=2) for y, x in ((0, 0), (100, 90), (200, 250), (300, 30))]


def levels(*values):
    return lambda product: np.array(values, np.float32)


@pytest.mark.parametrize("name", ["brick", "grass", "gravel"])
def test_a_surface_gets_the_numbers_of_surfaces(name):
    product, kind = fitted(textures(name), levels(12.0))
    assert kind == "texture"
    assert (product.objects, product.resize, product.gradients, product.patches) == ("none", (0.5, 2.0), "mixed", 4)
    assert product.height == product.width == (0.03, 0.4)


@pytest.mark.parametrize("bright", [False, True])
def test_an_object_gets_half_of_its_extent_as_largest_half_width(bright):
    """Flat as a capsule: 0.32 of the height, 0.84 of the width; the table has 0.15 and 0.40."""
    product, kind = fitted([shaped(seed, 0.16, 0.42, bright=bright) for seed in range(4)], levels(12.0))
    assert kind == "object"
    assert (product.objects, product.resize, product.gradients, product.patches) == ("auto", (0.7, 1.3), "normal", 3)
    assert product.height == (0.03, pytest.approx(0.16, abs=0.011))
    assert product.width == (0.03, 0.4)


def test_a_thin_object_asks_for_less_of_it_in_a_patch():
    """Patches of mean size seldom lie on it: the least share falls through 0.7, 0.5, 0.25."""
    found = [fitted([shaped(seed, half, 0.42) for seed in range(3)], levels(12.0))[0].min_object for half in (0.4, 0.1, 0.06)]
    assert found == sorted(found, reverse=True)
    assert found[0] == 0.7
    assert found[-1] < 0.7


@pytest.mark.parametrize(
    ("changes", "expected"), [((6, 8, 10), (0.2917, 8.0)), ((1, 1, 2), (0.7778, 3.0)), ((90,), (0.0972, 24.0)), ((), (1 / 6, 20))]
)
def test_the_label_is_one_half_at_the_median_change_within_the_bounds_of_the_table(changes, expected):
    product, _ = fitted(textures("grass"), levels(*changes))
    assert product.logistic == pytest.approx(expected, abs=1e-3)


def test_fitting_depends_on_the_normals_alone():
    first, again = (Nsa().fit(support(textures("gravel"))).product_of("w") for _ in range(2))
    assert first == again
    weak = support([picture // 8 for picture in textures("gravel")])
    assert Nsa().fit(weak).product_of("w")[0].logistic[1] < first[0].logistic[1]


def test_fitting_again_on_other_normals_forgets_the_first():
    method = Nsa()
    assert method.fit(support(textures("gravel"))).product_of("w")[1] == "fitted: texture"
    assert method.fit(support([shaped(seed, 0.3, 0.3) for seed in range(3)])).product_of("w")[1] == "fitted: object"


def test_large_normals_are_fitted_at_a_smaller_size():
    big = support([cv2.resize(shaped(seed, 0.16, 0.42), (700, 700)) for seed in range(2)])
    product, origin = Nsa().fit(big).product_of("w")
    assert origin == "fitted: object"
    assert product.height[1] == pytest.approx(0.16, abs=0.011)


def test_an_object_mask_may_be_empty():
    ground = np.full((64, 64, 3), 200, np.uint8)
    assert not object_mask(parse_rule("nsa:200,60"), ground, "p/train/good/0").any()
    assert object_mask(parse_rule("nsa:20,20"), ground, "p/train/good/0").all()
    assert object_mask(parse_rule("none"), ground, "p/train/good/0") is None


def test_a_table_of_objects_is_asked_for_the_data_sets_own_product():
    """`01` is a product of BTAD, and of no other data set."""
    pictures = [shaped(k, 0.35, 0.3) for k in range(3)]
    normals = tuple(Sample(f"01/train/good/{k}", "01", "good", "train", str(k), ArraySource(p)) for k, p in enumerate(pictures))
    for dataset, known in (("btad", True), ("visa", False)):
        method = Nsa(product="pill", objects="table:realnet").fit(SupportSet(normals, product="01", dataset=dataset))
        if known:
            assert method.synthesize([Request(normals[0], Seed(0))])
        else:
            with pytest.raises(UnknownName, match="01"):
                method.synthesize([Request(normals[0], Seed(0))])
