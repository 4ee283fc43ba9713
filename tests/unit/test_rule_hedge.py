"""The hedge rule: what it takes for a hedge, when a leg is missing, and what restores it."""

# ruff: noqa: F401, F811 - fixtures are imported, and named again as parameters

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from monitor.config.profiles import PROFILES
from monitor.domain.account import End, EndKind, Side
from monitor.domain.alert import AlertPolicy, LevelPolicy, Resolution
from monitor.domain.hedges import HedgeTrack
from monitor.domain.reading import Severity, Verdict
from monitor.rules.base import Rule
from monitor.rules.hedge import Hedge, _remedy
from monitor.store.records import Changes
from monitor.store.store import Store
from tests.builders import a_rule, a_snapshot, an_instrument
from tests.unit.portfolio_kit import BTC, ETH, INVERSE, UNWOUND, Office, held, office
from tests.unit.store_kit import ManualClock


def rules(**keys: Any) -> dict[str, Rule]:
    return {"hedge": a_rule("hedge", **{"warning": "10%", "critical": "25%", **keys})}


@pytest.fixture
async def hedged(office: Office) -> Office:
    """A bitcoin long and short, by a linear contract in one account and an inverse one in another; ether beside it."""
    office.rules = rules()
    office.read("main", held(BTC, 1.0), held(ETH, 5.0))
    office.read("fund", held(INVERSE, -1.0), equity=0.5)
    await office.again(times=2)
    return office


def track(office: Office, underlying: str = "BTC") -> HedgeTrack | None:
    return next((t for h in office.store.hedges.values() for t in h.tracks if t.underlying == underlying), None)


async def test_a_hedge_over_accounts_venues_and_kinds_of_contracts_is_recognised_and_quiet(hedged: Office) -> None:
    found = track(hedged)
    assert found is not None
    assert found.ratio == pytest.approx(1.0)
    assert found.accounts == {"main", "fund"}
    assert track(hedged, "ETH") is None, "a position alone is no hedge"
    assert hedged.told == []


async def test_a_leg_that_vanished_is_critical_once_there_was_time_to_close_the_other_side(hedged: Office) -> None:
    hedged.read("main", held(ETH, 5.0))
    await hedged.again(times=12)
    assert hedged.told == [], "fund may be closing its side as well"
    await hedged.again()
    assert hedged.reasons("hedge") == ["first"]
    text = hedged.message("hedge")
    assert text.startswith("CRITICAL portfolio: BTC hedge lost its long side\n")
    assert "gone: BTC/USDT:USDT long of main" in text
    assert "Do: buy 1 BTC to restore the long side, or close 1 BTC of the short side" in text
    hedged.read("main", held(BTC, 1.0), held(ETH, 5.0))
    await hedged.again(times=4)
    assert hedged.reasons("hedge") == ["first", "resolved"]


async def test_a_leg_that_the_venue_took_is_told_once_every_account_was_read_again(hedged: Office) -> None:
    end = End(
        instrument=an_instrument(BTC), side=Side.LONG, kind=EndKind.DELEVERAGED, at=hedged.clock.now(), contracts=1.0
    )
    hedged.see(a_snapshot(account="main", ends=(end,)))
    await hedged.judge()
    assert hedged.told == [], "it may have taken the leg in fund as well"
    await hedged.again()
    assert "gone: BTC/USDT:USDT long of main, auto-deleveraged" in hedged.message("hedge")


async def test_a_side_that_vanished_is_critical_though_the_rule_warns_alone(office: Office) -> None:
    office.rules = rules(critical=None)
    office.read("main", held(BTC, 1.0))
    office.read("fund", held(BTC, -1.0))
    await office.judge()
    office.read("fund")
    await office.again(times=UNWOUND)
    assert [row.severity for row in office.told] == [Severity.CRITICAL]


async def test_both_sides_closed_a_minute_and_a_half_apart_are_no_news(hedged: Office) -> None:
    hedged.read("main", held(ETH, 5.0))
    await hedged.again(times=9)
    hedged.read("fund", equity=0.5)
    await hedged.again(times=8)
    assert hedged.told == []
    assert track(hedged) is None


async def test_one_odd_read_without_both_sides_makes_nothing_of_a_hedge_that_is_off(office: Office) -> None:
    office.rules, office.names = rules(), ("main",)
    office.read("main", held(BTC, 1.0), held(BTC, -1.0), held(ETH, 5.0))
    await office.again(times=2)
    for sides in ((1.0, -0.5), (), (1.0, -0.5)):
        office.read("main", *(held(BTC, coins) for coins in sides), held(ETH, 5.0))
        await office.again(times=1 if not sides else 10)
    assert office.reasons("hedge") == ["first"]
    office.read("main", held(ETH, 5.0))
    await office.again(times=10)
    assert office.reasons("hedge") == ["first", "resolved"]
    assert office.told[-1].facts.resolution is Resolution.POSITION_GONE  # type: ignore[union-attr]
    assert track(office) is None


async def test_an_account_that_is_read_rarely_is_not_waited_for_for_ever(hedged: Office) -> None:
    hedged.poll_interval_s = 600.0
    for _ in range(13):
        hedged.later(10)
        hedged.read("main", held(ETH, 5.0))
        await hedged.judge()
    assert hedged.reasons("hedge") == ["first"]


@pytest.mark.parametrize(
    ("long", "short", "severity"),
    [(0.5, 0.5, None), (0.95, 1.0, None), (0.85, 1.0, 1), (1.0, 0.7, 2), (1.5, 1.0, 2), (2.0, 2.1, None)],
)
async def test_drift_is_of_the_ratio_and_not_of_the_size(
    hedged: Office, long: float, short: float, severity: int | None
) -> None:
    hedged.read("main", held(BTC, long))
    hedged.read("fund", held(INVERSE, -short), equity=0.5)
    await hedged.again(times=UNWOUND)
    assert [int(row.severity) for row in hedged.told] == ([] if severity is None else [severity])


async def test_a_price_that_moves_takes_nothing_from_a_hedge_by_inverse_contracts(hedged: Office) -> None:
    """Long a bitcoin, short 100,000 dollars of it: what the short gains as the price falls is held in bitcoins."""
    hedged.read("main", held(BTC, 1.0, mark_price=50_000.0, entry_price=100_000.0))
    short = held(INVERSE, -1.0)
    lower = short.instrument.size(short.contracts, 50_000.0)
    hedged.read("fund", replace(short, mark_price=50_000.0, size=lower, notional=lower), equity=0.5)
    await hedged.again(times=3)
    assert hedged.told == []


async def test_a_hedge_that_is_built_up_step_by_step_is_never_off(office: Office) -> None:
    office.rules = rules()
    for short in (0.2, 0.5, 0.8, 1.0, 1.05):
        office.read("main", held(BTC, 1.0))
        office.read("fund", held(BTC, -short))
        await office.again(times=3)
    assert office.told == []
    found = track(office)
    assert found is not None
    assert found.ratio == 1.0


async def test_what_is_off_for_a_day_is_as_its_owner_wants_it(hedged: Office) -> None:
    hedged.read("fund", held(INVERSE, -0.7), equity=0.5)
    await hedged.again(times=UNWOUND)
    assert hedged.reasons("hedge") == ["first"]
    hedged.later(86_400)
    await hedged.again(times=4)
    assert hedged.reasons("hedge")[-1] == "resolved"
    hedged.read("fund", equity=0.5)
    await hedged.again(times=UNWOUND)
    assert hedged.reasons("hedge")[-1] == "first", "and one side gone is news again"
    hedged.later(86_400)
    await hedged.again(times=5)
    assert hedged.reasons("hedge")[-1] == "resolved"
    count = len(hedged.told)
    hedged.read("main")
    await hedged.again(times=8)
    assert len(hedged.told) == count
    assert track(hedged) is None


async def test_a_leg_that_cannot_be_seen_is_neither_gone_nor_there(hedged: Office) -> None:
    for _ in range(6):
        hedged.later(10)
        hedged.read("main", held(BTC, 1.0))
        await hedged.judge()
    assert hedged.told == []
    hedged.read("main", held(BTC, 0.2))
    hedged.later(10)
    await hedged.judge()
    assert hedged.told == []
    hedged.read("fund", held(INVERSE, -1.0), equity=0.5)
    await hedged.again(times=UNWOUND)
    assert hedged.reasons("hedge") == ["first"]


async def test_an_account_without_a_leg_that_is_blind_hides_no_breach_and_lets_nothing_resolve(hedged: Office) -> None:
    hedged.names = (*hedged.names, "third")
    hedged.read("third")
    await hedged.again(times=2)
    del hedged.sights["third"]
    hedged.read("fund", equity=0.5)
    await hedged.again(times=UNWOUND)
    assert hedged.reasons("hedge") == ["first"]
    hedged.read("fund", held(INVERSE, -1.0), equity=0.5)
    await hedged.again(times=10)
    assert hedged.reasons("hedge") == ["first"]
    hedged.read("third")
    await hedged.again(times=4)
    assert hedged.reasons("hedge") == ["first", "resolved"]


async def test_nothing_is_taken_for_a_hedge_before_all_accounts_were_read(office: Office) -> None:
    office.rules, office.names = rules(), ("main", "fund", "third")
    office.read("main", held(BTC, 2.0))
    office.read("fund", held(BTC, -1.0))
    await office.again(times=2)
    assert track(office) is None
    office.read("third", held(BTC, -1.0))
    await office.again(times=3)
    found = track(office)
    assert found is not None
    assert found.ratio == 1.0
    assert office.told == []


async def test_a_leg_lost_while_nobody_looked_is_told_after_the_restart(tmp_path: Path) -> None:
    clock, path = ManualClock(), tmp_path / "a.db"
    before = Office(await Store.open(path, clock), clock, rules())
    before.read("main", held(BTC, 1.0))
    before.read("fund", held(BTC, -1.0))
    await before.judge()
    await before.store.apply(Changes(alive_at=clock.now()))
    await before.store.close()
    clock.elapsed_s += 7_200
    after = Office(await Store.open(path, clock), clock, rules())
    after.read("main", held(BTC, 1.0))
    await after.judge()
    after.read("fund")
    await after.again(times=UNWOUND)
    assert after.reasons("hedge") == ["first"]
    assert "gone: BTC/USDT:USDT short of fund" in after.message("hedge")
    await after.store.close()


async def test_accounts_and_filters_that_change_begin_anew(hedged: Office) -> None:
    hedged.names = (*hedged.names, "third")
    hedged.read("third", held(BTC, 0.4))
    await hedged.again(times=3)
    assert hedged.told == [], "what was there before is no drift"
    hedged.read("third")
    await hedged.again(times=3)
    assert hedged.told == [], "better than before"
    hedged.read("fund", equity=0.5)
    await hedged.again(times=UNWOUND)
    assert hedged.reasons("hedge") == ["first"]
    hedged.names = ("main", "fund")
    await hedged.again(times=3)
    assert hedged.reasons("hedge") == ["first"], "its legs were in the two that stay"
    hedged.names = ("main",)
    await hedged.again(times=3)
    assert hedged.reasons("hedge") == ["first", "resolved"]
    assert hedged.told[-1].facts.resolution is Resolution.REMOVED  # type: ignore[union-attr]


async def test_an_account_that_is_added_ends_no_alert_of_a_hedge_that_is_off(hedged: Office) -> None:
    """Nor does one that is read for the first time much later leave the others unwatched."""
    hedged.names = (*hedged.names, "third")
    await hedged.again(times=2)
    hedged.read("fund", equity=0.5)
    await hedged.again(times=UNWOUND)
    assert hedged.reasons("hedge") == ["first"]
    hedged.read("third", held(ETH, 1.0))
    await hedged.again(times=3)
    hedged.names = (*hedged.names, "fourth")
    hedged.read("fourth")
    await hedged.again(times=3)
    assert hedged.reasons("hedge") == ["first"]
    hedged.read("fourth", held(BTC, -1.0))
    await hedged.again(times=4)
    assert hedged.reasons("hedge") == ["first", "resolved"]
    assert hedged.told[-1].facts.resolution is Resolution.RECOVERED  # type: ignore[union-attr]


async def test_a_rule_for_a_pair_of_accounts_does_not_silence_the_one_for_all(office: Office) -> None:
    """Nor the one for a coin, which is told by the more specific of the two."""
    pair = a_rule("hedge", warning="5%", where={"account": ["main", "fund"]})
    of_ether = a_rule("hedge", warning="2%", where={"symbol": "ETH/*"})
    office.rules, office.names = {**rules(), "pair": pair, "of_ether": of_ether}, ("main", "fund", "third", "fourth")
    office.read("main", held(BTC, 1.0), held(ETH, 5.0))
    office.read("fund", held(BTC, -1.0), held(ETH, -5.0))
    office.read("third", held(BTC, 1.0))
    office.read("fourth", held(BTC, -1.0))
    await office.again(times=2)
    office.read("fourth")
    await office.again(times=20)
    assert [(row.key.rule, row.key.subject) for row in office.told] == [("hedge", "BTC")]
    office.read("fourth", held(BTC, -1.0))
    office.read("fund", held(BTC, -1.0))
    await office.again(times=20)
    assert {row.key.rule for row in office.told if row.key.subject == "ETH"} == {"pair", "of_ether"}


async def test_what_is_held_elsewhere_counts_as_its_owner_declares_it(office: Office) -> None:
    """A bitcoin and a half in a wallet, against a short of as much: the short is what can be lost."""
    office.rules, office.names = rules(offset={"BTC": "1.5", "PEPE": "-2000000"}), ("main",)
    office.read("main", held(BTC, -1.5), held("1000PEPE/USDT:USDT", 2_000.0))
    await office.again(times=2)
    for name in ("BTC", "PEPE"):
        found = track(office, name)
        assert found is not None
        assert found.ratio == pytest.approx(1.0)
    office.read("main", held("1000PEPE/USDT:USDT", 2_000.0))
    await office.again(times=UNWOUND)
    assert office.reasons("hedge") == ["first"]
    text = office.message("hedge")
    assert "BTC hedge lost its short side" in text
    assert "now: declared offset" in text


@pytest.mark.parametrize("offset", [{"BTC": "much"}, {"BTC/USDT:USDT": "1"}, {"BTC": "1e99"}, {"BTC": "٣"}])
def test_an_offset_is_coins_by_their_name(offset: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        a_rule("hedge", warning="10%", offset=offset)


@given(
    ratio=st.floats(0.5, 2.0),
    long=st.floats(0.001, 1e6),
    change=st.floats(0.001, 1_000).filter(lambda change: abs(change - 1) > 0.02),
)
def test_either_half_of_the_remedy_restores_the_hedge_and_less_does_not(
    ratio: float, long: float, change: float
) -> None:
    short = long * ratio * change
    known = HedgeTrack(underlying="BTC", since=ManualClock().now(), ratio=ratio, legs=())
    drift = known.drift(long, short)
    assert 0 < drift < 1
    found = _remedy(ratio, long, short)
    for enough, is_whole in ((1.0, True), (0.99, False)):
        restored = {"long": long, "short": short}
        restored[found["restored_side"]] += found["restore_size"] * enough
        assert (known.drift(**restored) < 1e-9) is is_whole
        cut = {"long": long, "short": short}
        cut[found["cut_side"]] -= found["cut_other_size"] * enough
        assert (known.drift(**cut) < 1e-9) is is_whole
    assert (found["action"] == "sell") is (change < 1)


def test_profiles_give_a_warning_more_time_than_a_side_that_is_gone() -> None:
    for profile in PROFILES.values():
        rule = a_rule("hedge", **profile["hedge"])
        assert isinstance(rule, Hedge)
        assert rule.model_dump(by_alias=True)["for"] == {"warning": 180.0, "critical": None}
