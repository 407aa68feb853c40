from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from flawsmith.report.findings import unique_names

NAMES = st.lists(st.sampled_from(["a.png", "A.png", "a.jpg", "a-2.png", "b.png"]), max_size=8)


@given(NAMES)
def test_names_are_unique_even_where_capitals_do_not_count(names: list[str]):
    found = unique_names([Path(f"folder{i}") / name for i, name in enumerate(names)])
    assert len({name.casefold() for name in found}) == len(names)


def test_a_lone_file_keeps_its_stem():
    assert unique_names([Path("x/tile 7.png"), Path("y/tile.v2.jpg")]) == ["tile 7", "tile.v2"]
