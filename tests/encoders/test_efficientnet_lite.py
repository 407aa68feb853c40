from pathlib import Path

import numpy as np
import pytest
import skimage.data
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from flawsmith.core.errors import DamagedFile
from flawsmith.data.resize import resize_image
from flawsmith.encoders.efficientnet_lite import (
    EfficientNetLite0,
    SameConv,
    load_packaged,
    packaged_weights,
    read_tensors,
    same_padding,
)
from flawsmith.encoders.hub import build_encoder

GOLDEN = Path(__file__).parents[1] / "golden" / "efficientnet_lite0_logits.npz"
LAYERS = ("stem", "layer1", "layer2", "layer3", "layer4")


@pytest.fixture(scope="module")
def classifier() -> EfficientNetLite0:
    return load_packaged(EfficientNetLite0(classifier=True))


def photograph(name: str) -> torch.Tensor:
    pixels = resize_image(getattr(skimage.data, name)(), (224, 224))
    return torch.from_numpy(pixels).permute(2, 0, 1)[None].float() / 255


@pytest.mark.parametrize("name", ["astronaut", "coffee", "rocket"])
def test_logits_are_those_of_the_weights_own_package(classifier: EfficientNetLite0, name: str) -> None:
    golden = np.load(GOLDEN)[name]
    found = classifier.logits(photograph(name))[0].numpy()
    np.testing.assert_allclose(found, golden, atol=1e-4)
    assert found.argmax() == golden.argmax()


def test_a_symmetric_padding_would_be_noticed(classifier: EfficientNetLite0, monkeypatch: pytest.MonkeyPatch) -> None:
    honest = classifier.logits(photograph("coffee"))
    monkeypatch.setattr("flawsmith.encoders.efficientnet_lite.same_padding", lambda side, kernel, stride: (kernel // 2,) * 2)
    assert (classifier.logits(photograph("coffee")) - honest).abs().max() > 0.1


def test_another_input_range_would_be_noticed(classifier: EfficientNetLite0, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(EfficientNetLite0, "norm", "imagenet")
    golden = np.load(GOLDEN)["coffee"]
    assert np.abs(classifier.logits(photograph("coffee"))[0].numpy() - golden).max() > 0.1


def test_it_has_the_published_size() -> None:
    assert sum(parameter.numel() for parameter in EfficientNetLite0(classifier=True).parameters()) == 4_652_008


@pytest.mark.parametrize("side", [128, 224, 256, 320])
def test_channels_and_strides_are_as_declared(side: int) -> None:
    encoder = build_encoder("efficientnet_lite0")
    found = encoder.extract(torch.rand(1, 3, side, side), LAYERS)
    assert {layer: tuple(x.shape[1:]) for layer, x in found.items()} == {
        "stem": (32, side // 2, side // 2),
        "layer1": (24, side // 4, side // 4),
        "layer2": (40, side // 8, side // 8),
        "layer3": (112, side // 16, side // 16),
        "layer4": (320, side // 32, side // 32),
    }
    assert {layer: (encoder.channels[layer], side // encoder.strides[layer]) for layer in LAYERS} == {
        layer: tuple(x.shape[1:3]) for layer, x in found.items()
    }


def test_odd_sizes_round_up() -> None:
    found = build_encoder("efficientnet_lite0").extract(torch.rand(1, 3, 100, 75), LAYERS)
    assert [tuple(x.shape[2:]) for x in found.values()] == [(50, 38), (25, 19), (13, 10), (7, 5), (4, 3)]


@given(side=st.integers(1, 300), kernel=st.sampled_from([1, 3, 5]), stride=st.sampled_from([1, 2]))
def test_same_padding_follows_tensorflow(side: int, kernel: int, stride: int) -> None:
    before, after = same_padding(side, kernel, stride)
    outputs = (side + before + after - kernel) // stride + 1
    assert outputs == -(-side // stride)
    assert 0 <= after - before <= 1


def test_a_one_pixel_kernel_shows_where_the_window_sits() -> None:
    convolution = SameConv(1, 1, 3, 2, bias=False)
    torch.nn.init.zeros_(convolution.weight)
    with torch.no_grad():
        convolution.weight[0, 0, 0, 0] = 1
    image = torch.arange(64.0).reshape(1, 1, 8, 8)
    assert torch.equal(convolution(image), image[:, :, ::2, ::2])  # nothing is padded before, one pixel after


def test_folding_the_norm_changes_nothing(classifier: EfficientNetLite0) -> None:
    block, x = classifier._blocks[4], torch.rand(2, 40, 16, 16)
    inner = F.relu6(block._bn0(block._expand_conv(x)))
    inner = F.relu6(block._bn1(block._depthwise_conv(inner)))
    torch.testing.assert_close(block(x), block._bn2(block._project_conv(inner)) + x, rtol=1e-4, atol=1e-4)


def test_the_trunk_stops_where_it_may(monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = build_encoder("efficientnet_lite0", deepest="layer3")
    assert len(encoder._blocks) == 11
    run: list[str] = []
    stage = EfficientNetLite0.stage
    monkeypatch.setattr(EfficientNetLite0, "stage", lambda self, layer, x: run.append(layer) or stage(self, layer, x))
    encoder.extract(torch.rand(1, 3, 64, 64), ["layer1"])
    assert run == ["stem", "layer1"]


def test_a_shallower_trunk_says_the_same() -> None:
    image = torch.rand(1, 3, 64, 64)
    deep = build_encoder("efficientnet_lite0").extract(image, ["layer2"])["layer2"]
    assert torch.equal(build_encoder("efficientnet_lite0", deepest="layer2").extract(image, ["layer2"])["layer2"], deep)


def spoiled(tmp_path: Path, change: object) -> Path:
    table = read_tensors(packaged_weights())
    change(table)  # type: ignore[operator]
    torch.save(table, tmp_path / "spoiled.pth")
    return tmp_path / "spoiled.pth"


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda table: table.pop("_conv_stem.weight"), "_conv_stem.weight is missing"),
        (lambda table: table.update(extra=torch.zeros(1)), "extra is unexpected"),
        (lambda table: table.update({"_fc.bias": torch.zeros(7)}), r"_fc.bias is \(7,\), not \(1000,\)"),
    ],
)
def test_weights_that_do_not_fit_are_refused(tmp_path: Path, change: object, complaint: str) -> None:
    with pytest.raises(DamagedFile, match=complaint):
        load_packaged(EfficientNetLite0(deepest="layer1"), spoiled(tmp_path, change))


class Harmful:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return exec, ("raise SystemExit('a pickle was run')",)


def test_a_pickle_with_code_is_refused_and_not_run(tmp_path: Path) -> None:
    torch.save({"_fc.bias": Harmful()}, tmp_path / "harmful.pth")
    with pytest.raises(DamagedFile, match="cannot be read as weights"):
        read_tensors(tmp_path / "harmful.pth")


@pytest.mark.parametrize("content", [b"", b"<html>not found</html>"])
def test_a_file_that_holds_no_weights_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "weights.pth").write_bytes(content)
    with pytest.raises(DamagedFile, match="cannot be read as weights"):
        read_tensors(tmp_path / "weights.pth")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DamagedFile, match=r"nowhere\.pth"):
        read_tensors(tmp_path / "nowhere.pth")


def test_a_list_is_no_table(tmp_path: Path) -> None:
    torch.save([torch.zeros(1)], tmp_path / "list.pth")
    with pytest.raises(DamagedFile, match="no table of tensors"):
        read_tensors(tmp_path / "list.pth")
