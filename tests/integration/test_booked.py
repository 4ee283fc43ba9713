"""funding_exposure and loss by what the venue booked, against the exchange's own truth, read by the real client."""

# ruff: noqa: F401, F811 - fixtures are imported, and named again as parameters

from dataclasses import replace
from datetime import timedelta

import pytest

from monitor.domain.account import AccountSnapshot, Side
from monitor.domain.reading import Need, Reading, Severity, Verdict
from monitor.domain.track import Track
from monitor.exchange.ledger import EVERY_S
from monitor.exchange.source import AccountSource
from monitor.paper.book import EventKind
from monitor.paper.engine import Engine
from monitor.paper.faults import Fault, FaultKind
from monitor.risk.track import track_after
from monitor.rules.base import Context
from monitor.rules.book import evaluate_rules
from tests.builders import a_rule
from tests.reading import Open, ShiftedClock, clock, engine, exchanges, good, open_account, server
from tests.venues import binance, bybit, okx
from tests.venues.kit import AccountCase, House, VenueCase, a_house, book_of

LONG = "BTC/USDT:USDT long"
VENUES: tuple[tuple[VenueCase, AccountCase, str], ...] = (
    (binance.USDM, binance.USDM.accounts[0], "USDT"),
    (bybit.CASES[0], bybit.CASES[0].accounts[0], "USD"),
    (okx.OKX_CASE, okx.OKX_CASE.accounts[0], "USDT"),
)


class Watched:
    """One account, read and remembered as the monitor does."""

    def __init__(self, house: House, account: AccountCase, clock: ShiftedClock) -> None:
        self.engine = house.engine
        self.clock = clock
        self.source: AccountSource = house.open(account, needs=frozenset({Need.LEDGER}))
        self.track: Track | None = None

    async def read(self, after_s: float = 10.0) -> AccountSnapshot:
        self.clock.ahead += timedelta(seconds=after_s)
        self.engine.advance(self.clock.now())
        snapshot = good(await self.source.observe())
        self.track = track_after(self.track, snapshot, self.source.markets())
        return snapshot

    def judge(self, kind: str, snapshot: AccountSnapshot, subject: str, **keys: str) -> Reading:
        context = Context(snapshot=snapshot, markets=self.source.markets(), now=self.clock.now(), track=self.track)
        readings = evaluate_rules({kind: a_rule(kind, **keys)}, context)
        return next(reading for reading in readings if reading.key.subject == subject)


@pytest.mark.parametrize(("case", "account", "currency"), VENUES, ids=lambda value: str(getattr(value, "venue", "")))
async def test_funding_paid_is_what_the_exchange_charged_and_what_was_received_alerts_nobody(
    case: VenueCase, account: AccountCase, currency: str, clock: ShiftedClock
) -> None:
    async with a_house(case, clock, book_of(case, clock.now())) as house:
        watched = Watched(house, account, clock)
        await watched.read()
        # A long that pays 1 % a day, and then a day in which it is paid.
        for rate in (0.01, -0.002):
            house.engine.set_funding("BTCUSDT", rate)
            snapshot = await watched.read(86_400.0)
            # Bookings of the moment come with the next read of them.
            reading = watched.judge("funding_exposure", snapshot, currency, warning="0.3%", critical="1%")
            due = -sum(
                event.amount
                for event in house.engine.events
                if event.account == account.account and event.kind is EventKind.FUNDING and event.asset == "USDT"
            )
            assert reading.inputs["paid"] == pytest.approx(due, rel=1e-6)
            assert (reading.severity is None) is (rate < 0)


@pytest.mark.parametrize(("case", "account", "currency"), VENUES, ids=lambda value: str(getattr(value, "venue", "")))
async def test_a_loss_counts_what_was_booked_of_it(
    case: VenueCase, account: AccountCase, currency: str, clock: ShiftedClock
) -> None:
    """Half of a losing long is closed: as much is lost as before, and a profit taken then makes it no smaller."""
    async with a_house(case, clock, book_of(case, clock.now())) as house:
        watched, engine = Watched(house, account, clock), house.engine
        await watched.read()
        engine.set_mark("BTCUSDT", 114_000.0)
        before = watched.judge("loss", await watched.read(EVERY_S), LONG, warning="20%", critical="40%")
        held = engine.position(account.account, "BTCUSDT", Side.LONG)
        engine.close(account.account, "BTCUSDT", Side.LONG, held.contracts / 2)
        after = watched.judge("loss", await watched.read(), LONG, warning="20%", critical="40%")
        assert after.severity is before.severity is Severity.CRITICAL
        assert after.inputs["loss"] == pytest.approx(before.inputs["loss"], rel=1e-3)
        assert isinstance(lost := before.inputs["loss"], float)
        assert after.inputs["realised"] == pytest.approx(-lost / 2, rel=1e-3)
        assert after.value == pytest.approx(before.value, rel=0.03)
        engine.close(account.account, "BTCUSDT", Side.LONG, held.contracts / 4, 130_000.0)
        gained = watched.judge("loss", await watched.read(), LONG, warning="20%", critical="40%")
        assert gained.value == pytest.approx(before.value, rel=0.03)
        engine.set_mark("BTCUSDT", 118_000.0)
        risen = watched.judge("loss", await watched.read(), LONG, warning="20%", critical="40%")
        assert (risen.verdict, risen.value) == (Verdict.CLEAR, 0.0)


async def test_bookings_that_cannot_be_read_cost_no_read_and_no_verdict(clock: ShiftedClock) -> None:
    case, account, _ = VENUES[0]
    async with a_house(case, clock, book_of(case, clock.now())) as house:
        house.server.misbehave(Fault(kind=FaultKind.SERVER_ERROR, status=503, path="/fapi/v1/income"))
        watched = Watched(house, account, clock)
        snapshot = await watched.read()
        assert snapshot.ledger is None
        assert "bookings could not be read" in str(snapshot.ledger_failure)
        reading = watched.judge("funding_exposure", snapshot, "USDT", warning="0.3%", critical="1%")
        assert reading.value is not None
        house.server.clear_faults()
        healed = await watched.read(EVERY_S)
        assert healed.ledger is not None
        assert healed.ledger_failure is None
