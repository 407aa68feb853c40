import pytest
import torch

from flawsmith.core.errors import BadParameter
from flawsmith.detectors.memseg.memory import NormalMemory
from flawsmith.detectors.memseg.network import LEVELS

SHAPES = {"layer1": (4, 8, 8), "layer2": (6, 4, 4), "layer3": (8, 2, 2)}


def features(n: int, seed: int = 0) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return {level: torch.randn(n, *SHAPES[level], generator=generator) for level in LEVELS}


def picked(found: dict[str, torch.Tensor], index: list[int]) -> dict[str, torch.Tensor]:
    return {level: found[level][index] for level in LEVELS}


def test_a_stored_image_selects_itself_without_any_difference() -> None:
    stored = features(7)
    memory = NormalMemory.of(stored)
    assert memory.nearest(stored).tolist() == list(range(7))
    assert all(bool((difference == 0).all()) for difference in memory.differences(stored).values())


def test_all_levels_choose_together() -> None:
    stored = features(2)
    query = picked(stored, [0])
    query["layer3"] = stored["layer3"][1:] * 100  # one level far away from both, nearer to image 1
    distances = [sum(float((stored[k][n] - query[k][0]).square().mean()) for k in LEVELS) for n in range(2)]
    assert NormalMemory.of(stored).nearest(query).tolist() == [distances.index(min(distances))]


def test_order_and_copies_change_no_difference() -> None:
    stored, queries = features(6), features(4, seed=1)
    expected = NormalMemory.of(stored).differences(queries)
    for order in ([3, 1, 5, 0, 2, 4], [0, 1, 2, 3, 4, 5, 2], [2, 0, 1, 2, 3, 4, 5]):
        found = NormalMemory.of(picked(stored, order)).differences(queries)
        assert all(torch.equal(found[level], expected[level]) for level in LEVELS)


def test_the_scale_leaves_each_image_out_of_its_own_comparison() -> None:
    stored = {level: torch.zeros(3, *SHAPES[level]) for level in LEVELS}
    for index, value in enumerate((0.0, 1.0, 3.0)):  # nearest others: 1, 0, 1 away: squared 1, 1, 4
        for level in LEVELS:
            stored[level][index] = value
    torch.testing.assert_close(NormalMemory.of(stored).scale, torch.full((3,), 2.0))


def test_one_image_has_a_scale_as_well() -> None:
    stored = {level: torch.full((1, *SHAPES[level]), 3.0) for level in LEVELS}
    torch.testing.assert_close(NormalMemory.of(stored).scale, torch.full((3,), 9.0))


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_identical_images_give_a_finite_residual(value: float) -> None:
    stored = {level: torch.full((4, *SHAPES[level]), value) for level in LEVELS}
    found = NormalMemory.of(stored).residual(picked(stored, [0]), (32, 32))
    assert torch.isfinite(found).all()
    assert float(found.max()) == 0


def test_the_residual_of_an_average_normal_is_three_levels_of_one() -> None:
    stored = features(5)
    memory = NormalMemory.of(stored)
    means = []
    for index in range(5):
        others = NormalMemory(picked(stored, [n for n in range(5) if n != index]), memory.scale)
        means.append(float(others.residual(picked(stored, [index]), (8, 8)).mean()))
    assert sum(means) / 5 == pytest.approx(3, rel=0.05)


def test_a_local_change_stays_local() -> None:
    stored = features(3)
    memory = NormalMemory.of(stored)
    query = {level: stored[level][:1].clone() for level in LEVELS}
    query["layer1"][..., :3, :3] += 0.1
    assert memory.nearest(query).tolist() == [0]
    found = memory.differences(query)["layer1"]
    assert (found[..., :3, :3] > 0).all()
    assert (found[..., 3:, :] == 0).all()
    assert (found[..., 3:] == 0).all()


def test_another_size_or_backbone_is_refused() -> None:
    query = {level: torch.zeros(1, *SHAPES[level]) for level in LEVELS}
    query["layer2"] = torch.zeros(1, 6, 8, 8)
    with pytest.raises(BadParameter, match=r"layer2 of \(6, 4, 4\).*\(6, 8, 8\)"):
        NormalMemory.of(features(2)).differences(query)
