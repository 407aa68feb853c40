"""Every registered synthesizer passes every check, and every check catches a synthesizer that breaks its clause."""

import atexit
import functools
import json
import shutil
import socket
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from pydantic import Field, PrivateAttr

from flawsmith.appearance.textures import open_bank
from flawsmith.core.errors import BadParameter, NotFitted, UnknownName
from flawsmith.core.methods import Method, MethodRecipe
from flawsmith.core.registry import Entry, build_synthesizer, synthesizers
from flawsmith.core.requests import Anomaly, Provenance
from flawsmith.core.samples import GOOD
from flawsmith.core.seeding import Seed
from flawsmith.core.synthesizer import SynthesizerTraits
from flawsmith.data.dataset import Dataset
from flawsmith.masks.boxes import inside, random_box
from flawsmith.synthesis.sets import synthesize
from flawsmith.synthesis.training_free import Placed, Scene, TrainingFree
from flawsmith.synthesis.writing import write_set
from flawsmith.testing.report import NotConforming
from flawsmith.testing.synthesizer_case import SynthesizerCase
from flawsmith.testing.synthesizers import CHECKS, check_synthesizer
from flawsmith.testing.toy import toy_normals

DOCS = Path(__file__).parents[2] / "docs" / "synthesis"

BEFORE = "a folder that a test fills"
"""Stands for the folder of a small set."""

MEMBERS = [{"method": {"name": "draem"}, "weight": 2}, {"method": {"name": "cutpaste"}}]
CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "cutout": ("cutout", {}),
    "cutout-asbench": ("cutout", {"preset": "asbench"}),
    "cutout-noise": ("cutout", {"fill": "noise"}),
    "cutpaste": ("cutpaste", {}),
    "cutpaste-asbench": ("cutpaste", {"preset": "asbench"}),
    "cutpaste-normals": ("cutpaste", {"source": "normals"}),
    "cutpaste_by_mask": ("cutpaste_by_mask", {}),
    "cutpaste_by_mask-uniadc": ("cutpaste_by_mask", {"preset": "uniadc"}),
    "cutpaste_by_mask-feather": ("cutpaste_by_mask", {"blend": "feather", "match_brightness": True, "most": 3}),
    "cutpaste_by_mask-poisson": ("cutpaste_by_mask", {"blend": "poisson", "resize": "shape", "scale": [0.8, 1.25]}),
    "cutpaste_by_mask-reserved": ("cutpaste_by_mask", {"position_reserved": True}),
    "cutpaste_scar": ("cutpaste_scar", {}),
    "cutpaste_scar-asbench": ("cutpaste_scar", {"preset": "asbench"}),
    "destseg": ("destseg", {}),
    "destseg-asbench": ("destseg", {"preset": "asbench"}),
    "destseg-asbench_memseg": ("destseg", {"preset": "asbench_memseg"}),
    "destseg-asbench_draem": ("destseg", {"preset": "asbench_draem"}),
    "destseg-normals": ("destseg", {"textures": "normals"}),
    "disc_shift": ("disc_shift", {}),
    "disc_shift-asbench": ("disc_shift", {"preset": "asbench"}),
    "draem": ("draem", {}),
    "draem-asbench": ("draem", {"preset": "asbench"}),
    "draem-asbench_destseg": ("draem", {"preset": "asbench_destseg"}),
    "draem-anomalib": ("draem", {"preset": "anomalib"}),
    "draem-normals": ("draem", {"textures": "normals"}),
    "fpi": ("fpi", {}),
    "fpi-levels": ("fpi", {"levels": 4, "tolerance": 8}),
    "fractal": ("fractal", {}),
    "fractal-asbench": ("fractal", {"preset": "asbench"}),
    "fractal-object": ("fractal", {"find_object": "always"}),
    "memseg": ("memseg", {}),
    "memseg-asbench": ("memseg", {"preset": "asbench", "foreground": "auto", "uneven": "mirror"}),
    "memseg-asbench_draem": ("memseg", {"preset": "asbench_draem", "uneven": "mirror"}),
    "memseg-asbench_destseg": ("memseg", {"preset": "asbench_destseg", "uneven": "mirror"}),
    "memseg-realnet": ("memseg", {"preset": "realnet"}),
    "memseg-realnet_dtd": ("memseg", {"preset": "realnet_dtd"}),
    "memseg-structural": ("memseg", {"textures": "structural"}),
    "mix": ("mix", {"members": MEMBERS}),
    "mix-scar": ("mix", {"members": [*MEMBERS, {"method": {"name": "cutpaste_scar"}}]}),
    "mix-precomputed": ("mix", {"members": [*MEMBERS, {"method": {"name": "precomputed", "params": {"folder": BEFORE}}}]}),
    "nsa": ("nsa", {}),
    "nsa-asbench": ("nsa", {"preset": "asbench"}),
    "nsa-bottle": ("nsa", {"product": "bottle"}),
    "nsa-object": ("nsa", {"product": "pill", "objects": "auto"}),
    "nsa-ellipses": ("nsa", {"ellipses": 5}),
    "nsa-uniform": ("nsa", {"blend": "uniform", "label": "continuous"}),
    "pii": ("pii", {}),
    "pii-opencv": ("pii", {"preset": "nsa"}),
    "pii-levels": ("pii", {"levels": 4, "tolerance": 8}),
    "precomputed": ("precomputed", {"folder": BEFORE}),
    "precomputed-types": ("precomputed", {"folder": BEFORE, "weights": "uniform_type", "max_per_type": 5}),
    "riad": ("riad", {}),
    "riad-exact": ("riad", {"preset": "exact"}),
}


def test_no_registered_method_stays_outside() -> None:
    assert {name for name, _ in CASES.values()} == set(synthesizers.names())


@functools.cache
def before() -> str:
    """A set of dents and of anomalies with their methods' names, some without the clean picture, written once per process."""
    folder = Path(tempfile.mkdtemp(prefix="flawsmith-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    data = Dataset("toy", folder / "normals", "folder", tuple(toy_normals(4, Seed(0), 96)))
    dents = write_set(synthesize(data, "cutpaste", 8, defect="dent"), folder / "dents", clean=True)
    write_set(synthesize(data, "draem,cutpaste", 8, seed=1), folder / "set")
    shutil.copytree(dents.folder / "toy" / "dent", folder / "set" / "toy" / "dent")
    with (folder / "set" / "manifest.jsonl").open("a", encoding="utf-8") as manifest:
        manifest.write((dents.folder / "manifest.jsonl").read_text(encoding="utf-8"))
    return str(folder / "set")


@functools.cache
def case_of(label: str) -> SynthesizerCase:
    name, params = CASES[label]
    if BEFORE in repr(params):
        params = json.loads(json.dumps(params).replace(BEFORE, before()))
    return SynthesizerCase(lambda: build_synthesizer(MethodRecipe(name=name, params=params)), DOCS)


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("label", CASES)
def test_conforms(label: str, check: str) -> None:
    CHECKS[check](case_of(label))


# --- teeth: an honest synthesizer, and one broken in each clause

TRAITS = SynthesizerTraits(takes_mask=True, area=(0.001, 0.2))


class Honest(TrainingFree):
    """Darken a square."""

    name: ClassVar[str] = "honest"
    traits: ClassVar[SynthesizerTraits] = TRAITS
    depth: int = Field(default=40, ge=10, le=90)

    def place(self, scene: Scene) -> Placed:
        image, foreground, mask = scene.image, scene.foreground, scene.mask
        side = image.shape[0] // 4
        box = random_box((side, side), image.shape, scene.seed.numpy("box"))
        chosen = np.zeros(image.shape[:2], bool)
        chosen[inside(box)] = True
        chosen = chosen if mask is None else mask.copy()
        chosen = chosen if foreground is None else chosen & foreground
        changed = image.copy()
        changed[chosen] = np.where(image[chosen] > 128, image[chosen] - self.depth, image[chosen] + self.depth)
        return Placed(changed, chosen, {"box": box})


def with_answer(change: Any) -> type[Honest]:
    """An honest synthesizer whose anomalies are changed after the fact."""

    class Broken(Honest):
        def _answer(self, request: Any) -> Anomaly:
            return change(super()._answer(request), request)

    return Broken


def altered(anomaly: Anomaly, **fields: Any) -> Anomaly:
    values = {name: getattr(anomaly, name) for name in Anomaly.__dataclass_fields__}
    return Anomaly(**{**values, **fields})


class OpensFiles(Honest):
    def model_post_init(self, _: Any) -> None:
        Path(__file__).read_bytes()


class DrawsWhenBuilt(Honest):
    def model_post_init(self, _: Any) -> None:
        np.random.rand()  # noqa: NPY002


class ForgetsDepth(Honest):
    def recipe(self) -> MethodRecipe:
        return MethodRecipe(name="honest", params={"depth": 30})


class OtherTraits(Honest):
    traits: ClassVar[SynthesizerTraits] = SynthesizerTraits(coarse_label=True)


class ReturnsCopy(Honest):
    def fit(self, support: Any) -> Any:
        return self.model_copy()


class CountsFits(Honest):
    _fits: int = PrivateAttr(0)

    def fit(self, support: Any) -> Any:
        self._fits += 1
        return self

    def place(self, scene: Scene) -> Placed:
        return super().place(replace(scene, seed=scene.seed.child(self._fits)))


class WritesSupport(Honest):
    def fit(self, support: Any) -> Any:
        support.normals[0].image()[0, 0] = 7
        return self


class NeverUnfitted(Honest):
    traits: ClassVar[SynthesizerTraits] = SynthesizerTraits(takes_mask=True, trainable=True)


class Reversing(Honest):
    def synthesize(self, requests: Any) -> Any:
        return super().synthesize(requests)[::-1]


class PaintsInPlace(Honest):
    def place(self, scene: Scene) -> Placed:
        placed = super().place(scene)
        scene.image[...] = placed.image
        return placed


class HandsOutItsInput(Honest):
    def _labelled(self, request: Any, image: Any, placed: Placed) -> Anomaly:
        return altered(super()._labelled(request, image, placed), image=image)


class AcceptsMasksUndeclared(Honest):
    traits: ClassVar[SynthesizerTraits] = SynthesizerTraits(area=(0.001, 0.2))

    def _check_mask(self, mask: Any, image: Any) -> None: ...


class IgnoresMasks(Honest):
    def place(self, scene: Scene) -> Placed:
        return super().place(replace(scene, mask=None))


class NeedsNothing(Honest):
    def _answer(self, request: Any) -> Anomaly:
        if request.normal is None:
            black = np.zeros((32, 32, 3), np.uint8)
            return Anomaly(black, black[..., 0] > 0, GOOD, None, "none", None, Provenance("honest", {}, "0", {}, None))
        return super()._answer(request)


class Moody(Honest):
    _calls: int = PrivateAttr(0)

    def place(self, scene: Scene) -> Placed:
        self._calls += 1
        return super().place(replace(scene, seed=scene.seed.child(self._calls)))


class AlwaysTheSame(Honest):
    def place(self, scene: Scene) -> Placed:
        return super().place(replace(scene, seed=Seed(0)))


class CountsInBatch(Honest):
    def synthesize(self, requests: Any) -> Any:
        return [
            super(CountsInBatch, self.model_copy(update={"depth": 10 + k})).synthesize([r])[0] for k, r in enumerate(requests)
        ]


class HashesText(Honest):
    def place(self, scene: Scene) -> Placed:
        return super().place(replace(scene, seed=scene.seed.child(hash("salted per process"))))


class ReadsGlobal(Honest):
    def place(self, scene: Scene) -> Placed:
        state = np.random.get_state()  # noqa: NPY002
        placed = super().place(replace(scene, seed=scene.seed.child(int(np.random.randint(1000)))))  # noqa: NPY002
        np.random.set_state(state)  # noqa: NPY002
        return placed


class MovesGlobal(Honest):
    def place(self, scene: Scene) -> Placed:
        np.random.rand()  # noqa: NPY002
        return super().place(scene)


class OftenNothing(Honest):
    def place(self, scene: Scene) -> Placed:
        placed = super().place(scene)
        return placed if scene.seed.numpy("coin").random() < 0.8 else Placed(scene.image, np.zeros_like(placed.mask))


class TooLarge(Honest):
    traits: ClassVar[SynthesizerTraits] = SynthesizerTraits(takes_mask=True, area=(0.001, 0.01))


class LosesDepth(Honest):
    _secret: int = PrivateAttr(0)

    def model_post_init(self, _: Any) -> None:
        self._secret = Path(__file__).stat().st_ino + id(self)

    def place(self, scene: Scene) -> Placed:
        return super().place(replace(scene, seed=scene.seed.child(self._secret)))


class CropsToEight(Honest):
    def _labelled(self, request: Any, image: Any, placed: Placed) -> Anomaly:
        answer = super()._labelled(request, image, placed)
        h, w = (side // 8 * 8 for side in image.shape[:2])
        return altered(answer, image=answer.image[:h, :w].copy())


class AcceptsTiny(Honest):
    def _check_image(self, image: Any, name: str) -> None: ...


class GivesUpOnLarge(Honest):
    def place(self, scene: Scene) -> Placed:
        placed = super().place(scene)
        return placed if scene.size[0] < 1000 else Placed(scene.image, np.zeros_like(placed.mask))


class CropsLarge(Honest):
    def _labelled(self, request: Any, image: Any, placed: Placed) -> Anomaly:
        answer = super()._labelled(request, image, placed)
        return altered(answer, image=answer.image[:512, :512].copy())


class RefusesOddSizes(Honest):
    def place(self, scene: Scene) -> Placed:
        if any(side % 8 for side in scene.size):
            raise BadParameter(f"a picture of {scene.size}; expected multiples of 8")
        return super().place(scene)


class Reddens(Honest):
    def place(self, scene: Scene) -> Placed:
        placed = super().place(scene)
        placed.image[placed.mask, 0] = 255
        return placed


class SearchesLong(Honest):
    def place(self, scene: Scene) -> Placed:
        if scene.foreground is not None and scene.foreground.sum() == 1:
            time.sleep(0.7)
        return super().place(scene)


class StumblesOverSpecks(Honest):
    def place(self, scene: Scene) -> Placed:
        placed = super().place(scene)
        return placed if placed.mask.any() else replace(placed, mask=np.ones_like(placed.mask))


class LooksForContrast(Honest):
    def place(self, scene: Scene) -> Placed:
        assert self._support is not None
        if self._support.normals[0].image().std() == 0:
            time.sleep(1.1)
        return super().place(scene)


class StumblesOverPlainTextures(Honest):
    textures: str = "procedural"

    def place(self, scene: Scene) -> Placed:
        if self.textures != "procedural":
            assert open_bank(self.textures).image(0, scene.size).std() > 0
        return super().place(scene)


class ContentWithOne(Honest):
    traits: ClassVar[SynthesizerTraits] = replace(TRAITS, needs=frozenset({"normal", "normals"}))

    def fit(self, support: Any) -> Any:
        self._support = support
        return self


class NamesNothing(Honest):
    """Refuses a name though it could bear it."""

    def place(self, scene: Scene) -> Placed:
        if scene.defect not in (None, "dent"):
            raise UnknownName("defect", str(scene.defect), ["dent"])
        return super().place(scene)


class RefusesItsOwnKinds(Honest):
    traits: ClassVar[SynthesizerTraits] = replace(TRAITS, uses_real_anomalies=True, needs=frozenset({"normal", "references"}))

    def place(self, scene: Scene) -> Placed:
        if scene.defect is not None:
            raise UnknownName("defect", scene.defect, [])
        return super().place(scene)


class DividesBySpread(Honest):
    def place(self, scene: Scene) -> Placed:
        assert scene.image.std() > 0
        return super().place(scene)


class LeavesForeground(Honest):
    def place(self, scene: Scene) -> Placed:
        return super().place(replace(scene, foreground=None))


class FailsAtTheEnd(Honest):
    def place(self, scene: Scene) -> Placed:
        1 // (90 - self.depth)
        return super().place(scene)


class TakesAnything(Honest):
    @classmethod
    def from_params(cls, params: Any) -> Any:
        return cls(**{key: value for key, value in params.items() if key in cls.model_fields and key == "preset"})


class ForgivesUnknown(Honest):
    @classmethod
    def from_params(cls, params: Any) -> Any:
        return super().from_params({key: value for key, value in params.items() if key in cls.model_fields})


class LooksUpNames(Honest):
    def place(self, scene: Scene) -> Placed:
        socket.getaddrinfo("localhost", 9)
        return super().place(scene)


def outside_pixel(anomaly: Anomaly, _: Any) -> Anomaly:
    image = anomaly.image.copy()
    y, x = np.argwhere(~anomaly.mask)[0]
    image[y, x] ^= 1
    return altered(anomaly, image=image)


TEETH: dict[str, list[type[Method]]] = {
    "construction_only_stores": [OpensFiles, DrawsWhenBuilt],
    "recipe_builds_the_same_method": [ForgetsDepth],
    "entry_states_the_same_traits": [OtherTraits],
    "fit_returns_self": [ReturnsCopy],
    "fitting_twice_equals_once": [CountsFits],
    "fit_leaves_the_support_alone": [WritesSupport],
    "unfitted_use_is_refused_where_it_learns": [NeverUnfitted],
    "output_has_the_right_form": [
        with_answer(lambda a, _: altered(a, mask=a.mask.astype(np.uint8))),
        with_answer(lambda a, _: altered(a, image=a.image.astype(np.float32))),
    ],
    "one_anomaly_per_request_in_order": [Reversing],
    "normals_stay_untouched": [PaintsInPlace, HandsOutItsInput],
    "local_outside_the_mask": [with_answer(outside_pixel)],
    "label_follows_the_mask": [with_answer(lambda a, _: altered(a, mask=np.zeros_like(a.mask)))],
    "masked_pixels_changed": [with_answer(lambda a, _: altered(a, mask=np.ones_like(a.mask)))],
    "clean_is_the_twin_it_says": [
        with_answer(lambda a, _: altered(a, clean=a.image)),
        with_answer(lambda a, _: altered(a, clean=None)),
        with_answer(lambda a, _: altered(a, clean=None, twin="none")),
    ],
    "soft_mask_lies_in_the_mask": [with_answer(lambda a, _: altered(a, soft_mask=np.ones(a.mask.shape, np.float32)))],
    "asked_mask_is_kept_or_refused": [AcceptsMasksUndeclared, IgnoresMasks],
    "asked_defect_is_named": [with_answer(lambda a, _: altered(a, defect="mine")), NamesNothing, RefusesItsOwnKinds],
    "missing_normal_is_refused": [NeedsNothing],
    "lone_normal_is_refused": [ContentWithOne],
    "same_seed_same_pixels": [Moody, AlwaysTheSame],
    "batch_and_order_do_not_matter": [CountsInBatch],
    "fresh_process_same_pixels": [HashesText],
    "global_generators_are_left_alone": [ReadsGlobal, MovesGlobal],
    "spread_is_as_declared": [OftenNothing, TooLarge],
    "provenance_replays": [LosesDepth],
    "odd_sizes_work": [CropsToEight, AcceptsTiny],
    "common_sizes_work": [GivesUpOnLarge, CropsLarge, RefusesOddSizes, with_answer(outside_pixel)],
    "grey_stays_grey": [Reddens],
    "plain_pictures_work": [DividesBySpread],
    "foreground_confines": [LeavesForeground],
    "hostile_foregrounds_end": [SearchesLong, StumblesOverSpecks, LeavesForeground],
    "plain_sources_end": [LooksForContrast, DividesBySpread, StumblesOverPlainTextures],
    "extreme_parameters_work": [FailsAtTheEnd],
    "bad_parameters_are_named": [TakesAnything],
    "unknown_parameters_are_refused": [ForgivesUnknown],
    "network_is_not_used": [LooksUpNames],
    "page_is_complete": [Honest],
}


@pytest.fixture
def registered(monkeypatch: pytest.MonkeyPatch) -> Any:
    def register(method: type[Method]) -> None:
        entry = Entry("honest", f"{__name__}:{method.__qualname__}", "darken a square", "Honest 2024", TRAITS)
        monkeypatch.setitem(synthesizers.entries, "honest", entry)  # type: ignore[arg-type]

    return register


def test_every_check_has_teeth() -> None:
    assert TEETH.keys() == CHECKS.keys()


@pytest.mark.parametrize(("check", "index"), [(check, k) for check, broken in TEETH.items() for k in range(len(broken))])
def test_a_broken_synthesizer_is_caught(check: str, index: int, registered: Any, tmp_path: Path) -> None:
    broken = TEETH[check][index]
    registered(broken)
    case = SynthesizerCase(lambda: broken.from_params({}), tmp_path)  # type: ignore[arg-type, return-value]
    with pytest.raises((AssertionError, ZeroDivisionError, UnknownName)):
        CHECKS[check](case)


def test_the_honest_one_passes_everything(registered: Any, tmp_path: Path) -> None:
    registered(Honest)
    (tmp_path / "honest.md").write_text("honest.png, Honest 2024: `foreground`, `depth`")
    check_synthesizer(lambda: Honest.from_params({}), docs=tmp_path, seeds=32).raise_if_failed()


def test_expected_failures_are_strict() -> None:
    expected = {"fit_returns_self": "it returns a copy", "network_is_not_used": "repaired long ago"}
    report = check_synthesizer(lambda: ReturnsCopy.from_params({}), expected_failures=expected, seeds=8)
    assert report.names("expected failure") == ("fit_returns_self",)
    assert report.names("unexpected pass") == ("network_is_not_used",)
    with pytest.raises(NotConforming, match="network_is_not_used: unexpected pass"):
        report.raise_if_failed()
    with pytest.raises(UnknownName, match="fit_returns_self"):
        check_synthesizer(lambda: Honest.from_params({}), expected_failures={"fit_return_self": "?"})


def test_a_trainable_method_may_refuse_unfitted() -> None:
    class Learns(NeverUnfitted):
        def synthesize(self, requests: Any) -> Any:
            if self._support is None:
                raise NotFitted(self.name)
            return super().synthesize(requests)

    CHECKS["unfitted_use_is_refused_where_it_learns"](SynthesizerCase(lambda: Learns.from_params({})))
