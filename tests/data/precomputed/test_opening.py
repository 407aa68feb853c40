"""Sets made elsewhere: which layout a folder has, which files belong together, what is left out, and what is refused."""

import hashlib
import json
import shutil
from collections import Counter

import cv2
import numpy as np
import pytest
from PIL import Image as Pillow

from flawsmith.core.errors import BadParameter, DamagedFile, DataError, UnknownName
from flawsmith.data.precomputed.opening import LAYOUTS, choose, open_set, validate
from flawsmith.data.precomputed.pixels import digests_of, read_pair
from flawsmith.data.tree import scan

PAIR_LAYOUTS = ("native", "anomalydiffusion", "dfmgan", "asbench-triplet")


def contents(listing, threshold=0.5):
    """The multiset of (image, mask, origin) that a listing leads to."""
    found = Counter()
    for pair in listing.pairs:
        pixels = read_pair(listing.root, pair, threshold)
        origin = None if pixels.origin is None else pixels.origin.tobytes()
        found[pixels.image.tobytes(), pixels.mask.tobytes(), origin] += 1
    return found


def expected(pairs):
    return Counter((i.tobytes(), m.tobytes(), None if o is None else o.tobytes()) for i, m, o in pairs)


def mask_png(path, values, mode="L"):
    path.parent.mkdir(parents=True, exist_ok=True)
    Pillow.fromarray(values, mode).save(path) if mode != "P" else _palette(path, values)


def _palette(path, values):
    picture = Pillow.fromarray(values, "P")
    picture.putpalette([0, 0, 0, 128, 0, 0, 0, 128, 0] + [0] * 759)
    picture.save(path)


def refused(error, told, call):
    with pytest.raises(error, match=told) as caught:
        call()
    assert "\n" not in str(caught.value)
    return caught.value


# --- reading


@pytest.mark.parametrize("layout", PAIR_LAYOUTS)
def test_what_was_written_is_read_pixel_by_pixel(stored, drawn_pairs, tmp_path, layout):
    pairs = drawn_pairs(12)
    listing = open_set(stored(tmp_path / "set", layout, pairs))
    assert listing.layout == layout
    assert contents(listing) == expected(pairs)
    assert open_set(listing.root, layout).pairs == listing.pairs
    assert {pair.defect for pair in listing.pairs} == {"unknown" if layout == "asbench-triplet" else "dent"}
    assert listing.products == ("tiles",)


@pytest.mark.parametrize("layout", PAIR_LAYOUTS)
def test_origins_may_be_missing(stored, drawn_pairs, tmp_path, layout):
    pairs = [(image, mask, None) for image, mask, _ in drawn_pairs(3)]
    listing = open_set(stored(tmp_path / "set", layout, pairs))
    assert contents(listing) == expected(pairs)
    assert not validate(listing.root, listing.pairs).twins


@pytest.mark.parametrize("layout", PAIR_LAYOUTS)
def test_ten_is_never_paired_with_two(stored, drawn_pairs, tmp_path, layout):
    listing = open_set(stored(tmp_path / "set", layout, drawn_pairs(12)))
    for pair in listing.pairs:
        numbers = {path.rsplit("/", 1)[-1].split(".")[0].split("_")[0] for path in pair.files.values()}
        assert len(numbers) == 1
    images = [pair.image.rsplit("/", 1)[-1].split(".")[0].split("_")[0] for pair in listing.pairs]
    assert images == [str(number) for number in range(12)]


def test_the_order_of_the_disk_does_not_count(stored, drawn_pairs, tmp_path):
    root = stored(tmp_path / "set", "anomalydiffusion", drawn_pairs(5))
    backwards = tmp_path / "again"
    for path in sorted(root.rglob("*.png"), reverse=True):
        (backwards / path.relative_to(root)).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, backwards / path.relative_to(root))
    assert open_set(backwards).pairs == open_set(root).pairs


def test_a_set_per_type_alone_names_no_product(stored, drawn_pairs, tmp_path):
    root = stored(tmp_path / "set", "anomalydiffusion", drawn_pairs(3))
    listing = open_set(root / "tiles")
    assert listing.products == ()
    assert choose(listing, "anything") == listing.pairs


def test_previews_and_reconstructions_are_left_aside(stored, drawn_pairs, tmp_path):
    pairs = drawn_pairs(3)
    root = stored(tmp_path / "set", "anomalydiffusion", pairs)
    for extra in ("recon", "image-mask"):
        shutil.copytree(root / "tiles" / "dent" / "ori", root / "tiles" / "dent" / extra)
        (root / "tiles" / "dent" / extra / "0.png").unlink()
    assert contents(open_set(root)) == expected(pairs)


def test_gaps_in_the_numbers_do_not_matter(stored, drawn_pairs, tmp_path):
    pairs = drawn_pairs(4)
    root = stored(tmp_path / "set", "anomalydiffusion", pairs)
    for folder in ("image", "mask", "ori"):
        (root / "tiles" / "dent" / folder / "1.png").unlink()
    assert contents(open_set(root)) == expected(pairs[:1] + pairs[2:])


def test_the_plain_names_of_a_triplet(stored, drawn_pairs, tmp_path):
    pairs = drawn_pairs(3)
    root = stored(tmp_path / "set", "asbench-triplet", pairs)
    for name, plain in (("tiles_sort", "image"), ("tiles_mask_sort", "mask"), ("tiles_origin_sort", "ori")):
        (root / name).rename(root / plain)
    listing = open_set(root)
    assert (listing.layout, listing.products) == ("asbench-triplet", ())
    assert contents(listing) == expected(pairs)


def test_masks_named_after_their_image(stored, drawn_pairs, tmp_path):
    pairs = drawn_pairs(3)
    root = stored(tmp_path / "set", "anomalydiffusion", pairs)
    for mask in (root / "tiles" / "dent" / "mask").iterdir():
        mask.rename(mask.with_name(f"{mask.stem}_mask.png"))
    assert contents(open_set(root)) == expected(pairs)


# --- which layout


def test_two_readings_are_told_with_both_names(stored, drawn_pairs, tmp_path):
    root = stored(tmp_path / "set", "anomalydiffusion", drawn_pairs(2))
    stored(root, "dfmgan", drawn_pairs(2), product="nuts")
    told = r"read in 2 ways: anomalydiffusion: .*; or dfmgan: .*precomputed\.layout=anomalydiffusion\|dfmgan"
    refused(DataError, told, lambda: open_set(root))
    assert open_set(root, "dfmgan").products == ("nuts",)


def test_no_reading_lists_what_is_expected(tmp_path):
    (tmp_path / "notes.txt").write_text("nothing")
    error = refused(DataError, "no synthetic set of a known layout", lambda: open_set(tmp_path))
    assert error.code == "E_LAYOUT"
    assert all(name in str(error) for name in LAYOUTS)
    refused(DataError, "does not exist", lambda: open_set(tmp_path / "gone"))
    refused(UnknownName, "did you mean dfmgan", lambda: open_set(tmp_path, "dfmgn"))


def test_pictures_without_masks_are_textures(stored, drawn_pairs, tmp_path):
    for number, (image, _, _) in enumerate(drawn_pairs(3)):
        (tmp_path / "bottle").mkdir(exist_ok=True)
        cv2.imwrite(str(tmp_path / "bottle" / f"rank0_{number}.jpg"), image)
    assert LAYOUTS["sdas"].fits(scan(tmp_path))
    told = r"pictures without masks.*preset=realnet .*memseg\.textures=.*/bottle/"
    refused(DataError, told, lambda: open_set(tmp_path))
    refused(DataError, told, lambda: open_set(tmp_path, "sdas"))


# --- pairing


def test_names_that_never_agree_are_paired_by_position_with_a_word(stored, drawn_pairs, tmp_path):
    pairs = drawn_pairs(12)
    root = stored(tmp_path / "set", "asbench-triplet", pairs)
    for mask in (root / "tiles_mask_sort").iterdir():
        mask.rename(mask.with_name(f"m{mask.stem}.png"))
    listing = open_set(root)
    assert contents(listing) == expected(pairs)
    (note,) = listing.notes
    shown = ", ".join(f"tiles_sort/{n}.png with tiles_mask_sort/m{n}.png" for n in range(3))
    assert f"paired by position: {shown}; check" in note


@pytest.mark.parametrize("layout", PAIR_LAYOUTS)
def test_numbers_that_differ_are_told_with_the_names(stored, drawn_pairs, tmp_path, layout):
    root = stored(tmp_path / "set", layout, drawn_pairs(4))
    masks = {"dfmgan": "tiles/dent/2_mask.png", "asbench-triplet": "tiles_mask_sort/2.png"}
    mask = root / masks.get(layout, "tiles/dent/mask/2.png")
    mask.rename(tmp_path / "aside.png")
    error = refused(DataError, r"2(_img)?\.png has no mask.*4 images, 3 masks", lambda: open_set(root))
    assert error.code == "E_PAIRS"
    (tmp_path / "aside.png").rename(mask)
    image = open_set(root).pairs[1].image
    (root / image).unlink()
    refused(DataError, "belongs to no image.*3 images, 4 masks", lambda: open_set(root))


def test_one_name_of_many_astray_is_no_case_for_positions(stored, drawn_pairs, tmp_path):
    root = stored(tmp_path / "set", "anomalydiffusion", drawn_pairs(4))
    (root / "tiles/dent/mask/2.png").rename(root / "tiles/dent/mask/two.png")
    refused(DataError, r"image/2\.png has no mask \(and 1 more", lambda: open_set(root))


def test_two_files_of_one_name(stored, drawn_pairs, tmp_path):
    root = stored(tmp_path / "set", "anomalydiffusion", drawn_pairs(2))
    shutil.copy(root / "tiles/dent/image/1.png", root / "tiles/dent/image/1.jpg")
    refused(DataError, "one name but for the suffix", lambda: open_set(root))


@pytest.mark.parametrize(("gone", "told"), [("mask", "no folder of masks"), ("image", "no folder of images")])
def test_a_missing_folder_of_the_three_is_named(stored, drawn_pairs, tmp_path, gone, told):
    root = stored(tmp_path / "set", "asbench-triplet", drawn_pairs(2))
    shutil.rmtree(root / ("tiles_mask_sort" if gone == "mask" else "tiles_sort"))
    refused(DataError, told, lambda: open_set(root, "asbench-triplet"))


def test_a_type_without_masks_is_named(stored, drawn_pairs, tmp_path):
    root = stored(tmp_path / "set", "anomalydiffusion", drawn_pairs(2))
    stored(root, "anomalydiffusion", drawn_pairs(2), defect="scratch")
    shutil.rmtree(root / "tiles/scratch/mask")
    refused(DataError, "tiles/scratch holds image and no mask", lambda: open_set(root))


def test_a_folder_without_images_says_what_it_holds(stored, drawn_pairs, tmp_path):
    root = stored(tmp_path / "set", "anomalydiffusion", drawn_pairs(2))
    for path in (root / "tiles/dent/mask").iterdir():
        path.rename(path.with_suffix(".npy"))
    refused(DataError, r"mask holds no image \(it holds \.npy\); expected .*png", lambda: open_set(root))


# --- choosing


@pytest.fixture
def several(stored, drawn_pairs, tmp_path):
    root = tmp_path / "several"
    for product, defect in (("tiles", "dent"), ("tiles", "scratch"), ("nuts", "dent")):
        stored(root, "anomalydiffusion", drawn_pairs(12), product=product, defect=defect)
    return open_set(root)


def test_product_types_and_number(several):
    assert len(choose(several, "tiles")) == 24
    assert {pair.defect for pair in choose(several, "tiles", ["scratch"])} == {"scratch"}
    few = choose(several, "nuts", max_per_type=3)
    assert [pair.image for pair in few] == [f"nuts/dent/image/{n}.png" for n in (0, 1, 2)]
    assert len(choose(several, "tiles", max_per_type=3)) == 6


def test_unknown_products_and_types_are_listed(several):
    refused(UnknownName, "no product 'bottle'; .*several holds nuts, tiles", lambda: choose(several, "bottle"))
    refused(
        UnknownName,
        "no type of defect 'scrath'; did you mean scratch.*holds dent, scratch",
        lambda: choose(several, "tiles", ["scrath"]),
    )
    refused(BadParameter, "types holds 'good'", lambda: choose(several, "tiles", ["good"]))


def test_a_folder_called_good_holds_no_anomalies(stored, drawn_pairs, tmp_path):
    root = stored(tmp_path / "set", "anomalydiffusion", drawn_pairs(2))
    stored(root, "anomalydiffusion", drawn_pairs(2), defect="good")
    assert {pair.defect for pair in open_set(root).pairs} == {"dent"}


# --- masks


def test_a_jpeg_mask_with_ringing_becomes_two_valued(stored, drawn_pairs, tmp_path):
    pairs = drawn_pairs(4, side=64)
    root = stored(tmp_path / "set", "anomalydiffusion", pairs, suffix=".jpg")
    listing = open_set(root)
    raw = cv2.imread(str(root / listing.pairs[0].mask), cv2.IMREAD_UNCHANGED)
    assert len(np.unique(raw)) > 2
    for pair, (_, mask, _) in zip(listing.pairs, pairs, strict=True):
        read = read_pair(root, pair).mask
        assert read.dtype == np.bool_
        assert (read != mask).mean() < 0.01


def test_the_threshold_is_a_share_of_white(stored, drawn_pairs, tmp_path):
    root = stored(tmp_path / "set", "anomalydiffusion", drawn_pairs(1))
    ramp = np.tile(np.arange(48, dtype=np.uint8) * 5, (48, 1))
    mask_png(root / "tiles/dent/mask/0.png", ramp)
    (pair,) = open_set(root).pairs
    for threshold in (0.2, 0.5, 0.9):
        np.testing.assert_array_equal(read_pair(root, pair, threshold).mask, ramp > threshold * 255)


@pytest.mark.parametrize("mode", ["zero-one", "one-bit", "rgb", "palette"])
def test_forms_of_lossless_masks(stored, drawn_pairs, tmp_path, mode):
    pairs = drawn_pairs(2)
    root = stored(tmp_path / "set", "anomalydiffusion", pairs)
    for number, (_, mask, _) in enumerate(pairs):
        path, values = root / f"tiles/dent/mask/{number}.png", mask.astype(np.uint8)
        if mode == "one-bit":
            Pillow.fromarray(mask).save(path)
        elif mode == "palette":
            mask_png(path, values + values * (np.arange(48, dtype=np.uint8) % 2), "P")
        else:
            mask_png(path, values if mode == "zero-one" else np.repeat(values[..., None] * 255, 3, axis=2), None)
    listing = open_set(root)
    assert contents(listing) == expected(pairs)
    notes = validate(root, listing.pairs).notes
    assert [("palette" in note, "every index but 0" in note) for note in notes] == ([(True, True)] if mode == "palette" else [])


@pytest.mark.parametrize("kind", ["deep", "coloured", "jpeg-coloured", "half-transparent", "broken", "web-page"])
def test_unreadable_files_are_named(stored, drawn_pairs, tmp_path, kind):
    root = stored(tmp_path / "set", "anomalydiffusion", drawn_pairs(3))
    path = root / "tiles/dent/mask/1.png"
    colour = np.zeros((48, 48, 3), np.uint8)
    colour[10:30, 10:30] = (200, 20, 90)
    if kind == "deep":
        cv2.imwrite(str(path), np.full((48, 48), 40000, np.uint16))
    elif kind == "coloured":
        mask_png(path, colour, "RGB")
    elif kind == "jpeg-coloured":
        path.unlink()
        path = path.with_suffix(".jpg")
        Pillow.fromarray(colour).save(path)
    elif kind == "half-transparent":
        Pillow.fromarray(np.full((48, 48, 4), 100, np.uint8)).save(path)
    elif kind == "broken":
        path = root / "tiles/dent/image/1.png"
        path.write_bytes(b"\x89PNG half")
    else:
        path.write_bytes(b"<html>not found</html>")
    listing = open_set(root)
    error = refused(DataError, str(path), lambda: validate(root, listing.pairs))
    assert error.code in ("E_MODE", "E_CORRUPT")


def test_sizes_are_made_to_agree_and_told_once(stored, drawn_pairs, tmp_path):
    pairs = drawn_pairs(3)
    root = stored(tmp_path / "set", "anomalydiffusion", pairs)
    doubled = np.kron(pairs[1][1], np.ones((2, 2), bool))
    for number in (1, 2):
        mask_png(root / f"tiles/dent/mask/{number}.png", doubled.astype(np.uint8) * 255)
    cv2.imwrite(str(root / "tiles/dent/ori/2.png"), np.zeros((96, 96, 3), np.uint8))
    listing = open_set(root)
    notes = validate(root, listing.pairs).notes
    assert [note.partition(",")[0] for note in notes] == [
        "2 masks have another size than their image and are resized to it",
        "1 origins have another size than their image and are resized to it",
    ]
    read = read_pair(root, listing.pairs[1])
    np.testing.assert_array_equal(read.mask, pairs[1][1])
    assert read_pair(root, listing.pairs[2]).origin.shape == (48, 48, 3)


# --- empty masks


@pytest.fixture
def with_empty(stored, drawn_pairs, tmp_path):
    pairs = drawn_pairs(5)
    pairs[1] = (pairs[1][0], np.zeros_like(pairs[1][1]), pairs[1][2])
    pairs[3] = (pairs[3][0], np.ones_like(pairs[3][1]), pairs[3][2])
    return open_set(stored(tmp_path / "empty", "dfmgan", pairs))


def test_empty_and_full_masks_are_left_out_with_a_count(with_empty):
    usable = validate(with_empty.root, with_empty.pairs)
    assert [pair.image[-9:] for pair in usable.pairs] == [f"t/{n}_img.png"[-9:] for n in (0, 2, 4)]
    assert usable.normals == ()
    assert usable.notes[0].startswith("1 of 5 pairs have an empty mask and are left out, such as tiles/dent/1_mask.png")
    assert usable.notes[1].startswith(
        "1 of 5 masks cover over 95% of the picture and are left out, such as tiles/dent/3_mask.png"
    )


def test_empty_masks_may_stand_for_normals_or_be_an_error(with_empty):
    usable = validate(with_empty.root, with_empty.pairs, on_empty_mask="normal")
    assert [pair.mask for pair in usable.normals] == ["tiles/dent/1_mask.png"]
    assert "stand for normals" in usable.notes[0]
    error = refused(
        DataError, r"1_mask\.png marks nothing", lambda: validate(with_empty.root, with_empty.pairs, on_empty_mask="error")
    )
    assert error.code == "E_EMPTY_MASK"


@pytest.mark.parametrize(
    ("value", "code", "told"), [(0, "E_EMPTY_MASK", "marks nothing"), (255, "E_MASK_VALUES", "over 95%.*inverted")]
)
@pytest.mark.parametrize("policy", ["skip", "normal"])
def test_all_empty_or_all_full_is_an_error(stored, drawn_pairs, tmp_path, value, code, told, policy):
    pairs = [(image, np.full_like(mask, value > 0), origin) for image, mask, origin in drawn_pairs(3)]
    listing = open_set(stored(tmp_path / "set", "dfmgan", pairs))
    call = lambda: validate(listing.root, listing.pairs, on_empty_mask=policy)  # noqa: E731
    assert refused(DataError, f"none of the 3 masks.*{told}", call).code == code


# --- native layout v1


def test_the_native_layout_tells_what_it_was_made_from(stored, drawn_pairs, tmp_path):
    root = stored(tmp_path / "set", "native", drawn_pairs(3), pad=6)
    split = {"policy": "floor", "train": {"dent": ["000", "001"]}}
    (root / "synth.json").write_text(json.dumps({"schema_version": 1, "split": split}))
    lines = [json.dumps({"id": f"{n:06d}", "seed": n, "source_normal": f"train/good/{n:03d}.png"}) for n in range(3)]
    (root / "tiles/dent/meta.jsonl").write_text("\n".join(lines))
    listing = open_set(root)
    assert [pair.source for pair in listing.pairs] == [f"train/good/{n:03d}.png" for n in range(3)]
    assert listing.tells
    assert listing.named == {"tiles": {f"train/good/{n:03d}.png" for n in range(3)}}
    assert listing.real == {"tiles": {("dent", "000"), ("dent", "001")}}
    assert listing.uses_real_anomalies


@pytest.mark.parametrize("home", ["product", "type"])
def test_the_stems_of_a_split_may_stand_by_product_or_by_type(stored, drawn_pairs, tmp_path, home):
    root = stored(tmp_path / "set", "native", drawn_pairs(2))
    header = {"schema_version": 1}
    if home == "product":
        header["split"] = {"policy": "floor", "train": {"tiles": {"dent": ["007"]}, "nuts": {"dent": ["008"]}}}
    else:
        (root / "tiles/dent/split.json").write_text(json.dumps({"policy": "floor", "n": 20, "train": ["007"]}))
    (root / "synth.json").write_text(json.dumps(header))
    assert open_set(root).real == {"tiles": {("dent", "007")}}


def test_a_native_set_that_tells_nothing(stored, drawn_pairs, tmp_path):
    listing = open_set(stored(tmp_path / "set", "native", drawn_pairs(2)))
    assert not listing.tells
    assert not listing.uses_real_anomalies


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("synth.json", '{"schema_version": 7}', "schema_version 7; expected 1"),
        ("synth.json", "{", r"synth\.json cannot be read"),
        ("synth.json", "[]", r"holds no synth\.json"),
        ("tiles/dent/meta.jsonl", '{"seed": 1}', r"meta\.jsonl line 0 has no id"),
        ("tiles/dent/meta.jsonl", "seed", "line 0 is no JSON"),
        ("manifest.jsonl", "", "format None; expected 1"),
    ],
)
def test_a_native_set_that_cannot_be_understood(stored, drawn_pairs, tmp_path, name, content, told):
    root = stored(tmp_path / "set", "native", drawn_pairs(2))
    (root / name).write_text(content)
    refused((DamagedFile, DataError), told, lambda: open_set(root))


# --- digests


def test_digests_are_those_of_the_files(stored, drawn_pairs, tmp_path):
    listing = open_set(stored(tmp_path / "set", "dfmgan", drawn_pairs(1)))
    (pair,) = listing.pairs
    told = digests_of(listing.root, pair)
    assert told == {kind: hashlib.sha256((listing.root / path).read_bytes()).hexdigest() for kind, path in pair.files.items()}
    (listing.root / pair.mask).unlink()
    refused(DamagedFile, "cannot be read", lambda: digests_of(listing.root, pair))


def test_the_state_changes_with_the_files(stored, drawn_pairs, tmp_path):
    listing = open_set(stored(tmp_path / "set", "dfmgan", drawn_pairs(2)))
    before = validate(listing.root, listing.pairs).state
    assert validate(listing.root, listing.pairs).state == before
    with (listing.root / listing.pairs[0].image).open("ab") as stream:
        stream.write(b" ")
    assert validate(listing.root, listing.pairs).state != before
