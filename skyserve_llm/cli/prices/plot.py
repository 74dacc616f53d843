"""A market as a picture: what each cloud asks now, and what refreshes found cheapest before.

The only importer of matplotlib (the extra ``plot``).
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from skyserve_llm.errors import InputError
from skyserve_llm.sources.history import HistoryRow
from skyserve_llm.sources.market import MarketRow

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_BARS = 24
"""More do not fit a page; the cheapest come first."""

WIDTH, BAR_HEIGHT, LEAST_HEIGHT = 13.0, 0.28, 4.0
"""Inches."""


def save(file: Path, rows: Sequence[MarketRow], past: Sequence[HistoryRow]) -> None:
    """Draws into ``file``; its suffix names the format.

    Raises InputError without matplotlib, for a format it has not, and where nothing can be written.
    """
    picture = figure(rows, past)
    try:
        picture.savefig(file)
    except OSError as error:
        raise InputError(f"cannot write {file}: {error.strerror}") from error
    except ValueError as error:  # matplotlib's own for a suffix that it does not know
        raise InputError(
            f"cannot draw {file}: {error}", hint="name it .png, .svg or .pdf"
        ) from error


def figure(rows: Sequence[MarketRow], past: Sequence[HistoryRow]) -> "Figure":
    """The market on the left; on the right its past, where there is any."""
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise InputError(
            "drawing needs matplotlib, which is not installed",
            hint="pip install 'llmbudget[plot]'",
        ) from error
    shown = rows[:MOST_BARS]
    height = max(LEAST_HEIGHT, 1.2 + BAR_HEIGHT * len(shown))
    picture = Figure(figsize=(WIDTH, height), layout="constrained")
    if past:
        now, before = picture.subplots(1, 2)
        _past(before, past)
    else:
        now = picture.subplots()
    _now(now, shown)
    return picture


def _now(axes: "Axes", rows: Sequence[MarketRow]) -> None:
    """A bar from the cheapest zone to the dearest, a line at the median, a dot at the row's own."""
    per_gpu = [row.gpu_count for row in rows]
    lowest = [float(row.lowest) / count for row, count in zip(rows, per_gpu, strict=True)]
    highest = [float(row.highest) / count for row, count in zip(rows, per_gpu, strict=True)]
    median = [float(row.median) / count for row, count in zip(rows, per_gpu, strict=True)]
    own = [float(row.price_per_gpu_hour) for row in rows]
    places = range(len(rows))
    colours = [_colour(spot=row.spot) for row in rows]
    widths = [high - low for high, low in zip(highest, lowest, strict=True)]
    axes.barh(places, widths, left=lowest, height=0.5, color=colours, alpha=0.35)
    axes.scatter(median, places, marker="|", s=120, color=colours, label="median over zones")
    axes.scatter(own, places, marker="o", s=22, color=colours, label="cheapest")
    axes.set_yticks(list(places), [_name(row) for row in rows])
    axes.invert_yaxis()
    axes.set_xlim(left=0)
    axes.set_xlabel("USD an hour and GPU")
    axes.set_title("now: cheapest to dearest zone")
    axes.grid(axis="x", alpha=0.3)
    axes.legend()


def _past(axes: "Axes", past: Sequence[HistoryRow]) -> None:
    """A line for each cloud, GPU and kind, a point for each refresh."""
    series = sorted({(one.gpu, one.cloud, one.spot) for one in past})
    for gpu, cloud, spot in series:
        points = [one for one in past if (one.gpu, one.cloud, one.spot) == (gpu, cloud, spot)]
        axes.plot(
            [one.day.isoformat() for one in points],
            [float(one.price_per_gpu_hour) for one in points],
            marker=".",
            linestyle="-" if spot else "--",
            label=f"{cloud} {gpu}{' spot' if spot else ''}",
        )
    axes.set_ylim(bottom=0)
    axes.set_ylabel("USD an hour and GPU")
    axes.set_title("cheapest at each refresh")
    axes.tick_params(axis="x", rotation=45)
    axes.grid(alpha=0.3)
    axes.legend(fontsize="small")


def _name(row: MarketRow) -> str:
    doubt = f" ({row.marks[0]})" if row.marks and row.marks != ("undated",) else ""
    return f"{row.cloud} {row.gpu}:{row.gpu_count}{' spot' if row.spot else ''}{doubt}"


def _colour(*, spot: bool) -> str:
    return "tab:green" if spot else "tab:blue"
