"""Every venue by the same tests: what is read over HTTP by the real ccxt class is the engine's truth, or a failure."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from monitor.domain.account import FailureKind
from monitor.exchange import market_data
from monitor.exchange.registry import venue_of
from monitor.exchange.venues.figures import Exactness, Figure, VerifiedBy
from monitor.paper.faults import Fault, FaultKind
from tests.reading import ShiftedClock, failed, good
from tests.venues.cases import CASES
from tests.venues.kit import (
    MISBEHAVIOURS,
    AccountCase,
    VenueCase,
    a_house,
    book_of,
    compared,
    compared_market,
    crowd_of,
)

EVERY_ACCOUNT = [(case, account) for case in CASES for account in case.accounts]
EVERY_CALL = [(case, name) for case in CASES for name in case.reads]


def _names(pairs: Sequence[tuple[VenueCase, AccountCase]]) -> list[str]:
    return [f"{case.venue}-{account.name}" for case, account in pairs]


@pytest.fixture(autouse=True)
def _patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy machine makes public data late, which is not what is tested here."""
    monkeypatch.setattr(market_data, "GRACE_S", 30.0)


@pytest.mark.parametrize(("case", "account"), EVERY_ACCOUNT, ids=_names(EVERY_ACCOUNT))
async def test_every_figure_is_what_the_venue_holds_true_or_marked_or_unknown(
    case: VenueCase, account: AccountCase
) -> None:
    clock = ShiftedClock()
    engine = book_of(case, clock.now())
    async with a_house(case, clock, engine) as house:
        source = house.open(account)
        # The first read already knows marks and terms of what is held, told one by one or not.
        snapshot = good(await source.observe())
        compared(case, account, engine, snapshot)
        markets = source.markets()
        for position in snapshot.positions:
            compared_market(case, account, engine, position, markets[position.instrument.symbol])


@pytest.mark.parametrize("case", [case for case in CASES if case.crowd], ids=str)
async def test_positions_on_further_pages_are_read(case: VenueCase) -> None:
    assert case.crowd is not None
    clock = ShiftedClock()
    engine = crowd_of(case, clock.now())
    async with a_house(case, clock, engine) as house:
        compared(case, case.crowd, engine, good(await house.open(case.crowd).observe()))


@pytest.mark.parametrize(("case", "name"), EVERY_CALL, ids=[f"{case}-{name}" for case, name in EVERY_CALL])
async def test_no_misbehaviour_is_a_flat_account(case: VenueCase, name: str) -> None:
    clock = ShiftedClock()
    engine = book_of(case, clock.now())
    account = case.accounts[0]
    async with a_house(case, clock, engine) as house:
        for fault, usual in MISBEHAVIOURS:
            kind = case.kind_of(name, fault, usual)
            source = house.open(account, read_deadline_s=0.7 if fault.kind is FaultKind.HANG else 5.0)
            good(await source.observe())
            house.server.misbehave(replace(fault, path=name))
            failure = failed(await source.observe())
            assert failure.kind is kind, (fault.kind, failure)
            house.server.clear_faults()
            await house.exchanges.close_account(source)
            # What stopped the address is not forgotten with its accounts.
            house.exchanges._budgets.clear()


@pytest.mark.parametrize(("case", "name"), EVERY_CALL, ids=[f"{case}-{name}" for case, name in EVERY_CALL])
async def test_positions_that_vanish_from_one_reply_are_not_believed_at_once(case: VenueCase, name: str) -> None:
    clock = ShiftedClock()
    engine = book_of(case, clock.now())
    async with a_house(case, clock, engine) as house:
        source = house.open(case.accounts[0])
        before = good(await source.observe())
        house.server.misbehave(Fault(kind=FaultKind.NO_POSITIONS, path=name, times=1))
        after = await source.observe()
        if after.__class__ is before.__class__:
            assert len(good(after).positions) == len(before.positions)
        else:
            assert failed(after).kind in (FailureKind.IMPLAUSIBLE, FailureKind.MALFORMED)


@pytest.mark.parametrize("case", CASES, ids=str)
async def test_a_flat_account_is_flat_with_its_money_known(case: VenueCase) -> None:
    clock = ShiftedClock()
    engine = book_of(case, clock.now())
    account = replace(case.accounts[0], account="flat", name="flat")
    async with a_house(case, clock, engine) as house:
        snapshot = good(await house.open(account).observe())
        assert snapshot.positions == ()
        compared(case, account, engine, snapshot)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_each_figure_says_where_it_comes_from(case: VenueCase) -> None:
    figures = venue_of(case.venue).figures
    assert figures.keys() == set(Figure)
    for figure, told in figures.items():
        assert told.source, figure
        assert (told.verified_by is VerifiedBy.NOTHING) <= (told.exactness is not Exactness.EXACT), figure
