"""What coins stand behind a margin pool, and how much of what their prices do reaches it."""

from dataclasses import replace

import pytest

from monitor.domain.account import AccountSnapshot, Collateral, MarginBalance
from monitor.risk.backing import Backing, backing_of, moving_coins
from tests.builders import a_position, a_snapshot

APART = MarginBalance(pool="isolated:ETH/USDT:USDT:long", currency="USDT", equity=50.0, maintenance_margin=1.0)


def a_unified(*collateral: Collateral, equity: float | None = 1_000.0) -> AccountSnapshot:
    snapshot = a_snapshot(a_position(pool="cross:USD"), equity=equity)
    (balance,) = snapshot.margins
    return replace(snapshot, margins=(replace(balance, currency="USD"),), collateral=collateral)


def coin(name: str, worth: float | None) -> Collateral:
    return Collateral(coin=name, price=4.0, amount=None if worth is None else worth / 4)


def backing(snapshot: AccountSnapshot) -> dict[str, Backing] | None:
    found = backing_of(snapshot, snapshot.margins[0])
    return None if found is None else dict(found)


@pytest.mark.parametrize(
    ("held", "expected"),
    [
        ((coin("USDT", 1_000),), {"USDT": Backing(1_000)}),
        ((coin("USDT", 400), coin("BTC", 600)), {"USDT": Backing(400), "BTC": Backing(600)}),
        ((coin("USDT", 500), coin("BTC", 1_000)), {"USDT": Backing(500), "BTC": Backing(1_000, 0.5, 0.5)}),
        ((coin("USDT", 900), coin("BTC", 60)), {"USDT": Backing(900), "BTC": Backing(60)}),
        ((coin("USDT", 1_200), coin("BTC", 60)), {"USDT": Backing(1_200), "BTC": Backing(60, 0.0, 0.0)}),
        ((coin("USDT", 1_500), coin("BTC", -500)), {"USDT": Backing(1_500), "BTC": Backing(-500)}),
        ((coin("EUR", 700), coin("BFUSD", 300)), {"EUR": Backing(700), "BFUSD": Backing(300)}),
        ((coin("USDT", 400), coin("BTC", None)), None),
        ((), None),
    ],
    ids=[
        "dollars",
        "whole",
        "haircut",
        "more counted than held",
        "nothing counted",
        "owed",
        "money",
        "amount",
        "untold",
    ],
)
def test_how_much_of_each_coin_counts_is_what_of_the_equity_is_not_in_dollars(
    held: tuple[Collateral, ...], expected: dict[str, Backing] | None
) -> None:
    assert backing(a_unified(*held)) == expected


def test_a_haircut_that_is_told_is_taken_and_the_rest_is_read_off_the_equity() -> None:
    told = replace(coin("ETH", 400), haircut=0.25)
    beside = (coin("USDT", 300), told, replace(coin("SOL", -100), haircut=0.5), coin("BTC", 1_000))
    assert backing(a_unified(*beside)) == {
        "USDT": Backing(300),
        "ETH": Backing(400, 0.75, 0.75),
        "SOL": Backing(-100),
        "BTC": Backing(1_000, 0.5, 0.5),
    }


def test_beside_isolated_positions_what_coins_lose_counts_whole() -> None:
    snapshot = a_unified(coin("USDT", 500), coin("BTC", 1_000))
    beside = replace(snapshot, margins=(*snapshot.margins, APART))
    assert backing(beside) == {"USDT": Backing(500), "BTC": Backing(1_000, 1.0, 0.5)}
    assert backing_of(beside, APART) == {}


def test_a_pool_in_its_own_currency_has_nothing_else_behind_it_and_one_of_unknown_equity_is_not_known() -> None:
    snapshot = a_snapshot(a_position(), collateral=(coin("BTC", 600),))
    assert backing(snapshot) == {}
    assert backing(a_unified(coin("BTC", 600), equity=None)) is None


@pytest.mark.parametrize(
    ("one", "falls", "rises"),
    [
        (Backing(100.0), -50.0, 50.0),
        (Backing(100.0, lost=1.0, gained=0.8), -50.0, 40.0),
        (Backing(-100.0, lost=1.0, gained=0.8), 40.0, -50.0),
    ],
)
def test_what_a_price_takes_and_gives_is_counted_by_the_share_of_each(one: Backing, falls: float, rises: float) -> None:
    assert [one.change(0.5), one.change(1.5), one.change(1.0)] == pytest.approx([falls, rises, 0.0])


def test_a_coin_of_which_next_to_nothing_is_held_does_not_move_the_pool() -> None:
    snapshot = a_unified(coin("USDT", 600), coin("BTC", 391), coin("ETH", 9))
    assert moving_coins(snapshot, snapshot.margins[0]) == {"BTC"}
