"""`perpwatch stress`: what shocks of the market, recorded and made up, would do to every account."""

import asyncio
import json
import re
from collections.abc import Sequence
from typing import Annotated

import typer

from monitor.cli.loading import CONFIG, ConfigPath, load_settings
from monitor.cli.once import INCOMPLETE_EXIT
from monitor.cli.stress_view import as_object, print_tables
from monitor.clock import Clock, SystemClock
from monitor.config.settings import Settings
from monitor.domain.account import PollFailure
from monitor.exchange.registry import Exchanges
from monitor.log import configure
from monitor.risk.stress import HISTORIC, Shock, StressedAccount, stressed
from monitor.risk.worth import STABLECOINS
from monitor.rules.base import Context
from monitor.watching import access_of

CUSTOM = "yours"
OTHERS = "*"
_PART = re.compile(r"([A-Za-z0-9]{1,20}|\*)=([+-]?[0-9]{1,6}(?:\.[0-9]{1,12})?)(%?)")
MAX_RISE = 10.0


def stress(
    config: ConfigPath = CONFIG,
    shock: Annotated[
        list[str] | None,
        typer.Option(
            help="A part of a shock of your own, repeated for more: BTC=-20%, ETH=-30%, '*=-40%' for every other coin, "
            "USDe=0.65 for a dollar token. Without '*' the others move with BTC, losing 2.5 times as much.",
            show_default=False,
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object instead of tables.")] = False,
) -> int:
    """Read every account once and say what shocks would leave of it; exits 2 where any could not be read.

    Nothing is traded on the way: no stop is hit, nothing is added or cut.
    """
    shocks = (*HISTORIC, *([shock_of(shock)] if shock else []))
    settings = load_settings(config)
    configure("warning", settings.log.format)
    stressed = asyncio.run(stress_all(settings, shocks, SystemClock()))
    if as_json:
        typer.echo(json.dumps(as_object(shocks, stressed), indent=2))
    else:
        print_tables(shocks, stressed)
    return INCOMPLETE_EXIT if any(isinstance(account.observation, PollFailure) for account in stressed) else 0


def shock_of(parts: Sequence[str]) -> Shock:
    """One shock of all the parts; raises BadParameter for what is none."""
    moves: dict[str, float] = {}
    collateral: dict[str, float] = {}
    for part in parts:
        match = _PART.fullmatch(part.strip())
        if match is None:
            raise typer.BadParameter(f"--shock: expected BTC=-20%, '*=-40%' or USDe=0.65, not {part[:40]!r}")
        coin, figure = match[1].upper(), float(match[2])
        if coin in moves or coin in collateral:
            raise typer.BadParameter(f"--shock: {match[1]} is named twice")
        if match[3]:
            if not -1 < figure / 100 <= MAX_RISE:
                raise typer.BadParameter(f"--shock: {match[1]} may move by more than -100% and up to +1000%")
            moves[coin] = figure / 100
        else:
            if coin not in STABLECOINS or not 0 < figure <= MAX_RISE:
                raise typer.BadParameter(f"--shock: {part[:40]}: a price is for dollar tokens; a move has its %")
            collateral[coin] = figure
    others = moves.pop(OTHERS, None)
    return Shock(name=CUSTOM, moves=moves, others=others, collateral=collateral)


async def stress_all(settings: Settings, shocks: Sequence[Shock], clock: Clock) -> list[StressedAccount]:
    """One read of every account, side by side, and each shock applied to it."""
    exchanges = Exchanges(clock)

    async def of(name: str) -> StressedAccount:
        source = exchanges.open_account(access_of(settings, name))
        observation = await source.observe()
        if isinstance(observation, PollFailure):
            return StressedAccount(observation, ())
        observation = await source.gathered(observation)
        context = Context(snapshot=observation, markets=source.markets(), now=clock.now())
        return stressed(observation, context.markets, shocks, context.betas)

    try:
        return await asyncio.gather(*(of(name) for name in settings.accounts))
    finally:
        await exchanges.close()
