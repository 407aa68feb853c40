"""Train an inspector: split, support, stream, detector, threshold, in this order, with nothing of the test set in any of them."""

from __future__ import annotations

import json
import math
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from flawsmith import __version__
from flawsmith.core.detector import Budget, Detector, ItemStream, TrainingTask
from flawsmith.core.errors import DataError, NeedUnmet, UnknownName, UsageError
from flawsmith.core.files import (
    LOCK,
    PARTIAL,
    canonical_json,
    output_errors,
    publish,
    refuse_overlap,
    refuse_taken,
    sha256_bytes,
    sole_writer,
    staging_of,
    write_text,
)
from flawsmith.core.methods import MethodRecipe
from flawsmith.core.progress import track
from flawsmith.core.recipes import TrainingRecipe, WeightedMethod, parse_methods, parse_settings
from flawsmith.core.registry import build_detector, build_synthesizer, detectors, synthesizers
from flawsmith.core.requests import Request
from flawsmith.core.samples import Region, Sample, SupportSet
from flawsmith.core.seeding import Seed
from flawsmith.core.synthesizer import Synthesizer, check_needs, heritage_of
from flawsmith.data.dataset import Dataset
from flawsmith.data.fingerprints import turned_digest
from flawsmith.data.good_masks import refuse_marked_normals
from flawsmith.data.leakage import check_heritage, check_leakage
from flawsmith.data.resize import resize_image
from flawsmith.data.scales import scale_of
from flawsmith.data.splits import Split, hold_out, make_split, with_absolute_files
from flawsmith.data.support import support_set
from flawsmith.inspection.inspector import FINGERPRINT, MARKER, Inspector, Origin
from flawsmith.inspection.thresholds import find_threshold
from flawsmith.learning.loop import CHECKPOINT, LOG
from flawsmith.learning.stream import AnomalyStream
from flawsmith.learning.threads import use_threads
from flawsmith.metrics.ranking import auroc
from flawsmith.synthesis import confined
from flawsmith.synthesis.folders import refuse_textures_from, with_absolute_folders

MOST_VALIDATION_ANOMALIES = 100


def recipe_of(
    detector: str, synth: str = "", settings: Sequence[str] = (), *, foreground: str | None = None, **fields: Any
) -> TrainingRecipe:
    """The recipe that a command line or a call describes.

    Args:
        detector: registry name.
        synth: `draem:2,nsa:1`; empty: the detector's own default.
        settings: `METHOD.PARAMETER=VALUE`, for the detector and the synthesizers. Where both have one name, the parameter says
            which is meant, or the setting begins with `detector.` or `synth.`.
        foreground: rule or folder of masks for every synthesizer that has the parameter and is not told another.
        fields: further fields of `TrainingRecipe`.

    Raises:
        UsageError: an unknown method or parameter, or a value out of range.
    """
    methods = synth or detectors.entry(detector).traits.default_synth
    names = [member.method.name for member in parse_methods(methods)] if methods else []
    of_detector, of_synth = _dealt(settings, detector, names)
    params = parse_settings(of_detector, [detector, *names])
    values = {"detector": MethodRecipe(name=detector, params=params.get(detector, {})), **fields}
    members = confined(parse_methods(methods, of_synth) if methods else (), foreground)
    recipe = TrainingRecipe.parse({**values, "synth": members}, "training")
    return _spelled_out(recipe)


def _dealt(settings: Sequence[str], detector: str, names: Sequence[str]) -> tuple[list[str], list[str]]:
    """The settings of the detector, and those of the synthesizers; both can have the name of one paper, as memseg."""
    of_detector: list[str] = []
    of_synth: list[str] = []
    for setting in settings:
        side, _, rest = setting.partition(".")
        whole = "." in rest.partition("=")[0]
        if whole and side in ("detector", "synth"):
            (of_detector if side == "detector" else of_synth).append(rest)
        elif side == detector and side in names:
            (of_synth if _is_of_synth(setting) else of_detector).append(setting)
        else:
            (of_synth if side in names else of_detector).append(setting)
    return of_detector, of_synth


def _is_of_synth(setting: str) -> bool:
    """Whether a setting that names both a detector and a synthesizer is the synthesizer's.

    Raises:
        UsageError: both have the parameter.
    """
    name, _, rest = setting.partition(".")
    parameter = rest.partition("=")[0]
    known = [parameter in registry.entry(name).resolve().model_fields for registry in (detectors, synthesizers)]
    if all(known):
        raise UsageError(
            f"--set {setting!r} could mean the detector {name} or the synthesizer {name}; expected detector.{setting} or "
            f"synth.{setting}"
        )
    return known[1]


def _spelled_out(recipe: TrainingRecipe) -> TrainingRecipe:
    """Build every method once, so that a wrong name or value fails before any work; every parameter and whole paths are told."""
    return recipe.model_copy(
        update={
            "detector": build_detector(recipe.detector).recipe(),
            "synth": tuple(
                WeightedMethod(method=with_absolute_folders(build_synthesizer(m.method).recipe()), weight=m.weight)
                for m in recipe.synth
            ),
            "split": with_absolute_files(recipe.split),
        }
    )


def train(
    data: Dataset,
    detector: str = "patchcore",
    synth: str = "",
    *,
    settings: Sequence[str] = (),
    out: Path | str | None = None,
    overwrite: bool = False,
    **fields: Any,
) -> Inspector:
    """Train an inspector on the normals of `data`.

    Args:
        data: from `flawsmith.load`.
        detector: registry name.
        synth: synthesizers by weight, `draem:2,nsa:1`; empty: the detector's own default.
        settings: `METHOD.PARAMETER=VALUE`.
        out: folder to save it in; None: it is not saved and a broken run cannot be resumed.
        overwrite: replace the inspector at `out`.
        fields: further fields of `TrainingRecipe`, such as ratio=0.5, seed=0, shots=4; foreground="auto" keeps synthetic defects
            on the object.

    Returns:
        The inspector, saved at `out` if given.
    """
    recipe = recipe_of(detector, synth, settings, **fields)
    return train_recipe(data, recipe, Path(out) if out is not None else None, overwrite=overwrite)


def train_recipe(
    data: Dataset, recipe: TrainingRecipe, out: Path | None = None, *, overwrite: bool = False, command: str = ""
) -> Inspector:
    """`train` from a recipe. A run that was interrupted goes on where it stopped when it is started again.

    Args:
        data: from `flawsmith.load`.
        recipe: everything that defines the training.
        out: folder to save it in, apart from the data.
        overwrite: replace the inspector at `out`; a folder that is no inspector is never replaced.
        command: what the user typed, for the record.

    Raises:
        UsageError: the product is missing or unknown.
        DataError: too few normals, a leak between the sides of the split, or a mask that marks a normal.
        NeedUnmet: the detector needs what this run does not have; said before any work.
        OutputError: `out` is taken or cannot be written.
    """
    replaceable = MARKER if overwrite else None
    if out is not None:
        refuse_overlap(out, [data.root])
        refuse_taken(out, replaceable=replaceable)
    chosen = choose_product(data, recipe.product)
    prepared = _prepare(chosen, recipe)
    if out is None:
        return _fitted(chosen, recipe, prepared, None, command)
    refuse_overlap(out, [folder for synthesizer, _ in prepared.sources for folder in heritage_of(synthesizer).folders])
    with _staging(staging_of(out), prepared.fingerprint) as staging:
        inspector = _fitted(chosen, recipe, prepared, staging, command)
        _settle(inspector, staging, out, replaceable)
    return inspector


def choose_product(data: Dataset, product: str | None) -> Dataset:
    """The samples of one product.

    Raises:
        UsageError: several products and none chosen.
        UnknownName: no such product.
    """
    if product is None and len(data.products) > 1:
        raise UsageError(
            f"{data.root} has {len(data.products)} products; expected one: choose with --product {'|'.join(data.products)}"
        )
    if product is not None and product not in data.products:
        raise UnknownName("product", product, data.products)
    return data.of(product=product or data.products[0])


@dataclass(frozen=True, eq=False)
class _Prepared:
    """What is known before the first step."""

    detector: Detector
    sources: tuple[tuple[Synthesizer, float], ...]
    split: Split
    support: SupportSet
    held_out: tuple[Sample, ...]
    warnings: tuple[str, ...]
    digests: tuple[str, ...]
    fingerprint: str


def _prepare(data: Dataset, recipe: TrainingRecipe) -> _Prepared:
    detector = build_detector(recipe.detector)
    sources = tuple((build_synthesizer(member.method), member.weight) for member in recipe.synth)
    _refuse_unmet(detector, recipe, sources)
    refuse_textures_from(data, {synthesizer.name: heritage_of(synthesizer) for synthesizer, _ in sources})
    whole = make_split(data, recipe.split, seed=recipe.seed)
    support, split = support_set(
        data, whole, product=data.products[0], shots=recipe.shots, defect_shots=recipe.defect_shots, seed=recipe.seed
    )
    if recipe.defect_shots and not support.anomalies:
        raise DataError(
            "E_FEW",
            f"{recipe.defect_shots} real anomalies of each defect were asked for and {data.root} has none; expected some: add "
            f"them, or leave out --defect-shots",
            [data.root],
        )
    share = _validation_share(recipe, len(support.normals))
    split = hold_out(split, data, share, recipe.seed, support=support.anomalies)
    applied = split.apply(data)
    training = {sample.id for sample in applied.of(split="train").samples}
    normals = tuple(sample for sample in support.normals if sample.id in training)
    if not normals:
        raise DataError(
            "E_EMPTY_SPLIT", f"{data.root} has no training normal; expected at least one good image: check the folder names"
        )
    held_out = tuple(sample for sample in applied.of(split="val").samples if sample.is_normal)
    leaks = check_leakage(applied, support.anomalies)
    refuse_marked_normals(applied.samples)
    support = replace(support, normals=normals)
    fitted = tuple((synthesizer.fit(support), weight) for synthesizer, weight in sources)
    _refuse_twinless(detector, fitted)
    heritages = [(synthesizer.name, heritage_of(synthesizer)) for synthesizer, _ in fitted]
    before = [warning for name, heritage in heritages for warning in check_heritage(applied, heritage, name)]
    seen = (*support.normals, *support.anomalies, *held_out)
    digests = tuple(turned_digest(sample.image()) for sample in track(seen, "noting what is learned from"))
    told = [__version__, recipe.digest(), split.digest, sorted(support.ids), digests, [told.state for _, told in heritages]]
    fingerprint = sha256_bytes(canonical_json(told).encode())
    warnings = (*(f"the split {flag}" for flag in split.flags), *leaks.warnings, *dict.fromkeys(before))
    return _Prepared(detector, fitted, split, support, held_out, warnings, digests, fingerprint)


def _validation_share(recipe: TrainingRecipe, normals: int) -> float:
    """A tenth; where that is too few for a threshold at the accepted false alarms, as many as that takes, up to a third."""
    if recipe.validation_share is not None:
        return recipe.validation_share
    enough = math.ceil(1 / recipe.false_alarms) - 1
    return max(0.1, min(enough, normals // 3) / max(normals, 1))


def _refuse_unmet(detector: Detector, recipe: TrainingRecipe, sources: Sequence[tuple[Synthesizer, float]]) -> None:
    needs = detector.traits.needs
    for synthesizer, _ in sources:
        check_needs(synthesizer)
    learns = "anomalies" in detector.traits.learns_from
    if not learns and (unused := _only_for_learners(recipe)):
        raise UsageError(
            f"{detector.name} learns from normals alone and without steps, so {unused} would do nothing; expected it left out, "
            f"or a detector that learns from anomalies"
        )
    if recipe.real_share and not recipe.defect_shots:
        raise UsageError(f"real_share is {recipe.real_share:g} and no real anomaly is given; expected --defect-shots with it")
    if needs.anomalies == "required" and not sources and recipe.defect_shots == 0:
        raise NeedUnmet(detector.name, "anomalies", "name a synthesizer with --synth or give real ones with --defect-shots")
    copying = next((synthesizer.name for synthesizer, _ in sources if "references" in synthesizer.traits.needs), None)
    if copying and not recipe.defect_shots:
        raise NeedUnmet(copying, "real anomalies with masks", "give it some with --defect-shots 1")
    if needs.text:
        raise NeedUnmet(detector.name, "words about the defects", "train it from a support set with priors")
    if detector.size % needs.multiple:
        near = max(needs.multiple, round(detector.size / needs.multiple) * needs.multiple)
        raise NeedUnmet(
            detector.name, f"a size that is a multiple of {needs.multiple} (it is {detector.size})", f"set size={near}"
        )


def _refuse_twinless(detector: Detector, sources: Sequence[tuple[Synthesizer, float]]) -> None:
    twinless = next((synthesizer.name for synthesizer, _ in sources if not synthesizer.traits.twins), None)
    if detector.traits.needs.paired == "required" and twinless:
        raise NeedUnmet(
            detector.name,
            f"beside each anomaly the same picture without it (some of {twinless} have none)",
            f"add the origins, leave {twinless} out of --synth, or choose a detector that needs none",
        )


def _only_for_learners(recipe: TrainingRecipe) -> str | None:
    """The first field that says something and concerns the stream of anomalies or the steps."""
    concerned = (
        "synth",
        "mixing",
        "defect_shots",
        "ratio",
        "ratio_mode",
        "real_share",
        "rotation",
        "photometry",
        "pool",
        "steps",
        "seconds",
    )
    said = (name for name in concerned if getattr(recipe, name) != TrainingRecipe.model_fields[name].default)
    return next(said, None)


@contextmanager
def _staging(folder: Path, fingerprint: str) -> Iterator[Path]:
    """The folder in which an inspector grows, ours alone. What another training left in it is cleared; what this one left, kept.

    When the block fails, the folder stays only if a checkpoint is in it.
    """
    with sole_writer(folder):
        note = folder / FINGERPRINT
        try:
            with output_errors(folder):
                if not note.is_file() or note.read_text(encoding="utf-8") != fingerprint:
                    _clear(folder)
                    write_text(note, fingerprint)
            yield folder
        except BaseException:
            if not (folder / CHECKPOINT).is_file():
                shutil.rmtree(folder, ignore_errors=True)
            raise


def _clear(folder: Path) -> None:
    for path in folder.iterdir():
        if path.name != LOCK:
            path.unlink()


def _fitted(data: Dataset, recipe: TrainingRecipe, prepared: _Prepared, folder: Path | None, command: str) -> Inspector:
    seed = Seed(recipe.seed, ("train", data.name, data.products[0]))
    stream = _stream(recipe, prepared, seed)
    validation = (*prepared.held_out, *_validation_anomalies(prepared, seed))
    task = TrainingTask(
        stream,
        prepared.support.normals,
        prepared.support,
        validation,
        budget=Budget(recipe.steps, recipe.seconds),
        seed=seed,
        folder=folder,
        fingerprint=prepared.fingerprint,
    )
    began = time.monotonic()
    with use_threads():
        detector = prepared.detector.fit(task)
        seconds = max(time.monotonic() - began, _logged_seconds(folder))
        threshold = find_threshold(
            detector,
            [sample.image() for sample in prepared.held_out],
            [sample.image() for sample in prepared.support.normals[:30]],
            recipe.false_alarms,
        )
        metrics = {"train_seconds": seconds, **_epoch(stream), **_validation_metrics(detector, validation)}
    return Inspector(detector, recipe, prepared.split, threshold, _origin(data, prepared, stream, command), metrics)


def _epoch(stream: ItemStream | None) -> dict[str, int]:
    """The items in which every method can meet every normal once, to tell epochs from steps."""
    return {"items_per_epoch": stream.epoch} if isinstance(stream, AnomalyStream) else {}


def _logged_seconds(folder: Path | None) -> float:
    """Seconds of training over all runs, from the log of a training that was resumed; 0 where there is none."""
    if folder is None or not (folder / LOG).is_file():
        return 0.0
    events = [json.loads(line) for line in (folder / LOG).read_text(encoding="utf-8").splitlines()]
    return max((float(event["seconds"]) for event in events if event["event"] == "finished"), default=0.0)


def _stream(recipe: TrainingRecipe, prepared: _Prepared, seed: Seed) -> ItemStream | None:
    detector, support = prepared.detector, prepared.support
    if "anomalies" not in detector.traits.learns_from:
        return None
    return AnomalyStream(
        support.normals,
        prepared.sources,
        recipe.ratio,
        (detector.size, detector.size),
        seed.child("stream"),
        ratio_mode=recipe.ratio_mode,
        mixing=recipe.mixing,
        real=support.anomalies,
        real_share=_real_share(recipe, prepared),
        rotation=recipe.rotation,
        photometry=recipe.photometry,
        pool=recipe.pool,
    )


def _real_share(recipe: TrainingRecipe, prepared: _Prepared) -> float:
    """As the recipe says; where it does not, real anomalies that were given take half, or all where nothing is synthesized."""
    if not prepared.support.anomalies:
        return 0.0
    return recipe.real_share if recipe.real_share is not None else 0.5 if prepared.sources else 1.0


def _validation_anomalies(prepared: _Prepared, seed: Seed) -> list[Sample]:
    """Synthetic anomalies of another seed on held-out normals, fixed for the run; none without synthesizers."""
    if not prepared.sources or not prepared.held_out:
        return []
    made = []
    size = (prepared.detector.size, prepared.detector.size)
    for index, sample in enumerate(prepared.held_out[:MOST_VALIDATION_ANOMALIES]):
        synthesizer = prepared.sources[index % len(prepared.sources)][0]
        normal = sample.with_pixels(resize_image(sample.image(), size))
        anomaly = synthesizer.synthesize([Request(normal, seed.child("validation", index))])[0]
        if not anomaly.is_normal:
            told = sample.with_pixels(anomaly.image, (Region(anomaly.defect, anomaly.mask),))
            made.append(replace(told, id=f"{sample.id}#{synthesizer.name}", defect=anomaly.defect, origin="synthetic"))
    return made


def _validation_metrics(detector: Detector, validation: Sequence[Sample]) -> dict[str, Any]:
    labels = [not sample.is_normal for sample in validation]
    scores = [prediction.score for prediction in detector.predict(sample.image() for sample in validation)]
    return {"validation_image_auroc": auroc(scores, labels).to_json()}


def _origin(data: Dataset, prepared: _Prepared, stream: ItemStream | None, command: str) -> Origin:
    shown = isinstance(stream, AnomalyStream) and stream.ratio > 0
    made_from_real = any(synthesizer.traits.uses_real_anomalies for synthesizer, _ in prepared.sources)
    return Origin(
        dataset=data.name,
        product=data.products[0],
        root=str(data.root),
        licence=data.licence,
        citation=data.citation,
        digests=prepared.digests,
        warnings=prepared.warnings,
        learned_from_anomalies=shown,
        uses_real_anomalies=shown and (made_from_real or (isinstance(stream, AnomalyStream) and stream.real_share > 0)),
        command=command,
        scale=scale_of(data),
    )


def _settle(inspector: Inspector, staging: Path, out: Path, replaceable: str | None) -> None:
    """Write everything into the staging folder and give it its name."""
    with output_errors(out):
        for left in staging.glob(f"*{PARTIAL}"):
            left.unlink()
    inspector.write_into(staging)
    with output_errors(out):
        for name in (CHECKPOINT, FINGERPRINT, LOCK):
            (staging / name).unlink(missing_ok=True)
    publish(staging, out, replaceable=replaceable)
