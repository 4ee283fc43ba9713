"""Kraken Futures' stop orders, its records of ends, and what it tells of keys."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest

from monitor.domain.account import (
    End,
    EndKind,
    FailureKind,
    Instrument,
    OrderKind,
    PollFailure,
    Side,
    StopOrder,
)
from monitor.exchange.failures import ReadError
from monitor.exchange.source import AccountSource
from monitor.exchange.venues.krakenfutures import VENUE
from monitor.exchange.venues.krakenfutures_records import key_facts
from monitor.exchange.venues.venue import AccountSettings, Instruments, KeyFacts
from monitor.paper.dialects.krakenfutures import CHECK, iso
from tests.reading import failed
from tests.venues.kit import House
from tests.venues.krakenfutures import AT, COIN, KNOWN, MIXED, PERP, house

__all__ = ["house"]


def _client(source: AccountSource) -> Any:
    return source._client


async def _records(house: House, **profile: Any) -> tuple[Any, Instruments]:
    """A client of an account of which that is told, and the instruments."""
    house.server.set_profile("mixed", **profile)
    client = _client(house.open(MIXED))
    return client, await VENUE.read_instruments(client)


# --- stop orders ---


def an_order(**changes: Any) -> dict[str, Any]:
    return {
        "order_id": "59302619-41d2-4f0b-941f-7e7914760ad3",
        "symbol": "PF_XBTUSD",
        "side": "sell",
        "orderType": "stop",
        "stopPrice": 70_000.0,
        "unfilledSize": 0.5,
        "filledSize": 0,
        "reduceOnly": True,
        "triggerSignal": "mark",
        "status": "untouched",
        "receivedTime": "2026-04-19T15:00:00.000Z",
        **changes,
    }


def _stop(instrument: Instrument, **changes: Any) -> StopOrder:
    told: dict[str, Any] = {"side": Side.LONG, "kind": OrderKind.STOP, "trigger_price": 70_000.0, "size": 0.5}
    return StopOrder(**{"instrument": instrument, "callback_rate": None, "reduce_only": True, **told, **changes})


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        ({}, {}),
        ({"orderType": "stp"}, {}),
        ({"orderType": "novel"}, {}),
        ({"orderType": "take_profit", "side": "buy"}, {"kind": OrderKind.TAKE_PROFIT, "side": Side.SHORT}),
        ({"reduceOnly": False}, {"reduce_only": False}),
        (
            {
                "orderType": "trailing_stop",
                "stopPrice": None,
                "trailingStopMaxDeviation": 5,
                "trailingStopDeviationUnit": "PERCENT",
            },
            {"kind": OrderKind.TRAILING, "trigger_price": None, "callback_rate": 0.05},
        ),
        (
            {
                "orderType": "trailing_stop",
                "trailingStopMaxDeviation": 5,
                "trailingStopDeviationUnit": "QUOTE_CURRENCY",
            },
            {"kind": OrderKind.TRAILING},
        ),
    ],
)
async def test_whatever_waits_for_a_price_is_a_stop_order(
    house: House, order: Mapping[str, Any], expected: Mapping[str, Any]
) -> None:
    client, instruments = await _records(house, orders=(an_order(**order), an_order(orderType="lmt", stopPrice=None)))
    found = await VENUE.read_orders(client, instruments, AccountSettings())
    assert found == [_stop(PERP, **expected)]


async def test_the_size_of_a_stop_in_coin_is_at_its_price(house: House) -> None:
    order = an_order(symbol="PI_XBTUSD", unfilledSize=35_000)
    trailing = {**order, "orderType": "trailing_stop", "stopPrice": None}
    client, instruments = await _records(house, orders=(order, trailing))
    found = await VENUE.read_orders(client, instruments, AccountSettings())
    assert found == [
        _stop(COIN, size=pytest.approx(0.5)),
        _stop(COIN, kind=OrderKind.TRAILING, trigger_price=None, size=None),
    ]


@pytest.mark.parametrize("change", [{"side": "both"}, {"symbol": "PF_NOVELUSD"}, {"unfilledSize": 0}])
async def test_a_stop_that_is_not_sound_is_malformed(house: House, change: Mapping[str, Any]) -> None:
    client, instruments = await _records(house, orders=(an_order(**change),))
    with pytest.raises(ReadError) as failure:
        await VENUE.read_orders(client, instruments, AccountSettings())
    assert failure.value.kind is FailureKind.MALFORMED


# --- ends ---


def a_fill(kind: str, minutes_ago: float = 0.0, **changes: Any) -> dict[str, Any]:
    told = {"fill_id": "522d4e08", "order_id": "c18f0c17", "symbol": "PF_XBTUSD", "side": "sell", "size": 0.5}
    return {
        **told,
        "price": 70_000.0,
        "fillTime": iso(AT - timedelta(minutes=minutes_ago)),
        "fillType": kind,
        **changes,
    }


@pytest.mark.parametrize(
    ("kind", "end"),
    [
        ("liquidation", EndKind.LIQUIDATED),
        ("partialLiquidation", EndKind.LIQUIDATED),
        ("assignor", EndKind.LIQUIDATED),
        ("unwindBankrupt", EndKind.LIQUIDATED),
        ("unwindCounterparty", EndKind.DELEVERAGED),
        ("assignee", None),
        ("taker", None),
        ("maker", None),
    ],
)
async def test_ends_are_told_by_the_kind_of_their_fill(house: House, kind: str, end: EndKind | None) -> None:
    client, instruments = await _records(house, fills=(a_fill(kind),))
    found = await VENUE.read_ends(client, instruments, AccountSettings(), AT - timedelta(hours=1))
    if end is None:
        assert found == []
    else:
        assert found == [End(instrument=PERP, side=Side.LONG, kind=end, at=AT, contracts=0.5, price=70_000.0)]


async def test_ends_are_read_page_by_page_back_to_where_they_were_asked_for(house: House) -> None:
    fills = tuple(a_fill("liquidation" if n in (3, 150, 240) else "taker", minutes_ago=n) for n in range(250))
    client, instruments = await _records(house, fills=fills)
    found = await VENUE.read_ends(client, instruments, AccountSettings(), AT - timedelta(minutes=160))
    assert [end.at for end in found] == [AT - timedelta(minutes=n) for n in (3, 150)]
    assert house.server.counts["/derivatives/api/v3/fills"] == 2


@pytest.mark.parametrize(
    ("fills", "words"),
    [
        (tuple(a_fill("taker", minutes_ago=n) for n in range(1_100)), "more than 10 pages"),
        ((a_fill("taker", fillTime="yesterday"),), "is not a time"),
        ((a_fill("taker", fillTime="2026-04-19T15:28:00"),), "is not a time"),
        ((a_fill("taker", fillTime="0001-01-01T00:00:00+14:00"),), "is not a time"),
    ],
)
async def test_fills_that_cannot_be_read_whole_are_malformed(house: House, fills: Any, words: str) -> None:
    client, instruments = await _records(house, fills=fills)
    with pytest.raises(ReadError, match=words) as failure:
        await VENUE.read_ends(client, instruments, AccountSettings(), AT - timedelta(days=2))
    assert failure.value.kind is FailureKind.MALFORMED


async def test_a_page_that_follows_itself_is_malformed() -> None:
    class Stuck:
        async def privateGetFills(self, _asked: Any) -> Any:
            return {"result": "success", "fills": [a_fill("taker")] * 100}

    with pytest.raises(ReadError, match="told again"):
        await VENUE.read_ends(Stuck(), KNOWN, AccountSettings(), AT - timedelta(days=1))


# --- keys ---


@pytest.mark.parametrize(
    ("profile", "expected"),
    [
        ({}, (False, False, False)),
        ({"general": "FULL_ACCESS", "addresses": ("203.0.113.7/32",)}, (True, False, True)),
        ({"transfer": "FULL_ACCESS", "addresses": ()}, (False, True, False)),
        ({"transfer": "READ_ONLY", "addresses": ("0.0.0.0/0", "::/0")}, (False, False, False)),
        ({"general": "NOVEL_ACCESS"}, (None, False, False)),
    ],
)
async def test_a_key_tells_what_it_may_do(
    house: House, profile: Mapping[str, Any], expected: tuple[bool | None, ...]
) -> None:
    house.server.set_profile("mixed", **profile)
    facts = await house.open(MIXED).key_facts()
    assert isinstance(facts, KeyFacts), facts
    assert (facts.may_trade, facts.may_withdraw, facts.ip_restricted) == expected
    assert facts.clock_ahead_s == pytest.approx(0, abs=5)
    assert house.server.counts[CHECK] == 1


async def test_a_key_that_is_not_known_is_refused_where_keys_are_asked_about(house: House) -> None:
    facts = await house.open(MIXED, credentials={"apiKey": "stranger", "secret": "c2VjcmV0"}).key_facts()
    assert isinstance(facts, PollFailure)
    assert facts.kind is FailureKind.AUTH


async def test_a_secret_that_is_not_base64_is_a_bad_key(house: House) -> None:
    failure = failed(await house.open(MIXED, credentials={"apiKey": "mixed-key", "secret": "abcde"}).observe())
    assert failure.kind is FailureKind.AUTH


RIGHTS: Mapping[str, Any] = {"permissions": {"general": "READ_ONLY", "transfer": "NO_ACCESS"}}


@pytest.mark.parametrize(
    "reply",
    [
        {},
        RIGHTS,
        {"allowedCidrBlocks": None},
        {"permissions": {"general": "READ_ONLY"}, "allowedCidrBlocks": None},
        {**RIGHTS, "allowedCidrBlocks": 5},
        {**RIGHTS, "allowedCidrBlocks": [{}]},
    ],
    ids=["nothing", "no ranges", "no rights", "a right less", "a number", "an object"],
)
def test_a_key_that_is_told_by_halves_is_malformed(reply: Mapping[str, Any]) -> None:
    with pytest.raises(ReadError) as failure:
        key_facts(reply, ahead_s=0.0)
    assert failure.value.kind is FailureKind.MALFORMED


def test_a_key_of_one_range_of_addresses_is_restricted() -> None:
    told = {**RIGHTS, "allowedCidrBlock": "192.168.0.0/16", "allowedCidrBlocks": None}
    assert key_facts(told, ahead_s=0.0).ip_restricted
