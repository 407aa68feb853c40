import re
from collections.abc import Callable
from xml.etree import ElementTree

import matplotlib as mpl
import numpy as np
import pytest

from flawsmith.report.figures import VARIABLES, curve, histogram

POINTS = np.linspace(0, 1, 50), np.sqrt(np.linspace(0, 1, 50))
DIAGONAL = np.array([0.0, 1.0]), np.array([0.0, 1.0])


def draw_histogram() -> str:
    return histogram([0.1, 0.2, 0.2], [0.5, 0.9], 0.4)


def draw_curve() -> str:
    return curve("roc", POINTS, ("x", "y"), DIAGONAL, point=(0.2, 0.5), limit=0.3)


@pytest.mark.parametrize("draw", [draw_histogram, draw_curve])
def test_a_chart_is_a_small_svg_with_no_address_and_no_fixed_ink(draw: Callable[[], str]) -> None:
    svg = draw()
    root = ElementTree.fromstring(svg.replace("xlink:href", "href"))  # our own text, made a line above
    assert root.tag == "svg"
    assert "http" not in svg
    assert "DejaVu" not in svg
    assert len(svg) < 60_000
    assert not any(stand_in in svg for stand_in in VARIABLES)
    assert "var(--ink)" in svg
    assert set(re.findall(r"(?:fill|stroke): (#\w+)", svg)) <= {"#ffffff"}


@pytest.mark.parametrize("draw", [draw_histogram, draw_curve])
def test_a_chart_is_the_same_bytes_again_whatever_the_users_settings(draw: Callable[[], str]) -> None:
    first = draw()
    with mpl.rc_context({"font.size": 30, "axes.grid": False, "lines.linewidth": 9}):
        assert draw() == first
        assert mpl.rcParams["font.size"] == 30


def test_ids_of_two_charts_on_a_page_do_not_meet() -> None:
    one = set(re.findall(r'id="([^"]+)"', curve("a", POINTS, ("x", "y"), DIAGONAL, point=(0, 0))))
    other = set(re.findall(r'id="([^"]+)"', curve("b", POINTS, ("x", "y"), DIAGONAL, point=(0, 0))))
    assert one
    assert not one & other


def test_every_reference_inside_a_chart_has_its_target() -> None:
    svg = draw_curve()
    wanted = {a or b for a, b in re.findall(r'url\(#([^)]+)\)|href="#([^"]+)"', svg)}
    assert wanted
    assert wanted <= set(re.findall(r'id="([^"]+)"', svg))


@pytest.mark.parametrize(("good", "defective"), [([], [0.5]), ([0.5], []), ([1.0] * 9, [1.0]), ([-1e6, 1e6], [0.0])])
def test_histogram_of_few_equal_or_far_scores(good: list[float], defective: list[float]) -> None:
    svg = histogram(good, defective, 0.4)
    assert ("good (" in svg) is bool(good)
    assert ("defective (" in svg) is bool(defective)
