import json
import subprocess
import sys
from collections import Counter, defaultdict
from dataclasses import replace
from pathlib import Path

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

from flawsmith.core.errors import BadParameter, DamagedFile, DataError, UnknownName
from flawsmith.core.samples import Sample
from flawsmith.data import load
from flawsmith.data.dataset import Dataset
from flawsmith.data.policies import POLICIES
from flawsmith.data.splits import Split, hold_out, make_split, with_absolute_files
from flawsmith.data.support import support_set


class NoSource:
    location = "nowhere"
    has_mask = True


def dataset(rows, tmp="root", default="grouped"):
    """`rows` of (product, defect, group)."""
    samples = [
        Sample(f"{product}/pool/{defect}/{index}", product, defect, "pool", group, NoSource())
        for index, (product, defect, group) in enumerate(rows)
    ]
    return Dataset("made", tmp, "folder", tuple(samples), default_split=default)


def plain(normals=20, anomalies=5, per_group=2, product="p"):
    rows = [(product, "good", f"{product}-n{index // per_group}") for index in range(normals)]
    return rows + [(product, f"d{index % 2}", f"{product}-a{index // per_group}") for index in range(anomalies)]


def sides(data, split):
    found = defaultdict(set)
    for sample in data.samples:
        found[sample.group].add(split.assignment[sample.id])
    return found


groups = st.lists(
    st.tuples(st.sampled_from(["p", "q"]), st.sampled_from(["good", "good", "good", "d"]), st.integers(0, 12).map(str)),
    min_size=1,
)


@given(groups, st.integers(0, 3), st.sampled_from(["grouped", "stratified", "mtd-group", "elpv-blocks"]), st.floats(0, 0.9))
def test_no_group_is_ever_on_two_sides_and_no_anomaly_is_trained_on(rows, seed, policy, share):
    data = dataset(rows)
    options = {"test_share": share} if "test_share" in POLICIES[policy].options else {}
    try:
        split = make_split(data, policy, seed=seed, **options)
    except DataError as error:
        assert error.code == "E_EMPTY_SPLIT"  # noqa: PT017
        return
    split = hold_out(split, data, 0.3, seed)
    for places in sides(data, split).values():
        assert places <= {"train", "dropped"} or places <= {"val", "dropped"} or places == {"test"}
    for sample in data.samples:
        place = split.assignment[sample.id]
        assert sample.is_normal or place in ("test", "dropped")
    for product in data.products:
        assert split.on(data, "train", product)


def test_grouped_tests_a_fifth_of_the_normals_and_every_anomaly():
    data = dataset(plain(100, 10))
    split = make_split(data, "grouped")
    tested = Counter(sample.is_normal for sample in split.on(data, "test"))
    assert tested == {True: 20, False: 10}
    assert len(split.on(data, "train")) == 80
    assert Counter(s.is_normal for s in make_split(data, "grouped", test_share=0.0).on(data, "test")) == {False: 10}


def test_normals_beside_an_anomaly_count_towards_the_share():
    rows = [("p", "good", "shared")] * 10 + [("p", "d", "shared")] + [("p", "good", f"g{i}") for i in range(10)]
    data = dataset(rows)
    split = make_split(data, "grouped")
    assert len([sample for sample in split.on(data, "train") if sample.is_normal]) == 10


def test_adding_a_product_or_files_elsewhere_moves_nothing():
    alone, together = dataset(plain()), dataset(plain() + plain(product="q"))
    for policy in ("grouped", "stratified", "mtd-group", "elpv-blocks", "random", "mtd-902-50:test_normals=5", "first-half"):
        before = make_split(alone, policy, seed=4).assignment
        after = make_split(together, policy, seed=4).assignment
        assert {name: after[name] for name in before} == before


def test_seeds_differ_and_agree_with_themselves_in_another_process(tmp_path, trees):
    root = trees.pool(tmp_path / "parts").write()
    data = load(root)
    digests = {seed: make_split(data, seed=seed, test_share=0.5).digest for seed in range(4)}
    assert len(set(digests.values())) == 4
    code = (
        "from flawsmith.data import load; from flawsmith.data.splits import make_split;"
        f"print(make_split(load({str(root)!r}), seed=0, test_share=0.5).digest)"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
    assert told == digests[0]


def test_auto_takes_the_folders_own_sides(tmp_path, trees):
    data = load(trees.mvtec(tmp_path / "set").write())
    split = make_split(data)
    assert split.policy == "folder"
    assert split.counts() == {"train": 8, "val": 0, "test": 14, "dropped": 0}
    assert make_split(dataset(plain(), default="random")).policy == "random"


def test_refusals(tmp_path, trees):
    data = load(trees.mvtec(tmp_path / "set").image("bottle/train/crack/9.png").write())
    with pytest.raises(DataError, match="training folder") as caught:
        make_split(data)
    assert caught.value.code == "E_ANOMALY_IN_TRAIN"
    assert make_split(data, "grouped").counts()["train"] > 0
    with pytest.raises(DataError) as caught:
        make_split(dataset([("p", "d", "a"), ("p", "good", "a")]))
    assert caught.value.code == "E_EMPTY_SPLIT"
    with pytest.raises(DataError) as caught:
        make_split(dataset(plain()), "folder")
    assert caught.value.code == "E_EMPTY_SPLIT"
    with pytest.raises(UnknownName, match="did you mean grouped"):
        make_split(data, "groupd")
    with pytest.raises(BadParameter, match="did you mean test_share"):
        make_split(data, "grouped", test_shar=0.1)
    with pytest.raises(BadParameter, match="share < 1"):
        make_split(data, "grouped", test_share=1.0)
    for seed in (None, True, 1.0, "0"):
        with pytest.raises(BadParameter, match="always seeded"):
            make_split(data, "grouped", seed=seed)
    with pytest.raises(UnknownName):
        make_split(data, "grouped", product="glass")


def test_stratified_comes_near_the_share_in_every_class_with_groups_of_many_sizes():
    rng = np.random.default_rng(0)
    rows = []
    for group in range(120):
        size, kind = int(rng.integers(1, 12)), str(rng.choice(["good", "good", "good", "crack", "hole"]))
        rows += [("p", kind, f"g{group}")] * size
    data = dataset(rows)
    for seed in range(4):
        for share in (0.2, 0.5):
            split = make_split(data, "stratified", seed=seed, test_share=share)
            tested = Counter(sample.defect for sample in split.on(data, "test"))
            total = Counter(sample.defect for sample in data.samples)
            assert all(abs(tested[kind] - share * total[kind]) <= 6 for kind in total)
            dropped = split.on(data, "dropped")
            assert dropped
            assert not any(sample.is_normal for sample in dropped)
    assert make_split(data, "stratified", seed=0).assignment != make_split(data, "stratified", seed=1).assignment


@pytest.mark.parametrize("policy", ["elpv-blocks", "stratified"])
def test_blocks_balance_both_classes(policy):
    blocks = [("good", 30), ("d", 30)]
    data = dataset([("p", kind, f"{kind}{block}") for kind, number in blocks for block in range(number) for _ in range(4)])
    for seed in range(8):
        split = make_split(data, policy, seed=seed)
        tested = Counter(sample.is_normal for sample in split.on(data, "test"))
        assert all(abs(tested[normal] - 60) <= 4 for normal in (True, False))


@pytest.mark.parametrize("policy", ["elpv-blocks", "stratified"])
def test_a_group_that_could_go_to_either_side_is_trained_on(policy):
    assert make_split(dataset([("p", "good", "only")] * 4), policy).counts()["train"] == 4


def test_anomalies_that_a_policy_drops_from_their_group_are_no_leak():
    data = dataset([("p", kind, f"b{block}") for block in range(6) for kind in ["good"] * 5 + ["d"] * 3])
    for policy in ("stratified", "elpv-blocks"):
        split = make_split(data, policy)
        assert split.on(data, "dropped")
        assert split.flags == ()


def test_a_random_split_leaves_one_normal_to_train_on():
    assert make_split(dataset(plain(10, 2)), "random:test_share=0.95").counts()["train"] == 1


def test_stratified_serves_the_largest_group_first():
    data = dataset([("p", "good", "large")] * 10 + [("p", "good", f"g{k}") for k in range(10)])
    for seed in range(5):
        assert len(make_split(data, "stratified", seed=seed, test_share=0.5).on(data, "test")) == 10


def test_902_50_draws_so_many_normals_and_says_whose_they_are_not():
    data = dataset(plain(952, 20, per_group=6))
    split = make_split(data, "mtd-902-50")
    assert split.counts() == {"train": 902, "val": 0, "test": 70, "dropped": 0}
    assert split.flags[0].startswith("leaks near-duplicates: ")
    assert split.flags[1].startswith("has not the authors' images")
    assert split.options == {"test_normals": 50}
    assert make_split(data, "mtd-902-50", seed=1).assignment != split.assignment
    with pytest.raises(DataError, match="50 normals were asked for the test and there are 50") as caught:
        make_split(dataset(plain(50, 2)), "mtd-902-50")
    assert caught.value.code == "E_FEW"


def test_a_list_says_who_is_trained_on(tmp_path, trees):
    data = load(trees.mtd(tmp_path / "tiles", [("Free", 100, 6), ("Crack", 5000, 3)]).write())
    listed = tmp_path / "train.txt"
    listed.write_text("\ufeffexp1_num_100.jpg\r\nexp2_num_109\n\nMT_Free/Imgs/exp4_num_127.jpg\n", encoding="utf-8")
    split = make_split(data, f"mtd-list:names={listed}")
    trained = {sample.id.rpartition("/")[2] for sample in split.on(data, "train")}
    assert trained == {"exp1_num_100", "exp2_num_109", "exp4_num_127"}
    assert split.counts() == {"train": 3, "val": 0, "test": 6, "dropped": 0}
    assert split.flags == ("leaks near-duplicates: 1 of 2 groups is on both sides of this mtd-list split",)
    moved = tmp_path / "elsewhere.txt"
    moved.write_bytes(listed.read_bytes())
    assert make_split(data, "mtd-list", names=str(moved)).digest == split.digest
    assert with_absolute_files("mtd-list:names=a.txt") == f"mtd-list:names={Path('a.txt').resolve()}"
    for content, code, told in (
        ("exp9_num_1", "E_SPLIT", "exp9_num_1, which is no image here"),
        ("exp1_num_5000.jpg", "E_ANOMALY_IN_TRAIN", "MT_Crack/Imgs/exp1_num_5000.jpg, an anomaly"),
        ("", "E_EMPTY_SPLIT", "no training normal"),
    ):
        listed.write_text(content)
        with pytest.raises(DataError, match=told) as caught:
            make_split(data, "mtd-list", names=str(listed))
        assert caught.value.code == code
    with pytest.raises(DataError, match="cannot be read") as caught:
        make_split(data, "mtd-list:names=/nowhere/list.txt")
    assert caught.value.code == "E_ROOT"
    with listed.open("wb") as sparse:
        sparse.truncate(65 << 20)
    with pytest.raises(DataError, match="more than 64 MiB"):
        make_split(data, "mtd-list", names=str(listed))
    with pytest.raises(BadParameter, match="mtd-list needs names"):
        make_split(data, "mtd-list")


def test_a_name_that_several_images_have_is_refused(tmp_path, trees):
    data = load(trees.mvtec(tmp_path / "set", ["bottle"]).write())
    listed = tmp_path / "train.txt"
    listed.write_text("000.png\ntrain/good/001.png\n")
    with pytest.raises(DataError, match="is the name of several images") as caught:
        make_split(data, f"mtd-list:names={listed}")
    assert caught.value.code == "E_AMBIGUOUS_PAIR"


@pytest.mark.parametrize(("n", "first"), [(1, 1), (2, 1), (5, 3), (8, 4)])
def test_the_first_half_of_each_class(n, first):
    rows = [("p", "good", f"n{k}") for k in range(9)] + [("p", "d", f"a{k}") for k in range(n)]
    data = dataset(rows)
    split = make_split(data, "first-half")
    sides = [split.assignment[sample.id] for sample in data.samples]
    assert sides[:9] == ["train"] * 5 + ["test"] * 4
    assert sides[9:] == ["dropped"] * first + ["test"] * (n - first)
    assert make_split(data, "first-half", seed=3).assignment == split.assignment


def test_the_first_half_keeps_the_folders_own_normals_and_numbers_in_order(tmp_path, trees):
    root = trees.mvtec(tmp_path / "set", ["bottle"]).images("bottle/test/crack", ["10", "9"]).write()
    data = load(root)
    split = make_split(data, "first-half")
    assert {sample.split for sample in data.samples if split.assignment[sample.id] == "train"} == {"train"}
    cracks = {s.id.rpartition("/")[2]: split.assignment[s.id] for s in data.samples if s.defect == "crack"}
    assert cracks == {"000": "dropped", "001": "dropped", "002": "dropped", "9": "test", "10": "test"}


def test_magnetic_tiles_are_halved_as_specified(mtd):
    data = load(mtd)
    split = make_split(data, "first-half")
    for defect, total in Counter(sample.defect for sample in data.samples).items():
        tested = sum(sample.defect == defect for sample in split.on(data, "test"))
        assert tested == total // 2
    assert split.flags[0].startswith("leaks near-duplicates")


def test_supervised_keeps_the_anomalies_of_the_train_side_for_learning(tmp_path, trees):
    root = trees.mvtec(tmp_path / "set", ["bottle"]).images("bottle/train/crack", ["7", "8"]).write()
    data = load(root)
    with pytest.raises(DataError, match="or supervised to learn from them"):
        make_split(data)
    split = make_split(data, "supervised")
    assert split.counts() == {"train": 4, "val": 0, "test": 7, "dropped": 2}
    assert make_split(replace(data, default_split="supervised")).policy == "supervised"
    support, left = support_set(data, split, product="bottle", defect_shots=2)
    assert {s.id for s in support.anomalies if s.defect == "crack"} == {"bottle/train/crack/7", "bottle/train/crack/8"}
    assert sum(s.defect == "crack" for s in left.on(data, "test")) == 3


def test_options_follow_the_name_of_a_policy():
    data = dataset(plain(100, 10))
    assert make_split(data, "grouped:test_share=0.4") == make_split(data, "grouped", test_share=0.4)
    assert make_split(data, "mtd-group:more_normals=4").options == {"more_normals": 4}
    for policy in ("grouped:test_share", "grouped:test_share=much", "grouped:share=1"):
        with pytest.raises(BadParameter):
            make_split(data, policy)


@pytest.mark.parametrize("count", ["inf", "1e400", "nan", "2.7", "-1", "many", "1e-3", "", "-inf"])
def test_counts_are_finite_whole_numbers(count):
    data = dataset(plain(100, 10))
    for option in ("mtd-group:more_normals", "mtd-902-50:test_normals"):
        with pytest.raises(BadParameter, match="expected a whole number of at least 0"):
            make_split(data, f"{option}={count}")


@pytest.mark.parametrize("share", ["inf", "1e400", "nan", "1", "-0.1", "half", ""])
def test_shares_are_below_one(share):
    with pytest.raises(BadParameter, match="expected 0 ≤ share < 1"):
        make_split(dataset(plain(100, 10)), f"grouped:test_share={share}")


def test_equal_options_have_equal_digests():
    data = dataset(plain(100, 10))
    for one, other in (
        ("mtd-group:more_normals=4", "mtd-group:more_normals=4.0"),
        ("random:test_share=0", "random:test_share=0.0"),
    ):
        assert make_split(data, one).digest == make_split(data, other).digest


def test_a_split_that_trains_on_few_normals_is_flagged():
    data = dataset(plain(63, 3, per_group=1) + plain(200, 3, per_group=1, product="q"))
    assert make_split(data, "mtd-group").flags == ("leaves only 3 of 63 normals of p to train on",)
    assert make_split(data, "mtd-group:more_normals=42").flags == ()
    assert make_split(data, "mtd-group:more_normals=43").flags == ("leaves only 20 of 63 normals of p to train on",)
    leak, few = make_split(dataset(plain(100, 4)), "random:test_share=0.9").flags
    assert (leak.startswith("leaks"), few) == (True, "leaves only 10 of 100 normals of p to train on")


def test_a_folder_that_trains_on_few_normals_chose_so_itself(tmp_path, trees):
    data = load(trees.mvtec(tmp_path / "set", ["bottle"]).images("bottle/test/good", range(100, 150)).write())
    assert make_split(data).flags == ()
    assert make_split(data, "grouped:test_share=0.9").flags == ("leaves only 5 of 56 normals of bottle to train on",)


def test_a_stored_split_is_taken_as_it_is(tmp_path):
    data = dataset(plain())
    made = hold_out(support_set(data, make_split(data, seed=3), product="p", defect_shots=1)[1], data, 0.2)
    made.save(tmp_path / "split.json")
    again = make_split(data, str(tmp_path / "split.json"), seed=9)
    assert again == made
    assert again.digest == made.digest
    assert hold_out(again, data, 0.5) == again
    with pytest.raises(BadParameter, match="takes no options"):
        make_split(data, str(tmp_path / "split.json"), test_share=0.1)
    with pytest.raises(DamagedFile, match="is missing"):
        make_split(data, str(tmp_path / "none.json"))
    assert with_absolute_files("x/split.json") == str(Path("x/split.json").resolve())
    assert with_absolute_files("grouped:test_share=0.4") == "grouped:test_share=0.4"
    assert with_absolute_files("auto") == "auto"


def test_a_stored_split_of_other_data_or_with_trained_anomalies_is_refused(tmp_path):
    data = dataset(plain())
    path = tmp_path / "split.json"
    make_split(dataset(plain(product="q"))).save(path)
    with pytest.raises(DataError, match="25 images of the stored split are gone") as caught:
        make_split(data, str(path))
    assert caught.value.code == "E_SPLIT"
    strayed = make_split(data)
    strayed.moved([next(sample.id for sample in data.samples if not sample.is_normal)], "train").save(path)
    with pytest.raises(DataError, match="trains on nowhere, an anomaly") as caught:
        make_split(data, str(path))
    assert caught.value.code == "E_ANOMALY_IN_TRAIN"
    replace(strayed, assignment={**strayed.assignment, "p/pool/good/0": "tset"}).save(path)
    with pytest.raises(DamagedFile, match="a place is none of"):
        make_split(data, str(path))


def test_a_split_of_all_products_fits_one_of_them():
    data = dataset(plain() + plain(product="q"))
    split = make_split(data)
    alone = split.apply(data.of(product="q"))
    assert {sample.product for sample in alone.samples} == {"q"}
    assert len(alone) == 25


def test_a_random_split_is_flagged_and_forgets_groups():
    data = dataset(plain(40, 4, per_group=8))
    split = make_split(data, "random")
    assert split.flags == ("leaks near-duplicates: 5 of 6 groups are on both sides of this random split",)
    applied = split.apply(data)
    assert len({sample.group for sample in applied.samples}) == len(applied)
    singles = dataset(plain(40, 4, per_group=1))
    assert make_split(singles, "random").flags == ()


def leak(torn, groups, policy):
    return f"leaks near-duplicates: {torn} of {groups} groups {'is' if torn == 1 else 'are'} on both sides of this {policy} split"


def test_leaks_are_counted_again_once_the_shots_are_taken():
    data = dataset(plain(40, 4, per_group=8))
    split = make_split(data, "random")
    _, few = support_set(data, split, product="p", shots=1)
    assert few.flags == (leak(1, 6, "random"),)
    held = hold_out(support_set(data, split, product="p", shots=4)[1], data, 0.5)
    trained = {s.group for place in ("train", "val") for s in held.on(data, place)}
    tested = {s.group for s in held.on(data, "test")}
    assert held.counts()["val"] == 2
    assert held.flags == (leak(len(trained & tested), 6, "random"),)


def test_dropped_anomalies_leak_only_where_they_are_learned_from():
    rows = [("p", "good", f"n{index}") for index in range(8)] + [("p", "d", f"a{index % 2}") for index in range(8)]
    data = dataset(rows)
    split = make_split(data, "first-half")
    assert split.flags == (leak(2, 10, "first-half"),)
    assert support_set(data, split, product="p")[1].flags == ()
    support, aside = support_set(data, split, product="p", defect_shots="aside")
    assert len(support.anomalies) == 4
    assert aside.flags == (leak(2, 10, "first-half"),)


@pytest.mark.parametrize(
    ("policy", "flag"),
    [
        ("mtd-902-50:test_normals=0", "tests no normal of p: metrics that need both are undefined"),
        ("elpv-blocks", "tests no normal and no anomaly of p: there is nothing to evaluate"),
    ],
)
def test_a_side_that_is_not_tested_is_flagged(policy, flag):
    data = dataset([("p", "good", "block")] * 6 + [("p", "d", "block")] * 2)
    assert flag in make_split(data, policy).flags
    assert not [told for told in make_split(dataset(plain(8, 0)), "mtd-902-50:test_normals=0").flags if "tests no" in told]


def test_anomalies_that_take_every_tested_normal_along_are_flagged():
    rows = [("p", "good", f"n{index}") for index in range(8)] + [("p", "good", "a0"), ("p", "d", "a0"), ("p", "d", "a1")]
    data = dataset(rows)
    split = make_split(data, "grouped:test_share=0.1")
    assert split.flags == ()
    _, left = support_set(data, split, product="p", defect_shots="first:1")
    assert left.flags == ("tests no normal of p: metrics that need both are undefined",)


def test_the_policy_asked_is_named_and_all_are_listed():
    for policy in ("folder", "supervised"):
        with pytest.raises(DataError, match=f"for the split policy {policy}: choose grouped"):
            make_split(dataset(plain()), policy)
    for name in ("nope", "zzz"):
        with pytest.raises(UnknownName) as caught:
            make_split(dataset(plain()), name)
        assert str(caught.value).count(", ".join(POLICIES)) == 1


def test_hold_out_moves_whole_groups_and_leaves_one():
    data = dataset(plain(100, 4, per_group=10))
    split = make_split(data, "grouped")
    held = hold_out(split, data, 0.1)
    assert Counter(held.assignment.values()) == {"train": 70, "val": 10, "test": 24}
    assert held.digest != split.digest
    assert hold_out(split, data, 0.0) is split
    assert len(hold_out(split, data, 0.99).on(data, "train")) == 10
    single = dataset(plain(10, 2, per_group=10))
    lone = make_split(single, "grouped")
    assert hold_out(lone, single, 0.5) is lone
    pair = dataset(plain(2, 1, per_group=1))
    assert hold_out(make_split(pair, "grouped", test_share=0.0), pair, 0.01).counts()["val"] == 1
    with pytest.raises(BadParameter):
        hold_out(split, data, 1.0)


def of_sizes(sizes):
    return dataset([("p", "good", f"g{number}") for number, size in enumerate(sizes) for _ in range(size)])


def held_sizes(data, share, seed=0):
    everything = make_split(data, "grouped", test_share=0.0)
    return sorted(Counter(sample.group for sample in hold_out(everything, data, share, seed).on(data, "val")).values())


@given(st.lists(st.integers(1, 40), min_size=2, max_size=14), st.floats(0.001, 0.95), st.integers(0, 3))
def test_held_out_groups_never_overshoot_more_than_they_help(sizes, share, seed):
    data = of_sizes(sizes)
    held = held_sizes(data, share, seed)
    total, wanted = sum(sizes), share * sum(sizes)
    assert held
    assert len(held) < len(sizes)
    assert held == held_sizes(data, share, seed)
    if sum(held) > max(total / 3, wanted) or sum(held) > 2 * wanted:
        assert held == [min(sizes)], "one group that cannot be avoided, and then the smallest"
    left = Counter(sizes) - Counter(held)
    fitting = [size for size in left if sum(held) + size <= max(total / 3, wanted)]
    assert not any(sum(held) + size <= wanted for size in fitting), "a group that still fits was left out"


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize(
    ("sizes", "share", "held"),
    [
        ([99, 1], 0.1, [1]),
        ([60, 40], 0.1, [40]),
        ([50, 12, 38], 0.1, [12]),
        ([33, 33, 34], 0.3, [33]),
        ([1] * 190, 0.1, [1] * 19),
        ([5] * 20, 0.17, [5] * 3),
        ([5] * 20, 0.18, [5] * 4),
    ],
)
def test_held_out_groups_come_closest_to_the_share(sizes, share, held, seed):
    assert held_sizes(of_sizes(sizes), share, seed) == held


def test_groups_of_real_anomalies_that_are_trained_on_are_not_held_out():
    rows = [("p", kind, f"b{block}") for block in range(8) for kind in ["good"] * 5 + ["d"] * 3]
    data = dataset(rows, default="elpv-blocks")
    support, split = support_set(data, make_split(data), product="p", defect_shots=4)
    trained = {sample.group for sample in support.anomalies}
    held = {seed: hold_out(split, data, 0.5, seed, support=support.anomalies) for seed in range(8)}
    assert not any(trained & {sample.group for sample in split.on(data, "val")} for split in held.values())
    assert any(trained & {sample.group for sample in hold_out(split, data, 0.5, seed).on(data, "val")} for seed in range(8))


def test_a_folders_own_validation_is_kept(tmp_path, trees):
    tree = trees.mvtec(tmp_path / "set", ["bottle"]).images("bottle/validation/good", range(2))
    data = load(tree.write())
    split = make_split(data)
    assert hold_out(split, data, 0.5) is split
    assert split.counts()["val"] == 2


def test_support_shots_are_nested_seeded_and_leave_training():
    data = dataset(plain(40, 8))
    split = make_split(data)
    few, left = support_set(data, split, product="p", shots=3, seed=1)
    more, _ = support_set(data, split, product="p", shots=5, seed=1)
    assert few.ids < more.ids
    assert {sample.id for sample in left.on(data, "train")} == few.ids
    assert left.counts()["test"] == split.counts()["test"]
    everything, same = support_set(data, split, product="p")
    assert same is split
    assert everything.ids == {sample.id for sample in split.on(data, "train")}
    assert everything.dataset == "made"


def test_real_anomalies_leave_the_test_with_their_groups():
    data = dataset(plain(40, 12, per_group=2))
    split = make_split(data)
    support, left = support_set(data, split, product="p", defect_shots=2)
    assert Counter(sample.defect for sample in support.anomalies) == {"d0": 2, "d1": 2}
    tested = left.on(data, "test")
    assert not {sample.id for sample in tested} & support.ids
    assert not {sample.group for sample in tested} & {sample.group for sample in support.anomalies}
    assert left.options["defect_shots"] == 2


def test_anomalies_of_training_blocks_are_preferred_and_cost_no_test_image():
    rows = [("p", kind, f"b{block}") for block in range(6) for kind in ["good"] * 5 + ["d"] * 3]
    data = dataset(rows, default="elpv-blocks")
    split = make_split(data)
    support, left = support_set(data, split, product="p", defect_shots=3)
    assert {split.assignment[sample.id] for sample in support.anomalies} == {"dropped"}
    assert left.counts() == split.counts()


@pytest.mark.parametrize(
    ("options", "told"), [({"shots": 99}, "99 training"), ({"defect_shots": 7}, "7 anomalies of the kind d0")]
)
def test_too_many_shots_are_refused_with_the_numbers(options, told):
    data = dataset(plain(10, 6))
    with pytest.raises(DataError, match=told) as caught:
        support_set(data, make_split(data), product="p", **options)
    assert caught.value.code == "E_FEW"
    with pytest.raises(DataError, match="leave no anomaly") as caught:
        support_set(data, make_split(data), product="p", defect_shots=3)
    assert caught.value.code == "E_FEW"


def test_a_saved_split_comes_back_and_a_changed_one_is_refused(tmp_path):
    data = dataset(plain())
    split = hold_out(make_split(data, seed=3), data, 0.2)
    path = tmp_path / "split.json"
    split.save(path)
    again = Split.load(path)
    assert again == split
    assert again.digest == split.digest == json.loads(path.read_text())["sha256"]
    path.write_text(path.read_text().replace('"train"', '"test"', 1))
    with pytest.raises(DamagedFile, match="was changed"):
        Split.load(path)
    for content in ("[]", "{}", "no", '{"sha256": "", "format": 2}'):
        path.write_text(content)
        with pytest.raises(DamagedFile):
            Split.load(path)
    with pytest.raises(DamagedFile):
        Split.load(tmp_path / "none.json")


def test_applying_a_split_to_another_folder_is_told(tmp_path, trees):
    root = trees.pool(tmp_path / "parts").write()
    split = make_split(load(root))
    trees.save(root / "good/new.png", trees.texture(70))
    applied = split.apply(load(root))
    assert len(applied) == 14
    assert "1 image is not in the split" in applied.notes[-1]
    (root / "good/1.png").unlink()
    with pytest.raises(DataError, match=r"parts/pool/good/1 \(1 image of the stored split is gone") as caught:
        split.apply(load(root))
    assert caught.value.code == "E_SPLIT"
