"""Every registered detector passes every check, and every check catches a detector that breaks its clause."""

import functools
import itertools
import random
import socket
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from pydantic import Field, PrivateAttr

from flawsmith.core.detector import Detector, DetectorTraits, Needs
from flawsmith.core.errors import FlawsmithError, UnknownName
from flawsmith.core.methods import Method, MethodRecipe
from flawsmith.core.registry import Entry, build_detector, detectors
from flawsmith.detectors.base import ImageDetector, prepare, require_normals
from flawsmith.testing.detector_case import DetectorCase
from flawsmith.testing.detectors import CHECKS, check_detector
from flawsmith.testing.report import NotConforming

DOCS = Path(__file__).parents[2] / "docs" / "detectors"

TINY = {"size": 64, "backbone": "tiny_cnn", "pretrained": False}
CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "patchcore": ("patchcore", TINY),
    "patchcore-all": ("patchcore", {**TINY, "coreset_ratio": 1.0, "reweight": False, "sigma": 0}),
    "memseg": ("memseg", {"size": 64, "width": 8, "memory": 3, "batch": 4, "steps": 20}),
    "memseg-residual": ("memseg", {**TINY, "width": 8, "memory": 3, "readout": "residual"}),
}


def test_no_registered_method_stays_outside() -> None:
    assert {name for name, _ in CASES.values()} == set(detectors.names())


@functools.cache
def case_of(label: str) -> DetectorCase:
    name, params = CASES[label]
    return DetectorCase(lambda: build_detector(MethodRecipe(name=name, params=params)), DOCS)


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("label", CASES)
def test_conforms(label: str, check: str) -> None:
    CHECKS[check](case_of(label))


# --- teeth: an honest detector, and one broken in each clause

TRAITS = DetectorTraits(learns_from=frozenset({"normals"}), needs=Needs(multiple=1))


class Honest(ImageDetector[torch.Tensor]):
    """Difference to the mean normal."""

    name: ClassVar[str] = "honest"
    traits: ClassVar[DetectorTraits] = TRAITS
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {"cpu": {}}

    size: int = Field(default=32, ge=8)

    def fit(self, task: Any) -> Any:
        require_normals(self.name, task.normals)
        self._state = torch.cat([prepare(sample.image(), self.size) for sample in task.normals]).mean(0)
        return self

    def _score(self, state: Any, image: Any) -> Any:
        found = (image[0] - state).abs().mean(0)
        return float(found.flatten().topk(20).values.mean()), found

    def _to_storage(self, state: Any) -> Any:
        return {}, {"mean": state}

    def _from_storage(self, facts: Any, tensors: Any) -> Any:
        return tensors["mean"]


def with_prediction(change: Callable[[Any, Any], Any]) -> type[Honest]:
    """An honest detector whose predictions are changed after the fact."""

    class Broken(Honest):
        def _predicted(self, state: Any, image: Any) -> Any:
            return change(super()._predicted(state, image), image)

    return Broken


def with_fit(spoil: Callable[[Any, Any], Any]) -> type[Honest]:
    """An honest detector that does something else as well while fitting; what it returns is added to the model."""

    class Broken(Honest):
        def fit(self, task: Any) -> Any:
            super().fit(task)
            assert self._state is not None
            self._state = self._state + float(spoil(self, task) or 0)
            return self

    return Broken


class OpensFiles(Honest):
    def model_post_init(self, _: Any) -> None:
        super().model_post_init(_)
        Path(__file__).read_bytes()


class ForgetsSize(Honest):
    def recipe(self) -> MethodRecipe:
        return MethodRecipe(name="honest", params={"size": 16})


class OtherTraits(Honest):
    traits: ClassVar[DetectorTraits] = replace(TRAITS, multi_product=True)


class ReturnsCopy(Honest):
    def fit(self, task: Any) -> Any:
        return super().fit(task).model_copy()


class NeverUnfitted(Honest):
    def predict(self, images: Any, *, product: Any = None) -> Any:
        return super().predict(images, product=product) if self._state is not None else iter([])


class SavesNothing(Honest):
    def save(self, folder: Path) -> None:
        if self._state is not None:
            super().save(folder)


class CountsFits(Honest):
    _fits: int = PrivateAttr(0)

    def fit(self, task: Any) -> Any:
        super().fit(task)
        self._fits += 1
        self._state = self._state + self._fits
        return self


COUNTER = itertools.count()


def paint(_: Any, task: Any) -> None:
    task.normals[0].image()[0, 0] = 7


class ResumesWrongly(Honest):
    def fit(self, task: Any) -> Any:
        marker = None if task.folder is None else task.folder / "begun"
        again = marker is not None and marker.exists()
        if marker is not None:
            marker.touch()
        super().fit(task)
        self._state = self._state + (0.1 if again else 0)
        return self


class WrongRestart(ResumesWrongly):
    """The same for detectors that read the stream."""

    traits: ClassVar[DetectorTraits] = replace(TRAITS, learns_from=frozenset({"normals", "anomalies"}))

    def fit(self, task: Any) -> Any:
        for index in range(6):
            if task.stream is not None:
                if index == 1 and task.folder is not None and not (task.folder / "begun").exists():
                    (task.folder / "begun").touch()
                task.stream[index]
        return super().fit(task) if task.folder is not None else Honest.fit(self, task)


class Reversed(Honest):
    def predict(self, images: Any, *, product: Any = None) -> Any:
        return reversed(list(super().predict(images, product=product)))


class PaintsInput(Honest):
    def _predicted(self, state: Any, image: Any) -> Any:
        found = super()._predicted(state, image)
        if image.flags.writeable:
            image[0, 0] = 0
        return found


class ComparesWithBatch(Honest):
    def predict(self, images: Any, *, product: Any = None) -> Any:
        found = list(super().predict(images, product=product))
        return iter([replace(p, score=p.score / max(q.score for q in found)) for p in found])


class Learning(Honest):
    """Every prediction moves the model."""

    def _predicted(self, state: Any, image: Any) -> Any:
        found = super()._predicted(state, image)
        self._state = state * 0.99
        return found


class ReadsGlobal(Honest):
    def fit(self, task: Any) -> Any:
        super().fit(task)
        kept = torch.get_rng_state()
        self._state = self._state + 0.01 * torch.rand(1)
        torch.set_rng_state(kept)
        return self


def moves_global(_: Any, task: Any) -> None:
    np.random.rand()  # noqa: NPY002


class SavesHalf(Honest):
    def _to_storage(self, state: Any) -> Any:
        return {}, {"mean": state.to(torch.float16).to(torch.float32)}


class NeedsItsFolder(Honest):
    """Reads from where it was saved, not from where it is."""

    def _to_storage(self, state: Any) -> Any:
        return {}, {"mean": state * 0}

    def save(self, folder: Path) -> None:
        super().save(folder)
        torch.save(self._state, folder / "mean.pt")


class Trusting(Honest):
    """Takes whatever it finds."""

    @classmethod
    def load(cls, folder: Path) -> Any:
        try:
            return super().load(folder)
        except Exception:
            return cls()


class Fragile(Honest):
    """Lets the errors of others through."""

    @classmethod
    def load(cls, folder: Path) -> Any:
        (folder / "model.safetensors").read_bytes()
        return super().load(folder)


def crop_to_eight(prediction: Any, _: Any) -> Any:
    h, w = (side // 8 * 8 for side in prediction.map.shape)
    return replace(prediction, map=prediction.map[:h, :w])


class DividesBySpread(Honest):
    def _score(self, state: Any, image: Any) -> Any:
        score, found = super()._score(state, image)
        return score / float(image.std()), found / image.std()


class NeedsTwo(Honest):
    def fit(self, task: Any) -> Any:
        assert len(task.normals) > 1
        return super().fit(task)


class NeedsNone(Honest):
    def fit(self, task: Any) -> Any:
        if not task.normals:
            self._state = torch.zeros(3, self.size, self.size)
            return self
        return super().fit(task)


class TakesAnyLabel(Honest):
    def fit(self, task: Any) -> Any:
        self._state = torch.cat([prepare(sample.image(), self.size) for sample in task.normals]).mean(0)
        return self


class TakesGrey(Honest):
    def _predicted(self, state: Any, image: Any) -> Any:
        image = image if image.ndim == 3 else np.repeat(image[:, :, None], 3, axis=2)
        return super()._predicted(state, image)


class TakesAnything(Honest):
    @classmethod
    def from_params(cls, params: Any) -> Any:
        return cls()


class ForgivesUnknown(Honest):
    @classmethod
    def from_params(cls, params: Any) -> Any:
        return super().from_params({key: value for key, value in params.items() if key in cls.model_fields})


class ClaimsAnomalies(Honest):
    traits: ClassVar[DetectorTraits] = replace(TRAITS, needs=Needs(multiple=1, anomalies="required"))


class SecretlyNeedsAnomalies(Honest):
    traits: ClassVar[DetectorTraits] = replace(TRAITS, learns_from=frozenset({"normals", "anomalies"}))

    def fit(self, task: Any) -> Any:
        task.stream[0]
        return super().fit(task)


class ExportsNothing(Honest):
    traits: ClassVar[DetectorTraits] = replace(TRAITS, exports=True)


class ExportsSecretly(Honest):
    def graph(self) -> Any:
        return torch.nn.Identity()


def looks_up_names(_: Any, task: Any) -> None:
    socket.getaddrinfo("localhost", 9)


def with_classes(probabilities: Callable[[], dict[str, float]], declared: bool = True) -> type[Honest]:
    class Classifying(with_prediction(lambda p, image: classified(p, image, probabilities()))):  # type: ignore[misc]
        traits: ClassVar[DetectorTraits] = replace(TRAITS, classifies=declared)

    return Classifying


def classified(prediction: Any, image: Any, probabilities: dict[str, float]) -> Any:
    return replace(prediction, defect_probabilities=probabilities, label_map=np.zeros(image.shape[:2], np.int64))


TEETH: dict[str, list[type[Method]]] = {
    "construction_only_stores": [OpensFiles],
    "recipe_builds_the_same_method": [ForgetsSize],
    "entry_states_the_same_traits": [OtherTraits],
    "fit_returns_self": [ReturnsCopy],
    "fitting_twice_equals_once": [CountsFits],
    "fit_leaves_the_samples_alone": [with_fit(paint)],
    "unfitted_use_is_refused": [NeverUnfitted, SavesNothing],
    "resumed_fit_equals_uninterrupted": [ResumesWrongly, WrongRestart],
    "predictions_have_the_right_form": [
        with_prediction(lambda p, _: replace(p, map=p.map.astype(np.float64))),
        with_prediction(lambda p, _: replace(p, map=p.map * np.float32("nan"))),
        with_prediction(lambda p, _: replace(p, score=np.float32(p.score))),
        with_prediction(lambda p, _: replace(p, verdict="good")),
    ],
    "one_prediction_per_image_in_order": [Reversed],
    "images_stay_untouched": [PaintsInput],
    "higher_is_more_anomalous": [
        with_prediction(lambda p, _: replace(p, score=-p.score)),
        with_prediction(lambda p, _: replace(p, map=-p.map)),
    ],
    "classes_are_as_declared": [
        with_classes(lambda: {"good": 0.5, "square": 0.5}, declared=False),
        with_classes(lambda: {"good": 0.5, "square": 0.6}),
        with_classes(lambda: dict(random.sample([(name, 0.2) for name in ("good", "a", "b", "c", "d")], 5))),
        with_classes(lambda: {}),
    ],
    "same_seed_same_model": [with_fit(lambda _, task: next(COUNTER))],
    "batch_and_order_do_not_matter": [ComparesWithBatch],
    "predicting_twice_gives_the_same_bits": [Learning],
    "global_generators_are_left_alone": [ReadsGlobal, with_fit(moves_global)],
    "moved_folder_says_the_same_in_a_new_process": [SavesHalf],
    "only_plain_files_are_written": [NeedsItsFolder],
    "damaged_folder_is_refused": [Trusting, Fragile],
    "odd_sizes_work": [with_prediction(crop_to_eight)],
    "constant_images_work": [DividesBySpread],
    "few_normals_suffice": [NeedsTwo],
    "missing_normals_are_refused": [NeedsNone],
    "anomalies_among_the_normals_are_refused": [TakesAnyLabel],
    "bad_images_are_refused": [TakesGrey],
    "bad_parameters_are_named": [TakesAnything],
    "unknown_parameters_are_refused": [ForgivesUnknown],
    "needs_are_as_declared": [ClaimsAnomalies, SecretlyNeedsAnomalies],
    "export_is_as_declared": [ExportsNothing, ExportsSecretly],
    "learning_from_normals_reads_nothing_else": [
        with_fit(lambda _, task: task.stream is not None and task.stream[0] and 0),
        with_fit(lambda _, task: [sample.image() for sample in task.validation] and 0),
    ],
    "validation_is_not_learned_from": [with_fit(lambda _, task: len(task.validation))],
    "network_is_not_used": [with_fit(looks_up_names)],
    "page_is_complete": [Honest],
}


@pytest.fixture
def registered(monkeypatch: pytest.MonkeyPatch) -> Callable[[type[Method]], None]:
    def register(method: type[Method]) -> None:
        entry = Entry("honest", f"{__name__}:{method.__qualname__}", "difference to the mean", "Honest 2024", TRAITS)
        monkeypatch.setattr(Entry, "resolve", lambda _: method)
        monkeypatch.setitem(detectors.entries, "honest", entry)  # type: ignore[arg-type]

    return register


def test_every_check_has_teeth() -> None:
    assert TEETH.keys() == CHECKS.keys()


@pytest.mark.parametrize(("check", "index"), [(check, k) for check, broken in TEETH.items() for k in range(len(broken))])
def test_a_broken_detector_is_caught(check: str, index: int, registered: Any, tmp_path: Path) -> None:
    broken = TEETH[check][index]
    registered(broken)
    case = DetectorCase(lambda: broken.from_params({}), tmp_path)  # type: ignore[arg-type, return-value]
    with pytest.raises((AssertionError, FlawsmithError, TypeError, ZeroDivisionError)):
        CHECKS[check](case)


def test_the_honest_one_passes_everything(registered: Any, tmp_path: Path) -> None:
    registered(Honest)
    (tmp_path / "honest.md").write_text("honest.png, Honest 2024: `size`")
    check_detector(lambda: Honest.from_params({}), docs=tmp_path).raise_if_failed()


def test_a_detector_that_classifies_passes(registered: Any) -> None:
    honest = with_classes(lambda: {"good": 0.25, "square": 0.75})
    CHECKS["classes_are_as_declared"](DetectorCase(lambda: honest.from_params({})))


def test_expected_failures_are_strict() -> None:
    def make() -> Detector:
        return ReturnsCopy.from_params({})

    expected = {"fit_returns_self": "it returns a copy", "network_is_not_used": "repaired long ago"}
    report = check_detector(make, expected_failures=expected)
    assert report.names("expected failure") == ("fit_returns_self",)
    assert report.names("unexpected pass") == ("network_is_not_used",)
    with pytest.raises(NotConforming, match="network_is_not_used: unexpected pass"):
        report.raise_if_failed()
    with pytest.raises(UnknownName, match="fit_returns_self"):
        check_detector(make, expected_failures={"fit_return_self": "?"})
