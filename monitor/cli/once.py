"""`perpwatch once`: one read of every account, as a table or as JSON."""

import asyncio
import json
from dataclasses import asdict, dataclass
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from monitor.cli.loading import CONFIG, ConfigPath, load_settings
from monitor.clock import Clock, SystemClock
from monitor.config.settings import Settings
from monitor.domain.account import AccountSnapshot, MarginBalance, Observation, PollFailure, Position
from monitor.domain.reading import Reading, Severity, Verdict
from monitor.exchange.registry import Exchanges
from monitor.log import configure
from monitor.notify.text import amount, percent, price, quantity
from monitor.pipeline import assess
from monitor.plan import AccountPlan
from monitor.watching import access_of

INCOMPLETE_EXIT = 2
MIN_WIDTH = 110
# No number describes maintenance margin that is owed with no equity left.
GONE = "equity is gone"
_COLOURS = {Severity.CRITICAL: "bold red", Severity.WARNING: "yellow", None: "green"}


@dataclass(frozen=True, slots=True)
class Read:
    observation: Observation
    readings: tuple[Reading, ...]


def once(
    config: ConfigPath = CONFIG,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object instead of a table.")] = False,
) -> int:
    """Read every account once and judge it; exits 2 where any could not be read."""
    settings = load_settings(config)
    configure("warning", settings.log.format)
    reads = asyncio.run(read_all(settings, SystemClock()))
    if as_json:
        typer.echo(json.dumps({"accounts": [as_object(read) for read in reads]}, indent=2))
    else:
        print_table(reads)
    return INCOMPLETE_EXIT if any(isinstance(read.observation, PollFailure) for read in reads) else 0


async def read_all(settings: Settings, clock: Clock) -> list[Read]:
    """One read of every account, side by side."""
    exchanges = Exchanges(clock)
    try:
        return await asyncio.gather(*(_read(exchanges, settings, name, clock) for name in settings.accounts))
    finally:
        await exchanges.close()


async def _read(exchanges: Exchanges, settings: Settings, name: str, clock: Clock) -> Read:
    source = exchanges.open_account(access_of(settings, name))
    observation = await source.observe()
    return Read(observation, assess(AccountPlan.of(settings, name), observation, source.markets(), clock.now()))


def as_object(read: Read) -> dict[str, Any]:
    """The JSON of one account; what is unknown is null, and a failed read has no figures at all."""
    observation = read.observation
    common = {"account": observation.account, "observed_at": observation.observed_at.isoformat()}
    if isinstance(observation, PollFailure):
        failure = {"kind": str(observation.kind), "detail": observation.detail}
        return common | {"failure": failure, "margins": None, "positions": None, "readings": None}
    return common | {
        "failure": None,
        "margins": [_margin(margin) for margin in observation.margins],
        "positions": [_position(position) for position in observation.positions],
        "readings": [_reading(reading) for reading in read.readings],
        "caveats": list(observation.caveats),
    }


def _margin(margin: MarginBalance) -> dict[str, Any]:
    return asdict(margin) | {"margin_ratio": margin.margin_ratio}


def _position(position: Position) -> dict[str, Any]:
    return asdict(position) | {"instrument": position.instrument.symbol}


def _reading(reading: Reading) -> dict[str, Any]:
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
    # A narrow terminal wraps lines; it must never cut a figure.
    console = Console(width=max(Console().width, MIN_WIDTH), highlight=False)
    for read in reads:
        observation = read.observation
        if isinstance(observation, PollFailure):
            console.print(f"[bold red]{observation.account}: not read[/] ({observation.kind}): ", end="")
            console.print(observation.detail, markup=False, soft_wrap=True)
        else:
            _print_account(console, observation, read.readings)


def _print_account(console: Console, snapshot: AccountSnapshot, readings: tuple[Reading, ...]) -> None:
    console.print(f"[bold]{snapshot.account}[/] on {snapshot.venue}, {snapshot.observed_at:%Y-%m-%d %H:%M:%S} UTC")
    console.print(_pool_table(snapshot))
    if snapshot.positions:
        console.print(_position_table(snapshot))
    for reading in readings:
        # Colours do not reach a pipe: how bad it is stands in words.
        verdict = str(reading.severity if reading.verdict is Verdict.BREACH else reading.verdict)
        line = f"  {verdict:<8} {reading.key.rule} of {reading.key.subject}: {_value(reading)}"
        style = "magenta" if reading.is_unknown else _COLOURS[reading.severity]
        console.print(line, style=style, markup=False, soft_wrap=True)
    for caveat in snapshot.caveats:
        console.print(f"  note: {caveat}", style="dim", markup=False, soft_wrap=True)
    console.print()


def _pool_table(snapshot: AccountSnapshot) -> Table:
    table = _table("margin pool", "equity", "maintenance", "margin ratio")
    for margin in snapshot.margins:
        table.add_row(
            margin.pool,
            f"{amount(margin.equity)} {margin.currency}",
            f"{amount(margin.maintenance_margin)} {margin.currency}",
            GONE if margin.under_water else percent(margin.margin_ratio),
        )
    return table


def _position_table(snapshot: AccountSnapshot) -> Table:
    table = _table("position", "contracts", "mark", "liquidation", "notional", "PnL")
    for position in snapshot.positions:
        settle = position.instrument.settle
        table.add_row(
            position.subject,
            amount(position.contracts),
            price(position.mark_price),
            _liquidation(position),
            f"{amount(position.notional)} {settle}",
            f"{amount(position.unrealized_pnl)} {settle}",
        )
    return table


def _table(first: str, *others: str) -> Table:
    table = Table(box=None, padding=(0, 0, 0, 2))
    table.add_column(first, no_wrap=True)
    for heading in others:
        table.add_column(heading, no_wrap=True, justify="right")
    return table


def _liquidation(position: Position) -> str:
    origin = position.liquidation_price_origin.replace("_", " ")
    return origin if position.liquidation_price is None else f"{price(position.liquidation_price)} ({origin})"


def _value(reading: Reading) -> str:
    if reading.is_unknown:
        return str(reading.inputs.get("why", "unknown"))
    if reading.value is not None:
        return quantity(reading.value, reading.unit)
    return GONE if reading.verdict is Verdict.BREACH else "none"
