from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch

from flawsmith.core.detector import TrainingTask
from flawsmith.core.errors import BadParameter, UnknownName
from flawsmith.core.samples import Sample, SupportSet
from flawsmith.core.seeding import Seed
from flawsmith.detectors.base import prepare
from flawsmith.detectors.patchcore import PatchCore, image_score, nearest_distances, patch_rows, smoothed
from flawsmith.encoders.hub import build_encoder
from flawsmith.testing.toy import toy_normals

NORMALS = toy_normals(6, Seed(5), size=64)


def detector(**params: Any) -> PatchCore:
    return PatchCore.from_params({"size": 64, "backbone": "tiny_cnn", "pretrained": False, **params})


def task(normals: Sequence[Sample] = NORMALS, seed: int = 0) -> TrainingTask:
    return TrainingTask(None, normals, SupportSet(tuple(normals)), seed=Seed(seed))


def memory(rows: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    found = torch.randn(rows, 16, generator=torch.Generator().manual_seed(seed))
    return found, found.square().sum(1)


def test_a_training_image_scores_zero_when_everything_is_kept() -> None:
    fitted = detector(coreset_ratio=1, coreset_max=None, sigma=0).fit(task())
    seen, unseen = fitted.predict([NORMALS[0].image(), toy_normals(1, Seed(6), size=64)[0].image()])
    assert seen.map.max() <= 1e-2 * np.median(unseen.map)
    assert seen.score <= 1e-2 * np.median(unseen.map)


def test_distances_are_those_of_every_pair() -> None:
    rows, norms = memory(9000)
    queries = torch.randn(1500, 16, generator=torch.Generator().manual_seed(1))
    expected = torch.cdist(queries.double(), rows.double()).min(1).values
    torch.testing.assert_close(nearest_distances(queries, rows, norms).double(), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("neighbours", [2, 5, 9, 200])
def test_the_weight_lies_between_its_bounds(neighbours: int) -> None:
    rows, norms = memory(50)
    for seed in range(20):
        queries = 2 * torch.randn(30, 16, generator=torch.Generator().manual_seed(100 + seed))
        distances = nearest_distances(queries, rows, norms)
        weight = image_score(queries, distances, rows, norms, neighbours) / float(distances.max())
        assert 1 - 1 / min(neighbours, 50) - 1e-5 <= weight < 1


def test_the_score_follows_equation_7() -> None:
    rows = torch.tensor([[0.0, 0], [1, 0], [0, 2], [9, 9]])
    queries = torch.tensor([[0.0, 0], [-3, 0]])
    norms = rows.square().sum(1)
    distances = nearest_distances(queries, rows, norms)
    to_hood = np.array([3.0, 4.0, np.sqrt(13)])  # of (-3, 0) to the three rows around (0, 0)
    expected = 3 * (1 - np.exp(3) / np.exp(to_hood).sum())
    assert image_score(queries, distances, rows, norms, 3) == pytest.approx(expected, rel=1e-5)


def test_one_neighbour_means_no_weight() -> None:
    plain = [p.score for p in detector(reweight=False).fit(task()).predict(s.image() for s in NORMALS)]
    single = [p.score for p in detector(neighbours=1).fit(task()).predict(s.image() for s in NORMALS)]
    assert single == plain


def test_a_memory_of_one_row_weighs_nothing() -> None:
    queries = torch.tensor([[3.0, 4.0]])
    rows = torch.zeros(1, 2)
    assert image_score(queries, torch.tensor([5.0]), rows, torch.zeros(1), 9) == 5.0


def test_huge_distances_stay_finite() -> None:
    rows, norms = memory(50)
    queries = torch.full((4, 16), 1e4)
    score = image_score(queries, nearest_distances(queries, rows, norms), rows, norms, 9)
    assert np.isfinite(score)
    assert score > 1e4


def test_a_bright_square_raises_the_map_inside_it() -> None:
    fitted = detector().fit(task())
    image = toy_normals(1, Seed(6), size=64)[0].image().copy()
    clean = next(fitted.predict([image]))
    image[20:44, 20:44] = 255
    found = next(fitted.predict([image]))
    assert found.map[20:44, 20:44].max() > clean.map.max()
    assert found.map.max() == found.map[20:44, 20:44].max()


def test_twice_the_images_leave_the_scores_where_they_were() -> None:
    once = detector(coreset_ratio=1).fit(task())
    twice = detector(coreset_ratio=0.5).fit(task([*NORMALS, *NORMALS]))
    images = [sample.image() for sample in toy_normals(3, Seed(6), size=64)]
    for a, b in zip(once.predict(images), twice.predict(images), strict=True):
        np.testing.assert_allclose(a.map, b.map, rtol=1e-3, atol=1e-3)


def test_the_memory_has_the_asked_size() -> None:
    patches = 6 * 8 * 8
    assert detector(coreset_ratio=0.25).fit(task()).facts["rows"] == patches // 4
    assert detector(coreset_max=10).fit(task()).facts["rows"] == 10
    assert detector(coreset_ratio=1e-6).fit(task()).facts["rows"] == 1


def test_a_share_of_the_patches_is_drawn_by_seed() -> None:
    one, same, other = (detector(row_share=0.25).fit(task(seed=seed)) for seed in (0, 0, 1))
    assert one.facts["patches"] == 6 * 16
    assert torch.equal(one.fitted.rows, same.fitted.rows)
    assert not torch.equal(one.fitted.rows, other.fitted.rows)


def test_too_much_memory_is_refused_with_a_way_out() -> None:
    with pytest.raises(BadParameter, match=r"384 patches × 48 × 4 bytes = 6.87e-05 GiB; .*memory_gib=1e-05: set row_share=0.15"):
        detector(memory_gib=1e-5).fit(task())


def test_the_coarse_layer_is_brought_to_the_fine_grid() -> None:
    encoder = build_encoder("tiny_cnn", deepest="layer3", pretrained=False, seed=Seed(0))
    image = prepare(NORMALS[0].image(), 64)
    rows = patch_rows(encoder, image, ("layer2", "layer3"))
    fine = torch.nn.functional.avg_pool2d(encoder.extract(image, ["layer2"])["layer2"], 3, 1, 1)
    assert rows.shape == (64, 48)
    torch.testing.assert_close(rows[:, :16], fine[0].flatten(1).T)


def test_smoothing_keeps_the_mean_and_spreads_by_sigma() -> None:
    spike = torch.zeros(101, 101)
    spike[50, 50] = 1
    found = smoothed(spike, 4.0)
    offsets = torch.arange(101.0) - 50
    assert float(found.sum()) == pytest.approx(1, abs=1e-5)
    assert float((found.sum(0) * offsets**2).sum()) == pytest.approx(16, rel=0.01)
    assert torch.equal(smoothed(spike, 0), spike)
    assert float(found[50, 50 + 17]) == 0  # the kernel is 33 wide


def test_small_maps_shrink_the_kernel() -> None:
    found = smoothed(torch.rand(8, 8), 4.0)
    assert found.shape == (8, 8)
    assert torch.isfinite(found).all()


@pytest.mark.parametrize(
    ("params", "name"),
    [
        ({"coreset_ratio": 0}, "coreset_ratio"),
        ({"coreset_ratio": 1.5}, "coreset_ratio"),
        ({"coreset_max": 0}, "coreset_max"),
        ({"neighbours": 0}, "neighbours"),
        ({"size": 32}, "size"),
        ({"layers": ["layer3", "layer2"]}, "layers"),
        ({"layers": []}, "layers"),
    ],
)
def test_bad_values_name_the_parameter(params: dict[str, Any], name: str) -> None:
    with pytest.raises(BadParameter, match=name):
        detector(**params)


@pytest.mark.parametrize("params", [{"backbone": "resnet1"}, {"layers": ["layer7"]}, {"preset": "papier"}])
def test_unknown_names_offer_the_known(params: dict[str, Any]) -> None:
    with pytest.raises(UnknownName):
        detector(**params)


def test_presets() -> None:
    assert PatchCore.from_params({}).coreset_max == 10_000
    assert PatchCore.from_params({"preset": "paper"}).coreset_max is None


def test_random_weights_are_told() -> None:
    assert detector().fit(task()).facts["backbone_weights"] == "random"


def test_loading_needs_no_weight_file(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    fitted = PatchCore.from_params({"size": 64}).fit(task())
    fitted.save(tmp_path / "model")

    def gone() -> None:
        raise AssertionError("the weight file was asked for")

    monkeypatch.setattr("flawsmith.encoders.efficientnet_lite.packaged_weights", gone)
    loaded = PatchCore.load(tmp_path / "model")
    image = NORMALS[0].image()
    assert np.array_equal(next(loaded.predict([image])).map, next(fitted.predict([image])).map)
    assert loaded.facts == fitted.facts
    assert loaded.facts["backbone_weights"] == "imagenet"
