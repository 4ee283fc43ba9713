"""Shocks of the market, recorded and made up: what they move, and what they leave of each pool."""

import re
from dataclasses import replace

import pytest
import typer

from monitor.cli.stress import shock_of
from monitor.cli.stress_view import as_object, print_tables
from monitor.domain.account import AccountSnapshot, Collateral, FailureKind, MarginBalance, PollFailure, Side
from monitor.risk.reprice import reprice
from monitor.risk.stress import HISTORIC, Outcome, Shock, StressedAccount, dollars_of, first_of, outcome, stressed
from tests.builders import NOON, a_position, a_snapshot

SOL, INVERSE = "SOL/USDT:USDT", "BTC/USD:BTC"
BY_NAME = {shock.name: shock for shock in HISTORIC}


def a_book(equity: float = 2_000.0, account: str = "main") -> AccountSnapshot:
    """1,000 long in BTC and in SOL."""
    return a_snapshot(a_position(contracts=10), a_position(symbol=SOL, contracts=10), equity=equity, account=account)


def after(snapshot: AccountSnapshot, shock: Shock) -> Outcome:
    return outcome(snapshot, snapshot.margins[0], {}, shock)


@pytest.mark.parametrize(
    ("shock", "btc", "eth", "sol", "doge"),
    [
        ("2020-03-12", -0.50, -0.50, -0.50, -0.50),
        ("2021-05-19", -0.30, -0.40, -0.41, -0.41),
        ("2022-11", -0.26, -0.26, -0.26, -0.26),
        ("2025-10-10", -0.16, -0.16, -0.31, -0.47),
        ("stablecoin 0.65", 0.0, 0.0, 0.0, 0.0),
    ],
)
def test_each_coin_moves_by_its_own_figure(shock: str, btc: float, eth: float, sol: float, doge: float) -> None:
    rates = [set(BY_NAME[shock].rates(coin)) for coin in ("BTC", "ETH", "SOL", "DOGE")]
    assert rates == [{btc}, {eth}, {sol}, {doge}]


def test_what_a_shock_leaves_is_what_repricing_says() -> None:
    snapshot, shock = a_book(), BY_NAME["2025-10-10"]
    repriced = reprice(snapshot, {"BTC/USDT:USDT": 84.0, SOL: 69.0}, {}).margins[0]
    found = after(snapshot, shock)
    assert found.after.equity == pytest.approx(repriced.equity)
    assert found.after.maintenance_margin == pytest.approx(repriced.maintenance_margin)
    assert found.is_liquidated is False
    assert found.dollars == found.after.equity


def test_a_pool_that_does_not_survive_says_at_which_move_of_btc() -> None:
    found = after(a_book(equity=235.0 + 8.0), BY_NAME["2025-10-10"])
    assert found.is_liquidated is True
    assert found.share == pytest.approx(0.5, abs=0.01)
    assert found.btc_move == pytest.approx(-0.08, abs=0.002)


def test_a_shock_without_btc_tells_its_share() -> None:
    found = after(a_book(equity=250.0), Shock(name="sol", moves={"SOL": -0.4}))
    assert (found.is_liquidated, found.btc_move) == (True, None)
    assert found.share == pytest.approx(0.61, abs=0.01)


def test_a_pool_that_is_liquidatable_today_goes_first() -> None:
    found = after(a_book(equity=5.0), BY_NAME["2022-11"])
    assert (found.share, found.btc_move) == (0.0, 0.0)


def test_a_pool_without_positions_is_not_liquidated_however_empty() -> None:
    found = after(a_snapshot(equity=0.0), BY_NAME["2020-03-12"])
    assert (found.is_liquidated, found.dollars) == (False, 0.0)


def test_a_pool_in_a_coin_is_worth_what_the_coin_is_worth_then() -> None:
    snapshot = a_snapshot(a_position(symbol=INVERSE, contracts=1, mark_price=100_000), equity=0.1)
    snapshot = replace(snapshot, positions=())
    found = outcome(snapshot, snapshot.margins[0], {}, BY_NAME["2021-05-19"])
    assert found.dollars is None, "without a mark of BTC its worth is not known"
    linear = a_position(contracts=0.001, mark_price=100_000)
    both = replace(snapshot, positions=(linear,), margins=(*snapshot.margins, *a_snapshot(linear).margins))
    assert outcome(both, both.margins[0], {}, BY_NAME["2021-05-19"]).dollars == pytest.approx(0.1 * 70_000)


def test_a_dollar_token_that_falls_takes_the_worth_of_a_pool_in_it_and_leaves_its_ratio() -> None:
    found = after(a_book(), BY_NAME["stablecoin 0.65"])
    assert found.after.equity == 2_000.0
    assert found.dollars == pytest.approx(1_300.0)
    assert found.after.margin_ratio == a_book().margins[0].margin_ratio
    assert after(a_book(), shock_of(["USDe=0.65"])).dollars == 2_000.0, "the pool is in USDT"


def of_several_coins() -> AccountSnapshot:
    book = a_book()
    return replace(book, margins=(replace(book.margins[0], currency="USD"),))


def test_what_a_pool_of_several_coins_holds_of_a_dollar_token_is_not_known() -> None:
    found = after(of_several_coins(), BY_NAME["stablecoin 0.65"])
    assert (found.after.equity, found.dollars, found.is_liquidated) == (None, None, None)
    assert found.why == "how much of it is in dollar tokens is not told"
    assert after(of_several_coins(), BY_NAME["2025-10-10"]).is_liquidated is False


def test_a_dollar_token_that_falls_takes_what_of_it_is_told_to_stand_behind_a_pool_of_several_coins() -> None:
    book = of_several_coins()
    held = tuple(
        Collateral(coin=coin, price=1.0, amount=amount) for coin, amount in (("USDT", 1_500.0), ("EUR", 500.0))
    )
    found = after(replace(book, collateral=held), BY_NAME["stablecoin 0.65"])
    assert found.why == ""
    assert found.after.equity == pytest.approx(2_000 - 0.35 * 1_500)
    assert (found.dollars, found.is_liquidated) == (found.after.equity, False)


def test_coins_behind_a_pool_fall_by_their_own_figures() -> None:
    held = (Collateral(coin="ETH", price=100.0, amount=10.0), Collateral(coin="USDT", price=1.0, amount=1_000.0))
    found = after(replace(of_several_coins(), collateral=held), BY_NAME["2025-10-10"])
    assert found.after.equity == pytest.approx(2_000 - 160 - 310 - 160)


@pytest.mark.parametrize(
    "snapshot",
    [a_snapshot(a_position(), equity=None), a_snapshot(a_position(maintenance_margin=None))],
    ids=["equity", "maintenance"],
)
def test_what_is_not_known_of_a_pool_leaves_it_unknown(snapshot: AccountSnapshot) -> None:
    found = after(snapshot, BY_NAME["2020-03-12"])
    assert found.is_liquidated is None
    assert "is not known" in found.why


def test_a_pool_whose_margin_the_venue_does_not_tell_is_unknown_and_not_left_out() -> None:
    (pool,) = stressed(replace(a_book(), margins=()), {}, HISTORIC).pools
    assert pool.balance.pool == "cross:USDT"
    assert {found.is_liquidated for found in pool.outcomes.values()} == {None}


def test_the_move_of_btc_counts_with_the_betas_that_were_measured() -> None:
    falls = [
        stressed(a_book(equity=500.0), {}, HISTORIC, betas).pools[0].moves
        for betas in (None, {"SOL": 1.2}, {"SOL": 4.0})
    ]
    floored, calm, wild = [moves.fall for moves in falls if moves is not None]
    assert floored == calm
    assert floored is not None
    assert wild is not None
    assert wild == pytest.approx(floored * 3.5 / 5.0, rel=0.01)


# --- shocks of one's own ---


def test_the_parts_make_one_shock() -> None:
    shock = shock_of(["BTC=-20%", "eth=-30.5%", "*=-40%", "SOL=+5%", "USDe=0.65"])
    assert shock.moves == {"BTC": -0.2, "ETH": -0.305, "SOL": 0.05}
    assert (shock.others, shock.collateral) == (-0.4, {"USDE": 0.65})
    assert shock.rates("DOGE") == (-0.4,)
    assert shock.rates("USDE")[0] == pytest.approx(-0.35)
    assert shock.rates("USDC") == (0.0,)


def test_coins_that_are_not_named_move_with_btc_as_the_rule_has_them() -> None:
    shock = shock_of(["BTC=-20%"])
    assert (shock.rates("BTC"), shock.rates("DOGE")) == ((-0.2,), (-0.2, -0.5))
    assert after(a_book(), shock).after.equity == pytest.approx(2_000 - 200 - 500)
    assert set(shock_of(["ETH=-20%"]).rates("DOGE")) == {0.0}


@pytest.mark.parametrize(
    "parts",
    [
        ["BTC"],
        ["BTC=20"],
        ["ETH=0.65"],
        ["USDe=0"],
        ["USDe=11"],
        ["BTC=-100%"],
        ["BTC=1001%"],
        ["BTC=-20%", "btc=-30%"],
        ["*=-1%", "*=-2%"],
        ["*=0.5"],
        [""],
        ["B TC=-1%"],
        ["BTC=١%"],
    ],
)
def test_what_is_no_shock_is_refused(parts: list[str]) -> None:
    with pytest.raises(typer.BadParameter, match="--shock"):
        shock_of(parts)


# --- all accounts together ---


def accounts(*shocks: Shock) -> list[StressedAccount]:
    failure = PollFailure(account="broken", venue="x", observed_at=NOON, kind=FailureKind.TIMEOUT, detail="gone")
    return [
        stressed(a_book(account="calm"), {}, shocks),
        stressed(a_book(equity=300.0, account="daring"), {}, shocks),
        stressed(a_book(equity=200.0, account="reckless"), {}, shocks),
        StressedAccount(failure, ()),
    ]


def test_who_is_liquidated_first_is_who_stands_the_smallest_part_of_the_shock() -> None:
    shock = BY_NAME["2025-10-10"]
    assert [first.account for first in first_of(shock, accounts(shock))] == ["reckless", "daring"]


def test_the_worth_of_an_account_is_unknown_where_that_of_a_pool_is() -> None:
    shock = BY_NAME["2025-10-10"]
    book = a_book()
    assert dollars_of(stressed(book, {}, (shock,)), shock) == pytest.approx(2_000 - 160 - 310)
    more = MarginBalance(pool="cross:ETH", currency="ETH", equity=1.0, maintenance_margin=0.0)
    assert dollars_of(stressed(replace(book, margins=(*book.margins, more)), {}, (shock,)), shock) is None


def test_the_json_says_all_that_the_tables_say() -> None:
    shocks = (*HISTORIC, shock_of(["BTC=-20%"]))
    found = as_object(shocks, accounts(*shocks))
    assert [shock["name"] for shock in found["shocks"]] == [shock.name for shock in shocks]
    assert found["shocks"][3]["first_liquidated"]["account"] == "reckless"
    calm, daring, _, broken = found["accounts"]
    assert (broken["failure"]["kind"], broken["pools"], broken["dollars"]) == ("timeout", None, None)
    (pool,) = calm["pools"]
    assert set(pool["shocks"]) == {shock.name for shock in shocks}
    assert daring["pools"][0]["btc_fall"] == pytest.approx(-292 / 3486, abs=1e-6)
    assert pool["shocks"]["stablecoin 0.65"]["dollars"] == pytest.approx(1_300.0)


def test_the_tables_mark_what_is_held_still_or_unknown_and_leave_out_what_is_empty(
    capsys: pytest.CaptureFixture[str],
) -> None:
    empty = MarginBalance(pool="cross:ETH", currency="ETH", equity=0.0, maintenance_margin=0.0)
    mixed = of_several_coins()
    snapshot = replace(mixed, margins=(*mixed.margins, empty))
    print_tables(HISTORIC, [stressed(snapshot, {}, HISTORIC)])
    told = capsys.readouterr().out
    assert "the worth of its coins is held still: which they are is not told" in told
    assert "unknown after stablecoin 0.65: how much of it is in dollar tokens is not told" in told
    assert "cross:ETH" not in told


def test_the_rows_of_a_pool_fit_a_terminal_whatever_its_name(capsys: pytest.CaptureFixture[str]) -> None:
    pool = "isolated:1000000MOGUSDT/USDT:USDT:short"
    position = a_position(symbol=SOL, contracts=3_000, pool=pool)
    print_tables(HISTORIC, [stressed(a_snapshot(position, equity=123_456.0), {}, HISTORIC)])
    rows = capsys.readouterr().out.partition("Who is liquidated first")[0].splitlines()
    assert f"  {pool}" in rows
    assert any("at BTC -" in row for row in rows)
    assert max(map(len, rows)) <= 80


def test_nobody_is_said_to_be_first_only_where_all_is_known(capsys: pytest.CaptureFixture[str]) -> None:
    """An account that could not be read, or a pool that could not be judged, may be the first of all."""
    shock = BY_NAME["stablecoin 0.65"]
    calm, _, _, broken = accounts(shock)
    unjudged = stressed(of_several_coins(), {}, (shock,))
    for seen, row in (
        ([calm], ["nobody", "0 of 1"]),
        ([calm, broken], ["unknown", "0 of 1", "1 account"]),
        ([broken], ["unknown", "0 of 0", "1 account"]),
        ([calm, unjudged, broken], ["unknown", "0 of 2", "1 pool, 1 account"]),
    ):
        print_tables((shock,), seen)
        line = capsys.readouterr().out.partition("Who is liquidated first")[2].splitlines()[2]
        assert re.split(r" {2,}", line.strip())[1:] == row
    (found,) = as_object((shock,), [calm, unjudged, broken])["shocks"]
    assert found["unread_accounts"] == ["broken"]
    assert [pool["account"] for pool in found["unknown_pools"]] == [unjudged.observation.account]


def test_a_short_is_not_lent_a_gain_by_an_assumed_beta() -> None:
    hedged = a_snapshot(
        a_position(symbol=SOL, contracts=10), a_position(symbol="ETH/USDT:USDT", side=Side.SHORT, contracts=10)
    )
    assert after(hedged, shock_of(["BTC=-20%"])).after.equity == pytest.approx(1_000 - 500 + 200)
