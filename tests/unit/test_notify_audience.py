"""Who may hear of an account, as the YAML says."""

from monitor.config.settings import Settings
from monitor.notify.escalation import Audience

SETTINGS = Settings.model_validate(
    {
        "accounts": {
            "main": {"venue": "binanceusdm"},
            "fund-1": {"venue": "binanceusdm", "channels": ["desk", "backup"]},
        },
        "channels": {
            "phone": {"url": "json://localhost/a", "severities": ["critical"]},
            "desk": {"url": "json://localhost/b", "severities": ["info"]},
            "private": {"url": "json://localhost/c", "accounts": ["main"]},
            "backup": {"url": "json://localhost/d", "fallback": True},
        },
        "rules": {},
    }
)


def test_everyone_who_may_hear_of_an_account_is_told_of_it_in_the_end_and_nobody_else() -> None:
    audience = Audience.of(SETTINGS)
    assert set(audience.everyone("main")) == {"phone", "desk", "private", "backup"}
    assert set(audience.everyone("fund-1")) == {"desk", "backup"}
    assert audience.fallbacks("main") == ("backup",)


def test_what_belongs_to_no_account_goes_to_the_channels_that_hear_of_all() -> None:
    audience = Audience.of(SETTINGS)
    for account in ("*", "an account that is gone"):
        assert set(audience.everyone(account)) == {"phone", "desk", "backup"}
        assert audience.fallbacks(account) == ("backup",)
