"""What the fuzzing found in whole reads: each is read, or fails, as it should."""

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import pytest

from monitor.domain.account import AccountSnapshot, FailureKind, Observation, PollFailure
from tests.builders import needs_shared
from tests.fuzz.venues import Figures, Reader, figures_of
from tests.fuzz.worlds import World, worlds

POSITIONS = "/v5/position/list"
BYBIT, USDM = "Bybit, generic", "binanceusdm, hedged"


@pytest.fixture
def reader() -> Iterator[Reader]:
    with asyncio.Runner() as runner:
        yield Reader(runner)


def world(name: str) -> World:
    return next(world for world in worlds() if world.name == name)


def read(reader: Reader, name: str, **texts: str) -> tuple[Observation, Figures]:
    """The read with those texts in the place of the world's own."""
    heard = reader.read(world(name), texts)
    return heard.observation, figures_of(heard)


def reply_of(reader: Reader, name: str, question: str) -> Any:
    """The world's own answer to what begins so."""
    return next(
        json.loads(text) for asked, text in reader.known(world(name)).texts.items() if asked.startswith(question)
    )


def bybit_position(reader: Reader, **changes: Any) -> str:
    reply = reply_of(reader, BYBIT, POSITIONS)
    reply["result"]["list"][0] |= changes
    return json.dumps(reply)


@needs_shared
def test_a_hyperliquid_account_is_read_by_its_address_alone(reader: Reader) -> None:
    observation, figures = read(reader, "Hyperliquid, isolated")
    assert isinstance(observation, AccountSnapshot), observation
    assert figures["HYPE/USDC:USDC short contracts"] == 4
    assert figures["HYPE/USDC:USDC short mark_price"] == 48.145
    assert figures["HYPE/USDC:USDC short liquidation_price"] == 50.2724802381


@needs_shared
def test_a_mark_that_is_junk_is_not_replaced_by_one_worked_out_of_the_entry(reader: Reader) -> None:
    observation, _ = read(reader, BYBIT, **{POSITIONS: bybit_position(reader, markPrice=" ")})
    assert isinstance(observation, PollFailure), observation
    assert (observation.kind, "no mark price" in observation.detail) == (FailureKind.UNSUPPORTED, True)


@needs_shared
@pytest.mark.parametrize("entry", ["１２", " 7 ", "7\n", "1_0", "nan"])
def test_what_only_a_lenient_parser_takes_for_a_number_is_none(reader: Reader, entry: str) -> None:
    _, figures = read(reader, BYBIT, **{POSITIONS: bybit_position(reader, avgPrice=entry)})
    assert figures["LTC/USDT:USDT long contracts"] == 1.2
    assert figures["LTC/USDT:USDT long entry_price"] is None


@needs_shared
def test_a_row_as_deep_as_the_parser_goes_is_read(reader: Reader) -> None:
    deep = bybit_position(reader, more="DEEP").replace('"DEEP"', "[" * 985 + "]" * 985)
    observation, _ = read(reader, BYBIT, **{POSITIONS: deep})
    assert isinstance(observation, AccountSnapshot), observation


@pytest.mark.parametrize("hours", [1e12, "1e300", -8, 0])
def test_an_interval_that_no_venue_has_leaves_the_account_readable(reader: Reader, hours: Any) -> None:
    info = json.dumps([{"symbol": "BTCUSDT", "fundingIntervalHours": hours}])
    observation, figures = read(reader, USDM, **{"/fapi/v1/fundingInfo": info})
    assert isinstance(observation, AccountSnapshot), observation
    assert figures["market BTC/USDT:USDT interval"] is None


@pytest.mark.parametrize("change", [{}, {"maintMarginRatio": -0.5}, {"cum": -10_000}])
def test_brackets_that_cannot_be_are_unknown(reader: Reader, change: dict[str, Any]) -> None:
    path = "/fapi/v1/leverageBracket"
    reply = reply_of(reader, USDM, path)
    for row in reply:
        row["brackets"].append({**row["brackets"][0], **change})
    observation, figures = read(reader, USDM, **{path: json.dumps(reply)})
    assert isinstance(observation, AccountSnapshot), observation
    assert "market BTC/USDT:USDT tier 0 rate" not in figures


@needs_shared
@pytest.mark.parametrize("place", ["avgPrice", "createdTime"])
def test_a_number_that_would_be_written_out_for_minutes_is_refused_at_once(reader: Reader, place: str) -> None:
    observation, _ = read(reader, BYBIT, **{POSITIONS: bybit_position(reader, **{place: "1e999999999"})})
    assert isinstance(observation, PollFailure), observation
    assert (observation.kind, "is no number that a venue has" in observation.detail) == (FailureKind.MALFORMED, True)


@pytest.mark.parametrize("decimals", [10**9, -(10**9), "1000000000", "many"])
def test_a_precision_that_no_contract_has_is_left_out(reader: Reader, decimals: Any) -> None:
    path = "/fapi/v1/exchangeInfo"
    reply = reply_of(reader, USDM, path)
    for contract in reply["symbols"]:
        contract["pricePrecision"] = decimals
    observation, figures = read(reader, USDM, **{path: json.dumps(reply)})
    assert isinstance(observation, AccountSnapshot), observation
    assert figures == read(reader, USDM)[1]


@needs_shared
def test_a_margin_below_zero_is_a_malformed_reply(reader: Reader) -> None:
    observation, _ = read(reader, BYBIT, **{POSITIONS: bybit_position(reader, positionMM="-1")})
    assert isinstance(observation, PollFailure), observation
    assert (observation.kind, "maintenanceMargin is -1" in observation.detail) == (FailureKind.MALFORMED, True)
