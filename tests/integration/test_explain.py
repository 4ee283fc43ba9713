"""`perpwatch explain`: the figures behind each rule's word, the threshold that applies, and where that comes from."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from monitor.cli.explain import worked
from monitor.domain.account import Side
from monitor.paper.faults import Fault, FaultKind
from monitor.rules.base import Context
from monitor.rules.book import RULE_KINDS, evaluate_rules
from tests.builders import NOON, a_position, a_rule, a_snapshot
from tests.daemon_kit import WARNING_MARK, House, Shell, a_house

RULES = {
    **dict.fromkeys(RULE_KINDS, "false"),
    "liquidation_distance": "{warning: 5%, critical: 3%}",
    "position_size": "{warning: 10%, critical: 15%}",
    "hedge": "{warning: 10%}",
    "btc_size": "{kind: position_size, where: {symbol: 'BTC/*', side: long}, critical: 70%}",
    "doge_loss": "{kind: loss, where: {symbol: 'DOGE/*'}, warning: 10%}",
    "other_loss": "{kind: loss, where: {account: other}, warning: 10%}",
}


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[Shell]:
    started = Shell(tmp_path)
    yield started
    started.close()


def write(house: House) -> None:
    house.yaml.rules = RULES
    house.yaml.account("other")
    house.write()
    house.mark(WARNING_MARK)


async def readings_of(shell: Shell, *arguments: str | Path) -> dict[tuple[str, str], Any]:
    ended = await shell("explain", "main", "--json", *arguments)
    assert ended.code == 0, ended.err
    told = json.loads(ended.out)
    return {(reading["key"]["rule"], reading["key"]["subject"]): reading for reading in told["readings"]}


async def test_each_figure_is_shown_with_its_formula_and_the_threshold_with_its_origin(
    tmp_path: Path, shell: Shell
) -> None:
    async with a_house(tmp_path, speed=None) as house:
        write(house)
        ended = await shell("explain", "main", "-c", house.path)
        assert ended.code == 0, ended.err
        lines = [line.rstrip() for line in ended.out.splitlines()]
        assert "  critical btc_size of BTC/USDT:USDT long: 230%" in lines
        assert "           numbers   9,200 / 4,000 = 230%" in lines
        rule = "btc_size (a position_size) where symbol BTC/*, side long; in place of position_size (more specific)"
        assert f"           rule      {rule}" in lines
        assert "           warning   at 10%, from the rule position_size: breach" in lines
        text = house.path.read_text()
        line = next(n for n, given in enumerate(text.splitlines(), 1) if "btc_size" in given)
        column = text.splitlines()[line - 1].index("70%") + 1
        assert f"           critical  at 70%, {house.path}:{line}:{column}: breach" in lines
        assert "  silent   position_size: btc_size (more specific) speaks in its place" in lines
        assert "  silent   hedge: it judges all accounts together: perpwatch explain portfolio" in lines
        assert "  silent   doge_loss: it is for other positions" in lines
        assert "  silent   other_loss: it is for other accounts" in lines


async def test_a_threshold_of_today_stands_beside_what_the_profile_says(tmp_path: Path, shell: Shell) -> None:
    async with a_house(tmp_path, speed=None) as house:
        house.yaml.rules = {kind: "false" for kind in RULE_KINDS if kind not in ("trailing_stop", "common_shock")}
        house.write()
        ended = await shell("explain", "main", "-c", house.path)
        assert ended.code == 0, ended.err
        assert re.search(r"numbers +\(([\d,.]+) - \1\) / \1, of a short the negative = 0%", ended.out)
        assert re.search(r"warning +at [\d.]+%, from the profile retail, which says 2 ATR: clear", ended.out)
        assert re.search(r"best at 20\d\d-\d\d-\d\d \d\d:\d\d:\d\d UTC", ended.out)
        assert "silent   common_shock: nothing that it is for is held, or the venue does not" in ended.out


async def test_moments_and_shares_are_written_as_people_read_them(tmp_path: Path, shell: Shell) -> None:
    async with a_house(tmp_path, speed=None) as house:
        rules = {"take_profit": "{levels: [5%], severity: info}", "drawdown": "{warning: 5%, critical: 9%}"}
        house.yaml.rules = {**dict.fromkeys(RULE_KINDS, "false"), **rules}
        house.write()
        house.mark(101_000.0)
        ended = await shell("explain", "main", "-c", house.path)
        assert ended.code == 0, ended.err
        assert re.search(r"inputs +level 5%, gain 1%, mark price 101,000", ended.out)
        assert re.search(r"info +at 5%, by the rule itself: clear", ended.out)
        assert re.search(r"window day, .*, since 20\d\d-\d\d-\d\d \d\d:\d\d:\d\d UTC", ended.out)


async def test_the_same_as_json_narrowed_to_a_position(tmp_path: Path, shell: Shell) -> None:
    async with a_house(tmp_path, speed=None) as house:
        write(house)
        house.engine.open("main", "ETHUSDT", Side.LONG, 1, 4_000, 10)
        whole = await readings_of(shell, "-c", house.path)
        assert {subject for _, subject in whole} == {"BTC/USDT:USDT long", "ETH/USDT:USDT long"}
        for symbol in ("ETH/USDT:USDT", "eth", "ETH/*"):
            eth = await readings_of(shell, symbol, "-c", house.path)
            assert set(eth) == {(rule, subject) for rule, subject in whole if subject.startswith("ETH")}
        size = whole["btc_size", "BTC/USDT:USDT long"]
        assert (size["kind"], size["where"], size["instead_of"]) == (
            "position_size",
            {"symbol": "BTC/*", "side": "long"},
            ["position_size"],
        )
        warning = size["thresholds"]["warning"]
        assert warning == {"value": 0.1, "verdict": "breach", "source": "from the rule position_size"}
        assert whole["position_size", "ETH/USDT:USDT long"]["instead_of"] == []


async def test_of_two_rules_for_the_same_it_is_said_which_one_speaks_and_why(tmp_path: Path, shell: Shell) -> None:
    async with a_house(tmp_path, speed=None) as house:
        house.yaml.rules = {
            **{kind: "false" for kind in RULE_KINDS if kind not in ("position_size", "leverage")},
            "one": "{kind: position_size, where: {side: long}, warning: 10%}",
            "two": "{kind: position_size, where: {side: long}, warning: 11%}",
            "mine": "{kind: leverage, warning: 2x}",
            "of_btc": "{kind: leverage, where: {symbol: 'BTC/*'}, warning: 2x}",
        }
        house.write()
        ended = await shell("explain", "main", "-c", house.path)
        assert ended.code == 0, ended.err
        words = " ".join(ended.out.split())
        assert (
            "rule two (a position_size) where side long; in place of position_size (more specific); "
            "in place of one (as specific, later in the YAML)"
        ) in words
        assert "rule mine (a leverage) for everything; in place of leverage (as specific, with a name" in words
        assert "rule of_btc (a leverage) where symbol BTC/* silent" in words, "a part stands beside the whole"
        assert "silent one: two (as specific, later in the YAML) speaks in its place" in words
        assert "silent leverage: mine (as specific, with a name of its own) speaks in its place" in words


async def test_what_cannot_be_explained_is_one_sentence(tmp_path: Path, shell: Shell) -> None:
    async with a_house(tmp_path, speed=None) as house:
        write(house)
        unknown = await shell("explain", "mian", "-c", house.path)
        assert (unknown.code, unknown.out) == (1, "")
        assert unknown.err == "perpwatch: no account is called mian, did you mean main?: there is main, other\n"
        absent = await shell("explain", "main", "DOGE", "-c", house.path)
        assert (absent.code, absent.err) == (1, "perpwatch: main holds no DOGE: it holds BTC/USDT:USDT\n")
        house.server.misbehave(Fault(kind=FaultKind.OVERLOADED))
        unread = await shell("explain", "main", "-c", house.path)
        assert unread.code == 2
        assert "main: not read (overloaded)" in unread.out
        as_json = await shell("explain", "main", "--json", "-c", house.path)
        assert as_json.code == 2
        told = json.loads(as_json.out)
        assert (told["failure"]["kind"], told["readings"]) == ("overloaded", None)


def test_figures_take_the_place_of_their_names_and_what_is_unknown_keeps_its_name() -> None:
    def shown(kind: str, **account: Any) -> str | None:
        rule = a_rule(kind, warning="10%")
        snapshot = a_snapshot(a_position(contracts=20, mark_price=100, rate=0.05), **account)
        (reading,) = evaluate_rules({kind: rule}, Context(snapshot=snapshot, markets={}, now=NOON))
        return worked(rule, reading)

    assert shown("margin_ratio", equity=250.0) == "100 / 250 = 40%"
    assert shown("margin_ratio", equity=None) == "100 / equity"
    assert shown("funding_exposure") is None


async def test_what_is_explained_is_judged_by_all_that_once_judges_by(tmp_path: Path, shell: Shell) -> None:
    """Stop orders, and what is remembered of the account, among it."""
    async with a_house(tmp_path, speed=None) as house:
        house.yaml.rules = {"trailing_stop": "{warning: 6%, critical: 9%}"}
        house.write()
        ended = await shell("once", "--json", "-c", house.path)
        (account,) = json.loads(ended.out)["accounts"]
        verdicts = {(r["key"]["rule"], r["key"]["subject"]): r["verdict"] for r in account["readings"]}
        explained = await readings_of(shell, "-c", house.path)
        assert {key: reading["verdict"] for key, reading in explained.items()} == {
            key: verdict for key, verdict in verdicts.items() if key[0] != "unassessed"
        }
        assert verdicts["trailing_stop", "BTC/USDT:USDT long"] == "clear"
        assert verdicts["drawdown", "day"] == "clear"
