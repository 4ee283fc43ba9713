"""What is told when the monitor has started."""

from monitor.blindness import Sight
from monitor.daemon import started_lines
from monitor.domain.alert import Alert, AlertState
from monitor.domain.reading import AlertKey, Scope
from monitor.rules.base import Context
from monitor.rules.book import evaluate_rules
from tests.builders import NOON, a_position, a_rule, a_snapshot


def test_what_fires_is_counted_and_not_said_to_be_of_old() -> None:
    key = AlertKey("margin_ratio", "main", Scope.POOL, "cross:USDT")
    firing = Alert(key=key, state=AlertState.FIRING)
    assert list(started_lines({}, (firing,), {})) == ["0 accounts, 0 open positions", "1 alert firing"]


def test_the_nearest_liquidation_is_that_of_the_distance_rule_and_no_other_rules_smaller_share() -> None:
    position = a_position(mark_price=100.0, liquidation_price=90.0, initial_margin=1.0)
    snapshot = a_snapshot(position)
    rules = {
        "near": a_rule("liquidation_distance", warning="20%"),
        "size": a_rule("position_size", warning="50%"),
    }
    readings = evaluate_rules(rules, Context(snapshot=snapshot, markets={}, now=NOON))
    assert any(reading.value is not None and reading.value < 0.1 for reading in readings)
    sight = Sight(since=NOON, snapshot=snapshot, readings=readings)
    lines = list(started_lines({"main": sight}, (), rules))
    assert [line for line in lines if "nearest" in line] == [
        f"nearest liquidation: {snapshot.account} {position.subject}, 10.0% away"
    ]
