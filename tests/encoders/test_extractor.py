import pytest
import torch
from torch import nn

from flawsmith.core.errors import BadParameter, DataError, UnknownName
from flawsmith.core.seeding import Seed
from flawsmith.encoders.extractor import LAYERS, MEAN_STD, FeatureExtractor, check_layers
from flawsmith.encoders.hub import BACKBONES, build_encoder

IMAGE = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))


@pytest.fixture(params=list(BACKBONES))
def encoder(request: pytest.FixtureRequest) -> FeatureExtractor:
    return build_encoder(request.param, pretrained=False, seed=Seed(0))


def buffers(encoder: nn.Module) -> list[torch.Tensor]:
    return [buffer.clone() for buffer in encoder.buffers()]


def test_channels_and_strides_hold(encoder: FeatureExtractor) -> None:
    for layer, found in encoder.extract(IMAGE, LAYERS).items():
        side = 64 // encoder.strides[layer]
        assert found.shape == (2, encoder.channels[layer], side, side)


def test_it_stays_in_eval_mode_and_gives_no_gradients(encoder: FeatureExtractor) -> None:
    before = buffers(encoder)
    encoder.train()
    found = encoder.extract(IMAGE, ["layer4"])["layer4"]
    assert not any(module.training for module in encoder.modules())
    assert not found.requires_grad
    assert not any(parameter.requires_grad for parameter in encoder.parameters())
    assert all(torch.equal(a, b) for a, b in zip(before, encoder.buffers(), strict=True))


def test_thawing_reaches_the_named_layers_and_leaves_the_statistics(encoder: FeatureExtractor) -> None:
    before = buffers(encoder)
    encoder.thaw(["layer4"])
    encoder.train()
    encoder(IMAGE, LAYERS)["layer4"].square().mean().backward()
    inside = {id(p) for module in encoder.stage_modules("layer4") for p in module.parameters()}
    for parameter in encoder.parameters():
        assert (parameter.grad is not None) == (id(parameter) in inside)
    assert all(torch.equal(a, b) for a, b in zip(before, encoder.buffers(), strict=True))


def test_thawing_with_statistics_moves_them_until_frozen_again(encoder: FeatureExtractor) -> None:
    encoder.thaw(["stem"], batch_statistics=True)
    encoder.train()
    before = buffers(encoder)
    encoder(IMAGE, LAYERS)
    assert not all(torch.equal(a, b) for a, b in zip(before, encoder.buffers(), strict=True))
    encoder.freeze()
    encoder.train()
    assert not any(module.training for module in encoder.modules())


def test_grey_is_the_middle_of_every_range() -> None:
    for mean, std in MEAN_STD.values():
        assert len(mean) == len(std) == 3
        assert all(0 <= m < 1 and 0 < s <= 1 for m, s in zip(mean, std, strict=True))


def test_efflite_range_is_that_of_the_weights() -> None:
    encoder = build_encoder("efficientnet_lite0", pretrained=False, deepest="stem")
    levels = torch.tensor([0, 127, 255]) / 255
    found = encoder.normalised(levels[None, None, None].expand(1, 3, 1, 3))[0, 0, 0]
    torch.testing.assert_close(found, torch.tensor([-127 / 128, 0.0, 1.0]), rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("image", "code"),
    [
        (torch.rand(1, 1, 64, 64), "E_PIXELS"),
        (torch.rand(3, 64, 64), "E_PIXELS"),
        (torch.rand(1, 3, 64, 31), "E_SIZE"),
        (torch.full((1, 3, 64, 64), torch.nan), "E_PIXELS"),
        (torch.rand(1, 3, 64, 64).index_fill(3, torch.tensor([5]), torch.inf), "E_PIXELS"),
    ],
)
def test_bad_images_are_refused(encoder: FeatureExtractor, image: torch.Tensor, code: str) -> None:
    with pytest.raises(DataError) as refused:
        encoder.extract(image, ["layer4"])
    assert refused.value.code == code


def test_unknown_layers_list_the_known_ones() -> None:
    with pytest.raises(UnknownName, match="did you mean layer2"):
        check_layers(["layer1", "layer9"])


@pytest.mark.parametrize("layers", [[], ["layer3", "layer2"], ["layer2", "layer2"]])
def test_layers_run_from_fine_to_coarse(layers: list[str]) -> None:
    with pytest.raises(BadParameter, match="fine to coarse"):
        check_layers(layers)


def test_a_layer_that_was_not_built_is_refused() -> None:
    encoder = build_encoder("tiny_cnn", pretrained=False, seed=Seed(0), deepest="layer2")
    with pytest.raises(BadParameter, match="layer3"):
        encoder.extract(IMAGE, ["layer3"])
