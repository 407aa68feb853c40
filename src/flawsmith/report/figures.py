"""Charts as inline SVG: no font, no script and no address in it, equal bytes for equal numbers, and legible in light and dark.

Matplotlib draws them; colours become variables of the page's style sheet afterwards.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

INK, FAINT, GOOD_COLOUR, DEFECT_COLOUR, ACCENT = "#010101", "#020202", "#030303", "#040404", "#050505"
VARIABLES = {
    INK: "var(--ink)",
    FAINT: "var(--line)",
    GOOD_COLOUR: "var(--good)",
    DEFECT_COLOUR: "var(--defect)",
    ACCENT: "var(--accent)",
}
"""Stand-ins that matplotlib draws with, and what the page calls them."""

STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "flawsmith",
    "font.size": 9,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": FAINT,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 9,
    "axes.titlelocation": "left",
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": FAINT,
    "grid.linewidth": 0.5,
    "xtick.color": INK,
    "ytick.color": INK,
    "legend.frameon": False,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "savefig.facecolor": "none",
    "text.parse_math": False,
}

Points = tuple[NDArray[np.float64], NDArray[np.float64]]


def histogram(
    good: Sequence[float], defective: Sequence[float], threshold: float, name: str = "histogram", bins: int = 30
) -> str:
    """Scores of good and of defective parts on one axis, with the threshold.

    Args:
        good, defective: raw scores; either may be empty, not both.
        threshold: drawn as a line.
        name: of the figure, unique on its page.
        bins: number of bars over the whole range.

    Returns:
        An `<svg>` element.
    """
    everything = np.array([*good, *defective, threshold], np.float64)
    edges = np.histogram_bin_edges(everything, bins)

    def draw(axes: Any) -> None:
        for scores, colour, label in ((good, GOOD_COLOUR, "good"), (defective, DEFECT_COLOUR, "defective")):
            if len(scores):
                weights = np.full(len(scores), 100 / len(scores))
                style: dict[str, Any] = {"bins": edges, "weights": weights, "color": colour}
                axes.hist(scores, alpha=0.45, label=f"{label} ({len(scores)})", **style)
                axes.hist(scores, histtype="step", linewidth=1.2, **style)
        axes.axvline(threshold, color=INK, linewidth=1.2, linestyle="--")
        axes.annotate("threshold ", (threshold, 1.0), xycoords=("data", "axes fraction"), ha="right", va="bottom", fontsize=8)
        axes.set_xlabel("anomaly score")
        axes.set_ylabel("% of its class")
        axes.legend(loc="upper right")

    return drawn(name, draw, (6.4, 2.6))


def curve(
    name: str,
    points: Points,
    axes_titles: tuple[str, str],
    chance: Points,
    *,
    point: tuple[float, float] | None = None,
    limit: float | None = None,
    steps: bool = False,
) -> str:
    """One curve in the unit square.

    Args:
        name: of the figure, unique on its page.
        points: (x, y).
        axes_titles: of x and y.
        chance: (x, y) of what guessing gives, dashed.
        point: where the threshold puts the inspector.
        limit: x up to which the area counts; shaded.
        steps: draw as the step function that average precision sums.

    Returns:
        An `<svg>` element.
    """

    def draw(axes: Any) -> None:
        x, y = points
        axes.plot(*chance, color=INK, linewidth=0.8, linestyle=":")
        if limit is not None:
            inside = np.append(x[x <= limit], limit)
            axes.fill_between(inside, np.interp(inside, x, y), color=ACCENT, alpha=0.2, linewidth=0)
            axes.axvline(limit, color=INK, linewidth=0.8, linestyle="--")
        axes.plot(x, y, color=ACCENT, linewidth=1.6, drawstyle="steps-pre" if steps else "default")
        if point is not None:
            axes.plot(*point, "o", color=DEFECT_COLOUR, markersize=6)
        axes.set_xlim(-0.02, 1.02)
        axes.set_ylim(-0.02, 1.04)
        axes.set_aspect("equal")
        axes.set_xlabel(axes_titles[0])
        axes.set_ylabel(axes_titles[1])

    return drawn(name, draw, (3.1, 3.1))


def drawn(name: str, draw: Callable[[Any], None], size: tuple[float, float]) -> str:
    """Run `draw` on fresh axes and return an `<svg>` element fit for a page.

    Args:
        name: prefix of the ids inside, unique on its page.
        draw: receives matplotlib axes; colours are the stand-ins of `VARIABLES`.
        size: width and height, inches.
    """
    import matplotlib as mpl
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(STYLE)
        figure = Figure(figsize=size, layout="constrained")
        FigureCanvasSVG(figure)
        draw(figure.add_subplot())
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    return _for_a_page(buffer.getvalue(), name)


def _for_a_page(svg: str, name: str) -> str:
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'\sxmlns(:\w+)?="[^"]*"', "", svg)
    svg = re.sub(r"<g id=\"[^\"]*\">", "<g>", svg)
    svg = re.sub(r'(id="|url\(#|href="#)', rf"\g<1>{name}-", svg)
    svg = re.sub(r"font: ([\d.]+px) [^;\"]*", r"font-size: \1", svg)
    svg = re.sub(r"font-family: [^;\"]*;? ?", "", svg)
    svg = re.sub(r'<svg ([^>]*?)\s*width="([\d.]+)pt"', r'<svg \1 style="max-width:\2pt"', svg)
    svg = re.sub(r'(<svg [^>]*?)\s*height="[\d.]+pt"', r"\1", svg)
    for colour, variable in VARIABLES.items():
        svg = svg.replace(colour, variable)
    return "\n".join(line.strip() for line in svg.splitlines() if line.strip())
