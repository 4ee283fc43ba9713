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
from monitor.domain.reading import Reading, Severity
from monitor.exchange.registry import Exchanges
from monitor.log import configure
from monitor.pipeline import AccountPlan, assess
from monitor.watching import access_of

INCOMPLETE_EXIT = 2
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
        _print_table(reads)
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


def _print_table(reads: list[Read]) -> None:
    console = Console()
    for read in reads:
        observation = read.observation
        if isinstance(observation, PollFailure):
            console.print(f"[bold red]{observation.account}: not read[/] ({observation.kind}): ", end="")
            console.print(observation.detail, markup=False)
            continue
        _print_account(console, observation, read.readings)


def _print_account(console: Console, snapshot: AccountSnapshot, readings: tuple[Reading, ...]) -> None:
    console.print(f"[bold]{snapshot.account}[/] on {snapshot.venue}, {snapshot.observed_at:%Y-%m-%d %H:%M:%S} UTC")
    for margin in snapshot.margins:
        ratio = "unknown" if margin.margin_ratio is None else f"{margin.margin_ratio:.2%}"
        console.print(
            f"  {margin.pool}: equity {_figure(margin.equity)} {margin.currency}, "
            f"maintenance {_figure(margin.maintenance_margin)}, margin ratio {ratio}",
            highlight=False,
        )
    if snapshot.positions:
        table = Table("position", "contracts", "mark", "liquidation", "notional", "PnL", box=None, padding=(0, 2))
        for position in snapshot.positions:
            table.add_row(*_cells(position))
        console.print(table)
    for reading in readings:
        value = "unknown" if reading.value is None else f"{reading.value:.4g}"
        line = f"  {reading.key.rule} {reading.key.subject}: {value} {reading.verdict}"
        console.print(line, style="magenta" if reading.is_unknown else _COLOURS.get(reading.severity), markup=False)
    for caveat in snapshot.caveats:
        console.print(f"  note: {caveat}", style="dim", markup=False)


def _cells(position: Position) -> list[str]:
    settle = position.instrument.settle
    liquidation = _figure(position.liquidation_price)
    return [
        position.subject,
        _figure(position.contracts),
        _figure(position.mark_price),
        f"{liquidation} ({position.liquidation_price_origin.replace('_', ' ')})",
        f"{_figure(position.notional)} {settle}",
        f"{_figure(position.unrealized_pnl)} {settle}",
    ]


def _figure(value: float | None) -> str:
    return "unknown" if value is None else f"{value:,.8g}"
