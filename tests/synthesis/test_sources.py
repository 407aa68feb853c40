import json
from dataclasses import replace

import pytest

from flawsmith.core.errors import DataError, UnknownName, UsageError
from flawsmith.core.samples import ArraySource, Sample
from flawsmith.core.seeding import Seed
from flawsmith.data import load
from flawsmith.data.dataset import Dataset
from flawsmith.data.splits import hold_out, make_split
from flawsmith.data.support import support_set
from flawsmith.synthesis.sets import replay, synthesize
from flawsmith.synthesis.sources import sources_of
from flawsmith.synthesis.writing import write_set
from flawsmith.testing.toy import toy_texture


def pool(groups, product="p", default="grouped"):
    """`groups` of (group, number of normals, number of anomalies)."""
    made = []
    for group, normals, anomalies in groups:
        for defect, number in (("good", normals), ("dent", anomalies)):
            for index in range(number):
                name = f"{product}/pool/{defect}/{group}-{index}"
                source = ArraySource(toy_texture(Seed(3, (name,)), 48), location=name)
                made.append(Sample(name, product, defect, "pool", group, source))
    return Dataset("made", "root", "folder", tuple(made), default_split=default)


def ids(samples):
    return {sample.id for sample in samples}


def side_of_training(data, policy, seed, **shots):
    """The test side of a training, step by step as `flawsmith.inspection.training` makes it."""
    split = make_split(data, policy, seed=seed)
    support, split = support_set(data, split, product=data.products[0], seed=seed, **shots)
    return ids(hold_out(split, data, 0.1, seed, support=support.anomalies).on(data, "test"))


@pytest.mark.parametrize("policy", ["auto", "grouped", "random", "mtd-group", "elpv-blocks"])
@pytest.mark.parametrize("seed", [0, 7])
def test_no_source_is_tested_by_a_training_of_the_same_policy_and_seed(policy, seed):
    data = pool([(f"g{k}", 9, int(k % 4 == 0)) for k in range(16)])
    made = synthesize(data, "cutpaste", 1, split=policy, seed=seed)
    used = made.supports["p"].ids
    assert used == ids(s for s in make_split(data, policy, seed=seed).on(data, "train") if s.is_normal)
    for shots in ({}, {"shots": 20}, {"defect_shots": 1}):
        tested = side_of_training(data, policy, seed, **shots)
        assert tested
        assert not used & tested
    assert made.sources["p"].digest == make_split(data, policy, seed=seed).digest


def test_another_seed_keeps_others_for_the_test():
    data = pool([(f"g{k}", 1, 0) for k in range(20)])
    used = [synthesize(data, "cutpaste", 1, seed=seed).supports["p"].ids for seed in (0, 0, 1)]
    assert used[0] == used[1] != used[2]
    assert len(used[0]) == 16


def test_magnetic_tiles_of_the_test_are_never_started_from(mtd):
    data = load(mtd)
    made = synthesize(data, "cutpaste", 40, seed=0, size=64)
    (product,) = data.products
    assert made.sources[product].policy == "mtd-group"
    for options in ({}, {"shots": 150}, {"defect_shots": 1}):
        tested = side_of_training(data, "auto", 0, **options)
        assert tested
        assert not made.supports[product].ids & tested
    assert {made[index].provenance.normal_id for index in range(6)} <= made.supports[product].ids


def test_products_are_split_one_by_one_as_training_does():
    shared = [(f"g{k}", 4, 0) for k in range(8)]
    both = pool([(group, normals, int(group == "g3")) for group, normals, _ in shared], "p").samples + pool(shared, "q").samples
    data = replace(pool(shared), samples=both)
    made = synthesize(data, "cutpaste", 2, seed=1)
    for product in ("p", "q"):
        assert not made.supports[product].ids & side_of_training(data.of(product=product), "auto", 1)
        assert made.sources[product].digest == make_split(data.of(product=product), seed=1).digest


def test_a_side_that_a_split_has_made_is_kept():
    data = pool([(f"g{k}", 5, k % 2) for k in range(8)], default="elpv-blocks")
    for policy in ("elpv-blocks", "random"):
        applied = make_split(data, policy, seed=4).apply(data)
        for part in (applied, applied.of(split="train")):
            made = synthesize(part, "cutpaste", 3, seed=0)
            assert made.supports["p"].ids == ids(applied.of(split="train").samples)
            assert made.sources["p"].policy == "folder"


def test_none_starts_from_every_normal_outside_the_folders_own_test(tiles):
    data = pool([("one", 3, 1), ("two", 2, 0)])
    sources = sources_of(data, "p", "none")
    assert sources.support.ids == ids(s for s in data.samples if s.is_normal)
    assert sources.to_json() == {"policy": "none", "seed": 0, "digest": None, "options": {}, "flags": []}
    assert sources_of(data, "p").left == 3
    assert sources_of(tiles, "tiles", "none").support == sources_of(tiles, "tiles").support
    assert sources_of(tiles, "tiles").left == 1


@pytest.mark.parametrize("policy", ["auto", "grouped", "random", "mtd-group", "elpv-blocks"])
@pytest.mark.parametrize("seed", [0, 7])
def test_no_reference_is_tested_by_a_training_of_the_same_options(policy, seed):
    data = pool([(f"g{k}", 6, int(k % 3 == 0)) for k in range(16)])
    for number in (1, 2):
        sources = sources_of(data, "p", policy, seed, references=True, defect_shots=number)
        split = make_split(data, policy, seed=seed)
        support, split = support_set(data, split, product="p", defect_shots=number, seed=seed)
        assert sources.support == support
        assert sources.digest == split.digest
        assert len(sources.support.anomalies) == number
        for more in ({}, {"shots": 5}):
            assert not sources.support.ids & side_of_training(data, policy, seed, defect_shots=number, **more)


def with_trained(data, number=2):
    """The same data with anomalies on its own train side."""
    strays = tuple(
        replace(next(s for s in data.samples if not s.is_normal), id=f"tiles/train/scratch/x{k}", split="train", group=f"x{k}")
        for k in range(number)
    )
    return replace(data, samples=(*data.samples, *strays))


def test_anomalies_of_the_folders_own_train_side_are_references_where_wanted(tiles):
    data = with_trained(tiles)
    sources = sources_of(data, "tiles", references=True)
    assert ids(sources.support.anomalies) == {"tiles/train/scratch/x0", "tiles/train/scratch/x1"}
    assert sources.support.normals == sources_of(tiles, "tiles").support.normals
    assert sources.digest == sources_of(tiles, "tiles").digest
    with pytest.raises(DataError, match="anomaly in a training folder"):
        sources_of(data, "tiles")
    assert sources_of(data, "tiles", "grouped", references=True).support.anomalies == ()


def test_without_a_split_the_references_are_those_outside_the_folders_own_test(tiles):
    assert ids(sources_of(with_trained(tiles), "tiles", "none", references=True).support.anomalies) == {
        "tiles/train/scratch/x0",
        "tiles/train/scratch/x1",
    }
    assert sources_of(with_trained(tiles), "tiles", "none").support.anomalies == ()
    data = pool([("one", 3, 3), ("two", 2, 2)])
    assert len(sources_of(data, "p", "none", references=True).support.anomalies) == 5
    few, more = (sources_of(data, "p", "none", references=True, defect_shots=k).support.ids for k in (2, 3))
    assert len(few) == 7
    assert few < more
    with pytest.raises(DataError, match="6 anomalies of the kind dent were asked for and there are 5"):
        sources_of(data, "p", "none", references=True, defect_shots=6)


def test_defect_shots_keep_an_anomaly_for_the_test_unless_there_is_no_split(tiles):
    with pytest.raises(DataError, match=r"leave no anomaly to test on .*; or choose the split none") as caught:
        sources_of(tiles, "tiles", references=True, defect_shots=1)
    assert caught.value.code == "E_FEW"


def test_defect_shots_that_nobody_uses_are_refused(tiles):
    with pytest.raises(UsageError, match="draem and cutpaste use no real anomalies, so 2 defect shots would do nothing"):
        synthesize(tiles, "draem,cutpaste", 1, defect_shots=2)


def test_a_single_normal_is_started_from():
    assert sources_of(pool([("one", 1, 0)]), "p").support.ids == {"p/pool/good/one-0"}
    assert len(synthesize(pool([("one", 1, 0)]), "cutpaste", 2)) == 2


def test_where_the_policy_leaves_nothing_the_remedy_is_told_and_works():
    data = pool([("one", 3, 1)])
    with pytest.raises(DataError, match="choose the split none") as caught:
        synthesize(data, "cutpaste", 2)
    assert caught.value.code == "E_EMPTY_SPLIT"
    assert len(synthesize(data, "cutpaste", 2, split="none").supports["p"].normals) == 3


def test_refusals(tiles):
    with pytest.raises(UnknownName, match="no split policy 'groupd'; did you mean grouped"):
        synthesize(tiles, "cutpaste", 1, split="groupd")
    stray = replace(tiles.samples[0], id="tiles/train/dent/x", defect="dent", split="train")
    with pytest.raises(DataError, match="choose the split policy grouped"):
        synthesize(replace(tiles, samples=(*tiles.samples, stray)), "cutpaste", 1)


@pytest.mark.parametrize("policy", ["auto", "random", "none"])
def test_a_line_of_a_set_finds_its_normals_again(tmp_path, policy):
    data = pool([(f"g{k}", 2, 0) for k in range(6)])
    made = synthesize(data, "draem", 4, split=policy, seed=5, settings=["draem.textures=normals"])
    write_set(made, tmp_path / "out")
    for text, anomaly in zip((tmp_path / "out" / "manifest.jsonl").read_text().splitlines(), made, strict=True):
        assert json.loads(text)["split"] == policy
        again = replay(text, data)
        assert (again.image == anomaly.image).all()
        assert again.provenance == anomaly.provenance
