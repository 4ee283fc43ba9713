"""`python -m benchmarks.corrections`: what plain ccxt tells of positions, and what perpwatch tells, beside the truth.

Each venue of tests/venues is served in its dialect, with accounts of known figures. Plain ccxt's `fetch_positions` and
perpwatch's reader read the same replies. Counted are distinct figures of a venue (a field of a position, whatever the
position): missing or wrong in plain ccxt; and of these, how many perpwatch gives, by the venue's word or marked as its
own estimate. Positions that plain ccxt does not show are counted one by one.
"""

import asyncio
import sys
from collections.abc import Mapping
from typing import Any

import ccxt.async_support as ccxt
import pytest

from monitor.domain.account import AccountSnapshot, Position
from monitor.exchange.client import _rebased
from monitor.exchange.venues.figures import Figure
from monitor.paper.book import PositionTruth
from monitor.paper.formats import milliseconds
from tests.reading import ShiftedClock
from tests.venues.cases import CASES
from tests.venues.kit import OF_POSITION, OF_TRUTH, AccountCase, House, a_house, book_of, raw_symbol

UNIFIED: Mapping[Figure, str] = {
    Figure.MARK_PRICE: "markPrice",
    Figure.NOTIONAL: "notional",
    Figure.ENTRY_PRICE: "entryPrice",
    Figure.LIQUIDATION_PRICE: "liquidationPrice",
    Figure.LEVERAGE: "leverage",
    Figure.MARGIN_MODE: "marginMode",
    Figure.MAINTENANCE: "maintenanceMargin",
    Figure.INITIAL: "initialMargin",
    Figure.PNL: "unrealizedPnl",
}
CLOSE = 1e-4
# The markets of contracts alone: the paper exchange lists no others.
MARKETS: Mapping[str, Any] = {
    "bybit": {"types": ["linear", "inverse"]},
    "bitget": {"types": ["swap"]},
    "gate": {"types": ["swap"]},
    "hyperliquid": {"types": ["swap"]},
    "kucoinfutures": {"types": ["swap"], "fetchTickersFees": False},
    "okx": {"types": ["swap"]},
}

Key = tuple[str, str]


class Tally:
    """Of one venue."""

    def __init__(self) -> None:
        self.positions = self.hidden = 0
        self.missing: set[Figure] = set()
        self.wrong: set[Figure] = set()
        self.ours_wrong: set[Figure] = set()
        self.given: set[Figure] = set()
        self.refused: set[str] = set()

    @property
    def corrected(self) -> set[Figure]:
        return (self.missing | self.wrong) & self.given - self.ours_wrong


async def main() -> int:
    tallies: dict[str, Tally] = {}
    for case in CASES:
        tally = tallies.setdefault(case.venue, Tally())
        for account in case.accounts:
            clock = ShiftedClock()
            async with a_house(case, clock, book_of(case, clock.now())) as house:
                await _read(house, account, clock, tally)
    _print(tallies)
    return 1 if any(tally.ours_wrong for tally in tallies.values()) else 0


async def _read(house: House, account: AccountCase, clock: ShiftedClock, tally: Tally) -> None:
    ours = await house.open(account).observe()
    assert isinstance(ours, AccountSnapshot), ours
    plain = await _plain(house, account, clock, tally)
    truths = [t for t in house.engine.positions(account.account) if account.shows(t.symbol)]
    held = {(raw_symbol(house.engine, p), str(p.side)): p for p in ours.positions}
    for truth in truths:
        tally.positions += 1
        key = (truth.symbol, str(truth.side))
        told = account.expected(truth)
        due = {figure: told[figure] if figure in told else OF_TRUTH[figure](truth) for figure in UNIFIED}
        _ours(held[key], due, tally)
        if plain is None:
            continue
        row = plain.get(_unified_key(house, truth))
        if row is None:
            tally.hidden += 1
            continue
        for figure, name in UNIFIED.items():
            value = row.get(name)
            if _is(value, due[figure]):
                continue
            (tally.missing if value is None else tally.wrong).add(figure)


def _ours(position: Position, due: Mapping[Figure, Any], tally: Tally) -> None:
    for figure, value in due.items():
        told = OF_POSITION[figure](position)
        if _is(told, value):
            tally.given.add(figure)
        elif told is not None:
            tally.ours_wrong.add(figure)


def _is(told: Any, due: Any) -> bool:
    if isinstance(due, float) and isinstance(told, int | float):
        return bool(abs(told) == pytest.approx(abs(due), rel=CLOSE)) and (told * due >= 0)
    return bool(told == due)


def _unified_key(house: House, truth: PositionTruth) -> Key:
    contract = house.engine.market(truth.symbol).contract
    return f"{contract.base}/{contract.quote}:{contract.settle}", str(truth.side)


async def _plain(
    house: House, account: AccountCase, clock: ShiftedClock, tally: Tally
) -> Mapping[Key, Mapping[str, Any]] | None:
    """Plain ccxt's rows by symbol and side; None where it refuses or fails."""
    credentials = house.case.credentials(house.engine.account(account.account))
    client = getattr(ccxt, house.case.venue)({**credentials, "enableRateLimit": False, "timeout": 5000})
    client.options["fetchCurrencies"] = False
    client.options["defaultType"] = "swap"
    client.options["fetchMarkets"] = MARKETS.get(house.case.venue, client.options.get("fetchMarkets"))
    client.options["hf"] = False  # asked of KuCoin's spot accounts otherwise
    client.has["fetchCurrencies"] = False
    if house.case.venue in ("bingx", "mexc"):
        client.fetch_markets = client.fetch_swap_markets
    client.milliseconds = lambda: milliseconds(clock.now())
    client.urls["api"] = _rebased(client.urls["api"], house.server.base_url, client.hostname)
    try:
        await client.load_markets(False, {"marginables": False})
        rows = await client.fetch_positions()
    except Exception as error:  # noqa: BLE001  # whatever it trips over is what its user would see
        tally.refused.add(f"{account.name}: {type(error).__name__}: {error!s:.150}")
        return None
    finally:
        await client.close()
    return {(row["symbol"], str(row["side"])): row for row in rows if row.get("contracts")}


def _print(tallies: Mapping[str, Tally]) -> None:
    print("| venue | positions | hidden by plain ccxt | figures missing | figures wrong | given by perpwatch |")
    print("|---|---|---|---|---|---|")
    for venue, tally in tallies.items():
        print(
            f"| {venue} | {tally.positions} | {tally.hidden} | {_names(tally.missing)} | {_names(tally.wrong)} "
            f"| {len(tally.corrected)} of {len(tally.missing | tally.wrong)} |"
        )
    for venue, tally in tallies.items():
        for refusal in sorted(tally.refused):
            print(f"{venue}: plain ccxt could not read {refusal}")
        if tally.ours_wrong:
            print(f"{venue}: perpwatch tells wrongly: {_names(tally.ours_wrong)}")


def _names(figures: set[Figure]) -> str:
    return ", ".join(sorted(figure.replace("_", " ") for figure in figures)) or "-"


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
