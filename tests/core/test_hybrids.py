from itertools import combinations

import pytest

from flawsmith.core.errors import UnknownName, UsageError
from flawsmith.core.hybrids import HYBRIDS, PARTS
from flawsmith.core.recipes import parse_methods


def test_they_are_all_the_combinations_of_four():
    sets = {frozenset(hybrid.parts) for hybrid in HYBRIDS.values()}
    assert sets == {frozenset(c) for size in (2, 3, 4) for c in combinations(PARTS, size)}
    assert len(HYBRIDS) == 11
    assert sum("anomalydiffusion" in hybrid.parts for hybrid in HYBRIDS.values()) == 7
    assert "asbench_fractal_draem" in HYBRIDS
    assert "asbench_fractal_draem_anomalydiffusion_memseg" in HYBRIDS


@pytest.mark.parametrize("name", HYBRIDS)
def test_a_hybrid_stands_for_its_members_in_the_benchmarks_variant(name: str):
    members = parse_methods(name)
    made_before = {"anomalydiffusion": "precomputed"}
    assert [member.method.name for member in members] == [made_before.get(part, part) for part in HYBRIDS[name].parts]
    assert {member.weight for member in members} == {1.0 / len(members)}
    for member in members:
        assert member.method.params.get("preset") == (None if member.method.name == "precomputed" else "asbench")


def test_settings_reach_members_and_win():
    settings = ["draem.opacity=[0.5, 1]", "precomputed.folder=./AD", "memseg.preset=official"]
    members = {m.method.name: m.method.params for m in parse_methods("asbench_draem_anomalydiffusion_memseg", settings)}
    assert members["draem"] == {"preset": "asbench", "opacity": [0.5, 1]}
    assert members["precomputed"] == {"folder": "./AD"}
    assert members["memseg"] == {"preset": "official", "foreground": "table:memseg,auto"}


def test_a_hybrid_mixes_with_other_methods_by_weight():
    assert [(m.method.name, m.weight) for m in parse_methods("asbench_fractal_draem:2,nsa")] == [
        ("fractal", 1.0),
        ("draem", 1.0),
        ("nsa", 1.0),
    ]


def test_refuses_a_member_twice_a_setting_of_the_whole_and_an_unknown_hybrid():
    with pytest.raises(UsageError, match="each name once"):
        parse_methods("asbench_fractal_draem,draem")
    with pytest.raises(UsageError, match=r"names 'asbench_fractal_draem'; expected one of: fractal, draem"):
        parse_methods("asbench_fractal_draem", ["asbench_fractal_draem.preset=official"])
    with pytest.raises(UnknownName, match="no hybrid 'asbench_draem_fractal'; did you mean asbench_"):
        parse_methods("asbench_draem_fractal")
