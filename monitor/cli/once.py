"""`perpwatch once`: one read of every account, as a table or as JSON."""

import asyncio
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from monitor.cli.loading import CONFIG, ConfigPath, load_settings
from monitor.cli.tables import figures_table, print_figures
from monitor.clock import Clock, SystemClock
from monitor.config.settings import Settings
from monitor.domain.account import (
    AccountSnapshot,
    MarginBalance,
    Observation,
    PollFailure,
    Position,
    PriceOrigin,
    StopOrder,
)
from monitor.domain.holdings import AccountEvent, Holdings
from monitor.domain.market import Markets
from monitor.domain.reading import PORTFOLIO, Need, Reading, Severity, Verdict
from monitor.domain.track import Track
from monitor.exchange.registry import Exchanges
from monitor.log import configure
from monitor.notify.text import amount, percent, price, quantity
from monitor.pipeline import assess
from monitor.plan import UNASSESSED, AccountPlan
from monitor.portfolio import assess_portfolio
from monitor.risk.holdings import holdings_after
from monitor.risk.track import track_after
from monitor.rules.base import Context, Portfolio, Unseen
from monitor.rules.book import remembered as with_memory
from monitor.store.database import remembered, remembered_hedges
from monitor.store.records import AccountRecord, of_venue
from monitor.watching import access_of

INCOMPLETE_EXIT = 2
# No number describes maintenance margin that is owed with no equity left.
GONE = "equity is gone"
ESTIMATED = "~"
HOLD = "an alert goes on and none begins"
_COLOURS = {Severity.CRITICAL: "bold red", Severity.WARNING: "yellow", Severity.INFO: "cyan", None: "green"}


@dataclass(frozen=True, slots=True)
class Read:
    """`orders` are None of an account that could not be read; `events` where nothing was known of it before.

    `context` is what its rules judged by.
    """

    observation: Observation
    readings: tuple[Reading, ...]
    orders: Sequence[StopOrder] | PollFailure | None = None
    events: tuple[AccountEvent, ...] | None = None
    context: Context | None = None


def once(
    config: ConfigPath = CONFIG,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object instead of a table.")] = False,
) -> int:
    """Read every account once and judge it; exits 2 where any could not be read.

    What happened to its positions lately is told where a monitor with the same state file runs, or ran.
    """
    settings = load_settings(config)
    configure("warning", settings.log.format)
    clock = SystemClock()
    reads = asyncio.run(read_all(settings, clock))
    portfolio = together(settings, reads, clock.now())
    of_all = assess_portfolio(
        AccountPlan.of_portfolio(settings), portfolio, [r for read in reads for r in read.readings]
    )
    if as_json:
        found = {"accounts": list(map(as_object, reads)), "portfolio": list(map(reading_object, of_all))}
        typer.echo(json.dumps(found, indent=2))
    else:
        print_table(reads)
        print_together(of_all)
    return INCOMPLETE_EXIT if any(isinstance(read.observation, PollFailure) for read in reads) else 0


async def read_all(settings: Settings, clock: Clock) -> list[Read]:
    """One read of every account, side by side."""
    exchanges, before = Exchanges(clock), remembered(settings.database)
    try:
        return await asyncio.gather(
            *(_read(exchanges, settings, name, before.get(name), clock) for name in settings.accounts)
        )
    finally:
        await exchanges.close()


def together(settings: Settings, reads: Sequence[Read], now: datetime) -> Portfolio:
    """All accounts, with what the monitor that runs, or ran last, remembers of their hedges."""
    failures = [read.observation for read in reads if isinstance(read.observation, PollFailure)]
    portfolio = Portfolio(
        seen={read.observation.account: read.context for read in reads if read.context is not None},
        unseen={failure.account: Unseen(failure.venue, f"{failure.kind}: {failure.detail}") for failure in failures},
        now=now,
    )
    return with_memory(settings.rules, portfolio, remembered_hedges(settings.database))


async def _read(
    exchanges: Exchanges, settings: Settings, name: str, before: AccountRecord | None, clock: Clock
) -> Read:
    seen = await see(exchanges, settings, name, before, clock)
    observation = seen.observation
    now = clock.now()
    readings = assess(AccountPlan.of(settings, name), observation, seen.markets, now, seen.track)
    if isinstance(observation, PollFailure):
        return Read(observation, readings)
    after = holdings_after(seen.holdings_before, observation, seen.markets)
    events = after.events if seen.holdings_before or after.events else None
    context = Context(snapshot=observation, markets=seen.markets, now=now, track=seen.track)
    return Read(observation, readings, seen.orders, events, context)


@dataclass(frozen=True, slots=True)
class Seen:
    """One account with all that rules judge by: its stop orders, and what is remembered of it with this read in it."""

    observation: Observation
    markets: Markets
    track: Track | None
    orders: Sequence[StopOrder] | PollFailure | None = None
    holdings_before: Holdings | None = None


async def see(exchanges: Exchanges, settings: Settings, name: str, before: AccountRecord | None, clock: Clock) -> Seen:
    """Read after what the monitor that runs, or ran last, remembers of the account."""
    access = access_of(settings, name)
    source = exchanges.open_account(access)
    before = of_venue(before, source.venue_id)
    if before is not None and (since := before.look_back_from) is not None:
        source.look_back(since)
    observation = await source.observe()
    markets = source.markets()
    if isinstance(observation, AccountSnapshot) and Need.LEDGER in access.needs:
        booked = await source.bookings()
        if not isinstance(booked, PollFailure):
            # Here it is waited for, as long as it takes, and orders as well.
            observation = replace(observation, ledger=booked, ledger_failure=None)
    track = track_after(before.track if before is not None else None, observation, markets)
    if isinstance(observation, PollFailure):
        return Seen(observation, markets, track)
    orders, snapshot = await asyncio.gather(source.orders(), source.gathered(observation))
    markets = source.markets()
    if not isinstance(orders, PollFailure):
        snapshot = replace(snapshot, orders=tuple(orders), orders_at=clock.now(), orders_failure=None)
    return Seen(snapshot, markets, track, orders, before.holdings if before is not None else None)


def as_object(read: Read) -> dict[str, Any]:
    """The JSON of one account; what is unknown is null, and a failed read has no figures at all."""
    observation = read.observation
    common = {"account": observation.account, "observed_at": observation.observed_at.isoformat()}
    if isinstance(observation, PollFailure):
        failure = {"kind": str(observation.kind), "detail": observation.detail}
        unread = dict.fromkeys(("margins", "positions", "orders", "readings", "events"))
        return common | {"failure": failure} | unread
    return common | {
        "failure": None,
        "margins": [_margin(margin) for margin in observation.margins],
        "positions": [_position(position) for position in observation.positions],
        "orders": None if isinstance(read.orders, PollFailure) else [_order(order) for order in read.orders or ()],
        "readings": [reading_object(reading) for reading in read.readings],
        "events": None if read.events is None else [_event(event) for event in read.events],
        "caveats": list(observation.caveats),
    }


def _margin(margin: MarginBalance) -> dict[str, Any]:
    return asdict(margin) | {"margin_ratio": margin.margin_ratio}


def _position(position: Position) -> dict[str, Any]:
    return asdict(position) | {"instrument": position.instrument.symbol}


def _order(order: StopOrder) -> dict[str, Any]:
    return asdict(order) | {"instrument": order.instrument.symbol}


def _event(event: AccountEvent) -> dict[str, Any]:
    return asdict(event) | {"at": event.at.isoformat()}


def reading_object(reading: Reading) -> dict[str, Any]:
    return {
        "key": asdict(reading.key),
        "verdict": str(reading.verdict),
        "severity": None if reading.severity is None else str(reading.severity),
        "value": reading.value,
        "threshold": reading.threshold,
        "unit": str(reading.unit),
        "inputs": dict(reading.inputs),
    }


def print_table(reads: list[Read]) -> None:
    console = Console(highlight=False)
    for read in reads:
        observation = read.observation
        if isinstance(observation, PollFailure):
            console.print(f"[bold red]{observation.account}: not read[/] ({observation.kind}): ", end="")
            console.print(observation.detail, markup=False, soft_wrap=True)
        else:
            _print_account(console, observation, read)


def _print_account(console: Console, snapshot: AccountSnapshot, read: Read) -> None:
    console.print(f"[bold]{snapshot.account}[/] on {snapshot.venue}, {snapshot.observed_at:%Y-%m-%d %H:%M:%S} UTC")
    print_figures(_pool_table(snapshot))
    if snapshot.positions:
        print_figures(_position_table(snapshot))
    if any(position.liquidation_price_origin is PriceOrigin.OWN_ESTIMATE for position in snapshot.positions):
        console.print(f"  {ESTIMATED} our own estimate: the venue tells no liquidation price", style="dim")
    for line in _order_lines(read.orders):
        console.print(f"  {line}", markup=False, soft_wrap=True)
    _print_readings(console, read.readings)
    for event in read.events or ():
        detail = f" ({event.detail})" if event.detail else ""
        line = f"  {event.at:%Y-%m-%d %H:%M:%S} UTC  {event.subject} {event.kind}{detail}"
        console.print(line, markup=False, soft_wrap=True)
    for caveat in snapshot.caveats:
        console.print(f"  note: {caveat}", style="dim", markup=False, soft_wrap=True)
    console.print()


def print_together(readings: Sequence[Reading]) -> None:
    """What is judged over all accounts, where anything is."""
    console = Console(highlight=False)
    if any(reading.key.rule != UNASSESSED for reading in readings):
        console.print("[bold]portfolio[/], all accounts together")
    _print_readings(console, readings)


def _print_readings(console: Console, readings: Sequence[Reading]) -> None:
    """Without the count of what is unknown: each of these has a line of its own here."""
    for reading in readings:
        if reading.key.rule != UNASSESSED:
            print_reading(console, reading)
    if any(reading.verdict is Verdict.HOLD for reading in readings):
        console.print(f"  {Verdict.HOLD}: {HOLD}, short of its threshold", style="dim")


def print_reading(console: Console, reading: Reading) -> None:
    # Colours do not reach a pipe: how bad it is stands in words.
    verdict = str(reading.severity if reading.verdict is Verdict.BREACH else reading.verdict)
    subject = "portfolio" if reading.key.subject == PORTFOLIO else reading.key.subject
    line = f"  {verdict:<8} {reading.key.rule} of {subject}: {value_words(reading)}"
    style = "magenta" if reading.is_unknown else _COLOURS[reading.severity]
    console.print(line, style=style, markup=False, soft_wrap=True)


def _order_lines(orders: Sequence[StopOrder] | PollFailure | None) -> Iterator[str]:
    if isinstance(orders, PollFailure):
        yield f"stop orders: not read ({orders.kind}): {orders.detail}"
        return
    for order in orders or ():
        base = order.instrument.base
        at = f" at {price(order.trigger_price)}" if order.trigger_price is not None else ""
        trail = f", trails by {percent(order.callback_rate)}" if order.callback_rate is not None else ""
        what = "the whole position" if order.size is None else f"{amount(order.size)} {base}"
        only = "" if order.reduce_only else ", may open a position"
        yield f"{order.kind} of {order.instrument.symbol} {order.side}{at}: {what}{trail}{only}"


def _pool_table(snapshot: AccountSnapshot) -> Table:
    table = figures_table("margin pool", "equity", "maintenance", "margin ratio")
    for margin in snapshot.margins:
        table.add_row(
            margin.pool,
            f"{amount(margin.equity)} {margin.currency}",
            amount(margin.maintenance_margin),
            GONE if margin.under_water else percent(margin.margin_ratio),
        )
    return table


def _position_table(snapshot: AccountSnapshot) -> Table:
    table = figures_table("position", "contracts", "mark", "liquidation", "notional", "PnL")
    for position in snapshot.positions:
        table.add_row(
            position.subject,
            amount(position.contracts),
            price(position.mark_price),
            _liquidation(position),
            f"{amount(position.notional)} {position.instrument.settle}",
            amount(position.unrealized_pnl),
        )
    return table


def _liquidation(position: Position) -> str:
    origin = position.liquidation_price_origin
    if position.liquidation_price is None:
        return origin.replace("_", " ")
    return f"{ESTIMATED if origin is PriceOrigin.OWN_ESTIMATE else ''}{price(position.liquidation_price)}"


def value_words(reading: Reading) -> str:
    if reading.is_unknown:
        return str(reading.inputs.get("why", "unknown"))
    if reading.value is not None:
        # Past its threshold, and yet clear: that of one account is not what all hold together.
        alone = f", held by {reading.inputs['held_by']} alone" if reading.inputs.get("held_by") else ""
        return f"{quantity(reading.value, reading.unit)}{alone}"
    return GONE if reading.verdict is Verdict.BREACH else "none"
