"""A slice of the hostile input in every run; `benchmarks/fuzz.py` goes on for as long as one likes."""

import random
from collections.abc import Callable
from contextlib import AbstractContextManager

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.builders import needs_shared
from tests.fuzz import messages, venues, yaml
from tests.fuzz.target import Target


def hold(target: Callable[[], AbstractContextManager[Target]], examples: int) -> None:
    with target() as opened:

        @settings(max_examples=examples, derandomize=True, database=None)
        @given(st.randoms(use_true_random=False))
        def held(dice: random.Random) -> None:
            opened.check(opened.draw(dice))

        held()


def test_any_file_is_settings_or_problems_with_their_places() -> None:
    hold(yaml.target, 300)


def test_any_rows_make_a_message_that_pings_nobody_and_keeps_its_lines() -> None:
    hold(messages.target, 400)


@needs_shared
def test_any_reply_is_a_snapshot_without_figures_of_junk_or_a_failure() -> None:
    hold(venues.target, 120)
