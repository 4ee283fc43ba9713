"""Fixtures for reading the paper exchange over HTTP as the monitor does: a venue, its clock, accounts opened on it."""

from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from monitor.clock import SystemClock
from monitor.domain.account import AccountSnapshot, Observation, PollFailure
from monitor.exchange.budget import Budget
from monitor.exchange.registry import AccountAccess, Exchanges
from monitor.exchange.source import AccountSource
from monitor.paper.engine import Engine
from monitor.paper.server import PaperServer
from tests.paper import a_venue

# The venue rounds its figures to eight decimals.
ROUNDED = 1e-8


class ShiftedClock(SystemClock):
    """Real time, moved by hand."""

    def __init__(self) -> None:
        super().__init__()
        self.ahead = timedelta(0)

    def now(self) -> datetime:
        return super().now() + self.ahead

    def monotonic(self) -> float:
        return super().monotonic() + self.ahead.total_seconds()


@pytest.fixture
def clock() -> ShiftedClock:
    return ShiftedClock()


@pytest.fixture
def engine(clock: ShiftedClock) -> Engine:
    return a_venue(clock.now())


@pytest.fixture
async def server(engine: Engine, clock: ShiftedClock) -> AsyncIterator[PaperServer]:
    async with PaperServer(engine, clock) as running:
        yield running


@pytest.fixture
async def exchanges(clock: ShiftedClock) -> AsyncIterator[Exchanges]:
    opened = Exchanges(clock)
    yield opened
    await opened.close()


Open = Callable[..., AccountSource]


@pytest.fixture
def open_account(server: PaperServer, exchanges: Exchanges) -> Open:
    def opened(account: str = "hedger", venue: str = "binanceusdm", **changes: Any) -> AccountSource:
        access = AccountAccess(
            name=account,
            venue=venue,
            credentials={"apiKey": f"{account}-key", "secret": f"{account}-secret"},
            base_url=server.base_url,
            read_deadline_s=3.0,
        )
        return exchanges.open_account(replace(access, **changes))

    return opened


def good(observation: Observation) -> AccountSnapshot:
    assert isinstance(observation, AccountSnapshot), observation
    return observation


def failed(observation: Observation) -> PollFailure:
    assert isinstance(observation, PollFailure), observation
    return observation


def spend_at_will(budget: Budget) -> None:
    """Nobody waits for his turn, or is refused for the many before him."""

    async def spend(*_: object) -> None:
        budget._raise_if_stopped()

    budget.spend = spend  # type: ignore[assignment,method-assign]
