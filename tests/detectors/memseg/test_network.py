import pytest
import torch
from torch import nn

from flawsmith.detectors.memseg.network import (
    LEVELS,
    CoordinateAttention,
    MultiScaleFusion,
    SegmentationHead,
    anomaly_loss,
    spatial_attention,
)

RESNET18 = {"stem": 64, "layer1": 64, "layer2": 128, "layer3": 256, "layer4": 512}
SMALL = {"stem": 4, "layer1": 6, "layer2": 8, "layer3": 10, "layer4": 12}
STRIDES = {"stem": 2, "layer1": 4, "layer2": 8, "layer3": 16, "layer4": 32}


def features(channels: dict[str, int] = SMALL, n: int = 2, side: int = 64, seed: int = 0) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return {k: torch.randn(n, c, side // STRIDES[k], side // STRIDES[k], generator=generator) for k, c in channels.items()}


def count(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def test_at_the_papers_size_it_has_the_codes_parameters() -> None:
    with torch.device("meta"):
        assert count(SegmentationHead(RESNET18, 48)) == 7_869_202


def test_with_the_small_backbone_it_has_the_specs_size() -> None:
    lite = {"stem": 32, "layer1": 24, "layer2": 40, "layer3": 112, "layer4": 320}
    with torch.device("meta"):
        assert count(SegmentationHead(lite, 24)) == pytest.approx(1.44e6, rel=0.01)


def test_the_papers_size_runs_forward_and_backward() -> None:
    head, found = SegmentationHead(RESNET18, 48), features(RESNET18, side=64)
    logits = head(found, {level: found[level].square() for level in LEVELS})
    assert logits.shape == (2, 2, 64, 64)
    anomaly_loss(logits, torch.zeros(2, 1, 64, 64))["total"].backward()
    assert all(parameter.grad is not None for parameter in head.parameters())


@pytest.mark.parametrize("shape", [(2, 16, 8, 8), (1, 300, 4, 12), (3, 8, 9, 1)])
def test_coordinate_attention_only_weakens(shape: tuple[int, ...]) -> None:
    attention = CoordinateAttention(shape[1]).eval()
    x = 5 * torch.randn(shape, generator=torch.Generator().manual_seed(0))
    found = attention(x)
    assert found.shape == x.shape
    assert (found.abs() <= x.abs()).all()
    assert (found * x >= 0).all()


def test_coordinate_attention_gates_rows_and_columns() -> None:
    attention = CoordinateAttention(4).eval()
    x = torch.ones(1, 4, 6, 5)
    x[:, :, 2] = 3  # one row differs: the gate of columns is the same everywhere, that of rows is not
    gates = attention(x) / x
    torch.testing.assert_close(gates[..., :1].expand_as(gates), gates)
    assert not torch.allclose(gates[:, :, 2], gates[:, :, 0])


def test_without_differences_nothing_passes() -> None:
    found = features()
    none = {level: torch.zeros_like(found[level]) for level in LEVELS}
    assert all(bool((x == 0).all()) for x in MultiScaleFusion(SMALL)(found, none))


def test_spatial_attention_follows_the_coarser_level() -> None:
    fine, middle, coarse = spatial_attention([torch.ones(1, 3, 16, 16), torch.ones(1, 3, 8, 8), torch.full((1, 3, 4, 4), 2.0)])
    assert float(coarse.max()) == float(middle.max()) == float(fine.max()) == 2
    gated = spatial_attention([torch.ones(1, 3, 16, 16), torch.ones(1, 3, 8, 8), torch.zeros(1, 3, 4, 4)])
    assert all(bool((gate == 0).all()) for gate in gated)


def test_the_loss_by_hand() -> None:
    logits = torch.zeros(1, 2, 1, 2)
    logits[0, 1, 0, 0] = torch.tensor(3.0).log()  # probabilities of the anomaly: 0.75, 0.5
    found = anomaly_loss(logits, torch.tensor([[[[1.0, 0.0]]]]))
    log = torch.log
    l1 = (0.25 + 0.5) / 2
    first = -(0.25**4) * log(torch.tensor(0.75)) - (0.75**4) * 1e-5 * log(torch.tensor(0.25))
    second = -(0.5**4) * log(torch.tensor(0.5)) * (1 - 1e-5 + 1e-5)
    assert float(found["l1"]) == pytest.approx(l1, rel=1e-5)
    assert float(found["focal"]) == pytest.approx(float(first + second) / 2, rel=1e-3)
    assert float(found["total"]) == pytest.approx(0.6 * l1 + 0.4 * float(found["focal"]), rel=1e-6)


def test_a_right_answer_costs_less() -> None:
    mask = torch.zeros(1, 1, 8, 8)
    mask[..., 2:5, 2:5] = 1
    right = torch.cat([1 - mask, mask], 1) * 20 - 10
    good, bad = anomaly_loss(right, mask), anomaly_loss(-right, mask)
    assert all(float(good[part]) < 1e-3 < float(bad[part]) for part in good)
