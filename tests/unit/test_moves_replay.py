"""The real crash of 10 October 2025 by the rules that measure by what a day moves; what came before is assumed."""

import pytest

from benchmarks.crash_day import DAY_START
from benchmarks.crash_moves import ASSUMED_ATR, LEVERAGES, Spoken, Told, report, told_of
from monitor.config.profiles import PROFILES
from tests.builders import SHARED, needs_shared

RECORDED = SHARED / "market" / "2025-10-10"


def times(spoken: Spoken) -> tuple[str | None, str | None]:
    return tuple(at and f"{at:%H:%M:%S}" for at in (spoken.warning, spoken.critical))  # type: ignore[return-value]


@needs_shared
@pytest.mark.parametrize(
    ("coin", "percent", "ranges", "low"),
    [
        ("AVAX", ("20:59:40", "21:13:10"), ("21:13:30", "21:16:10"), "21:21:29"),
        ("DOT", ("20:59:30", "21:13:10"), ("21:13:30", "21:16:00"), "21:20:46"),
        ("BCH", ("20:59:50", "21:14:30"), ("21:14:30", "21:17:00"), "21:19:58"),
        ("BTC", ("21:16:40", "21:19:40"), ("21:13:40", "21:17:40"), "21:20:40"),
    ],
)
def test_stops_in_true_ranges_speak_minutes_before_the_lows_of_each_coin(
    coin: str, percent: tuple[str, str], ranges: tuple[str, str], low: str
) -> None:
    told = told_of(RECORDED, coin)
    assert [times(spoken) for spoken in told.stops.values()] == [percent, ranges]
    assert f"{told.low_at:%H:%M:%S}" == low
    _caps_speak_in_time(told)
    assert coin in report([told])


def _caps_speak_in_time(told: Told) -> None:
    """Each profile before the position had lost all, and a stricter one no later; leverage that is low said nothing at
    the opening."""
    for leverage in LEVERAGES:
        gone = told.gone[leverage]
        spoken = [told.capped[profile, leverage] for profile in PROFILES]
        criticals = [one.critical for one in spoken if one.critical is not None]
        assert criticals == sorted(criticals)
        if gone is not None:
            assert len(criticals) == len(PROFILES)
            assert all(critical < gone for critical in criticals)
    assert told.capped["retail", 1.0].warning != DAY_START
    assert told.sigma_before < 0.04 < told.sigma_at_low


def test_what_is_assumed_is_assumed_of_every_coin() -> None:
    assert set(ASSUMED_ATR) == {"AVAX", "DOT", "BCH", "BTC"}
