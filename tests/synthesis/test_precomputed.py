"""Anomalies from a folder: which one, at which size, with which twin, and what the record says."""

import hashlib
import json
import shutil
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from flawsmith.core.errors import BadParameter, DamagedFile, DataError, NeedUnmet, NotFitted, UnknownName, UsageError
from flawsmith.core.recipes import parse_methods
from flawsmith.core.requests import Request
from flawsmith.core.samples import SupportSet
from flawsmith.core.seeding import Seed
from flawsmith.core.synthesizer import Heritage, check_needs, heritage_of
from flawsmith.data.resize import resize_image, resize_mask_nearest
from flawsmith.learning.stream import AnomalyStream
from flawsmith.synthesis import build
from flawsmith.synthesis.precomputed import Precomputed
from flawsmith.synthesis.sets import replay, synthesize
from flawsmith.synthesis.writing import write_set

SUPPORT = SupportSet((), product="tiles")


def fitted(folder, support=SUPPORT, **params):
    return Precomputed.from_params({"folder": str(folder), **params}).fit(support)


def drawn(method, n, normal=None, **fields):
    return method.synthesize([Request(normal, Seed(4, ("item", i)), **fields) for i in range(n)])


@pytest.fixture
def four(stored, drawn_pairs, tmp_path):
    """Four pairs of 48×48 with origins, in AnomalyDiffusion's layout."""
    return stored(tmp_path / "four", "anomalydiffusion", drawn_pairs(4))


@pytest.fixture
def written(tiles, tmp_path):
    """A set that we wrote ourselves: eight dents and eight of each method's own name, with clean pictures."""
    write_set(synthesize(tiles, "cutpaste,draem", 16, seed=2), tmp_path / "set", clean=True)
    return tmp_path / "set"


# --- what comes out


@pytest.mark.parametrize("layout", ["native", "anomalydiffusion", "dfmgan", "asbench-triplet"])
def test_the_pairs_of_every_layout_come_out_as_they_are(stored, drawn_pairs, tmp_path, layout):
    pairs = drawn_pairs(6)
    anomalies = drawn(fitted(stored(tmp_path / "set", layout, pairs)), 80)
    found = {(a.image.tobytes(), a.mask.tobytes(), a.clean.tobytes()) for a in anomalies}
    assert found == {(image.tobytes(), mask.tobytes(), origin.tobytes()) for image, mask, origin in pairs}
    assert {a.twin for a in anomalies} == {"own"}
    assert {a.provenance.status for a in anomalies} == {"ok"}


def test_our_own_sets_come_back(tiles, written):
    lines = [json.loads(line) for line in (written / "manifest.jsonl").read_text().splitlines()]
    by_path = {line["files"]["image"]["path"]: line for line in lines}
    source = synthesize(tiles, "cutpaste,draem", 16, seed=2)
    for anomaly in drawn(fitted(written), 40):
        line = by_path[anomaly.provenance.drawn["files"]["image"]["path"]]
        made = source[line["index"]]
        np.testing.assert_array_equal(anomaly.image, made.image)
        np.testing.assert_array_equal(anomaly.mask, made.mask)
        np.testing.assert_array_equal(anomaly.clean, made.clean)
        assert anomaly.defect == made.defect == line["defect"]
        assert anomaly.provenance.drawn["source"] == line["source"]
        assert anomaly.provenance.drawn["files"] == {
            kind: line["files"][{"origin": "clean"}.get(kind, kind)] for kind in ("image", "mask", "origin")
        }


def test_what_took_no_defect_is_no_anomaly(tiles, tmp_path):
    write_set(synthesize(tiles, "draem", 8, settings=["draem.preset=asbench"]), tmp_path / "set")
    line = json.loads((tmp_path / "set" / "manifest.jsonl").read_text().splitlines()[0])
    assert line["defect"] == "draem"
    text = (tmp_path / "set" / "manifest.jsonl").read_text()
    (tmp_path / "set" / "manifest.jsonl").write_text(text.replace('"defect":"draem"', '"defect":"good"', 1))
    assert len(fitted(tmp_path / "set")._set.usable.pairs) == 7


def test_the_normal_decides_the_size(four, drawn_pairs, normal, noise):
    pairs = {image.tobytes(): (image, mask, origin) for image, mask, origin in drawn_pairs(4)}
    own = drawn(fitted(four), 12)
    for size in ((48, 48), (32, 70), (96, 96)):
        resized = drawn(fitted(four), 12, normal(noise(*size)))
        for anomaly, unchanged in zip(resized, own, strict=True):
            image, mask, origin = pairs[unchanged.image.tobytes()]
            np.testing.assert_array_equal(anomaly.image, resize_image(image, size))
            np.testing.assert_array_equal(anomaly.mask, resize_mask_nearest(mask, size))
            np.testing.assert_array_equal(anomaly.clean, resize_image(origin, size))
            assert anomaly.provenance.normal_id == "p/train/good/0"


def test_without_an_origin_there_is_no_twin(stored, drawn_pairs, tmp_path):
    bare = fitted(stored(tmp_path / "set", "dfmgan", [(image, mask, None) for image, mask, _ in drawn_pairs(3)]))
    assert {(a.clean is None, a.twin) for a in drawn(bare, 6)} == {(True, "none")}
    assert not bare.traits.twins
    assert not Precomputed.traits.twins


def test_a_mask_that_vanishes_at_the_size_is_drawn_again_and_in_the_end_a_normal(stored, drawn_pairs, normal, noise, tmp_path):
    dot = np.zeros((48, 48), bool)
    dot[1, 1] = True
    (image, _, origin), *rest = drawn_pairs(2)
    vanishing = (image, dot, origin)
    assert not resize_mask_nearest(dot, (32, 32)).any() or not resize_mask_nearest(dot, (36, 36)).any()
    size = (32, 32) if not resize_mask_nearest(dot, (32, 32)).any() else (36, 36)
    start = normal(noise(*size))
    both = drawn(fitted(stored(tmp_path / "both", "dfmgan", [vanishing, *rest])), 24, start)
    assert all(a.mask.any() and a.provenance.status == "ok" for a in both)
    assert max(a.provenance.attempts for a in both) > 1
    (alone,) = drawn(fitted(stored(tmp_path / "alone", "dfmgan", [vanishing])), 1, start)
    assert (alone.is_normal, alone.twin, alone.provenance.status) == (True, "normal", "no_placement")
    np.testing.assert_array_equal(alone.image, start.image())


# --- which one


def test_pairs_are_drawn_alike(stored, drawn_pairs, tmp_path):
    """Chi-square at p = 0.001 over nine pairs of two types, eight degrees of freedom."""
    root = stored(tmp_path / "set", "anomalydiffusion", drawn_pairs(6))
    stored(root, "anomalydiffusion", drawn_pairs(9)[6:], defect="scratch")
    counts = Counter(a.provenance.drawn["files"]["image"]["path"] for a in drawn(fitted(root), 3600))
    assert len(counts) == 9
    assert sum((count - 400) ** 2 / 400 for count in counts.values()) < 26.1
    kinds = Counter(a.defect for a in drawn(fitted(root, weights="uniform_type"), 3600))
    assert abs(kinds["dent"] - 1800) < 3 * np.sqrt(3600 / 4)


def test_a_named_defect_is_one_of_its_pairs(stored, drawn_pairs, tmp_path):
    root = stored(tmp_path / "set", "anomalydiffusion", drawn_pairs(6))
    stored(root, "anomalydiffusion", drawn_pairs(9)[6:], defect="scratch")
    assert {a.defect for a in drawn(fitted(root), 20, defect="scratch")} == {"scratch"}
    with pytest.raises(UnknownName, match=r"no defect 'scrtch'; did you mean scratch\?; .*set holds dent, scratch"):
        drawn(fitted(root), 1, defect="scrtch")


def test_types_and_number_of_each(stored, drawn_pairs, tmp_path):
    root = stored(tmp_path / "set", "anomalydiffusion", drawn_pairs(6))
    stored(root, "anomalydiffusion", drawn_pairs(9), defect="scratch")
    chosen = fitted(root, types=["scratch"], max_per_type=2)
    assert {a.provenance.drawn["files"]["image"]["path"] for a in drawn(chosen, 30)} == {
        "tiles/scratch/image/0.png",
        "tiles/scratch/image/1.png",
    }


def test_the_product_has_its_name_an_alias_or_a_given_one(stored, drawn_pairs, tmp_path):
    root = stored(tmp_path / "set", "anomalydiffusion", drawn_pairs(3), product="capsule")
    stored(root, "anomalydiffusion", drawn_pairs(3), product="bottle")
    btad = SupportSet((), product="btad_01")
    for params in ({"product": "capsule"}, {"aliases": {"btad_01": "capsule"}}):
        anomaly = drawn(fitted(root, btad, **params), 1)[0]
        assert anomaly.provenance.drawn["files"]["image"]["path"].startswith("capsule/")
    with pytest.raises(UnknownName, match=r"no product 'btad_01'.*set holds bottle, capsule"):
        fitted(root, btad)


def test_listing_order_on_disk_changes_nothing(four, tmp_path):
    backwards = tmp_path / "backwards"
    for path in sorted(four.rglob("*.png"), reverse=True):
        (backwards / path.relative_to(four)).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, backwards / path.relative_to(four))
    one, other = drawn(fitted(four), 12), drawn(fitted(backwards), 12)
    assert [a.image.tobytes() for a in one] == [a.image.tobytes() for a in other]
    assert [a.provenance.drawn for a in one] == [a.provenance.drawn for a in other]


@pytest.mark.parametrize("percent", [0.0, 0.25, 0.5, 1.0])
def test_the_share_of_anomalies_over_ten_thousand_draws(four, normal, noise, percent):
    stream = AnomalyStream([normal(noise(32, 32))], [(fitted(four), 1.0)], percent, (32, 32), Seed(3))
    share = np.mean([stream._is_anomalous(i, stream.seed.child("item", i)) for i in range(10_000)])
    assert abs(share - percent) <= 3 * np.sqrt(percent * (1 - percent) / 10_000)
    some = [stream[i] for i in range(300)]
    assert {item.maker for item in some if item.label} <= {"precomputed"}
    assert abs(np.mean([item.label for item in some]) - percent) <= 3 * np.sqrt(percent * (1 - percent) / 300)


# --- empty masks


@pytest.fixture
def with_empty(stored, drawn_pairs, tmp_path):
    pairs = drawn_pairs(2)
    pairs.append((pairs[0][0], np.zeros_like(pairs[0][1]), pairs[0][2]))
    return stored(tmp_path / "empty", "dfmgan", pairs)


def test_empty_masks_are_skipped_or_normals(with_empty, drawn_pairs, normal, noise):
    start = normal(noise(48, 48))
    assert not any(a.is_normal for a in drawn(fitted(with_empty), 40, start))
    origin = drawn_pairs(1)[0][2]
    for source, shown, twin in (("train_good", start.image(), "normal"), ("origin", origin, "own")):
        made = drawn(fitted(with_empty, on_empty_mask="normal", normal_source=source), 40, start)
        normals = [a for a in made if a.is_normal]
        assert normals
        for anomaly in normals:
            np.testing.assert_array_equal(anomaly.image, shown)
            assert (anomaly.twin, anomaly.provenance.status, anomaly.provenance.attempts) == (twin, "no_placement", 1)
    with pytest.raises(DataError, match="marks nothing"):
        fitted(with_empty, on_empty_mask="error")
    with pytest.raises(NeedUnmet, match="a normal in place of"):
        drawn(fitted(with_empty, on_empty_mask="normal"), 40)


# --- replay and record


def test_a_line_makes_the_same_pixels_again(tiles, written):
    made = synthesize(tiles, "precomputed", 6, size=48, settings=[f"precomputed.folder={written}"])
    for anomaly in made:
        again = replay({"provenance": anomaly.provenance.to_json()}, tiles)
        np.testing.assert_array_equal(again.image, anomaly.image)
        np.testing.assert_array_equal(again.mask, anomaly.mask)
        assert again.provenance == anomaly.provenance


def test_a_set_from_a_set_says_what_both_were_made_from(tiles, written, four, tmp_path):
    settings = [f"precomputed.folder={written}"]
    for workers in (0, 2):
        out = tmp_path / f"out{workers}"
        write_set(synthesize(tiles, "precomputed:3,cutpaste:1", 8, settings=settings), out, clean=True, workers=workers)
    names = [sorted(p.relative_to(tmp_path / f"out{w}") for p in (tmp_path / f"out{w}").rglob("*")) for w in (0, 2)]
    assert names[0] == names[1]
    assert (tmp_path / "out0" / "manifest.jsonl").read_bytes() == (tmp_path / "out2" / "manifest.jsonl").read_bytes()
    header = json.loads((tmp_path / "out0" / "synth.json").read_text())
    before = json.loads((written / "synth.json").read_text())
    assert header["trained_on"] == before["trained_on"]
    assert not header["uses_real_anomalies"]
    other = synthesize(tiles, "precomputed", 4, settings=[f"precomputed.folder={four}"])
    write_set(other, tmp_path / "unknown")
    header = json.loads((tmp_path / "unknown" / "synth.json").read_text())
    assert header["uses_real_anomalies"]
    assert "does not say which photographs it was made from" in header["warnings"][0]
    assert heritage_of(fitted(tmp_path / "unknown")).uses_real_anomalies


def test_a_result_is_never_written_into_the_set(tiles, written):
    made = synthesize(tiles, "precomputed", 4, settings=[f"precomputed.folder={written}"])
    before = hashlib.sha256((written / "manifest.jsonl").read_bytes()).hexdigest()
    with pytest.raises(Exception, match="lie in one another"):
        write_set(made, written, overwrite=True)
    assert hashlib.sha256((written / "manifest.jsonl").read_bytes()).hexdigest() == before


def test_our_own_set_tells_its_photographs(tiles, written):
    heritage = fitted(written).heritage
    assert heritage.ids == {s.id for s in tiles.samples if s.is_normal and s.split == "train"}
    assert (heritage.warnings, heritage.uses_real_anomalies, heritage.folders) == ((), False, (written,))
    renamed = fitted(written, SupportSet((), product="plates"), product="tiles").heritage
    assert renamed.ids == frozenset()
    assert "made from photographs of tiles, which is called plates here" in renamed.warnings[0]


@pytest.mark.parametrize("layout", ["native", "anomalydiffusion", "dfmgan", "asbench-triplet"])
def test_other_layouts_say_that_nothing_is_known(stored, drawn_pairs, tmp_path, layout):
    method = fitted(stored(tmp_path / "set", layout, drawn_pairs(2)))
    assert any("does not say which photographs it was made from" in warning for warning in method.heritage.warnings)
    assert method.traits.uses_real_anomalies == (layout != "native")


def test_a_mix_carries_what_its_members_bring(written, four):
    both = build(parse_methods("precomputed,cutpaste", [f"precomputed.folder={four}"])).fit(SUPPORT)
    assert (both.traits.twins, both.traits.uses_real_anomalies, both.traits.local) == (True, True, False)
    assert both.heritage == fitted(four).heritage
    assert build(parse_methods("draem,cutpaste")).fit(SUPPORT).heritage == Heritage()


# --- refusals


def test_without_a_folder_it_says_how_to_give_one():
    method = Precomputed.from_params({})
    for call in (method.check_needs, lambda: method.fit(SUPPORT), lambda: drawn(method, 1)):
        with pytest.raises(NeedUnmet, match=r"name it with --set precomputed\.folder=\./SET"):
            call()
    with pytest.raises(NeedUnmet, match=r"precomputed\.folder"):
        check_needs(build(parse_methods("draem,precomputed")))


def test_what_is_missing_is_said_before_any_work(tiles, tmp_path):
    with pytest.raises(NeedUnmet, match=r"precomputed\.folder"):
        synthesize(tiles, "draem,precomputed", 4)
    with pytest.raises(DataError, match="gone does not exist"):
        synthesize(tiles, "precomputed", 4, settings=[f"precomputed.folder={tmp_path / 'gone'}"])


def test_requests_it_cannot_answer(four, normal, noise):
    with pytest.raises(NotFitted):
        drawn(Precomputed.from_params({"folder": str(four)}), 1)
    with pytest.raises(UsageError, match="takes no mask"):
        drawn(fitted(four), 1, normal(noise(48, 48)), mask=np.ones((48, 48), bool))
    with pytest.raises(BadParameter, match="expects at least 32"):
        drawn(fitted(four), 1, normal(noise(31, 48)))


@pytest.mark.parametrize(
    ("params", "told"),
    [
        ({"layout": "mvtec"}, "layout is 'mvtec'"),
        ({"max_per_type": 0}, "max_per_type is 0"),
        ({"mask_threshold": 1}, "mask_threshold is 1"),
        ({"types": "dent"}, "types is 'dent'"),
        ({"product": 1}, "product is 1"),
        ({"weights": "random"}, "weights is 'random'"),
    ],
)
def test_parameters_outside_their_range(four, params, told):
    with pytest.raises(BadParameter, match=told):
        fitted(four, **params)


def test_types_that_are_not_there(four):
    with pytest.raises(UnknownName, match=r"no type of defect 'scratch'.*holds dent"):
        fitted(four, types=["scratch"])
    with pytest.raises(BadParameter, match="types holds 'good'"):
        fitted(four, types=["good"])


@pytest.mark.parametrize("damage", ["changed", "gone", "line", "outside", "header"])
def test_a_damaged_set_of_ours_is_named(tiles, written, damage):
    line = json.loads((written / "manifest.jsonl").read_text().splitlines()[0])
    image = written / line["files"]["image"]["path"]
    manifest = written / "manifest.jsonl"
    if damage == "changed":
        image.write_bytes(image.read_bytes() + b"\0")
        told = "was changed since it was written"
    elif damage == "gone":
        image.unlink()
        told = "000000.png of manifest.jsonl line 0 is missing"
    elif damage == "line":
        manifest.write_text(manifest.read_text()[:-40])
        told = "line 15 is no JSON"
    elif damage == "outside":
        manifest.write_text(manifest.read_text().replace(line["files"]["mask"]["path"], "../../etc/passwd"))
        told = "expected a file inside the set"
    else:
        header = json.loads((written / "synth.json").read_text())
        (written / "synth.json").write_text(json.dumps({**header, "format": 2}))
        told = "format 2; expected 1"
    with pytest.raises(DamagedFile, match=told):
        drawn(fitted(written), 60)


def test_the_traits_of_the_class_do_not_depend_on_instances(four):
    before = Precomputed.traits
    fitted(four)
    assert Precomputed.traits is before
    assert replace(before, twins=True, uses_real_anomalies=True) == fitted(four).traits
