"""Messages about things with hostile names, as they leave for Telegram, Discord and a plain service.

Rows are rendered and sent by the production's channels; only the network's edge is a double, which keeps the payload.
"""

import asyncio
import html
import json
import random
import re
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from html.parser import HTMLParser
from io import BytesIO
from typing import Any
from unittest import mock

import requests
from asyncio_throttle import Throttler
from urllib3 import HTTPResponse

from monitor.clock import SystemClock
from monitor.domain.alert import Reason, Resolution
from monitor.domain.notification import Notification
from monitor.domain.reading import AlertKey, Scope, Severity, Unit
from monitor.notify.channels import Channel
from monitor.notify.message import Rendered, render
from tests.fuzz.junk import hostile_text
from tests.fuzz.target import Target
from tests.outbox import a_notice, a_row, after, blind_row, facts
from tests.services import DISCORD_URL, TELEGRAM_URL

URLS = {"telegram": TELEGRAM_URL, "discord": DISCORD_URL, "plain": "json://localhost/x"}
# What each service takes, in UTF-16 units: Telegram after its markup is parsed.
TAKEN = {"telegram": 4_096, "discord": 2_000, "plain": 2 * 3_500}
LINE = "FORGED"
KINDS = (
    *("liquidation_distance", "margin_ratio", "funding_exposure", "blind", "unassessed", "stop_missing", "some_rule"),
    *("total_exposure", "correlated_exposure", "hedge"),
)
WORDS = (
    "why",
    "advice",
    "problem",
    "stop_unit",
    "side",
    "subjects",
    "failure_kind",
    "failure_detail",
    "worst_symbol",
    "currency",
    "settle",
    "base",
    *("largest_account", "coins", "assumed", "lost_side", "gone", "legs", "action", "restored_side", "cut_side"),
    "cut_besides",
)
NUMBERS = (
    *("mark_price", "liquidation_price", "own_liquidation_price", "equity", "add_collateral", "cut_size"),
    *("stop_size", "stop_within", "size", "take_profits"),
    *("gross_notional", "net_notional", "largest_notional", "staked_margin", "bitcoin_notional", "left_out"),
    *("long", "short", "net", "restore_size", "cut_other_size"),
    *("cut_share", "cut_positions", "next_payment", "annualised", "interval_h", "leverage", "positions"),
)
TIMES = ("next_payment_at", "last_read_at", "orders_at")
FIGURES: tuple[Any, ...] = (
    *(0.0, -1.0, 0.42, 12_345.678, 1e-300, 5e-324, 1e308, -1e308, 10**30),
    *(float("nan"), float("inf"), True, None, "7"),
)
MOMENTS = ("", "soon", "2025-10-10", "0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", "2025-10-10T12:00:00Z")
FAR = (datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC))
TAGS = frozenset({"b", "i", "u", "s", "code", "pre", "blockquote", "a"})
ENTITIES = frozenset({"lt", "gt", "amp", "quot"})
# What a service would make a mention of; any service may be Slack.
MENTIONS = {
    "telegram": re.compile(r"(?<!\w)@\w{3}|tg://"),
    "discord": re.compile(r"@everyone|@here|<(@[!&]?|#|/\w+:)\d|<id:"),
    "plain": re.compile(r"@everyone|@here|@channel|<[!@#]\w|(?<!\w)@\w{3}"),
}
LINKS = re.compile(r"\w://|\]\(|discord\.gg/|\bt\.me/|www\.\w", re.IGNORECASE)
FORMATTING = re.compile(r"\*\*|__|~~|\|\||`|^(#{1,3}|-#|>{1,3}) ", re.MULTILINE)
# The one invisible character is ours: it keeps apart what would be a mention or a link.
OURS = "\u200b"


@dataclass(frozen=True, slots=True)
class Case:
    """`limit` None is the channel's own."""

    service: str
    rows: tuple[Notification, ...]
    prefix: str
    limit: int | None


def draw(dice: random.Random) -> Case:
    count = dice.choice((1, 1, 1, 2, 5, 30))
    rows = tuple(_row(dice, sequence) for sequence in range(count))
    limit = None if dice.random() < 0.8 else dice.choice((120, 300, 1_000))
    return Case(dice.choice(tuple(URLS)), rows, dice.choice(("", "", "DEMO")), limit)


def _row(dice: random.Random, sequence: int) -> Notification:
    severity = dice.choice(tuple(Severity))
    if dice.random() < 0.2:
        lines = (hostile_text(dice, LINE) for _ in range(dice.choice((0, 1, 3, 40))))
        return a_notice(hostile_text(dice, LINE), *lines, sequence=sequence, severity=severity)
    kind = dice.choice((*KINDS, hostile_text(dice, LINE)))
    row = blind_row("main") if kind == "blind" else a_row()
    told = facts(
        rule_kind=kind,
        venue=hostile_text(dice, LINE),
        value=_figure(dice),
        worst_value=_figure(dice),
        threshold=_figure(dice),
        unit=dice.choice(tuple(Unit)),
        resolved_at=dice.choice((None, after(240), *FAR)),
        resolution=dice.choice((None, *Resolution)),
        is_flapping=dice.random() < 0.2,
        inputs=_inputs(dice),
    )
    subject = dice.choice((row.key.subject, hostile_text(dice, LINE), f"isolated:{hostile_text(dice, LINE)}:long"))
    key = AlertKey(row.key.rule, hostile_text(dice, LINE), dice.choice(tuple(Scope)), subject)
    return replace(
        row,
        key=key,
        facts=told,
        severity=severity,
        sequence=sequence,
        reason=dice.choice((Reason.FIRST, Reason.REPEAT, Reason.WORSE, Reason.RESOLVED)),
        possible_repeat=dice.random() < 0.2,
    )


def _figure(dice: random.Random) -> float | None:
    figure = dice.choice(FIGURES)
    return float(figure) if isinstance(figure, int | float) else None


def _inputs(dice: random.Random) -> dict[str, Any]:
    inputs: dict[str, Any] = {name: hostile_text(dice, LINE) for name in WORDS if dice.random() < 0.6}
    inputs |= {name: dice.choice(FIGURES) for name in NUMBERS if dice.random() < 0.5}
    inputs |= {name: dice.choice(MOMENTS) for name in TIMES if dice.random() < 0.5}
    return inputs


class Post:
    """The channels, and what the last of them posted."""

    def __init__(self, runner: asyncio.Runner) -> None:
        self._runner = runner
        clock = SystemClock()
        self.channels = {name: Channel(name, url, clock, throttler=Throttler(10**9, 1.0)) for name, url in URLS.items()}
        self.posted: list[dict[str, Any]] = []

    def take(self, request: requests.PreparedRequest, **_: Any) -> requests.Response:
        """As a service that accepts."""
        assert isinstance(request.body, str | bytes)
        self.posted.append(json.loads(request.body))
        response = requests.Response()
        response.status_code, response.request = 200, request
        response.raw = HTTPResponse(BytesIO(b'{"ok": true, "result": {}}'), preload_content=False)
        return response

    def send(self, service: str, rendered: Rendered) -> dict[str, Any]:
        self.posted.clear()
        result = self._runner.run(self.channels[service].send(rendered))
        assert result.is_accepted, result
        (payload,) = self.posted
        return payload


class Markup(HTMLParser):
    """The words in Telegram's HTML; raises AssertionError where Telegram would refuse it."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=False)
        self.words: list[str] = []
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert not self._open, f"never closed: {self._open}"

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        assert tag in TAGS, f"a tag <{tag}>"
        self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open, f"</{tag}> closes nothing"
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        assert "<" not in data, f"a bare < in {data!r:.80}"
        assert "&" not in data, f"a bare & in {data!r:.80}"
        self.words.append(data)

    def handle_entityref(self, name: str) -> None:
        assert name in ENTITIES, f"an entity &{name};"
        self.words.append(html.unescape(f"&{name};"))

    def handle_charref(self, name: str) -> None:
        self.words.append(html.unescape(f"&#{name};"))

    def handle_comment(self, data: str) -> None:
        raise AssertionError("a comment")

    def handle_decl(self, decl: str) -> None:
        raise AssertionError("a declaration")

    def unknown_decl(self, data: str) -> None:
        raise AssertionError("a marked section")

    def handle_pi(self, data: str) -> None:
        raise AssertionError("a processing instruction")


def check(post: Post, case: Case) -> str:
    limit = case.limit or post.channels[case.service].limit
    rendered = render(case.rows, after(5), limit, case.prefix)
    assert rendered.named
    assert rendered.title.strip(), "an empty title"
    payload = post.send(case.service, rendered)
    shown = _shown(case.service, payload).replace("\r\n", "\n")  # Apprise's own break behind the title
    size = len(shown.encode("utf-16-le")) // 2
    assert size <= TAKEN[case.service], f"{size} characters"
    assert not (found := MENTIONS[case.service].search(shown)), f"a mention: {found}"
    assert not (found := LINKS.search(shown)), f"a link: {found}"
    strange = {char for char in shown if unicodedata.category(char)[0] in "CZ" and char not in f" \n{OURS}"}
    assert not strange, f"strange characters: {strange}"
    for line in shown.splitlines():
        assert not line.removeprefix(case.prefix).strip().startswith(LINE), f"a forged line: {line!r:.80}"
        assert line.startswith(case.prefix), f"a line without {case.prefix}: {line!r:.80}"
    assert shown.split() == f"{rendered.title}\n{rendered.body}".split(), "the service shows something else"
    return case.service


def _shown(service: str, payload: dict[str, Any]) -> str:
    """What a reader sees of it."""
    if service == "telegram":
        assert payload.get("parse_mode") == "HTML"
        return "".join(Markup(payload["text"]).words)
    if service == "discord":
        assert payload["allowed_mentions"] == {"parse": []}
        assert not (found := FORMATTING.search(payload["content"])), f"formatting: {found}"
        return str(payload["content"])
    return f"{payload['title']}\n{payload['message']}".strip("\n")


@contextmanager
def target() -> Iterator[Target]:
    with asyncio.Runner() as runner:
        post = Post(runner)
        with mock.patch.object(requests.adapters.HTTPAdapter, "send", lambda _, *a, **k: post.take(*a, **k)):
            yield Target(draw, lambda case: check(post, case))
        for channel in post.channels.values():
            channel.close()
