"""Sets whose methods are concatenated, as ASBench concatenates its data sets."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from flawsmith.core.errors import BadParameter
from flawsmith.synthesis.sets import replay, synthesize


def made(tiles, methods="draem,cutpaste,cutpaste_scar", n=6, **options):
    return synthesize(tiles, methods, n, mixing="concat", **options)


def test_every_method_takes_every_normal_once(tiles):
    normals = [sample.id for sample in tiles.samples if sample.is_normal and sample.split == "train"]
    whole = made(tiles, n=len(normals))
    assert len(whole) == 3 * len(normals)
    for k, name in enumerate(("draem", "cutpaste", "cutpaste_scar")):
        part = whole[k * len(normals) : (k + 1) * len(normals)]
        assert [anomaly.provenance.normal_id for anomaly in part] == normals
        assert {anomaly.provenance.component for anomaly in part} == {name}


def test_another_number_goes_round_the_normals(tiles):
    used = [anomaly.provenance.normal_id for anomaly in made(tiles, "cutpaste,cutpaste_scar", n=8)]
    assert used[:2] == used[6:8] == used[8:10]


def test_products_share_each_part(tiles):
    others = tuple(replace(s, id=s.id.replace("tiles/", "nuts/"), product="nuts") for s in tiles.samples)
    both = replace(tiles, samples=(*tiles.samples, *others))
    whole = made(both, "cutpaste,cutpaste_scar", n=12)
    counts = Counter((whole.product_of(i), a.provenance.component, a.provenance.normal_id) for i, a in enumerate(whole))
    assert len(counts) == 24
    assert set(counts.values()) == {1}
    odd = made(both, "cutpaste,cutpaste_scar", n=5)
    assert [odd.product_of(i) for i in range(10)] == ["nuts", "tiles", "nuts", "tiles", "nuts"] * 2


def test_a_line_makes_the_same_pixels_again(tiles):
    for anomaly in made(tiles, n=2, size=48):
        again = replay({"provenance": anomaly.provenance.to_json()}, tiles)
        np.testing.assert_array_equal(again.image, anomaly.image)
        assert again.provenance == anomaly.provenance


def test_the_number_of_a_choice_stays(tiles):
    assert len(synthesize(tiles, "draem,cutpaste,cutpaste_scar", 6)) == 6


@pytest.mark.parametrize(("mixing", "told"), [("concat", "equal weights .*draem:2, cutpaste:1"), ("chain", "mixing is 'chain'")])
def test_refuses_weights_and_unknown_policies(tiles, mixing, told):
    with pytest.raises(BadParameter, match=told):
        synthesize(tiles, "draem:2,cutpaste:1", 6, mixing=mixing)
