"""What fuzzing found: files that held the monitor up for seconds, figures made of junk, words that broke a message."""

from pathlib import Path

import pytest

from monitor.config.loader import load, load_text
from monitor.config.problems import ConfigError, Place
from monitor.exchange.values import plain_number
from monitor.log import _Secrets
from monitor.notify import text
from monitor.notify.message import render
from tests.outbox import a_notice, a_row, after, facts
from tests.unit.malformed_yaml import channel_error, is_venue, mode_error


def refusal(text: str) -> str:
    with pytest.raises(ConfigError) as raised:
        load_text(text, is_venue=is_venue, channel_error=channel_error, mode_error=mode_error, env={})
    return str(raised.value)


def test_a_url_that_takes_seconds_to_take_apart_is_refused() -> None:
    url = "json://localhost/" + "a/" * 1_020
    assert "expected at most 2048 characters" in refusal(f"channels: {{phone: {{url: '{url}'}}}}\n")


def test_more_channels_than_can_be_opened_in_a_moment_are_refused() -> None:
    channels = "".join(f"  c{n}: {{url: json://localhost/{n}}}\n" for n in range(1_001))
    assert "channels.c1000: more than 1000 channels" in refusal(
        f"accounts: {{a: {{venue: okx}}}}\nchannels:\n{channels}"
    )


def test_more_globs_than_can_be_held_against_all_accounts_are_refused() -> None:
    globs = ", ".join(f"'*[{n}]?'" for n in range(502))
    file = (
        "accounts: {{desk: {{venue: okx}}}}\nrules: {{x: {{kind: margin_ratio, critical: 9%, where: {{{}: [{}]}}}}}}\n"
    )
    assert "rules.x.where.symbol[501]: more than 500 globs" in refusal(file.format("symbol", globs))
    assert "more than 500 globs" not in refusal(file.format("account", ", ".join(["'x*'"] * 500)))


def test_among_very_many_names_none_is_looked_for_that_was_meant() -> None:
    def file(channels: int) -> str:
        named = "".join(f"  desk-{n}: {{url: json://localhost/{n}}}\n" for n in range(channels))
        return f"channels:\n{named}accounts:\n  main: {{venue: okx, channels: [desk_0]}}\n"

    assert "did you mean desk-0?" in refusal(file(100))
    assert "no channel has the name desk_0" in refusal(file(1_000))
    assert "did you mean" not in refusal(file(1_000))


def test_a_name_that_turns_the_direction_of_text_is_not_quoted_as_what_was_meant() -> None:
    told = refusal("accounts:\n  \u2067desk: {venue: okx}\nrules: {x: {kind: margin_ratio, where: {account: desk}}}\n")
    assert "no account matches desk" in told
    assert "\u2067" not in told


def test_lines_end_where_those_of_yaml_end() -> None:
    assert Place.after("a\rb\r\nc\n  d", "f") == Place("f", 4, 4)
    assert Place.after("a\u2028b", "f") == Place("f", 1, 4)


def test_a_secret_registered_after_a_text_was_redacted_is_masked_in_the_next() -> None:
    secrets = _Secrets()
    secrets.add("first-canary")
    assert "first-canary" in secrets.ordered
    secrets.add("second-canary-which-is-longer")
    assert {"first-canary", "second-canary-which-is-longer"} <= set(secrets.ordered)


@pytest.mark.parametrize("limit", [120, 1_900, 3_500])
def test_a_message_of_emoji_is_as_long_as_the_service_counts_it(limit: int) -> None:
    rendered = render([a_notice("\U0001f525" * 200, *["\U0001f525" * 300] * 20)], after(5), limit)
    assert text.size(f"{rendered.title}\n{rendered.body}") <= limit
    assert text.size("a\U0001f525") == 3
    assert text.clip("\U0001f525" * 3, 4) == "\U0001f525…"


def test_a_name_without_one_visible_character_is_still_named() -> None:
    assert text.foreign("\u202e\u200b") == "?"
    assert text.foreign("") == ""


def test_a_link_that_an_underscore_hid_is_broken_up() -> None:
    assert "t.me" not in text.foreign("_t.me/abc")


@pytest.mark.parametrize("words", ["# head", "### head", "> quote", "-# small"])
def test_words_from_outside_begin_no_heading_or_quote(words: str) -> None:
    assert not text.foreign(words).startswith(words)


@pytest.mark.parametrize("moment", ["0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59"])
def test_a_time_beyond_the_calendar_is_left_out(moment: str) -> None:
    funding = facts(rule_kind="funding_exposure", inputs={"next_payment": 1.0, "next_payment_at": moment})
    assert "next: pay 1 \u00b7" in render([a_row(facts=funding)], after(5), 3_500).body


@pytest.mark.parametrize("text", ["1" * 300_000 + "x", "1." + "1" * 300_000 + "x", "1e" + "1" * 300_000 + "x"])
def test_a_very_long_text_that_is_nearly_a_number_is_none_at_once(text: str) -> None:
    with pytest.raises(ValueError, match="is not a number"):
        plain_number(text)


def test_bytes_that_are_no_text_behind_a_byte_order_mark_are_told_with_their_place(tmp_path: Path) -> None:
    path = tmp_path / "perpwatch.yaml"
    path.write_bytes(b"\xef\xbb\xbfa: 1\nb\xc4: 2\n")
    with pytest.raises(ConfigError) as caught:
        load(path, is_venue=is_venue, channel_error=channel_error, mode_error=mode_error, env={})
    assert [(found.line, found.column) for found in caught.value.errors] == [(2, 2)]
