import subprocess
import sys

import pytest
import torch

from flawsmith.core.errors import BadParameter, UnknownName
from flawsmith.core.seeding import Seed
from flawsmith.encoders.hub import BACKBONES, build_encoder, check_backbone
from flawsmith.encoders.initialisation import draw_orthogonal


def test_an_unknown_backbone_answers_with_the_nearest() -> None:
    with pytest.raises(UnknownName, match="did you mean efficientnet_lite0"):
        check_backbone("efficientnet_lite")


def test_random_weights_are_never_a_fallback() -> None:
    with pytest.raises(BadParameter, match=r"tiny_cnn.*pretrained=False"):
        build_encoder("tiny_cnn")


@pytest.mark.parametrize("name", BACKBONES)
def test_random_weights_are_recorded_and_follow_the_seed(name: str) -> None:
    one, same, other = (build_encoder(name, pretrained=False, seed=Seed(seed)) for seed in (1, 1, 2))
    assert one.weights == "random"
    image = torch.rand(1, 3, 64, 64)
    found = [encoder.extract(image, ["layer3"])["layer3"] for encoder in (one, same, other)]
    assert torch.equal(found[0], found[1])
    assert not torch.equal(found[0], found[2])


def test_trained_weights_are_recorded() -> None:
    assert build_encoder("efficientnet_lite0", deepest="layer1").weights == "imagenet"


def test_the_global_generator_is_left_alone() -> None:
    before = torch.get_rng_state()
    build_encoder("tiny_cnn", pretrained=False, seed=Seed(0))
    build_encoder("efficientnet_lite0")
    assert torch.equal(torch.get_rng_state(), before)


def test_drawn_rows_are_orthogonal() -> None:
    layer = torch.nn.Conv2d(8, 16, 3)
    draw_orthogonal(layer, torch.Generator().manual_seed(0))
    rows = layer.weight.detach().flatten(1)
    torch.testing.assert_close(rows @ rows.T, 2 * torch.eye(16), rtol=0, atol=1e-5)


def test_naming_a_backbone_imports_no_torch() -> None:
    code = "import sys, flawsmith.encoders.hub as hub; hub.check_backbone('tiny_cnn'); sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
