"""`perpwatch demo` as a person or a container runs it, and what it refuses."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from monitor.cli.demo_phone import Phone
from monitor.cli.demo_stage import shipped_config, stage
from monitor.cli.errors import CommandError
from monitor.clock import SystemClock
from monitor.config.problems import ConfigError
from monitor.domain.reading import Severity
from monitor.notify.channels import Channel
from monitor.notify.message import Rendered
from monitor.paper.scenarios import load_scenario

SHIPPED = shipped_config().read_text(encoding="utf-8")
# What must not leak in: settings for a real monitor, and a proxy that would see the messages.
STRANGE = {
    "PERPWATCH_CONFIG": "/nonexistent.yaml",
    "PERPWATCH_POLL_INTERVAL": "soon",
    "PERPWATCH_CHANNELS__PHONE__URL": "tgram://123456789:abcdefghijklmnopqrstuvwxyzABCDEFGHI/4242",
    "HTTP_PROXY": "http://127.0.0.1:9",
    "http_proxy": "http://127.0.0.1:9",
}


@pytest.mark.timeout(180)
def test_the_plain_demo_warns_before_the_liquidation_and_marks_every_line() -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "monitor", "demo", "--plain", "--duration", "20s"],
        capture_output=True,
        text=True,
        encoding="utf-8",
        env={**os.environ, **STRANGE},
        timeout=170,
        check=False,
    )
    lines = ran.stdout.splitlines() + ran.stderr.splitlines()
    assert ran.returncode == 0, ran.stderr
    assert all(line.startswith("DEMO") for line in lines)
    assert "Traceback" not in ran.stdout + ran.stderr
    assert "no good read" not in ran.stdout, "a busy computer is no reason to call the monitor blind"
    assert "tgram" not in ran.stdout + ran.stderr
    warned = _time_of(r"DEMO (\S+) PHONE +WARNING retail: SOL/USDT:USDT long [^\n]* from liquidation", ran.stdout)
    # Alone, or in a digest.
    critical = _time_of(
        r"DEMO (\S+) PHONE (?:(?! PHONE ).)*?CRITICAL retail: SOL/USDT:USDT long [^\n]* from liq", ran.stdout
    )
    liquidated = _time_of(r"DEMO (\S+) EXCHANGE liquidated retail's SOL long", ran.stdout)
    assert warned < critical < liquidated
    assert re.search(r"resolved retail: DOGE/USDT:USDT long liquidation distance", ran.stdout)
    assert re.search(r"first warning   \S+, 1\d min \d+ s before", ran.stdout)


def _time_of(pattern: str, text: str) -> str:
    found = re.search(pattern, text, re.DOTALL)
    assert found is not None, f"{pattern} is not in:\n{text}"
    return found[1]


@pytest.mark.parametrize(
    ("change", "by", "named"),
    [
        ("url: ${DEMO_PHONE}", "url: json://127.0.0.1:9/phone", "channel phone"),
        ("url: ${DEMO_PHONE}", "url: discord://987654321098765432/canary-token-of-a-webhook", "channel phone"),
        ("base_url: ${DEMO_EXCHANGE}", "proxy: http://127.0.0.1:9", "account retail, account pro, account coin"),
        ("base_url: ${DEMO_EXCHANGE}", "base_url: https://fapi.binance.com", "account retail, account pro"),
        ("profile: retail", "heartbeat_url: https://hc-ping.com/canary", "heartbeat_url"),
        ("  retail:\n", "  mine:\n", "account mine"),
    ],
)
async def test_a_config_that_names_anything_real_is_refused(change: str, by: str, named: str, tmp_path: Path) -> None:
    assert change in SHIPPED
    config = tmp_path / "mine.yaml"
    config.write_text(SHIPPED.replace(change, by), encoding="utf-8")
    with pytest.raises(CommandError, match=named):
        async with stage(load_scenario(), 1.0, config):
            pytest.fail("it was set up")


async def test_the_environment_is_hidden_from_the_config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEMO_OWN_KEY", "a real key")
    monkeypatch.setenv("PERPWATCH_POLL_INTERVAL", "7s")
    config = tmp_path / "mine.yaml"
    config.write_text(SHIPPED.replace("${DEMO_RETAIL_KEY}", "${DEMO_OWN_KEY}"), encoding="utf-8")
    with pytest.raises(ConfigError, match="DEMO_OWN_KEY"):
        async with stage(load_scenario(), 1.0, config):
            pytest.fail("it was set up")
    async with stage(load_scenario(), 1.0, shipped_config()) as prepared:
        assert prepared.settings.poll_interval == 20


async def test_other_rules_for_the_same_accounts_are_taken(tmp_path: Path) -> None:
    config = tmp_path / "mine.yaml"
    config.write_text(SHIPPED.replace("profile: retail", "profile: beginner"), encoding="utf-8")
    async with stage(load_scenario(), 1.0, config) as prepared:
        assert prepared.settings.profile == "beginner"


async def test_the_phone_keeps_the_text_that_apprise_delivers() -> None:
    clock = SystemClock()
    async with Phone(clock) as phone:
        channel = Channel("phone", phone.url, clock)
        sent = Rendered("DEMO WARNING a: b", "DEMO 1 < 2 & 3\nDEMO *bold*", (), Severity.WARNING)
        assert (await channel.send(sent)).is_accepted
        channel.close()
    (message,) = phone.messages
    assert (message.number, message.title, message.body) == (0, sent.title, sent.body)
