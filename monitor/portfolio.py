"""What is judged over all accounts together, as they were last seen: after reads, in one evaluation and transaction.

Everything but `run_portfolio_cycle` is pure. An account that is blind makes what is judged over it unknown; `blind`
has told why.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime

from monitor.blindness import Sight, blind_after_s
from monitor.clock import Clock
from monitor.domain.alert import Alert, Resolution, advance, advance_absent, advance_unknown, end
from monitor.domain.reading import PORTFOLIO, AlertKey, Level, Reading, Scope, Severity, Unit, Verdict
from monitor.draft import Draft, is_quiet
from monitor.log import get_logger
from monitor.plan import UNASSESSED, AccountPlan
from monitor.risk.underlying import underlying_of
from monitor.rules.base import Context, Portfolio, Unseen
from monitor.rules.baskets import coins_in
from monitor.rules.book import evaluate_portfolio, remembered
from monitor.store.records import Changes
from monitor.store.store import Store

UNASSESSED_KEY = AlertKey(UNASSESSED, PORTFOLIO, Scope.PORTFOLIO, PORTFOLIO)

_log = get_logger(__name__)


async def run_portfolio_cycle(
    plan: AccountPlan, plans: Mapping[str, AccountPlan], sights: Mapping[str, Sight], store: Store, clock: Clock
) -> None:
    """Judge all accounts as they were last seen, and hand over what is news.

    A bug here must not end the watch over each account: what could not be judged stays as it is, and is told.
    """
    now = clock.now()
    judged: Portfolio | None = None
    try:
        judged = remembered(plan.rules, portfolio_of(plans, sights, now), store.hedges)
        of_accounts = (reading for sight in sights.values() for reading in sight.readings)
        readings = assess_portfolio(plan, judged, of_accounts)
    except Exception as error:  # noqa: BLE001
        if not store.alert(UNASSESSED_KEY).is_active:
            _log.exception("the accounts together could not be judged")
        judged = None
        readings = (_unassessed([f"a bug in perpwatch: {type(error).__name__}"], "all accounts", Verdict.BREACH),)
    changes = decide_portfolio(plan, judged, readings, store, now)
    if not changes.is_empty:
        await store.apply(changes)


def portfolio_of(plans: Mapping[str, AccountPlan], sights: Mapping[str, Sight], now: datetime) -> Portfolio:
    """The accounts of these plans; one that is about to be told as blind counts as unseen."""
    seen: dict[str, Context] = {}
    unseen: dict[str, Unseen] = {}
    for name, plan in plans.items():
        sight = sights.get(name)
        if sight is None or sight.context is None:
            unseen[name] = Unseen(plan.venue, "it was not read since the start")
        elif sight.age_s(now) >= blind_after_s(plan.poll_interval_s)[0]:
            unseen[name] = Unseen(plan.venue, "its last good read is too old")
        else:
            seen[name] = sight.context
    return Portfolio(seen=seen, unseen=unseen, now=now)


def assess_portfolio(
    plan: AccountPlan, portfolio: Portfolio, of_accounts: Iterable[Reading] = ()
) -> tuple[Reading, ...]:
    """What the rules say of all accounts together. What is unknown is told once: not where a reading of the account
    tells it, nor of an account that is blind, nor while it is on its way."""
    readings = evaluate_portfolio(plan.rules, portfolio)
    unknown = [reading for reading in readings if reading.is_unknown]
    told = {of.key.account for of in of_accounts if of.key.rule == UNASSESSED and of.verdict is Verdict.BREACH}
    missing = [reading for reading in unknown if not {"unseen", "is_pending"} & reading.inputs.keys()]
    news = [reading for reading in missing if reading.inputs.get("account") not in told]
    quiet = Verdict.HOLD if unknown else Verdict.CLEAR
    whys = [str(reading.inputs.get("why")) for reading in news]
    return (*readings, _unassessed(whys, ", ".join(r.key.rule for r in news[:5]), Verdict.BREACH if news else quiet))


def decide_portfolio(
    plan: AccountPlan, portfolio: Portfolio | None, readings: tuple[Reading, ...], store: Store, now: datetime
) -> Changes:
    """Every alert of the portfolio moved on, with the messages that are due. None: it could not be judged."""
    draft = Draft(store, now)
    by_key = {reading.key: reading for reading in readings}
    for key in (*by_key, *(key for key in store.keys_of(PORTFOLIO) if key not in by_key)):
        if not is_quiet(store.alerts.get(key), by_key.get(key)):
            alert = store.alert(key)
            draft.move(plan, alert, _next(plan, alert, by_key, portfolio, now))
    if portfolio is not None:
        draft.remember_hedges(portfolio.hedges)
    return draft.changes()


def _next(
    plan: AccountPlan, alert: Alert, readings: Mapping[AlertKey, Reading], portfolio: Portfolio | None, now: datetime
) -> Alert:
    key = alert.key
    if not plan.knows(key):
        return end(alert, Resolution.REMOVED, now)
    if key in readings:
        return advance(alert, readings[key], plan.policies[key.rule], now)
    if portfolio is None or portfolio.unseen:
        return advance_unknown(alert, now)
    if key.subject == PORTFOLIO or _is_held(key.subject, portfolio):
        # An edit took it from its rule: accounts, positions, or all but one account.
        return end(alert, Resolution.REMOVED, now)
    return advance_absent(alert, now)


def _is_held(subject: str, portfolio: Portfolio) -> bool:
    return any(
        underlying_of(position.instrument).name in coins_in(subject)
        for context in portfolio.seen.values()
        for position in context.snapshot.positions
    )


def _unassessed(whys: list[str], subjects: str, verdict: Verdict) -> Reading:
    return Reading(
        key=UNASSESSED_KEY,
        levels=(Level(Severity.WARNING, verdict, None),),
        value=float(len(whys)),
        unit=Unit.COUNT,
        inputs={
            "subjects": subjects,
            "why": whys[0] if whys else None,
            "advice": "add up exposure over your accounts yourself until it is known again",
        },
    )
