"""Words and figures as people read them: short, harmless, rounded to the safe side."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.notify import text
from tests.outbox import NOON, after


def test_what_is_cut_from_a_name_is_marked() -> None:
    assert text.foreign("x" * 500) == "x" * 79 + "…"


@pytest.mark.parametrize("words", ["# big", "> quoted", ">>>", "-# small", "_# small", "~# small"])
def test_no_name_begins_a_heading_or_a_quote(words: str) -> None:
    assert text.foreign(words).startswith("\u200b")


@given(st.text())
def test_foreign_text_is_one_short_line(words: str) -> None:
    safe = text.foreign(words)
    assert "\n" not in safe
    assert len(safe.replace("\u200b", "")) <= 80


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (60123.5, "60,123.5"),
        (0.000012345678, "0.0000123457"),
        (1234567.89, "1,234,568"),
        (100.0, "100"),
        (None, "unknown"),
        (0.0, "0"),
    ],
)
def test_prices_keep_six_significant_digits(value: float | None, written: str) -> None:
    assert text.price(value) == written


@pytest.mark.parametrize(
    ("value", "written"),
    [(1240.4, "1,240"), (12.34, "12.3"), (0.42, "0.42"), (0.0, "0"), (-0.0, "0"), (-1e-14, "0"), (-0.5, "-0.5")],
)
def test_an_amount_has_three_digits_and_a_zero_no_sign(value: float, written: str) -> None:
    assert text.amount(value) == written


@pytest.mark.parametrize(
    ("seconds", "written"),
    [(0, "0 s"), (59.4, "59 s"), (60, "1 min"), (7500, "2 h 5 min"), (7200, "2 h"), (273600, "3 d 4 h"), (-3, "0 s")],
)
def test_durations_have_two_units_at_most(seconds: float, written: str) -> None:
    assert text.duration(seconds) == written


@pytest.mark.parametrize(
    ("ratio", "written"),
    [
        (0.042, "4.2%"),
        (0.8, "80%"),
        (0.00001, "0.001%"),
        (None, "unknown"),
        (-0.5, "-50%"),
        (-0.0, "0%"),
        (12.0, "1,200%"),
    ],
)
def test_ratios_are_written_as_percent(ratio: float | None, written: str) -> None:
    assert text.percent(ratio) == written


@given(st.floats(min_value=1e-6, max_value=1e9))
def test_an_amount_to_do_is_never_less_than_needed(needed: float) -> None:
    assert float(text.amount_to_do(needed).replace(",", "")) >= needed * (1 - 1e-9)


def test_times_of_another_day_carry_their_date() -> None:
    assert text.moment(NOON, after(60)) == "12:00"
    assert text.moment(NOON, NOON + timedelta(days=1)) == "10 Oct 12:00"
