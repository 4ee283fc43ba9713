"""What is remembered of an account: best marks, gains and the peaks of its equity, through everything that reads do."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.domain.account import AccountSnapshot, Estimate, FailureKind, MarginBalance, MarginMode, PollFailure, Side
from monitor.domain.fund import Fund, Window
from monitor.domain.track import PositionTrack, Track, is_worth_writing
from monitor.risk.track import UNTOLD_SHARE, track_after
from monitor.store.records import TRACK
from tests.builders import NOON, a_market, a_position, a_snapshot, an_instrument, at

ETH = "ETH/USDT:USDT"
MIDNIGHT = datetime(2025, 10, 11, tzinfo=UTC)
# 10 October 2025 is a Friday.
MONDAY = datetime(2025, 10, 13, tzinfo=UTC)


def read(mark: float, *, seconds: float = 0.0, wallet: float = 1000.0, **changes: Any) -> AccountSnapshot:
    """One position of one contract, entered at 100, on that wallet."""
    position = a_position(mark_price=mark, **{"entry_price": 100.0, **changes})
    return a_snapshot(position, equity=wallet + (position.unrealized_pnl or 0.0), observed_at=at(seconds))


def after(*reads: AccountSnapshot | PollFailure) -> Track:
    track: Track | None = None
    for observation in reads:
        track = track_after(track, observation, {})
    assert track is not None
    return track


def only(track: Track) -> PositionTrack:
    (position,) = track.positions
    return position


def fund(track: Track) -> Fund:
    assert track.fund is not None
    return track.fund


def lost(track: Track, window: Window = Window.DAY) -> float:
    peak = fund(track).peaks[window]
    assert peak.why is None
    return 1 - fund(track).price / peak.price


def failure(seconds: float) -> PollFailure:
    kind = FailureKind.TIMEOUT
    return PollFailure(account="main", venue="binanceusdm", observed_at=at(seconds), kind=kind, detail="gone")


# ---- positions


@pytest.mark.parametrize(("side", "best"), [(Side.LONG, 108.0), (Side.SHORT, 96.0)])
def test_the_best_mark_is_the_most_favourable_that_was_read(side: Side, best: float) -> None:
    track = only(after(*(read(mark, seconds=n, side=side) for n, mark in enumerate((101, 108, 96, 103)))))
    assert track.best_mark == best
    assert track.since == NOON
    assert track.best_gain == pytest.approx(abs(best - 100) / 100)


def test_a_position_that_grows_or_shrinks_keeps_its_best_mark_and_the_gain_it_reached() -> None:
    grown = read(110, seconds=2, contracts=5, entry_price=108.0)
    shrunk = read(109, seconds=3, contracts=1, entry_price=108.0)
    track = only(after(read(100), read(120, seconds=1), grown, shrunk))
    assert (track.best_mark, track.since, track.best_at) == (120, NOON, at(1))
    assert track.best_gain == pytest.approx(0.20)


GONE = a_snapshot(equity=1000.0)
OTHER_SIDE = read(110, side=Side.SHORT)


@pytest.mark.parametrize(
    ("between", "entry", "kept"),
    [
        ((), 100.0, True),
        ((failure(2),), 100.0, True),
        ((GONE,), 100.0, True),
        ((GONE, failure(2)), 100.0, True),
        ((GONE,), 111.0, False),
        ((GONE, GONE), 100.0, False),
        ((GONE, failure(2), GONE), 100.0, False),
        ((OTHER_SIDE,), 100.0, False),
    ],
)
def test_what_is_believed_gone_begins_anew(
    between: tuple[AccountSnapshot | PollFailure, ...], entry: float, kept: bool
) -> None:
    track = after(read(120), *between, read(110, seconds=9, entry_price=entry))
    (long,) = [position for position in track.positions if position.side is Side.LONG]
    assert (long.best_mark, long.since) == ((120, NOON) if kept else (110, at(9)))


def test_the_other_leg_of_a_hedge_takes_nothing_from_this_one() -> None:
    both = a_snapshot(a_position(mark_price=110), a_position(mark_price=110, side=Side.SHORT))
    track = after(both, replace(both, positions=both.positions[1:]), both)
    assert [position.since for position in track.positions] == [NOON, NOON]


INVERSE = "BTC/USD:BTC"


@pytest.mark.parametrize(
    ("side", "times", "symbol"),
    [
        (Side.LONG, 0.1, "BTC/USDT:USDT"),
        (Side.LONG, 1000.0, "BTC/USDT:USDT"),
        (Side.SHORT, 10.0, "BTC/USDT:USDT"),
        (Side.SHORT, 2 / 3, "BTC/USDT:USDT"),
        (Side.LONG, 0.1, INVERSE),
    ],
)
@pytest.mark.parametrize("between", [(), (GONE,), (failure(2),)])
def test_a_contract_that_was_split_or_redenominated_keeps_its_retreat(
    side: Side, times: float, symbol: str, between: tuple[AccountSnapshot | PollFailure, ...]
) -> None:
    """Netflix was split ten for one, while perpetuals on it were held."""
    best = 100 + 20 * side.sign
    contracts = 4 if symbol == INVERSE else round(4 / times, 3)
    then = read(103 * times, seconds=9, side=side, symbol=symbol, contracts=contracts, entry_price=100 * times)
    before = [read(mark, side=side, symbol=symbol, contracts=4) for mark in (100, best, 104)]
    track, held = only(after(*before, *between, then)), then.positions[0]
    assert track.best_mark == pytest.approx(best * times)
    assert track.since == NOON
    assert track.best_gain == pytest.approx(0.2)
    assert track.most_units == pytest.approx(held.units, rel=1e-3), "nothing was cut"


@pytest.mark.parametrize(
    ("mark", "contracts", "entry"),
    [
        pytest.param(10.0, 4.0, 100.0, id="a crash"),
        pytest.param(120.0, 2.0, 200.0, id="another position for as much money at marks of before"),
        pytest.param(50.0, 8.0, 75.0, id="as much again was bought lower"),
        pytest.param(50.0, 4.0, 50.0, id="another position of as many contracts after a fall"),
    ],
)
def test_what_trading_does_is_no_split(mark: float, contracts: float, entry: float) -> None:
    track = only(after(read(120, contracts=4), read(mark, seconds=10, contracts=contracts, entry_price=entry)))
    assert track.best_mark == 120


MARKS = st.lists(st.floats(0.01, 1e6), min_size=1, max_size=12)


@given(MARKS, st.sampled_from(Side), st.randoms())
def test_the_best_mark_is_never_worse_than_any_read_in_whatever_order_they_come(
    marks: list[float], side: Side, dice: Any
) -> None:
    shuffled = list(marks)
    dice.shuffle(shuffled)
    tracks = [only(after(*(read(mark, side=side) for mark in order))) for order in (marks, shuffled)]
    assert tracks[0].best_mark == tracks[1].best_mark == (max if side is Side.LONG else min)(marks)
    assert tracks[0].best_gain == tracks[1].best_gain


# ---- equity


def test_a_peak_is_of_equity_with_unrealised_pnl() -> None:
    assert lost(after(read(100), read(150, seconds=10), read(45, seconds=20))) == pytest.approx(105 / 1050)


STEPS = st.lists(
    st.tuples(st.floats(0.5, 2.0), st.floats(1, 200_000), st.sampled_from(["good", "failed", "flat"])), max_size=12
)


def history(steps: list[tuple[float, float, str]]) -> list[AccountSnapshot | PollFailure]:
    """Reads of one account that trades by nothing but its marks."""
    reads: list[AccountSnapshot | PollFailure] = []
    mark, seconds = 100.0, 0.0
    for factor, pause, how in steps:
        mark, seconds = min(max(mark * factor, 10.0), 1000.0), seconds + pause
        good = read(mark, seconds=seconds)
        if how == "failed":
            reads.append(failure(seconds))
        else:
            reads.append(good if how == "good" else replace(good, positions=()))
    return reads


@given(STEPS, st.integers(0, 12))
def test_a_restart_in_the_middle_changes_nothing(steps: list[tuple[float, float, str]], middle: int) -> None:
    reads = [read(100), *history(steps)]
    unbroken = after(*reads)
    track: Track | None = None
    for number, observation in enumerate(reads):
        if number == middle and track is not None:
            track = TRACK.validate_json(TRACK.dump_json(track))
        track = track_after(track, observation, {})
    assert track == unbroken


@given(STEPS)
def test_no_peak_is_ever_below_the_present(steps: list[tuple[float, float, str]]) -> None:
    track: Track | None = None
    for observation in (read(100), *history(steps)):
        track = track_after(track, observation, {})
        assert track is not None
        peaks = fund(track).peaks
        assert all(peak.price >= fund(track).price for peak in peaks.values() if peak.why is None)
        assert all(peak.since <= track.at for peak in peaks.values())
        if all(peak.why is None for peak in peaks.values()):
            assert peaks[Window.ALL].price >= peaks[Window.WEEK].price >= peaks[Window.DAY].price


@pytest.mark.parametrize(("change", "seen"), [(5_000.0, True), (-500.0, True), (2.0, False), (-2.0, False)])
def test_a_jump_that_nothing_explains_makes_every_peak_unknown_where_transfers_are_not_told(
    change: float, seen: bool
) -> None:
    track = after(read(100), read(101, seconds=10, wallet=1000 + change))
    whys = [peak.why for peak in fund(track).peaks.values()]
    if seen:
        assert all(why is not None and "probably a transfer" in why for why in whys)
        way = "rose by 5,000.00" if change > 0 else "fell by 500.00"
        assert f"equity {way} USD between 10 Oct 12:00:00 and 12:00:10 UTC" in str(whys[0])
    else:
        assert whys == [None] * 3


def test_the_bound_is_a_four_hundredth_of_the_account() -> None:
    for share, seen in ((0.9, False), (1.1, True)):
        track = after(read(100), read(100, seconds=10, wallet=1000 * (1 + share * UNTOLD_SHARE)))
        assert (fund(track).peaks[Window.DAY].why is not None) is seen


def _later(track: Track, moment: datetime, mark: float, wallet: float) -> Track:
    later = track_after(track, replace(read(mark, wallet=wallet), observed_at=moment), {})
    assert later is not None
    return later


def test_what_was_unknown_begins_anew_with_the_next_day_and_the_next_week() -> None:
    jumped = after(read(100), read(100, seconds=10, wallet=5000))
    friday = _later(jumped, MIDNIGHT - timedelta(seconds=1), 100, 5000)
    saturday = _later(friday, MIDNIGHT, 100, 5000)
    monday = _later(saturday, MONDAY, 50, 5000)
    known = [{w for w, peak in fund(t).peaks.items() if peak.why is None} for t in (jumped, friday, saturday, monday)]
    assert known == [set(), set(), {Window.DAY}, set(Window)]
    assert fund(monday).peaks[Window.ALL].since == MONDAY
    tuesday = _later(monday, MONDAY + timedelta(days=1), 45, 5000)
    assert fund(tuesday).peaks[Window.DAY].since == MONDAY + timedelta(days=1)
    assert lost(tuesday, Window.WEEK) == lost(tuesday, Window.ALL) == pytest.approx(5 / 4950)


def test_a_jump_over_midnight_leaves_the_new_day_known() -> None:
    track = _later(after(read(100)), MIDNIGHT, 100, 5000)
    assert {window for window, peak in fund(track).peaks.items() if peak.why is None} == {Window.DAY}


@pytest.mark.parametrize(
    ("before", "then"),
    [
        # Closed at a loss that the last mark did not show in full, less a fee.
        ((a_position(contracts=50, mark_price=100), 1000.0), ((), 945.0)),
        # Half of it closed; its PnL is in the wallet now.
        (
            (a_position(contracts=50, mark_price=110, entry_price=100), 1500.0),
            ((a_position(contracts=25, mark_price=110, entry_price=100),), 1497.0),
        ),
        # Opened in between, and already at a profit.
        ((None, 1000.0), ((a_position(contracts=50, mark_price=102, entry_price=100),), 1097.0)),
        # Closed and opened again at another price: nothing was lost but fees.
        (
            (a_position(contracts=50, mark_price=110, entry_price=100), 1500.0),
            ((a_position(contracts=50, mark_price=110, entry_price=110),), 1494.0),
        ),
        # Liquidated: the maintenance margin is gone as well.
        ((a_position(contracts=100, mark_price=100, rate=0.05), 500.0), ((), 0.5)),
        # A venue that settles profit while the position is held.
        (
            (a_position(contracts=50, mark_price=110, unrealized_pnl=500.0), 1500.0),
            ((a_position(contracts=50, mark_price=110, unrealized_pnl=0.0),), 1500.0),
        ),
    ],
)
def test_trading_and_liquidation_are_no_transfers(before: Any, then: Any) -> None:
    (position, equity), (positions, equity_then) = before, then
    first = a_snapshot(*([position] if position else []), equity=equity)
    track = after(first, a_snapshot(*positions, equity=equity_then, observed_at=at(10)))
    assert fund(track).peaks[Window.DAY].why is None
    assert lost(track) == pytest.approx(max(0.0, 1 - equity_then / equity))


@pytest.mark.parametrize("is_ours", [False, True])
def test_a_withdrawal_in_a_crash_is_seen_where_the_venue_tells_the_pnl(is_ours: bool) -> None:
    """Ten times the equity falls by 5 %, and a tenth of it is withdrawn; a PnL that is ours may be off by that."""
    estimates = (Estimate("unrealized_pnl", "entry and mark"),) if is_ours else ()
    reads = [
        a_snapshot(a_position(contracts=100, mark_price=mark, entry_price=100, estimates=estimates), equity=equity)
        for mark, equity in ((100, 1000), (95, 400))
    ]
    assert (fund(after(*reads)).peaks[Window.DAY].why is None) is is_ours


@pytest.mark.parametrize(("from_s", "to_s", "explained"), [(0, 10, True), (120, 130, False), (-600, 7190, True)])
def test_funding_is_looked_for_only_where_an_hour_begins(from_s: float, to_s: float, explained: bool) -> None:
    """0.1 % of a position of ten times the equity is paid: 1 % of equity."""
    before = a_snapshot(a_position(contracts=100), equity=1000, observed_at=at(from_s))
    paid = a_snapshot(a_position(contracts=100), equity=990, observed_at=at(to_s))
    assert (fund(after(before, paid)).peaks[Window.DAY].why is None) is explained


def test_a_high_funding_rate_explains_more() -> None:
    reads = [a_snapshot(a_position(contracts=100), equity=e, observed_at=at(s)) for e, s in ((1000, -5), (900, 5))]
    for rate, explained in ((0.01, True), (0.001, False)):
        track = None
        for observation in reads:
            track = track_after(track, observation, a_market(rate=rate))
        assert track is not None
        assert (fund(track).peaks[Window.DAY].why is None) is explained


def test_a_coin_that_falls_is_a_loss_and_no_transfer() -> None:
    """One bitcoin of collateral, valued at the mark of the position beside it."""
    reads = [
        a_snapshot(a_position(symbol="BTC/USD:BTC", mark_price=mark, unrealized_pnl=0.0), equity=1.0)
        for mark in (100_000, 90_000)
    ]
    assert lost(after(*reads)) == pytest.approx(0.1)


def test_margin_moved_between_pools_is_no_transfer() -> None:
    pool = an_instrument().isolated_pool(Side.LONG)
    position = a_position(pool=pool, margin_mode=MarginMode.ISOLATED)

    def split(isolated: float, seconds: float) -> AccountSnapshot:
        cross = MarginBalance(pool="cross:USDT", currency="USDT", equity=1000 - isolated, maintenance_margin=0.0)
        snapshot = a_snapshot(position, equity=isolated, observed_at=at(seconds))
        return replace(snapshot, margins=(cross, *snapshot.margins))

    track = after(split(50, 0), split(500, 10))
    assert (fund(track).peaks[Window.DAY].why, lost(track)) == (None, 0.0)


def test_equity_that_a_read_does_not_tell_is_gone_on_from_the_last_that_was_told() -> None:
    untold = a_snapshot(a_position(mark_price=101), equity=None, observed_at=at(10))
    track = after(read(100), untold, read(90, seconds=20))
    assert lost(track) == pytest.approx(10 / 1000)
    jumped = after(read(100), untold, read(90, seconds=20, wallet=2000))
    assert fund(jumped).peaks[Window.DAY].why is not None


def test_an_account_that_was_emptied_begins_anew_with_what_comes_next() -> None:
    emptied = after(a_snapshot(equity=0.0))
    assert emptied.fund is None
    filled = track_after(emptied, a_snapshot(equity=500.0, observed_at=at(10)), {})
    assert filled is not None
    assert lost(filled) == 0
    drained = after(a_snapshot(equity=500.0), a_snapshot(equity=0.0, observed_at=at(10)))
    assert drained.fund is None
    again = track_after(drained, a_snapshot(equity=700.0, observed_at=at(20)), {})
    assert again is not None
    assert lost(again) == 0


@pytest.mark.parametrize(("mark", "is_known"), [(51.0, True), (100.0, False)])
def test_an_account_that_lost_all_has_lost_it_until_money_comes(mark: float, *, is_known: bool) -> None:
    """What no mark explains may have been taken, and stays unknown instead."""
    start = read(mark, wallet=50)
    reads = [start, *(a_snapshot(equity=0.0, observed_at=at(10.0 * number)) for number in range(1, 5))]
    for count in range(2, len(reads) + 1):
        track = after(*reads[:count])
        assert (fund(track).peaks[Window.DAY].why is None) is is_known
        assert not is_known or lost(track) == 1
    assert lost(after(*reads, a_snapshot(equity=700.0, observed_at=at(90)))) == 0


def test_equity_below_zero_is_a_loss_of_more_than_everything() -> None:
    track = after(read(100, wallet=50), read(40, seconds=10, wallet=50))
    assert lost(track) == pytest.approx(60 / 50)
    back = track_after(track, read(90, seconds=20, wallet=50), {})
    assert back is not None
    assert lost(back) == pytest.approx(10 / 50)


def test_a_read_that_claims_to_be_older_ends_no_window() -> None:
    """A clock that was set back while nobody looked."""
    track = _later(_later(after(read(100)), MIDNIGHT, 120, 1000), MIDNIGHT - timedelta(hours=1), 110, 1000)
    assert track.at == MIDNIGHT
    assert lost(track) == pytest.approx(10 / 1020)


# ---- what is written


@pytest.mark.parametrize(
    ("then", "worth_it"),
    [
        (read(100.05, seconds=10), False),
        (read(95, seconds=10), False),
        (read(100.2, seconds=10), True),
        (a_snapshot(equity=1000, observed_at=at(10)), True),
        (read(100, seconds=10, wallet=3000), True),
        (replace(read(100), observed_at=MIDNIGHT), True),
    ],
)
def test_a_track_is_written_when_a_crash_would_lose_something(then: AccountSnapshot, worth_it: bool) -> None:
    written = after(read(100))
    track = track_after(written, then, {})
    assert track is not None
    assert is_worth_writing(written, track) is worth_it
    assert is_worth_writing(None, track)
    assert not is_worth_writing(track, track)
