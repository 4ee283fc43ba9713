"""What no single value can show: names that must exist, globs that must match, real venues and channels."""

from collections.abc import Callable, Iterable, Iterator
from fnmatch import fnmatchcase
from itertools import chain
from re import split

from monitor.config.problems import NAME, Path, Problems, did_you_mean, shown_value
from monitor.config.tree import Node
from monitor.rules.quantities import parse_duration

MAX_WAIT_S = 86400.0
# Apprise takes each part of a path apart, and each glob is held against each account: more would take seconds.
MAX_URL_CHARS = 2_048
MAX_CHANNELS = 1_000
MAX_GLOBS = 500

# Where many perpetual contracts are traded: for suggestions only, every venue that `is_venue` knows is accepted.
_COMMON_VENUES = (
    "binanceusdm",
    "binancecoinm",
    "bybit",
    "okx",
    "bitget",
    "kucoinfutures",
    "krakenfutures",
    "gate",
    "mexc",
    "hyperliquid",
    "deribit",
    "bitmex",
    "bingx",
    "htx",
    "phemex",
    "dydx",
)
_WILDCARDS = frozenset("*?[")


def check_names(root: Node, problems: Problems) -> None:
    for section in ("accounts", "channels"):
        for path, node in _entries(root, section):
            if not NAME.fullmatch(str(path[-1])):
                problems.add(node.key, path, "expected a name of 1 to 64 letters, digits, dots, dashes and underscores")


def check_globs(root: Node, problems: Problems) -> None:
    """Not too many; those behind the last are taken out, so that nothing is asked of them."""
    globs = [
        (path, node)
        for path, node in root.walk()
        if (path[:1] == ("rules",) or path[2:3] == ("accounts",))
        and isinstance(node.value, str)
        and _WILDCARDS & set(node.value)
    ]
    for path, node in globs[MAX_GLOBS:]:
        problems.add(node.place, path, f"more than {MAX_GLOBS} globs")
        node.value = None


def check_venues(
    root: Node, is_venue: Callable[[str], bool], mode_error: Callable[[str, str], str | None], problems: Problems
) -> None:
    for path, account in _entries(root, "accounts"):
        venue = account.mapping.get("venue")
        if venue is None or not isinstance(venue.value, str):
            continue
        if not is_venue(venue.value):
            hint = venue_meant(venue.value, is_venue) or ": expected a ccxt id such as binanceusdm"
            problems.add(venue.place, (*path, "venue"), f"unknown venue {shown_value(venue.written)}{hint}")
            continue
        mode = account.mapping.get("mode")
        if mode is not None and mode.value in ("demo", "testnet"):
            error = mode_error(venue.value, mode.value)
            if error is not None:
                problems.add(mode.place, (*path, "mode"), error)


def venue_meant(name: str, is_venue: Callable[[str], bool]) -> str:
    """`, did you mean bybit?`, or nothing."""
    return did_you_mean(name, [venue for venue in _COMMON_VENUES if is_venue(venue)])


def check_channels(root: Node, channel_error: Callable[[str], str | None], problems: Problems) -> None:
    """Each URL is one that can be sent to; each name of a channel, and each glob for accounts, means something."""
    accounts = [str(path[-1]) for path, _ in _entries(root, "accounts")]
    channels = list(_entries(root, "channels"))
    for path, channel in channels[MAX_CHANNELS:]:
        problems.add(channel.key, path, f"more than {MAX_CHANNELS} channels")
    for path, channel in channels[:MAX_CHANNELS]:
        url = channel.mapping.get("url")
        if url is not None and isinstance(url.value, str) and (error := _url_error(url.value, channel_error)):
            problems.add(url.place, (*path, "url"), error)
        _check_globs(channel, (*path, "accounts"), accounts, "account", problems)
    names = {str(path[-1]) for path, _ in channels}
    for path, account in _entries(root, "accounts"):
        for below, node in _texts(account, (*path, "channels")):
            if node.value not in names:
                hint = did_you_mean(str(node.value), names)
                problems.add(node.place, below, f"no channel has the name {shown_value(node.written)}{hint}")


def _url_error(url: str, channel_error: Callable[[str], str | None]) -> str | None:
    if len(url) > MAX_URL_CHARS:
        return f"expected at most {MAX_URL_CHARS} characters"
    error = channel_error(url)
    return None if error is None else without_secret(error, url)


def without_secret(sentence: str, url: str) -> str:
    """The sentence without any part of the URL that might be a token."""
    scheme, _, rest = url.partition("://")
    parts = [url, *split(r"[/:@?&=#,]+", rest or scheme)]
    for part in sorted(parts, key=len, reverse=True):
        if len(part) >= 4:
            sentence = sentence.replace(part, "***")
    return sentence


def check_rules(root: Node, problems: Problems) -> None:
    """A filter that can match nothing, or a wait that never ends, would silence a rule."""
    accounts = [str(path[-1]) for path, _ in _entries(root, "accounts")]
    venues = [str(a.mapping["venue"].value) for _, a in _entries(root, "accounts") if "venue" in a.mapping]
    for path, rule in _entries(root, "rules"):
        where = rule.mapping.get("where")
        if where is not None:
            _check_globs(where, (*path, "where", "account"), accounts, "account", problems)
            _check_globs(where, (*path, "where", "venue"), venues, "account's venue", problems)
            _check_symbols(where, (*path, "where", "symbol"), problems)
        for key in ("for", "keep_firing_for"):
            _check_waits(rule, (*path, key), problems)


def _check_globs(node: Node, path: Path, names: Iterable[str], what: str, problems: Problems) -> None:
    names, asked = list(names), set(names)
    for below, glob in _texts(node, path):
        text = str(glob.value)
        if names and text not in asked and not any(fnmatchcase(name, text) for name in names):
            hint = did_you_mean(text, names)
            problems.add(glob.place, below, f"no {what} matches {shown_value(glob.written)}{hint}")
        asked.add(text)


def _check_symbols(where: Node, path: Path, problems: Problems) -> None:
    for below, glob in _texts(where, path):
        text = str(glob.value)
        whole = not _WILDCARDS & set(text)
        if whole and ("/" not in text or ":" not in text):
            example = "expected a symbol such as BTC/USDT:USDT, or a glob such as BTC/*"
            problems.add(glob.place, below, f"{example}, not {shown_value(glob.written)}")


def _check_waits(rule: Node, path: Path, problems: Problems) -> None:
    wait = rule.mapping.get(str(path[-1]))
    for below, node in wait.walk(path) if wait else ():
        try:
            too_long = isinstance(node.value, str) and parse_duration(node.value) > MAX_WAIT_S
        except ValueError:
            continue
        if too_long:
            problems.add(node.place, below, f"expected a duration of up to 1d, not {shown_value(node.written)}")


def _entries(root: Node, section: str) -> Iterator[tuple[Path, Node]]:
    node = root.mapping.get(section)
    for name, entry in node.mapping.items() if node else ():
        yield (section, name), entry


def _texts(node: Node, path: Path) -> Iterator[tuple[Path, Node]]:
    """The texts under the last key of `path`, which is one text or a list of them."""
    value = node.mapping.get(str(path[-1]))
    below = value.walk(path) if value is not None and not isinstance(value.value, dict) else chain[tuple[Path, Node]]()
    return ((at, text) for at, text in below if isinstance(text.value, str))
