"""Malformed configurations, by class of error: each text bears a ⟦ where its one problem has to be told."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from monitor.rules.book import RULE_KINDS

MARK = "⟦"

# What the tables refer to: the environment, and the files beside the configuration.
ENV = {"KEY": "k-canary-4711", "URL": "json://localhost/canary-4712", "EMPTY": ""}
VENUES = frozenset({"binanceusdm", "binancecoinm", "bybit", "okx"})


def is_venue(name: str) -> bool:
    return name in VENUES


def channel_error(url: str) -> str | None:
    if "://" not in url:
        return f"expected an Apprise URL such as tgram://token/chat, cannot read {url}"
    return None if url.startswith(("json://", "tgram://", "discord://")) else "no service has this scheme"


def mode_error(venue: str, mode: str) -> str | None:
    return None if venue == "bybit" else f"ccxt knows no {mode} of {venue}"


def write_secret_files(folder: Path) -> None:
    """The files that `*_file` keys of the tables name."""
    (folder / "good.txt").write_text("canary-4713\n")
    (folder / "empty.txt").write_text("\n")
    (folder / "binary.txt").write_bytes(b"\xff\xfe\x00")
    (folder / "large.txt").write_text("x" * 70_000)
    (folder / "folder").mkdir(exist_ok=True)


@dataclass(frozen=True)
class Case:
    """One file: its bytes, where its problem stands (1-based), and a part of what has to be said there."""

    error_class: str
    content: bytes
    line: int
    column: int
    message: str

    def __str__(self) -> str:
        return f"{self.error_class}-{self.line}-{self.column}"


ACCOUNTS = "accounts:\n  main:\n    venue: binanceusdm\n    api_key: abc\n"
CHANNELS = "channels:\n  phone:\n    url: json://localhost/x\n"


def _rules(text: str) -> str:
    return f"{ACCOUNTS}{CHANNELS}rules:\n  {text}\n"


def _top(text: str) -> str:
    return f"{ACCOUNTS}{CHANNELS}{text}\n"


def _account(text: str) -> str:
    return f"{CHANNELS}accounts:\n  main:\n    venue: binanceusdm\n    {text}\n"


def _channel(text: str) -> str:
    return f"{ACCOUNTS}channels:\n  phone:\n    url: json://localhost/x\n    {text}\n"


def _url(text: str) -> str:
    return f"{ACCOUNTS}channels:\n  phone:\n    {text}\n"


def _where(text: str) -> str:
    return _rules(f"doge: {{kind: liquidation_distance, warning: 30%, critical: 15%, where: {{{text}}}}}")


def _margin(text: str) -> str:
    return _rules(f"margin_ratio: {{{text}}}")


_DURATION = "expected a duration with its unit, such as 10s"
_RATIO = "expected a ratio in percent, such as 50%"
_ORDER = "warning ({}) must be below critical ({})"
_MAPPING = "expected a mapping"
_NAME = "expected a name of 1 to 64 letters"

TABLES: dict[str, list[tuple[str, str]]] = {
    # ---- the text itself
    "not_utf8": [
        (f"{ACCOUNTS}{CHANNELS}# caf{MARK}\udce9\n", "not UTF-8"),
        (f"{MARK}\udcff\udcfea\n", "not UTF-8"),
        (_account(f"secret: é{MARK}\udcc3("), "not UTF-8"),
    ],
    "control_character": [
        (_top(f"# a bell{MARK}\x07"), "control character"),
        (_account(f"secret: abc{MARK}\x00"), "control character"),
        (_account(f'secret: {MARK}"abc\\x01"'), "control character"),
        (f"{MARK}\x1b[0m", "control character"),
    ],
    "empty_file": [
        (f"{MARK}", "the file is empty"),
        (f"{MARK}\n\n", "the file is empty"),
        (f"{MARK}# nothing but a comment\n", "the file is empty"),
        (f"{MARK}---\n", "the file is empty"),
        (f"{MARK}~\n", "the file is empty"),
        (f"{MARK}null\n", "the file is empty"),
        (f"{MARK}---\n...\n", "the file is empty"),
    ],
    "top_is_no_mapping": [
        (f"{MARK}- accounts\n- channels\n", "expected a mapping with accounts"),
        (f"{MARK}accounts\n", "expected a mapping with accounts"),
        (f"\n\n  {MARK}[1, 2]\n", "expected a mapping with accounts"),
        (f"{MARK}'accounts: {{}}'\n", "expected a mapping with accounts"),
    ],
    "several_documents": [
        (f"{_top('')}{MARK}---\nrules: {{}}\n", "a second document"),
        (f"---\n{_top('')}...\n{MARK}---\n", "a second document"),
        (f"{_top('')}{MARK}---\n", "a second document"),
    ],
    "tab": [
        (f"accounts:\n{MARK}\tmain:\n", "tab"),
        (f"accounts:\n  main:\n{MARK}\t\tvenue: okx\n", "tab"),
        (_rules(f"margin_ratio:\n{MARK}\t{{warning: 5%}}"), "tab"),
    ],
    "quote_not_closed": [
        (_account(f"secret: 'abc{MARK}").rstrip("\n"), "a quote that is never closed"),
        (_account(f'secret: "abc{MARK}').rstrip("\n"), "a quote that is never closed"),
        (_rules(f'doge: {{kind: "margin{MARK}').rstrip("\n"), "a quote that is never closed"),
    ],
    "bracket_not_closed": [
        (_rules(f"margin_ratio: {{warning: 50%, critical: 80%\n  funding_exposure{MARK}: {{warning: 1%}}"), "comma"),
        (_channel(f"severities: [warning, critical\nprofile{MARK}: retail"), "comma or a closing bracket"),
        (_margin(f"warning: 50% critical{MARK}: 80%"), "comma or a closing bracket"),
        (_rules(f"margin_ratio: {{warning: 50%{MARK}]"), "comma or a closing bracket"),
    ],
    "stray_colon": [
        (_account(f"secret: abc{MARK}: def"), "a `:` that cannot stand here"),
        (_top(f"profile: retail\n  poll_interval{MARK}: 10s"), "a `:` that cannot stand here"),
        (_channel(f"accounts: x{MARK}: y"), "a `:` that cannot stand here"),
    ],
    "bad_indentation": [
        (_account(f"secret: abc\n   {MARK}password: def"), "check the indentation"),
        (_top(f"log:\n    level: info\n  {MARK}format: json"), "check the indentation"),
        (_top(f"poll_interval: 10s\n{MARK}- x"), "check the indentation"),
    ],
    "character_that_needs_quotes": [
        (_account(f"secret: {MARK}@abc"), "put the value in quotes"),
        (_account(f"secret: {MARK}`abc`"), "put the value in quotes"),
        (_account(f"secret: {MARK}%abc"), "put the value in quotes"),
        (_account(f'secret: "abc{MARK}\\qdef"').replace(f"{MARK}\\", f"\\{MARK}"), "unknown escape"),
    ],
    "line_without_colon": [
        (_top(f"{MARK}poll_interval 10s"), "expected `key: value`"),
        (_account(f"{MARK}secret abc\n    password: def"), "expected `key: value`"),
    ],
    "nested_too_deep": [
        ("a: " + "[" * 16 + f"{MARK}[" + "]" * 17, "nested more than 16 levels deep"),
        ("a: " + "{a: " * 16 + f"{MARK}{{a: 1}}" + "}" * 16, "nested more than 16 levels deep"),
        ("[" * 17 + f"{MARK}" + "[" * 50_000, "nested more than 16 levels deep"),
    ],
    # ---- YAML that is refused
    "duplicate_key": [
        (_top(f"profile: retail\n{MARK}profile: beginner"), "duplicate key, first given in line 8"),
        (_account(f"{MARK}venue: okx"), "duplicate key, first given in line 6"),
        (_account(f"secret: a\n    {MARK}secret: b"), "duplicate key"),
        (_margin(f"warning: 50%, critical: 80%, {MARK}warning: 60%"), "duplicate key"),
        (_rules(f"margin_ratio: {{warning: 50%, critical: 80%}}\n  {MARK}margin_ratio: false"), "duplicate key"),
        (_top(f'{MARK}"accounts": {{}}'), "duplicate key, first given in line 1"),
        (_where(f"symbol: DOGE/*, {MARK}symbol: BTC/*"), "duplicate key"),
    ],
    "anchor": [
        (_account(f"secret: {MARK}&s abc"), "anchors are not allowed"),
        (_rules(f"margin_ratio: {MARK}&m {{warning: 50%, critical: 80%}}"), "anchors are not allowed"),
        (_channel(f"severities: {MARK}&a [warning]"), "anchors are not allowed"),
        (_top(f"{MARK}&p profile: retail"), "anchors and tags are not allowed"),
    ],
    "alias": [
        (_account(f"secret: {MARK}*s"), "aliases are not allowed"),
        (_rules(f"margin_ratio: {MARK}*m"), "aliases are not allowed"),
        (_channel(f"severities: [{MARK}*a]"), "aliases are not allowed"),
        (f"{MARK}*all\n", "aliases are not allowed"),
    ],
    "merge_key": [
        (_rules(f"margin_ratio:\n    {MARK}<<: {{warning: 50%}}\n    critical: 80%"), "merge keys are not allowed"),
        (_account(f"{MARK}<<: {{secret: abc}}"), "merge keys are not allowed"),
        (_margin(f"{MARK}<<: {{warning: 50%}}, critical: 80%"), "merge keys are not allowed"),
    ],
    "tag": [
        (_account(f"secret: {MARK}!!str 123"), "tags are not allowed"),
        (_account(f"secret: {MARK}!vault abc"), "tags are not allowed"),
        (_rules(f"margin_ratio: {MARK}!!map {{warning: 50%, critical: 80%}}"), "tags are not allowed"),
        (_top(f"poll_interval: {MARK}!!python/object:os.system 10s"), "tags are not allowed"),
        (_account(f"secret: {MARK}!e!x abc"), "tags are not allowed"),
    ],
    "key_is_no_name": [
        (_top(f"? {MARK}[a, b]\n: c"), "expected a name as key"),
        (_rules(f"{MARK}: {{warning: 5%}}"), "expected a name as key"),
        (_account(f"{MARK}~: abc"), "expected a name as key"),
        (_margin(f"warning: 50%, critical: 80%, {{{MARK}}}: x").replace(f"{{{MARK}", f"{MARK}{{"), "a name as key"),
    ],
    "value_left_out": [
        (_top(f"{MARK}poll_interval:"), "expected a value, found nothing"),
        (_account(f"{MARK}secret:"), "expected a value"),
        (_account(f'{MARK}secret: ""'), "expected a value"),
        (_account(f"{MARK}secret: null"), "expected a value"),
        (_account(f"{MARK}secret: ~"), "expected a value"),
        (_account(f"{MARK}secret: '  '"), "expected a value"),
        (f"{ACCOUNTS}{CHANNELS}{MARK}rules:\n", "expected a value"),
        (f"{CHANNELS}{MARK}accounts:\n", "expected a value"),
        (f"{CHANNELS}accounts:\n  {MARK}main:\n", "expected a value"),
        (_margin(f"warning: 50%, {MARK}critical: "), "expected a value"),
        (_rules(f"{MARK}margin_ratio:"), "expected a value"),
        (_channel(f"severities: [warning, {MARK}~]"), "expected a value"),
    ],
    # ---- keys
    "unknown_key": [
        (_top(f"{MARK}pol_interval: 10s"), "unknown key pol_interval, did you mean poll_interval?"),
        (_top(f"{MARK}Profile: retail"), "unknown key Profile, did you mean profile?"),
        (_top(f"{MARK}zzz: 1"), "unknown key zzz: expected accounts, channels"),
        (_top(f"{MARK}rule: {{}}"), "did you mean rules?"),
        (_account(f"{MARK}apikey: abc"), "unknown key apikey, did you mean api_key?"),
        (_account(f"{MARK}apiKey: abc"), "did you mean api_key?"),
        (_account(f"{MARK}secretfile: x"), "did you mean secret_file?"),
        (_account(f"{MARK}passphrase: x"), "unknown key passphrase: expected venue, mode, api_key"),
        (_channel(f"{MARK}severity: [warning]"), "did you mean severities?"),
        (_channel(f"{MARK}for_accounts: [main]"), "did you mean accounts?"),
        (_margin(f"warning: 50%, {MARK}crticial: 80%"), "did you mean critical?"),
        (_margin(f"warning: 5%, {MARK}info: 1%"), "unknown key info"),
        (_margin(f"warning: 50%, critical: 80%, {MARK}for_: 30s"), "unknown key for_, did you mean for?"),
        (_where(f"symbol: DOGE/*, {MARK}sid: long"), "did you mean side?"),
        (_where(f"{MARK}symbols: [DOGE/*]"), "did you mean symbol?"),
        (_top(f"alerts: {{{MARK}critcal: {{for: 0s}}}}"), "did you mean critical?"),
        (_top(f"alerts: {{critical: {{{MARK}fro: 0s}}}}"), "did you mean for?"),
        (_top(f"health: {{{MARK}prot: 1}}"), "did you mean port?"),
        (_top(f"log: {{{MARK}levle: info}}"), "did you mean level?"),
        (_margin(f"warning: 50%, critical: 80%, for: {{{MARK}info: 5s}}"), "unknown key info"),
    ],
    "missing_key": [
        (f"{MARK}{CHANNELS}", "missing key accounts"),
        (f"{CHANNELS}accounts:\n  {MARK}main:\n    api_key: abc\n", "missing key venue"),
        (f"{CHANNELS}accounts:\n  {MARK}main: {{}}\n", "missing key venue"),
        (f"{ACCOUNTS}channels:\n  {MARK}phone: {{severities: [critical]}}\n", "missing key url"),
        (f"{ACCOUNTS}channels:\n  {MARK}phone:\n    fallback: true\n", "missing key url"),
    ],
    "name_not_usable": [
        (f"{CHANNELS}accounts:\n  {MARK}my account: {{venue: okx}}\n", _NAME),
        (f"{CHANNELS}accounts:\n  {MARK}a/b: {{venue: okx}}\n", _NAME),
        (f"{CHANNELS}accounts:\n  {MARK}{'a' * 65}: {{venue: okx}}\n", _NAME),
        (f"{CHANNELS}accounts:\n  {MARK}*: {{venue: okx}}\n".replace("*", "'*'"), _NAME),
        (f'{ACCOUNTS}channels:\n  {MARK}"json://localhost/canary": {{url: json://localhost}}\n', _NAME),
        (_rules(f"{MARK}doge distance: {{kind: margin_ratio, warning: 5%}}"), _NAME),
        (_rules(f"{MARK}ünder: {{kind: margin_ratio, warning: 5%}}"), _NAME),
    ],
    "reserved_rule_name": [
        (_rules(f"{MARK}blind: {{kind: margin_ratio, warning: 5%}}"), "taken by the monitor's own alerts"),
        (_rules(f"{MARK}config: false"), "taken by the monitor's own alerts"),
        (_rules(f"{MARK}monitor: {{warning: 5%}}"), "taken by the monitor's own alerts"),
        (_rules(f"{MARK}channel_down: {{warning: 5%}}"), "taken by the monitor's own alerts"),
    ],
    # ---- quantities
    "duration_without_unit": [
        (_top(f"poll_interval: {MARK}10"), f"{_DURATION}, 5m or 1h30m, not 10"),
        (_top(f"read_deadline: {MARK}2.5"), "not 2.5"),
        (_account(f"poll_interval: {MARK}30"), _DURATION),
        (_margin(f"warning: 50%, critical: 80%, for: {MARK}30"), _DURATION),
        (_margin(f"warning: 50%, critical: 80%, keep_firing_for: {MARK}0"), _DURATION),
        (_margin(f"warning: 50%, critical: 80%, for: {{warning: {MARK}30}}"), _DURATION),
        (_top(f"alerts: {{warning: {{group_wait: {MARK}30}}}}"), _DURATION),
        (_top(f"alerts: {{warning: {{repeat: {MARK}30}}}}"), _DURATION),
    ],
    "duration_unit_unknown": [
        (_top(f"poll_interval: {MARK}10 seconds"), _DURATION),
        (_top(f"poll_interval: {MARK}10sec"), _DURATION),
        (_top(f"poll_interval: {MARK}10S"), _DURATION),
        (_top(f"poll_interval: {MARK}ten"), _DURATION),
        (_top(f"poll_interval: {MARK}10%"), _DURATION),
        (_top(f"poll_interval: {MARK}PT10S"), _DURATION),
        (_top(f"poll_interval: {MARK}1w"), _DURATION),
    ],
    "duration_out_of_bounds": [
        (_top(f"poll_interval: {MARK}0s"), "expected a duration from 1s to 1h, not 0s"),
        (_top(f"poll_interval: {MARK}500ms"), "expected a duration from 1s to 1h"),
        (_top(f"poll_interval: {MARK}2h"), "expected a duration from 1s to 1h"),
        (_top(f"read_deadline: {MARK}1ms"), "expected a duration from 500ms to 2m"),
        (_account(f"read_deadline: {MARK}1h"), "expected a duration from 500ms to 2m"),
        (_top(f"poll_interval: {MARK}{'9' * 30}d"), "expected a duration"),
        (_margin(f"warning: 50%, critical: 80%, for: {MARK}300d"), "expected a duration of up to 1d"),
        (_margin(f"warning: 50%, critical: 80%, for: {{critical: {MARK}25h}}"), "expected a duration of up to 1d"),
        (_top(f"alerts: {{critical: {{for: {MARK}2d}}}}"), "expected a duration of up to 1d"),
        (_top(f"alerts: {{critical: {{group_wait: {MARK}1h}}}}"), "expected a duration of up to 10m"),
        (_top(f"alerts: {{critical: {{repeat: {MARK}1s}}}}"), "expected a duration from 1m to 7d, or never"),
    ],
    "ratio_without_percent": [
        (_margin(f"warning: {MARK}50, critical: 80%"), f"{_RATIO} or 0.5%, not 50"),
        (_margin(f"warning: 50%, critical: {MARK}80"), "not 80"),
        (_margin(f"warning: {MARK}0.5, critical: 80%"), _RATIO),
        (_rules(f"funding_exposure: {{critical: {MARK}2}}"), _RATIO),
        (_rules(f"liquidation_distance: {{warning: {MARK}'15'}}"), _RATIO),
        (_margin(f"warning: 50%, critical: 80%, hysteresis: {MARK}0.1"), _RATIO),
    ],
    "ratio_unit_unknown": [
        (_margin(f"warning: {MARK}50 percents, critical: 80%"), f"{_RATIO} or 0.5%, not 50 percents"),
        (_margin(f"warning: {MARK}50s, critical: 80%"), _RATIO),
        (_margin(f"warning: {MARK}5x, critical: 80%"), _RATIO),
        (_margin(f"warning: {MARK}half, critical: 80%"), _RATIO),
        (_margin(f"warning: {MARK}50 %%, critical: 80%"), _RATIO),
        (_margin(f"warning: {MARK}'50,5%', critical: 80%"), _RATIO),
        (_margin(f"warning: {MARK}1e1%, critical: 80%"), _RATIO),
    ],
    "not_a_finite_number": [
        (_margin(f"warning: {MARK}.nan, critical: 80%"), f"{_RATIO} or 0.5%, not .nan"),
        (_margin(f"warning: {MARK}nan%, critical: 80%"), _RATIO),
        (_margin(f"warning: 50%, critical: {MARK}.inf"), _RATIO),
        (_margin(f"warning: 50%, critical: {MARK}inf%"), _RATIO),
        (_margin(f"warning: 50%, critical: {MARK}{'9' * 400}%"), "expected"),
        (_top(f"poll_interval: {MARK}nans"), _DURATION),
        (_top(f"poll_interval: {MARK}.inf"), _DURATION),
    ],
    "negative_number": [
        (_margin(f"warning: {MARK}-5%, critical: 80%"), "not -5%"),
        (_rules(f"liquidation_distance: {{warning: 5%, critical: {MARK}-1%}}"), "not -1%"),
        (_top(f"poll_interval: {MARK}-10s"), "not -10s"),
        (_top(f"health: {{port: {MARK}-1}}"), "expected at least 0, not -1"),
    ],
    "ratio_out_of_bounds": [
        (_margin(f"warning: 50%, critical: 80%, hysteresis: {MARK}60%"), "expected at most 50%, not 60%"),
        (_margin(f"warning: 50%, critical: {MARK}20000%"), "not 20000%"),
    ],
    "thresholds_in_the_wrong_order": [
        (_margin(f"warning: 80%, critical: {MARK}50%"), _ORDER.format("80%", "50%")),
        (_margin(f"warning: 50%, critical: {MARK}50%"), _ORDER.format("50%", "50%")),
        (_margin(f"critical: {MARK}50%, warning: 80%"), _ORDER.format("80%", "50%")),
        (_margin(f"warning: {MARK}50%"), _ORDER.format("50%", "40% from the profile retail")),
        (_margin(f"critical: {MARK}10%"), _ORDER.format("20% from the profile retail", "10%")),
        (_rules(f"liquidation_distance: {{warning: 5%, critical: {MARK}10%}}"), "warning (5%) must be above critical"),
        (_rules(f"liquidation_distance: {{warning: {MARK}5%}}"), "critical (6% from the profile retail)"),
        (_rules(f"funding_exposure: {{warning: 2%, critical: {MARK}1%}}"), "warning (2%) must be below critical"),
        (_rules(f"doge: {{kind: margin_ratio, warning: {MARK}45%}}"), "critical (40% from the profile retail)"),
        (
            _rules(f"margin_ratio: {{warning: 5%, critical: 7%}}\n  doge: {{kind: margin_ratio, warning: {MARK}45%}}"),
            "critical (7% from the rule margin_ratio)",
        ),
    ],
    # ---- rules
    "unknown_rule_kind": [
        (_rules(f"doge: {{kind: {MARK}margin_ration, warning: 5%}}"), "did you mean margin_ratio?"),
        (_rules(f"doge: {{kind: {MARK}zzz, warning: 5%}}"), "unknown rule kind zzz: expected margin_ratio"),
        (_rules(f"doge: {{kind: {MARK}[margin_ratio], warning: 5%}}"), "expected margin_ratio, liq"),
        (_rules(f"doge: {{kind: {MARK}Margin_Ratio, warning: 5%}}"), "did you mean margin_ratio?"),
    ],
    "rule_without_kind": [
        (_rules(f"{MARK}margin_ration: {{warning: 5%}}"), "expected kind, did you mean margin_ratio? `perp"),
        (_rules(f"{MARK}margin-ratio: {{warning: 5%}}"), "did you mean margin_ratio?"),
        (_rules(f"{MARK}doge: {{warning: 5%}}"), "expected kind"),
        (_rules(f"{MARK}doge: {{}}"), "expected kind"),
    ],
    "too_many_levels": [
        (
            _rules(f"take_profit: {{levels: {MARK}[{', '.join(f'{level}%' for level in range(1, 12))}]}}"),
            "expected at most 10 entries",
        ),
    ],
    "offset_of_what_is_no_coin": [
        (_rules(f"hedge: {{offset: {{{MARK}btc: 1}}}}"), "expected a coin in capitals, such as BTC"),
        (_rules(f"hedge: {{offset: {{{MARK}BTC/USDT: 1}}}}"), "expected a coin in capitals, such as BTC"),
    ],
    "margin_ratio_that_only_the_liquidated_reach": [
        (_rules(f"margin_ratio: {{warning: 50%, critical: {MARK}100%}}"), "expected less than 100%, not 100%"),
    ],
    "concentration_that_no_two_coins_reach": [
        (_rules(f"concentration: {{warning: 60%, critical: {MARK}96%}}"), "expected at most 95%, not 96%"),
    ],
    "drawdown_that_leaves_nothing": [
        (_rules(f"drawdown: {{warning: 5%, critical: {MARK}100%}}"), "expected less than 100%, not 100%"),
        (_rules(f"drawdown: {{critical: {MARK}150%}}"), "expected less than 100%, not 150%"),
    ],
    "retreat_that_no_price_falls": [
        (_rules(f"trailing_stop: {{warning: 5%, critical: {MARK}100%}}"), "expected less than 100%: no price falls"),
    ],
    "basket_of_one_coin": [
        (_rules(f"hedge: {{basket: {MARK}[BTC]}}"), "expected at least 2 entries"),
    ],
    "kind_against_the_name": [
        (_rules(f"margin_ratio: {{kind: {MARK}funding_exposure, warning: 1%}}"), "expected margin_ratio"),
        (_rules(f"funding_exposure: {{kind: {MARK}margin_ratio}}"), "expected funding_exposure"),
    ],
    "rule_is_no_mapping": [
        (_rules(f"margin_ratio: {MARK}50%"), "expected a mapping such as {warning: 10%}, or false"),
        (_rules(f"margin_ratio: {MARK}true"), "or false"),
        (_rules(f"margin_ratio: {MARK}[50%, 80%]"), "or false"),
        (_rules(f"doge: {MARK}off-ish"), "or false"),
    ],
    "switching_off_what_is_not_there": [
        (_rules(f"{MARK}margin_ration: false"), "to switch off, did you mean margin_ratio?"),
        (_rules(f"{MARK}doge: off"), "no rule of the profile has this name"),
    ],
    "no_rule_left": [
        (
            f"{ACCOUNTS}{CHANNELS}{MARK}rules: {{{', '.join(f'{kind}: off' for kind in RULE_KINDS)}}}\n",
            "every rule is switched off",
        ),
    ],
    "unknown_profile": [
        (_top(f"profile: {MARK}expert"), "expected beginner, retail or professional, not expert"),
        (_top(f"profile: {MARK}Retail"), "expected beginner, retail or professional"),
        (_top(f"profile: {MARK}[retail]"), "expected beginner, retail or professional"),
    ],
    "bad_where": [
        (_where(f"side: {MARK}up"), "expected long or short, not up"),
        (_where(f"side: {MARK}LONG"), "expected long or short"),
        (_where(f"margin_mode: {MARK}crossed"), "expected cross or isolated, not crossed"),
        (_where(f"symbol: {MARK}DOGEUSDT"), "expected a symbol such as BTC/USDT:USDT"),
        (_where(f"symbol: {MARK}DOGE/USDT"), "or a glob such as BTC/*, not DOGE/USDT"),
        (_where(f"symbol: [DOGE/*, {MARK}BTC]"), "expected a symbol"),
        (_where(f"symbol: {MARK}{{a: b}}"), "expected text"),
        (_where(f"account: {MARK}mian"), "no account matches mian, did you mean main?"),
        (_where(f"account: [main, {MARK}fund-*]"), "no account matches fund-*"),
        (_where(f"venue: {MARK}bybit"), "no account's venue matches bybit"),
        (_rules(f"doge: {{kind: margin_ratio, warning: 5%, where: {MARK}DOGE/*}}"), _MAPPING),
    ],
    # ---- accounts
    "unknown_venue": [
        (f"{CHANNELS}accounts: {{main: {{venue: {MARK}binancusdm}}}}\n", "did you mean binanceusdm?"),
        (f"{CHANNELS}accounts: {{main: {{venue: {MARK}Bybit}}}}\n", "unknown venue Bybit, did you mean bybit?"),
        (f"{CHANNELS}accounts: {{main: {{venue: {MARK}nyse}}}}\n", "unknown venue nyse: expected a ccxt id"),
        (f"{CHANNELS}accounts: {{main: {{venue: {MARK}x{'y' * 60}}}}}\n", "unknown venue a text of 61 characters"),
        (f"{CHANNELS}accounts:\n  a: {{venue: okx}}\n  b:\n    venue: {MARK}okxx\n", "did you mean okx?"),
    ],
    "mode_the_venue_has_not": [
        (f"{CHANNELS}accounts: {{main: {{venue: okx, mode: {MARK}testnet}}}}\n", "ccxt knows no testnet of okx"),
        (
            f"{CHANNELS}accounts: {{main: {{venue: okx, mode: {MARK}paper}}}}\n",
            "expected live, demo or testnet, not paper",
        ),
    ],
    "no_account": [
        (f"{CHANNELS}accounts: {MARK}{{}}\n", "expected at least one entry"),
    ],
    "unknown_channel_named": [
        (_account(f"channels: [{MARK}phon]"), "no channel has the name phon, did you mean phone?"),
        (_account(f"channels: [phone, {MARK}desk]"), "no channel has the name desk"),
        (_account(f"channels:\n    - {MARK}Phone"), "did you mean phone?"),
    ],
    "bad_base_url": [
        (_account(f"base_url: {MARK}http://example.com"), "expected https"),
        (_account(f"base_url: {MARK}http://10.0.0.1:9000"), "expected https"),
        (_account(f"base_url: {MARK}localhost:9000"), "expected a URL such as"),
        (_account(f"base_url: {MARK}ftp://127.0.0.1"), "expected a URL such as"),
        (_account(f"base_url: {MARK}https://u:canary@host"), "without user name"),
        (_account(f"base_url: {MARK}https://host:99999"), "expected a URL such as"),
        (_account(f"base_url: {MARK}https://[::1"), "expected a URL such as"),
        (_account(f"proxy: {MARK}proxy:3128"), "expected a URL such as"),
        (_top(f"heartbeat_url: {MARK}hc-ping.com/canary"), "expected a URL such as"),
    ],
    "bad_boolean": [
        (_account(f"allow_withdraw_key: {MARK}yes"), "expected true or false, not yes"),
        (_channel(f"fallback: {MARK}on"), "expected true or false, not on"),
        (_channel(f"fallback: {MARK}1"), "expected true or false"),
        (_channel(f"fallback: {MARK}True"), "expected true or false"),
        (_channel(f"fallback: {MARK}[true]"), "expected true or false"),
    ],
    # ---- secrets
    "environment_variable_not_set": [
        (_account(f"secret: {MARK}${{NOT_SET}}"), "the environment variable NOT_SET is not set"),
        (_account(f"secret: {MARK}x${{KEY}}${{NOT_SET}}"), "NOT_SET is not set"),
        (_account(f"secret: {MARK}${{EMPTY}}"), "the environment variable EMPTY is empty"),
        (_account(f"secret: {MARK}${{NOT_SET:-}}"), "NOT_SET is not set"),
        (_url(f'url: {MARK}"tgram://${{TOKEN}}/1"'), "TOKEN is not set"),
        (_top(f"poll_interval: {MARK}${{POLL}}"), "POLL is not set"),
        (_channel(f"severities: [{MARK}'${{LEVEL}}']"), "LEVEL is not set"),
    ],
    "malformed_reference": [
        (_account(f"secret: {MARK}${{KEY"), "expected ${NAME} or ${NAME:-default}"),
        (_account(f"secret: {MARK}${{}}"), "expected ${NAME}"),
        (_account(f"secret: {MARK}${{1KEY}}"), "expected ${NAME}"),
        (_account(f"secret: {MARK}${{KEY-x}}"), "expected ${NAME}"),
    ],
    "secret_file_not_usable": [
        (_account(f"secret_file: {MARK}missing.txt"), "the file does not exist"),
        (_account(f"api_key_file: {MARK}empty.txt"), "the file is empty"),
        (_account(f"password_file: {MARK}folder"), "expected a file"),
        (_account(f"secret_file: {MARK}binary.txt"), "not UTF-8"),
        (_account(f"secret_file: {MARK}large.txt"), "larger than 64 KiB"),
        (_account(f"secret_file: {MARK}[good.txt]"), "expected the name of a file"),
        (_url(f"url_file: {MARK}missing.txt"), "the file does not exist"),
        (_top(f"heartbeat_url_file: {MARK}missing.txt"), "the file does not exist"),
        (_account(f"secret_file: {MARK}good.txt/x"), "cannot be read"),
    ],
    "secret_given_twice": [
        (_account(f"secret: abc\n    {MARK}secret_file: good.txt"), "give secret or secret_file, not both"),
        (_account(f"{MARK}api_key_file: good.txt\n    api_key: abc"), "give api_key or api_key_file, not both"),
        (_channel(f"{MARK}url_file: good.txt"), "give url or url_file, not both"),
    ],
    # ---- channels
    "channel_url_nobody_can_parse": [
        (_url(f"url: {MARK}canary-4714"), "expected an Apprise URL such as tgram://token/chat, cannot read ***"),
        (_url(f"url: {MARK}canary://4715/x"), "no service has this scheme"),
        (_url(f"url: {MARK}${{KEY}}"), "cannot read ***"),
        (_url(f"url_file: {MARK}good.txt"), "cannot read ***"),
    ],
    "unknown_severity": [
        (_channel(f"severities: [warning, {MARK}criticl]"), "expected info, warning or critical, not criticl"),
        (_channel(f"severities: [{MARK}Critical]"), "expected info, warning or critical"),
        (_channel(f"severities: [{MARK}2]"), "expected info, warning or critical"),
    ],
    "channel_accounts_match_nothing": [
        (_channel(f"accounts: [{MARK}mian]"), "no account matches mian, did you mean main?"),
        (_channel(f'accounts: [{MARK}"fund-*"]'), "no account matches fund-*"),
    ],
    # ---- shapes
    "no_list": [
        (_channel(f"severities: {MARK}critical"), "expected a list such as [a, b], not critical"),
        (_channel(f"severities: {MARK}{{critical: true}}"), "expected a list"),
        (_account(f"channels: {MARK}phone"), "expected a list"),
        (_channel(f"severities: {MARK}[]"), "expected at least one entry"),
        (_account(f"channels: {MARK}[]"), "expected at least one entry"),
    ],
    "no_mapping": [
        (f"{CHANNELS}accounts:\n  {MARK}- main\n", _MAPPING),
        (f"{CHANNELS}accounts: {MARK}main\n", _MAPPING),
        (f"{CHANNELS}accounts:\n  main: {MARK}binanceusdm\n", _MAPPING),
        (f"{CHANNELS}accounts:\n  main:\n    {MARK}- venue: okx\n", _MAPPING),
        (f"{ACCOUNTS}channels: {MARK}[json://localhost]\n", _MAPPING),
        (f"{ACCOUNTS}channels: {{phone: {MARK}json://localhost}}\n", _MAPPING),
        (_top(f"rules: {MARK}none"), _MAPPING),
        (_top(f"rules: {MARK}[margin_ratio]"), _MAPPING),
        (_top(f"alerts: {MARK}off"), _MAPPING),
        (_top(f"alerts: {{critical: {MARK}5m}}"), _MAPPING),
        (_top(f"log: {MARK}info"), _MAPPING),
    ],
    "no_text": [
        (_account(f"secret: {MARK}[abc]"), "expected text"),
        (_account(f"secret: {MARK}{{a: b}}"), "expected text"),
        (_url(f"url: {MARK}[json://localhost]"), "expected text"),
        (f"{CHANNELS}accounts: {{main: {{venue: {MARK}[okx]}}}}\n", "expected text"),
        (_top(f"poll_interval: {MARK}[10s]"), _DURATION),
        (_margin(f"warning: {MARK}{{a: 5%}}, critical: 80%"), _RATIO),
        (_top(f"database: {MARK}[x]"), "expected the name of a file"),
    ],
    "bad_operating_settings": [
        (_top(f"health: {{port: {MARK}http}}"), "expected a whole number, not http"),
        (_top(f"health: {{port: {MARK}70000}}"), "expected at most 65535, not 70000"),
        (_top(f"health: {{host: {MARK}0.0.0.0}}"), "expected a loopback address such as 127.0.0.1"),
        (_top(f"health: {{host: {MARK}example.com}}"), "expected a loopback address"),
        (_top(f"log: {{level: {MARK}verbose}}"), "expected debug, info, warning or error, not verbose"),
        (_top(f"log: {{level: {MARK}INFO}}"), "expected debug, info"),
        (_top(f"log: {{format: {MARK}text}}"), "expected console or json, not text"),
    ],
}


def _cases() -> Iterator[Case]:
    for error_class, rows in TABLES.items():
        for text, message in rows:
            assert text.count(MARK) == 1, text
            before, after = text.split(MARK)
            line, column = before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1
            yield Case(error_class, (before + after).encode("utf-8", "surrogateescape"), line, column, message)


CASES: list[Case] = list(_cases())
