"""The tables of `perpwatch once` on terminals and in pipes: what is too long folds, and no figure is cut."""

import re
from typing import Any

import pytest

from monitor.cli.once import Read, print_table, value_words
from monitor.domain.account import PriceOrigin, Side
from monitor.domain.reading import Verdict
from monitor.rules.base import Context, Portfolio
from monitor.rules.book import evaluate_rules
from tests.builders import NOON, a_position, a_rule, a_snapshot

BTC: dict[str, Any] = {
    "contracts": 12.5,
    "mark_price": 93_421.5,
    "liquidation_price": 88_944.7,
    "unrealized_pnl": -8_012,
}
PEPE: dict[str, Any] = {
    "symbol": "1000PEPE/USDT:USDT",
    "side": Side.SHORT,
    "contracts": 123_456_789,
    "mark_price": 0.0123456,
    "liquidation_price": 0.0145678,
    "liquidation_price_origin": PriceOrigin.OWN_ESTIMATE,
    "unrealized_pnl": -123_456.0,
}
FIGURES = "123,456,789 0.0123456 ~0.0145678 1,524,148 USDT -123,456"


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """An 80-column one."""
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("LINES", "24")
    monkeypatch.setenv("TERM", "xterm")


def told(capsys: pytest.CaptureFixture[str], *positions: dict[str, Any]) -> list[str]:
    print_table([Read(a_snapshot(*(a_position(**position) for position in positions), equity=1_234_567.8), ())])
    return [re.sub("\x1b\\[[0-9;]*m", "", line).rstrip() for line in capsys.readouterr().out.splitlines()]


@pytest.mark.usefixtures("terminal")
def test_an_account_fits_80_columns_with_all_of_its_figures(capsys: pytest.CaptureFixture[str]) -> None:
    lines = told(capsys, BTC)
    assert max(map(len, lines)) <= 80
    assert "BTC/USDT:USDT long 12.5 93,421.5 88,944.7 1,167,769 USDT -8,012" in " ".join(lines[4].split())
    assert not any("estimate" in line for line in lines)


@pytest.mark.usefixtures("terminal")
def test_where_80_columns_are_too_few_the_name_folds_and_each_figure_stays_whole(
    capsys: pytest.CaptureFixture[str],
) -> None:
    lines = told(capsys, BTC, PEPE)
    row = next(number for number, line in enumerate(lines) if "1000PEPE" in line)
    assert lines[row].split(maxsplit=1)[1].split() == FIGURES.split()
    assert lines[row + 1].strip() == "short"
    assert "  ~ our own estimate: the venue tells no liquidation price" in lines


def test_into_a_pipe_each_position_is_one_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    assert f"1000PEPE/USDT:USDT short {FIGURES}" in [" ".join(line.split()) for line in told(capsys, BTC, PEPE)]


def test_a_reading_between_its_threshold_and_where_it_is_clear_is_explained(capsys: pytest.CaptureFixture[str]) -> None:
    rules = {"margin_ratio": a_rule("margin_ratio", warning="40%")}
    snapshot = a_snapshot(a_position(contracts=1, mark_price=100, rate=0.05), equity=13.0)
    readings = evaluate_rules(rules, Context(snapshot=snapshot, markets={}, now=NOON))
    print_table([Read(snapshot, readings)])
    lines = capsys.readouterr().out.splitlines()
    assert "  hold     margin_ratio of cross:USDT: 38.46%" in lines
    assert "  hold: an alert goes on and none begins, short of its threshold" in lines


def test_what_all_hold_together_is_told_as_one_accounts_where_it_is() -> None:
    """Past its threshold, and clear."""
    one, other = a_snapshot(a_position(mark_price=1_000), equity=90.0), a_snapshot(account="fund", equity=10.0)
    seen = {of.account: Context(snapshot=of, markets={}, now=NOON) for of in (one, other)}
    rule = a_rule("total_exposure", warning="5x")
    (reading,) = rule.evaluate_portfolio("total_exposure", Portfolio(seen=seen, unseen={}, now=NOON))
    assert (reading.verdict, value_words(reading)) == (Verdict.CLEAR, "10x, held by main alone")
