"""How many accounts an address reads: ARCHITECTURE.md's table is what is measured, and what is measured is true."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.budgets import (
    POLL_S,
    Calls,
    Costs,
    Measured,
    Still,
    limits_of,
    measured,
    measured_all,
    recording,
    table,
    weight,
)
from monitor.domain.study import Frame
from monitor.exchange.budget import Budget
from monitor.exchange.failures import ReadError
from monitor.exchange.registry import venue_of
from tests.reading import good
from tests.venues import binance, bingx, deribit, hyperliquid, krakenfutures, kucoinfutures, mexc
from tests.venues.kit import VenueCase, a_house, book_of

ARCHITECTURE = Path(__file__).parents[2] / "ARCHITECTURE.md"


@pytest.fixture
def _recording() -> Iterator[None]:
    with recording():
        yield


async def test_the_table_of_budgets_is_what_is_measured() -> None:
    block = ARCHITECTURE.read_text().partition("<!-- budgets -->\n")[2].partition("\n<!-- /budgets -->")[0]
    assert block.splitlines() == table(await measured_all()), "make budgets tells the table as it is"


@pytest.mark.usefixtures("_recording")
@pytest.mark.parametrize("case", [binance.USDM, hyperliquid.HYPERLIQUID_CASE], ids=str)
async def test_an_hour_of_one_account_costs_what_its_parts_say(case: VenueCase) -> None:
    """Whatever is asked for at intervals that the parts do not know of would be missing there."""
    costs = (await measured(case, case.accounts[0])).costs
    clock = Still()
    async with a_house(case, clock, book_of(case, clock.now())) as house:
        source = house.open(case.accounts[0], poll_interval_s=60.0)
        budget = source._client.shared.budget
        good(await source.observe())
        begun = len(budget.asked)
        for _ in range(60):
            clock.ahead_s += 60
            good(await source.observe())
        spent = weight(Counter(budget.asked[begun:]))
    limit = limits_of(case.venue)[0]
    without_key = Costs(**{name: getattr(costs, name) for name in Costs.__slots__} | {"key": Counter()})
    each = limit.each(without_key, 60, at_once=False) + limit.shared(without_key, 60, 1, at_once=False)
    assert spent == pytest.approx(60 * each)


@pytest.mark.usefixtures("_recording")
async def test_paces_are_of_paths_that_are_asked_for() -> None:
    asked: set[str] = set()
    for account, book in ((mexc.MIXED, book_of), (mexc.MEXC_CASE.accounts[1], book_of)):
        costs = (await measured(mexc.MEXC_CASE, account, book)).costs
        asked |= {path for calls in (costs.start, costs.poll, costs.marks) for path, _ in calls}
    asked |= {path for calls in await _costs_of_prices(mexc.MEXC_CASE) for path, _ in calls}
    assert venue_of("mexc").rules.paces.keys() <= asked


@pytest.mark.usefixtures("_recording")
@pytest.mark.parametrize(
    ("case", "candles", "book"),
    [
        (kucoinfutures.CLASSIC, 1, 1),
        (hyperliquid.HYPERLIQUID_CASE, 24, 6),
        (krakenfutures.KRAKEN_CASE, 1, 1),
        (deribit.DERIBIT_CASE, 1, 1),
        (mexc.MEXC_CASE, 1, 1),
        (bingx.BINGX_CASE, 1, 1),
    ],
    ids=str,
)
async def test_candles_and_a_book_cost_what_the_venue_counts(case: VenueCase, candles: int, book: int) -> None:
    assert [weight(calls) for calls in await _costs_of_prices(case)] == [candles, book]


async def _costs_of_prices(case: VenueCase) -> list[Calls]:
    """Of the candles, and of the order book, of one contract."""
    clock = Still()
    async with a_house(case, clock, book_of(case, clock.now())) as house:
        source = house.open(case.accounts[0])
        client, budget = source._client, source._client.shared.budget
        raw, about = next(iter((await source._market.instruments()).items()))
        before = len(budget.asked)
        await source._venue.read_candles(client, raw, about, Frame.HOUR, 100)
        after_candles = len(budget.asked)
        await source._venue.read_book(client, raw, about)
        return [Counter(budget.asked[before:after_candles]), Counter(budget.asked[after_candles:])]


@pytest.mark.usefixtures("_recording")
@pytest.mark.parametrize("case", [binance.USDM, hyperliquid.HYPERLIQUID_CASE], ids=str)
async def test_so_many_at_once_never_put_a_read_off_and_one_more_does(case: VenueCase) -> None:
    told = await measured(case, case.accounts[0])
    number = limits_of(case.venue)[0].accounts(told.costs, POLL_S, at_once=True)
    await _start(told, number)
    with pytest.raises(ReadError, match="budget of this address is spent"):
        await _start(told, number + 1)


async def _start(told: Measured, accounts: int) -> None:
    """A quarter of an hour of so many accounts through a real budget, which nobody waits for. Raises ReadError."""
    clock, costs = Still(), told.costs
    budget = Budget(weight_per_minute=venue_of(told.venue).weight_per_minute, calls_per_second=10**9, clock=clock)
    due = [(0.0, costs.start)]
    for number in range(accounts):
        first_s = POLL_S * number / accounts
        due += [(first_s + POLL_S * poll, costs.poll) for poll in range(90)]
        due += [(first_s, costs.settings), (first_s + 600, costs.settings), (first_s + 5, costs.key)]
    due += [(POLL_S / 2 * reading, costs.marks) for reading in range(180)]
    for at_s, calls in sorted(due, key=lambda one: one[0]):
        clock.ahead_s = at_s
        for (path, each), count in calls.items():
            for _ in range(count):
                await budget.spend(each, 0.0, path)
