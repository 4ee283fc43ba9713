"""Configurations as an owner might save them: some of the accounts, channels, rules and waits, drawn by dice."""

import random

from monitor.rules.book import RULE_KINDS
from tests.simulation.plan import ACCOUNTS

POLL_INTERVAL_S = READ_DEADLINE_S = 10
RATIOS = ("{warning: 20%, critical: 40%}", "{warning: 12%, critical: 25%}", "{critical: 30%}")
DISTANCES = ("{warning: 12%, critical: 6%}", "{warning: 15%, critical: 7%, for: 20s}", "{warning: 8%, critical: 4%}")
FUNDINGS = ("{warning: 0.3%, critical: 1%}", "{warning: 0.2%}", "false")
# The kinds of which the oracle knows what they must say.
JUDGED = ("margin_ratio", "liquidation_distance", "funding_exposure")
WAITS = ("", "alerts:\n  critical: {for: 15s, keep_firing_for: 1m}\n  warning: {repeat: 1h}\n")


def yaml_of(dice: random.Random) -> str:
    left_out = dice.choice((None, None, *ACCOUNTS))
    accounts = [name for name in ACCOUNTS if name != left_out]
    lines = [f"poll_interval: {POLL_INTERVAL_S}s", f"read_deadline: {READ_DEADLINE_S}s", "accounts:"]
    lines += [f"  {name}: {{venue: binanceusdm, api_key: {name}-key, secret: {name}-secret}}" for name in accounts]
    lines += ["channels:", "  phone: {url: 'json://127.0.0.1/phone'}"]
    if dice.random() < 0.7:
        lines.append("  desk: {url: 'json://127.0.0.1/desk', severities: [critical]}")
    if dice.random() < 0.7:
        lines.append("  spare: {url: 'json://127.0.0.1/spare', severities: [critical], fallback: true}")
    lines += ["rules:", f"  margin_ratio: {dice.choice(RATIOS)}", f"  liquidation_distance: {dice.choice(DISTANCES)}"]
    lines.append(f"  funding_exposure: {dice.choice(FUNDINGS)}")
    lines += [f"  {kind}: false" for kind in RULE_KINDS if kind not in JUDGED]
    return "\n".join(lines) + "\n" + dice.choice(WAITS)
