from collections.abc import Sequence

import numpy as np
import pytest

from flawsmith.core.detector import StreamItem
from flawsmith.core.errors import BadParameter, DataError, NeedUnmet
from flawsmith.core.requests import Anomaly, Provenance
from flawsmith.core.samples import ArraySource, Sample
from flawsmith.core.seeding import Seed
from flawsmith.learning.rotation import FILL, rotate_image, rotate_mask
from flawsmith.learning.stream import ATTEMPTS, AnomalyStream
from flawsmith.testing.toy import toy_anomalies, toy_normals

SEED = Seed(0, ("test",))


def make(normals, sources, ratio=0.5, **options):
    return AnomalyStream(normals, sources, ratio, (32, 32), SEED, **options)


def same(one: StreamItem, other: StreamItem) -> bool:
    clean = (one.clean is None) == (other.clean is None) and (one.clean is None or np.array_equal(one.clean, other.clean))
    pixels = np.array_equal(one.image, other.image) and np.array_equal(one.mask, other.mask)
    return clean and pixels and (one.defect, one.maker, one.sample_id) == (other.defect, other.maker, other.sample_id)


def test_an_item_is_a_function_of_seed_and_index(normals, square):
    forward = make(normals, [(square, 1.0)], rotation="full", photometry=0.2)
    backward = make(normals, [(square, 1.0)], rotation="full", photometry=0.2)
    items = [forward[i] for i in range(20)]
    assert all(same(backward[i], items[i]) for i in reversed(range(20)))


def test_another_seed_gives_other_items(normals, square):
    other = AnomalyStream(normals, [(square, 1.0)], 0.5, (32, 32), Seed(1))
    assert not all(same(make(normals, [(square, 1.0)])[i], other[i]) for i in range(5))


def test_the_realised_ratio_is_within_three_sigma(normals, square):
    stream = make(normals, [(square, 1.0)], 0.3)
    share = np.mean([stream._is_anomalous(i, SEED.child("item", i)) for i in range(4000)])
    assert abs(share - 0.3) < 3 * np.sqrt(0.3 * 0.7 / 4000)


@pytest.mark.parametrize("ratio", [0.25, 0.5, 0.9])
def test_stratified_is_exact_to_one_in_every_prefix(normals, square, ratio: float):
    stream = make(normals, [(square, 1.0)], ratio, ratio_mode="stratified")
    labels = np.cumsum([stream[i].label for i in range(60)])
    assert np.all(np.abs(labels - ratio * np.arange(1, 61)) <= 1)


def test_a_normal_costs_no_synthesis_and_an_anomaly_one_call(normals, square):
    stream = make(normals, [(square, 1.0)], 0.5)
    anomalous = sum(stream[i].label for i in range(50))
    assert len(square._calls) == anomalous > 0


def test_ratio_zero_never_touches_the_synthesizer_and_one_emits_no_normal(normals, square):
    assert all(make(normals, [(square, 1.0)], 0.0)[i].label == 0 for i in range(20))
    assert square._calls == []
    assert all(make(normals, [(square, 1.0)], 1.0)[i].label == 1 for i in range(20))


def test_normals_are_their_own_twin_and_anomalies_equal_theirs_outside_the_mask(normals, square):
    stream = make(normals, [(square, 1.0)], rotation="draem", photometry=0.3)
    for item in (stream[i] for i in range(40)):
        outside = ~item.mask
        assert np.array_equal(item.image[outside], item.clean[outside])
        assert item.label == int(item.mask.any())


class Elsewhere:
    """Brings a picture of its own, as `precomputed` does: white on the left half, grey on the right."""

    name = "elsewhere"

    def __init__(self, twin: str) -> None:
        self.twin = twin

    def synthesize(self, requests):
        clean = np.full((32, 32, 3), 90, np.uint8)
        mask = np.arange(32)[None, :].repeat(32, 0) < 16
        image = np.where(mask[..., None], np.uint8(255), clean)
        told = Provenance(self.name, {}, "0", {}, None)
        return [Anomaly(image, mask, "half", clean if self.twin == "own" else None, self.twin, None, told) for _ in requests]


@pytest.mark.parametrize("twin", ["own", "none"])
def test_a_picture_from_elsewhere_is_turned_like_the_normals(normals, twin: str):
    turned = make(normals, [(Elsewhere(twin), 1.0)], 1.0, rotation="full")
    plain = make(normals, [(Elsewhere(twin), 1.0)], 1.0)
    for index in range(6):
        angle = turned._angle(SEED.child("item", index))
        item, before = turned[index], plain[index]
        np.testing.assert_array_equal(item.image, rotate_image(before.image, angle, FILL.get("full", 0)))
        np.testing.assert_array_equal(item.mask, rotate_mask(before.mask, angle))
        assert (item.clean is None) == (twin == "none")
        if item.clean is not None:
            np.testing.assert_array_equal(item.clean, rotate_image(before.clean, angle, FILL.get("full", 0)))


def test_weights_move_the_makers_and_not_the_coin(normals, square):
    other = type(square)(side=4)
    one, two = (make(normals, [(square, a), (other, b)]) for a, b in ((1, 1), (9, 1)))
    assert [one[i].label for i in range(60)] == [two[i].label for i in range(60)]
    big = sum(int(two[i].mask.sum()) == 64 for i in range(60))
    assert big > sum(int(two[i].mask.sum()) == 16 for i in range(60))


def counting(square, sides=(4, 6, 8)):
    return [(type(square)(side=side), 1.0) for side in sides]


def calls(sources):
    return [len(source._calls) for source, _ in sources]


@pytest.mark.parametrize("percent", [0.0, 0.25, 0.5, 0.75, 1.0])
@pytest.mark.parametrize("mixing", ["choice", "concat"])
def test_the_share_of_anomalies_is_the_percent_and_only_they_cost_synthesis(normals, square, percent: float, mixing: str):
    sources = counting(square)
    stream = make(normals, sources, percent, mixing=mixing)
    made = sum(stream[i].label for i in range(1200))
    assert abs(made / 1200 - percent) <= 3 * np.sqrt(percent * (1 - percent) / 1200)
    assert sum(calls(sources)) == made


def test_the_coin_is_thrown_before_the_pair_is_looked_up(normals, square):
    choice, concat = (make(normals, counting(square), mixing=mixing) for mixing in ("choice", "concat"))
    assert [choice[i].label for i in range(60)] == [concat[i].label for i in range(60)]


@pytest.mark.parametrize("members", [1, 2, 3])
def test_concat_multiplies_the_epoch_and_meets_every_pair_once(normals, square, members: int):
    stream = make(normals, counting(square)[:members], 1.0, mixing="concat")
    assert stream.epoch == members * len(normals)
    for epoch in range(3):
        items = [stream[i] for i in range(epoch * stream.epoch, (epoch + 1) * stream.epoch)]
        assert len({(item.sample_id, int(item.mask.sum())) for item in items}) == stream.epoch
    orders = [[stream[i].sample_id for i in range(e * stream.epoch, (e + 1) * stream.epoch)] for e in range(2)]
    assert orders[0] != orders[1]


def test_concat_can_be_entered_anywhere(normals, square):
    forward = make(normals, counting(square), 0.7, mixing="concat", rotation="full")
    items = {i: forward[i] for i in range(60)}
    order = np.random.default_rng(0).permutation(60)
    again = make(normals, counting(square), 0.7, mixing="concat", rotation="full")
    assert all(same(again[int(i)], items[int(i)]) for i in order)
    assert len(again._orders) <= 2


def test_concat_covers_the_normals_without_a_synthesizer(normals):
    stream = make(normals, [], 0.0, mixing="concat")
    assert sorted(stream[i].sample_id for i in range(stream.epoch)) == sorted(sample.id for sample in normals)


def test_shares_of_the_members_follow_their_weights(normals, square):
    """Chi-square at p = 0.001, two degrees of freedom; concatenated members have exactly equal shares."""
    weights = (1, 2, 5)
    sources = [(source, float(weight)) for (source, _), weight in zip(counting(square), weights, strict=True)]
    stream = make(normals, sources, 1.0)
    for i in range(1600):
        stream[i]
    expected = 1600 * np.array(weights) / 8
    assert ((np.array(calls(sources)) - expected) ** 2 / expected).sum() < 13.8
    turns = counting(square)
    stream = make(normals, turns, 1.0, mixing="concat")
    for i in range(10 * stream.epoch):
        stream[i]
    assert calls(turns) == [10 * len(normals)] * 3


def test_a_pool_repeats(normals, square):
    stream = make(normals, [(square, 1.0)], pool=7)
    assert same(stream[3], stream[10])
    assert not same(stream[3], stream[4])


def test_real_anomalies_come_with_their_mask_and_without_a_twin(normals):
    real = toy_anomalies(8, Seed(5), size=48)
    stream = make(normals, [], 1.0, real=real, real_share=1.0)
    items = [stream[i] for i in range(30)]
    assert {item.maker for item in items} == {"real"}
    assert all(item.clean is None and item.mask.any() for item in items)
    assert len({item.defect for item in items}) == 4


def test_the_real_share_is_met(normals, square):
    stream = make(normals, [(square, 1.0)], 1.0, real=toy_anomalies(4, Seed(5), size=48), real_share=0.25)
    share = np.mean([stream[i].maker == "real" for i in range(400)])
    assert abs(share - 0.25) < 3 * np.sqrt(0.25 * 0.75 / 400)


def test_what_cannot_be_placed_becomes_a_counted_normal(normals, square):
    stream = make(normals, [(type(square)(side=0), 1.0)], 1.0)
    assert (stream[0].label, stream[0].maker, stream[0].empty_draws) == (0, "normal", ATTEMPTS)


def test_a_mask_over_nearly_everything_is_drawn_again(normals, square):
    stream = make(normals, [(type(square)(side=31), 1.0)], 1.0, max_area=0.5)
    assert stream[0].label == 0


def test_nothing_is_read_before_it_is_asked_for(square):
    class Forbidden:
        location, has_mask = "forbidden", True

        def image(self) -> Sequence[int]:
            raise AssertionError("read")

    make([Sample("p/train/good/0", "p", "good", "train", "0", Forbidden())], [(square, 1.0)])


@pytest.mark.parametrize(
    ("options", "error", "told"),
    [
        ({"ratio": 1.5}, BadParameter, "ratio is 1.5"),
        ({"ratio": float("nan")}, BadParameter, "ratio is nan"),
        ({"real_share": -0.1}, BadParameter, "real_share is -0.1"),
        ({"normals": []}, DataError, "no normal image"),
        ({"sources": []}, NeedUnmet, "synthesizer"),
        ({"mixing": "concat", "sources": [(None, 1.0), (None, 2.0)]}, BadParameter, "equal ones under mixing concat"),
        ({"real_share": 0.5}, NeedUnmet, "real anomalies"),
    ],
)
def test_bad_input_is_refused_before_the_first_item(normals, square, options, error, told: str):
    arguments = {"normals": normals, "sources": [(square, 1.0)], "ratio": 0.5, **options}
    with pytest.raises(error, match=told):
        AnomalyStream(size=(32, 32), seed=SEED, **arguments)


def test_real_anomalies_without_masks_are_refused(normals):
    bare = Sample("p/test/x/0", "p", "x", "test", "0", ArraySource(np.zeros((32, 32, 3), np.uint8), None))
    with pytest.raises(NeedUnmet, match="a mask"):
        make(normals, [], 1.0, real=[bare], real_share=1.0)


def test_a_synthesizer_that_returns_another_shape_is_named(square):
    class Shrinking(type(square)):
        def synthesize(self, requests):
            made = super().synthesize(requests)
            return [type(a)(a.image[:-1], a.mask, a.defect, a.clean, a.twin, None, a.provenance) for a in made]

    with pytest.raises(BadParameter, match=r"square returned an image \(31, 32, 3\)"):
        make(toy_normals(1, Seed(0), 32), [(Shrinking(), 1.0)], 1.0)[0]
