"""Keys that may do more than read: refused at the very first start, told later, and never a reason to stop reading."""

from pathlib import Path

import pytest

from monitor.keys import KeyRefusedError
from tests.daemon_kit import a_house

WITHDRAWS = {"enableWithdrawals": True}


async def test_a_key_that_may_withdraw_is_refused_at_the_very_first_start(tmp_path: Path) -> None:
    async with a_house(tmp_path) as house:
        house.server.set_profile("main", restrictions=WITHDRAWS)
        with pytest.raises(KeyRefusedError, match="main: this key may withdraw; make one that may only read"):
            async with house.running():
                pass
        assert not house.sink.messages
        house.server.set_profile("main", restrictions={})
        async with house.running():
            await house.reads(1)


async def test_an_owner_may_accept_a_key_that_may_withdraw(tmp_path: Path) -> None:
    async with a_house(tmp_path) as house:
        house.server.set_profile("main", restrictions=WITHDRAWS)
        house.yaml.account("main", ", allow_withdraw_key: true")
        async with house.running():
            await house.reads(3)
            assert not house.fires("key_permissions")


async def test_a_key_that_comes_to_withdraw_later_is_critical_and_reading_goes_on(tmp_path: Path) -> None:
    async with a_house(tmp_path) as house:
        async with house.running():
            await house.reads(1)
        house.server.set_profile("main", restrictions=WITHDRAWS | {"enableFutures": True})
        async with house.running():
            await house.until(lambda: house.sink.about("CRITICAL main: its key may withdraw and trade"))
            await house.reads(3)
            (text,) = (text for text in house.sink.texts() if "its key may" in text)
            assert "Do: make a key that may only read: API Management > Create API" in text
            assert house.fires("key_permissions"), "reads say nothing of a key"
        house.server.set_profile("main", restrictions={})
        async with house.running():
            await house.until(lambda: house.sink.about("resolved main: its key is as it should be"))


async def test_a_key_that_may_trade_is_a_warning_told_once(tmp_path: Path) -> None:
    async with a_house(tmp_path) as house:
        house.server.set_profile("main", restrictions={"enableFutures": True})
        async with house.running():
            await house.until(lambda: house.sink.about("WARNING main: its key may trade"))
            await house.reads(5)
            assert len(house.sink.about("its key may trade")) == 1
