"""Rules on accounts of the paper exchange, read over HTTP by the real ccxt classes, beside the exchange's own truth."""

# ruff: noqa: F401, F811 - fixtures are imported, and named again as parameters

import pytest

from monitor.config.profiles import PROFILES
from monitor.domain.account import Side
from monitor.domain.reading import Reading, Severity, Verdict
from monitor.exchange.source import AccountSource
from monitor.paper.engine import Engine
from monitor.rules.base import Context
from monitor.rules.book import evaluate_rules
from tests.builders import a_rule
from tests.reading import Open, clock, engine, exchanges, good, open_account, server

LONG, SHORT = "BTC/USDT:USDT long", "BTC/USDT:USDT short"


async def judge(source: AccountSource, kind: str) -> dict[str, Reading]:
    """What the retail profile's rule says of one read, by subject."""
    snapshot = good(await source.observe())
    rules = {kind: a_rule(kind, **PROFILES["retail"][kind])}
    context = Context(snapshot=snapshot, markets=source.markets(), now=snapshot.observed_at)
    return {reading.key.subject: reading for reading in evaluate_rules(rules, context)}


def equity_of(engine: Engine, account: str) -> float:
    return sum(pool.equity for pool in engine.pools(account) if pool.asset == "USDT")


async def test_a_trade_that_stakes_too_much_is_told_from_one_that_does_not(engine: Engine, open_account: Open) -> None:
    readings = await judge(open_account("hedger"), "position_size")
    equity = equity_of(engine, "hedger")
    for subject, side, severity in ((LONG, Side.LONG, Severity.CRITICAL), (SHORT, Side.SHORT, None)):
        truth = engine.position("hedger", "BTCUSDT", side)
        assert readings[subject].value == pytest.approx(truth.initial_margin / equity)
        assert readings[subject].severity is severity


async def test_an_account_that_hangs_on_one_coin_is_told_until_it_does_not(engine: Engine, open_account: Open) -> None:
    hedger, alone = open_account("hedger"), open_account("single")

    def share_of_bitcoin() -> float:
        worths = {p.symbol + p.side: p.notional for p in engine.positions("hedger") if p.symbol.endswith("USDT")}
        return sum(worth for name, worth in worths.items() if name.startswith("BTC")) / sum(worths.values())

    reading = (await judge(hedger, "concentration"))["hedger"]
    assert reading.severity is Severity.WARNING
    assert reading.value == pytest.approx(share_of_bitcoin())
    engine.open("hedger", "SOLUSDT", Side.LONG, 600, 207, 10)
    reading = (await judge(hedger, "concentration"))["hedger"]
    assert reading.verdict is Verdict.CLEAR
    assert reading.value == pytest.approx(share_of_bitcoin())
    assert (await judge(alone, "concentration"))["single"].verdict is Verdict.CLEAR, "one coin, as its owner knows"


async def test_a_loss_is_told_of_the_side_that_loses(engine: Engine, open_account: Open) -> None:
    source = open_account("hedger")
    assert {reading.verdict for reading in (await judge(source, "loss")).values()} == {Verdict.CLEAR}
    engine.set_mark("BTCUSDT", 113_000.0)
    readings = await judge(source, "loss")
    truth = engine.position("hedger", "BTCUSDT", Side.LONG)
    assert readings[LONG].value == pytest.approx(-truth.unrealized_pnl / truth.initial_margin)
    assert readings[LONG].severity is Severity.CRITICAL
    assert (readings[SHORT].verdict, readings[SHORT].value) == (Verdict.CLEAR, 0.0)


async def test_the_fourth_rank_is_critical_for_a_hedge_and_a_warning_for_a_position_alone(
    engine: Engine, open_account: Open
) -> None:
    hedger, alone = open_account("hedger"), open_account("single")
    for price, hedged, single in ((116_000.5, None, None), (112_500.0, Severity.CRITICAL, None)):
        engine.set_mark("BTCUSDT", price)
        for source, account, severity in ((hedger, "hedger", hedged), (alone, "single", single)):
            reading = (await judge(source, "adl_rank"))[SHORT]
            assert reading.value == engine.position(account, "BTCUSDT", Side.SHORT).adl_quantile + 1
            assert reading.severity is severity
    engine.set_mark("BTCUSDT", 108_000.0)
    reading = (await judge(alone, "adl_rank"))[SHORT]
    assert (reading.value, reading.severity) == (4, Severity.WARNING)


async def test_a_position_below_the_edge_of_its_bracket_is_told_what_crossing_costs(
    engine: Engine, open_account: Open
) -> None:
    source, contract = open_account("single"), engine.market("BTCUSDT").contract
    assert (await judge(source, "tier_cliff"))[SHORT].verdict is Verdict.CLEAR
    engine.close("single", "BTCUSDT", Side.SHORT, 0.08)
    notional = engine.position("single", "BTCUSDT", Side.SHORT).notional
    edge = contract.bracket(notional).cap
    reading = (await judge(source, "tier_cliff"))[SHORT]
    assert reading.severity is Severity.WARNING
    assert reading.value == pytest.approx(edge / notional - 1)
    assert reading.inputs["maintenance_at_edge"] == pytest.approx(contract.maintenance(edge))
    assert reading.inputs["maintenance_beyond"] == pytest.approx(contract.maintenance(edge * (1 + 1e-12)))
    assert reading.inputs["next_rate"] == contract.bracket(edge * 1.01).rate
