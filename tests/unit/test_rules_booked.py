"""funding_exposure and loss by what the venue booked: what funding has cost, and what a position has realised."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from monitor.domain.account import AccountSnapshot, Side
from monitor.domain.ledger import Entry, EntryKind, Ledger
from monitor.domain.reading import Need, Reading, Severity, Verdict
from monitor.domain.track import Track
from monitor.risk.booked import RECENT
from monitor.risk.track import track_after
from monitor.rules.base import Context
from monitor.rules.book import evaluate_rules
from tests.builders import NOON, a_booking, a_ledger, a_market, a_position, a_rule, a_snapshot, an_instrument, at

BTC, ETH = "BTC/USDT:USDT", "ETH/USDT:USDT"
DAY_S = 86_400.0
MARKETS = a_market(rate=0.0005) | a_market(ETH, rate=-0.0005)


def judge(
    kind: str, snapshot: AccountSnapshot, ledger: Ledger | None = None, track: Track | None = None, **keys: Any
) -> Reading:
    rule = a_rule(kind, **{"warning": "20%", "critical": "40%"} | keys)
    snapshot = replace(snapshot, ledger=ledger)
    context = Context(snapshot=snapshot, markets=MARKETS, now=NOON, track=track)
    (reading,) = evaluate_rules({kind: rule}, context)
    return reading


# --- funding ---


def paid(amount: float, days_ago: float = 1.0, symbol: str = BTC, **changes: Any) -> Entry:
    """`amount` is what it cost."""
    return a_booking(f"{amount} {days_ago} {symbol}", at(-days_ago * DAY_S), amount=-amount, symbol=symbol, **changes)


def funding(*entries: Entry, ledger: Ledger | None = None, **keys: Any) -> Reading:
    snapshot = a_snapshot(a_position(contracts=10), equity=1000.0)
    booked = ledger or a_ledger(*entries)
    return judge("funding_exposure", snapshot, booked, **{"warning": "0.3%", "critical": "1%"} | keys)


def test_what_funding_cost_in_the_last_seven_days_stands_beside_what_it_will() -> None:
    fee = a_booking("fee", at(-60), kind=EntryKind.FEE, amount=-99.0, symbol=BTC)
    reading = funding(paid(3.0, 8.0), paid(2.0, 6.9), paid(4.0), paid(-1.5, 0.5, ETH), fee)
    assert reading.inputs["paid"] == pytest.approx(4.5)
    assert reading.inputs["paid_share"] == pytest.approx(0.0045)
    assert reading.inputs["paid_since"] == (NOON - timedelta(days=7)).isoformat()
    assert reading.inputs["next_payment"] == pytest.approx(0.5)


def test_what_was_paid_alerts_nobody() -> None:
    quiet = a_position(symbol=ETH, contracts=10)
    reading = judge("funding_exposure", a_snapshot(quiet), a_ledger(paid(900.0)), warning="0.3%", critical="1%")
    assert (reading.verdict, reading.value) == (Verdict.CLEAR, 0.0)
    assert reading.inputs["paid"] == pytest.approx(900)


def test_a_rule_for_some_positions_counts_what_was_paid_for_those() -> None:
    reading = funding(paid(4.0), paid(7.0, 2.0, ETH), where={"symbol": "BTC/*"})
    assert reading.inputs["paid"] == pytest.approx(4.0)


def test_records_of_fewer_days_say_so_and_records_without_funding_say_nothing() -> None:
    reading = funding(ledger=a_ledger(paid(1.0), since=at(-2 * DAY_S)))
    assert reading.inputs["paid_since"] == at(-2 * DAY_S).isoformat()
    for ledger in (None, a_ledger(paid(1.0), untold=[EntryKind.FUNDING])):
        snapshot = a_snapshot(a_position(contracts=10))
        told = judge("funding_exposure", snapshot, ledger, warning="0.3%", critical="1%")
        assert "paid" not in told.inputs
        assert told.value == pytest.approx(0.0015)


def test_of_a_pool_over_several_coins_all_funding_is_in_dollars() -> None:
    position = a_position(contracts=10, mark_price=100, pool="cross:USD")
    snapshot = a_snapshot(position)
    snapshot = replace(snapshot, margins=(replace(snapshot.margins[0], pool="cross:USD", currency="USD"),))
    entries = (paid(4.0), paid(0.02, 2.0, "BTC/USD:BTC", currency="BTC"), paid(1.0, 3.0, "X/X:X", currency="XYZ"))
    reading = judge("funding_exposure", snapshot, a_ledger(*entries), warning="0.3%", critical="1%")
    assert reading.inputs["paid"] == pytest.approx(4.0 + 0.02 * 100)


def test_what_was_paid_is_not_told_of_a_ledger_that_ends_long_ago() -> None:
    """It says up to when it goes, or begins with the oldest page of a week."""
    for until_s, is_told in ((-RECENT.total_seconds(), True), (-RECENT.total_seconds() - 1, False)):
        assert ("paid" in funding(ledger=a_ledger(paid(4.0), until=at(until_s))).inputs) is is_told


def test_payments_are_told_in_days_that_the_margin_lasts() -> None:
    reading = funding()
    owed = 10 * 100 * 0.004
    assert reading.inputs["buffer"] == pytest.approx(1000 - owed)
    assert reading.inputs["days_left"] == pytest.approx((1000 - owed) / 1.5)
    received = judge("funding_exposure", a_snapshot(a_position(symbol=ETH)), warning="0.3%", critical="1%")
    assert "days_left" not in received.inputs


# --- loss ---


def read(contracts: float, mark: float = 96.0, **changes: Any) -> AccountSnapshot:
    return a_snapshot(a_position(contracts=contracts, mark_price=mark, entry_price=100.0, leverage=5.0, **changes))


def remembered(*reads: AccountSnapshot) -> Track:
    track: Track | None = None
    for number, snapshot in enumerate(reads):
        track = track_after(track, replace(snapshot, observed_at=at(-3600 + 10.0 * number)), {})
    assert track is not None
    return track


def realised(amount: float, second: float = -60.0, kind: EntryKind = EntryKind.REALISED, **changes: Any) -> Entry:
    return a_booking(f"{kind} {amount} {second}", at(second), kind=kind, amount=amount, **{"symbol": BTC} | changes)


def test_closing_half_of_a_loss_makes_it_no_smaller_and_no_larger() -> None:
    """40 of 1,000 lost, a fifth of it staked: 20 %; half of it booked, half of the position left."""
    whole = judge("loss", read(10), a_ledger(), remembered(read(10)))
    half = judge("loss", read(5), a_ledger(realised(-20.0)), remembered(read(10), read(5)))
    assert whole.value == half.value == pytest.approx(40 / 192)
    assert (half.inputs["loss"], half.inputs["realised"], half.inputs["unrealised"]) == (40, -20, -20)
    assert half.severity is Severity.WARNING


def test_fees_and_funding_count_and_what_was_gained_before_makes_no_loss_smaller() -> None:
    costs = (realised(-3.0, kind=EntryKind.FEE), realised(-5.0, kind=EntryKind.FUNDING))
    assert judge("loss", read(10), a_ledger(*costs), remembered(read(10))).inputs["loss"] == pytest.approx(48)
    gained = judge("loss", read(10), a_ledger(realised(100.0)), remembered(read(10)))
    assert gained.value == pytest.approx(40 / 192)


def test_a_close_whose_booking_is_not_told_yet_makes_no_loss_smaller() -> None:
    assert judge("loss", read(5), a_ledger(), remembered(read(10), read(5))).value == pytest.approx(20 / 96)


@pytest.mark.parametrize(
    "entry",
    [
        realised(-500.0, second=-3601.0),
        realised(-500.0, symbol=ETH),
        realised(-500.0, kind=EntryKind.TRANSFER, symbol=None),
        realised(-500.0, kind=EntryKind.OTHER),
        realised(-500.0, currency="XYZ"),
    ],
    ids=["an earlier position", "another contract", "a transfer", "of no known kind", "a coin without a worth"],
)
def test_what_is_not_of_this_position_is_not_its_loss(entry: Entry) -> None:
    assert judge("loss", read(10), a_ledger(entry), remembered(read(10))).inputs["loss"] == pytest.approx(40)


def test_where_bookings_are_not_told_or_are_of_both_sides_the_loss_is_that_of_the_prices() -> None:
    untold = a_ledger(realised(-500.0), untold=[EntryKind.REALISED])
    for ledger, track in ((None, remembered(read(10))), (untold, remembered(read(10))), (a_ledger(), None)):
        reading = judge("loss", read(5), ledger, track)
        assert (reading.inputs["loss"], reading.inputs["realised"]) == (20, None)
        assert reading.value == pytest.approx(20 / 96)
    long = read(5)
    both = replace(long, positions=(*long.positions, a_position(side=Side.SHORT, mark_price=96.0, leverage=5.0)))
    reading = judge("loss", both, a_ledger(realised(-500.0)), remembered(both), where={"side": "long"})
    assert reading.inputs["loss"] == pytest.approx(20)


LATE = a_ledger(until=at(-RECENT.total_seconds() - 1))
FAILING = "bookings could not be read: network: gone"


@pytest.mark.parametrize("ledger", [None, LATE], ids=["never read", "read long ago"])
def test_a_position_that_was_cut_is_not_safe_while_what_that_booked_is_not_known(ledger: Ledger | None) -> None:
    cut, track = replace(read(5), ledger_failure=FAILING), remembered(read(10), read(5))
    for mark, verdicts in ((99.0, [Verdict.UNKNOWN] * 2), (96.0, [Verdict.BREACH, Verdict.HOLD])):
        now = replace(cut, positions=read(5, mark).positions)
        reading = judge("loss", now, ledger, track)
        assert [level.verdict for level in reading.levels] == verdicts
        assert FAILING in str(reading.inputs["why"])
    # Of one that was not, fees and funding alone are missing.
    whole = judge("loss", replace(read(10, 99), ledger_failure=FAILING), ledger, remembered(read(10)))
    assert whole.value == pytest.approx(5 / 99)
    # Nor is it waited for what is never told.
    untold = ledger and replace(ledger, untold=frozenset([EntryKind.REALISED]))
    assert judge("loss", replace(cut, ledger_failure=None), untold, track).value == pytest.approx(20 / 96)


def test_contracts_of_another_size_are_no_cut() -> None:
    """Ten contracts of one coin became one of ten: nothing was closed, so nothing of it is waited for."""
    (held,) = read(10, 99.0).positions
    resized = replace(held, contracts=1.0, instrument=an_instrument(contract_size=10.0))
    now = replace(a_snapshot(resized), ledger_failure=FAILING)
    reading = judge("loss", now, LATE, remembered(read(10, 99.0), now))
    assert reading.verdict is Verdict.CLEAR
    assert reading.value == pytest.approx(10 / 198)


def test_what_was_booked_counts_while_later_bookings_are_not_known() -> None:
    track, booked = remembered(read(10), read(5)), realised(-100.0, second=-RECENT.total_seconds() - 60)
    reading = judge("loss", read(5, 99.0), replace(LATE, entries=(booked,)), track)
    assert reading.value == pytest.approx(105 / 198)
    assert reading.severity is Severity.CRITICAL


def test_a_fee_paid_in_another_coin_is_valued() -> None:
    track = remembered(read(10))
    entry = realised(-0.5, kind=EntryKind.FEE, currency="BTC")
    assert judge("loss", read(10), a_ledger(entry), track).inputs["loss"] == pytest.approx(40 + 0.5 * 96)


@pytest.mark.parametrize("kind", ["funding_exposure", "loss", "drawdown"])
def test_these_rules_need_the_ledger(kind: str) -> None:
    assert a_rule(kind, warning="1%").needs == {Need.LEDGER}
