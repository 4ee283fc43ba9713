"""The commands as a person or a script meets them: exit codes, words, and the shape of the JSON."""

import json
import signal
from collections.abc import Iterator
from dataclasses import fields
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from monitor.config.profiles import PROFILES
from monitor.domain.account import MarginBalance, Position
from monitor.paper.faults import Fault, FaultKind
from monitor.rules.book import RULE_KINDS
from tests.daemon_kit import WARNING_MARK, Shell, a_house, a_process, a_trader, end_of, eventually

REPO = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    opened = Shell(tmp_path_factory.mktemp("shell"))
    yield opened
    opened.close()


def _names(record: type) -> set[str]:
    return {field.name for field in fields(record)}


async def _json(shell: Shell, *arguments: str | Path) -> tuple[int, dict[str, Any]]:
    ended = await shell("once", "--json", *arguments)
    return ended.code, {account["account"]: account for account in json.loads(ended.out)["accounts"]}


def test_commands_that_need_no_venue(shell: Shell) -> None:
    for command in ("run", "once", "stress", "check", "test-alert"):
        missing = shell.run(command, "-c", "nowhere/perpwatch.yaml")
        assert missing.code == 1, command
        assert missing.err.startswith("perpwatch: nowhere/perpwatch.yaml does not exist: ")
        assert missing.err.count("\n") == 1, "one sentence"
        assert not missing.out
    for wrong in (["frobnicate"], ["once", "--frob"], ["check", "--config"]):
        ended = shell.run(*wrong)
        assert (ended.code, ended.out) == (2, ""), wrong
        assert ended.err.startswith("perpwatch: "), wrong
        assert "Traceback" not in ended.err
    assert (shell.run()).code == 2
    help_text = shell.run("--help")
    assert help_text.code == 0
    for command in ("run", "demo", "check", "once", "explain", "stress", "test-alert", "rules", "schema"):
        assert command in help_text.out
        assert (shell.run(command, "--help")).out.count("--config"), f"{command} takes -c"


def test_the_version_is_the_one_that_is_installed(shell: Shell) -> None:
    told = shell.run("--version")
    assert (told.code, told.out, told.err) == (0, f"perpwatch {version('perpwatch')}\n", "")


def test_rules_and_schema_explain_themselves(shell: Shell) -> None:
    rules = shell.run("rules", "-c", "nowhere.yaml")
    one = shell.run("rules", "hedge")
    assert one.code == 0
    assert one.out.startswith("hedge\n")
    assert "takes    offset: coins held elsewhere" in one.out
    assert "margin_ratio" not in one.out
    assert shell.run("rules", "hedg").err == "perpwatch: no rule is called hedg, did you mean hedge?\n"
    assert rules.code == 0
    for kind in RULE_KINDS:
        assert kind in rules.out
    for profile in ("beginner", "retail", "professional"):
        assert rules.out.count(profile) == len(PROFILES[profile])
    assert rules.out.count("an alert, as it would arrive:") == len(RULE_KINDS)
    for key in ("warning_sigmas: 2 sigma", "for: {warning: 3m}", "hysteresis: 25%"):
        assert key in rules.out, "a profile says more than thresholds"
    schema = shell.run("schema", "--config", "nowhere.yaml")
    assert schema.code == 0
    assert set(RULE_KINDS) <= set(json.loads(schema.out)["properties"]["rules"]["properties"])


def test_every_problem_of_a_file_is_listed_at_once(tmp_path: Path, shell: Shell) -> None:
    bad, deaf = tmp_path / "bad.yaml", tmp_path / "deaf.yaml"
    bad.write_text(
        "poll_interval: 10\naccounts:\n  main: {venue: binanceusd, api_kee: x}\nchannels:\n  phone: {url: 'nothing'}\n"
        "rules:\n  margin_ratio: {warning: 90%, critical: 80%}\n"
    )
    deaf.write_text("accounts: {main: {venue: binanceusdm}}\n")
    for command in ("run", "once", "stress", "check", "test-alert"):
        ended = shell.run(command, "-c", bad)
        assert (ended.code, ended.out) == (1, ""), command
        for place in ("bad.yaml:1:16: ", "bad.yaml:3:17: ", "bad.yaml:3:29: ", "bad.yaml:5:16: ", "bad.yaml:7:"):
            assert place in ended.err, (command, place, ended.err)
        assert "Traceback" not in ended.err
    run = shell.run("run", "-c", deaf)
    assert run.code == 1
    assert "no channel receives the critical alerts of main" in run.err
    assert run.err.count("\n") == 1
    unheard = shell.run("check", "-c", deaf)
    assert unheard.code == 1
    assert "main: no channel receives its critical alerts" in unheard.out
    mute = shell.run("test-alert", "-c", deaf)
    assert mute.code == 1
    assert "names no channel" in mute.err


def test_check_names_keys_that_are_missing_and_venues_that_are_read_with_gaps(tmp_path: Path, shell: Shell) -> None:
    path = tmp_path / "perpwatch.yaml"
    keys = "api_key: k, secret: s"
    path.write_text(
        "accounts:\n"
        f"  one: {{venue: binanceusdm, {keys}}}\n  two: {{venue: binanceusdm, secret: s}}\n"
        f"  three: {{venue: okx, {keys}}}\n  four: {{venue: hyperliquid}}\n  five: {{venue: kraken, {keys}}}\n"
        "channels: {phone: {url: 'json://127.0.0.1:1/x'}}\n"
    )
    ended = shell.run("check", "-c", path)
    assert (ended.code, ended.out.splitlines()[-1]) == (1, f"{path}: 3 errors")
    lines = [line.split(maxsplit=1)[-1] for line in ended.out.splitlines()]
    for told in (
        "two: binanceusdm cannot be read without api_key",
        "three: okx cannot be read without password",
        "four: hyperliquid cannot be read without wallet_address",
        "kraken is read with gaps; krakenfutures would be read whole",
    ):
        assert told in lines
    about = "in multi-assets mode all are one"
    assert sum(about in line for line in lines) == 1, "once for all accounts of a venue"


async def test_once_reads_every_account_and_says_which_it_could_not(tmp_path: Path, shell: Shell) -> None:
    async with a_house(tmp_path, speed=None) as house:
        a_trader(house.engine, "flat", contracts=0)
        a_trader(house.engine, "broken")
        for name in ("flat", "broken"):
            house.yaml.account(name)
        house.yaml.read_deadline = "2s"
        house.write()
        house.mark(WARNING_MARK)
        code, accounts = await _json(shell, "-c", house.path)
        assert code == 0
        assert list(accounts) == ["main", "flat", "broken"]
        main = accounts["main"]
        assert set(main) >= {"account", "observed_at", "failure", "margins", "positions", "readings"}
        assert main["failure"] is None
        (position,) = main["positions"]
        assert set(position) == _names(Position)
        assert position["instrument"] == "BTC/USDT:USDT"
        assert (position["side"], position["contracts"], position["mark_price"]) == ("long", 1.0, WARNING_MARK)
        (margin,) = main["margins"]
        assert set(margin) == _names(MarginBalance) | {"margin_ratio"}
        assert margin["margin_ratio"] == margin["maintenance_margin"] / margin["equity"]
        reading = next(r for r in main["readings"] if r["key"]["rule"] == "liquidation_distance")
        assert set(reading) == {"key", "verdict", "severity", "value", "threshold", "unit", "inputs"}
        assert set(reading["key"]) == {"rule", "account", "scope", "subject"}
        assert (reading["verdict"], reading["severity"], reading["threshold"]) == ("breach", "warning", 0.05)
        assert accounts["flat"]["positions"] == [], "read, and there are none"
        table = await shell("once", "-c", house.path)
        assert table.code == 0
        assert "BTC/USDT:USDT long" in table.out
        assert "  warning  liquidation_distance of BTC/USDT:USDT long: " in table.out, "no colour says it in a pipe"
        for kind, failure in (
            (FaultKind.OVERLOADED, "overloaded"),
            (FaultKind.BANNED, "banned"),
            (FaultKind.EMPTY_LIST, "malformed"),
            (FaultKind.NOT_A_NUMBER, "malformed"),
            (FaultKind.HANG, "timeout"),
        ):
            house.server.clear_faults()
            house.server.misbehave(Fault(kind=kind, api_key="broken-key", retry_after_s=1))
            code, accounts = await _json(shell, "-c", house.path)
            assert code == 2, kind
            # A ban is of the address, and so of every account behind it.
            assert accounts["main"]["failure"] is None or kind is FaultKind.BANNED, kind
            broken = accounts["broken"]
            assert broken["failure"]["kind"] == failure
            assert broken["failure"]["detail"]
            assert (broken["positions"], broken["margins"], broken["readings"]) == (None, None, None)
            if kind is FaultKind.OVERLOADED:
                table = await shell("once", "-c", house.path)
                assert table.code == 2
                assert "broken: not read (overloaded)" in table.out


async def test_check_and_test_alert_ask_the_venue_and_the_channels(tmp_path: Path, shell: Shell) -> None:
    async with a_house(tmp_path, speed=None) as house:
        house.write()
        offline = await shell("check", "-c", house.path)
        assert offline.code == 0, offline
        assert "critical alerts depend on one provider alone" in offline.out
        assert "rule liquidation_distance: warning 5%, critical 3%" in offline.out
        house.yaml.rules = {}
        house.write()
        offline = await shell("check", "-c", house.path)
        assert "rule leverage: warning 5x, critical 7x" in offline.out
        assert "rule stop_missing: warning any, critical any, for 15 min (critical)" in offline.out
        assert "rule adl_rank: warning 4 of 5, critical 5 of 5" in offline.out
        assert not house.sink.messages
        assert not house.server.requests
        house.server.set_profile("main", restrictions={"enableReading": True, "enableWithdrawals": True})
        online = await shell("check", "--online", "-c", house.path)
        assert online.code == 1
        assert "main: this key may withdraw" in online.out
        assert "main: API Management > Create API" in online.out
        assert "main: read, 1 open position" in online.out
        assert "s ahead" in online.out
        assert "channel phone: accepted a test message" in online.out
        house.server.set_profile("main", restrictions={"enableReading": True, "ipRestrict": True})
        online = await shell("check", "--online", "-c", house.path)
        assert online.code == 0, online
        assert "main: the key may only read" in online.out
        house.sink.messages.clear()
        sent = await shell("test-alert", "-c", house.path)
        assert (sent.code, sent.out) == (0, "phone: accepted\n")
        assert ["perpwatch test message" in text for text in house.sink.texts()] == [True]
        house.sink.status["phone"] = 500
        refused = await shell("test-alert", "-c", house.path)
        assert refused.code == 1
        assert "phone: not accepted" in refused.out
        house.server.misbehave(Fault(kind=FaultKind.REGION))
        blocked = await shell("check", "--online", "-c", house.path)
        assert blocked.code == 1
        assert "main: cannot be read: region" in blocked.out
        assert "channel phone: " in blocked.out


async def test_ctrl_c_ends_a_command_and_the_daemon_with_130(tmp_path: Path) -> None:
    async with a_house(tmp_path, speed=None) as house:
        house.yaml.more = "health: {port: 0}\n"
        house.write()
        house.server.misbehave(Fault(kind=FaultKind.HANG))
        daemon = a_process(tmp_path, "run", "-c", str(house.path))
        command = a_process(tmp_path, "once", "-c", str(house.path))
        async with daemon as running, command as reading:
            await eventually(lambda: house.server.in_flight >= 2, "both reading")
            for process in (running, reading):
                process.send_signal(signal.SIGINT)
            for process in (running, reading):
                ended = await end_of(process, 8.0)
                assert ended.code == 130, ended
                assert "Traceback" not in ended.err


async def test_ctrl_c_while_the_command_is_still_loading_ends_it_with_130_and_no_trace(tmp_path: Path) -> None:
    (tmp_path / "typer.py").write_text("import os, signal\nos.kill(os.getpid(), signal.SIGINT)\n")
    async with a_process(tmp_path, "rules", PYTHONPATH=f"{tmp_path}:{REPO}") as process:
        ended = await end_of(process)
    assert (ended.code, ended.out, ended.err) == (130, "", "")


async def test_a_second_monitor_on_the_same_state_is_refused(tmp_path: Path, shell: Shell) -> None:
    async with a_house(tmp_path) as house:
        house.yaml.more = f"health: {{port: 0}}\ndatabase: {house.database}\n"
        async with house.running():
            second = await shell("run", "-c", house.path)
            assert second.code == 1
            assert second.err.startswith("perpwatch: ")
            assert len(second.err.strip().splitlines()) == 1, second.err
            await house.reads(2)


async def test_a_health_port_in_use_is_one_sentence(tmp_path: Path, shell: Shell) -> None:
    async with a_house(tmp_path) as house:
        house.yaml.more = f"health: {{port: {house.sink.port}}}\ndatabase: {house.database}\n"
        house.write()
        ended = await shell("run", "-c", house.path)
        assert ended.code == 1
        assert f"perpwatch: port {house.sink.port} on 127.0.0.1 is in use" in ended.err
        assert "Traceback" not in ended.err


def test_a_bug_exits_3_and_says_where_the_details_are(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(
        "import monitor.cli.schema as schema\n"
        "def broken():\n    raise KeyError('api_key=canary_4711_secret')\n"
        "schema.json_schema = broken\n"
    )
    shell = Shell(tmp_path, PYTHONPATH=f"{tmp_path}:{REPO}", TMPDIR=str(tmp_path))
    ended = shell.run("schema")
    shell.close()
    assert ended.code == 3
    (report,) = tmp_path.glob("perpwatch-crash-*.log")
    assert str(report) in ended.err
    assert "KeyError" in report.read_text()
    assert "canary" not in ended.err + report.read_text()
