"""The demo on a terminal: accounts with their distance to liquidation as bars, and the phone beside or below them."""

from collections.abc import Iterator
from types import TracebackType
from typing import Self

from rich import box
from rich.console import Console, Group, RenderableType
from rich.layout import Layout
from rich.live import Live
from rich.panel import Panel
from rich.text import Text

from monitor.cli.demo_bars import colour_of, distance_bar, mark_of, ratio_bar, sparkline
from monitor.cli.demo_phone import Message
from monitor.cli.demo_plain import lead
from monitor.cli.demo_scene import AccountScene, PositionLine, Scene
from monitor.cli.demo_stage import MARK
from monitor.cli.demo_story import Fate
from monitor.domain.reading import Severity
from monitor.notify.text import amount, duration, percent

MIN_WIDTH, MIN_HEIGHT = 80, 24
# From this width on the phone stands beside the accounts, and is so wide.
BESIDE_WIDTH, PHONE_WIDTH = 120, 40
# From this height on each account has a frame of its own.
FRAMED_HEIGHT = 30
# Rows of the screen that are neither accounts nor phone.
HEADER_ROWS, LEGEND_ROWS = 2, 1
# Widths of a position's columns but for its bar: name, size, mark, liquidation, distance, severity, PnL.
_COLUMNS = (9, 6, 8, 8, 6, 2, 8)
_STYLES = (("liquidated", "bold white on red3"), ("critical", "bold red"), ("warning", "yellow"), ("resolved", "green"))
_ABOUT = (
    "perpwatch watches leveraged positions and tells you before the exchange liquidates them.",
    "Here it runs as it would for you: it reads three accounts, judges them by the rules in config/demo.yaml, and "
    "sends to a phone. Exchange, phone and money are made up; prices follow that evening's.",
    "Each message says what to do. It never trades.",
)


def fits(console: Console) -> bool:
    """Whether the terminal can show the demo at all."""
    is_utf8 = console.encoding.lower().replace("-", "") == "utf8"
    return console.is_terminal and not console.is_dumb_terminal and is_utf8 and _is_large(*console.size)


class LiveShow:
    """The picture of each scene, full screen. A context: the terminal is as before when it ends, however it ends."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live = Live(console=console, screen=True, auto_refresh=False)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()

    def frame(self, scene: Scene) -> None:
        self._live.update(picture(scene, *self._console.size), refresh=True)


def picture(scene: Scene, width: int, height: int) -> RenderableType:
    """The whole screen for a terminal of that size."""
    if not _is_large(width, height):
        newest = scene.messages[-1].title if scene.messages else ""
        return Text(f"{MARK}: this needs a window of {MIN_WIDTH} x {MIN_HEIGHT}.\n{newest}")
    beside = width >= BESIDE_WIDTH
    accounts, rows = _accounts(scene, width - PHONE_WIDTH if beside else width, framed=height >= FRAMED_HEIGHT)
    body, left, screen = Layout(), Layout(), Layout()
    if beside:
        left.split_column(Layout(accounts, size=rows), Layout(_story(scene)))
        phone = Layout(_phone(scene, height - HEADER_ROWS - LEGEND_ROWS), size=PHONE_WIDTH)
        body.split_row(left, phone)
    else:
        phone = Layout(_phone(scene, height - HEADER_ROWS - LEGEND_ROWS - rows))
        body.split_column(Layout(accounts, size=rows), phone)
    screen.split_column(Layout(_header(scene, width), size=HEADER_ROWS), body, Layout(_legend(scene), size=LEGEND_ROWS))
    return screen


def _is_large(width: int, height: int) -> bool:
    return width >= MIN_WIDTH and height >= MIN_HEIGHT


def _header(scene: Scene, width: int) -> RenderableType:
    change = scene.bitcoin[-1] / scene.bitcoin[0] - 1
    top = Text.assemble(
        (f" {MARK} ", "bold black on yellow"),
        (f" {scene.title}, {scene.now:%H:%M:%S} UTC", "bold"),
        (f"  {scene.speed:.0f} times as fast as life", "dim"),
        no_wrap=True,
        overflow="crop",
    )
    moved = f"{change:+.1%}"
    bitcoin = Text.assemble(
        f" BTC {scene.bitcoin[-1]:,.0f} ", (f"{moved:<7}", "red" if change < -0.01 else "green"), no_wrap=True
    )
    return Group(top, bitcoin.append_text(sparkline(scene.bitcoin, width - len(bitcoin.plain) - 1, scene.progress)))


def _legend(scene: Scene) -> Text:
    return Text.assemble(
        (" A bar shows the way left to liquidation: ", "dim"),
        ("┃", "bold bright_yellow"),
        (" warning, ", "dim"),
        ("┃", "bold bright_red"),
        (" critical. Ctrl-C ends it. ", "dim"),
        (f"Read every {duration(scene.poll_interval_s)}.", "dim"),
        no_wrap=True,
        overflow="crop",
    )


def _accounts(scene: Scene, width: int, *, framed: bool) -> tuple[RenderableType, int]:
    """All accounts, and how many rows they take."""
    show = _framed if framed else _compact
    shown = [show(account, width, titled=number == 0) for number, account in enumerate(scene.accounts)]
    return Group(*(account for account, _ in shown)), sum(rows for _, rows in shown)


def _framed(account: AccountScene, width: int, *, titled: bool) -> tuple[RenderableType, int]:
    table, rows = _positions(account, width - 4, titled=titled)
    worst = _worst(account)
    name = Text(f" {account.name} {mark_of(worst)}".rstrip() + " ", style="bold")
    style = "grey50" if worst is None else colour_of(worst)
    inside = Group(_pools(account, 10), table)
    return Panel(inside, title=name, title_align="left", border_style=style, box=box.ROUNDED), rows + 3


def _compact(account: AccountScene, width: int, *, titled: bool) -> tuple[RenderableType, int]:
    table, rows = _positions(account, width - 1, titled=titled)
    name = Text(f" {account.name:<7}", style=f"bold white on {colour_of(_worst(account))}")
    heading = Text(no_wrap=True, overflow="crop").append_text(name).append(" ").append_text(_pools(account, 8))
    return Group(heading, table), rows + 1


def _worst(account: AccountScene) -> Severity | None:
    gauges = [line.distance for line in account.positions] + [pool.ratio for pool in account.pools]
    return max((gauge.severity for gauge in gauges if gauge.severity is not None), default=None)


def _pools(account: AccountScene, bar_width: int) -> Text:
    """Equity, and of each margin pool how much its maintenance margin has eaten."""
    line = Text(no_wrap=True, overflow="crop")
    if account.trouble is not None:
        line.append(f"cannot be read: {account.trouble} ", style="bold red")
    for currency, equity in account.equities.items():
        line.append(f"equity {amount(equity)} {currency}")
    line.append("  margin ratio" if account.pools else "")
    for pool in account.pools:
        line.append(f" {pool.name} ", style="dim")
        line.append_text(ratio_bar(pool.ratio, bar_width))
        line.append(f" {percent(pool.ratio.value, 0)}", style=colour_of(pool.ratio.severity))
    return line


def _positions(account: AccountScene, width: int, *, titled: bool) -> tuple[RenderableType, int]:
    """A row for each position, open or liquidated, and how many rows there are."""
    bar_width = width - sum(_COLUMNS) - len(_COLUMNS)
    open_names = {line.name for line in account.positions}
    gone = [fate for fate in account.fates if fate.whole and fate.name not in open_names]
    rows = [_titles(bar_width)] if titled else []
    rows += [_row(line, bar_width) for line in account.positions]
    rows += [_gone(fate) for fate in gone]
    return Group(*rows), len(rows)


def _row(line: PositionLine, bar_width: int) -> Text:
    name, size, mark, liquidation, _, _, pnl = _COLUMNS
    gain = amount(line.pnl)
    return Text.assemble(
        f"{line.name:<{name}} {_short(line.size):>{size}} {_price(line.mark):>{mark}} ",
        f"{_price(line.liquidation):>{liquidation}} ",
        _distance(line, bar_width),
        (f"{gain:>{pnl}}", "red" if gain.startswith("-") else "green"),
        no_wrap=True,
        overflow="crop",
    )


def _distance(line: PositionLine, bar_width: int) -> Text:
    """The bar, the figure beside it, and the severity."""
    distance, severity = _COLUMNS[4:6]
    gauge = line.distance
    if gauge.value is None and line.note:
        return Text(f"{line.note:<{bar_width + distance + 1 + severity}}", style="dim")
    figure = f"{percent(gauge.value, 1):>{distance}} {mark_of(gauge.severity):<{severity}}"
    return distance_bar(gauge, bar_width).append(figure, style=f"bold {colour_of(gauge.severity)}")


def _titles(bar_width: int) -> Text:
    name, size, mark, liquidation, distance, severity, pnl = _COLUMNS
    titles = f"{'':<{name}} {'size':>{size}} {'mark':>{mark}} {'liq. at':>{liquidation}} "
    titles += f"{'way left to liquidation':<{bar_width + distance + 1 + severity}}{'PnL':>{pnl}}"
    return Text(titles, style="dim", no_wrap=True, overflow="crop")


def _gone(fate: Fate) -> Text:
    line = Text(no_wrap=True, overflow="crop").append(f"{fate.name:<{_COLUMNS[0]}} ", style="dim")
    line.append(f" LIQUIDATED {fate.liquidated_at:%H:%M} ", style="bold white on red3")
    return line.append(f" {_told(fate)}", style="bold")


def _told(fate: Fate) -> str:
    if fate.warned_at is None:
        return "and nobody was told"
    critical = f", critical {lead(fate.critical_at, fate)}" if fate.critical_at is not None else ""
    return f"warned {lead(fate.warned_at, fate)}{critical} before"


def _short(size: float) -> str:
    """At most six characters: 22, 9.23, 60,000, 1.2M."""
    return amount(size) if size < 1e6 else f"{size / 1e6:.3g}M"


def _price(value: float | None) -> str:
    """At most eight characters; a position that no price can liquidate has none."""
    if value is None:
        return "none"
    return f"{value:,.0f}" if value >= 10_000 else f"{value:,.2f}" if value >= 100 else f"{value:.5g}"


def _phone(scene: Scene, rows: int) -> RenderableType:
    """Newest first; the newest in full, older ones by their headline."""
    lines = Group(*_messages(scene, full=1 if rows < 16 else 3))
    title = Text(f" phone: {len(scene.messages)} messages, newest first ", style="bold")
    return Panel(lines, title=title, title_align="left", border_style="cyan", box=box.HEAVY)


def _messages(scene: Scene, full: int) -> Iterator[Text]:
    if not scene.messages:
        yield Text("nothing yet: all is calm", style="dim")
    for age, message in enumerate(reversed(scene.messages)):
        yield Text.assemble((f"{message.at:%H:%M:%S} ", "dim"), (message.title, _style_of(message)))
        if age < full:
            for line in message.body.splitlines():
                # What to do is what the reader looks for.
                yield Text(line, style="bold" if line.startswith(f"{MARK} Do:") else "grey70")


def _style_of(message: Message) -> str:
    title = message.title.lower()
    return next((style for word, style in _STYLES if word in title), "white")


def _story(scene: Scene) -> RenderableType:
    """Below the accounts, where there is room: what one is looking at, and what came of it so far."""
    shown = [part for line in _ABOUT for part in (Text(line), Text())]
    shown += [
        Text.assemble(
            (f"{fate.account}'s {fate.name} ", "bold"),
            ("was liquidated" if fate.whole else "was cut by the exchange", "red"),
            f" at {fate.liquidated_at:%H:%M:%S}: {_told(fate)}",
        )
        for account in scene.accounts
        for fate in account.fates
    ]
    return Panel(Group(*shown), title=" what this is ", title_align="left", border_style="grey50", box=box.ROUNDED)
