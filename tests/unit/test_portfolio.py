"""What is judged over all accounts: sums that need all of them, and what blindness, edits and restarts make of it."""

# ruff: noqa: F401, F811 - fixtures are imported, and named again as parameters

import random
from dataclasses import replace
from pathlib import Path

import pytest

from monitor.cli.check import offline_findings
from monitor.config.problems import NAME
from monitor.config.profiles import PROFILES
from monitor.config.settings import Settings
from monitor.domain.account import MarginBalance, Side
from monitor.domain.alert import AlertState, Resolution, after_downtime
from monitor.domain.reading import PORTFOLIO, Reading, Scope, Severity, Verdict
from monitor.portfolio import UNASSESSED_KEY
from monitor.rules.base import Context, Portfolio, Rule, Unseen
from monitor.rules.book import evaluate_portfolio
from monitor.rules.total_exposure import TotalExposure
from monitor.store.records import Changes
from monitor.store.store import Store
from tests.builders import NOON, a_rule, a_snapshot
from tests.unit.portfolio_kit import BTC, ETH, INVERSE, Office, held, office
from tests.unit.store_kit import ManualClock

EXPOSURE = {"total_exposure": a_rule("total_exposure", warning="5x", critical="8x")}
CONCENTRATION = {"concentration": a_rule("concentration", warning="60%", critical="80%")}


def a_portfolio(*unseen: str, **accounts: Context) -> Portfolio:
    return Portfolio(seen=accounts, unseen=dict.fromkeys(unseen, Unseen("bybit", "it is blind")), now=NOON)


def an_account(name: str, *coins: tuple[str, float], equity: float = 10_000.0) -> Context:
    positions = [held(symbol, size) for symbol, size in coins]
    return Context(snapshot=a_snapshot(*positions, equity=equity, account=name), markets={}, now=NOON)


def judged(rules: dict[str, Rule], portfolio: Portfolio) -> Reading | None:
    readings = evaluate_portfolio(rules, portfolio)
    assert len(readings) <= 1
    return readings[0] if readings else None


@pytest.mark.parametrize(
    ("equity", "value", "severity"),
    [(40_000, 3.5, None), (25_000, 5.6, Severity.WARNING), (15_000, 140 / 15, Severity.CRITICAL), (-1, None, 2)],
)
def test_both_sides_of_all_accounts_count_against_what_they_are_worth_together(
    equity: float, value: float | None, severity: Severity | None
) -> None:
    one = an_account("main", (BTC, 1.0), equity=equity - 5_000)
    other = an_account("fund", (ETH, -10.0), equity=5_000)
    reading = judged(EXPOSURE, a_portfolio(main=one, fund=other))
    assert reading is not None
    assert reading.value == (None if value is None else pytest.approx(value))
    assert reading.severity == severity
    assert (reading.key.account, reading.key.scope, reading.key.subject) == (PORTFOLIO, Scope.PORTFOLIO, PORTFOLIO)
    assert (reading.inputs["gross_notional"], reading.inputs["net_notional"]) == (140_000, 60_000)


def test_one_account_alone_is_the_leverage_rules_own() -> None:
    full, empty = an_account("main", (BTC, 1.0)), an_account("fund")
    assert judged(EXPOSURE, a_portfolio(main=full)) is None
    assert judged(CONCENTRATION, a_portfolio(main=full)) is None
    for rules in (EXPOSURE, CONCENTRATION):
        reading = judged(rules, a_portfolio(main=full, fund=empty))
        assert reading is not None
        assert reading.verdict is Verdict.CLEAR


@pytest.mark.parametrize("rules", [EXPOSURE, CONCENTRATION])
def test_an_account_that_is_not_seen_makes_a_sum_unknown_however_bad_the_others_are(rules: dict[str, Rule]) -> None:
    bad = an_account("main", (BTC, 10.0), (ETH, 1.0), equity=1_000)
    reading = judged(rules, a_portfolio("fund", main=bad))
    assert reading is not None
    assert reading.is_unknown
    assert reading.inputs["unseen"] == "fund"


def test_a_filter_picks_accounts_and_positions_and_stands_beside_the_whole() -> None:
    portfolio = a_portfolio(
        "blind",
        main=an_account("main", (BTC, 1.0)),
        fund=an_account("fund", (BTC, 0.5), (ETH, 5.0)),
    )
    of_two = a_rule("total_exposure", warning="5x", where={"account": ["main", "fund"]})
    of_ether = a_rule("total_exposure", warning="5x", where={"account": ["main", "fund"], "symbol": "ETH/*"})
    readings = {r.key.rule: r for r in evaluate_portfolio({**EXPOSURE, "two": of_two, "ether": of_ether}, portfolio)}
    assert readings["total_exposure"].is_unknown
    assert readings["two"].value == pytest.approx(170_000 / 20_000)
    assert readings["ether"].value == pytest.approx(20_000 / 20_000)


def test_what_hangs_on_one_coin_over_accounts_is_told_though_no_account_shows_it() -> None:
    """1000PEPE and KPEPE are one coin; a tiny other coin makes nothing spread."""
    one, other = an_account("main", (BTC, 1.0)), an_account("fund", (INVERSE, 0.5), equity=0.1)
    assert judged(CONCENTRATION, a_portfolio(main=one, fund=other)).value is None  # type: ignore[union-attr]
    other = an_account("fund", (BTC, 0.5), (ETH, 1.0))
    assert judged(CONCENTRATION, a_portfolio(main=one, fund=other)).value is None  # type: ignore[union-attr]
    other = an_account("fund", (BTC, -0.5), (ETH, 10.0))
    reading = judged(CONCENTRATION, a_portfolio(main=one, fund=other))
    assert reading is not None
    assert reading.value == pytest.approx(150 / 190)
    assert (reading.inputs["underlying"], reading.severity) == ("BTC", Severity.WARNING)
    pepe = an_account("main", ("1000PEPE/USDT:USDT", 50_000.0), equity=100)
    other = an_account("fund", ("KPEPE/USDC:USDC", 50_000.0), (ETH, 5.0))
    reading = judged(CONCENTRATION, a_portfolio(main=pepe, fund=other))
    assert reading is not None
    assert reading.inputs["underlying"] == "PEPE"
    assert reading.value == pytest.approx(100 / 120)


@pytest.mark.parametrize(
    ("coins_of", "is_told"),
    [
        ({"main": (1.0, 5.0), "fund": (0.5, 10.0)}, False),
        ({"main": (1.0, 15.0), "fund": (0.5, 0.0)}, True),
        ({"main": (1.0, 0.0), "fund": (0.5, 10.0)}, True),
        ({"main": (1.0, 0.0), "fund": (0.5, 1.0), "third": (0.0, 10.0)}, False),
        ({"main": (1.0, 0.0), "fund": (0.03, 0.05), "third": (0.0, 10.0)}, True),
    ],
)
def test_what_an_account_says_of_its_own_coin_is_not_said_twice(
    coins_of: dict[str, tuple[float, float]], is_told: bool
) -> None:
    """Of two that are less spread than all together one holds a second coin, and enough to count."""
    accounts = {name: an_account(name, (BTC, btc), (ETH, eth)) for name, (btc, eth) in coins_of.items()}
    reading = judged(CONCENTRATION, a_portfolio(**accounts))
    assert reading is not None
    assert (reading.verdict is Verdict.BREACH) is is_told
    own = [CONCENTRATION["concentration"].evaluate("concentration", account)[0] for account in accounts.values()]
    assert is_told or Verdict.BREACH in [of.verdict for of in own]


def test_sums_and_remedies_hold_on_any_accounts() -> None:
    proven = 0
    for seed in range(300):
        dice = random.Random(seed)
        sizes = {name: [(s, dice.uniform(-2, 2) * 10 ** dice.uniform(-3, 0)) for s in (BTC, ETH)] for name in "abc"}
        equities = {name: 10 ** dice.uniform(1, 5) for name in sizes}

        def whole(share: float = 1.0, added: float = 0.0, sizes=sizes, equities=equities) -> Portfolio:  # type: ignore[no-untyped-def]
            accounts = {
                name: an_account(name, *((s, coins * share) for s, coins in held_), equity=equities[name] + added / 3)
                for name, held_ in sizes.items()
            }
            return a_portfolio(**accounts)

        reading = judged(EXPOSURE, whole())
        assert reading is not None
        gross = sum(abs(c) * {BTC: 100_000, ETH: 4_000}[s] for one in sizes.values() for s, c in one)
        assert reading.value == pytest.approx(gross / sum(equities.values()))
        share, added = reading.inputs.get("cut_share"), reading.inputs.get("add_collateral")
        if isinstance(share, float) and isinstance(added, float):
            proven += 1
            for enough, verdict in ((1.0, Verdict.CLEAR), (0.99, None)):
                for after in (
                    judged(EXPOSURE, whole(share=1 - share * enough)),
                    judged(EXPOSURE, whole(added=added * enough)),
                ):
                    assert after is not None
                    assert (after.verdict is Verdict.CLEAR) is (verdict is not None), seed
    assert proven > 50


def test_by_default_nothing_pages_for_how_all_accounts_are_spread() -> None:
    for profile in PROFILES.values():
        rules = {
            kind: a_rule(kind, **profile[kind]) for kind in ("total_exposure", "concentration", "correlated_exposure")
        }
        big = an_account("main", (BTC, 10.0), (ETH, 100.0), equity=100_000.0)
        whole = a_portfolio(main=big, fund=an_account("fund", (BTC, 1.0)))
        readings = evaluate_portfolio(rules, whole)
        assert len(readings) == 3
        assert {reading.severity for reading in readings} <= {None, Severity.WARNING}


def test_check_tells_an_account_that_is_configured_twice() -> None:
    key = {"api_key": "one", "secret": "two"}
    accounts: dict[str, dict[str, str]] = {
        "main": {"venue": "binanceusdm", **key},
        "coin": {"venue": "binancecoinm", **key},
        "again": {"venue": "binanceusdm", **key},
        "other": {"venue": "binanceusdm", **key, "api_key": "another"},
        "trial": {"venue": "binanceusdm", **key, "mode": "testnet"},
    }
    settings = Settings.model_validate(
        {"accounts": accounts, "channels": {"phone": {"url": "json://localhost/phone"}}, "rules": {}}
    )
    twice = [finding.text for finding in offline_findings(settings) if "count twice" in finding.text]
    assert twice == ["again reads what main reads: over all accounts it would count twice"]


# ---- as alerts


async def test_an_alert_of_the_portfolio_is_told_and_ends(office: Office) -> None:
    office.rules = EXPOSURE
    office.read("main", held(BTC, 1.0))
    await office.judge()
    assert office.store.alerts == {}, "fund was not read yet"
    office.read("fund", held(ETH, 10.0))
    await office.again()
    assert office.reasons("total_exposure") == ["first"]
    assert office.message("total_exposure").startswith(
        "WARNING portfolio: all positions are 7x the equity of all accounts\nExposure 7x (warning at 5x)"
    )
    office.read("main", held(BTC, 0.1))
    await office.judge()
    await office.again(times=3)
    assert office.reasons("total_exposure") == ["first", "resolved"]
    assert office.told[-1].facts.resolution is Resolution.RECOVERED  # type: ignore[union-attr]


async def test_a_blind_account_freezes_it_and_raises_nothing_of_its_own(office: Office) -> None:
    office.rules = EXPOSURE
    office.read("main", held(BTC, 1.0))
    office.read("fund", held(ETH, 10.0))
    await office.judge()
    for _ in range(20):
        office.later(10)
        office.read("main", held(BTC, 0.1))
        await office.judge()
    alert = office.alert("total_exposure")
    assert alert is not None
    assert alert.state is AlertState.RECOVERING, "three reads with the last good one of fund, and then unknown"
    assert office.reasons("total_exposure") == ["first"]
    assert office.alert("unassessed") is None, "blind tells it"
    office.read("fund", held(ETH, 1.0))
    await office.again(times=4)
    assert office.reasons("total_exposure") == ["first", "resolved"]


@pytest.mark.parametrize("own_rule", [False, True])
async def test_a_worth_that_is_not_known_is_told_where_no_account_tells_it(office: Office, own_rule: bool) -> None:
    office.rules = {**EXPOSURE, **({"leverage": a_rule("leverage", warning="9x")} if own_rule else {})}
    odd = MarginBalance(pool="cross:XYZ", currency="XYZ", equity=1.0, maintenance_margin=0.0)
    snapshot = a_snapshot(held(ETH, 1.0), account="fund")
    office.read("main", held(BTC, 1.0))
    office.see(replace(snapshot, margins=(*snapshot.margins, odd)))
    await office.again(times=2)
    if own_rule:
        assert office.told == [], "the account's own unassessed tells it"
        return
    assert office.reasons("unassessed") == ["first"]
    assert "fund: the worth of XYZ in dollars is not known" in office.message("unassessed")
    office.see(snapshot)
    await office.again(times=4)
    assert office.reasons("unassessed") == ["first", "resolved"]


async def test_an_edit_that_takes_the_rule_ends_its_alert_and_no_other(office: Office) -> None:
    office.rules = {**EXPOSURE, **CONCENTRATION}
    office.read("main", held(BTC, 1.0))
    office.read("fund", held(BTC, 0.5), held(ETH, 10.0))
    await office.judge()
    assert office.reasons("total_exposure") == office.reasons("concentration") == ["first"]
    await office.edit(EXPOSURE)
    await office.again(times=3)
    assert office.reasons("concentration") == ["first", "resolved"]
    assert office.told[-1].facts.resolution is Resolution.REMOVED  # type: ignore[union-attr]
    assert office.reasons("total_exposure") == ["first"]
    office.names = ("main",)
    await office.again()
    assert office.reasons("total_exposure") == ["first", "resolved"], "of one account it is no rule's"


async def test_an_alert_survives_a_restart_and_waits_for_every_account(tmp_path: Path) -> None:
    clock, path = ManualClock(), tmp_path / "a.db"
    before = Office(await Store.open(path, clock), clock, EXPOSURE)
    before.read("main", held(BTC, 1.0))
    before.read("fund", held(ETH, 10.0))
    await before.judge()
    await before.store.apply(Changes(alive_at=clock.now()))
    await before.store.close()
    clock.elapsed_s += 3_600
    after = Office(await Store.open(path, clock), clock, EXPOSURE)
    last = after.store.last_alive_at
    assert last is not None
    taken = tuple(after_downtime(alert, last, clock.now()) for alert in after.store.alerts.values())
    await after.store.apply(Changes(alerts=taken))
    for _ in range(4):
        after.read("main", held(BTC, 0.1))
        await after.judge()
        after.later(10)
    assert after.reasons("total_exposure") == []
    after.read("fund")
    await after.again(times=4)
    assert after.reasons("total_exposure") == ["resolved"]
    await after.store.close()


async def test_a_bug_in_a_rule_is_told_and_resolves_nothing(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    office.rules = EXPOSURE
    office.read("main", held(BTC, 1.0))
    office.read("fund", held(ETH, 10.0))
    await office.judge()
    with monkeypatch.context() as patched:
        patched.setattr(TotalExposure, "evaluate_portfolio", lambda *_: 1 / 0)
        await office.again(times=2)
    assert office.reasons("total_exposure") == ["first"]
    assert office.reasons("unassessed") == ["first"]
    assert "a bug in perpwatch" in office.message("unassessed")
    await office.again(times=4)
    assert office.reasons("unassessed") == ["first", "resolved"]
    assert UNASSESSED_KEY in office.store.alerts


def test_no_account_can_be_called_as_the_portfolio_is() -> None:
    assert not NAME.fullmatch(PORTFOLIO)


@pytest.mark.parametrize(
    ("channels", "critical", "fallbacks"),
    [
        ({"all": {}, "one": {"accounts": ["main"]}}, ("all",), ()),
        ({"all": {"fallback": True}, "one": {"accounts": ["main"]}}, ("one",), ("all",)),
        ({"log": {"severities": ["info"]}, "one": {"accounts": ["main"]}}, ("one",), ()),
    ],
)
def test_who_hears_of_all_accounts_hears_of_them_together_and_somebody_always_does(
    channels: dict[str, dict[str, object]], critical: tuple[str, ...], fallbacks: tuple[str, ...]
) -> None:
    settings = Settings.model_validate(
        {
            "accounts": {"main": {"venue": "binanceusdm"}},
            "channels": {name: {"url": f"json://localhost/{name}", **keys} for name, keys in channels.items()},
            "rules": {},
        }
    )
    assert settings.channels_for(PORTFOLIO, Severity.CRITICAL) == critical
    assert settings.fallbacks_for(PORTFOLIO) == fallbacks
