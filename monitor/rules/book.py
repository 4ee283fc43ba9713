"""The rule book: every rule kind there is, and how one account is judged by all the rules that apply to it."""

from collections.abc import Mapping
from typing import Annotated

from pydantic import Field

from monitor.domain.reading import Reading, Scope
from monitor.rules.adl_rank import AdlRank
from monitor.rules.base import Context, Rule
from monitor.rules.collateral import CollateralPeg
from monitor.rules.common_shock import CommonShock
from monitor.rules.concentration import Concentration
from monitor.rules.drawdown import Drawdown
from monitor.rules.exit_liquidity import ExitLiquidity
from monitor.rules.funding_exposure import FundingExposure
from monitor.rules.leverage import Leverage
from monitor.rules.liquidation_distance import LiquidationDistance
from monitor.rules.loss import Loss
from monitor.rules.margin_ratio import MarginRatio
from monitor.rules.position_size import PositionSize
from monitor.rules.stop_missing import StopMissing
from monitor.rules.take_profit import TakeProfit
from monitor.rules.tier_cliff import TierCliff
from monitor.rules.trailing_stop import TrailingStop
from monitor.rules.volatility_leverage import VolatilityLeverage

AnyRule = Annotated[
    MarginRatio
    | LiquidationDistance
    | CommonShock
    | FundingExposure
    | Leverage
    | VolatilityLeverage
    | PositionSize
    | Concentration
    | Loss
    | Drawdown
    | StopMissing
    | TrailingStop
    | TakeProfit
    | AdlRank
    | TierCliff
    | ExitLiquidity
    | CollateralPeg,
    Field(discriminator="kind"),
]

RULE_KINDS: Mapping[str, type[Rule]] = {
    "margin_ratio": MarginRatio,
    "liquidation_distance": LiquidationDistance,
    "common_shock": CommonShock,
    "funding_exposure": FundingExposure,
    "leverage": Leverage,
    "volatility_leverage": VolatilityLeverage,
    "position_size": PositionSize,
    "concentration": Concentration,
    "loss": Loss,
    "drawdown": Drawdown,
    "stop_missing": StopMissing,
    "trailing_stop": TrailingStop,
    "take_profit": TakeProfit,
    "adl_rank": AdlRank,
    "tier_cliff": TierCliff,
    "exit_liquidity": ExitLiquidity,
    "collateral": CollateralPeg,
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
    chosen: dict[tuple[str, Scope, str, str], tuple[tuple[int, int], Reading]] = {}
    for name, rule in rules.items():
        rank = rule.where.specificity
        for reading in rule.evaluate(name, context):
            is_part = reading.key.scope is Scope.ACCOUNT and rule.where.names_positions
            place = (rule.kind, reading.key.scope, reading.key.subject, name if is_part else "")
            if place not in chosen or rank >= chosen[place][0]:
                chosen[place] = (rank, reading)
    return tuple(reading for _, reading in chosen.values())
