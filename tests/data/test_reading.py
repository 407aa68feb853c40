import json
import struct
from contextlib import suppress

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given
from PIL import Image

from flawsmith.core.errors import DataError, NoPixelTruth
from flawsmith.data.headers import read_header
from flawsmith.data.reading import (
    BINARY,
    FileSource,
    MaskEncoding,
    Scale,
    binary_mask,
    read_deep,
    read_image,
    read_mask_values,
)


def refused(code, call, *args):
    with pytest.raises(DataError) as caught:
        call(*args)
    assert caught.value.code == code
    assert "\n" not in str(caught.value)
    assert caught.value.files
    return str(caught.value)


def test_grey_files_become_three_equal_channels(tmp_path, trees):
    grey = trees.texture(1)[:, :, 0]
    image = read_image(trees.save(tmp_path / "a.png", grey))
    assert image.dtype == np.uint8
    assert all(np.array_equal(image[:, :, channel], grey) for channel in range(3))


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".tif", ".webp"])
def test_colour_files_come_back_as_they_were(tmp_path, trees, suffix):
    pixels = trees.texture(2)
    path = trees.save(tmp_path / f"a{suffix}", pixels, **({"lossless": True} if suffix == ".webp" else {}))
    assert np.array_equal(read_image(path), pixels)
    assert read_header(path).size == (36, 44)


@pytest.mark.parametrize("share", [0.5, 0.9, 0.99])
@pytest.mark.parametrize("suffix", [".png", ".jpg", ".bmp"])
def test_truncated_files_are_refused(tmp_path, trees, suffix, share):
    path = trees.save(tmp_path / f"a{suffix}", trees.texture(3))
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    assert "expected a whole image file" in refused("E_CORRUPT", read_image, path)


def test_empty_files_and_web_pages_are_refused(tmp_path):
    empty, page = tmp_path / "a.jpg", tmp_path / "b.png"
    empty.write_bytes(b"")
    page.write_text("<!DOCTYPE html><html><body>404</body></html>")
    assert "zero bytes" in refused("E_CORRUPT", read_image, empty)
    assert "web page" in refused("E_CORRUPT", read_image, page)
    assert "No such file" in refused("E_CORRUPT", read_image, tmp_path / "c.png")


@given(st.binary(min_size=1, max_size=200), st.integers(0, 400))
def test_damaged_bytes_are_read_or_refused_but_never_crash(tmp_path_factory, noise, place):
    path = tmp_path_factory.mktemp("noise") / "a.png"
    Image.fromarray(np.arange(300, dtype=np.uint8).reshape(10, 10, 3)).save(path)
    content = bytearray(path.read_bytes())
    content[place : place + len(noise)] = noise
    path.write_bytes(content)
    with suppress(DataError):
        assert read_image(path).ndim == 3


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_deep_images_are_refused(tmp_path, channels, suffix):
    import cv2

    path = tmp_path / f"a{suffix}"
    cv2.imwrite(str(path), np.full((9, 9, channels), 40_000, np.uint16))
    assert "more than 8 bits" in refused("E_MODE", read_image, path)
    refused("E_MODE", read_mask_values, path)


def test_float_images_are_refused(tmp_path):
    Image.fromarray(np.zeros((9, 9), np.float32)).save(tmp_path / "a.tif")
    refused("E_MODE", read_image, tmp_path / "a.tif")


def test_alpha_must_be_opaque(tmp_path, trees):
    pixels = np.dstack([trees.texture(4), np.full((36, 44), 255, np.uint8)])
    assert np.array_equal(read_image(trees.save(tmp_path / "a.png", pixels)), pixels[:, :, :3])
    pixels[0, 0, 3] = 254
    assert "transparent" in refused("E_MODE", read_image, trees.save(tmp_path / "b.png", pixels))


def test_palette_images_are_converted_and_pages_refused(tmp_path, trees):
    Image.fromarray(trees.texture(5)).quantize(8).save(tmp_path / "a.png")
    assert read_image(tmp_path / "a.png").shape == (36, 44, 3)
    first, second = (Image.fromarray(trees.texture(seed)) for seed in (6, 7))
    first.save(tmp_path / "b.tif", save_all=True, append_images=[second])
    assert "2 pictures" in refused("E_MODE", read_image, tmp_path / "b.tif")


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", [".jpg", ".png"])
def test_the_exif_orientation_is_applied(tmp_path, trees, orientation, suffix):
    from PIL import ImageOps

    picture = Image.fromarray(trees.texture(8))
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / f"a{suffix}"
    picture.save(path, exif=exif)
    expected = np.array(ImageOps.exif_transpose(Image.open(path)))
    assert np.array_equal(read_image(path), expected)
    assert read_header(path).size == expected.shape[:2]


def as_shown(pixels, orientation):
    """EXIF 2.32, table 6: which way row 0 and column 0 of the file point."""
    turns = (
        lambda a: a,
        lambda a: a[:, ::-1],
        lambda a: a[::-1, ::-1],
        lambda a: a[::-1],
        lambda a: a.swapaxes(0, 1),
        lambda a: np.rot90(a, -1),
        lambda a: a[::-1, ::-1].swapaxes(0, 1),
        lambda a: np.rot90(a),
    )
    return turns[orientation - 1](pixels)


def deep_colour_tiff(path, pixels, orientation):
    """TIFF 6.0 of uint16 H×W×3 in one strip; Pillow writes none."""
    height, width, _ = pixels.shape
    data = pixels.astype("<u2").tobytes()
    bits, strip = 8 + 2 + 10 * 12 + 4, 8 + 2 + 10 * 12 + 4 + 6
    short, long = 3, 4
    entries = [
        *((256, short, 1, width), (257, short, 1, height), (258, short, 3, bits), (259, short, 1, 1), (262, short, 1, 2)),
        *((273, long, 1, strip), (274, short, 1, orientation), (277, short, 1, 3), (278, short, 1, height)),
        (279, long, 1, len(data)),
    ]
    table = b"".join(struct.pack("<HHII", *entry) for entry in entries)
    path.write_bytes(struct.pack("<2sHIH", b"II", 42, 8, 10) + table + struct.pack("<IHHH", 0, 16, 16, 16) + data)
    return path


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", [".png", ".tif"])
@pytest.mark.parametrize("compression", [None, "tiff_lzw"])
@pytest.mark.parametrize("kind", ["grey", "colour", "deep"])
def test_orientation_turns_pixels_once(tmp_path, trees, orientation, suffix, compression, kind):
    """Pillow turns TIFFs itself, and nothing else; in some forms of TIFF it would scramble them."""
    pixels = trees.texture(8)
    stored = {"colour": pixels, "grey": pixels[..., 0], "deep": pixels[..., 0].astype(np.uint16) * 257}[kind]
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"compression": compression} if compression and suffix == ".tif" else {}
    path = trees.save(tmp_path / f"a{suffix}", stored, exif=exif, **options)
    scale = Scale(0, 65535) if kind == "deep" else None
    expected = as_shown(pixels if kind == "colour" else np.repeat(pixels[..., :1], 3, axis=2), orientation)
    assert np.array_equal(read_image(path, scale), expected)
    header = read_header(path)
    assert header.size == expected.shape[:2]
    assert (header.height, header.width) == pixels.shape[:2]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_turns_deep_colour_once(tmp_path, trees, orientation):
    deep = trees.texture(8).astype(np.uint16) * 257 + 3
    path = deep_colour_tiff(tmp_path / "a.tif", deep, orientation)
    assert read_header(path).deep
    assert np.array_equal(read_deep(path), as_shown(deep, orientation))
    assert read_header(path).size == as_shown(deep, orientation).shape[:2]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_masks_are_read_as_stored_or_refused(tmp_path, trees, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    mask = trees.blob()
    assert np.array_equal(read_mask_values(trees.save(tmp_path / "a.png", mask, exif=exif)), mask)
    turned = trees.save(tmp_path / "a.tif", mask, exif=exif)
    if orientation == 1:
        assert np.array_equal(read_mask_values(turned), mask)
    else:
        assert f"orientation tag ({orientation})" in refused("E_MODE", read_mask_values, turned)


def test_an_image_that_pillow_does_not_open_is_told_as_that(tmp_path, trees, monkeypatch):
    path = trees.save(tmp_path / "a.png", trees.texture(8))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 500)
    for call in (read_header, read_image, read_mask_values):
        told = refused("E_MODE", call, path)
        assert "more than 1000 pixels" in told
        assert "cut it into parts or scale it down" in told


def test_masks_of_wrong_kinds_are_refused(tmp_path, trees):
    mask = trees.blob()
    assert "JPEG" in refused("E_MODE", read_mask_values, trees.save(tmp_path / "a.jpg", mask))
    Image.fromarray(mask).save(tmp_path / "b.png", format="JPEG")
    assert "JPEG" in refused("E_MODE", read_mask_values, tmp_path / "b.png")
    Image.fromarray(mask).convert("P").save(tmp_path / "c.png")
    assert "palette" in refused("E_MODE", read_mask_values, tmp_path / "c.png")
    colour = np.dstack([mask, mask, mask * 0])
    assert "coloured" in refused("E_MODE", read_mask_values, trees.save(tmp_path / "d.png", colour))
    assert "compressed like one" in refused("E_MODE", read_mask_values, trees.save(tmp_path / "e.tif", mask, compression="jpeg"))
    for suffix in (".tif", ".png"):
        pages = trees.save(tmp_path / f"f{suffix}", mask, save_all=True, append_images=[Image.fromarray(255 - mask)])
        assert "holds 2 pictures" in refused("E_MODE", read_mask_values, pages)


def test_masks_of_every_right_kind_agree(tmp_path, trees):
    mask = trees.blob()
    opaque = np.full_like(mask, 255)
    kinds = {
        "grey": Image.fromarray(mask),
        "bit": Image.fromarray(mask).convert("1"),
        "colour": Image.fromarray(np.dstack([mask] * 3)),
        "alpha": Image.fromarray(np.dstack([mask, mask, mask, opaque])),
        "grey alpha": Image.fromarray(mask).convert("LA"),
        "ones": Image.fromarray(mask // 255),
    }
    for name, picture in kinds.items():
        path = tmp_path / f"{name}.png"
        picture.save(path)
        assert np.array_equal(binary_mask(path, read_mask_values(path), BINARY)[0], mask > 0), name


def test_a_few_grey_edges_are_told_and_many_refused(tmp_path, trees):
    mask = trees.blob(100, 100, side=30)
    mask[10, 20:30] = 90
    on, odd = binary_mask(tmp_path / "a.png", mask, BINARY)
    assert odd == pytest.approx(0.001)
    assert on.sum() == 900
    mask[10:20, 20:40] = 90
    with pytest.raises(DataError, match="threshold:127") as caught:
        binary_mask(tmp_path / "a.png", mask, BINARY)
    assert caught.value.code == "E_MASK_VALUES"
    on, _ = binary_mask(tmp_path / "a.png", mask, MaskEncoding.parse("threshold:127"))
    assert np.array_equal(on, mask > 127)


def source(tmp_path, trees, **mask_options):
    trees.save(tmp_path / "i.png", trees.texture(9))
    trees.save(tmp_path / "m.png", trees.blob(**mask_options))
    return FileSource(tmp_path, "i.png", "dent", ("m.png",))


def test_a_source_reads_size_image_and_regions(tmp_path, trees):
    made = source(tmp_path, trees)
    assert made.size() == (36, 44)
    assert made.image().shape == (36, 44, 3)
    (region,) = made.regions()
    assert (region.defect, int(region.mask.sum())) == ("dent", 36)


def test_a_mask_one_pixel_too_wide_is_refused(tmp_path, trees):
    told = refused("E_SIZE", source(tmp_path, trees, width=45).regions)
    assert "45×36" in told
    assert "44×36" in told


def test_an_unturned_mask_names_exif(tmp_path, trees):
    exif = Image.Exif()
    exif[0x0112] = 6
    trees.save(tmp_path / "i.jpg", trees.texture(9), exif=exif)
    trees.save(tmp_path / "m.png", trees.blob())
    assert "EXIF" in refused("E_SIZE", FileSource(tmp_path, "i.jpg", "dent", ("m.png",)).regions)


def test_a_blank_mask_is_refused_unless_it_is_known(tmp_path, trees):
    made = source(tmp_path, trees, value=0)
    assert "blank" in refused("E_EMPTY_MASK", made.regions)
    known = FileSource(tmp_path, "i.png", "dent", ("m.png",), blank=True)
    assert not known.has_mask
    with pytest.raises(NoPixelTruth):
        known.regions()


def test_normals_have_no_regions_and_anomalies_without_masks_no_truth(tmp_path, trees):
    assert FileSource(tmp_path, "i.png", "good").regions() == ()
    bare = FileSource(tmp_path, "i.png", "dent")
    assert not bare.has_mask
    with pytest.raises(NoPixelTruth):
        bare.regions()


def test_a_normal_sample_of_a_wide_image_has_a_blank_mask_of_its_shape(tmp_path, trees):
    from flawsmith.data import load

    sample = load(trees.Tree(tmp_path / "wide").image("a.png", 20, 50).write()).samples[0]
    assert sample.mask().shape == (20, 50)
    assert not sample.mask().any()


def test_png_and_bmp_copies_have_one_digest(tmp_path, trees):
    from flawsmith.data import load

    root = trees.Tree(tmp_path / "copies").images(".", ["a"]).write()
    trees.save(root / "b.bmp", read_image(root / "a.png"))
    first, second = load(root).samples
    assert first.digest() == second.digest()
    json.dumps(dict(first.tags))


def test_cmyk_is_read_as_rgb_and_told(tmp_path, trees):
    from flawsmith.data.checks import check

    root = trees.pool(tmp_path / "parts").write()
    picture = Image.fromarray(trees.texture(20)).convert("CMYK")
    picture.save(root / "good" / "1.jpg", quality=95)
    (root / "good" / "1.png").unlink()
    assert np.array_equal(read_image(root / "good" / "1.jpg"), np.array(Image.open(root / "good" / "1.jpg").convert("RGB")))
    (warning,) = [problem for problem in check(root).warnings if problem.code == "W_CMYK"]
    assert warning.files == (str(root / "good" / "1.jpg"),)


def test_the_indices_of_a_palette_are_class_ids_only_where_they_are_declared(tmp_path, trees):
    trees.save(tmp_path / "i.png", trees.texture(21))
    indices = trees.blob(value=2)
    indices[0, 0] = 1
    mask = Image.fromarray(indices).convert("P")
    mask.putpalette([0, 0, 0, 255, 0, 0, 0, 255, 0])
    mask.save(tmp_path / "m.png")
    declared = MaskEncoding("class_id", classes={"scratch": 1, "dent": 2})
    regions = FileSource(tmp_path, "i.png", "dent", ("m.png",), declared).regions()
    assert {region.defect: region.mask.tolist() for region in regions} == {
        "scratch": (indices == 1).tolist(),
        "dent": (indices == 2).tolist(),
    }
    told = refused("E_MODE", FileSource(tmp_path, "i.png", "dent", ("m.png",)).regions)
    assert "has a colour palette" in told
    short = MaskEncoding("class_id", classes={"dent": 2})
    assert "holds the class 1" in refused("E_MASK_VALUES", FileSource(tmp_path, "i.png", "dent", ("m.png",), short).regions)
