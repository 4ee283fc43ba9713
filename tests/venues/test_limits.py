"""Whom a venue's refusal for too many calls stops: the account whose calls it counts, or all on the address."""

from datetime import timedelta
from typing import Any

import pytest

from monitor.domain.account import AccountSnapshot, FailureKind, PollFailure
from monitor.exchange import market_data
from monitor.exchange.failures import ReadError, Reply
from monitor.exchange.registry import venue_of
from monitor.paper.faults import Fault, FaultKind
from tests.builders import NOON
from tests.reading import ShiftedClock, failed, good
from tests.venues.cases import CASES
from tests.venues.kit import VenueCase, a_house, book_of

S_IN_4 = str(round(NOON.timestamp()) + 4)
MS_IN_4_S = f"{S_IN_4}000"
BY_ACCOUNT = ("bybit", "okx", "gate", "kucoinfutures")
FIRST_OF_EACH = [next(case for case in CASES if case.venue == venue) for venue in dict.fromkeys(c.venue for c in CASES)]
# Without a key there is no account whose calls could be counted.
WITH_KEYS = [case for case in FIRST_OF_EACH if case.venue != "hyperliquid"]


@pytest.fixture(autouse=True)
def _patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(market_data, "GRACE_S", 30.0)


@pytest.mark.parametrize("case", WITH_KEYS, ids=str)
async def test_a_refusal_for_an_accounts_own_calls_stops_nobody_else(case: VenueCase) -> None:
    clock = ShiftedClock()
    async with a_house(case, clock, book_of(case, clock.now())) as house:
        account = case.accounts[0]
        key = house.engine.account(account.account).api_key
        busy = house.open(account)
        neighbour = house.open(account, name="flat", credentials=case.credentials(house.engine.account("flat")))
        for source in (busy, neighbour):
            good(await source.observe())
        house.server.misbehave(Fault(kind=FaultKind.RATE_LIMITED, path=case.reads[0], api_key=key))
        failure = failed(await busy.observe())
        assert failure.kind is FailureKind.RATE_LIMIT
        assert failure.retry_at is not None
        assert timedelta(0) < failure.retry_at - clock.now() <= timedelta(seconds=60)
        asked = house.server.counts.total()
        assert failed(await busy.observe()).kind is FailureKind.RATE_LIMIT
        assert house.server.counts.total() == asked
        assert isinstance(await neighbour.observe(), AccountSnapshot) is (case.venue in BY_ACCOUNT)


@pytest.mark.parametrize("case", [case for case in WITH_KEYS if case.venue in BY_ACCOUNT], ids=str)
async def test_a_refusal_of_a_call_without_a_key_stops_all_on_the_address(case: VenueCase) -> None:
    clock = ShiftedClock()
    async with a_house(case, clock, book_of(case, clock.now())) as house:
        source = house.open(case.accounts[0])
        good(await source.observe())
        clock.ahead += timedelta(seconds=30)
        house.server.misbehave(Fault(kind=FaultKind.RATE_LIMITED, api_key=""))
        await source.observe()
        asked = house.server.counts.total()
        failure = failed(await source.observe())
        assert failure.kind is FailureKind.RATE_LIMIT
        assert house.server.counts.total() == asked


async def test_a_refusal_of_bookings_that_are_counted_by_themselves_stops_no_read_of_an_account() -> None:
    clock, case = ShiftedClock(), next(case for case in CASES if case.venue == "krakenfutures")
    async with a_house(case, clock, book_of(case, clock.now())) as house:
        source = house.open(case.accounts[0])
        good(await source.observe())
        house.server.misbehave(Fault(kind=FaultKind.RATE_LIMITED, path="/api/history/v3/account-log"))
        refused = await source.bookings()
        assert isinstance(refused, PollFailure)
        assert refused.kind is FailureKind.RATE_LIMIT
        good(await source.observe())


@pytest.mark.parametrize("body", ["403, access too frequent", '{"retMsg": "Access too frequent."}'])
async def test_an_address_that_asked_bybit_too_much_is_not_taken_for_one_in_a_closed_country(body: str) -> None:
    clock, case = ShiftedClock(), next(case for case in CASES if case.venue == "bybit")
    async with a_house(case, clock, book_of(case, clock.now())) as house:
        source, neighbour = (house.open(account) for account in case.accounts[:2])
        good(await source.observe())
        with pytest.raises(ReadError) as refused:
            source._client.handle_errors(403, "Forbidden", "https://api.bybit.com/v5", "GET", {}, body, None, {}, None)
        assert refused.value.kind is FailureKind.BANNED
        asked = house.server.counts.total()
        failure = failed(await neighbour.observe())
        assert failure.kind is FailureKind.BANNED
        assert failure.retry_at is not None
        assert failure.retry_at - clock.now() > timedelta(minutes=9)
        assert house.server.counts.total() == asked


def test_what_counts_by_account_is_declared_by_venues_that_say_so() -> None:
    silent = venue_of("mexc").rules.own_limit
    assert {case.venue for case in FIRST_OF_EACH if venue_of(case.venue).rules.own_limit is not silent} == {*BY_ACCOUNT}


@pytest.mark.parametrize(
    ("venue", "reply", "seconds"),
    [
        ("bybit", {"code": "10006", "headers": {"x-bapi-limit-reset-timestamp": MS_IN_4_S}}, 4),
        ("bybit", {"code": "10006", "headers": {}}, 60),
        ("bybit", {"code": "10018", "headers": {"x-bapi-limit-reset-timestamp": MS_IN_4_S}}, None),
        ("kucoinfutures", {"status": 429, "code": "429000", "headers": {"gw-ratelimit-reset": "4000"}}, 4),
        ("kucoinfutures", {"status": 429, "code": "200002", "headers": {}}, 60),
        ("kucoinfutures", {"status": 429, "code": "1015", "headers": {"gw-ratelimit-reset": "4000"}}, None),
        ("okx", {"status": 429, "code": "50011", "headers": {}}, 2),
        ("okx", {"status": 429, "code": "50040", "headers": {}}, None),
        (
            "gate",
            {"status": 429, "code": "TOO_MANY_REQUESTS", "headers": {"x-gate-ratelimit-reset-timestamp": S_IN_4}},
            4,
        ),
        ("gate", {"status": 418, "code": "TOO_MANY_REQUESTS", "headers": {}}, None),
    ],
)
def test_an_account_asks_again_when_its_venue_says(venue: str, reply: dict[str, Any], seconds: float | None) -> None:
    given: dict[str, Any] = {"status": 200, "message": "too many", "received_at": NOON}
    told = Reply(**given | reply)
    again_at = venue_of(venue).rules.own_limit(told)
    assert (None if again_at is None else (again_at - NOON).total_seconds()) == seconds
