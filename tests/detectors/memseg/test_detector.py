from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.metrics import average_precision_score, roc_auc_score

from flawsmith.core.detector import Budget, Stage, TrainingTask
from flawsmith.core.errors import BadParameter, DamagedFile, DataError, NeedUnmet
from flawsmith.core.files import read_json, write_json
from flawsmith.core.recipes import parse_methods
from flawsmith.core.registry import build_synthesizer
from flawsmith.core.samples import Sample, SupportSet
from flawsmith.core.seeding import Seed
from flawsmith.detectors.memseg.detector import LEAST_RATE, MemSeg, rate_factor
from flawsmith.detectors.memseg.network import LEVELS
from flawsmith.encoders.extractor import LAYERS
from flawsmith.learning.stream import AnomalyStream
from flawsmith.testing.detector_case import DetectorCase, SquareStream
from flawsmith.testing.detectors import CHECKS
from flawsmith.testing.toy import toy_anomalies, toy_normals

NORMALS = toy_normals(6, Seed(5), size=64)
SMALL = {"size": 64, "backbone": "tiny_cnn", "pretrained": False, "width": 8, "memory": 4, "batch": 4, "steps": 6}


def detector(**params: Any) -> MemSeg:
    return MemSeg.from_params({**SMALL, **params})


def task(normals: Sequence[Sample] = NORMALS, **fields: Any) -> TrainingTask:
    return TrainingTask(**{"stream": SquareStream(64), "normals": normals, "support": SupportSet(tuple(normals)), **fields})


def backbone(fitted: MemSeg) -> dict[str, torch.Tensor]:
    return {key: value.clone() for key, value in fitted.fitted.encoder.state_dict().items()}


def moved(before: dict[str, torch.Tensor], after: dict[str, torch.Tensor]) -> set[str]:
    return {key for key in before if not torch.equal(before[key], after[key])}


def test_a_stored_image_lights_nothing_up() -> None:
    fitted = detector().fit(task())
    stored = next(sample for sample in NORMALS if sample.id in fitted.facts["memory"])
    fitted.fitted.head.fusion.register_forward_hook(lambda module, inputs, attended: shown.extend(attended))
    shown: list[torch.Tensor] = []
    next(fitted.predict([stored.image()]))
    assert len(shown) == 3
    assert all(bool((x == 0).all()) for x in shown)


def test_strict_leaves_backbone_and_memory_as_they_were() -> None:
    untrained = detector(readout="residual").fit(task())
    trained = detector(steps=50).fit(task())
    assert not moved(backbone(untrained), backbone(trained))
    for level in LEVELS:
        assert torch.equal(untrained.fitted.memory.features[level], trained.fitted.memory.features[level])
    assert trained.facts["training"]["steps"] == 50


def test_layer4_trains_the_last_layer_and_no_statistics() -> None:
    found = moved(backbone(detector(readout="residual").fit(task())), backbone(detector(freeze="layer4").fit(task())))
    assert found
    assert all(key.startswith("stages.layer4.") for key in found)
    assert not any("running" in key or "tracked" in key for key in found)


def test_legacy_trains_stem_and_last_layer_and_moves_every_statistic() -> None:
    before, after = backbone(detector(readout="residual").fit(task())), backbone(detector(freeze="legacy").fit(task()))
    found = moved(before, after)
    statistics = {key for key in before if "running" in key or "tracked" in key}
    assert statistics <= found
    assert {key.split(".")[1] for key in found - statistics} == {"stem", "layer4"}


@pytest.mark.parametrize("freeze", ["layer4", "legacy"])
@pytest.mark.parametrize(
    "check",
    ["resumed_fit_equals_uninterrupted", "moved_folder_says_the_same_in_a_new_process", "predicting_twice_gives_the_same_bits"],
)
def test_a_thawed_backbone_keeps_the_contract(freeze: str, check: str) -> None:
    CHECKS[check](DetectorCase(lambda: detector(freeze=freeze)))


def test_the_rate_rises_and_falls() -> None:
    least = LEAST_RATE / 3e-3
    steps = 1001
    rates = [3e-3 * rate_factor(step / (steps - 1), least) for step in range(steps)]
    assert rates[0] == pytest.approx(1e-4)
    assert rates[100] == pytest.approx(3e-3)
    assert rates[-1] == pytest.approx(1e-4, rel=0.01)
    assert rates[:101] == sorted(rates[:101])
    assert rates[100:] == sorted(rates[100:], reverse=True)
    assert len(set(rates[:101])) == 101


def test_loading_gives_the_same_maps_without_the_training_data(tmp_path: Any) -> None:
    fitted = detector().fit(task())
    images = [sample.image() for sample in toy_anomalies(2, Seed(6), size=64)]
    expected = [prediction.map for prediction in fitted.predict(images)]
    fitted.save(tmp_path)
    loaded = MemSeg.load(tmp_path)
    for found, wanted in zip(loaded.predict(images), expected, strict=True):
        np.testing.assert_allclose(found.map, wanted, atol=1e-6)
    assert loaded.facts == fitted.facts


def test_the_map_is_a_probability_and_the_score_its_top() -> None:
    found = next(detector().fit(task()).predict([NORMALS[0].image()]))
    assert 0 <= found.map.min() <= found.map.max() <= 1
    assert found.score == pytest.approx(float(np.sort(found.map.ravel())[-6:].mean()), rel=1e-5)


# --- what is trained, and what is read out


def test_the_budget_comes_before_the_preset() -> None:
    assert detector().fit(task(budget=Budget(steps=3))).facts["training"]["steps"] == 3


def stream(ratio: float) -> AnomalyStream:
    return AnomalyStream(NORMALS, [], ratio, (64, 64), Seed(0))


@pytest.mark.parametrize("missing", [{"stream": None}, {"stream": stream(0)}])
def test_without_anomalies_the_memory_is_the_model(missing: dict[str, Any]) -> None:
    fitted = detector().fit(task(**missing))
    assert fitted.facts["readout"] == "residual"
    assert fitted.facts["training"] is None
    clean, bad = NORMALS[0].image(), toy_anomalies(2, Seed(6), size=64)[1].image()
    scores = [prediction.score for prediction in fitted.predict([clean, bad])]
    assert scores[1] > scores[0]


def test_with_anomalies_the_head_is_read_out() -> None:
    fitted = detector().fit(task())
    assert fitted.facts["readout"] == "head"
    assert fitted.facts["training"]["realised_ratio"] == 0.5


def test_the_readout_can_be_chosen() -> None:
    assert detector(readout="residual").fit(task()).facts["readout"] == "residual"
    with pytest.warns(UserWarning, match="saw no anomaly"):
        assert detector(readout="head").fit(task(stream=stream(0))).facts["readout"] == "head"
    with pytest.raises(NeedUnmet, match="anomalies for its head"):
        detector(readout="head").fit(task(stream=None))


def test_one_stage() -> None:
    assert MemSeg.traits.needs.stages == (Stage("joint", 1.0),)


# --- bad input


def test_fewer_normals_are_stored_with_a_warning() -> None:
    with pytest.warns(UserWarning, match="stores 6 normals, not 30"):
        fitted = detector(memory=30).fit(task())
    assert fitted.facts["memory"] == [sample.id for sample in NORMALS]


def test_fewer_normals_are_refused_where_clamping_is_off() -> None:
    with pytest.raises(NeedUnmet, match=r"30 normals \(there are 6\).*memory=6"):
        detector(memory=30, clamp_memory=False).fit(task())


def test_an_anomaly_is_not_stored() -> None:
    with pytest.raises(DataError, match="scratch"):
        detector().fit(task([*NORMALS, replace(toy_anomalies(1, Seed(0), size=64)[0], split="train")]))


@pytest.mark.parametrize("size", [32, 100, 129])
def test_the_size_is_a_multiple_of_32(size: int) -> None:
    with pytest.raises(BadParameter, match="size"):
        detector(size=size)


@pytest.mark.parametrize(
    "params", [{"freeze": "loose"}, {"readout": "both"}, {"memory": 0}, {"learning_rate": 1e-5}, {"width": 0}]
)
def test_bad_values_name_the_parameter(params: dict[str, Any]) -> None:
    with pytest.raises(BadParameter, match=next(iter(params))):
        detector(**params)


def test_a_memory_of_another_size_is_refused(tmp_path: Any) -> None:
    detector(readout="residual").fit(task()).save(tmp_path)
    told = read_json(tmp_path / "detector.json")
    write_json(tmp_path / "detector.json", {**told, "params": {**told["params"], "size": 96}})
    with pytest.raises(DamagedFile, match="expected a saved memseg"):
        MemSeg.load(tmp_path)


def test_presets_are_numbers_of_one_class() -> None:
    cpu, paper = MemSeg.from_params({}), MemSeg.from_params({"preset": "paper"})
    assert (cpu.size, cpu.width, cpu.batch, cpu.steps, cpu.memory) == (128, 24, 4, 300, 30)
    assert (paper.size, paper.width, paper.batch, paper.steps, paper.memory) == (256, 48, 8, 5000, 30)


def test_its_layers_are_those_of_the_backbone() -> None:
    assert set(LEVELS) < set(LAYERS)


@pytest.mark.slow
def test_the_toy_texture_is_learned() -> None:
    """The spec's smoke benchmark, at seed 0 of benchmarks/toy_texture.py.

    It guards against getting worse; it does not show that every seed passes. One of eight falls short: docs/detectors/memseg.md.
    """
    seed = Seed(0, ("toy",))
    normals = toy_normals(100, seed)
    support = SupportSet(tuple(normals), product="toy")
    sources = [(build_synthesizer(m.method).fit(support), m.weight) for m in parse_methods("draem,cutpaste,cutpaste_scar")]
    anomalies = AnomalyStream(normals, sources, 0.5, (128, 128), seed.child("stream"))
    fitted = MemSeg.from_params({}).fit(TrainingTask(anomalies, normals, support, seed=seed))
    test = toy_normals(60, seed, split="test") + toy_anomalies(100, seed)
    found = list(fitted.predict(sample.image() for sample in test))
    masks, maps = np.stack([sample.mask() for sample in test]), np.stack([prediction.map for prediction in found])
    labels = [not sample.is_normal for sample in test]
    assert roc_auc_score(labels, [prediction.score for prediction in found]) >= 0.90
    assert average_precision_score(masks.ravel(), maps.ravel()) >= 0.35
