"""What the demo shows: bars, the picture at every size, and its lines of text."""

import io
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from rich.console import Console

from monitor.cli.demo_bars import distance_bar, ratio_bar, sparkline
from monitor.cli.demo_phone import Message
from monitor.cli.demo_plain import MarkedStream, PlainShow, summary
from monitor.cli.demo_scene import AccountScene, Gauge, PoolLine, PositionLine, Scene
from monitor.cli.demo_story import Fate
from monitor.cli.demo_view import fits, picture
from monitor.domain.reading import Severity

NOW = datetime(2025, 10, 10, 21, 19, tzinfo=UTC)
FATE = Fate(
    account="retail",
    name="SOL long",
    whole=True,
    price=178.45,
    warned_at=NOW - timedelta(minutes=20),
    critical_at=NOW - timedelta(minutes=8, seconds=30),
    liquidated_at=NOW - timedelta(minutes=4),
)


def position(name: str, value: float | None, note: str = "") -> PositionLine:
    gauge = Gauge(value, 0.12, 0.06, Severity.CRITICAL if value is not None and value < 0.06 else None)
    return PositionLine(name, 60_000, 0.15842, None if value is None else 0.15, -287_160.0, gauge, note)


def pool(name: str, ratio: float | None) -> PoolLine:
    return PoolLine(name, 246_474.0, "USDT", Gauge(ratio, 0.2, 0.4))


def message(number: int, title: str) -> Message:
    body = "DEMO Distance to liquidation 5.33% (critical at 6%)\nDEMO Do: add 772 USDT, or cut 34,600 DOGE (58%)"
    return Message(number, NOW - timedelta(minutes=10 - number), f"DEMO {title}", body)


def scene() -> Scene:
    retail = [position("ETH long", 0.4), position("DOGE long", 0.004)]
    pro = [position(f"{name} long", 0.2) for name in ("BTC", "ETH", "AVAX")]
    pro.append(position("SOL long", None, "no price liquidates it"))
    return Scene(
        title="10 October 2025, hastened",
        now=NOW,
        speed=30.0,
        progress=0.7,
        poll_interval_s=20.0,
        bitcoin=[116_950.0 - 6 * second for second in range(1890)],
        accounts=(
            AccountScene("retail", NOW, (pool("cross", 0.65), pool("SOL", 0.13)), tuple(retail), (FATE,), None),
            AccountScene("pro", NOW, (pool("cross", None),), tuple(pro), (), "timeout: no answer within 60 s"),
            AccountScene("coin", NOW, (pool("cross", 0.08),), (position("BTC long", 0.049),), (), None),
        ),
        messages=tuple(message(number, f"CRITICAL retail: alert{number}") for number in range(9)),
    )


def drawn(shown: Scene, width: int, height: int) -> list[str]:
    console = Console(file=io.StringIO(), width=width, height=height, force_terminal=True, color_system=None)
    lines = console.render_lines(picture(shown, width, height), console.options.update(height=height))
    return ["".join(segment.text for segment in line) for line in lines]


@pytest.mark.parametrize(("width", "height"), [(80, 24), (100, 30), (119, 50), (120, 24), (120, 40), (200, 60)])
def test_the_picture_fills_the_terminal_and_shows_everything_at_every_size(width: int, height: int) -> None:
    lines = drawn(scene(), width, height)
    text = "\n".join(lines)
    assert len(lines) == height
    assert all(len(line) == width for line in lines)
    assert " DEMO " in lines[0]
    for part in ("retail", "pro", "coin", "ETH long", "DOGE long", "AVAX long", "no price liquidates it", "0.4% !!"):
        assert part in text
    for part in (" LIQUIDATED 21:15 ", "warned 16 min 0 s, critical 4 min 30 s before", "alert8", "cannot be read"):
        assert part in text
    assert "Ctrl-C" in lines[-1]
    newest, older = (next(i for i, line in enumerate(lines) if f"alert{n}" in line) for n in (8, 7))
    assert newest < older
    assert any("Do: add 772 USDT" in line for line in lines[newest:older])


def test_below_the_smallest_size_the_newest_message_is_what_remains() -> None:
    text = " ".join("\n".join(drawn(scene(), 40, 6)).split())
    assert "80 x 24" in text
    assert "alert8" in text


def test_a_scene_before_the_first_read_is_drawn() -> None:
    first = replace(scene(), accounts=(AccountScene("pro", None, (), (), (), "no answer yet"),), messages=())
    assert "nothing yet" in "\n".join(drawn(replace(first, bitcoin=[1.0], progress=0.0), 100, 30))


@pytest.mark.parametrize(("width", "height", "is_shown"), [(80, 24, True), (79, 24, False), (80, 23, False)])
def test_a_terminal_that_is_too_small_gets_lines(width: int, height: int, is_shown: bool) -> None:
    out = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    env = {"TERM": "xterm-256color"}
    console = Console(file=out, width=width, height=height, force_terminal=True, legacy_windows=False, _environ=env)
    assert fits(console) is is_shown


def test_what_is_no_terminal_or_knows_no_blocks_gets_lines() -> None:
    for encoding, is_terminal in (("ascii", True), ("utf-8", False)):
        out = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
        assert not fits(Console(file=out, width=100, height=30, force_terminal=is_terminal))


@pytest.mark.parametrize(
    ("value", "filled"), [(0.0, 0), (None, 0), (-0.1, 0), (0.06, 4), (0.15, 10), (0.3, 20), (9.0, 20)]
)
def test_a_distance_bar_is_empty_at_liquidation_and_shows_both_thresholds(value: float | None, filled: int) -> None:
    text = distance_bar(Gauge(value, 0.12, 0.06), 20)
    cells = text.plain
    assert len(cells) == 20
    assert [i for i, cell in enumerate(cells) if cell == "┃"] == [4, 8]
    assert all(cell == "█" for i, cell in enumerate(cells) if i < filled and i not in (4, 8))
    assert "█" not in cells[filled:]


def test_a_ratio_bar_is_full_at_liquidation() -> None:
    assert ratio_bar(Gauge(1.0), 8).plain == "████████"
    assert ratio_bar(Gauge(0.0, 0.25, 0.5), 8).plain == "  ┃ ┃   "


@pytest.mark.parametrize("progress", [0.0, 0.001, 0.5, 1.0])
def test_the_price_line_grows_with_time_and_falls_with_the_price(progress: float) -> None:
    line = sparkline([100.0, 100.0, 80.0, 60.0], 40, progress).plain
    assert len(line) == max(1, round(40 * progress))
    if progress == 1.0:
        assert (line[0], line[-1]) == ("█", "▁")


def test_plain_lines_come_in_the_order_of_events_and_once() -> None:
    said: list[str] = []
    show = PlainShow(said.append)
    for _ in range(2):
        show.frame(scene())
    exchange = said.index("21:15:00 EXCHANGE liquidated retail's SOL long at 178.45")
    assert sum("alert" in line for line in said) == 9
    assert "alert5" in said[exchange - 3]
    statuses = [line for line in said if " status " in line]
    assert len(statuses) == 3
    assert (
        "equity 492,948 USDT, margin ratio 65% cross, 13% SOL, DOGE long 0.4% from liquidation (critical)" in said[-3]
    )
    assert "cannot be read: timeout" in said[-2]


def test_the_summary_tells_how_long_before_the_liquidation_its_owner_knew() -> None:
    lines = list(summary(scene(), 20.0))
    assert "         first warning   20:59:00, 16 min 0 s before" in lines
    assert "         first critical  21:10:30, 4 min 30 s before" in lines
    untold = replace(scene().accounts[0], fates=(replace(FATE, warned_at=None, critical_at=None),))
    assert "         first warning   none" in list(summary(replace(scene(), accounts=(untold,)), 20.0))


def test_every_line_of_a_marked_stream_is_marked_however_it_is_written() -> None:
    out = io.StringIO()
    marked = MarkedStream(out)
    for part in ("one\ntw", "o\n", "", "\nthree", "\n"):
        marked.write(part)
    assert out.getvalue() == "DEMO one\nDEMO two\nDEMO \nDEMO three\n"
