"""What may leave the house: reads only, judged on the request itself, whatever code asked for it.

A venue that declares its endpoints is held to that list. For the others a request must look like a read: a GET none of
whose words is an action (some venues place orders by GET), or one of few reads that a venue takes by POST.
"""

import re
from collections.abc import Mapping

_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|[0-9]+")

_ACTION = re.compile(
    r"accept|activate|add|adjust|allocate|amend|apply|approve|assign|auto|batch|bind|borrow|buy|cancel"
    r"|cancelall|change|claim|close|confirm|convert|copy|create|deactivate|decrease|delete|deposit|disable|edit"
    r"|enable|execute|exercise|extend|flash|freeze|increase|insert|invest|kill|lend|liquidate|loan|lock|logout"
    r"|mint|modify|move|open|pay|place|post|purchase|put|quick|rebalance|redeem|redemption|register|remove"
    r"|rename|repay|replace|reset|revoke|save|sell|send|set|settle|stake|sub|submit|subscribe|swap|toggle|trade"
    r"|transfer|unbind|unfreeze|unlock|unstake|update|upgrade|withdraw|write"
)
# Nouns that contain an action's word and name what the reads are about.
_NOUNS = re.compile(
    r"open[-_]?(?:positions|orders|interest|api(?=/))|linear-swap|(?:^|/)swap(?=[-_/])|sub[-_]?accounts?"
    r"|copy_?trading(?=/account)"
    r"|trade[-_]?fee|trade/(?:positions?|account/info|fund-rate)(?=/|$)",
    re.IGNORECASE,
)

# Reads that venues take by POST, by the end of their path.
_POST_READS: Mapping[str, tuple[str, ...]] = {
    "hyperliquid": ("/info",),
    "paradex": ("/auth",),
    "htx": (
        "/linear-swap-api/v1/swap_position_info",
        "/linear-swap-api/v1/swap_cross_position_info",
        "/linear-swap-api/v1/swap_account_info",
        "/linear-swap-api/v1/swap_cross_account_info",
        "/linear-swap-api/v3/unified_account_info",
        "/swap-api/v1/swap_position_info",
        "/swap-api/v1/swap_account_info",
    ),
    "cryptocom": ("/private/get-positions", "/private/user-balance"),
    "bitfinex": ("/auth/r/positions", "/auth/r/wallets"),
    "derive": (
        "/private/get_positions",
        "/private/get_subaccount",
        "/private/get_all_portfolios",
        "/public/get_all_instruments",
        "/public/get_time",
    ),
    "whitebit": ("/collateral-account/positions/open", "/collateral-account/balance"),
    "grvt": ("/full/v1/positions", "/full/v1/account_summary", "/full/v1/all_instruments"),
}


def looks_like_a_read(venue_id: str, method: str, path: str) -> bool:
    """Whether a request to a venue without declared endpoints may leave; `path` is the URL's, without the query."""
    if method == "POST":
        return path.endswith(_POST_READS.get(venue_id, ()))
    if method != "GET":
        return False
    return not any(_ACTION.fullmatch(word.lower()) for word in _WORD.findall(_NOUNS.sub("", path)))
