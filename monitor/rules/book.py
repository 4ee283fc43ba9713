"""The rule book: every rule kind there is, and how one account is judged by all the rules that apply to it."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Annotated

from pydantic import Field

from monitor.domain.hedges import Hedges
from monitor.domain.reading import PORTFOLIO, Reading, Scope
from monitor.rules.adl_rank import AdlRank
from monitor.rules.base import Context, Portfolio, Rule
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
    """The readings of one account: of two rules of one kind that judge the same subject, the more specific one's.

    Between equally specific ones the later of the YAML wins. A sum over the account is another one where a filter
    picks positions for it, and stands beside the sum over all.
    """
    return _most_specific(
        rules,
        lambda name, rule: rule.evaluate(name, context),
        lambda rule, reading: reading.key.scope is Scope.ACCOUNT and rule.where.names_positions,
    )


def evaluate_portfolio(rules: Mapping[str, Rule], portfolio: Portfolio) -> tuple[Reading, ...]:
    """The same over all accounts. A sum over some of them, or of some positions, stands beside the sum over all; so
    does what some of them hold of one coin, which says nothing of the others."""
    return _most_specific(
        rules,
        lambda name, rule: rule.evaluate_portfolio(name, portfolio),
        lambda rule, reading: (
            rule.where.picks_accounts or (reading.key.subject == PORTFOLIO and rule.where.names_positions)
        ),
    )


def remembered(rules: Mapping[str, Rule], portfolio: Portfolio, before: Mapping[str, Hedges]) -> Portfolio:
    """The portfolio with what is known of its hedges after this look at it."""
    watched = {name: rule for name, rule in rules.items() if isinstance(rule, Hedge)}
    return replace(
        portfolio, hedges={name: rule.remembered(before.get(name), portfolio) for name, rule in watched.items()}
    )


def _most_specific(
    rules: Mapping[str, Rule],
    readings_of: Callable[[str, Rule], tuple[Reading, ...]],
    is_part: Callable[[Rule, Reading], bool],
) -> tuple[Reading, ...]:
    chosen: dict[tuple[str, Scope, str, str], tuple[tuple[int, int], Reading]] = {}
    for name, rule in rules.items():
        rank = rule.where.specificity
        for reading in readings_of(name, rule):
            place = (rule.kind, reading.key.scope, reading.key.subject, name if is_part(rule, reading) else "")
            if place not in chosen or rank >= chosen[place][0]:
                chosen[place] = (rank, reading)
    return tuple(reading for _, reading in chosen.values())
