"""Every rule on accounts of the paper exchange, read over HTTP by the real ccxt classes: it speaks where the exchange's
own books say that it is so, with their figure, and is silent where they say that it is not."""

# ruff: noqa: F401, F811 - fixtures are imported, and named again as parameters

from copy import deepcopy
from datetime import timedelta

import pytest

from monitor.domain.reading import Reading, Verdict
from monitor.paper.engine import Engine
from monitor.paper.server import PaperServer
from monitor.risk.track import track_after
from monitor.rules.base import Context, Portfolio, Rule
from monitor.rules.book import RULE_KINDS, evaluate_portfolio, evaluate_rules, remembered
from tests.integration.truth_cases import CASES, Case, Figure
from tests.reading import Open, ShiftedClock, engine, exchanges, good, open_account, server

ALGO = "/fapi/v1/openAlgoOrders"
# Longer than a book or stop orders are kept; three looks give time to unwind both sides of a hedge.
APART, LOOKS = timedelta(seconds=61), 3
OVER_ALL = [kind for kind, of in RULE_KINDS.items() if of.evaluate_portfolio is not Rule.evaluate_portfolio]


class Desk:
    """A figure's accounts, read and remembered as the monitor does, and judged by its rule: each, and all together."""

    def __init__(self, figure: Figure, open_account: Open, clock: ShiftedClock) -> None:
        self._clock = clock
        self._rules = {figure.kind: figure.rule}
        self._sources = {name: open_account(name, at, needs=figure.rule.needs) for name, at in figure.at.items()}
        self._seen: dict[str, Context] = {}
        self._portfolio = Portfolio(seen={}, unseen={}, now=clock.now())

    async def look(self) -> dict[str, Reading]:
        """By subject."""
        now = self._clock.now()
        for name, source in self._sources.items():
            snapshot = await source.gathered(good(await source.observe()))
            before, markets = self._seen.get(name), source.markets()
            track = track_after(before.track if before else None, snapshot, markets)
            self._seen[name] = Context(snapshot=snapshot, markets=markets, now=now, track=track)
        portfolio = Portfolio(seen=dict(self._seen), unseen={}, now=now)
        self._portfolio = remembered(self._rules, portfolio, self._portfolio.hedges)
        readings = [reading for context in self._seen.values() for reading in evaluate_rules(self._rules, context)]
        readings += evaluate_portfolio(self._rules, self._portfolio)
        return {reading.key.subject: reading for reading in readings}


@pytest.fixture
def clock() -> ShiftedClock:
    """Half past noon: no funding falls due and no day ends, so nothing happens but what a case says."""
    clock = ShiftedClock()
    noon = clock.now().replace(hour=12, minute=30, second=0, microsecond=0)
    clock.ahead = noon + timedelta(days=1) - clock.now()
    return clock


@pytest.mark.parametrize("case", CASES, ids=str)
async def test_a_rule_tells_what_the_books_say_and_nothing_else(
    case: Case, engine: Engine, server: PaperServer, open_account: Open, clock: ShiftedClock
) -> None:
    figure = case.figure
    for act in case.given:
        act(engine)
    for name in figure.at if figure.stops else ():
        server.set_profile(name, listed={ALGO: tuple(figure.stops)})
    desk = Desk(figure, open_account, clock)
    readings, before = await desk.look(), deepcopy(engine)
    for look in range(LOOKS):
        clock.ahead += APART
        engine.advance(clock.now())
        for act in case.does if look == 0 else ():
            act(engine)
        readings = await desk.look()
    reading, truth = readings[figure.subject], figure.truth(before, engine)
    assert reading.value == (None if truth is None else pytest.approx(truth, rel=1e-6, abs=1e-9)), dict(reading.inputs)
    assert reading.severity is case.tells
    assert reading.verdict is (Verdict.CLEAR if case.tells is None else Verdict.BREACH)


@pytest.mark.parametrize("kind", RULE_KINDS)
def test_every_rule_is_shown_to_speak_and_to_be_silent(kind: str) -> None:
    assert {case.tells is not None for case in CASES if case.figure.kind == kind} == {True, False}


@pytest.mark.parametrize("kind", OVER_ALL)
def test_what_is_judged_over_all_accounts_is_shown_over_several(kind: str) -> None:
    several = [case for case in CASES if case.figure.kind == kind and len(case.figure.at) > 1]
    assert {case.tells is not None for case in several} == {True, False}
