"""exit_liquidity: what its walk through a book costs, what it does not know, and that its remedies are exact."""

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from monitor.domain.account import AccountSnapshot, MarginMode, Position, Side
from monitor.domain.market import Book, Markets, MarketState, NoBook, Observed, Resting, Tier
from monitor.domain.reading import Reading, Scope, Severity, Verdict
from monitor.risk.exit import exit_of
from monitor.risk.remedy import with_collateral, with_cut
from monitor.rules.base import Context
from monitor.rules.book import evaluate_rules
from tests.builders import NOON, a_position, a_rule, a_snapshot, an_instrument

INVERSE = "BTC/USD:BTC"
SYMBOLS = st.sampled_from(["BTC/USDT:USDT", INVERSE])
SIDES = st.sampled_from(Side)
TIERS = (Tier(0, 500, 0.004, 0), Tier(500, 5_000, 0.01, 3), Tier(5_000, 1e12, 0.02, 53))


def a_book(*steps: tuple[float, float], mark: float = 100.0) -> Book:
    """Steps of (share of the mark away from it, size in base units), the same on both sides."""
    return Book(
        bids=tuple(Resting(mark * (1 - away), size) for away, size in steps),
        asks=tuple(Resting(mark * (1 + away), size) for away, size in steps),
    )


BOOK = a_book((0.001, 5.0), (0.01, 5.0))


def markets_of(book: Book | None, symbol: str = "BTC/USDT:USDT", age_s: float = 0.0, **state: Any) -> Markets:
    observed = None if book is None else Observed(book, NOON - timedelta(seconds=age_s))
    return {symbol: MarketState(instrument=an_instrument(symbol), book=observed, **state)}


def judge(snapshot: AccountSnapshot, markets: Markets, **keys: Any) -> tuple[Reading, ...]:
    rule = a_rule("exit_liquidity", **{"warning": "10%", "critical": "25%", **keys})
    return evaluate_rules({"exit_liquidity": rule}, Context(snapshot=snapshot, markets=markets, now=NOON))


def read(position: Position, book: Book | None, equity: float | None = 100.0, age_s: float = 0.0) -> Reading:
    (reading,) = judge(a_snapshot(position, equity=equity), markets_of(book, position.instrument.symbol, age_s))
    return reading


# --- the walk ---


@pytest.mark.parametrize("side", Side)
@pytest.mark.parametrize(
    ("contracts", "cost"), [(2.0, 0.2), (5.0, 0.5), (7.0, 0.5 + 2.0), (10.0, 0.5 + 5.0), (14.0, 0.5 + 9.0)]
)
def test_each_side_is_closed_against_the_other_from_the_best_price_on(
    side: Side, contracts: float, cost: float
) -> None:
    found = exit_of(a_position(side=side, contracts=contracts), BOOK)
    assert found.at_least == pytest.approx(cost)
    assert found.depth == pytest.approx(10.0)


@pytest.mark.parametrize("side", Side)
def test_an_inverse_contract_costs_coin(side: Side) -> None:
    """1,000 dollars at 99 and 101: what they are worth in coin there, against the mark."""
    found = exit_of(a_position(symbol=INVERSE, side=side, contracts=10.0), a_book((0.01, 50.0)))
    price = 99.0 if side is Side.LONG else 101.0
    assert found.at_least == pytest.approx(abs(1_000 / price - 1_000 / 100))
    assert found.depth == pytest.approx(50.0 * price / 100)


def test_a_book_better_than_the_mark_costs_nothing() -> None:
    assert exit_of(a_position(contracts=5.0), a_book((-0.01, 50.0))).at_least == 0.0


@pytest.mark.parametrize(("contracts", "about"), [(10.0, 5.5), (20.0, 5.5 + 10 * (1.0 + 0.9 / 2)), (101.0, None)])
def test_behind_the_end_of_what_is_told_the_book_is_taken_to_go_on_as_densely(
    contracts: float, about: float | None
) -> None:
    """The last price is 1 away, the ten told reach over 0.9; of a tenth of the position nobody can tell."""
    found = exit_of(a_position(contracts=contracts), BOOK)
    assert found.about == (None if about is None else pytest.approx(about))


books = st.lists(st.tuples(st.floats(0.0001, 0.02), st.floats(0.1, 50.0)), min_size=1, max_size=12).map(
    lambda steps: [(sum(away for away, _ in steps[: index + 1]), size) for index, (_, size) in enumerate(steps)]
)


@given(symbol=SYMBOLS, side=SIDES, steps=books, contracts=st.floats(0.1, 400), more=st.floats(1.0, 5.0))
def test_a_larger_position_never_costs_less(
    symbol: str, side: Side, steps: list[tuple[float, float]], contracts: float, more: float
) -> None:
    book = a_book(*steps)
    small, large = (
        exit_of(a_position(symbol=symbol, side=side, contracts=c), book) for c in (contracts, contracts * more)
    )
    assert large.at_least >= small.at_least * (1 - 1e-9)
    if small.about is not None and large.about is not None:
        assert large.about >= small.about * (1 - 1e-9)
        assert small.about >= small.at_least


@given(
    symbol=SYMBOLS,
    side=SIDES,
    steps=books,
    contracts=st.floats(0.1, 400),
    more=st.lists(st.floats(1, 3), min_size=12, max_size=12),
)
def test_a_deeper_book_never_costs_more(
    symbol: str, side: Side, steps: list[tuple[float, float]], contracts: float, more: list[float]
) -> None:
    position = a_position(symbol=symbol, side=side, contracts=contracts)
    thin = exit_of(position, a_book(*steps))
    deep = exit_of(position, a_book(*((away, size * times) for (away, size), times in zip(steps, more, strict=False))))
    assert deep.at_least <= thin.at_least * (1 + 1e-9)


@given(symbol=SYMBOLS, side=SIDES, steps=books, told=st.integers(1, 12), contracts=st.floats(0.1, 400))
def test_what_it_costs_at_least_is_never_above_what_the_whole_book_would_cost(
    symbol: str, side: Side, steps: list[tuple[float, float]], told: int, contracts: float
) -> None:
    position = a_position(symbol=symbol, side=side, contracts=contracts)
    short, whole = exit_of(position, a_book(*steps[:told])), exit_of(position, a_book(*steps))
    assert short.at_least <= whole.at_least * (1 + 1e-9)


# --- verdicts ---


@pytest.mark.parametrize(
    ("equity", "verdict", "severity"),
    [
        (62.0, Verdict.CLEAR, None),
        (58.0, Verdict.HOLD, Severity.WARNING),
        (54.9, Verdict.BREACH, Severity.WARNING),
        (21.9, Verdict.BREACH, Severity.CRITICAL),
        (0.0, Verdict.BREACH, Severity.CRITICAL),
        (-5.0, Verdict.BREACH, Severity.CRITICAL),
    ],
)
def test_slippage_is_held_against_what_is_left_above_maintenance(
    equity: float, verdict: Verdict, severity: Severity | None
) -> None:
    reading = read(a_position(contracts=10.0), BOOK, equity=equity + 4.0)
    assert (reading.verdict, reading.severity) == (verdict, severity)
    assert reading.value == (pytest.approx(5.5 / equity) if equity > 0 else None)
    assert reading.key.scope is Scope.POSITION


@pytest.mark.parametrize(
    ("equity", "verdict", "severity"),
    [
        (1_000.0, Verdict.CLEAR, None),
        (190.0, Verdict.UNKNOWN, None),
        (140.0, Verdict.BREACH, Severity.WARNING),
        (50.0, Verdict.BREACH, Severity.CRITICAL),
    ],
)
def test_a_book_that_ends_early_breaches_by_what_is_certain_and_is_clear_by_what_is_likely(
    equity: float, verdict: Verdict, severity: Severity | None
) -> None:
    """At least 15.5, about 20."""
    reading = read(a_position(contracts=20.0), BOOK, equity=equity + 8.0)
    assert (reading.verdict, reading.severity) == (verdict, severity)
    if verdict is Verdict.UNKNOWN:
        assert reading.value is None
        assert "ends after 50.0% of the position" in str(reading.inputs["why"])
    else:
        assert reading.value == pytest.approx(15.5 / equity)


@pytest.mark.parametrize("side", Side)
def test_a_side_on_which_nobody_is_left_is_critical_and_that_of_the_other_position_is_not(side: Side) -> None:
    bids, asks = (BOOK.bids, ()) if side is Side.SHORT else ((), BOOK.asks)
    gone = read(a_position(side=side), Book(bids=bids, asks=asks))
    assert (gone.severity, gone.value) == (Severity.CRITICAL, None)
    other = Side.LONG if side is Side.SHORT else Side.SHORT
    assert read(a_position(side=other), Book(bids=bids, asks=asks)).verdict is Verdict.CLEAR


@pytest.mark.parametrize(
    ("book", "age_s", "equity", "why"),
    [
        (None, 0.0, 100.0, "its order book has not been read yet"),
        (BOOK, 181.0, 100.0, "its order book was last read at 11:56:59 UTC"),
        (BOOK, 0.0, None, "the margin buffer of cross:USDT is not known"),
    ],
)
def test_what_is_missing_makes_it_unknown(book: Book | None, age_s: float, equity: float | None, why: str) -> None:
    reading = read(a_position(), book, equity=equity, age_s=age_s)
    assert reading.is_unknown
    assert reading.inputs["why"] == why


@pytest.mark.parametrize("is_pending", [True, False])
def test_a_book_on_its_way_says_so_which_is_no_alert(is_pending: bool) -> None:
    markets = markets_of(None, no_book=NoBook("asked for", is_pending=is_pending))
    (reading,) = judge(a_snapshot(a_position(), equity=100.0), markets)
    assert reading.is_unknown
    assert reading.inputs == {"why": "asked for"} | ({"is_pending": True} if is_pending else {})


def test_a_book_of_three_minutes_ago_is_judged() -> None:
    assert read(a_position(), BOOK, age_s=180.0).verdict is Verdict.CLEAR


@pytest.mark.parametrize("book", [None, Book(bids=(), asks=()), Book(bids=(), asks=BOOK.asks)])
@pytest.mark.parametrize(("equity", "verdict"), [(1_200.0, Verdict.CLEAR), (1_100.0, None)])
def test_what_is_worth_less_than_the_threshold_is_clear_whatever_rests(
    book: Book | None, equity: float, verdict: Verdict | None
) -> None:
    """A long of 100 dollars: 8.3 or 9.1 % of what is left above maintenance."""
    reading = read(a_position(), book, equity=equity)
    assert reading.verdict is (verdict or (Verdict.UNKNOWN if book is None else Verdict.BREACH))
    assert reading.value is None


def test_of_a_venue_without_books_nothing_is_said() -> None:
    untold = markets_of(None, no_book=NoBook("not told", is_untold=True))
    assert judge(a_snapshot(a_position()), untold) == ()
    assert len(judge(a_snapshot(a_position()), {})) == 1


def test_a_filter_picks_the_positions_that_count() -> None:
    snapshot = a_snapshot(*(a_position(side=side) for side in Side))
    readings = judge(snapshot, markets_of(BOOK), where={"side": "short"})
    assert [reading.key.subject for reading in readings] == ["BTC/USDT:USDT short"]
    assert judge(snapshot, markets_of(BOOK), where={"venue": "bybit"}) == ()


@pytest.mark.parametrize(("share", "slices", "minutes"), [("100%", 1, 0), ("50%", 2, 1), ("15%", 7, 6)])
def test_a_careful_exit_takes_slices_of_the_depth_told(share: str, slices: int, minutes: float) -> None:
    (reading,) = judge(a_snapshot(a_position(contracts=10.0)), markets_of(BOOK), depth_share=share)
    assert (reading.inputs["slices"], reading.inputs["slices_min"]) == (slices, minutes)


def test_a_pool_of_several_coins_counts_slippage_in_its_own() -> None:
    position = a_position(symbol=INVERSE, contracts=10.0, pool="cross", pool_rate=100.0)
    (reading,) = judge(a_snapshot(position, equity=1_000.0), markets_of(a_book((0.01, 50.0)), INVERSE))
    assert reading.inputs["slippage"] == pytest.approx((1_000 / 99 - 10) * 100)


# --- remedies ---


@st.composite
def accounts(draw: st.DrawFn) -> tuple[AccountSnapshot, Markets]:
    """One position in a cross or isolated pool, or a hedge of it in the same pool, and a buffer that its exit eats."""
    symbol, side = draw(SYMBOLS), draw(SIDES)
    isolated = draw(st.booleans())
    contracts = draw(st.floats(1.0, 200.0))
    book, instrument = a_book(*draw(books)), an_instrument(symbol)
    changes: dict[str, Any] = {}
    if isolated:
        changes = {"margin_mode": MarginMode.ISOLATED, "pool": instrument.isolated_pool(side)}
    position = a_position(symbol=symbol, side=side, contracts=contracts, **changes)
    positions = [position]
    if not isolated and draw(st.booleans()):
        other = Side.SHORT if side is Side.LONG else Side.LONG
        positions.append(a_position(symbol=symbol, side=other, contracts=contracts * draw(st.floats(0.1, 1.0))))
    owed = sum(p.maintenance_margin or 0.0 for p in positions)
    found = exit_of(position, book)
    assume(found.about is not None and found.at_least > 1e-3 * position.notional)
    buffer = found.at_least / draw(st.floats(0.11, 3.0))
    tiers = draw(st.sampled_from([None, TIERS]))
    markets = markets_of(book, symbol, tiers=None if tiers is None else Observed(tiers, NOON))
    return a_snapshot(*positions, equity=owed + buffer), markets


def first(snapshot: AccountSnapshot, markets: Markets) -> Reading | None:
    """Of the position that each of these accounts holds first."""
    return of_subject(snapshot.positions[0].subject, snapshot, markets)


def of_subject(subject: str, snapshot: AccountSnapshot, markets: Markets) -> Reading | None:
    return next((r for r in judge(snapshot, markets) if r.key.subject == subject), None)


@settings(max_examples=300)
@given(account=accounts())
def test_collateral_brings_it_back_and_less_does_not(account: tuple[AccountSnapshot, Markets]) -> None:
    snapshot, markets = account
    reading = first(snapshot, markets)
    assert reading is not None
    assert reading.verdict is Verdict.BREACH
    added, pool = reading.inputs["add_collateral"], snapshot.positions[0].pool
    assert isinstance(added, float)
    for times, is_clear in ((1.0, True), (0.99, False)):
        after = first(with_collateral(snapshot, pool, added * times), markets)
        assert after is not None
        assert (after.verdict is Verdict.CLEAR) is is_clear


def cut(snapshot: AccountSnapshot, share: float, markets: Markets) -> AccountSnapshot:
    """The account once that share of its first position is closed and its slippage paid."""
    position = snapshot.positions[0]
    state = markets[position.instrument.symbol].book
    assert state is not None
    after, paid = with_cut(snapshot, {position.subject: share}, markets), exit_of(position, state.value, share).about
    balance = after.margin(position.pool)
    assert paid is not None
    assert balance is not None
    assert balance.equity is not None
    released = balance.equity * share if position.margin_mode is MarginMode.ISOLATED else paid
    return with_collateral(after, position.pool, -released)


@settings(max_examples=300)
@given(account=accounts())
def test_a_cut_brings_it_back_and_less_does_not(account: tuple[AccountSnapshot, Markets]) -> None:
    """None is offered where leaving all of it would cost more than there is; what is gone is clear."""
    snapshot, markets = account
    reading = first(snapshot, markets)
    assert reading is not None
    share = reading.inputs.get("cut_share")
    if share is None:
        gone = cut(snapshot, 1.0, markets).margin(snapshot.positions[0].pool)
        assert gone is not None
        assert gone.equity is not None
        assert gone.maintenance_margin is not None
        assert gone.equity < gone.maintenance_margin
        return
    assert isinstance(share, float)
    after = of_subject(reading.key.subject, cut(snapshot, share, markets), markets)
    assert after is None or after.verdict is Verdict.CLEAR
    less = first(cut(snapshot, share * 0.99, markets), markets)
    assert less is not None
    assert less.verdict is not Verdict.CLEAR
