"""What the fuzzing found in whole reads: each is read, or fails, as it should."""

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import pytest

from monitor.domain.account import AccountSnapshot, FailureKind, Observation, PollFailure
from tests.builders import needs_shared
from tests.fuzz.venues import Figures, Reader, figures_of
from tests.fuzz.worlds import World, texts_of, worlds

pytestmark = needs_shared

POSITIONS = "/v5/position/list"


@pytest.fixture
def reader() -> Iterator[Reader]:
    with asyncio.Runner() as runner:
        yield Reader(runner)


def world(name: str) -> World:
    return next(world for world in worlds() if world.name == name)


def read(reader: Reader, name: str, **texts: str) -> tuple[Observation, Figures]:
    """The read with those texts in the place of the world's own."""
    known = world(name)
    observation, markets = reader.read(known.venue, {**texts_of(known.replies), **texts})
    return observation, figures_of(observation, markets)


def bybit_position(**changes: Any) -> str:
    reply = json.loads(texts_of(world("Bybit").replies)[POSITIONS])
    reply["result"]["list"][0] |= changes
    return json.dumps(reply)


def test_a_hyperliquid_account_is_read_by_its_address_alone(reader: Reader) -> None:
    observation, figures = read(reader, "Hyperliquid, isolated")
    assert isinstance(observation, AccountSnapshot), observation
    assert figures["HYPE/USDC:USDC short contracts"] == 4
    assert figures["HYPE/USDC:USDC short mark_price"] == 48.145
    assert figures["HYPE/USDC:USDC short liquidation_price"] == 50.2724802381


def test_a_mark_that_is_junk_is_not_replaced_by_one_worked_out_of_the_entry(reader: Reader) -> None:
    observation, _ = read(reader, "Bybit", **{POSITIONS: bybit_position(markPrice=" ")})
    assert isinstance(observation, PollFailure), observation
    assert (observation.kind, "no mark price" in observation.detail) == (FailureKind.UNSUPPORTED, True)


@pytest.mark.parametrize("entry", ["１２", " 7 ", "7\n", "1_0", "nan"])
def test_what_only_a_lenient_parser_takes_for_a_number_is_none(reader: Reader, entry: str) -> None:
    _, figures = read(reader, "Bybit", **{POSITIONS: bybit_position(avgPrice=entry)})
    assert figures["LTC/USDT:USDT long contracts"] == 1.2
    assert figures["LTC/USDT:USDT long entry_price"] is None


def test_a_row_as_deep_as_the_parser_goes_is_read(reader: Reader) -> None:
    deep = bybit_position(more="DEEP").replace('"DEEP"', "[" * 985 + "]" * 985)
    observation, _ = read(reader, "Bybit", **{POSITIONS: deep})
    assert isinstance(observation, AccountSnapshot), observation


@pytest.mark.parametrize("hours", [1e12, "1e300", -8, 0])
def test_an_interval_that_no_venue_has_leaves_the_account_readable(reader: Reader, hours: Any) -> None:
    info = json.dumps([{"symbol": "BTCUSDT", "fundingIntervalHours": hours}])
    observation, figures = read(reader, "USDS-M, hedged", **{"/fapi/v1/fundingInfo": info})
    assert isinstance(observation, AccountSnapshot), observation
    assert figures["market BTC/USDT:USDT interval"] is None


@pytest.mark.parametrize("change", [{}, {"maintMarginRatio": -0.5}, {"cum": -10_000}])
def test_brackets_that_cannot_be_are_unknown(reader: Reader, change: dict[str, Any]) -> None:
    path = "/fapi/v1/leverageBracket"
    reply = json.loads(texts_of(world("USDS-M, hedged").replies)[path])
    for row in reply:
        row["brackets"].append({**row["brackets"][0], **change})
    observation, figures = read(reader, "USDS-M, hedged", **{path: json.dumps(reply)})
    assert isinstance(observation, AccountSnapshot), observation
    assert "market BTC/USDT:USDT tier 0 rate" not in figures


@pytest.mark.parametrize("place", ["avgPrice", "createdTime"])
def test_a_number_that_would_be_written_out_for_minutes_is_refused_at_once(reader: Reader, place: str) -> None:
    observation, _ = read(reader, "Bybit", **{POSITIONS: bybit_position(**{place: "1e999999999"})})
    assert isinstance(observation, PollFailure), observation
    assert (observation.kind, "is no number that a venue has" in observation.detail) == (FailureKind.MALFORMED, True)


@pytest.mark.parametrize("decimals", [10**9, -(10**9), "1000000000", "many"])
def test_a_precision_that_no_contract_has_is_left_out(reader: Reader, decimals: Any) -> None:
    path = "/fapi/v1/exchangeInfo"
    reply = json.loads(texts_of(world("USDS-M, hedged").replies)[path])
    for contract in reply["symbols"]:
        contract["pricePrecision"] = decimals
    observation, figures = read(reader, "USDS-M, hedged", **{path: json.dumps(reply)})
    assert isinstance(observation, AccountSnapshot), observation
    assert figures == read(reader, "USDS-M, hedged")[1]


def test_a_margin_below_zero_is_a_malformed_reply(reader: Reader) -> None:
    observation, _ = read(reader, "Bybit", **{POSITIONS: bybit_position(positionMM="-1")})
    assert isinstance(observation, PollFailure), observation
    assert (observation.kind, "maintenanceMargin is -1" in observation.detail) == (FailureKind.MALFORMED, True)
