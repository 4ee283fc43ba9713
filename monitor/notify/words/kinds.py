"""Every kind of alert with its words; what has none of its own is named by its kind, value and threshold."""

from collections.abc import Mapping

from monitor.notify.text import foreign
from monitor.notify.words import collateral, exits, funding, hedges, margin, own, shock, sizing, stops, tracked, venue
from monitor.notify.words.case import Case, Phrases, any_details, any_headline, named, once

_ANY_KIND = Phrases(
    any_headline,
    lambda case: f"{case.subject} {foreign(case.facts.rule_kind.replace('_', ' '), 40)}".strip(),
    any_details,
)
_KINDS: Mapping[str, Phrases] = {
    "liquidation_distance": Phrases(margin.distance_headline, named("liquidation distance"), margin.distance_details),
    "margin_ratio": Phrases(margin.ratio_headline, named("margin ratio"), margin.ratio_details),
    "funding_exposure": Phrases(funding.headline, named("funding"), funding.details),
    "common_shock": Phrases(shock.headline, named("pool in a common move"), shock.details),
    "leverage": Phrases(sizing.leverage_headline, named("leverage"), sizing.leverage_details),
    "volatility_leverage": Phrases(
        sizing.volatility_headline, named("leverage for its volatility"), sizing.volatility_details
    ),
    "total_exposure": Phrases(sizing.exposure_headline, named("exposure"), sizing.exposure_details),
    "position_size": Phrases(sizing.size_headline, named("position size"), sizing.size_details),
    "concentration": Phrases(sizing.concentration_headline, named("concentration"), sizing.concentration_details),
    "correlated_exposure": Phrases(
        sizing.correlated_headline, named("stake on coins that move together"), sizing.correlated_details
    ),
    "hedge": Phrases(hedges.headline, named("hedge"), hedges.details),
    "loss": Phrases(sizing.loss_headline, named("loss"), sizing.loss_details),
    "adl_rank": Phrases(venue.adl_headline, named("ADL rank"), venue.adl_details),
    "tier_cliff": Phrases(venue.cliff_headline, named("below a margin bracket's edge"), venue.cliff_details),
    "exit_liquidity": Phrases(exits.headline, named("exit"), exits.details),
    "collateral": Phrases(collateral.headline, named("off its dollar"), collateral.details),
    "trailing_stop": Phrases(tracked.stop_headline, tracked.stop_name, tracked.stop_details),
    "take_profit": Phrases(tracked.level_headline, tracked.level_name, tracked.level_details),
    "drawdown": Phrases(tracked.drawdown_headline, tracked.drawdown_name, tracked.drawdown_details),
    "stop_missing": Phrases(stops.headline, named("stop"), stops.details),
    "blind": Phrases(own.blind_headline, once("is read again", "no good read"), own.blind_details),
    "key_permissions": Phrases(
        own.key_headline, once("its key is as it should be", "its key was not looked at again"), own.key_details
    ),
    "unassessed": Phrases(own.unassessed_headline, once("judged in full again", "cannot be judged"), any_details),
}


def phrases_of(case: Case) -> Phrases:
    return _KINDS.get(case.facts.rule_kind, _ANY_KIND)
