"""Images of more than 8 bits: refused without a scale, read alike with one, and by everything that is made from them."""

import json

import cv2
import numpy as np
import pytest
from PIL import Image

from flawsmith.cli.app import run
from flawsmith.core.errors import BadParameter, DataError
from flawsmith.data import load
from flawsmith.data.layouts import with_scale
from flawsmith.data.reading import Scale, read_deep, read_image
from flawsmith.data.scales import parse_scale, refuse_other_scale, scale_of

RNG = np.random.default_rng(0)
GREY = RNG.integers(0, 65536, (5, 7)).astype(np.uint16)
COLOUR = RNG.integers(0, 65536, (5, 7, 3)).astype(np.uint16)


def written(path, values):
    path.parent.mkdir(parents=True, exist_ok=True)
    if values.dtype == np.uint16:
        cv2.imwrite(str(path), values if values.ndim == 2 else values[..., [2, 1, 0, 3][: values.shape[2]]])
    else:
        Image.fromarray(values).save(path)
    return path


@pytest.mark.parametrize("suffix", ["png", "tif"])
@pytest.mark.parametrize("values", [GREY, COLOUR], ids=["grey", "colour"])
def test_every_bit_counts(tmp_path, suffix, values):
    path = written(tmp_path / f"deep.{suffix}", values)
    assert (read_deep(path) == values).all()
    image = read_image(path, parse_scale("divide:65535"))
    expected = np.rint(values / 65535 * 255).astype(np.uint8)
    assert image.shape == (5, 7, 3)
    assert (image == (expected if values.ndim == 3 else expected[..., None])).all()


def test_float_and_long_images_are_scaled(tmp_path):
    floats = written(tmp_path / "f.tif", np.array([[-1.0, 0.0, 0.5, 1.0, 3.0]], np.float32))
    assert read_image(floats, parse_scale("range:0..1"))[0, :, 0].tolist() == [0, 0, 128, 255, 255]
    longs = written(tmp_path / "i.tif", np.array([[0, 50_000, 100_000]], np.int32))
    assert read_image(longs, parse_scale("divide:100000"))[0, :, 0].tolist() == [0, 128, 255]


def test_an_opaque_alpha_is_dropped_and_another_refused(tmp_path):
    opaque = np.dstack([COLOUR, np.full((5, 7), 65535, np.uint16)])
    assert (read_deep(written(tmp_path / "a.png", opaque)) == COLOUR).all()
    opaque[0, 0, 3] = 65534
    with pytest.raises(DataError, match="partly transparent") as caught:
        read_deep(written(tmp_path / "b.png", opaque))
    assert caught.value.code == "E_MODE"


def test_the_exif_orientation_is_applied_to_deep_images_too(tmp_path):
    picture = Image.fromarray(GREY)
    exif = Image.Exif()
    exif[0x0112] = 6
    picture.save(tmp_path / "turned.png", exif=exif)
    upright = read_image(tmp_path / "turned.png", parse_scale("divide:65535"))
    assert (upright[..., 0] == np.rot90(np.rint(GREY / 65535 * 255), -1)).all()


@pytest.mark.parametrize("share", [0.3, 0.9])
def test_truncated_deep_images_are_refused(tmp_path, share):
    for values in (GREY, COLOUR):
        big = np.tile(values, (30, 30) if values.ndim == 2 else (30, 30, 1))
        path = written(tmp_path / "whole.png", big)
        path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
        with pytest.raises(DataError) as caught:
            read_image(path, parse_scale("divide:65535"))
        assert caught.value.code == "E_CORRUPT"


def refused(path, scale):
    with pytest.raises(DataError) as caught:
        read_image(path, None if scale is None else parse_scale(scale))
    assert caught.value.code == "E_MODE"
    return str(caught.value)


def test_without_a_scale_the_message_names_the_option(tmp_path):
    told = refused(written(tmp_path / "deep.png", GREY), None)
    assert "--scale divide:65535 or --scale minmax-dataset" in told


def test_eight_bits_need_no_scale(tmp_path):
    told = refused(written(tmp_path / "flat.png", GREY.astype(np.uint8)), "divide:65535")
    assert "has 8 bits per channel" in told
    assert "leave out --scale" in told


def test_values_above_white_and_nan_are_refused(tmp_path):
    deep = written(tmp_path / "deep.png", np.array([[0, 4096]], np.uint16))
    assert "values from 0 to 4096; expected 0 to 4095" in refused(deep, "divide:4095")
    holed = written(tmp_path / "nan.tif", np.array([[0, np.nan]], np.float32))
    assert "NaN or infinite" in refused(holed, "range:0..1")


@pytest.mark.parametrize(
    "text", ["", "divide", "divide:0", "divide:-1", "divide:x", "range:1", "range:2..1", "range:1..1", "range:0..inf", "minmax"]
)
def test_other_scales_are_refused(text):
    with pytest.raises(BadParameter, match="minmax-dataset, divide:V"):
        parse_scale(text)


@pytest.mark.parametrize("scale", [Scale(0, 65535, strict=True), Scale(-0.1, 1 / 3), Scale(120, 4032)])
def test_a_scale_is_spelled_so_that_it_comes_back_exactly(scale):
    assert parse_scale(str(scale)) == scale


def test_a_layout_carries_one_scale():
    assert with_scale("auto", None) == "auto"
    assert with_scale("auto", "divide:9") == "auto:scale=divide:9"
    assert with_scale("folder:normal=fine", "divide:9") == "folder:normal=fine,scale=divide:9"
    with pytest.raises(BadParameter, match="has a scale already"):
        with_scale("auto:scale=divide:9", "divide:8")


@pytest.fixture
def deep(tmp_path):
    """Seven good ones from 1000 to 3000, tested ones from 500 to 9000."""
    root = tmp_path / "deep"
    rng = np.random.default_rng(1)
    for number in range(7):
        values = rng.integers(1001, 3000, (40, 48)).astype(np.uint16)
        values[0, :2] = 1000, 3000
        written(root / f"train/good/{number}.png", values)
    for folder in ("good", "dent"):
        for number in range(2):
            values = rng.integers(1000, 3001, (40, 48)).astype(np.uint16)
            values[0, :2] = 500, 9000
            written(root / f"test/{folder}/{number}.png", values)
    mask = np.zeros((40, 48), np.uint8)
    mask[5:15, 5:15] = 255
    for number in range(2):
        written(root / f"ground_truth/dent/{number}_mask.png", mask)
    return root


def test_minmax_is_of_the_good_ones_that_are_not_tested_on(deep):
    data = load(deep, scale="minmax-dataset")
    assert scale_of(data) == "range:1000..3000"
    assert data.layout == "folder:scale=range:1000..3000"
    first = next(sample for sample in data.samples if sample.split == "train")
    tested = next(sample for sample in data.samples if sample.split == "test")
    assert first.image()[0, :2, 0].tolist() == [0, 255]
    assert tested.image()[0, :2, 0].tolist() == [0, 255]
    again = load(deep, data.layout)
    assert [sample.digest() for sample in again.samples] == [sample.digest() for sample in data.samples]
    with pytest.raises(DataError, match="--scale divide:65535"):
        load(deep).samples[0].image()


def test_minmax_of_eight_bits_or_of_one_value_is_refused(deep, tmp_path):
    for number in range(3):
        written(tmp_path / f"flat/good/{number}.png", np.full((9, 9), 7, np.uint16))
        written(tmp_path / f"eight/good/{number}.png", GREY.astype(np.uint8))
    with pytest.raises(DataError, match="one value in all its good images"):
        load(tmp_path / "flat", scale="minmax-dataset")
    with pytest.raises(DataError, match="8 bits per channel, which need no scale"):
        load(tmp_path / "eight", scale="minmax-dataset")


def test_data_of_another_scale_are_refused_by_name(deep):
    plain, scaled = load(deep), load(deep, scale="divide:65535")
    refuse_other_scale("divide:65535", scaled)
    refuse_other_scale("", plain)
    with pytest.raises(DataError, match=r"read with no scale, .* divide:65535; .* --scale divide:65535"):
        refuse_other_scale("divide:65535", plain)
    with pytest.raises(DataError, match=r"trained with none; .* no --scale"):
        refuse_other_scale("", scaled)


def test_check_names_the_option_and_accepts_it(deep, capsys):
    assert run(["data", "check", str(deep)]) == 1
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert "E_MODE" in told
    assert "--scale divide:65535 or --scale minmax-dataset" in told
    assert run(["data", "check", str(deep), "--scale", "minmax-dataset"]) == 0
    told = capsys.readouterr().out
    assert "layout   folder:scale=range:1000..3000" in told
    assert "scale=" in told.splitlines()[-1]


def test_an_inspector_reads_new_photographs_as_those_it_was_trained_on(deep, tmp_path, capsys):
    model = tmp_path / "model"
    assert run(["train", str(deep), "--detector", "patchcore", "--scale", "minmax-dataset", "--out", str(model)]) == 0
    assert json.loads((model / "inspector.json").read_text())["origin"]["scale"] == "range:1000..3000"
    new = deep / "test/dent/0.png"
    assert run(["predict", str(model), str(new), "--out", str(tmp_path / "deep_findings"), "--json"]) == 0
    assert run(["evaluate", str(model), str(deep), "--json"]) == 0
    assert run(["evaluate", str(model), str(deep), "--scale", "divide:65535"]) == 1
    told = capsys.readouterr().err
    assert "E_MODE" in told
    assert "the inspector was trained with range:1000..3000; expected the same: read it with --scale range:1000..3000" in told
    eight = written(tmp_path / "eight.png", GREY.astype(np.uint8))
    assert run(["predict", str(model), str(eight), "--out", str(tmp_path / "eight_findings")]) == 1
    assert "eight.png has 8 bits per channel; expected more, as the scale range:1000..3000 is for" in capsys.readouterr().err


def test_a_set_is_made_from_scaled_images_and_says_so(deep, tmp_path, capsys):
    arguments = ["--synth", "cutpaste", "-n", "2", "--scale", "divide:65535", "--out", str(tmp_path / "set")]
    assert run(["synth", str(deep), *arguments]) == 0
    told = json.loads((tmp_path / "set/synth.json").read_text())
    assert "scale=divide:65535" in json.dumps(told)
