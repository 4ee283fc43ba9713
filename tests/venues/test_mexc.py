"""What only MEXC has: its envelope, modes, recorded rows, tiers, stop orders of three lists, records and keys."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest

from monitor.domain.account import FailureKind, Instrument, PriceOrigin, Side
from monitor.exchange.failures import ReadError
from monitor.exchange.venues.mexc import VENUE
from monitor.exchange.venues.mexc_account import parse
from monitor.exchange.venues.venue import AccountSettings
from monitor.paper.faults import Fault, FaultKind
from tests.reading import failed, good
from tests.venues.mexc import MEXC_CASE, mixed

ASSETS, POSITIONS, FAIR = MEXC_CASE.reads


def _instrument(symbol: str, contract_size: float, *, inverse: bool = False) -> Instrument:
    base, quote = symbol.split("_")
    settle = base if inverse else quote
    return Instrument(
        venue="mexc",
        symbol=f"{base}/{quote}:{settle}",
        base=base,
        quote=quote,
        settle=settle,
        contract_size=contract_size,
        inverse=inverse,
    )


# --- recorded rows: what MEXC's own figures say of each other ---

# (symbol, contract size, maintenance rate of its tier, fee rate, tick, row)
RECORDED: tuple[tuple[str, float, float, float, float, Mapping[str, Any]], ...] = (
    (
        "BTC_USDT",
        0.0001,
        0.001,
        0.0004,
        0.1,
        {"holdVol": 5, "holdAvgPrice": 109777.5, "liquidatePrice": 55020.5, "im": 27.444375, "leverage": 2},
    ),
    (
        "BTC_USDT",
        0.0001,
        0.001,
        0.0004,
        0.1,
        {"holdVol": 18, "holdAvgPrice": 107626.4, "liquidatePrice": 96967.1, "im": 19.450243008, "leverage": 10},
    ),
    (
        "SOL_USDT",
        0.01,
        0.004,
        0.0004,
        0.01,
        {"holdVol": 1, "holdAvgPrice": 203.44, "liquidatePrice": 194.07, "im": 0.10253376, "leverage": 20},
    ),
    (
        "ETH_USDT",
        0.01,
        0.005,
        0.0006,
        0.05,
        {"holdVol": 1, "holdAvgPrice": 1217.3, "liquidatePrice": 1211.2, "im": 0.1290338, "leverage": 100},
    ),
)


@pytest.mark.parametrize("recorded", RECORDED, ids=lambda recorded: f"{recorded[0]}-{recorded[5]['holdVol']}")
def test_at_the_recorded_liquidation_price_equity_is_maintenance_at_entry_and_the_fee(
    recorded: tuple[str, float, float, float, float, Mapping[str, Any]],
) -> None:
    raw, contract_size, rate, fee, tick, told = recorded
    price = told["liquidatePrice"]
    row = {"symbol": raw, "positionType": 1, "openType": 1, "state": 1, "marginRatio": 0.0139, **told}
    money = {"currency": "USDT", "equity": 100.0, "positionMargin": told["im"], "frozenBalance": 0}
    reading = parse(
        [{**money, "availableBalance": 0}],
        [row],
        {raw: price},
        {raw: _instrument(raw, contract_size)},
        AccountSettings(),
    )
    position, isolated = reading.positions[0], reading.margins[1]
    assert (position.liquidation_price, position.liquidation_price_origin) == (price, PriceOrigin.VENUE)
    units = told["holdVol"] * contract_size
    owed = rate * told["holdAvgPrice"] * units + fee * price * units
    assert isolated.equity == pytest.approx(owed, abs=tick * units)
    assert reading.margins[0].equity == pytest.approx(100.0 - owed, abs=tick * units)
    assert reading.margin_in_use == told["im"]


# --- modes and words ---


async def test_the_position_mode_is_told() -> None:
    async with mixed() as opened:
        assert (await VENUE.read_settings(opened.client)).mode == "one-way mode"
    async with mixed(position_mode=1) as opened:
        assert (await VENUE.read_settings(opened.client)).mode == "hedge mode"


@pytest.mark.parametrize(("profile", "words"), [({"position_mode": 3}, "3"), ({"contributes": 120.5}, "multi-asset")])
async def test_a_mode_that_is_not_understood_is_refused(profile: Mapping[str, Any], words: str) -> None:
    async with mixed(**profile) as opened:
        failure = failed(await opened.source.observe())
        assert failure.kind is FailureKind.UNSUPPORTED
        assert words in failure.detail


async def test_money_frozen_for_orders_backs_no_position_and_a_bonus_is_told() -> None:
    async with mixed() as opened:
        before = good(await opened.source.observe())
    async with mixed(frozen=1500.0, bonus=25.0, state=2) as opened:
        after = good(await opened.source.observe())
    for pool in ("cross:USDT", "isolated:SOL/USDT:USDT:long"):
        then, now = before.margin(pool), after.margin(pool)
        assert then is not None
        assert now is not None
        assert now.equity == pytest.approx(then.equity)
    assert any("trial bonus" in caveat for caveat in after.caveats)
    assert any("is liquidating it" in caveat for caveat in after.caveats)
    assert before.caveats == ()


async def test_a_row_without_a_rank_or_ratio_leaves_them_unknown() -> None:
    async with mixed(untold=("adlLevel", "marginRatio", "holdAvgPriceFullyScale")) as opened:
        snapshot = good(await opened.source.observe())
        assert {position.adl_rank for position in snapshot.positions} == {None}
        assert {margin.venue_margin_ratio for margin in snapshot.margins} == {None}
        assert all(position.entry_price for position in snapshot.positions)


async def test_no_more_than_a_few_fair_prices_are_asked_for_one_by_one() -> None:
    async with mixed() as opened:
        few, counts = opened.another(3, Side.LONG, Side.SHORT), opened.house.server.counts
        assert len(good(await few.observe()).positions) == 6
        assert counts[FAIR] == 3
        for contract in opened.engine.contracts[3:6]:
            opened.engine.open("other", contract.symbol, Side.LONG, 1, 100, 10)
        assert len(good(await few.observe()).positions) == 9
        assert counts[FAIR] == 3


async def test_a_fair_price_that_stands_still_is_not_believed() -> None:
    async with mixed() as opened:
        source = opened.another(1, Side.LONG)
        opened.house.server.misbehave(Fault(kind=FaultKind.STALE, path=FAIR))
        good(await source.observe())
        opened.clock.ahead += timedelta(minutes=2)
        failure = failed(await source.observe())
        assert failure.kind is FailureKind.IMPLAUSIBLE
        assert "stands still" in failure.detail


async def test_a_clock_that_is_off_is_learnt_from_the_contract_api_and_the_read_goes_on() -> None:
    async with mixed() as opened:
        opened.house.server.misbehave(Fault(kind=FaultKind.CLOCK_SKEW, seconds=90))
        good(await opened.source.observe())
        assert opened.house.server.counts["/api/v1/contract/ping"] == 1


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (402, FailureKind.AUTH),
        (406, FailureKind.PERMISSION),
        (701, FailureKind.PERMISSION),
        (510, FailureKind.RATE_LIMIT),
        (500, FailureKind.OVERLOADED),
        (801, FailureKind.MAINTENANCE),
        (10073, FailureKind.CLOCK),
        (2011, FailureKind.MALFORMED),
    ],
)
def test_each_refusal_is_of_its_kind(code: int, kind: FailureKind) -> None:
    assert VENUE.rules.kinds_by_code.get(str(code), FailureKind.MALFORMED) is kind


# --- positions that cannot be what they seem ---


def _row(**changes: Any) -> dict[str, Any]:
    told = {"symbol": "BTC_USDT", "positionType": 1, "openType": 2, "state": 1, "holdVol": 5, "holdAvgPrice": 100.0}
    return {**told, "liquidatePrice": 90, "im": 25.0, "leverage": 2, **changes}


@pytest.mark.parametrize(
    ("rows", "kind"),
    [
        ([_row(), _row(openType=1)], FailureKind.UNSUPPORTED),
        ([_row(positionType=3)], FailureKind.MALFORMED),
        ([_row(openType=None)], FailureKind.MALFORMED),
        ([_row(symbol="XYZ_USDT")], FailureKind.MALFORMED),
        ([_row(adlLevel=7)], FailureKind.MALFORMED),
        ([_row(holdVol="NaN")], FailureKind.MALFORMED),
        ([_row(state=3)], FailureKind.IMPLAUSIBLE),
        ([_row(im=1.0)], FailureKind.IMPLAUSIBLE),
        ([], FailureKind.IMPLAUSIBLE),
    ],
    ids=["twice", "side", "mode", "unlisted", "rank", "amount", "closed", "short", "none"],
)
def test_positions_that_cannot_be_are_a_failure(rows: list[dict[str, Any]], kind: FailureKind) -> None:
    money = {"currency": "USDT", "equity": 100.0, "positionMargin": 25.0, "frozenBalance": 0, "availableBalance": 75}
    with pytest.raises(ReadError) as failure:
        parse([money], rows, {"BTC_USDT": 100.0}, {"BTC_USDT": _instrument("BTC_USDT", 0.1)}, AccountSettings())
    assert failure.value.kind is kind


def test_the_liquidation_price_of_a_cross_position_is_not_taken() -> None:
    money = {"currency": "USDT", "equity": 100.0, "positionMargin": 25.0, "frozenBalance": 0, "availableBalance": 75}
    reading = parse(
        [money], [_row()], {"BTC_USDT": 100.0}, {"BTC_USDT": _instrument("BTC_USDT", 0.1)}, AccountSettings()
    )
    assert reading.positions[0].liquidation_price is None
    assert reading.positions[0].liquidation_price_origin is PriceOrigin.UNKNOWN


# --- tiers ---

LEVELS = [{"level": 1, "maxVol": 500, "mmr": 0.001}, {"level": 2, "maxVol": 900, "mmr": 0.004}]
TERMS = {
    "symbol": "BTC_USDT",
    "riskLimitMode": "CUSTOM",
    "riskLimitType": "BY_VOLUME",
    "riskLimitCustom": LEVELS,
    "liquidationFeeRate": 0.0004,
    "riskLongShortSwitch": 0,
}
STEPWISE = {
    **TERMS,
    "riskLimitMode": "INCREASE",
    "riskBaseVol": 500,
    "riskIncrVol": 400,
    "riskIncrMmr": 0.003,
    "maintenanceMarginRate": 0.001,
    "riskLevelLimit": 2,
}
BY_VOLUME = ((0.0, 5000.0, 0.0014), (5000.0, 9000.0, 0.0044))


@pytest.mark.parametrize(
    ("row", "tiers"),
    [
        (TERMS, BY_VOLUME),
        (STEPWISE, BY_VOLUME),
        ({**TERMS, "riskLimitType": "BY_VALUE"}, ((0.0, 500.0, 0.0014), (500.0, 900.0, 0.0044))),
        ({**STEPWISE, "riskIncrVol": 0}, ((0.0, 5000.0, 0.0014),)),
        ({**TERMS, "riskLongShortSwitch": 1}, None),
        ({**TERMS, "riskLimitType": "BY_MOON"}, None),
        ({**TERMS, "riskLimitCustom": [*LEVELS, LEVELS[0]]}, None),
        ({**TERMS, "liquidationFeeRate": None}, None),
    ],
    ids=["by level", "by steps", "by value", "one step", "sides", "strange", "falling", "no fee"],
)
async def test_tiers_are_read_with_the_fee_or_left_unknown(
    row: Mapping[str, Any], tiers: tuple[tuple[float, float, float], ...] | None
) -> None:
    class Client:
        async def contractPublicGetDetail(self) -> Any:
            return {"success": True, "code": 0, "data": [row]}

        async def contractPublicGetTicker(self) -> Any:
            return {"success": True, "code": 0, "data": [{"symbol": "BTC_USDT", "fairPrice": 100.0}]}

    instrument = _instrument("BTC_USDT", 0.1)
    found = (await VENUE.read_tiers(Client(), {"BTC_USDT": instrument}, {})).get(instrument.symbol)
    if tiers is None:
        assert found is None
        return
    assert found is not None
    assert [(tier.floor, tier.cap) for tier in found] == [(floor, cap) for floor, cap, _ in tiers]
    assert [tier.rate for tier in found] == pytest.approx([rate for *_, rate in tiers])
    assert {tier.amount for tier in found} == {0.0}
