import pytest

from flawsmith.core.errors import BadParameter, UnknownName
from flawsmith.core.priors import Prior
from flawsmith.masks.families import FAMILIES, MaskFamily, families_of_prior, find_families, parse_families, select_families

NAMES = [family.name for family in FAMILIES]
ALL_BUT_FOREGROUND = set(NAMES) - {"FGI"}


def names(families):
    return {family.name for family in families}


def test_there_are_29_generators_and_the_foreground():
    assert len(set(NAMES)) == len(NAMES) == 30
    assert NAMES[-1] == "FGI"


def test_nothing_selected_is_all_but_the_foreground():
    assert names(select_families()) == ALL_BUT_FOREGROUND
    assert names(parse_families("any")) == ALL_BUT_FOREGROUND
    assert names(families_of_prior(Prior(defect="scratch"))) == ALL_BUT_FOREGROUND


@pytest.mark.parametrize(
    ("shapes", "sizes", "eccentricity", "expected"),
    [
        (["line"], ["large"], None, {"Line_Large"}),
        (["line"], [], None, {"Line_Large", "Line_Medium", "Line_Small", "Line_Long"}),
        (["ellipse"], ["small"], None, {"NearCircularEllipse_Small", "EccentricEllipse_Small"}),
        (["ellipse"], ["small", "large"], "eccentric", {"EccentricEllipse_Small", "EccentricEllipse_Large"}),
        (["hollow_ellipse", "line"], ["medium"], "near_circular", {"NearCircularHollowEllipse_Medium"}),
        (["brush", "perlin"], ["small"], None, {"Brush_Small", "Perlin_Small"}),
        ([], ["tiny"], None, {"Brush_Tiny"}),
        (["foreground"], [], None, {"FGI"}),
        (["foreground", "line"], ["long"], None, {"Line_Long"}),
    ],
)
def test_selection_by_fields(shapes, sizes, eccentricity, expected):
    assert names(select_families(shapes, sizes, eccentricity)) == expected


@pytest.mark.parametrize("size", ["Small", "Medium", "Large"])
def test_a_size_selects_exactly_its_names(size):
    expected = {name for name in NAMES if name.endswith(f"_{size}")}
    assert names(find_families(size)) == names(select_families(sizes=[size.lower()])) == expected
    assert len(expected) == 9


def test_the_originals_selectors_are_pieces_of_names():
    assert len(find_families("NearCircularEllipse")) == 3
    assert names(find_families("FGI")) == {"FGI"}
    assert "EccentricHollowEllipse_Large" in names(find_families("Ellipse_Large"))
    assert names(find_families("Brush")) == {"Brush_Large", "Brush_Medium", "Brush_Small", "Brush_Tiny"}
    assert names(find_families("*Circular*_Small")) == {"NearCircularEllipse_Small", "NearCircularHollowEllipse_Small"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("line", {"Line_Large", "Line_Medium", "Line_Small", "Line_Long"}),
        ("line:small", {"Line_Small"}),
        ("line:small:medium", {"Line_Small", "Line_Medium"}),
        ("ellipse:near_circular:small", {"NearCircularEllipse_Small"}),
        ("Brush", {"Brush_Large", "Brush_Medium", "Brush_Small", "Brush_Tiny"}),
        ("NearCircularEllipse_Small", {"NearCircularEllipse_Small"}),
        ("tiny", {"Brush_Tiny"}),
        ("line:long, Brush_T*", {"Line_Long", "Brush_Tiny"}),
        ("foreground", {"FGI"}),
        ("any:tiny", {"Brush_Tiny"}),
    ],
)
def test_reading_words(text, expected):
    assert names(parse_families(text)) == expected


def test_the_order_of_words_does_not_matter():
    assert parse_families("Brush_Tiny,line") == parse_families("line,Brush_Tiny,line:small")


@pytest.mark.parametrize(
    ("shapes", "sizes", "expected"),
    [
        (["Ellipse"], ["small"], {"NearCircularEllipse_Small"}),
        (["Ellipse"], [], {"NearCircularEllipse_Large", "NearCircularEllipse_Medium", "NearCircularEllipse_Small"}),
        (["Line"], [], {"Line_Large", "Line_Medium", "Line_Small"}),
        (
            ["Line", "Hollow Ellipse"],
            ["small", "medium"],
            {"Line_Medium", "Line_Small", "EccentricHollowEllipse_Medium", "EccentricHollowEllipse_Small"},
        ),
        (["Foreground"], ["large"], {"FGI"}),
        (["random brush", "PERLIN_NOISE"], ["large"], {"Brush_Large", "Perlin_Large"}),
        ([], ["large"], {name for name in NAMES if name.endswith("_Large")}),
    ],
)
def test_the_papers_words(shapes, sizes, expected):
    assert names(families_of_prior(Prior(defect="thread", shapes=tuple(shapes), sizes=tuple(sizes)))) == expected


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (lambda: select_families(["lines"]), "did you mean line"),
        (lambda: select_families(sizes=["huge"]), "tiny, small, medium, large, long"),
        (lambda: select_families(eccentricity="round"), "near_circular"),
        (lambda: find_families("Blob"), "Rectangle_Large"),
        (lambda: find_families(""), "no mask family ''"),
        (lambda: parse_families("blob"), "no mask family 'blob'"),
        (lambda: parse_families("line,"), "no mask family ''"),
        (lambda: parse_families("line:smal"), "did you mean small"),
        (lambda: families_of_prior(Prior(defect="x", shapes=("circle",))), "no mask shape 'circle'"),
    ],
)
def test_unknown_words_offer_the_known_ones(call, told):
    with pytest.raises(UnknownName) as caught:
        call()
    assert told in str(caught.value)


def test_a_selection_of_nothing_says_what_there_is():
    with pytest.raises(BadParameter, match="no mask family is tiny line; expected one or more of Line_Large"):
        select_families(["line"], ["tiny"])


def test_a_family_that_accepts_nothing_is_refused():
    with pytest.raises(BadParameter, match=r"least of Speck is 0\.1; expected at most its largest area 0\.01"):
        MaskFamily("Speck", "rectangle", "small", 0.1, (0.005, 0.01))
