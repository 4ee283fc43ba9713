"""Prices of collateral as venues tell them, and the rule on them, beside the paper exchange's own truth."""

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from monitor.config.profiles import PROFILES
from monitor.domain.account import AccountSnapshot
from monitor.domain.reading import Reading, Severity, Verdict
from monitor.exchange.source import AccountSource
from monitor.paper import binance as paper_binance
from monitor.paper import unified as paper_unified
from monitor.paper.dialects import bitget_account as paper_bitget
from monitor.paper.engine import Engine
from monitor.rules.base import Context
from monitor.rules.book import evaluate_rules
from tests.builders import a_rule
from tests.reading import ShiftedClock, good
from tests.venues import binance, bitget, bybit, okx
from tests.venues.kit import AccountCase, VenueCase, a_house, book_of

USDC_AT = 0.93
SetPrice = Callable[[pytest.MonkeyPatch], None]


def _at_binance(patch: pytest.MonkeyPatch) -> None:
    patch.setitem(paper_binance.STABLECOINS, "USDC", USDC_AT)


def _at_unified(patch: pytest.MonkeyPatch) -> None:
    patch.setitem(paper_unified.STABLECOINS, "USDC", USDC_AT)


def _at_bitget(patch: pytest.MonkeyPatch) -> None:
    def worth(_engine: Engine, asset: str) -> float:
        return USDC_AT if asset == "USDC" else 1.0

    patch.setattr(paper_bitget, "worth", worth)


@dataclass(frozen=True)
class Held:
    """An account margined in USDT and USDC at a venue that tells what they are worth."""

    case: VenueCase
    account: AccountCase
    depeg: SetPrice
    tells_amounts: bool = True

    def __str__(self) -> str:
        return f"{self.case.venue} {self.account.name}"


def _of(case: VenueCase, words: str) -> AccountCase:
    return next(account for account in case.accounts if words in account.name and account.account == "two")


HELD = (
    Held(binance.USDM, _of(binance.USDM, "multi-assets"), _at_binance),
    Held(binance.USDM, _of(binance.USDM, "portfolio"), _at_binance, tells_amounts=False),
    Held(bybit.CASES[1], _of(bybit.CASES[1], "cross"), _at_unified),
    Held(okx.OKX_CASE, okx.multi("two"), _at_unified),
    Held(bitget.UNIFIED, _of(bitget.UNIFIED, "unified"), _at_bitget),
)


def judged(source: AccountSource, snapshot: AccountSnapshot) -> dict[str, Reading]:
    rules = {"collateral": a_rule("collateral", **PROFILES["retail"]["collateral"])}
    context = Context(snapshot=snapshot, markets=source.markets(), now=snapshot.observed_at)
    return {reading.key.subject: reading for reading in evaluate_rules(rules, context)}


@pytest.mark.parametrize("held", HELD, ids=str)
async def test_a_coin_off_its_dollar_is_told_and_one_that_is_a_dollar_is_not(
    held: Held, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = ShiftedClock()
    engine = book_of(held.case, clock.now())
    async with a_house(held.case, clock, engine) as house:
        source = house.open(held.account)
        readings = judged(source, good(await source.observe()))
        assert {coin: reading.verdict for coin, reading in readings.items()} == dict.fromkeys(
            ("USDC", "USDT"), Verdict.CLEAR
        )
        held.depeg(monkeypatch)
        snapshot = good(await source.observe())
        readings = judged(source, snapshot)
        assert readings["USDT"].verdict is Verdict.CLEAR
        assert readings["USDC"].severity is Severity.CRITICAL
        assert readings["USDC"].value == pytest.approx(1 - USDC_AT, rel=1e-4)
        truth = {pool.asset: pool.equity for pool in engine.pools("two") if pool.pool.startswith("cross:")}
        for one in snapshot.collateral:
            assert one.amount == (pytest.approx(truth[one.coin], rel=1e-6) if held.tells_amounts else None)


async def test_an_account_whose_venue_tells_no_prices_is_not_judged() -> None:
    clock = ShiftedClock()
    async with a_house(binance.USDM, clock, book_of(binance.USDM, clock.now())) as house:
        source = house.open(_of(binance.USDM, "two"))
        snapshot = good(await source.observe())
        assert snapshot.collateral == ()
        assert judged(source, snapshot) == {}
