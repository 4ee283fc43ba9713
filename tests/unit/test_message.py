"""What stands on the phone: short, worst first, with what to do, and nothing an outsider's text could do harm with."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.domain.alert import Reason, Resolution
from monitor.domain.notification import Notification
from monitor.domain.reading import AlertKey, Scope, Severity, Unit
from monitor.notify.message import render, stories
from tests.outbox import BTC, NOON, a_notice, a_row, after, blind_row, facts, key, resolved_row

SOON = after(5)
LIMIT = 3_500


def lines_of(*rows: Notification, limit: int = LIMIT, prefix: str = "", now: Any = SOON) -> list[str]:
    rendered = render(rows, now, limit, prefix)
    return [rendered.title, *rendered.body.splitlines()]


def many(count: int, severity: Severity = Severity.CRITICAL) -> list[Notification]:
    return [a_row(key=key(account=f"fund-{n}"), severity=severity) for n in range(count)]


def test_an_alert_says_what_is_wrong_how_bad_it_is_and_what_to_do() -> None:
    assert lines_of(a_row()) == [
        "CRITICAL main: BTC/USDT:USDT long 4.2% from liquidation",
        "Distance to liquidation 4.2% (critical at 6%)",
        "mark 60,123.5 · liquidation 57,598 (venue) · since 12:00 UTC",
        "Do: add 1,240 USDT, or cut 0.42 BTC (35%)",
    ]


@pytest.mark.parametrize(
    ("reason", "title"),
    [
        (Reason.FIRST, "CRITICAL main: BTC/USDT:USDT long 4.2% from liquidation"),
        (Reason.WORSE, "worse: CRITICAL main: BTC/USDT:USDT long 4.2% from liquidation"),
        (Reason.REPEAT, "still CRITICAL main: BTC/USDT:USDT long 4.2% from liquidation"),
    ],
)
def test_the_title_tells_why_the_reader_is_told(reason: Reason, title: str) -> None:
    assert lines_of(a_row(reason))[0] == title


@pytest.mark.parametrize(
    ("changes", "title"),
    [
        ({"value": 0.0}, "CRITICAL main: BTC/USDT:USDT long is at its liquidation price"),
        ({"value": None}, "CRITICAL main: BTC/USDT:USDT long distance to liquidation unknown"),
        (
            {"rule_kind": "margin_ratio", "value": 0.8234, "inputs": {}},
            "CRITICAL main: BTC/USDT:USDT long margin ratio 82.34%",
        ),
        (
            {"rule_kind": "margin_ratio", "value": None, "inputs": {"equity": -5.0}},
            "CRITICAL main: BTC/USDT:USDT long equity is gone, liquidation is due",
        ),
        (
            {"rule_kind": "funding_exposure", "value": 0.012, "inputs": {"currency": "USDT"}},
            "CRITICAL main: USDT funding costs 1.2% of equity per day",
        ),
        ({"rule_kind": "some_new_rule", "value": 0.5}, "CRITICAL main: BTC/USDT:USDT long some new rule 50%"),
        (
            {"rule_kind": "unassessed", "value": 2.0, "unit": Unit.COUNT},
            "CRITICAL main: 2 figures cannot be judged",
        ),
    ],
)
def test_each_kind_of_rule_has_its_own_headline(changes: dict[str, Any], title: str) -> None:
    assert lines_of(a_row(facts=facts(**changes)))[0] == title


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("leverage", "no equity is left"),
        ("volatility_leverage", "no equity is left"),
        ("total_exposure", "no equity is left"),
        ("position_size", "no equity is left"),
        ("correlated_exposure", "no equity is left"),
        ("funding_exposure", "no equity is left"),
        ("margin_ratio", "equity is gone"),
        ("exit_liquidity", "no margin buffer left"),
    ],
)
def test_what_is_beyond_any_number_is_not_called_unknown(kind: str, words: str) -> None:
    gone = facts(rule_kind=kind, value=None, unit=Unit.LEVERAGE, threshold=5.0, inputs={"equity": -400.0})
    title, *body = lines_of(a_row(facts=gone))
    assert words in title
    assert "unknown" not in " ".join(body)


def test_a_blind_account_is_told_with_its_last_good_read_and_what_is_held_there() -> None:
    assert lines_of(blind_row("main")) == [
        "CRITICAL main: no good read for 1 min (rate_limit)",
        "Last good read 12:00 UTC · 2 positions open then",
        "HTTP 429",
        "Do: look at this account at the venue yourself until it is read again",
    ]


def test_funding_names_the_next_payment_and_the_worst_contract() -> None:
    inputs = {
        "currency": "USDT",
        "next_payment": 12.345,
        "next_payment_at": after(4 * 3600).isoformat(),
        "annualised": 4.38,
        "worst_symbol": "BTC/USDT:USDT",
        "interval_h": 8.0,
        "cut_share": 0.4141,
    }
    row = a_row(
        facts=facts(rule_kind="funding_exposure", value=0.012, threshold=0.01, unit=Unit.RATIO_PER_DAY, inputs=inputs)
    )
    assert lines_of(row)[1:] == [
        "Funding 1.2% per day of equity (critical at 1% per day)",
        "next: pay 12.3 USDT at 16:00 UTC · 438% per year · since 12:00 UTC",
        "largest: BTC/USDT:USDT every 8 h",
        "Do: cut positions by 42%",
    ]


def test_funding_tells_what_it_has_cost_and_how_long_the_buffer_lasts() -> None:
    inputs = {
        "currency": "USDT",
        "next_payment": 12.345,
        "worst_symbol": "BTC/USDT:USDT",
        "interval_h": 8.0,
        "days_left": 12.5,
        "paid": 234.5,
        "paid_share": 0.0234,
        "paid_since": after(-7 * 86_400).isoformat(),
    }
    row = a_row(
        facts=facts(rule_kind="funding_exposure", value=0.012, threshold=0.01, unit=Unit.RATIO_PER_DAY, inputs=inputs)
    )
    assert lines_of(row)[3:5] == [
        "largest: BTC/USDT:USDT every 8 h · eats the margin buffer in 12 d 12 h",
        "paid in the last 7 days: 234 USDT, 2.34% of equity",
    ]
    changes = {"paid": -0.5, "paid_share": None, "paid_since": after(-3 * 3600).isoformat(), "days_left": 4000.0}
    row = a_row(
        facts=facts(rule_kind="funding_exposure", value=0.0, unit=Unit.RATIO_PER_DAY, inputs={**inputs, **changes})
    )
    assert lines_of(row)[3:5] == [
        "largest: BTC/USDT:USDT every 8 h",
        "received in the last 3 h: 0.5 USDT",
    ]


@pytest.mark.parametrize(
    ("realised", "unrealised", "words"), [(-20.0, -20.0, " · 20 of it booked"), (15.0, -40.0, ""), (None, -40.0, "")]
)
def test_a_loss_says_what_of_it_is_booked(realised: float | None, unrealised: float, words: str) -> None:
    inputs = {
        "loss": 40.0,
        "realised": realised,
        "unrealised": unrealised,
        "initial_margin": 192.0,
        "currency": "USDT",
    }
    row = a_row(facts=facts(rule_kind="loss", value=0.208, threshold=0.2, unit=Unit.RATIO, inputs=inputs))
    assert f"loss 40 USDT{words} · initial margin 192 USDT" in lines_of(row)[2]


def test_what_to_do_is_rounded_up_since_less_would_not_be_enough() -> None:
    inputs = {"add_collateral": 1234.2, "currency": "USDT", "cut_size": 0.12341, "base": "BTC", "cut_share": 0.3401}
    assert lines_of(a_row(facts=facts(inputs=inputs)))[-1] == "Do: add 1,240 USDT, or cut 0.124 BTC (35%)"


def test_our_own_price_is_told_where_it_disagrees_with_the_venues() -> None:
    close = facts(inputs={**facts().inputs, "own_liquidation_price": 57_500.0})
    apart = facts(inputs={**facts().inputs, "own_liquidation_price": 58_500.0})
    assert not any("our own" in line for line in lines_of(a_row(facts=close)))
    assert "our own estimate is 58,500" in lines_of(a_row(facts=apart))


@given(
    st.dictionaries(
        st.sampled_from(
            [
                *facts().inputs,
                "equity",
                "next_payment",
                "next_payment_at",
                "positions",
                "why",
                "advice",
                "interval_h",
                "worst_symbol",
            ]
        ),
        st.none() | st.text(max_size=5) | st.floats() | st.booleans() | st.integers(),
    ),
    st.sampled_from(["liquidation_distance", "margin_ratio", "funding_exposure", "blind", "unassessed", "config", "x"]),
    st.none() | st.floats(),
)
def test_any_input_may_be_missing_or_strange(inputs: dict[str, Any], kind: str, value: float | None) -> None:
    for reason in Reason:
        rendered = render([a_row(reason, facts=facts(inputs=inputs, rule_kind=kind, value=value))], SOON, LIMIT)
        assert rendered.title.strip()
        assert "None" not in rendered.body


def test_a_resolved_alert_tells_how_long_it_took_and_the_worst_of_it() -> None:
    assert lines_of(resolved_row(), now=after(250)) == [
        "resolved main: BTC/USDT:USDT long liquidation distance after 4 min, worst 3.1%",
        "fired 12:00, resolved 12:04 UTC (recovered)",
        "now 12%",
    ]


def test_an_alert_that_was_over_before_it_could_be_told_is_told_once_as_late() -> None:
    first, repeat, end = a_row(), a_row(Reason.REPEAT, sequence=1), resolved_row(sequence=2)
    rendered = render([first, end, repeat], after(250), LIMIT)
    assert "fired 12:00, resolved 12:04 UTC (recovered)" in rendered.body
    assert "delivered late" in rendered.body
    assert list(rendered.named) == [first, repeat, end]


def test_a_resolved_alert_that_was_told_in_time_is_not_called_late() -> None:
    assert "late" not in render([a_row(Reason.REPEAT, sequence=1), resolved_row(sequence=2)], after(250), LIMIT).body


@pytest.mark.parametrize(
    ("resolution", "beginning"),
    [
        (Resolution.LIQUIDATED, "LIQUIDATED main: "),
        (Resolution.AUTO_DELEVERAGED, "AUTO-DELEVERAGED main: "),
        (Resolution.POSITION_GONE, "resolved main: BTC/USDT:USDT long liquidation distance, position gone"),
        (Resolution.REMOVED, "resolved main: BTC/USDT:USDT long liquidation distance, removed from the configuration"),
        (Resolution.UNTOLD, "resolved main: BTC/USDT:USDT long liquidation distance, its figure is not told any more"),
    ],
)
def test_the_title_tells_how_an_episode_ended(resolution: Resolution, beginning: str) -> None:
    row = resolved_row(facts=facts(resolution=resolution, resolved_at=after(240)))
    assert lines_of(row)[0].startswith(beginning)


def test_an_end_that_a_read_cannot_tell_apart_says_that_more_may_follow() -> None:
    """The venue's records lag, so that LIQUIDATED may come half a minute later."""
    lines = lines_of(resolved_row(facts=facts(resolution=Resolution.POSITION_GONE, resolved_at=after(240))))
    assert [line for line in lines if "later" in line or line.startswith("Do:")] == [
        "closed or liquidated, a read alone cannot tell: what the venue's records show of it later is told then",
        "Do: look at the venue if it was not you",
    ]


def test_a_liquidation_comes_first_in_a_digest_and_a_recovery_last() -> None:
    liquidated = resolved_row(key=key("a"), facts=facts(resolution=Resolution.LIQUIDATED, resolved_at=after(1)))
    told = lines_of(resolved_row(key=key("c")), a_row(key=key("b"), severity=Severity.WARNING), liquidated)
    assert told[0] == "1 liquidated, 1 warning, 1 resolved"
    assert [line.split(" ")[0] for line in told[1:]] == ["LIQUIDATED", "WARNING", "resolved"]


def test_what_was_taken_stands_before_what_still_burns_and_is_called_what_it_was() -> None:
    taken = resolved_row(key=key("a"), severity=Severity.CRITICAL, facts=facts(resolution=Resolution.AUTO_DELEVERAGED))
    told = lines_of(a_row(Reason.REPEAT, key=key("b")), taken)
    assert told[0] == "1 auto-deleveraged, 1 critical"
    assert [line.split(" ")[0] for line in told[1:]] == ["AUTO-DELEVERAGED", "still"]


def test_a_notice_in_a_digest_tells_the_news_and_not_what_to_do() -> None:
    notice = a_notice("LIQUIDATED main: X long", "5 contracts at 90", "nothing of it is open now", "Do: look at it")
    assert lines_of(notice, a_row(severity=Severity.WARNING))[1:] == [
        "WARNING main: BTC/USDT:USDT long 4.2% from liquidation",
        "LIQUIDATED main: X long; 5 contracts at 90; nothing of it is open now",
    ]


def test_the_severity_of_a_message_is_that_of_what_is_not_over() -> None:
    bad_end = resolved_row(key=key("a"), facts=facts(resolution=Resolution.LIQUIDATED))
    warning = a_row(key=key("b"), severity=Severity.WARNING)
    assert render([resolved_row()], SOON, LIMIT).severity is Severity.INFO
    assert render([resolved_row(), warning], SOON, LIMIT).severity is Severity.WARNING
    assert render([bad_end, warning], SOON, LIMIT).severity is Severity.CRITICAL


def test_notices_in_a_digest_read_as_sentences() -> None:
    first = a_notice("configuration not taken", "The old rules go on.", "y:1:2: no")
    told = lines_of(first, a_notice("two", "b.", sequence=1))
    assert told == ["2 notices", "configuration not taken; The old rules go on; y:1:2: no", "two; b"]


def test_an_account_read_again_says_how_long_it_was_blind() -> None:
    blind = facts(rule_kind="blind", value=2.0, worst_value=98.0, unit=Unit.SECONDS)
    told = replace(blind, fired_at=NOON, resolved_at=after(240), resolution=Resolution.RECOVERED)
    row = resolved_row(key=AlertKey("blind", "main", Scope.ACCOUNT, "main"), facts=told)
    assert lines_of(row)[0] == "resolved main: is read again after 1 min"
    removed = replace(row, facts=replace(told, resolution=Resolution.REMOVED))
    assert lines_of(removed)[0] == "resolved main: no good read, removed from the configuration after 1 min"


def test_what_an_isolated_position_needs_goes_to_its_own_margin() -> None:
    isolated = facts(inputs={"currency": "USDT", "add_collateral": 100.0, "margin_mode": "isolated"})
    assert lines_of(a_row(facts=isolated))[-1] == "Do: add 100 USDT to its isolated margin"
    pool = AlertKey("margin_ratio", "main", Scope.POOL, "isolated:BTC/USDT:USDT:long")
    ratio = facts(rule_kind="margin_ratio", inputs={"currency": "USDT", "add_collateral": 100.0})
    told = lines_of(a_row(key=pool, facts=ratio))
    assert told[0] == "CRITICAL main: isolated BTC/USDT:USDT long margin ratio 4.2%"
    assert told[-1] == "Do: add 100 USDT to its isolated margin"


def test_a_message_whose_last_attempt_may_have_arrived_says_so() -> None:
    assert "(possible repeat)" in lines_of(a_row(possible_repeat=True))


def test_figures_that_waited_are_dated() -> None:
    assert "as of 12:00 UTC, delivered late" in lines_of(a_row(), now=after(600))
    assert not any("as of" in line for line in lines_of(a_row(), now=after(30)))


def test_flapping_is_told() -> None:
    assert any(line.startswith("flapping") for line in lines_of(a_row(facts=facts(is_flapping=True))))


def test_a_notice_keeps_its_title_and_lines() -> None:
    assert lines_of(a_notice("started: 3 accounts", "main: 2 positions", "b: flat")) == [
        "started: 3 accounts",
        "main: 2 positions",
        "b: flat",
    ]


def test_several_alerts_make_one_line_each_worst_first_and_what_is_critical_says_what_to_do() -> None:
    rows = [
        a_row(key=key("w"), severity=Severity.WARNING),
        a_row(Reason.REPEAT, key=key("r")),
        resolved_row(key=key("x")),
        a_row(key=key("c")),
    ]
    assert lines_of(*rows) == [
        "2 critical, 1 warning, 1 resolved",
        "CRITICAL c: BTC/USDT:USDT long 4.2% from liquidation; add 1,240 USDT, or cut 0.42 BTC (35%)",
        "still CRITICAL r: BTC/USDT:USDT long 4.2% from liquidation; add 1,240 USDT, or cut 0.42 BTC (35%)",
        "WARNING w: BTC/USDT:USDT long 4.2% from liquidation",
        "resolved x: BTC/USDT:USDT long liquidation distance after 4 min, worst 3.1%",
    ]


def test_the_blind_accounts_that_share_a_line_are_said_to_be_repeated_where_one_may_be() -> None:
    rows = (blind_row("main"), blind_row("other", possible_repeat=True))
    assert lines_of(*rows)[-1].endswith("(possible repeat)")


def test_the_end_of_an_episode_stands_before_the_news_of_the_next() -> None:
    end, again = resolved_row(), a_row(episode=2, created_at=after(300))
    title, *lines = lines_of(again, a_row(key=key("other"), severity=Severity.WARNING), end)
    assert title == "1 critical, 1 warning, 1 resolved"
    assert [line.split(":")[0] for line in lines] == ["resolved main", "CRITICAL main", "WARNING other"]


def test_the_blind_accounts_of_one_venue_share_a_line() -> None:
    other = blind_row("elsewhere", facts=facts(rule_kind="blind", venue="bybit", value=65.0, unit=Unit.SECONDS))
    told = lines_of(blind_row("a"), other, blind_row("b"), blind_row("c"))
    assert told[0] == "4 critical"
    assert "CRITICAL binanceusdm: no good read of a, b, c for up to 1 min" in told
    assert len(told) == 3


@pytest.mark.parametrize("limit", [160, 400, 1_900, 3_500])
def test_what_does_not_fit_is_counted_and_stays_owed(limit: int) -> None:
    rows = many(100)
    rendered = render(rows, SOON, limit)
    shown = rendered.body.splitlines()
    assert len(rendered.title) + 1 + len(rendered.body) <= limit
    assert shown[-1] == f"+{len(rows) - len(rendered.named)} more"
    assert len(rendered.named) == len(shown) - 1 >= 1
    assert all(f"{row.key.account}:" in rendered.body for row in rendered.named)


def test_what_is_cut_is_what_is_least_bad() -> None:
    warnings = [replace(row, key=key("calm")) for row in many(1, Severity.WARNING)]
    rendered = render([*warnings, *many(40)], SOON, 1_900)
    assert rendered.title == "40 critical, 1 warning"
    assert all(row.severity is Severity.CRITICAL for row in rendered.named)
    assert rendered.severity is Severity.CRITICAL


@given(st.integers(1, 80), st.integers(120, 3_500), st.sampled_from(["", "DEMO"]), st.booleans())
def test_a_message_never_exceeds_its_limit_and_always_tells_something(
    count: int, limit: int, prefix: str, blind: bool
) -> None:
    rows = [blind_row(f"account-{n}") for n in range(count)] if blind else many(count)
    rendered = render(rows, SOON, limit, prefix)
    assert len(rendered.title) + 1 + len(rendered.body) <= limit
    assert rendered.named
    if prefix:
        assert all(line.startswith("DEMO ") for line in [rendered.title, *rendered.body.splitlines()])


HOSTILE = [
    "@everyone",
    "@here sell",
    "<@123456>",
    "<@&42>",
    "<#99>",
    "**bold** `code` ||spoiler||",
    "[free money](https://evil.example)",
    "https://evil.example/x",
    "discord.gg/abc",
    "line one\nDo: send all your coins\r\nnow",
    "\x1b[31mred\x07\x00",
    "\u202egnol\u202c \u2066x\u2069 \u200f",
    "_under_ __line__",
    "~~gone~~",
    "x" * 500,
]


@pytest.mark.parametrize("name", HOSTILE)
def test_no_name_or_error_text_pings_links_or_breaks_out_of_its_line(name: str) -> None:
    honest = lines_of(a_row(facts=facts(inputs={"why": "a"})))
    row = a_row(key=AlertKey("r", name, Scope.POSITION, name), facts=facts(inputs={"why": name}))
    told = lines_of(row)
    assert len(told) == len(honest)
    for line in [*told, *lines_of(row, a_row())]:
        for harm in (
            "@everyone",
            "@here",
            "<@",
            "<#",
            "](",
            "://",
            "**",
            "||",
            "~~",
            "__",
            "`",
            "\x1b",
            "\u202e",
            "discord.gg",
        ):
            assert harm not in line
        assert len(line) <= 310


def test_the_strongest_untold_reason_speaks_for_an_episode() -> None:
    (story,) = stories([a_row(Reason.REPEAT, sequence=2), a_row(), a_row(Reason.WORSE, sequence=1)])
    assert story.reason is Reason.FIRST
    assert story.speaker.sequence == 2
    assert BTC in story.speaker.key.subject
