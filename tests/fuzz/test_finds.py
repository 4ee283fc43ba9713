"""What the fuzzing found in whole reads: each is read, or fails, as it should."""

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import pytest

from monitor.domain.account import AccountSnapshot, FailureKind, Observation, PollFailure
from monitor.exchange import client
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


def test_a_hyperliquid_account_is_read_with_the_marks_of_its_market_list(reader: Reader) -> None:
    observation, figures = read(reader, "Hyperliquid, isolated")
    assert isinstance(observation, AccountSnapshot), observation
    assert figures["HYPE/USDC:USDC short contracts"] == 4
    assert figures["HYPE/USDC:USDC short mark_price"] == 48.145
    assert figures["HYPE/USDC:USDC short liquidation_price"] == 50.2724802381
