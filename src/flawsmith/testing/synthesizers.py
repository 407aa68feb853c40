"""The contract of a synthesizer as checks: one plain function per clause, for ours and for plug-ins.

from flawsmith.testing.synthesizers import check_synthesizer
check_synthesizer(lambda: MyMethod()).raise_if_failed()
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from flawsmith.core.errors import FlawsmithError, NeedUnmet, NotFitted, UnknownName, UsageError
from flawsmith.core.methods import MethodRecipe
from flawsmith.core.registry import build_synthesizer, synthesizers
from flawsmith.core.requests import Anomaly, Provenance, Request
from flawsmith.core.samples import GOOD
from flawsmith.core.seeding import Seed
from flawsmith.core.synthesizer import Synthesizer
from flawsmith.testing.bad_values import extremes, forbidden
from flawsmith.testing.construction import assert_only_stores, assert_same_traits, rebuilt_from_recipe
from flawsmith.testing.report import ConformanceReport, run_checks
from flawsmith.testing.synthesizer_case import UNHEARD_OF, SynthesizerCase, digest, digests_in_fresh_process, picture
from flawsmith.testing.synthesizer_edges import (
    common_sizes_work,
    foreground_confines,
    grey_stays_grey,
    hostile_foregrounds_end,
    odd_sizes_work,
    plain_pictures_work,
    plain_sources_end,
)
from flawsmith.testing.synthesizer_form import assert_form, assert_local
from flawsmith.testing.watching import connections, global_states, seed_globals

CHEAP_SECONDS = 0.020
FINISHED = frozenset({"references", "precomputed"})
"""Needs of methods whose anomalies bring their kinds with them."""

CHANGED_SHARE = 0.8
"""Least mean share of masked pixels that differ from the normal, unless the label is declared coarse."""

Check = Callable[[SynthesizerCase], None]


def check_synthesizer(
    make: Callable[[], Synthesizer],
    *,
    expected_failures: Mapping[str, str] | None = None,
    docs: Path | None = None,
    seeds: int | None = None,
) -> ConformanceReport:
    """Run every check on one synthesizer.

    Args:
        make: builds it, unfitted; called several times.
        expected_failures: reason by check name; one that passes nevertheless counts as failed.
        docs: folder with its page `<name>.md`; None: pages are not looked at.
        seeds: number of seeds for the spread; None: 500 where a sample costs under 20 ms, else 32.

    Raises:
        UnknownName: an expected failure names no check.
    """
    case = SynthesizerCase(make, docs, seeds)
    return run_checks(make().name, {name: partial(check, case) for name, check in CHECKS.items()}, expected_failures)


# --- construction


def construction_only_stores(case: SynthesizerCase) -> None:
    """Building opens no file, reaches no network and draws from no global generator; two of them have equal recipes."""
    assert_only_stores(case.make)


def recipe_builds_the_same_method(case: SynthesizerCase) -> None:
    """Recipe → JSON → method → recipe is identity, and the method so built makes the same pixels."""
    rebuilt = rebuilt_from_recipe(case.make())
    again = rebuilt.fit(case.support()).synthesize([case.request(0)])[0]
    assert digest(again) == digest(case.some(1)[0]), "a method built from its recipe makes other pixels: a parameter is missing"


def entry_states_the_same_traits(case: SynthesizerCase) -> None:
    """Where the registry knows the method, its entry and its class promise the same."""
    assert_same_traits(type(case.make()), synthesizers)


# --- fit


def fit_returns_self(case: SynthesizerCase) -> None:
    """`fit` returns the method itself."""
    method = case.make()
    assert method.fit(case.support()) is method, "fit returns something else than the method"


def fitting_twice_equals_once(case: SynthesizerCase) -> None:
    """A second `fit` on the same support set changes nothing."""
    twice = case.fitted().fit(case.support())
    assert digest(twice.synthesize([case.request(0)])[0]) == digest(case.some(1)[0]), "a second fit changes the anomalies"


def fit_leaves_the_support_alone(case: SynthesizerCase) -> None:
    """`fit` changes no pixel of the support set."""
    support = case.support()
    before = [member.digest() for member in (*support.normals, *support.anomalies)]
    case.make().fit(support)
    assert [member.digest() for member in (*support.normals, *support.anomalies)] == before, "fit changes the support set"


def unfitted_use_is_refused_where_it_learns(case: SynthesizerCase) -> None:
    """A trainable method raises `NotFitted` before `fit`; one that learns nothing works, or says the same."""
    try:
        case.make().synthesize([case.request(0)])
    except NotFitted:
        return
    assert not case.make().traits.trainable, "a trainable method works before fit"


# --- form


def output_has_the_right_form(case: SynthesizerCase) -> None:
    """Image and clean twin are uint8 in the normal's size, the mask is bool H×W, the soft mask float32."""
    for anomaly in case.some():
        assert_form(anomaly, case.request(0))


def one_anomaly_per_request_in_order(case: SynthesizerCase) -> None:
    """Each request gets its own answer at its own place, also none for none."""
    requests = [case.request(i) for i in (4, 0, 2)]
    answers = case.answers(requests)
    assert [a.provenance.seed for a in answers] == [r.seed.to_json() for r in requests], (
        "the answers' seeds are not the requests'"
    )
    assert [a.provenance.normal_id for a in answers] == [r.normal.id if r.normal else None for r in requests], "normals differ"
    assert case.answers([]) == [], "no request gives an answer"


def normals_stay_untouched(case: SynthesizerCase) -> None:
    """No byte of the request's normal changes, and no answer shares memory with it or with another answer."""
    requests = [case.request(i) for i in range(4)]
    pixels = [request.normal.image() for request in requests if request.normal]
    before = [array.tobytes() for array in pixels]
    answers = case.answers(requests)
    assert [array.tobytes() for array in pixels] == before, "synthesis changes the normal's pixels"
    for k, anomaly in enumerate(answers):
        shared = any(np.shares_memory(anomaly.image, other) for other in pixels)
        shared |= any(np.shares_memory(anomaly.image, other.image) for other in answers[:k])
        assert not shared, "an image shares memory with a normal or another image"
        assert anomaly.clean is None or not anomaly.clean.flags.writeable or not _shares(anomaly.clean, pixels), (
            "the clean twin is a writable view of the normal"
        )


# --- meaning


def local_outside_the_mask(case: SynthesizerCase) -> None:
    """A local method's image equals its clean twin wherever the mask is False; another changes less outside than inside."""
    for anomaly in case.some():
        assert_local(case, anomaly)


def label_follows_the_mask(case: SynthesizerCase) -> None:
    """An empty mask is `good` with an unchanged picture and says why; any other mask is a defect."""
    constant = [case.request(i, np.full((64, 64, 3), 128, np.uint8)) for i in range(4)]
    for anomaly in (*case.some(), *_answers_or_refusals(case, constant)):
        assert (anomaly.defect == GOOD) == (not anomaly.mask.any()), f"the defect is {anomaly.defect}, the mask says otherwise"
        assert anomaly.is_normal == (anomaly.provenance.status == "no_placement"), "status and label disagree"
        if anomaly.is_normal and anomaly.clean is not None:
            assert np.array_equal(anomaly.image, anomaly.clean), "a picture labelled good was changed"


def masked_pixels_changed(case: SynthesizerCase) -> None:
    """Unless the label is declared coarse, most masked pixels differ from the normal."""
    shares = [
        float((a.image != a.clean).any(axis=2)[a.mask].mean()) for a in case.some(24) if a.clean is not None and a.mask.any()
    ]
    if shares and not case.method.traits.coarse_label:
        assert np.mean(shares) >= CHANGED_SHARE, f"only {np.mean(shares):.0%} of the masked pixels changed"


def clean_is_the_twin_it_says(case: SynthesizerCase) -> None:
    """`normal`: the clean twin is the request's normal, pixel by pixel; `none`: there is no twin, which must be declared."""
    for index in range(4):
        request = case.request(index)
        anomaly = case.answers([request])[0]
        assert (anomaly.clean is None) == (anomaly.twin == "none"), f"twin is {anomaly.twin}, the clean picture says otherwise"
        assert anomaly.twin != "none" or not case.method.traits.twins, "an anomaly has no twin; declared that every one has"
        if anomaly.twin == "normal":
            assert request.normal is not None
            assert np.array_equal(anomaly.clean, request.normal.image()), "the clean twin is not the normal"  # type: ignore[arg-type]


def soft_mask_lies_in_the_mask(case: SynthesizerCase) -> None:
    """A soft mask is above 0 inside the mask, 0 outside, and at most 1."""
    for anomaly in (a for a in case.some() if a.soft_mask is not None):
        assert anomaly.soft_mask is not None
        assert np.array_equal(anomaly.soft_mask > 0, anomaly.mask), "the soft mask's support is not the mask"
        assert anomaly.soft_mask.max(initial=0) <= 1, "the soft mask exceeds 1"


def asked_mask_is_kept_or_refused(case: SynthesizerCase) -> None:
    """Declared to take masks: the defect lies inside the asked one. Not declared: a `UsageError`."""
    asked = np.zeros(picture().shape[:2], bool)
    asked[20:44, 30:70] = True
    try:
        answers = case.some(4, mask=asked)
    except UsageError:
        assert not case.method.traits.takes_mask, "a method that takes masks refuses one"
        return
    assert case.method.traits.takes_mask, "a method that takes no mask accepts one"
    assert all(a.mask.any() and not (a.mask & ~asked).any() for a in answers), "the mask leaves the asked one, or is empty"


def asked_defect_is_named(case: SynthesizerCase) -> None:
    """A defect named in the request is the anomaly's; one that takes finished ones may lack it (`UnknownName`)."""
    for asked in case.defects():
        assert _named(case, asked) <= {asked}, f"asked for {asked}, got {', '.join(sorted(_named(case, asked)))}"
    try:
        named = _named(case, UNHEARD_OF)
    except UnknownName:
        assert case.method.traits.needs & FINISHED, "a method that makes its anomalies up refuses a name for them"
        return
    assert named <= {UNHEARD_OF}, f"asked for {UNHEARD_OF!r}, got {', '.join(sorted(named))}"


def _named(case: SynthesizerCase, asked: str) -> set[str]:
    return {anomaly.defect for anomaly in case.some(4, defect=asked) if not anomaly.is_normal}


def missing_normal_is_refused(case: SynthesizerCase) -> None:
    """A method that needs a normal raises `NeedUnmet` for a request without one."""
    if "normal" not in case.method.traits.needs:
        return
    try:
        case.answers([Request(None, Seed(0))])
    except NeedUnmet:
        return
    raise AssertionError("a request without a normal is answered")


def lone_normal_is_refused(case: SynthesizerCase) -> None:
    """A method that takes from other normals raises `NeedUnmet` for a support set of one: at `fit`, or for a request on it."""
    method = case.make()
    if not getattr(method, "uses_other_normals", "normals" in method.traits.needs):
        return
    request = case.request(0)
    assert request.normal is not None
    try:
        method.fit(replace(case.support(), normals=(request.normal,))).synthesize([request])
    except NeedUnmet:
        return
    raise AssertionError("a method that takes from other normals is content with one")


# --- randomness


def same_seed_same_pixels(case: SynthesizerCase) -> None:
    """The same request gives the same bytes again, another seed gives others."""
    first, again = case.some(6), [case.fitted().synthesize([case.request(i)])[0] for i in range(6)]
    assert [digest(a) for a in first] == [digest(a) for a in again], "the same request gives other pixels"
    others = {digest(case.answers([case.request(3 * i)])[0]) for i in range(6)}
    assert len(others) > 1, "six seeds give one and the same anomaly"


def batch_and_order_do_not_matter(case: SynthesizerCase) -> None:
    """An anomaly is the same alone, in a batch, and in a batch of another order."""
    if not case.method.traits.batch_exact:
        return
    together = [digest(anomaly) for anomaly in case.some(6)]
    reversed_ = [digest(a) for a in case.fitted().synthesize([case.request(i) for i in reversed(range(6))])]
    alone = [digest(case.answers([case.request(i)])[0]) for i in range(6)]
    assert together == alone, "an anomaly depends on its batch"
    assert together == reversed_[::-1], "an anomaly depends on the order of its batch"


def fresh_process_same_pixels(case: SynthesizerCase) -> None:
    """A new process with another hash seed, one thread and no GPU makes the same bytes."""
    assert digests_in_fresh_process(case, range(4)) == [digest(a) for a in case.some(4)], "a fresh process makes other pixels"


def global_generators_are_left_alone(case: SynthesizerCase) -> None:
    """The global generators of Python, NumPy and torch are neither moved nor read."""
    kept: dict[int, list[str]] = {}
    for seed in (1, 2):
        seed_globals(seed)
        before = global_states()
        kept[seed] = [digest(a) for a in case.fitted().synthesize([case.request(i) for i in range(4)])]
        assert global_states() == before, "synthesis moves a global generator"
    assert kept[1] == kept[2], "synthesis reads a global generator"


def spread_is_as_declared(case: SynthesizerCase) -> None:
    """Over many seeds the share of anomalies and the mean area of their masks lie where the traits say."""
    began = time.perf_counter()
    case.some(5)
    seeds = case.seeds or (500 if (time.perf_counter() - began) / 5 < CHEAP_SECONDS else 32)
    areas = np.array([anomaly.mask.mean() for anomaly in case.some(seeds)])
    traits, share = case.method.traits, float((areas > 0).mean())
    assert share >= traits.nonempty, f"{share:.1%} of {seeds} requests end in an anomaly; declared at least {traits.nonempty:.1%}"
    mean = float(areas[areas > 0].mean()) if share else 0.0
    assert traits.area[0] <= mean <= traits.area[1], f"masks cover {mean:.2%} on average; declared {traits.area}"


# --- replay


def provenance_replays(case: SynthesizerCase) -> None:
    """Provenance goes through JSON, and with the normal makes the very same pixels again."""
    for index in range(4):
        request = case.request(index, defect=case.defects()[0])
        anomaly = case.answers([request])[0]
        told = Provenance.from_json(json.loads(json.dumps(anomaly.provenance.to_json(), allow_nan=False)))
        assert told == _tuples_as_lists(anomaly.provenance), "provenance changes on its way through JSON"
        method = _build(case, MethodRecipe.model_validate(told.recipe)).fit(case.support())
        again = method.synthesize([Request(request.normal, Seed.from_json(dict(told.seed)), told.defect)])[0]
        assert digest(again) == digest(anomaly), "provenance makes other pixels"


# --- edges


def extreme_parameters_work(case: SynthesizerCase) -> None:
    """At the ends of each declared range the method works, or says in one of our errors why not."""
    method = case.make()
    for name, value in extremes(type(method)):  # type: ignore[arg-type]
        try:
            built = type(method).from_params({**method.recipe().params, name: value}).fit(case.support())
            assert_form(built.synthesize([case.request(0)])[0], case.request(0))
        except FlawsmithError:
            continue


def bad_parameters_are_named(case: SynthesizerCase) -> None:
    """Every value outside the declared constraints raises a `UsageError` that names the parameter."""
    method = case.make()
    for name, value in forbidden(type(method)):  # type: ignore[arg-type]
        refusal = _refusal(method, {name: value})
        assert refusal, f"{name}={value!r} is accepted"
        assert name in refusal, f"the refusal of {name}={value!r} does not name it: {refusal}"


def unknown_parameters_are_refused(case: SynthesizerCase) -> None:
    """A parameter that does not exist raises a `UsageError` that names it."""
    refusal = _refusal(case.make(), {"no_such_parameter": 1})
    assert refusal, "a parameter that does not exist is accepted"
    assert "no_such_parameter" in refusal, f"the refusal does not name the parameter: {refusal}"


def _refusal(method: Synthesizer, changes: Mapping[str, Any]) -> str:
    """What the class says against its parameters with `changes`; empty where it accepts them."""
    try:
        type(method).from_params({**method.recipe().params, **changes})
    except UsageError as error:
        return str(error)
    return ""


# --- hygiene


def network_is_not_used(case: SynthesizerCase) -> None:
    """Fitting and synthesizing try no connection."""
    found = connections(lambda: case.fitted().synthesize([case.request(0)]))
    assert not found, f"synthesis reaches for {found[0]}"


def page_is_complete(case: SynthesizerCase) -> None:
    """The method's page has a picture, cites the paper, and explains every parameter."""
    if case.docs is None:
        return
    method = type(case.make())
    page = case.docs / f"{method.name}.md"
    assert page.is_file(), f"there is no page {page}"
    text = page.read_text(encoding="utf-8")
    assert f"{method.name}.png" in text, f"{page} shows no picture {method.name}.png"
    fields = [name for name in getattr(method, "model_fields", {}) if name != "preset"]
    missing = [name for name in fields if f"`{name}`" not in text]
    assert not missing, f"{page} does not explain {', '.join(missing)}"
    entry = synthesizers.entries.get(method.name)
    cited = re.split(r"[ ,]", entry.paper)[0] if entry else ""
    assert cited in text, f"{page} does not cite {entry.paper if entry else ''}"


def _shares(array: np.ndarray[Any, Any], others: list[Any]) -> bool:
    return any(np.shares_memory(array, other) for other in others)


def _answers_or_refusals(case: SynthesizerCase, requests: list[Request]) -> list[Anomaly]:
    try:
        return case.answers(requests)
    except FlawsmithError:
        return []


def _tuples_as_lists(provenance: Provenance) -> Provenance:
    plain = json.loads(json.dumps(provenance.to_json()))
    return Provenance.from_json(plain)


def _build(case: SynthesizerCase, recipe: MethodRecipe) -> Synthesizer:
    """The method that a recipe names: the one under test, or for a mix the member that the registry knows."""
    method = type(case.make())
    return method.from_params(recipe.params) if recipe.name == method.name else build_synthesizer(recipe)


CHECKS: dict[str, Check] = {
    check.__name__: check
    for check in (
        construction_only_stores,
        recipe_builds_the_same_method,
        entry_states_the_same_traits,
        fit_returns_self,
        fitting_twice_equals_once,
        fit_leaves_the_support_alone,
        unfitted_use_is_refused_where_it_learns,
        output_has_the_right_form,
        one_anomaly_per_request_in_order,
        normals_stay_untouched,
        local_outside_the_mask,
        label_follows_the_mask,
        masked_pixels_changed,
        clean_is_the_twin_it_says,
        soft_mask_lies_in_the_mask,
        asked_mask_is_kept_or_refused,
        asked_defect_is_named,
        missing_normal_is_refused,
        lone_normal_is_refused,
        same_seed_same_pixels,
        batch_and_order_do_not_matter,
        fresh_process_same_pixels,
        global_generators_are_left_alone,
        spread_is_as_declared,
        provenance_replays,
        odd_sizes_work,
        common_sizes_work,
        grey_stays_grey,
        plain_pictures_work,
        foreground_confines,
        hostile_foregrounds_end,
        plain_sources_end,
        extreme_parameters_work,
        bad_parameters_are_named,
        unknown_parameters_are_refused,
        network_is_not_used,
        page_is_complete,
    )
}
