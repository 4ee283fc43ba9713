"""Bars and lines made of block characters: how far from liquidation, how much of the margin is eaten, a price's way."""

from collections.abc import Sequence

from rich.text import Text

from monitor.cli.demo_scene import Gauge
from monitor.domain.reading import Severity

# A distance bar is full at this many times the warning threshold.
FULL_AT_WARNINGS = 2.5
FULL_WITHOUT_THRESHOLD = 0.3
_EIGHTHS = " ▏▎▍▌▋▊▉"
_LEVELS = "▁▂▃▄▅▆▇█"
_BACKGROUND = "grey23"
_COLOURS = {Severity.WARNING: "dark_orange", Severity.CRITICAL: "red3", None: "green4"}
_WORDS = {Severity.WARNING: "!", Severity.CRITICAL: "!!", None: ""}


def colour_of(severity: Severity | None) -> str:
    return _COLOURS.get(severity, "green4")


def mark_of(severity: Severity | None) -> str:
    """The severity for eyes that do not see its colour."""
    return _WORDS.get(severity, "")


def distance_bar(gauge: Gauge, width: int) -> Text:
    """Full far from liquidation, empty at it."""
    full = FULL_AT_WARNINGS * gauge.warning if gauge.warning else FULL_WITHOUT_THRESHOLD
    return _bar(gauge, full, width)


def ratio_bar(gauge: Gauge, width: int) -> Text:
    """Empty without maintenance margin, full at liquidation."""
    return _bar(gauge, 1.0, width)


def sparkline(values: Sequence[float], width: int, progress: float) -> Text:
    """The values over as much of the width as has passed, between their lowest and highest."""
    columns = max(1, min(width, round(width * progress)))
    step = len(values) / columns
    sampled = [values[int(column * step)] for column in range(columns - 1)] + [values[-1]]
    low, high = min(values), max(values)
    span = max(high - low, 0.02 * high)
    return Text("".join(_LEVELS[int((value - low) / span * (len(_LEVELS) - 1))] for value in sampled), style="cyan")


def _bar(gauge: Gauge, full: float, width: int) -> Text:
    """Both thresholds stand in the bar as lines of their colour, whatever its filling."""
    share = 0.0 if gauge.value is None else min(max(gauge.value / full, 0.0), 1.0)
    whole, rest = divmod(round(share * width * 8), 8)
    colour = colour_of(gauge.severity)
    ticks = {_cell(gauge.critical, full, width): "bright_red", _cell(gauge.warning, full, width): "bright_yellow"}
    text = Text(no_wrap=True)
    for cell in range(width):
        filled = cell < whole
        if cell in ticks:
            text.append("┃", style=f"bold {ticks[cell]} on {colour if filled else _BACKGROUND}")
        elif filled:
            text.append("█", style=colour)
        else:
            text.append(_EIGHTHS[rest] if cell == whole else " ", style=f"{colour} on {_BACKGROUND}")
    return text


def _cell(threshold: float | None, full: float, width: int) -> int | None:
    return None if threshold is None else min(width - 1, int(threshold / full * width))
