import pytest
import torch

from flawsmith.detectors.scores import topk_mean


@pytest.mark.parametrize(("side", "count"), [(256, 100), (128, 25), (64, 6), (8, 1)])
def test_the_number_of_pixels_follows_the_area(side: int, count: int) -> None:
    values = torch.arange(side * side, dtype=torch.float32)
    expected = float(values[-count:].mean())
    shuffled = values[torch.randperm(side * side, generator=torch.Generator().manual_seed(0))].view(side, side)
    assert topk_mean(shuffled) == pytest.approx(expected)
