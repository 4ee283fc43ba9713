"""Words, flags and brackets as venues spoil them: malformed, or unknown, and never a default."""

from typing import Any

import pytest

from monitor.domain.market import Tier, are_sound
from monitor.exchange.failures import ReadError
from monitor.exchange.values import flag, word, words

LOW, HIGH = Tier(0, 50_000, 0.004, 0), Tier(50_000, 1e9, 0.005, 50)


@pytest.mark.parametrize(
    ("row", "due"),
    [
        *(({}, False), ({"x": None}, False), ({"x": ""}, False), ({"x": False}, False), ({"x": "false"}, False)),
        *(({"x": True}, True), ({"x": "true"}, True), ({"x": "TRUE"}, True)),
    ],
)
def test_a_flag_is_sent_as_true_or_as_text_or_left_out(row: dict[str, Any], due: bool) -> None:
    assert flag(row, "x") is due


@pytest.mark.parametrize("junk", [0, 1, "1", "yes", " true", [], [True], {}, 1.0])
def test_a_flag_that_is_none_is_malformed(junk: Any) -> None:
    with pytest.raises(ReadError):
        flag({"x": junk}, "x")


@pytest.mark.parametrize(("row", "due"), [({}, ""), ({"x": None}, ""), ({"x": ""}, ""), ({"x": "net"}, "net")])
def test_a_word_may_be_left_out(row: dict[str, Any], due: str) -> None:
    assert word(row, "x") == due


@pytest.mark.parametrize("junk", [0, False, [], ["net"], {}])
def test_a_word_that_is_none_is_malformed(junk: Any) -> None:
    with pytest.raises(ReadError):
        word({"x": junk}, "x")


@pytest.mark.parametrize(("row", "due"), [({}, []), ({"x": []}, []), ({"x": ["a", ""]}, ["a", ""])])
def test_a_list_of_words_may_be_left_out(row: dict[str, Any], due: list[str]) -> None:
    assert words(row, "x") == due


@pytest.mark.parametrize("junk", [None, "", "a", [None], ["a", 1], [["a"]], {}])
def test_a_list_of_anything_else_is_malformed(junk: Any) -> None:
    with pytest.raises(ReadError):
        words({"x": junk}, "x")


@pytest.mark.parametrize("tiers", [(), (LOW,), (LOW, HIGH), (Tier(0, 5, 0, 0), Tier(5, 6, 1, 5))])
def test_brackets_that_rise_are_sound(tiers: tuple[Tier, ...]) -> None:
    assert are_sound(tiers)


@pytest.mark.parametrize(
    "tiers",
    [
        (HIGH,),
        (LOW, Tier(60_000, 1e9, 0.005, 251)),
        (HIGH, LOW),
        (LOW, LOW),
        (LOW, Tier(49_999, 1e9, 0.005, 50)),
        (Tier(0, 0, 0.004, 0),),
        (Tier(-1, 50_000, 0.004, 0),),
        (Tier(0, 50_000, -0.004, 0),),
        (Tier(0, 50_000, 1.004, 0),),
        (Tier(0, 50_000, 0.004, 1),),
        (LOW, Tier(50_000, 1e9, 0.005, 251)),
        (LOW, Tier(50_000, 1e9, 0.005, -1)),
    ],
)
def test_brackets_that_lap_over_each_other_or_owe_less_than_nothing_are_not(tiers: tuple[Tier, ...]) -> None:
    assert not are_sound(tiers)
