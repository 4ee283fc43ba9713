"""Settings from environment variables: they win over the file, and what is wrong with one is told by its name."""

import pytest

from monitor.domain.reading import Severity
from tests.unit.config_kit import MINIMAL, problems_of, read, thresholds


@pytest.mark.parametrize(
    ("env", "poll_interval_s", "level"),
    [
        ({}, 20.0, "warning"),
        ({"PERPWATCH_POLL_INTERVAL": "5s"}, 5.0, "warning"),
        ({"PERPWATCH_LOG__LEVEL": "debug"}, 20.0, "debug"),
        ({"perpwatch_poll_interval": "5s"}, 5.0, "warning"),
    ],
)
def test_the_environment_wins_over_the_file_and_the_file_over_the_defaults(
    env: dict[str, str], poll_interval_s: float, level: str
) -> None:
    config = read(MINIMAL + "poll_interval: 20s\nlog: {level: warning}\n", env)
    assert (config.poll_interval, config.log.level, config.log.format) == (poll_interval_s, level, "console")


def test_the_environment_reaches_every_depth() -> None:
    env = {
        "PERPWATCH_ACCOUNTS__MAIN__API_KEY": "${not-a-reference",
        "PERPWATCH_ACCOUNTS__OTHER__VENUE": "okx",
        "PERPWATCH_CHANNELS__PHONE__URL": "json://localhost",
        "PERPWATCH_CHANNELS__PHONE__SEVERITIES": "[critical]",
        "PERPWATCH_RULES__MARGIN_RATIO__CRITICAL": "90%",
        "PERPWATCH_RULES__FUNDING_EXPOSURE": "false",
        "PERPWATCH_ALERTS__CRITICAL__FOR": "3s",
        "PERPWATCH_PROFILE": "beginner",
    }
    config = read(MINIMAL, env)
    key = config.accounts["main"].api_key
    assert key is not None
    assert key.get_secret_value() == "${not-a-reference"
    assert config.accounts["other"].venue == "okx"
    assert config.channels["phone"].severities == {Severity.CRITICAL}
    assert thresholds(config, "margin_ratio") == (0.15, 0.9)
    assert "funding_exposure" not in config.rules
    assert config.alerts.policy_for(None).of(Severity.CRITICAL).for_s == 3.0


def test_an_override_replaces_a_reference_or_a_secret_file_that_is_not_there() -> None:
    text = "accounts:\n  Main: {venue: okx, api_key: '${NOT_SET}', secret_file: missing}\n"
    env = {"PERPWATCH_ACCOUNTS__MAIN__API_KEY": "k", "PERPWATCH_ACCOUNTS__MAIN__SECRET": "s"}
    main = read(text, env).accounts["Main"]
    assert main.secret is not None
    assert main.secret.get_secret_value() == "s"


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("PERPWATCH_POLL_INTERVAL", "5", "poll_interval: expected a duration with its unit"),
        ("PERPWATCH_LOG__LEVEL", "loud", "log.level: expected debug, info, warning or error, not loud"),
        ("PERPWATCH_LOG__LEVLE", "info", "log.levle: unknown key levle, did you mean level?"),
        ("PERPWATCH_POL_INTERVAL", "5s", "no setting has this name, did you mean PERPWATCH_POLL_INTERVAL?"),
        ("PERPWATCH_POLL_INTERVAL__X", "5s", "no setting has this name"),
        (
            "PERPWATCH_RULES__MARGIN_RATIO__CRITICAL",
            "5%",
            "rules.margin_ratio: warning (20% from the profile retail) must be below",
        ),
        ("PERPWATCH_ACCOUNTS__MAIN__SECRET_FILE", "missing", "accounts.main.secret_file: the file does not exist"),
        ("PERPWATCH_CHANNELS__PHONE__SEVERITIES", "[critical, loud]", "channels.phone.severities[1]: expected info"),
        ("PERPWATCH_ACCOUNTS", "main", "accounts: expected a mapping"),
        ("PERPWATCH_PROFILE", "", "profile: expected"),
    ],
)
def test_a_wrong_override_is_told_by_the_name_of_its_variable(name: str, value: str, told: str) -> None:
    text = MINIMAL + "channels:\n  phone: {url: json://localhost}\n"
    assert problems_of(text, {name: value}).startswith(f"environment variable {name}: {told}")


@pytest.mark.parametrize(
    "name", ["PERPWATCH_CONFIG", "PERPWATCH_PORT_8080_TCP_ADDR", "PERPWATCH_SERVICE_HOST", "PERPWATCH_PORT", "HOME"]
)
def test_variables_that_are_no_settings_are_left_alone(name: str) -> None:
    assert read(MINIMAL, {name: "tcp://10.0.0.1:8080"}) == read(MINIMAL)


def test_a_variable_that_the_file_refers_to_is_no_misspelt_setting() -> None:
    text = MINIMAL + "channels:\n  phone: {url: '${PERPWATCH_TELEGRAM}'}\n"
    config = read(text, {"PERPWATCH_TELEGRAM": "tgram://a/b"})
    assert config.channels["phone"].url.get_secret_value() == "tgram://a/b"
