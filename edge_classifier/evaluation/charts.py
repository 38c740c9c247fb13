"""Curves as SVG text that takes its colours and its font from the page around it."""

import io
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

_INK, _FAINT, _ONE, _TWO = "#010101", "#020202", "#030303", "#040404"
# Colours that nothing else has, and the variable of the page that takes each one's place.
_VARIABLES = {_INK: "--ink", _FAINT: "--line", _ONE: "--one", _TWO: "--two"}
_STYLE = {
    "svg.fonttype": "none",
    "svg.hashsalt": "edge-classifier",
    "font.family": "sans-serif",
    "font.size": 10,
    "text.color": _INK,
    "axes.labelcolor": _INK,
    "axes.edgecolor": _FAINT,
    "axes.titlesize": 10,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "grid.color": _FAINT,
    "grid.linewidth": 0.6,
    "xtick.color": _INK,
    "ytick.color": _INK,
    "legend.frameon": False,
}
_SIZE_IN = (4.6, 3.1)
_NAME = re.compile(r'((?:\sid=|href=)"#?|url\(#)')

# One entry of a report's figures.
Fact = Mapping[str, Any]


def losses(history: Sequence[Fact]) -> str:
    """Loss over all epochs, stage after stage."""

    def draw(axes: Axes) -> None:
        _history(axes, history, "train_loss", "held_loss")
        axes.set_ylabel("loss")
        axes.set_ylim(bottom=0)

    return _svg("loss", draw)


def accuracies(history: Sequence[Fact]) -> str:
    """Accuracy in percent over all epochs, stage after stage."""

    def draw(axes: Axes) -> None:
        percents = [
            {**one, "train": 100 * one["train_accuracy"], "held": 100 * one["held_accuracy"]}
            for one in history
        ]
        _history(axes, percents, "train", "held")
        axes.set_ylabel("accuracy, %")

    return _svg("accuracy", draw)


def _history(axes: Axes, history: Sequence[Fact], train: str, held: str) -> None:
    number = range(1, len(history) + 1)
    axes.plot(number, [one[train] for one in history], color=_ONE, label="training")
    axes.plot(
        number, [one[held] for one in history], color=_TWO, marker="o", ms=3, label="held out"
    )
    stages = [one["stage"] for one in history]
    for at, stage in enumerate(stages):
        if at == 0 or stages[at - 1] != stage:
            place = axes.get_xaxis_transform()
            axes.text(at + 0.6, 1.02, stage, transform=place, color=_INK, fontsize=9)
            if at:
                axes.axvline(at + 0.5, color=_INK, linewidth=0.8, linestyle=":")
    axes.set_xlim(0.5, len(history) + 0.5)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlabel("epoch")
    axes.legend()


def reliability(name: str, bins: Sequence[Fact]) -> str:
    """Accuracy against score, a bar a bin; on the diagonal scores are what they say."""

    def draw(axes: Axes) -> None:
        width = 1 / len(bins)
        filled = [(at, one) for at, one in enumerate(bins) if one["count"]]
        total = sum(one["count"] for _, one in filled)
        axes.bar(
            [(at + 0.5) * width for at, _ in filled],
            [one["accuracy"] for _, one in filled],
            [width * 0.9] * len(filled),
            color=_ONE,
        )
        # Few pictures make a bar that says little: how many there are is drawn on top of it.
        axes.plot(
            [(at + 0.5) * width for at, _ in filled],
            [one["count"] / total for _, one in filled],
            color=_TWO,
            marker="o",
            ms=3,
            linewidth=1,
            label="share of pictures",
        )
        axes.plot([0, 1], [0, 1], color=_INK, linewidth=1, linestyle="--", label="as it should be")
        axes.set(xlim=(0, 1), ylim=(0, 1), xlabel="score", ylabel="share that is right")
        axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=2, fontsize=9)

    return _svg(f"reliability-{name}", draw)


def learning_curve(points: Sequence[Fact]) -> str:
    """Accuracy in percent, with its intervals, against the number of training pictures."""

    def draw(axes: Axes) -> None:
        pictures = [one["training_pictures"] for one in points]
        share = [100 * one["share"] for one in points]
        below = [100 * (one["share"] - one["low"]) for one in points]
        above = [100 * (one["high"] - one["share"]) for one in points]
        axes.errorbar(pictures, share, (below, above), color=_ONE, marker="o", capsize=4)
        axes.set(xlabel="training pictures", ylabel="accuracy, %")
        axes.set_xlim(left=0)

    return _svg("learning", draw)


def _svg(name: str, draw: Callable[[Axes], None]) -> str:
    """The drawing's ``svg`` element; its ids begin with ``name``, as they share a page."""
    with mpl.rc_context(_STYLE):
        figure = Figure(_SIZE_IN, layout="constrained")
        FigureCanvasSVG(figure)
        draw(figure.add_subplot())
        text = io.StringIO()
        figure.savefig(text, format="svg", transparent=True, metadata={"Date": None})
    svg = text.getvalue()
    svg = svg[svg.index("<svg") :]
    for colour, variable in _VARIABLES.items():
        svg = svg.replace(colour, f"var({variable})")
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'width="[\d.]+pt" height="[\d.]+pt"', "", svg, count=1)
    return _NAME.sub(rf"\g<1>{name}-", svg)
