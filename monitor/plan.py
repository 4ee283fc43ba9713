"""What the YAML wants of one account, and the alerts that are the monitor's own."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from monitor.config.settings import Settings
from monitor.domain.alert import AlertPolicy, LevelPolicy
from monitor.domain.reading import PORTFOLIO, AlertKey, Severity
from monitor.rules.base import Rule

BLIND = "blind"
UNASSESSED = "unassessed"
KEY_PERMISSIONS = "key_permissions"
# The monitor's own alerts: judged here, by no rule of the YAML.
OWN_RULES = frozenset({BLIND, UNASSESSED, KEY_PERMISSIONS})
# Judged by something else than a read, which says nothing of them.
NOT_BY_READS = frozenset({BLIND, KEY_PERMISSIONS})

# A key that may do too much is no emergency of tonight: its owner is reminded once a day.
ABOUT_KEYS = AlertPolicy(
    {
        severity: LevelPolicy(for_s=0, keep_firing_for_s=0, group_wait_s=0, repeat_s=repeat_s)
        for severity, repeat_s in ((Severity.INFO, None), (Severity.WARNING, None), (Severity.CRITICAL, 80_000.0))
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountPlan:
    """What the YAML wants of one account. `policies` are by rule name; `targets` are the channels per severity.

    `channels` are all there are: one that does not hear of the account any more may be owed the end of an episode.
    """

    name: str
    venue: str
    poll_interval_s: float
    rules: Mapping[str, Rule]
    policies: Mapping[str, AlertPolicy]
    targets: Mapping[Severity, tuple[str, ...]]
    channels: frozenset[str]

    @classmethod
    def of(cls, settings: Settings, name: str) -> Self:
        return cls._of(settings, name, settings.accounts[name].venue, settings.poll_interval_of(name))

    @classmethod
    def of_portfolio(cls, settings: Settings) -> Self:
        """What it wants of all accounts together; as fresh as the one read most often."""
        return cls._of(settings, PORTFOLIO, "all venues", min(map(settings.poll_interval_of, settings.accounts)))

    @classmethod
    def _of(cls, settings: Settings, name: str, venue: str, poll_interval_s: float) -> Self:
        policies = {rule: settings.alerts.policy_for(parameters) for rule, parameters in settings.rules.items()}
        policies |= {BLIND: settings.alerts.blind_policy(), UNASSESSED: settings.alerts.policy_for(None)}
        policies[KEY_PERMISSIONS] = ABOUT_KEYS
        return cls(
            name=name,
            venue=venue,
            poll_interval_s=poll_interval_s,
            rules=settings.rules,
            policies=policies,
            targets={severity: settings.channels_for(name, severity) for severity in Severity},
            channels=frozenset(settings.channels),
        )

    def knows(self, key: AlertKey) -> bool:
        return key.rule in self.rules or key.rule in OWN_RULES

    def rule_kind(self, key: AlertKey) -> str:
        return self.rules[key.rule].kind if key.rule in self.rules else key.rule
