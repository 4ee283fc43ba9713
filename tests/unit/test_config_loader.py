"""What a good file means: defaults, environment, secrets, profiles, policies. And all errors of a bad one at once."""

import re
from collections.abc import Callable
from pathlib import Path
from traceback import format_exception

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.config.loader import load
from monitor.config.problems import MAX_PROBLEMS, ConfigError
from monitor.config.profiles import PROFILES
from monitor.config.settings import HOUSE_POLICY
from monitor.domain.reading import Need, Severity
from monitor.rules.quantities import ANY_SHARE
from monitor.rules.stop_missing import StopMissing
from monitor.watching import access_of
from tests.unit.config_kit import MINIMAL, problems_of, read, thresholds
from tests.unit.malformed_yaml import channel_error, is_venue, mode_error

FULL = """\
poll_interval: 10s
profile: retail
accounts:
  main:
    venue: binanceusdm
    api_key: ${BINANCE_KEY}
    secret_file: binance
    base_url: http://127.0.0.1:9000
channels:
  phone: {url: "${TELEGRAM_URL}", severities: [warning, critical]}
rules:
  margin_ratio: {warning: 50%, critical: 80%}
  liquidation_distance: {warning: 15%, critical: 7%}
  doge_distance: {kind: liquidation_distance, where: {symbol: "DOGE/*"}, warning: 30%, critical: 15%}
  funding_exposure: {warning: 0.5%, critical: 2%}
"""
ENV = {"BINANCE_KEY": "the-key", "TELEGRAM_URL": "tgram://token/chat"}
README = Path(__file__).parents[2] / "README.md"
CANARY = "canary" + "0123456789abcdef" * 4


def test_the_file_of_the_readme_is_read() -> None:
    (text,) = re.findall(r"```yaml\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    config = read(text, {**ENV, "BINANCE_SECRET": "the-secret"})
    assert list(config.accounts) == ["main"]
    assert thresholds(config, "liquidation_distance") == (0.15, 0.07)


def test_a_file_means_what_it_says(tmp_path: Path) -> None:
    (tmp_path / "binance").write_text("the-secret\n")
    config = read(FULL, ENV, tmp_path)
    main = config.accounts["main"]
    assert main.api_key is not None
    assert main.api_key.get_secret_value() == "the-key"
    assert main.secret is not None
    assert main.secret.get_secret_value() == "the-secret"
    assert main.base_url == "http://127.0.0.1:9000"
    assert config.channels["phone"].url.get_secret_value() == "tgram://token/chat"
    assert thresholds(config, "margin_ratio") == (0.5, 0.8)
    assert thresholds(config, "doge_distance") == (0.3, 0.15)
    assert thresholds(config, "funding_exposure") == (0.005, 0.02)
    assert list(config.rules) == [*PROFILES["retail"], "doge_distance"]


def test_a_file_without_rules_has_the_rules_of_the_retail_profile() -> None:
    config = read(MINIMAL)
    assert list(config.rules) == list(PROFILES["retail"])
    assert (thresholds(config, "margin_ratio"), thresholds(config, "leverage")) == ((0.2, 0.4), (5.0, 7.0))
    assert (config.poll_interval, config.read_deadline) == (10.0, 10.0)
    assert (config.health.host, config.health.port) == ("127.0.0.1", 8080)
    assert config.database == Path("state/perpwatch.db")


@pytest.mark.parametrize(
    ("profile", "margin_ratio", "distance", "funding"),
    [
        ("beginner", (0.15, 0.3), (0.2, 0.1), (0.0015, 0.005)),
        ("retail", (0.2, 0.4), (0.12, 0.06), (0.003, 0.01)),
        ("professional", (0.4, 0.65), (0.03, 0.015), (0.005, 0.02)),
    ],
)
def test_each_profile_is_a_complete_set_of_rules(
    profile: str, margin_ratio: tuple[float, float], distance: tuple[float, float], funding: tuple[float, float]
) -> None:
    config = read(f"profile: {profile}\n{MINIMAL}")
    assert thresholds(config, "margin_ratio") == pytest.approx(margin_ratio)
    assert thresholds(config, "liquidation_distance") == pytest.approx(distance)
    assert thresholds(config, "funding_exposure") == pytest.approx(funding)


def test_a_key_of_the_file_overrides_the_same_key_of_the_profile_only() -> None:
    config = read(MINIMAL + "rules:\n  margin_ratio: {critical: 90%}\n")
    assert thresholds(config, "margin_ratio") == (0.2, 0.9)


@pytest.mark.parametrize("off", ["false", "off", '"off"'])
def test_a_rule_of_the_profile_can_be_switched_off(off: str) -> None:
    config = read(MINIMAL + f"rules:\n  funding_exposure: {off}\n")
    assert list(config.rules) == [name for name in PROFILES["retail"] if name != "funding_exposure"]


def test_a_rule_for_some_positions_keeps_the_critical_threshold_of_the_general_rule() -> None:
    text = "rules:\n  doge: {kind: liquidation_distance, where: {symbol: DOGE/*}, warning: 30%}\n"
    assert thresholds(read(MINIMAL + text), "doge") == (0.3, 0.06)
    text += "  liquidation_distance: {warning: 20%, critical: 9%, where: {side: long}}\n"
    config = read(MINIMAL + text)
    assert thresholds(config, "doge") == (0.3, 0.09)
    assert config.rules["doge"].where.side is None


def test_a_rule_for_some_positions_stands_alone_where_the_general_rule_is_off() -> None:
    text = "rules:\n  liquidation_distance: false\n  doge: {kind: liquidation_distance, warning: 30%}\n"
    assert thresholds(read(MINIMAL + text), "doge") == (0.3, None)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("${KEY}", "abc"),
        ("x${KEY}y${KEY}", "xabcyabc"),
        ("${NOT_SET:-fallback}", "fallback"),
        ("${EMPTY:-fallback}", "fallback"),
        ("${KEY:-fallback}", "abc"),
        ("$${KEY}", "${KEY}"),
        ("$KEY", "$KEY"),
        ("pa$$word", "pa$$word"),
        ("0123", "0123"),
        ("true", "true"),
        ("1e5", "1e5"),
        ('" spaces "', " spaces "),
        ("|\n      block\n", "block"),
        ("'it''s'", "it's"),
    ],
)
def test_a_secret_is_the_text_as_written_with_its_references_resolved(written: str, meant: str) -> None:
    text = f"accounts:\n  main:\n    venue: okx\n    password: {written}\n"
    password = read(text, {"KEY": "abc", "EMPTY": ""}).accounts["main"].password
    assert password is not None
    assert password.get_secret_value() == meant


def test_only_the_trailing_newline_of_a_secret_file_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b" two\nlines \r\n")
    text = "accounts:\n  main: {venue: okx, secret_file: secret}\n"
    secret = read(text, folder=tmp_path).accounts["main"].secret
    assert secret is not None
    assert secret.get_secret_value() == " two\nlines "


def test_every_problem_of_a_file_is_told_at_once_in_its_order() -> None:
    text = """\
poll_interval: 10
profile: expert
accounts:
  main: {venue: binancusdm, api_key: "${NOT_SET}", chanels: [phone]}
  other: {venue: okx, channels: [phon]}
channels:
  phone: {url: nonsense, severities: [loud]}
rules:
  margin_ratio: {warning: 80%, critical: 50%}
  margin_ratio: {warning: 50}
  doge: {kind: margin_ration, warning: 5%}
  blind: {warning: 5%}
"""
    told = problems_of(text).splitlines()
    places = [tuple(int(part) for part in line.split(":")[1:3]) for line in told]
    assert places == sorted(places)
    assert [line for line, _ in places] == [1, 2, 4, 4, 4, 5, 7, 7, 9, 10, 11, 12]


def test_a_flood_of_problems_is_cut_short() -> None:
    text = MINIMAL + "".join(f"zzz{i}: 1\n" for i in range(MAX_PROBLEMS + 50))
    assert len(problems_of(text).splitlines()) == MAX_PROBLEMS


def test_a_file_of_too_many_values_is_refused_before_it_holds_up_the_monitor() -> None:
    assert "more than 10000 values" in problems_of("a: [" + "1," * 60_000 + "]")


def test_no_secret_stands_in_the_settings_as_text_or_in_a_problem(tmp_path: Path) -> None:
    (tmp_path / "file").write_text(CANARY)
    text = f"""\
heartbeat_url: https://hc.example/{CANARY}
accounts:
  main:
    venue: okx
    api_key: {CANARY}
    secret_file: file
    password: ${{CANARY}}
    uid: {CANARY}
    private_key: {CANARY}
    proxy: http://u:{CANARY}@proxy
channels:
  phone: {{url: "json://localhost/{CANARY}"}}
"""
    config = read(text, {"CANARY": CANARY}, tmp_path)
    assert CANARY not in f"{config!r} {config} {config.model_dump()} {config.model_dump_json()}"
    for wrong in ("venue: okx", "json://", "https://hc.example/", "http://u:", "file: file", "uid:", "password:"):
        broken = text.replace(wrong, {"venue: okx": "venue: ${CANARY}"}.get(wrong, f"{wrong} : ["))
        assert CANARY not in problems_of(broken + "zzz: 1\n", {"CANARY": CANARY}, tmp_path)


def test_no_secret_stands_in_the_traceback_of_a_flood_of_problems() -> None:
    text = f"accounts: {{a: {{venue: okx, password: [{CANARY}]}}}}\n" + "".join(f"z{i}: 1\n" for i in range(250))
    with pytest.raises(ConfigError) as raised:
        read(text)
    assert CANARY not in "".join(format_exception(raised.value))


def test_the_house_policy_is_the_default_and_settings_and_rules_override_it() -> None:
    assert read(MINIMAL).alerts.policy_for(None).levels == HOUSE_POLICY
    text = MINIMAL + (
        "alerts: {critical: {repeat: never}, warning: {for: 1m, group_wait: 5s, repeat: 2h}}\n"
        "rules:\n  margin_ratio: {for: 10s}\n"
        "  funding_exposure: {for: {warning: 10m}, keep_firing_for: {critical: 0s}}\n"
    )
    config = read(text)
    assert config.alerts.policy_for(None).of(Severity.CRITICAL).repeat_s is None
    margin = config.alerts.policy_for(config.rules["margin_ratio"])
    assert [margin.of(severity).for_s for severity in (Severity.WARNING, Severity.CRITICAL)] == [10.0, 10.0]
    assert (margin.of(Severity.WARNING).group_wait_s, margin.of(Severity.WARNING).repeat_s) == (5.0, 7200.0)
    funding = config.alerts.policy_for(config.rules["funding_exposure"])
    assert [funding.of(severity).for_s for severity in (Severity.WARNING, Severity.CRITICAL)] == [600.0, 0.0]
    assert [funding.of(s).keep_firing_for_s for s in (Severity.WARNING, Severity.CRITICAL)] == [300.0, 0.0]


@pytest.mark.parametrize(
    ("alerts", "critical", "standing", "chosen"),
    [
        ("{}", 300.0, 4 * 3600.0, 86_400.0),
        ("{warning: {repeat: never}}", 300.0, 4 * 3600.0, 86_400.0),
        ("{critical: {repeat: 1h}}", 3600.0, 4 * 3600.0, 86_400.0),
        ("{critical: {repeat: 8h}}", 8 * 3600.0, 8 * 3600.0, 86_400.0),
        ("{critical: {repeat: never}}", None, None, None),
    ],
)
def test_a_critical_state_that_may_last_for_days_is_repeated_every_four_hours_at_most_and_a_chosen_one_once_a_day(
    alerts: str, critical: float | None, standing: float | None, chosen: float | None
) -> None:
    config = read(f"{MINIMAL}alerts: {alerts}\n")
    for kind, repeat_s in (("margin_ratio", critical), ("loss", standing), ("position_size", chosen)):
        policy = config.alerts.policy_for(config.rules[kind])
        assert policy.of(Severity.CRITICAL).repeat_s == repeat_s
        assert policy.of(Severity.INFO) == HOUSE_POLICY[Severity.INFO]


@pytest.mark.parametrize(
    ("profile", "thresholds", "waits_s"),
    [
        ("beginner", (None, ANY_SHARE), (30.0, 30.0)),
        ("retail", (ANY_SHARE, ANY_SHARE), (30.0, 900.0)),
        ("professional", (ANY_SHARE, None), (30.0, 0.0)),
    ],
)
def test_a_missing_stop_waits_as_its_profile_says_and_reminds_each_hour_alone(
    profile: str, thresholds: tuple[float | None, float | None], waits_s: tuple[float, float]
) -> None:
    config = read(f"profile: {profile}\n{MINIMAL}")
    rule = config.rules["stop_missing"]
    assert isinstance(rule, StopMissing)
    assert (rule.warning, rule.critical) == thresholds
    levels = config.alerts.policy_for(rule)
    assert tuple(levels.of(severity).for_s for severity in (Severity.WARNING, Severity.CRITICAL)) == waits_s
    assert [levels.of(s).repeat_s for s in (Severity.WARNING, Severity.CRITICAL)] == [24 * 3600.0, 3600.0]
    own = read(f"{MINIMAL}alerts: {{critical: {{repeat: 10m}}}}\n").alerts.policy_for(rule)
    assert own.of(Severity.CRITICAL).repeat_s == 3600.0, "a state of hours is no emergency of minutes"


@pytest.mark.parametrize(
    ("rules", "needs"),
    [
        ("", {Need.ORDERS}),
        ("rules: {stop_missing: false}", set()),
        ("rules: {stop_missing: {where: {venue: okx}}}", {Need.ORDERS}),
        ("rules: {stop_missing: {where: {account: 'fund-*'}}}", set()),
    ],
)
def test_stop_orders_are_needed_where_a_rule_judges_the_account_by_them(rules: str, needs: set[Need]) -> None:
    accounts = "accounts: {main: {venue: okx}, fund-1: {venue: okx}}\n"
    assert access_of(read(accounts + rules), "main").needs & {Need.ORDERS} == needs


@pytest.mark.parametrize(("rules", "needs"), [("", True), ("rules: {drawdown: false}", False)])
def test_bookings_are_needed_where_a_rule_judges_the_account_by_them(rules: str, needs: bool) -> None:
    others = "" if needs else ", funding_exposure: false, loss: false}"
    given = read("accounts: {main: {venue: okx}}\n" + rules.rstrip("}") + others)
    assert (Need.LEDGER in access_of(given, "main").needs) is needs


def test_blindness_is_told_at_once_whatever_the_waits_of_the_rules() -> None:
    policy = read(MINIMAL + "alerts: {warning: {for: 1h, group_wait: 10m, repeat: 2h}}\n").alerts.blind_policy()
    for severity in (Severity.WARNING, Severity.CRITICAL):
        assert (policy.of(severity).for_s, policy.of(severity).group_wait_s) == (0.0, 0.0)
        assert policy.of(severity).keep_firing_for_s == 60.0
    assert policy.of(Severity.WARNING).repeat_s == 7200.0


def test_who_is_told_follows_account_channel_and_severity() -> None:
    text = """\
accounts:
  fund-a: {venue: okx}
  fund-b: {venue: okx, channels: [desk]}
  home: {venue: bybit}
channels:
  phone: {url: json://localhost/1}
  desk: {url: json://localhost/2, severities: [info, warning], accounts: ["fund-*"]}
  backup: {url: json://localhost/3, severities: [critical], fallback: true}
"""
    config = read(text)
    assert config.channels_for("fund-a", Severity.WARNING) == ("phone", "desk")
    assert config.channels_for("fund-b", Severity.WARNING) == ("desk",)
    assert config.channels_for("fund-b", Severity.CRITICAL) == ()
    assert config.channels_for("home", Severity.INFO) == ()
    assert config.fallbacks_for("home") == ("backup",)
    assert config.critical_channels == ("phone",)
    assert config.unheard_accounts == ("fund-b",)


def test_an_account_may_be_read_at_its_own_pace() -> None:
    config = read("accounts:\n  a: {venue: okx, poll_interval: 1m, read_deadline: 5s}\n  b: {venue: okx}\n")
    assert (config.poll_interval_of("a"), config.read_deadline_of("a")) == (60.0, 5.0)
    assert (config.poll_interval_of("b"), config.read_deadline_of("b")) == (10.0, 10.0)


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda path: None, "the file does not exist"),
        (lambda path: path.mkdir(), "expected a file, found a folder"),
        (lambda path: path.write_bytes(b"#" * (256 * 1024 + 1)), "larger than 256 KiB"),
    ],
)
def test_a_file_that_cannot_be_read_is_told_without_a_line(
    make: Callable[[Path], object], told: str, tmp_path: Path
) -> None:
    path = tmp_path / "perpwatch.yaml"
    make(path)
    with pytest.raises(ConfigError) as raised:
        load(path, is_venue=is_venue, channel_error=channel_error, mode_error=mode_error, env={})
    assert str(raised.value).startswith(f"{path}: ")
    assert told in str(raised.value)


def test_a_file_with_byte_order_mark_and_windows_line_ends_is_read(tmp_path: Path) -> None:
    path = tmp_path / "perpwatch.yaml"
    path.write_bytes(b"\xef\xbb\xbf" + MINIMAL.replace("\n", "\r\n").encode())
    config = load(path, is_venue=is_venue, channel_error=channel_error, mode_error=mode_error, env={})
    assert list(config.accounts) == ["main"]


SECRET_FILE = FULL.replace("secret_file: binance", f"secret: {CANARY}")
_SNIPPETS = st.sampled_from([*"[]{}:,&*!|>'\"%@`#-?~\n\t $\\<", "${", "}}", "---\n", "<<: ", "\n  ", "null", "\0"])


def error_of(text: str) -> ConfigError | None:
    try:
        read(text, ENV)
    except ConfigError as error:
        return error
    return None


@given(
    edits=st.lists(
        st.tuples(st.integers(0, len(SECRET_FILE)), st.integers(0, 12), st.one_of(_SNIPPETS, st.text(max_size=4))),
        min_size=1,
        max_size=4,
    )
)
@settings(max_examples=300, deadline=None)
def test_any_edit_of_a_file_gives_settings_or_problems_and_never_a_secret(edits: list[tuple[int, int, str]]) -> None:
    text = SECRET_FILE
    for at, cut, put in edits:
        text = text[:at] + put + text[at + cut :]
    error = error_of(text)
    assert error is None or (error.errors and CANARY not in str(error))


@given(st.text(max_size=60))
@settings(max_examples=200, deadline=None)
def test_any_text_gives_settings_or_problems(text: str) -> None:
    with pytest.raises(ConfigError) as raised:
        read(text)
    assert raised.value.errors
