"""What is learned from within a split: first thirds, the first in file order, seeded draws."""

from collections import Counter

import hypothesis.strategies as st
import pytest
from hypothesis import given

from flawsmith.core.errors import BadParameter, DataError
from flawsmith.core.samples import ArraySource, Sample
from flawsmith.core.wording import counted
from flawsmith.data import load
from flawsmith.data.dataset import Dataset
from flawsmith.data.splits import make_split
from flawsmith.data.support import refuse_copies, split_third, support_set

MVTEC_COUNTS = {
    "bottle": (20, 22, 21), "cable": (13, 14, 14, 10, 13, 14, 10, 4), "capsule": (23, 20, 22, 23, 21),
    "carpet": (19, 17, 17, 19, 17), "grid": (12, 12, 11, 11, 11), "hazelnut": (18, 17, 18, 17),
    "leather": (19, 19, 17, 18, 19), "metal_nut": (25, 22, 23, 23), "pill": (25, 17, 26, 9, 21, 19, 24),
    "screw": (24, 23, 24, 25, 23), "tile": (17, 18, 16, 18, 15), "toothbrush": (30,), "transistor": (10, 10, 10, 10),
    "wood": (8, 11, 10, 21, 10), "zipper": (19, 16, 17, 16, 18, 18, 15),
}  # fmt: skip
"""Anomalous test images of each of the 73 types of MVTec AD: 1258."""


class NoSource:
    location = "nowhere"
    has_mask = True


def dataset(anomalies, normals=12, split="pool", group=None, **fields):
    """`anomalies`: defect → stems; with normals that are each their own group."""
    made = []
    for defect, stems in {"good": range(normals), **anomalies}.items():
        for stem in stems:
            name = f"p/{split}/{defect}/{stem}"
            made.append(Sample(name, "p", defect, split, (group or {}).get(str(stem), name), NoSource()))
    return Dataset("made", "root", "folder", tuple(made), **fields)


def ids(samples):
    return {sample.id for sample in samples}


def stems(samples):
    return [sample.id.rpartition("/")[2] for sample in samples]


@pytest.mark.parametrize(
    ("n", "policy", "size"),
    [
        *((n, "floor", size) for n, size in ((1, 1), (2, 1), (3, 1), (8, 2), (9, 3), (10, 3), (30, 10))),
        *((n, "ceil", size) for n, size in ((1, 1), (2, 1), (3, 1), (4, 2), (8, 3), (9, 3), (10, 4))),
        *((n, "inclusive", size) for n, size in ((1, 1), (2, 1), (3, 2), (8, 3), (9, 4), (10, 4), (30, 11))),
        *((n, "all", n) for n in (1, 2, 30)),
    ],
)
def test_the_size_of_a_third(n, policy, size):
    names = [f"{number:03d}.png" for number in range(n)]
    assert split_third(names, policy) == (names[:size], names[size:])


@given(st.integers(2, 60))
def test_the_released_third_overlaps_the_released_test_by_one(n):
    names = [f"{number:03d}" for number in range(n)]
    released_test = names[n // 3 :]
    assert len(set(split_third(names, "inclusive")[0]) & set(released_test)) == 1
    assert not set(split_third(names, "inclusive")[0]) & set(split_third(names, "inclusive")[1])


def test_mvtec_gives_393_to_learn_from_and_865_to_test():
    types = [n for counts in MVTEC_COUNTS.values() for n in counts]
    assert (len(types), sum(types)) == (73, 1258)
    thirds = {policy: [split_third(map(str, range(n)), policy) for n in types] for policy in ("floor", "inclusive")}
    sums = {policy: [sum(map(len, side)) for side in zip(*parts, strict=True)] for policy, parts in thirds.items()}
    assert sums == {"floor": [393, 865], "inclusive": [466, 792]}


@given(st.lists(st.integers(0, 500), min_size=1, max_size=40, unique=True), st.randoms())
def test_the_order_of_the_input_does_not_count(numbers, order):
    names = [f"img_{number}.png" for number in numbers]
    shuffled = names.copy()
    order.shuffle(shuffled)
    assert split_third(shuffled) == split_third(names)
    first, rest = split_third(names)
    assert [int(name[4:-4]) for name in first + rest] == sorted(numbers)


def test_numbers_count_as_numbers_and_names_without_one_come_last():
    assert split_third(["10.png", "2.png", "1.png", "x.png", "p/test/d/003"], "all")[0] == [
        "1.png",
        "2.png",
        "p/test/d/003",
        "10.png",
        "x.png",
    ]


def test_bad_thirds():
    with pytest.raises(DataError, match="first third of 0") as caught:
        split_third([])
    assert caught.value.code == "E_FEW"
    with pytest.raises(BadParameter, match="floor, ceil, inclusive, all"):
        split_third(["1"], "half")
    assert split_third(["exp1_num_100", "exp1_num_9", "exp1_num_10"], "all")[0] == ["exp1_num_9", "exp1_num_10", "exp1_num_100"]
    with pytest.raises(DataError, match="one image of each stem") as caught:
        split_third(["1.png", "2.png", "1.JPG"])
    assert caught.value.code == "E_AMBIGUOUS_PAIR"


@pytest.mark.parametrize(("n", "taken"), [(1, 1), (2, 1), (3, 1), (10, 3)])
def test_a_first_third_leaves_the_test(n, taken):
    data = dataset({"d": range(n), "other": range(6)})
    before = make_split(data)
    support, split = support_set(data, before, product="p", defect_shots="first-third")
    learned = [sample for sample in support.anomalies if sample.defect == "d"]
    assert stems(learned) == [str(k) for k in range(taken)]
    tested = split.on(data, "test")
    assert not support.ids & ids(tested)
    assert len([sample for sample in tested if sample.defect == "d"]) == n - taken
    assert split.digest != before.digest
    assert split.options["defect_shots"] == "first-third"
    told = f"the first third of each defect (floor) to learn from: {taken + 2} learned from; {taken + 2} anomalies and 0 normals"
    assert told in split.flags[0]
    assert split.flags[0].endswith(": comparable only with results that leave them out too")
    assert any("no image left to test of d" in flag for flag in split.flags) == (n == 1)
    assert ids(s for s in tested if s.is_normal) == ids(s for s in before.on(data, "test") if s.is_normal)


def test_the_released_size_warns_of_what_its_authors_tested_on():
    data = dataset({"d": range(9)})
    support, split = support_set(data, make_split(data), product="p", defect_shots="anomalydiffusion-legacy")
    assert len(support.anomalies) == 4
    assert len([sample for sample in split.on(data, "test") if not sample.is_normal]) == 5
    assert "its released generator has seen 1 image of its own test, which is not tested here" in split.flags[1]
    assert split.options["defect_shots"] == "first-third:inclusive"


def test_the_first_of_the_third_keep_the_test_of_the_whole_third():
    data = dataset({"d": range(9)})
    whole = support_set(data, make_split(data), product="p", defect_shots="first-third")[1]
    support, split = support_set(data, make_split(data), product="p", defect_shots="first-third:1")
    assert stems(support.anomalies) == ["0"]
    assert ids(split.on(data, "test")) == ids(whole.on(data, "test"))
    with pytest.raises(DataError, match="4 anomalies of the first third of d were asked for and there are 3"):
        support_set(data, make_split(data), product="p", defect_shots="first-third:4")


def test_all_leaves_nothing_to_test_and_says_so():
    data = dataset({"d": range(4), "e": range(2)})
    support, split = support_set(data, make_split(data), product="p", defect_shots="first-third:all")
    assert len(support.anomalies) == 6
    assert all(sample.is_normal for sample in split.on(data, "test"))
    assert "no image left to test of d, e" in split.flags[1]


def test_a_third_that_is_everything_is_refused():
    data = dataset({"d": [0]})
    with pytest.raises(DataError, match="first-third shots of each defect leave no anomaly") as caught:
        support_set(data, make_split(data), product="p", defect_shots="first-third")
    assert caught.value.code == "E_FEW"


GROUPS = {str(number): number % 10 // 2 for number in range(100, 130)}
"""Five groups of six; file order visits all of them within its first ten images."""


def test_a_third_of_grouped_images_is_made_of_whole_groups():
    data = dataset({"d": range(100, 130)}, group={stem: f"g{group}" for stem, group in GROUPS.items()})
    support, split = support_set(data, make_split(data), product="p", defect_shots="first-third")
    assert stems(support.anomalies) == ["100", "101", "110", "111", "120", "121"]  # one group more would be 12 > 10
    assert [GROUPS[stem] for stem in stems(s for s in split.on(data, "test") if not s.is_normal)].count(0) == 0
    assert sum(not sample.is_normal for sample in split.on(data, "test")) == 24
    assert split.flags[0].startswith("gives the first third of each defect (floor, by whole groups) to learn from: 6 learned")
    torn, whole = (make_split(data, "first-half"), make_split(data))
    support, split = support_set(data, torn, product="p", defect_shots="first-third")
    assert stems(support.anomalies) == list(map(str, range(100, 110)))
    assert split.flags[-1].endswith("(floor) to learn from: 10 learned from; 0 anomalies and 0 normals leave the test")
    assert stems(support_set(data, whole, product="p", defect_shots="first-third:3")[0].anomalies) == ["100", "101", "110"]


def test_a_first_group_of_more_than_a_third_is_taken_all_the_same():
    data = dataset({"d": range(100, 109)}, group={"100": "a", "101": "a", "102": "a", "103": "a", "104": "b"})
    support, split = support_set(data, make_split(data), product="p", defect_shots="first-third")
    assert stems(support.anomalies) == ["100", "101", "102", "103"]
    assert stems(s for s in split.on(data, "test") if not s.is_normal) == ["104", "105", "106", "107", "108"]


def test_the_flag_counts_what_left_the_test_with_its_groups():
    beside = {"3": "a", "4": "b", "100": "a", "200": "a", "201": "a", "202": "a", "203": "b"}
    data = dataset({"d": range(100, 103), "e": range(200, 206)}, group=beside)
    support, split = support_set(data, make_split(data), product="p", defect_shots="first-third:1")
    assert stems(support.anomalies) == ["100", "200"]
    assert "2 learned from; 4 anomalies and 1 normal leave the test" in split.flags[0]
    before, after = make_split(data).counts(), split.counts()
    assert (before["test"] - after["test"], after["dropped"]) == (5, 5)


def test_a_flag_says_where_most_anomalies_left_the_test():
    data = dataset({"d": range(100, 109)}, group={str(stem): "a" for stem in range(101, 107)})
    for shots, flags in (("first:1", ()), ("first:2", ("has only 2 of 9 anomalies left to test",))):
        assert support_set(data, make_split(data), product="p", defect_shots=shots)[1].flags == flags


@given(st.lists(st.integers(0, 6), min_size=2, max_size=30), st.sampled_from(["floor", "ceil", "inclusive"]))
def test_a_third_and_its_rest_share_no_group(groups, policy):
    data = dataset({"d": range(100, 100 + len(groups))}, group={str(100 + k): f"g{group}" for k, group in enumerate(groups)})
    if len(set(groups)) == 1:
        with pytest.raises(DataError, match="leave no anomaly to test on"):
            support_set(data, make_split(data), product="p", defect_shots=f"first-third:{policy}")
        return
    support, split = support_set(data, make_split(data), product="p", defect_shots=f"first-third:{policy}")
    tested = [sample for sample in split.on(data, "test") if not sample.is_normal]
    assert tested
    assert not {sample.group for sample in tested} & {sample.group for sample in support.anomalies}
    assert len(tested) + len(support.anomalies) == len(groups)
    most = len(split_third(map(str, range(len(groups))), policy)[0])
    assert len(support.anomalies) <= max(most, groups.count(groups[0]))


@pytest.mark.mtd
def test_most_magnetic_tiles_are_still_tested_after_a_third_was_learned_from(mtd):
    data = load(mtd)
    whole = make_split(data)
    support, split = support_set(data, whole, product=data.products[0], defect_shots="first-third")
    of = Counter(sample.defect for sample in data.samples if not sample.is_normal)
    learned = Counter(sample.defect for sample in support.anomalies)
    tested = Counter(sample.defect for sample in split.on(data, "test"))
    assert all(0 < learned[defect] <= of[defect] // 3 for defect in of)
    assert all(tested[defect] >= of[defect] / 2 for defect in of)
    gone = Counter(sample.is_normal for sample in whole.on(data, "test") if split.assignment[sample.id] == "dropped")
    assert f"{counted(gone[False], 'anomaly', 'anomalies')} and {counted(gone[True], 'normal')} leave the test" in split.flags[0]


def test_the_first_in_file_order_are_taken_whatever_the_seed():
    data = dataset({"d": [3, 10, 11, 12], "e": range(4)})
    for seed in (0, 1):
        support, split = support_set(data, make_split(data), product="p", shots="first:3", defect_shots="first:2", seed=seed)
        trained = stems(sample for sample in make_split(data).on(data, "train"))
        assert stems(support.normals) == trained[:3]
        assert stems(support.anomalies) == ["3", "10", "0", "1"]
        assert not support.ids & ids(split.on(data, "test"))
        assert (split.options["shots"], split.options["defect_shots"]) == ("first:3", "first:2")
        assert split.flags == ()


def test_seeded_draws_differ_by_seed_and_are_nested():
    data = dataset({"d": range(40)})
    split = make_split(data)
    drawn = {seed: support_set(data, split, product="p", defect_shots=3, seed=seed)[0].ids for seed in range(5)}
    assert len({frozenset(found) for found in drawn.values()}) == 5
    assert drawn[2] < support_set(data, split, product="p", defect_shots=5, seed=2)[0].ids


@pytest.mark.parametrize("shots", [9, "first:9"])
def test_more_than_there_are_is_refused_with_the_numbers(shots):
    data = dataset({"d": range(4)})
    with pytest.raises(DataError, match="9 anomalies of the kind d were asked for and there are 4") as caught:
        support_set(data, make_split(data), product="p", defect_shots=shots)
    assert caught.value.code == "E_FEW"
    for normals in (0, "first-third", "some"):
        with pytest.raises(BadParameter, match=r"expected a number of at least 1, or first:K$"):
            support_set(data, make_split(data), product="p", shots=normals)
    with pytest.raises(BadParameter, match="shots are 'some'"):
        support_set(data, make_split(data), product="p", defect_shots="some")


def test_defects_that_stand_for_several_are_in_thirds_only():
    data = dataset({"d": range(6), "combined": range(6)}, combined=frozenset({"combined"}))
    for shots, kinds in (("first:1", {"d": 1}), (1, {"d": 1}), ("first-third", {"d": 2, "combined": 2})):
        support, _ = support_set(data, make_split(data), product="p", defect_shots=shots)
        assert Counter(sample.defect for sample in support.anomalies) == kinds


def test_all_that_is_set_aside_is_learned_from_and_the_test_stays():
    data = dataset({"d": range(8), "combined": range(3)}, combined=frozenset({"combined"}))
    split = make_split(data, "first-half")
    support, left = support_set(data, split, product="p", defect_shots="aside")
    assert support.ids - {sample.id for sample in support.normals} == ids(split.on(data, "dropped"))
    assert Counter(sample.defect for sample in support.anomalies) == {"d": 4, "combined": 2}
    assert (left.assignment, left.flags) == (split.assignment, split.flags)
    assert left.options == {**split.options, "defect_shots": "aside"}
    untested = split.moved(ids(s for s in split.on(data, "test") if not s.is_normal), "dropped")
    assert len(support_set(data, untested, product="p", defect_shots="aside")[0].anomalies) == 11
    with pytest.raises(DataError, match=r"the split grouped of root sets no anomaly of p aside") as caught:
        support_set(data, make_split(data, "grouped"), product="p", defect_shots="aside")
    assert caught.value.code == "E_FEW"


def test_what_is_set_aside_of_a_tested_group_is_not_learned_from():
    data = dataset({"d": range(100, 104)}, group={"100": "a", "103": "a"})
    split = make_split(data).moved(["p/pool/d/100", "p/pool/d/101"], "dropped")
    assert stems(support_set(data, split, product="p", defect_shots="aside")[0].anomalies) == ["101"]


def test_dropped_anomalies_are_taken_first_but_not_from_a_tested_group():
    data = dataset({"d": range(8)}, split="pool")
    split = make_split(data, "first-half")
    support, left = support_set(data, split, product="p", defect_shots="first:3")
    assert stems(support.anomalies) == ["0", "1", "2"]
    assert left.counts() == split.counts()
    grouped = dataset({"d": range(8)}, group={"0": "a", "7": "a"})
    split = make_split(grouped).moved(["p/pool/d/0", "p/pool/d/1"], "dropped")
    support, left = support_set(grouped, split, product="p", defect_shots="first:1")
    assert stems(support.anomalies) == ["1"]


def test_a_copy_of_what_is_learned_from_in_the_test_is_refused(trees):
    images = [trees.texture(seed) for seed in range(3)]
    made = [
        Sample(f"p/test/d/{k}", "p", "d", "test", str(k), ArraySource(image, location=f"{k}.png"))
        for k, image in enumerate([*images, images[0][::-1].copy()])
    ]
    refuse_copies(made[:1], made[1:3])
    with pytest.raises(DataError, match=r"0\.png is learned from .* 3\.png") as caught:
        refuse_copies(made[:1], made[1:])
    assert (caught.value.code, caught.value.files) == ("E_DUPLICATE", ("0.png", "3.png"))


def test_shuffled_files_give_the_same_support(tmp_path, trees):
    found = set()
    for order in range(3):
        root = tmp_path / str(order) / "set"
        data = load(trees.mvtec(root, ["bottle"]).write(order))
        support, split = support_set(data, make_split(data), product="bottle", defect_shots="first-third")
        found.add((frozenset(support.ids), split.digest))
    assert len(found) == 1
