from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from flawsmith.core.errors import DataError
from flawsmith.core.samples import ArraySource, Sample
from flawsmith.core.synthesizer import Heritage
from flawsmith.data import load
from flawsmith.data.dataset import Dataset
from flawsmith.data.fingerprints import NearIndex, digest_of, fingerprint, turned_digest
from flawsmith.data.leakage import check_heritage, check_leakage, find_leaks, proposal
from flawsmith.data.splits import make_split


@pytest.fixture
def clean(tmp_path, trees):
    return trees.mvtec(tmp_path / "set", ["bottle"]).write()


def refused(root, code):
    with pytest.raises(DataError) as caught:
        check_leakage(load(root))
    assert caught.value.code == code
    return caught.value


def copy(root, change, name="test/good/900.png", origin="train/good/000.png", **options):
    picture = change(Image.open(root / "bottle" / origin))
    picture.save(root / "bottle" / name, **options)


def test_different_pictures_do_not_leak(clean):
    report = check_leakage(load(clean))
    assert report.problems == ()
    assert report.near.hits == 0


def test_a_copy_in_another_format_is_an_error(clean):
    copy(clean, lambda picture: picture, "test/good/900.bmp")
    error = refused(clean, "E_DUPLICATE")
    assert "same picture" in str(error)
    assert {name.rpartition("/")[2] for name in error.files} == {"000.png", "900.bmp"}


def test_one_file_under_two_names_is_an_error_before_any_pixel_is_read(clean):
    (clean / "bottle/test/good/900.png").symlink_to(clean / "bottle/train/good/000.png")
    data = load(clean)
    report = find_leaks(data, {})
    assert [problem.code for problem in report.problems] == ["E_DUPLICATE"]
    (files,) = report.problems[0].sets
    assert {name.rpartition("/")[2] for name in files} == {"000.png", "900.png"}
    assert "(test) is the same file as" in report.errors[0]
    full = find_leaks(data)
    assert [(problem.code, len(problem.sets)) for problem in full.problems] == [("E_DUPLICATE", 1)]


def test_the_pairs_are_listed(clean):
    for number in range(3):
        copy(clean, lambda picture: picture, f"test/good/90{number}.png", f"train/good/00{number}.png")
    (problem,) = find_leaks(load(clean)).problems
    pairs = {tuple(sorted(name.rpartition("/")[2] for name in files)) for files in problem.sets}
    assert pairs == {("000.png", "900.png"), ("001.png", "901.png"), ("002.png", "902.png")}
    assert problem.line().endswith("(and 2 more)")
    assert problem.to_json()["count"] == 6


def test_labels_are_compared_on_images_that_are_on_no_side_too(trees):
    made = samples([trees.texture(seed) for seed in range(4)], "train")
    twin = replace(made[0], id="p/pool/dent/9", defect="dent", split="pool")
    prints = {sample.id: fingerprint(sample.image()) for sample in (*made, twin)}
    data = Dataset("made", "root", "folder", tuple(made))
    assert find_leaks(data, prints).errors == ()
    (problem,) = find_leaks(data, prints, [twin]).problems
    assert problem.code == "E_LABEL_CONFLICT"


@pytest.mark.parametrize("turn", list(Image.Transpose))
def test_a_turned_or_mirrored_copy_is_an_error(clean, turn):
    copy(clean, lambda picture: picture.transpose(turn))
    assert "turned or mirrored" in str(refused(clean, "E_DUPLICATE"))


@pytest.mark.parametrize("quarter", range(4))
def test_the_turned_digest_forgets_turns_and_flips_and_nothing_else(trees, quarter):
    image = trees.texture(1)
    told = turned_digest(image)
    assert turned_digest(np.rot90(image, quarter)) == turned_digest(np.rot90(image[::-1], quarter)) == told
    other = image.copy()
    other[3, 4, 1] ^= 1
    assert turned_digest(other) != told
    assert turned_digest(image.reshape(image.shape[1], image.shape[0], 3)) != told


def test_shuffled_pixels_are_no_turned_copy(clean):
    def shuffled(picture):
        pixels = np.array(picture).reshape(-1, 3)
        return Image.fromarray(np.random.default_rng(0).permutation(pixels).reshape(np.array(picture).shape))

    copy(clean, shuffled)
    assert find_leaks(load(clean)).errors == ()


def test_a_compressed_copy_is_a_warning_with_a_proposal(clean):
    copy(clean, lambda picture: picture, "test/good/900.jpg", quality=90)
    report = check_leakage(load(clean))
    (warning,) = report.warnings
    assert warning.startswith("W_NEAR: 1 of 8 held-out images (12.5%)")
    assert report.near.groups == (("bottle/test/good/900", "bottle/train/good/000"),)


def test_a_copy_on_the_same_side_is_fine_and_one_under_two_labels_is_not(clean):
    copy(clean, lambda picture: picture, "train/good/900.png")
    assert find_leaks(load(clean)).errors == ()
    copy(clean, lambda picture: picture, "test/crack/900.png", "test/good/000.png")
    error = refused(clean, "E_LABEL_CONFLICT")
    assert "labelled crack" in str(error)


def samples(images, split, **fields):
    made = []
    for index, image in enumerate(images):
        name = f"p/{split}/good/{index}"
        made.append(Sample(name, "p", "good", split, name, ArraySource(image, location=name), **fields))
    return made


def test_a_turned_copy_of_a_support_anomaly_in_the_test_is_an_error(trees):
    images = [trees.texture(seed) for seed in range(12)]
    images.append(np.rot90(images[11]).copy())
    made = [
        Sample(f"p/pool/{defect}/{index}", "p", defect, "pool", str(index), ArraySource(image, location=f"{index}.png"))
        for index, (image, defect) in enumerate(zip(images, ["good"] * 10 + ["dent"] * 3, strict=True))
    ]
    data = Dataset("made", "root", "folder", tuple(made))
    split = make_split(data).moved(["p/pool/dent/11"], "dropped")
    applied, anomalies = split.apply(data), (made[11],)
    assert check_leakage(applied).errors == ()
    with pytest.raises(DataError, match="turned or mirrored") as caught:
        check_leakage(applied, anomalies)
    assert caught.value.code == "E_DUPLICATE"
    assert set(caught.value.files) == {"11.png", "12.png"}
    without = split.moved(["p/pool/dent/12"], "dropped").apply(data)
    assert check_leakage(without, anomalies).errors == ()


def test_support_counts_as_training_once_and_its_groups_too(trees):
    images = [trees.texture(seed) for seed in range(4)]
    train, test = samples(images[:2], "train"), samples(images[2:], "test")
    data = Dataset("made", "root", "folder", (*train, *test))
    assert check_leakage(data, train).problems == ()
    with pytest.raises(DataError, match="same picture"):
        check_leakage(data, test[:1])
    other = replace(test[0], id="p/test/dent/9", defect="dent", source=ArraySource(trees.texture(9)))
    with pytest.raises(DataError, match="one group"):
        check_leakage(data, [other])


def aligned(number, seed):
    """One part in one fixture, again and again: the same outline, other noise."""
    y, x = np.mgrid[0:64, 0:64]
    outline = np.where((x - 32) ** 2 + (y - 32) ** 2 < 400, 200, 40).astype(float)
    rng = np.random.default_rng(seed)
    return [
        np.repeat(np.clip(outline + rng.normal(0, 3, (64, 64)), 0, 255).astype(np.uint8)[:, :, None], 3, 2) for _ in range(number)
    ]


def test_parts_in_one_fixture_are_neither_error_nor_warning():
    data = Dataset("made", "root", "folder", (*samples(aligned(30, 1), "train"), *samples(aligned(10, 2), "test")))
    report = check_leakage(data)
    assert report.near.background > 0.2
    assert not report.near.searched
    assert report.problems == ()


def test_near_pictures_are_no_warning_where_training_pictures_are_as_near(trees):
    alike, others = aligned(12, 1), [trees.texture(seed, 64, 64) for seed in range(28)]
    train, test = [*alike[:10], *others[:20]], [*alike[10:], *others[20:]]
    report = check_leakage(Dataset("made", "root", "folder", (*samples(train, "train"), *samples(test, "test"))))
    assert report.near.searched
    assert 0 < report.near.rate <= 5 * report.near.background < 1
    assert report.warnings == ()


def test_a_group_on_two_sides_is_an_error(trees):
    images = [trees.texture(seed) for seed in range(4)]
    train, test = samples(images[:2], "train"), samples(images[2:], "test")
    test[0] = replace(test[0], group=train[0].group)
    with pytest.raises(DataError, match="one group") as caught:
        check_leakage(Dataset("made", "root", "folder", (*train, *test)))
    assert caught.value.code == "E_GROUP"


def test_synthetic_pictures_are_never_tested_on(trees):
    images = [trees.texture(seed) for seed in range(4)]
    real = [*samples(images[:2], "train"), *samples(images[2:3], "test")]
    made = samples(images[3:], "val", origin="synthetic")
    assert find_leaks(Dataset("made", "root", "folder", (*real, *made))).errors == ()
    for wrong in (
        made[0].moved_to("test"),
        replace(made[0], tags={"reference_sha256": digest_of(images[2])}),
    ):
        with pytest.raises(DataError) as caught:
            check_leakage(Dataset("made", "root", "folder", (*real, wrong)))
        assert caught.value.code == "E_SYNTHETIC"


@pytest.fixture
def sided():
    """Normals 000 and 001 in train and 002 in val; 000 and 003 good and 000 cracked in the test. No pixel is read."""

    def sample(split, defect, stem):
        return Sample(
            f"p/{split}/{defect}/{stem}", "p", defect, split, stem, ArraySource(None, location=f"{split}-{defect}-{stem}")
        )

    train = [sample("train", "good", stem) for stem in ("000", "001")]
    held_out = [sample("train", "good", "002").moved_to("val")]
    test = [sample("test", "good", "000"), sample("test", "good", "003"), sample("test", "crack", "000")]
    return Dataset("made", "root", "folder", (*train, *held_out, *test))


@pytest.mark.parametrize(
    ("name", "tested"),
    [
        ("test/good/003.png", True),
        ("/data/mvtec/p/test/good/000.jpg", True),
        ("/data/mvtec/p/train/good/000.jpg", False),
        ("003", True),
        ("000", False),
        ("nuts/test/good/777", False),
    ],
)
def test_a_part_of_a_path_means_what_ends_so(sided, name: str, tested: bool):
    refused_if(tested, sided, Heritage(names=frozenset([name, "train/good/001"])))


@pytest.mark.parametrize(
    ("name", "tested"),
    [("p/test/good/003", True), ("p/test/good/000", True), ("p/train/good/000", False), ("p/pool/good/003", False)],
)
def test_pictures_made_from_tested_photographs_are_refused(sided, name: str, tested: bool):
    refused_if(tested, sided, Heritage(ids=frozenset([name, "p/train/good/001"])))


def refused_if(tested, sided, heritage):
    if not tested:
        assert check_heritage(sided, heritage, "precomputed") == ()
        return
    with pytest.raises(DataError, match=r"precomputed brings pictures made from test-good-00\d \(1 such photographs\)") as caught:
        check_heritage(sided, heritage, "precomputed")
    assert caught.value.code == "E_SYNTHETIC"
    assert len(caught.value.files) == 1


def test_a_generator_that_learned_from_a_tested_anomaly_is_refused(sided):
    assert check_heritage(sided, Heritage(real=frozenset([("crack", "001"), ("dent", "000")])), "precomputed") == ()
    with pytest.raises(DataError, match="test-crack-000"):
        check_heritage(sided, Heritage(real=frozenset([("crack", "000")])), "precomputed")


def test_normals_held_out_for_the_threshold_are_told(sided):
    heritage = Heritage(ids=frozenset(["p/train/good/000", "p/train/good/002"]), warnings=("read by position",))
    told = check_heritage(sided, heritage, "precomputed")
    assert told == (
        "read by position",
        "precomputed brings pictures made from 1 of the 1 normals that are held out for the threshold",
    )


def test_a_name_that_a_trained_normal_has_too_is_not_told_as_held_out(sided):
    twin = replace(sided.samples[2], id="q/train/good/002", split="train")
    both = replace(sided, samples=(*sided.samples, twin))
    assert check_heritage(both, Heritage(names=frozenset(["train/good/002"])), "precomputed") == ()
    assert len(check_heritage(sided, Heritage(names=frozenset(["train/good/002"])), "precomputed")) == 1


def test_a_random_split_of_repeated_exposures_is_warned_of(trees):
    rng = np.random.default_rng(0)
    exposures = []
    for piece in range(20):
        image = trees.texture(piece, 48, 48).astype(float)
        for shot in range(6):
            exposed = np.clip(image * (0.7 + 0.06 * shot) + rng.normal(0, 2, image.shape), 0, 255).astype(np.uint8)
            name = f"p/pool/good/{piece}-{shot}"
            exposures.append(Sample(name, "p", "good", "pool", f"piece-{piece}", ArraySource(exposed, location=name)))
    data = Dataset("made", "root", "folder", tuple(exposures))
    assert check_leakage(make_split(data, "grouped").apply(data)).warnings == ()
    report = check_leakage(make_split(data, "random").apply(data))
    assert report.near.rate > 0.9
    assert "W_NEAR" in report.warnings[0]
    assert all(len({name.partition("-")[0] for name in group}) == 1 for group in report.near.groups)


def test_every_proposed_group_is_told(trees):
    rng = np.random.default_rng(0)
    images = {split: [] for split in ("train", "test")}
    for piece in range(30):
        image = trees.texture(piece).astype(float)
        for split in images:
            images[split].append(np.clip(image + rng.normal(0, 2, image.shape), 0, 255).astype(np.uint8))
    data = Dataset("made", "root", "folder", (*samples(images["train"], "train"), *samples(images["test"], "test")))
    proposed = proposal(find_leaks(data).near)
    assert sorted(map(tuple, proposed.values())) == sorted((f"p/train/good/{k}", f"p/test/good/{k}") for k in range(30))


def test_banding_finds_what_all_pairs_find(trees):
    rng = np.random.default_rng(3)
    images = []
    for seed in range(25):
        image = trees.texture(seed).astype(float)
        images += [np.clip(image + rng.normal(0, 3, image.shape), 0, 255).astype(np.uint8) for _ in range(3)]
    index = NearIndex([fingerprint(image) for image in images])
    first, second = np.triu_indices(len(images), 1)
    near = index.are_near(first, second)
    expected = {(int(a), int(b)) for a, b in zip(first[near], second[near], strict=True)}
    assert {(int(a), int(b)) for a, b in index.pairs()} == expected
    assert len(expected) >= 50
