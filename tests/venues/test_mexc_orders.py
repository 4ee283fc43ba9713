"""Beside MEXC's accounts: stop orders of three lists, records of liquidations, keys, and what may be asked."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from monitor.domain.account import EndKind, FailureKind, OrderKind, Side
from monitor.exchange.failures import ReadError
from monitor.exchange.venues.mexc import VENUE
from monitor.exchange.venues.venue import AccountSettings, KeyFacts
from tests.venues.mexc import mixed

# --- stop orders ---


def a_stop(**changes: Any) -> dict[str, Any]:
    told = {"id": 1, "orderId": 0, "symbol": "BTC_USDT", "positionId": 7, "state": 1, "positionType": 1, "vol": 2000}
    return {**told, "stopLossPrice": 0, "takeProfitPrice": 0, "profitLossVolType": "SAME", "volType": 1, **changes}


def a_trigger(**changes: Any) -> dict[str, Any]:
    return {
        "id": "2",
        "symbol": "ETH_USDT",
        "side": 2,
        "triggerPrice": 4500.0,
        "vol": 300,
        "triggerType": 1,
        "state": 1,
        "reduceOnly": False,
        **changes,
    }


def a_trail(**changes: Any) -> dict[str, Any]:
    told = {"id": "3", "symbol": "SOL_USDT", "side": 4, "vol": 40, "backType": 1, "backValue": 0.02, "state": 0}
    return {**told, "triggerPrice": 0, "markPrice": 0, "activePrice": 210, "reduceOnly": False, **changes}


Expected = tuple[str, Side, OrderKind, float | None, float | None, float | None]


@pytest.mark.parametrize(
    ("profile", "expected"),
    [
        (
            {"stops": (a_stop(stopLossPrice=100_000, takeProfitPrice=130_000),)},
            [
                ("BTC/USDT:USDT", Side.LONG, OrderKind.STOP, 100_000, None, 0.2),
                ("BTC/USDT:USDT", Side.LONG, OrderKind.TAKE_PROFIT, 130_000, None, 0.2),
            ],
        ),
        (
            {"stops": (a_stop(stopLossPrice=100_000, profitLossVolType="SEPARATE", stopLossVol=500),)},
            [("BTC/USDT:USDT", Side.LONG, OrderKind.STOP, 100_000, None, 0.05)],
        ),
        (
            {"stops": (a_stop(positionType=2, stopLossPrice=130_000, volType=2),)},
            [("BTC/USDT:USDT", Side.SHORT, OrderKind.STOP, 130_000, None, None)],
        ),
        (
            {"stops": (a_stop(symbol="BTC_USD", stopLossPrice=100_000, vol=300),)},
            [("BTC/USD:BTC", Side.LONG, OrderKind.STOP, 100_000, None, 0.3)],
        ),
        ({"stops": (a_stop(stopLossPrice=1, state=3), a_stop(stopLossPrice=1, positionId=0))}, []),
        ({"triggers": (a_trigger(),)}, [("ETH/USDT:USDT", Side.SHORT, OrderKind.STOP, 4500, None, 3.0)]),
        (
            {"triggers": (a_trigger(side=4),)},
            [("ETH/USDT:USDT", Side.LONG, OrderKind.TAKE_PROFIT, 4500, None, 3.0)],
        ),
        (
            {"triggers": (a_trigger(side=3, reduceOnly=True, triggerType=2), a_trigger(side=1))},
            [("ETH/USDT:USDT", Side.LONG, OrderKind.STOP, 4500, None, 3.0)],
        ),
        ({"trailing": (a_trail(),)}, [("SOL/USDT:USDT", Side.LONG, OrderKind.TRAILING, None, 0.02, 40.0)]),
        (
            {"trailing": (a_trail(backType=2, backValue=5, triggerPrice=200), a_trail(side=1))},
            [("SOL/USDT:USDT", Side.LONG, OrderKind.TRAILING, 200, None, 40.0)],
        ),
    ],
)
async def test_stop_orders_of_all_three_lists_are_read(profile: Mapping[str, Any], expected: list[Expected]) -> None:
    async with mixed(**profile) as opened:
        orders = await VENUE.read_orders(opened.client, await opened.instruments(), AccountSettings())
    told = [(o.instrument.symbol, o.side, o.kind, o.trigger_price, o.callback_rate, o.size) for o in orders]
    assert told == [(*row[:5], None if row[5] is None else pytest.approx(row[5])) for row in expected]
    assert all(order.reduce_only for order in orders)


async def test_orders_on_further_pages_are_read_and_endless_ones_refused() -> None:
    triggers = tuple(a_trigger(id=str(number), vol=number + 1) for number in range(230))
    async with mixed(triggers=triggers) as opened:
        instruments = await opened.instruments()
        assert len(await VENUE.read_orders(opened.client, instruments, AccountSettings())) == 230
        opened.house.server.set_profile("mixed", triggers=triggers[:100] * 2)
        with pytest.raises(ReadError) as twice:
            await VENUE.read_orders(opened.client, instruments, AccountSettings())
        assert twice.value.kind is FailureKind.MALFORMED


# --- records ---


async def test_liquidations_and_deleveragings_are_told_by_the_records() -> None:
    at = datetime(2026, 5, 1, 12, tzinfo=UTC)
    told = {"symbol": "BTC_USDT", "dealVol": 50, "dealAvgPrice": 99_000.5, "updateTime": 1000 * at.timestamp()}
    history = (
        {**told, "category": 2, "side": 4},
        {**told, "category": 4, "side": 2, "updateTime": 1000 * at.timestamp() + 1},
        {**told, "category": 6, "side": 2, "symbol": "ETH_USDT"},
        {**told, "category": 2, "side": 1},
        {**told, "category": 1, "side": 4},
        {**told, "category": 2, "side": 4, "updateTime": 1000 * (at - timedelta(days=2)).timestamp()},
    )
    async with mixed(history=history) as opened:
        found = await VENUE.read_ends(
            opened.client, await opened.instruments(), AccountSettings(), at - timedelta(days=1)
        )
    assert [(end.instrument.base, end.side, end.kind, end.contracts, end.price) for end in found] == [
        ("BTC", Side.LONG, EndKind.LIQUIDATED, 50, 99_000.5),
        ("BTC", Side.SHORT, EndKind.DELEVERAGED, 50, 99_000.5),
        ("ETH", Side.SHORT, EndKind.LIQUIDATED, 50, 99_000.5),
    ]
    assert found[0].at == at


# --- keys ---


@pytest.mark.parametrize(
    ("permissions", "addresses", "expected"),
    [
        ("CONTRACT_ACCOUNT_READ,CONTRACT_DEAL_READ", "", (False, False, False)),
        ("CONTRACT_DEAL_READ,CONTRACT_DEAL_WRITE", "192.0.2.1", (True, False, True)),
        ("SPOT_ACCOUNT_READ,SPOT_WITHDRAW_WRITE", "192.0.2.1", (False, True, True)),
        ("SPOT_TRANSFER_READ,SPOT_TRANSFER_WRITE", "", (False, True, False)),
    ],
)
async def test_what_a_key_may_do_is_told(permissions: str, addresses: str, expected: tuple[bool, bool, bool]) -> None:
    async with mixed(permissions=permissions, addresses=addresses) as opened:
        facts = await opened.source.key_facts()
        assert isinstance(facts, KeyFacts)
        assert (facts.may_trade, facts.may_withdraw, facts.ip_restricted) == expected
        assert (facts.expires_at is None) is bool(addresses)
        assert facts.clock_ahead_s == pytest.approx(0, abs=2)


async def test_a_key_of_which_nothing_is_told_is_not_called_harmless() -> None:
    async with mixed(key_is_told=False) as opened:
        facts = await opened.source.key_facts()
        assert isinstance(facts, KeyFacts)
        assert facts.may_trade is None
        assert facts.may_withdraw is None
        assert facts.notes


# --- what may be asked ---


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/api/v1/private/order/create"),
        ("GET", "/api/v1/private/order/list/open_orders"),
        ("POST", "/api/v3/apiKeyInfo"),
        ("GET", "/api/v1/contract/fair_price/BTC_USDT/more"),
    ],
)
def test_nothing_else_may_be_sent(method: str, path: str) -> None:
    assert not VENUE.rules.permits(method, path)
