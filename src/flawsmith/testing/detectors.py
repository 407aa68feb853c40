"""The contract of a detector as checks: one plain function per clause, for ours and for plug-ins.

from flawsmith.testing.detectors import check_detector
check_detector(lambda: MyDetector(size=64, steps=20)).raise_if_failed()
"""

from __future__ import annotations

import re
import shutil
import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from flawsmith.core.detector import Detector
from flawsmith.core.errors import DamagedFile, DataError, NeedUnmet, NotFitted, UsageError
from flawsmith.core.registry import detectors
from flawsmith.core.samples import GOOD
from flawsmith.testing.bad_values import forbidden
from flawsmith.testing.construction import assert_only_stores, assert_same_traits, rebuilt_from_recipe
from flawsmith.testing.detector_case import (
    DetectorCase,
    Interrupted,
    SquareStream,
    TouchedByMistake,
    assert_form,
    assert_refused,
    checkpoint_at_every_step,
    defective_image,
    defective_sample,
    digests_in_fresh_process,
    normal_image,
    normal_sample,
    refusal_of,
)
from flawsmith.testing.report import ConformanceReport, run_checks
from flawsmith.testing.watching import connections, global_states, seed_globals

ALLOWED_FILES = frozenset({".safetensors", ".json", ".yaml", ".md"})

Check = Callable[[DetectorCase], None]


def check_detector(
    make: Callable[[], Detector], *, expected_failures: Mapping[str, str] | None = None, docs: Path | None = None
) -> ConformanceReport:
    """Run every check on one detector.

    Args:
        make: builds it, unfitted and cheap (small size, few steps); called several times.
        expected_failures: reason by check name; one that passes nevertheless counts as failed.
        docs: folder with its page `<name>.md`; None: pages are not looked at.

    Raises:
        UnknownName: an expected failure names no check.
    """
    case = DetectorCase(make, docs)
    return run_checks(make().name, {name: partial(check, case) for name, check in CHECKS.items()}, expected_failures)


# --- construction


def construction_only_stores(case: DetectorCase) -> None:
    """Building opens no file, reaches no network and draws from no global generator; two of them have equal recipes."""
    assert_only_stores(case.make)


def recipe_builds_the_same_method(case: DetectorCase) -> None:
    """Recipe → JSON → method → recipe is identity, and the method so built learns and says the same."""
    rebuilt = rebuilt_from_recipe(case.make())
    assert case.digests(rebuilt.fit(case.task())) == case.digests(), "a method built from its recipe says something else"


def entry_states_the_same_traits(case: DetectorCase) -> None:
    """Where the registry knows the method, its entry and its class promise the same."""
    assert_same_traits(type(case.make()), detectors)


# --- fit


def fit_returns_self(case: DetectorCase) -> None:
    """`fit` returns the detector itself."""
    method = case.make()
    assert method.fit(case.task()) is method, "fit returns something else than the detector"


def fitting_twice_equals_once(case: DetectorCase) -> None:
    """A second `fit` on the same task changes nothing."""
    twice = case.make().fit(case.task()).fit(case.task())
    assert case.digests(twice) == case.digests(), "a second fit changes the predictions"


def fit_leaves_the_samples_alone(case: DetectorCase) -> None:
    """`fit` changes no pixel of the training normals."""
    task = case.task()
    before = [sample.digest() for sample in task.normals]
    case.make().fit(task)
    assert [sample.digest() for sample in task.normals] == before, "fit changes the training images"


def unfitted_use_is_refused(case: DetectorCase) -> None:
    """`predict` and `save` raise `NotFitted` before `fit`."""
    with tempfile.TemporaryDirectory() as folder:
        uses: dict[str, Callable[[], object]] = {
            "predict": lambda: list(case.make().predict(case.images)),
            "save": lambda: case.make().save(Path(folder)),
        }
        for name, use in uses.items():
            try:
                use()
            except NotFitted:
                continue
            raise AssertionError(f"{name} works before fit")


def resumed_fit_equals_uninterrupted(case: DetectorCase) -> None:
    """A fit that was interrupted half-way and started again in the same folder ends like an unbroken one."""
    with tempfile.TemporaryDirectory() as folder, checkpoint_at_every_step():
        told: dict[str, Any] = {"folder": Path(folder), "fingerprint": "conformance"}
        unbroken = case.digests(case.make().fit(case.task()))
        _interrupted_fit(case, told)
        resumed = case.make().fit(case.task(**told))
    assert case.digests(resumed) == unbroken, "a resumed fit ends with another model"


def _interrupted_fit(case: DetectorCase, told: Mapping[str, Any]) -> None:
    """Stop after two thirds of what an unbroken fit reads from the stream, or of the normals where it reads none."""
    stream = case.stream()
    case.make().fit(case.task(stream=stream))
    read = len(stream.read) if isinstance(stream, SquareStream) else 0
    if read:
        broken = case.task(stream=case.stream(stop_at=2 * read // 3), **told)
    else:
        normals = [normal_sample(i, refusal=Interrupted() if i == 3 else None) for i in range(5)]
        broken = case.task(normals, **told)
    with suppress(Interrupted):
        case.make().fit(broken)


# --- form and meaning


def predictions_have_the_right_form(case: DetectorCase) -> None:
    """The map is finite float32 in image size, the score a finite float; threshold and verdict are left to the inspector."""
    for image, prediction in zip(case.images, case.predictions(), strict=True):
        assert_form(image, prediction)


def one_prediction_per_image_in_order(case: DetectorCase) -> None:
    """As many predictions as images, in order, from any iterable; none for none."""
    sizes = [(64, 64), (61, 97), (97, 61)]
    found = list(case.detector.predict(normal_image(200 + i, size) for i, size in enumerate(sizes)))
    assert [prediction.map.shape for prediction in found] == sizes, "predictions do not follow the images"
    assert not list(case.detector.predict([])), "predictions without images"


def images_stay_untouched(case: DetectorCase) -> None:
    """`predict` changes no pixel of its input and works on read-only arrays."""
    images = [image.copy() for image in case.images]
    for image in images:
        image.flags.writeable = False
    case.predictions(images=images)
    images = [image.copy() for image in case.images]
    case.predictions(images=images)
    assert all(np.array_equal(a, b) for a, b in zip(images, case.images, strict=True)), "predict changes its input"


def higher_is_more_anomalous(case: DetectorCase) -> None:
    """Of squares that cannot be missed, each scores above every normal, and its map is higher inside than outside."""
    normals = case.predictions(images=[normal_image(300 + i) for i in range(6)])
    squares = [defective_image(300 + i) for i in range(6)]
    found = case.predictions(images=[image for image, _ in squares])
    highest, lowest = max(p.score for p in normals), min(p.score for p in found)
    assert lowest > highest, f"a defect over a ninth of the picture scores {lowest:.4g}, a normal {highest:.4g}"
    for prediction, (_, mask) in zip(found, squares, strict=True):
        inside, outside = float(prediction.map[mask].mean()), float(prediction.map[~mask].mean())
        assert inside > outside, f"the map is {inside:.4g} on the defect and {outside:.4g} beside it"


def classes_are_as_declared(case: DetectorCase) -> None:
    """With `classifies`: probabilities in one stable order that sum to 1, `good` among them, a label map that agrees with them;
    without: neither probabilities nor label map."""
    found = case.predictions()
    if not case.detector.traits.classifies:
        silent = all(p.defect_probabilities is None and p.label_map is None for p in found)
        assert silent, "it names defects, but does not declare that it classifies"
        return
    orders = [list(p.defect_probabilities or {}) for p in found]
    assert all(order == orders[0] and GOOD in order for order in orders), (
        f"classes are {orders[:2]}; expected one order with good"
    )
    for image, prediction in zip(case.images, found, strict=True):
        probabilities = list((prediction.defect_probabilities or {}).values())
        assert min(probabilities) >= 0, f"a probability is {min(probabilities)}"
        assert abs(sum(probabilities) - 1) < 1e-6, f"the probabilities sum to {sum(probabilities)}"
        assert prediction.label_map is not None, "there is no label map"
        assert prediction.label_map.shape == image.shape[:2], f"the label map is {prediction.label_map.shape}"
        assert np.isin(prediction.label_map, np.arange(len(orders[0]))).all(), "the label map holds labels of no class"


# --- randomness


def same_seed_same_model(case: DetectorCase) -> None:
    """Two detectors fitted on the same task say the same, bit for bit."""
    assert case.digests(case.make().fit(case.task())) == case.digests(), "the same task gives another model"


def batch_and_order_do_not_matter(case: DetectorCase) -> None:
    """What is said of an image does not depend on the images beside it, bit for bit; a batch of one among them."""
    together = case.digests()
    assert [case.digests(images=[image])[0] for image in case.images] == together, "alone, an image gets another prediction"
    assert case.digests(images=case.images[::-1])[::-1] == together, "in another order, an image gets another prediction"


def predicting_twice_gives_the_same_bits(case: DetectorCase) -> None:
    """`predict` changes nothing that a later `predict` sees."""
    assert case.digests() == case.digests(), "a second predict says something else"


def global_generators_are_left_alone(case: DetectorCase) -> None:
    """`fit` and `predict` neither read nor move the global generators of Python, NumPy and torch."""
    answers = []
    for seed in (1, 2):
        seed_globals(seed)
        before = global_states()
        answers.append(case.digests(case.make().fit(case.task())))
        assert global_states() == before, "a global generator was moved"
    assert answers[0] == answers[1], "the model depends on a global generator"


# --- storage


@contextmanager
def _saved(case: DetectorCase) -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "saved"
        case.detector.save(home)
        yield home


def moved_folder_says_the_same_in_a_new_process(case: DetectorCase) -> None:
    """Save, move the folder, load in a new process: the same predictions, bit for bit."""
    expected = case.digests()
    with _saved(case) as home:
        moved = home.rename(home.with_name("moved elsewhere"))
        assert digests_in_fresh_process(case.detector, moved) == expected, "a loaded detector says something else"


def only_plain_files_are_written(case: DetectorCase) -> None:
    """A saved detector is `model.safetensors`, `detector.json` and at most YAML and Markdown."""
    with _saved(case) as home:
        names = {path.name for path in home.rglob("*") if path.is_file()}
    odd = [name for name in sorted(names) if Path(name).suffix not in ALLOWED_FILES]
    assert not odd, f"save writes {odd[0]}; allowed are {', '.join(sorted(ALLOWED_FILES))}"
    assert {"model.safetensors", "detector.json"} <= names, f"save writes {sorted(names)}"


def damaged_folder_is_refused(case: DetectorCase) -> None:
    """A missing, cut or changed file raises `DamagedFile`."""
    with _saved(case) as home:
        for name in ("model.safetensors", "detector.json"):
            for damage in (_remove, _cut, _change):
                copy = Path(shutil.copytree(home, home.with_name("copy")))
                damage(copy / name)
                assert_refused(partial(type(case.detector).load, copy), DamagedFile, f"{name} after {damage.__name__}")
                shutil.rmtree(copy)


def _remove(path: Path) -> None:
    path.unlink()


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-7])


def _change(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 4] = bytes(255 - byte for byte in data[len(data) // 2 : len(data) // 2 + 4])
    path.write_bytes(bytes(data))


# --- edges


def odd_sizes_work(case: DetectorCase) -> None:
    """Images of 61×97 can be learned from and predicted."""
    size = (61, 97)
    normals = [normal_sample(i, normal_image(i, size)) for i in range(5)]
    image = normal_image(200, size)
    assert_form(image, next(iter(case.make().fit(case.task(normals)).predict([image]))))


def constant_images_work(case: DetectorCase) -> None:
    """Black, white and grey images can be learned from and predicted."""
    flat = [np.full((64, 64, 3), value, np.uint8) for value in (0, 128, 255)]
    learned = case.make().fit(case.task([normal_sample(i, image) for i, image in enumerate([flat[1]] * 5)]))
    for detector in (case.detector, learned):
        for image, prediction in zip(flat, detector.predict(flat), strict=True):
            assert_form(image, prediction)


def few_normals_suffice(case: DetectorCase) -> None:
    """One normal is enough to fit, and so are five; a warning is allowed."""
    for count in (1, 5):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            detector = case.make().fit(case.task([normal_sample(i) for i in range(count)]))
        assert_form(case.images[0], next(iter(detector.predict(case.images[:1]))))


def missing_normals_are_refused(case: DetectorCase) -> None:
    """No normal at all raises `NeedUnmet` or `DataError`."""
    assert_refused(lambda: case.make().fit(case.task([])), (NeedUnmet, DataError), "a task without normals")


def anomalies_among_the_normals_are_refused(case: DetectorCase) -> None:
    """An anomaly handed over as a training normal raises `DataError`."""
    mixed = [normal_sample(0), defective_sample(1)]
    assert_refused(lambda: case.make().fit(case.task(mixed)), DataError, "an anomaly among the normals")


def bad_images_are_refused(case: DetectorCase) -> None:
    """An image that is not uint8 H×W×3 raises `DataError`."""
    image = case.images[0]
    bad_ones: dict[str, Any] = {
        "a grey image": image[:, :, 0],
        "a float image": image / 255.0,
        "four channels": image[:, :, [0, 1, 2, 0]],
    }
    for name, bad in bad_ones.items():
        assert_refused(partial(case.predictions, images=[bad]), DataError, name)


def bad_parameters_are_named(case: DetectorCase) -> None:
    """Every value outside the declared constraints raises a `UsageError` that names the parameter."""
    method = case.make()
    for name, value in forbidden(type(method)):  # type: ignore[arg-type]
        refusal = refusal_of(method, {name: value})
        assert refusal, f"{name}={value!r} is accepted"
        assert name in refusal, f"the refusal of {name}={value!r} does not name it: {refusal}"


def unknown_parameters_are_refused(case: DetectorCase) -> None:
    """A parameter that does not exist raises a `UsageError` that names it."""
    refusal = refusal_of(case.make(), {"no_such_parameter": 1})
    assert refusal, "a parameter that does not exist is accepted"
    assert "no_such_parameter" in refusal, f"the refusal does not name the parameter: {refusal}"


# --- needs and hygiene


def needs_are_as_declared(case: DetectorCase) -> None:
    """Without anomalies: a detector that requires them raises `NeedUnmet` before any work, every other one fits."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if case.make().traits.needs.anomalies == "required":
            assert_refused(lambda: case.make().fit(case.task(stream=None)), NeedUnmet, "a task without anomalies")
        else:
            detector = case.make().fit(case.task(stream=None))
            assert_form(case.images[0], next(iter(detector.predict(case.images[:1]))))


def export_is_as_declared(case: DetectorCase) -> None:
    """With `exports`, `graph()` gives a module; without, it raises `NeedUnmet` or a `UsageError`."""
    if case.detector.traits.exports:
        assert callable(getattr(case.detector.graph(), "forward", None)), "graph() gives no module"
        return
    assert_refused(case.detector.graph, (NeedUnmet, UsageError), "graph() of a detector that does not declare it")


def learning_from_normals_reads_nothing_else(case: DetectorCase) -> None:
    """A detector that learns from normals alone reads neither the anomaly stream nor a validation or test sample."""
    made = case.make()
    if made.traits.learns_from != {"normals"}:
        return
    refusal = TouchedByMistake("fit on normals read something else")
    made.fit(case.task(stream=SquareStream(made.size, refusal=refusal), validation=[defective_sample(0, refusal)]))


def validation_is_not_learned_from(case: DetectorCase) -> None:
    """The validation set changes nothing: it is for reports and thresholds, and no weight depends on it."""
    detector = case.make().fit(case.task(validation=[defective_sample(i) for i in range(2)]))
    assert case.digests(detector) == case.digests(), "the model depends on the validation set"


def network_is_not_used(case: DetectorCase) -> None:
    """Fitting and predicting try no connection."""
    found = connections(lambda: case.predictions(case.make().fit(case.task())))
    assert not found, f"the detector reaches for {found[0]}"


def page_is_complete(case: DetectorCase) -> None:
    """The detector's page has a picture, cites the paper, and explains every parameter."""
    if case.docs is None:
        return
    method = type(case.make())
    page = case.docs / f"{method.name}.md"
    assert page.is_file(), f"there is no page {page}"
    text = page.read_text(encoding="utf-8")
    assert f"{method.name}.png" in text, f"{page} shows no picture {method.name}.png"
    missing = [name for name in getattr(method, "model_fields", {}) if name != "preset" and f"`{name}`" not in text]
    assert not missing, f"{page} does not explain {', '.join(missing)}"
    entry = detectors.entries.get(method.name)
    cited = re.split(r"[ ,]", entry.paper)[0] if entry else ""
    assert cited in text, f"{page} does not cite {entry.paper if entry else ''}"


def _named(checks: Sequence[Check]) -> dict[str, Check]:
    return {check.__name__: check for check in checks}


CHECKS: Mapping[str, Check] = _named(
    [
        construction_only_stores,
        recipe_builds_the_same_method,
        entry_states_the_same_traits,
        fit_returns_self,
        fitting_twice_equals_once,
        fit_leaves_the_samples_alone,
        unfitted_use_is_refused,
        resumed_fit_equals_uninterrupted,
        predictions_have_the_right_form,
        one_prediction_per_image_in_order,
        images_stay_untouched,
        higher_is_more_anomalous,
        classes_are_as_declared,
        same_seed_same_model,
        batch_and_order_do_not_matter,
        predicting_twice_gives_the_same_bits,
        global_generators_are_left_alone,
        moved_folder_says_the_same_in_a_new_process,
        only_plain_files_are_written,
        damaged_folder_is_refused,
        odd_sizes_work,
        constant_images_work,
        few_normals_suffice,
        missing_normals_are_refused,
        anomalies_among_the_normals_are_refused,
        bad_images_are_refused,
        bad_parameters_are_named,
        unknown_parameters_are_refused,
        needs_are_as_declared,
        export_is_as_declared,
        learning_from_normals_reads_nothing_else,
        validation_is_not_learned_from,
        network_is_not_used,
        page_is_complete,
    ]
)
