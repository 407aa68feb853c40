"""The claim about large sets, on a small one."""

from dataclasses import replace

import pytest
from benchmarks.synth_at_scale import Outcome, changed, claim, everything, growth

from flawsmith.core.recipes import parse_methods


@pytest.mark.slow
def test_a_set_killed_twice_equals_an_unbroken_one_and_is_replayed(tmp_path):
    outcome = claim(1200, 64, 2, "draem:2,cutpaste:1,cutpaste_scar:1", 2, tmp_path, normals=12)
    assert replace(outcome, growth_mb={}).holds, outcome  # so few images say nothing of memory
    assert len(outcome.kills) == 2
    assert all(0 < count < 1200 for count in outcome.kills)
    assert outcome.replays == 2
    assert "main" in outcome.growth_mb


def test_the_mix_is_of_methods_that_need_nothing_more():
    names = [member.method.name for member in parse_methods(everything())]
    assert {"draem", "cutpaste", "fractal"} <= set(names)
    assert not {"mix", "precomputed", "cutpaste_by_mask"} & set(names)


def test_what_is_written_twice_or_grows_is_seen():
    assert changed({"a": (1, 5), "b": (2, 5)}, {"a": (1, 5), "b": (3, 5), "c": (4, 5)}) == 1
    assert changed({"a": (1, 5)}, {}) == 1
    memory = [(0, {7: 10.0}), (100, {7: 40.0, 8: 20.0}), (500, {7: 45.0, 8: 90.0}), (1000, {7: 44.0, 8: 21.0})]
    assert dict(growth(memory, 1000, 7)) == {"main": 5.0, "process 1": 70.0}
    assert not Outcome(1000, growth_mb={"main": 70.0}).holds
    assert not Outcome(1000, written_twice=1).holds
    assert Outcome(1000).holds
