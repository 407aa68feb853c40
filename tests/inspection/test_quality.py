"""Quality of generated pictures: who is compared with whom, that the numbers are those of the plain metrics, what is refused."""

import itertools
import json
import math
import re
import shutil
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from skimage.metrics import structural_similarity

from flawsmith.core.errors import BadParameter, DataError, NeedUnmet, UnknownName, UsageError
from flawsmith.core.seeding import Seed
from flawsmith.data import load
from flawsmith.data.reading import read_image
from flawsmith.encoders.perceptual import signed
from flawsmith.encoders.quality_nets import quality_nets
from flawsmith.inspection.quality import QUALITY_METRICS, Rules, measure_quality
from flawsmith.inspection.quality.pairs import random_pairs
from flawsmith.inspection.quality.pixels import Held, resized
from flawsmith.inspection.quality.recording import means_of
from flawsmith.inspection.quality.sides import EVERY_TYPE, NORMALS, SAME_TYPE, match, read_generated
from flawsmith.metrics.features import FeatureSet
from flawsmith.metrics.frechet import frechet_distance
from flawsmith.metrics.lpips import distance
from flawsmith.metrics.psnr import psnr
from flawsmith.metrics.records import MetricValue, ProtocolRecord
from flawsmith.metrics.vif import vif
from flawsmith.testing.toy import toy_defect, toy_texture

SIDE = 64
NAME = "@random-0"


def put(path: Path, pixels: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), pixels[..., ::-1] if pixels.ndim == 3 else pixels)
    return path


@pytest.fixture(scope="module")
def real(tmp_path_factory):
    """One product: 8 normals, 5 scratches and 3 spots with masks."""
    root = tmp_path_factory.mktemp("real") / "weave"
    for i in range(8):
        put(root / "train" / "good" / f"{i}.png", toy_texture(Seed(1).child(i), SIDE))
    for defect, count in (("scratch", 5), ("spot", 3)):
        for i in range(count):
            image, mask = toy_defect(Seed(2).child(defect, i), SIDE, defect)
            put(root / "test" / defect / f"{i}.png", image)
            put(root / "ground_truth" / defect / f"{i}_mask.png", mask.astype(np.uint8) * 255)
    return load(root)


@pytest.fixture(scope="module")
def made(tmp_path_factory, stored):
    """A set with 12 scratches and 10 spots, with masks and origins."""
    root = tmp_path_factory.mktemp("made")
    for defect, count in (("scratch", 12), ("spot", 10)):
        triples = []
        for i in range(count):
            seed = Seed(3).child(defect, i)
            image, mask = toy_defect(seed, SIDE, defect)
            triples.append((image, mask, toy_texture(seed, SIDE)))
        stored(root, "native", triples, product="weave", defect=defect)
    return root


def measure(folder, data, *metrics, extractor="random-0", weights=(), layout="auto", **rules):
    return measure_quality(
        folder, data, Rules(metrics, **{"side": SIDE, **rules}), extractor=extractor, weights=weights, layout=layout
    )


def pixels(folder: Path):
    return [read_image(path) for path in sorted(folder.glob("*.png"), key=lambda p: int(p.stem.split("_")[0]))]


# --- who is compared with whom


def test_kinds_meet_their_own(made, real):
    groups, notes = match(read_generated(made, real), real)
    assert [(g.product, g.defect, len(g.generated), len(g.real), g.real_rule) for g in groups] == [
        ("weave", "scratch", 12, 5, SAME_TYPE),
        ("weave", "spot", 10, 3, SAME_TYPE),
    ]
    assert notes == []
    assert all(group.references is group.real for group in groups)


@pytest.mark.parametrize("place", ["", "method", "weave/method", "other/method"])
def test_a_kind_that_the_real_data_does_not_have_meets_all_anomalies(tmp_path, real, place):
    put(tmp_path / place / "0.png", toy_texture(Seed(0), SIDE))
    ((group,), (note,)) = match(read_generated(tmp_path, real), real)
    assert (group.product, len(group.real), group.real_rule) == ("weave", 8, EVERY_TYPE)
    assert "is compared with all 8 anomalies" in note


def test_good_meets_the_normals_and_names_are_the_same_in_any_case(tmp_path, real):
    put(tmp_path / "good" / "0.png", toy_texture(Seed(0), SIDE))
    put(tmp_path / "Spot" / "0.png", toy_texture(Seed(0), SIDE))
    groups, _ = match(read_generated(tmp_path, real), real)
    assert {(g.defect, len(g.real), g.real_rule) for g in groups} == {("good", 8, NORMALS), ("Spot", 3, SAME_TYPE)}


def two_products(real):
    return replace(real, samples=(*real.samples, *(replace(s, id=f"x/{s.id}", product="x") for s in real.samples)))


def test_products_that_do_not_meet_are_refused(tmp_path, real):
    put(tmp_path / "scratch" / "0.png", toy_texture(Seed(0), SIDE))
    with pytest.raises(UsageError, match=r"has weave, x; choose one with --product"):
        match(read_generated(tmp_path, two_products(real)), two_products(real))
    shutil.move(tmp_path / "scratch", tmp_path / "weav" / "scratch")
    with pytest.raises(UnknownName, match="did you mean weave"):
        match(read_generated(tmp_path, two_products(real)), two_products(real))


def test_one_product_of_several_is_chosen(tmp_path, real):
    for product in ("weave", "x"):
        put(tmp_path / product / "spot" / "0.png", toy_texture(Seed(0), SIDE))
    found = measure_quality(tmp_path, real, Rules(("ssim",), side=SIDE), extractor="random-0", product="weave")
    assert [each.product for each in found.types] == ["weave"]
    with pytest.raises(UnknownName, match="no product 'x'"):
        measure(tmp_path, real, "ssim")


def test_folders_named_like_products_are_products(tmp_path, real):
    put(tmp_path / "x" / "0.png", toy_texture(Seed(0), SIDE))
    assert list(read_generated(tmp_path, two_products(real)).pictures) == [("x", "unknown")]


def test_folders_that_cannot_be_read(tmp_path, made, real):
    with pytest.raises(DataError, match="does not exist"):
        read_generated(tmp_path / "none", real)
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="holds no image"):
        read_generated(tmp_path / "empty", real)
    put(tmp_path / "deep" / "a" / "b" / "c" / "0.png", toy_texture(Seed(0), SIDE))
    with pytest.raises(DataError, match="lies too deep"):
        read_generated(tmp_path / "deep", real)
    with pytest.raises(UnknownName, match="did you mean plain"):
        read_generated(made, real, "plane")
    with pytest.raises(DataError):
        read_generated(tmp_path / "deep", real, "dfmgan")


def test_references_are_those_that_the_generator_learned_from_where_that_is_known(made, real, tmp_path):
    shutil.copytree(made, tmp_path / "set")
    header = {"schema_version": 1, "split": {"train": {"weave": {"scratch": ["1", "3"]}}}}
    (tmp_path / "set" / "synth.json").write_text(json.dumps(header))
    groups, notes = match(read_generated(tmp_path / "set", real), real)
    scratch, spot = groups
    assert [note.partition(";")[0] for note in notes] == [
        "weave scratch: 2 of the 5 real pictures are those that the generator learned from"
    ]
    assert [Path(picture.name).stem for picture in scratch.references] == ["1", "3"]
    assert "that the generator learned from" in scratch.reference_rule
    assert len(spot.references) == 3
    found = measure(tmp_path / "set", real, "ic_lpips")
    assert [len(each.counts[f"ic_lpips{NAME}"]["cluster_sizes"]) for each in found.types] == [2, 3]


# --- the numbers


def test_set_metrics_are_the_plain_ones(made, real):
    nets = quality_nets("efficientnet-lite0")
    found = measure(made, real, "fid", "kid", "inception_score", extractor="efficientnet-lite0").types[0]
    mine = [nets.sets.see([image]).pooled[0] for image in pixels(made / "weave" / "scratch" / "image")]
    theirs = [nets.sets.see([image]).pooled[0] for image in pixels(real.root / "test" / "scratch")]
    expected = frechet_distance(FeatureSet(np.stack(mine)), FeatureSet(np.stack(theirs)))
    fid = found.metrics["fid@efficientnet-lite0"]
    assert fid.value == pytest.approx(expected, rel=1e-6)
    assert fid.record.feature_extractor == "efficientnet-lite0"
    assert (fid.record.images, fid.record.anomalies, fid.record.normals) == (12, 5, 0)
    assert fid.record.details["flag"].startswith("a set has fewer than 2048")
    assert fid.record.details["generated_format"] == fid.record.details["real_format"] == "PNG"
    assert len(fid.record.details["weights"]) == 64
    assert "no antialias" in fid.record.details["resize"]
    kid = found.metrics["kid@efficientnet-lite0"]
    assert (kid.record.details["subset"], kid.record.details["subsets"]) == ("5", "100")
    assert kid.std is not None
    assert "kid_full@efficientnet-lite0" in found.metrics
    score = found.metrics["inception_score@efficientnet-lite0"]
    assert score.record.details["splits"] == "10"
    assert not any(key.startswith("real") for key in score.record.details)


def test_inception_scores_of_numbers_too_far_apart_are_not_compared(made, real):
    scratch, spot = measure(made, real, "inception_score", extractor="efficientnet-lite0").types
    record = scratch.metrics["inception_score@efficientnet-lite0"].record
    assert record.differences(spot.metrics["inception_score@efficientnet-lite0"].record) == ()  # 12 and 10
    assert record.differences(replace(record, images=15)) == ("images",)


def test_all_pairs_are_a_plain_double_loop(made, real):
    found = measure(made, real, "ssim", "psnr", "vif", "lpips").types[1]
    mine, theirs = pixels(made / "weave" / "spot" / "image"), pixels(real.root / "test" / "spot")
    net = quality_nets("random-0").pairs
    a, b = net.vectors(signed(mine)), net.vectors(signed(theirs))
    loops = {
        "ssim": [
            structural_similarity(
                x, y, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, data_range=255, channel_axis=-1
            )
            for x in mine
            for y in theirs
        ],
        "psnr": [psnr(x, y) for x in mine for y in theirs],
        "vif": [vif(y, x) for x in mine for y in theirs],
        f"lpips{NAME}": [distance(x, y) for x in a for y in b],
    }
    for name, values in loops.items():
        assert found.metrics[name].value == pytest.approx(np.mean(values), rel=1e-5 if "lpips" in name else 1e-9)
        assert found.metrics[name].std == pytest.approx(np.std(values, ddof=1), rel=1e-4)
        assert found.counts[name]["pairs"] == 30
        assert found.metrics[name].record.details["pairing"] == "all pairs, at most 1000 of them at random, seed 0"
    assert found.metrics["ssim"].record.feature_extractor is None
    assert found.metrics["ssim"].record.metric == "ssim"


def test_random_pairs_are_a_thousand_different_ones_of_a_seed():
    pairs = random_pairs(70, 60, 0)
    assert len(pairs) == len(set(pairs)) == 1000
    assert pairs == random_pairs(70, 60, 0) != random_pairs(70, 60, 1)
    assert {i for i, _ in pairs} == set(range(70))
    assert random_pairs(2, 3, 0) == [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2)]
    assert random_pairs(4, 0, 0) == []


def test_the_source_is_what_a_picture_was_made_from(made, real):
    found = measure(made, real, "psnr", "ssim", pairing="source").types[0]
    mine, theirs = (pixels(made / "weave" / "scratch" / kind) for kind in ("image", "origin"))
    assert found.metrics["psnr"].value == pytest.approx(np.mean([psnr(x, y) for x, y in zip(mine, theirs, strict=True)]))
    assert found.counts["psnr"] == {"pairs": 12, "identical": 0}
    assert found.metrics["psnr"].record.details["pairing"] == "each with what it was made from"


def test_the_nearest_is_the_one_of_least_lpips(made, real):
    found = measure(made, real, "psnr", "lpips", pairing="nearest").types[0]
    mine, theirs = pixels(made / "weave" / "scratch" / "image"), pixels(real.root / "test" / "scratch")
    net = quality_nets("random-0").pairs
    a, b = net.vectors(signed(mine)), net.vectors(signed(theirs))
    table = np.array([[distance(x, y) for y in b] for x in a])
    assert found.metrics[f"lpips{NAME}"].value == pytest.approx(table.min(1).mean(), rel=1e-5)
    best = [psnr(x, theirs[j]) for x, j in zip(mine, table.argmin(1), strict=True)]
    assert found.metrics["psnr"].value == pytest.approx(np.mean(best))
    assert found.metrics["psnr"].record.details["pairing"] == "each with the nearest real one by LPIPS (random-0)"


def test_identical_pictures_are_told_as_inf_and_left_out_of_means(tmp_path, real, stored):
    texture, mask = toy_texture(Seed(9), SIDE), np.eye(SIDE, dtype=bool)
    changed = np.where(mask[..., None], np.uint8(9), texture)
    stored(tmp_path / "all", "native", [(texture, mask, texture)] * 2, product="weave", defect="spot")
    found = measure(tmp_path / "all", real, "psnr", "ssim", "lpips", pairing="source").types[0]
    assert found.metrics["psnr"].value == math.inf
    assert found.metrics["ssim"].value == pytest.approx(1)
    assert found.metrics[f"lpips{NAME}"].value == 0
    assert found.to_json()["metrics"]["psnr"]["value"] == "inf"
    stored(tmp_path / "some", "native", [(texture, mask, texture), (changed, mask, texture)], product="weave", defect="spot")
    found = measure(tmp_path / "some", real, "psnr", pairing="source").types[0]
    assert found.metrics["psnr"].value == pytest.approx(psnr(changed, texture))
    assert found.counts["psnr"] == {"pairs": 2, "identical": 1}


def test_a_constant_reference_has_no_vif(tmp_path, real, stored):
    flat, mask = np.full((SIDE, SIDE, 3), 80, np.uint8), np.eye(SIDE, dtype=bool)
    texture = toy_texture(Seed(9), SIDE)
    stored(tmp_path / "all", "native", [(texture, mask, flat)] * 2, product="weave", defect="spot")
    value = measure(tmp_path / "all", real, "vif", pairing="source").types[0].metrics["vif"]
    assert (math.isnan(value.value), value.reason) == (True, "constant")
    stored(tmp_path / "some", "native", [(texture, mask, flat), (texture, mask, texture)], product="weave", defect="spot")
    found = measure(tmp_path / "some", real, "vif", pairing="source").types[0]
    assert found.metrics["vif"].value == pytest.approx(1, abs=1e-9)
    assert found.counts["vif"] == {"pairs": 2, "constant": 1}


def double_loop(vectors, references):
    joined = [int(np.argmin([distance(v, r) for r in references])) for v in vectors]
    clusters = [[v for v, j in zip(vectors, joined, strict=True) if j == k] for k in range(len(references))]
    means = [np.mean([distance(a, b) for a, b in itertools.permutations(c, 2)]) for c in clusters if len(c) > 1]
    return float(np.mean(means)), [len(c) for c in clusters]


def test_ic_lpips_is_the_double_loop_of_whole_pictures_and_of_regions(made, real):
    found = measure(made, real, "ic_lpips", "ic_lpips_a", "ic_lpips_a_norm").types[0]
    net = quality_nets("random-0").pairs
    mine, theirs = pixels(made / "weave" / "scratch" / "image"), pixels(real.root / "test" / "scratch")
    expected, sizes = double_loop(net.vectors(signed(mine)), net.vectors(signed(theirs)))
    whole = found.metrics[f"ic_lpips{NAME}"]
    assert whole.value == pytest.approx(expected, rel=1e-6)
    assert found.counts[f"ic_lpips{NAME}"]["cluster_sizes"] == sizes
    assert found.counts[f"ic_lpips{NAME}"]["clusters_left_out"] == sum(size < 2 for size in sizes)
    assert whole.record.protocol == "honest"
    assert whole.record.details["cap"] == "none"
    assert "all real ones of the same type" in whole.record.details["references"]
    filled = found.metrics[f"ic_lpips_zero_filled{NAME}"].value
    assert filled == pytest.approx(expected * sum(size > 1 for size in sizes) / len(sizes), rel=1e-6)
    marked = [m[..., :1] > 127 for m in pixels(made / "weave" / "scratch" / "mask")]
    others = [m[..., :1] > 127 for m in pixels(real.root / "ground_truth" / "scratch")]
    a = net.vectors(signed([np.where(m, x, 0).astype(np.uint8) for x, m in zip(mine, marked, strict=True)]))
    b = net.vectors(signed([np.where(m, x, 0).astype(np.uint8) for x, m in zip(theirs, others, strict=True)]))
    regions, _ = double_loop(a, b)
    assert found.metrics[f"ic_lpips_a{NAME}"].value == pytest.approx(regions, rel=1e-6)
    assert found.metrics[f"ic_lpips_a_norm{NAME}"].value == pytest.approx(regions / np.mean([m.mean() for m in marked]), rel=1e-6)


def test_pictures_without_masks_are_left_out_of_the_regions_and_counted(tmp_path, real, stored, made):
    triples = [(*toy_defect(Seed(4).child(i), SIDE, "spot"), None) for i in range(3)]
    empty = (triples[0][0], np.zeros((SIDE, SIDE), bool), None)
    stored(tmp_path / "set", "native", [*triples, empty], product="weave", defect="spot")
    found = measure(tmp_path / "set", real, "ic_lpips_a").types[0]
    assert found.metrics[f"ic_lpips_a{NAME}"].record.excluded == 1
    assert found.counts[f"ic_lpips_a{NAME}"]["without_mask"] == 1
    for i, image in enumerate(pixels(made / "weave" / "spot" / "image")):
        put(tmp_path / "plain" / "spot" / f"{i}.png", image)
    value = measure(tmp_path / "plain", real, "ic_lpips_a_norm").types[0].metrics[f"ic_lpips_a_norm{NAME}"]
    assert value.reason == "no_masks"


def test_identical_generated_pictures_have_no_diversity(tmp_path, real):
    for i in range(4):
        put(tmp_path / "spot" / f"{i}.png", toy_texture(Seed(0), SIDE))
    value = measure(tmp_path, real, "ic_lpips").types[0].metrics[f"ic_lpips{NAME}"]
    assert value.value == pytest.approx(0, abs=1e-9)


def test_names_and_order_of_files_do_not_matter(tmp_path, made, real):
    for i, image in enumerate(pixels(made / "weave" / "scratch" / "image")):
        put(tmp_path / "a" / "scratch" / f"{i:02d}.png", image)
        put(tmp_path / "b" / "scratch" / f"{50 - i}.png", image)
    one, other = (measure(tmp_path / name, real, extractor="efficientnet-lite0").mean for name in "ab")
    assert set(one) > {f"{name}@efficientnet-lite0" for name in ("kid", "inception_score", "fid", "ic_lpips")}
    for name, value in one.items():
        if value.defined:
            assert other[name].value == pytest.approx(value.value, rel=1e-6), name


def test_few_pictures_and_few_clusters_are_told_of_the_kind(tmp_path, real, stored):
    triples = [(*toy_defect(Seed(4).child(i), SIDE, "scratch"), None) for i in range(2)]
    stored(tmp_path, "native", [triples[0], triples[0], triples[1]], product="weave", defect="scratch")
    (kind,) = measure(tmp_path, real, "fid", "ic_lpips", "ssim").types
    few, clusters = kind.notes
    assert few.startswith(f"fid{NAME} of few pictures (3 generated and 5 real pictures, below 2048) is biased upwards")
    assert re.search(rf"few clusters have two pictures: ic_lpips{NAME} rests on [12] of 5;", clusters)
    assert kind.to_json()["notes"] == [few, clusters]
    assert measure(tmp_path, real, "ssim", "kid").types[0].notes == ()


def test_generated_pictures_that_are_real_ones_are_counted(tmp_path, real):
    source = real.root / "test" / "scratch"
    copied = read_image(source / "0.png")
    put(tmp_path / "scratch" / "other_name.bmp", copied)
    put(tmp_path / "scratch" / "1.png", copied)
    put(tmp_path / "scratch" / "2.png", copied ^ (np.arange(copied.size).reshape(copied.shape) == 0))
    (note,) = measure(tmp_path, real, "ssim").types[0].notes
    assert note == "2 of the 3 generated pictures have the very pixels of real ones"


@pytest.mark.parametrize("compat", ["seas", "dfmgan", "anomalydiffusion"])
def test_released_code_counts_otherwise_and_says_so(made, real, compat):
    found = measure(made, real, "ic_lpips", compat=compat)
    value = found.types[0].metrics[f"ic_lpips{NAME}"]
    assert value.record.protocol == "as_released"
    assert value.record.details["compat"] == compat
    ours = measure(made, real, "ic_lpips").types[0].metrics[f"ic_lpips{NAME}"]
    assert "protocol" in value.record.differences(ours.record)
    assert any("this run with random-0" in note for note in found.notes)
    sizes = found.types[0].counts[f"ic_lpips{NAME}"]["cluster_sizes"]
    assert len(sizes) == (1 if compat == "anomalydiffusion" else 5)


def test_bytes_as_is_move_pictures_to_other_clusters(made, real):
    """Not with random-0: without biases its features keep their direction under any scale."""
    found = [
        measure(made, real, "ic_lpips", compat=compat, extractor="efficientnet-lite0").types[0] for compat in (None, "dfmgan")
    ]
    sizes = [each.counts["ic_lpips@efficientnet-lite0"]["cluster_sizes"] for each in found]
    assert sum(sizes[0]) == sum(sizes[1]) == 12
    assert sizes[0] != sizes[1]


# --- means


def test_means_are_over_kinds_then_over_products_and_good_is_none_of_them(tmp_path, real):
    plain = {}
    for product in ("weave", "x"):
        for defect, count in (("scratch", 3), ("spot", 2), ("good", 2)):
            for i in range(count):
                seed = Seed(5).child(product, i)
                image = toy_texture(seed, SIDE) if defect == "good" else toy_defect(seed, SIDE, defect)[0]
                put(tmp_path / "plain" / product / defect / f"{i}.png", image)
    found = measure(tmp_path / "plain", two_products(real), "ssim", "psnr")
    assert [(each.product, each.defect) for each in found.types] == [
        (p, d) for p in ("weave", "x") for d in ("good", "scratch", "spot")
    ]
    for product in ("weave", "x"):
        kinds = [each.metrics["ssim"].value for each in found.types if each.product == product and each.defect != "good"]
        plain[product] = found.products[product]["ssim"]
        assert plain[product].value == pytest.approx(np.mean(kinds))
        assert plain[product].record.categories == ("scratch", "spot")
    assert found.mean["ssim"].value == pytest.approx(np.mean([value.value for value in plain.values()]))
    assert found.mean["ssim"].record.categories == ("weave", "x")
    assert found.types[0].metrics["ssim"].record.normals == 8


def test_a_kind_without_a_number_is_left_out_of_the_mean_and_named():
    record = ProtocolRecord("psnr")
    numbers = {"a": (20.0, None), "b": (math.nan, "constant"), "c": (math.inf, None)}
    values = {name: MetricValue(number, reason, record) for name, (number, reason) in numbers.items()}
    mean = means_of({name: {"psnr": value} for name, value in values.items()})["psnr"]
    assert (mean.value, mean.record.left_out) == (20.0, ("b", "c"))
    assert means_of({"c": {"psnr": values["c"]}})["psnr"].value == math.inf


def test_too_few_pictures_have_no_number(tmp_path, real):
    put(tmp_path / "spot" / "0.png", toy_texture(Seed(0), SIDE))
    found = measure_quality(tmp_path, real, Rules(side=SIDE), extractor="efficientnet-lite0").types[0].metrics
    for name in ("inception_score", "fid", "kid", "kid_full", "ic_lpips"):
        assert found[f"{name}@efficientnet-lite0"].reason == "too_few_samples"
    assert found["ssim"].reason is None
    nothing = replace(real, samples=tuple(sample for sample in real.samples if sample.is_normal))
    found = measure_quality(tmp_path, nothing, Rules(side=SIDE), extractor="random-0").types[0].metrics
    assert {value.reason for value in found.values()} <= {"too_few_samples", "no_masks"}


# --- what is refused, and what is told


def test_names_and_sizes_are_checked_first():
    with pytest.raises(UnknownName, match="did you mean fid"):
        Rules(("fids",))
    with pytest.raises(UnknownName, match="pairing"):
        Rules(pairing="some")
    with pytest.raises(UnknownName, match="did you mean seas"):
        Rules(compat="sea")
    for side, metrics, told in (
        (40, (), "vif needs at least 41"),
        (10, ("ssim",), "ssim needs at least 11"),
        (0, (), "1 to 4096"),
    ):
        with pytest.raises(BadParameter, match=told):
            Rules(metrics, side=side)
    assert Rules(("psnr",), side=2).pair_side == 2


def test_what_the_networks_cannot_give(made, real):
    with pytest.raises(BadParameter, match="random-0 has none; expected an extractor that has"):
        measure(made, real, "inception_score")
    with pytest.raises(BadParameter, match="lpips needs at least 32"):
        measure(made, real, "lpips", side=31)
    with pytest.raises(NeedUnmet, match="needs the weights of vgg16"):
        measure(made, real, "lpips", extractor="lpips-vgg16")
    found = measure(made, real)
    assert {name.partition("@")[0] for name in found.mean} == {
        *QUALITY_METRICS,
        "kid_full",
        "ic_lpips_zero_filled",
        "ic_lpips_a_zero_filled",
    } - {"inception_score"}
    assert any("has no classes" in note for note in found.notes)


def test_a_source_that_is_not_known_is_refused(tmp_path, real):
    put(tmp_path / "spot" / "0.png", toy_texture(Seed(0), SIDE))
    with pytest.raises(DataError, match="--pairing source: write the set with `flawsmith synth --clean`") as raised:
        measure(tmp_path, real, "ssim", pairing="source")
    assert raised.value.code == "E_PAIRS"


def test_a_picture_that_cannot_be_read_is_named(tmp_path, real):
    (tmp_path / "spot").mkdir()
    (tmp_path / "spot" / "0.png").write_bytes(b"no picture")
    with pytest.raises(DataError, match=r"spot/0.png is no image"):
        measure(tmp_path, real, "ssim")


def test_formats_of_files_are_what_they_hold(tmp_path, real):
    image = toy_texture(Seed(0), SIDE)
    put(tmp_path / "spot" / "0.jpg", image)
    put(tmp_path / "spot" / "1.png", image)
    value = measure(tmp_path, real, "ssim").types[0].metrics["ssim"]
    assert value.record.details["generated_format"] == "JPEG+PNG"
    other = measure(tmp_path, real, "ssim").types[0].metrics["ssim"].record
    jpeg = replace(other, details={**other.details, "generated_format": "JPEG"})
    assert value.record.differences(jpeg) == ("generated_format",)


def test_names_with_a_suffix_come_with_a_warning(made, real):
    assert any("do not put them beside published ones" in note for note in measure(made, real, "lpips").notes)


def test_what_is_held_is_bounded():
    made = []
    held = Held(lambda i: made.append(i) or np.zeros(10), 5, 200, lambda value: value.nbytes)
    for i in (0, 1, 2, 2, 3, 0, 1, 2):
        held[i]
    assert made == [0, 1, 2, 3, 2]
    held.clear()
    held[0]
    assert made[-1] == 0


def test_resizing_is_bilinear_without_antialias():
    image = np.zeros((4, 4, 3), np.uint8)
    image[:, 1:3] = 200
    assert resized(image, 2)[0, :, 0].tolist() == [100, 100]
    assert resized(image, 4) is image
    assert resized(image, 8, "nearest")[0, :, 0].tolist() == [0, 0, 200, 200, 200, 200, 0, 0]
