"""The rule book: every rule kind there is, and how one account is judged by all the rules that apply to it."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Annotated

from pydantic import Field

from monitor.domain.hedges import Hedges
from monitor.domain.reading import PORTFOLIO, AlertKey, Reading, Scope
from monitor.rules.adl_rank import AdlRank
from monitor.rules.base import Context, Portfolio, Rule, Where
from monitor.rules.collateral import CollateralPeg
from monitor.rules.common_shock import CommonShock
from monitor.rules.concentration import Concentration
from monitor.rules.correlated_exposure import CorrelatedExposure
from monitor.rules.drawdown import Drawdown
from monitor.rules.exit_liquidity import ExitLiquidity
from monitor.rules.funding_exposure import FundingExposure
from monitor.rules.hedge import Hedge
from monitor.rules.leverage import Leverage
from monitor.rules.liquidation_distance import LiquidationDistance
from monitor.rules.loss import Loss
from monitor.rules.margin_ratio import MarginRatio
from monitor.rules.position_size import PositionSize
from monitor.rules.stop_missing import StopMissing
from monitor.rules.take_profit import TakeProfit
from monitor.rules.tier_cliff import TierCliff
from monitor.rules.total_exposure import TotalExposure
from monitor.rules.trailing_stop import TrailingStop
from monitor.rules.volatility_leverage import VolatilityLeverage

AnyRule = Annotated[
    MarginRatio
    | LiquidationDistance
    | CommonShock
    | FundingExposure
    | Leverage
    | PositionSize
    | Concentration
    | Loss
    | Drawdown
    | StopMissing
    | TrailingStop
    | TakeProfit
    | AdlRank
    | TierCliff
    | VolatilityLeverage
    | ExitLiquidity
    | CollateralPeg
    | TotalExposure
    | CorrelatedExposure
    | Hedge,
    Field(discriminator="kind"),
]

RULE_KINDS: Mapping[str, type[Rule]] = {
    "margin_ratio": MarginRatio,
    "liquidation_distance": LiquidationDistance,
    "common_shock": CommonShock,
    "funding_exposure": FundingExposure,
    "leverage": Leverage,
    "position_size": PositionSize,
    "concentration": Concentration,
    "loss": Loss,
    "drawdown": Drawdown,
    "stop_missing": StopMissing,
    "trailing_stop": TrailingStop,
    "take_profit": TakeProfit,
    "adl_rank": AdlRank,
    "tier_cliff": TierCliff,
    "volatility_leverage": VolatilityLeverage,
    "exit_liquidity": ExitLiquidity,
    "collateral": CollateralPeg,
    "total_exposure": TotalExposure,
    "correlated_exposure": CorrelatedExposure,
    "hedge": Hedge,
}

Place = tuple[str, Scope, str, Where | None]

# Names of the monitor's own alerts, which no rule of the YAML may take.
RESERVED_RULE_NAMES = frozenset(
    {
        "account_mode",
        "blind",
        "channel_down",
        "config",
        "key_permissions",
        "liquidation_price",
        "monitor",
        "taken",
        "unassessed",
    }
)


def evaluate_rules(rules: Mapping[str, Rule], context: Context) -> tuple[Reading, ...]:
    """The readings of one account: of two rules of one kind that judge the same place, the more specific one's.

    Between equally specific ones the later wins: one with a name of its own before the kind's, then the later of the
    YAML.
    """
    return _most_specific(rules, lambda name, rule: rule.evaluate(name, context))


def evaluate_portfolio(rules: Mapping[str, Rule], portfolio: Portfolio) -> tuple[Reading, ...]:
    """The same over all accounts."""
    return _most_specific(rules, lambda name, rule: rule.evaluate_portfolio(name, portfolio))


def place_of(rule: Rule, key: AlertKey) -> Place:
    """What of two readings one alone is told: of one kind, and of the same subject.

    A sum over an account is another one where a filter picks positions for it, and stands beside the sum over all. So
    does, over all accounts, a sum over some of them or of some positions; and what some of them hold of one coin, which
    says nothing of the others.
    """
    where, is_sum = rule.where, key.subject == PORTFOLIO if key.account == PORTFOLIO else key.scope is Scope.ACCOUNT
    is_part = (is_sum and where.names_positions) or (key.account == PORTFOLIO and where.picks_accounts)
    return rule.kind, key.scope, key.subject, where if is_part else None


def silenced(rules: Mapping[str, Rule]) -> dict[str, str]:
    """Rules that never speak, each with the one that does so in its place: of its kind, and for the very same."""
    speakers: dict[tuple[object, ...], str] = {_aim(rule): name for name, rule in rules.items()}
    return {name: speakers[_aim(rule)] for name, rule in rules.items() if speakers[_aim(rule)] != name}


def _aim(rule: Rule) -> tuple[object, ...]:
    return rule.kind, rule.where, *(getattr(rule, name) for name in rule.subjects_by)


def remembered(rules: Mapping[str, Rule], portfolio: Portfolio, before: Mapping[str, Hedges]) -> Portfolio:
    """The portfolio with what is known of its hedges after this look at it."""
    watched = {name: rule for name, rule in rules.items() if isinstance(rule, Hedge)}
    return replace(
        portfolio, hedges={name: rule.remembered(before.get(name), portfolio) for name, rule in watched.items()}
    )


def _most_specific(
    rules: Mapping[str, Rule], readings_of: Callable[[str, Rule], tuple[Reading, ...]]
) -> tuple[Reading, ...]:
    chosen: dict[Place, tuple[tuple[int, int], Reading]] = {}
    for name, rule in rules.items():
        rank = rule.where.specificity
        for reading in readings_of(name, rule):
            place = place_of(rule, reading.key)
            if place not in chosen or rank >= chosen[place][0]:
                chosen[place] = (rank, reading)
    return tuple(reading for _, reading in chosen.values())
