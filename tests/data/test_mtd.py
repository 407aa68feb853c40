from itertools import pairwise

import pytest

from flawsmith.core.errors import DataError
from flawsmith.data import load
from flawsmith.data.layouts.mtd import group_by_gap
from flawsmith.data.splits import make_split

RUNS = [("Free", 100, 6), ("Free", 1000, 4), ("Crack", 1036, 2), ("Blowhole", 5000, 3), ("Free", 9000, 1)]


def test_names_pair_by_suffix_and_groups_run_over_all_classes(tmp_path, trees):
    data = load(trees.mtd(tmp_path / "tiles", RUNS).write(3))
    assert (data.name, data.layout, data.default_split) == ("mtd", "mtd", "mtd-group")
    assert data.counts() == {
        ("magnetic_tile", "pool", "blowhole"): 3,
        ("magnetic_tile", "pool", "crack"): 2,
        ("magnetic_tile", "pool", "good"): 11,
    }
    assert {sample.group for sample in data.samples} == {"num-100", "num-1000", "num-5000", "num-9000"}
    assert {sample.defect for sample in data.samples if sample.group == "num-1000"} == {"good", "crack"}
    crack = next(sample for sample in data.samples if sample.defect == "crack")
    assert crack.id == "magnetic_tile/pool/crack/exp1_num_1036"
    assert crack.source.masks == ("MT_Crack/Imgs/exp1_num_1036.png",)
    assert crack.source.encoding.threshold == 127
    assert crack.tags["exposure"] == "exp1"


@pytest.mark.parametrize(("gap", "groups"), [(60, 1), (61, 2)])
def test_a_gap_above_sixty_opens_a_group(gap, groups):
    assert len(set(group_by_gap({"a": 10, "b": 10 + gap}).values())) == groups


def test_pairing_errors(tmp_path, trees):
    root = trees.mtd(tmp_path / "tiles", RUNS).write()
    (root / "MT_Crack/Imgs/exp1_num_1036.jpg").unlink()
    with pytest.raises(DataError) as caught:
        load(root)
    assert caught.value.code == "E_ORPHAN_MASK"


def test_stems_that_contain_each_other_pair_rightly(tmp_path, trees):
    root = trees.mtd(tmp_path / "tiles", [("Crack", 1, 1), ("Crack", 10, 1), ("Crack", 100, 1), ("Free", 1000, 1)]).write()
    (root / "MT_Crack/Imgs/exp1_num_10.png").unlink()
    masks = {sample.source.path.rpartition("/")[2]: sample.source.masks for sample in load(root).samples if not sample.is_normal}
    assert masks == {
        "exp1_num_1.jpg": ("MT_Crack/Imgs/exp1_num_1.png",),
        "exp1_num_10.jpg": (),
        "exp1_num_100.jpg": ("MT_Crack/Imgs/exp1_num_100.png",),
    }


def test_the_default_split_tests_tainted_groups(tmp_path, trees):
    data = load(trees.mtd(tmp_path / "tiles", RUNS).write())
    split = make_split(data)
    assert split.policy == "mtd-group"
    assert {split.assignment[s.id] for s in data.samples if s.group == "num-1000"} == {"test"}
    sides = {}
    for sample in data.samples:
        sides.setdefault(sample.group, set()).add(split.assignment[sample.id])
    assert all(len(places) == 1 for places in sides.values())
    leaky = make_split(data, "random", test_share=0.5)
    assert "leaks near-duplicates" in leaky.flags[0]


@pytest.mark.mtd
def test_the_real_tiles(mtd):
    data = load(mtd)
    counts = {defect: count for (_, _, defect), count in data.counts().items()}
    assert counts == {"good": 713, "blowhole": 77, "break": 56, "crack": 36, "fray": 20, "uneven": 71}
    numbers = sorted((int(sample.tags["number"]), sample.group) for sample in data.samples)
    for (before, first), (after, second) in pairwise(numbers):
        assert (first == second) == (after - before <= 60)
    blank = [sample for sample in data.samples if "blank_mask" in sample.tags]
    assert len(blank) == 4
    assert not any(sample.has_mask for sample in blank)
    assert data.without_masks() == []


@pytest.mark.mtd
@pytest.mark.parametrize("seed", range(3))
def test_the_real_split(mtd, seed):
    data = load(mtd)
    applied = make_split(data, seed=seed).apply(data)
    trained, tested = applied.of(split="train").samples, applied.of(split="test").samples
    assert all(sample.is_normal for sample in trained)
    assert not {sample.group for sample in trained} & {sample.group for sample in tested}
    assert sum(not sample.is_normal for sample in tested) == 260
    tainted = {sample.group for sample in data.samples if not sample.is_normal}
    further = [sample for sample in tested if sample.is_normal and sample.group not in tainted]
    assert 60 <= len(further) < 70
    assert len(trained) + len(tested) == len(data)
