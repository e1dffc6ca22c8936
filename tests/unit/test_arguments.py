"""What arguments that are a list, a pattern or a duration may be. Integration tests show what they do to tasks."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_campaign import arguments
from airflow_provider_campaign.exceptions import CampaignConfigError
from tests.profiles import examples

LISTS = [arguments.read_campaign_ids, arguments.read_name_patterns, arguments.read_words, arguments.read_calling_rules]
READERS = [
    getattr(arguments, name) for name in vars(arguments) if name.startswith("read_") and name != "read_arguments"
]

scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9) | st.timedeltas()
given_values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=9,
)
texts_of_values = given_values.map(str) | st.text("[]{}(),:'\"a1 \n\N{FULLWIDTH DIGIT NINE}", max_size=20)


@examples(full=330, exhaustive=1000)
@given(st.sampled_from(READERS), given_values | texts_of_values)
def test_whatever_is_given_is_read_or_is_an_error_of_ours(read: Callable[[str, Any], Any], value: Any) -> None:
    with suppress(CampaignConfigError):
        read("an_argument", value)


@pytest.mark.parametrize("text", ["[" * 100_000, "{[]: 1}", "[" + "9" * 5_000])
@pytest.mark.parametrize("read", LISTS)
def test_a_text_that_no_parser_takes_is_refused(read: Callable[[str, Any], Any], text: str) -> None:
    with pytest.raises(CampaignConfigError):
        read("an_argument", text)


@pytest.mark.parametrize("value", [["cd-1", 7, "cd-1", "7"], ("cd-1", 7), '["cd-1", "7", 7]', "cd-1, 7", "cd-1\n7\n"])
def test_campaign_ids_are_a_list_or_the_text_of_one_and_each_counts_once(value: Any) -> None:
    assert arguments.read_campaign_ids("campaign_ids", value) == ("cd-1", "7")


@pytest.mark.parametrize(
    "value",
    [
        *([], (), 7, {"cd-1": 1}, b"cd-1", [None], [""], [True], [7.0], ["a/b"], ["cd-1", ["cd-2"]], [" cd-1"]),
        *("", " ", "[]", "None", "null", "{{ x }}", "{'cd-1': 1}", "['cd-1'"),
    ],
)
def test_campaign_ids_of_which_one_can_be_no_campaigns_are_refused(value: Any) -> None:
    with pytest.raises(CampaignConfigError, match="campaign_id"):
        arguments.read_campaign_ids("campaign_ids", value)


@pytest.mark.parametrize(
    ("value", "patterns"),
    [
        (None, None),
        ("[ab]*", ("[ab]*",)),
        ("[12]", ("[12]",)),
        (["Evening *", " Night *"], ("Evening *", "Night *")),
        ("['Evening *', 'Night *']", ("Evening *", "Night *")),
        ("Evening[,] *", ("Evening[,] *",)),
    ],
)
def test_name_patterns_are_one_or_a_list(value: Any, patterns: tuple[str, ...] | None) -> None:
    assert arguments.read_name_patterns("name_pattern", value) == patterns


@pytest.mark.parametrize(
    "value", ["FL *, GA *", ["FL *", "GA *, TX *"], [], "[]", "", "None", [None], ["["], 7, {"a": 1}]
)
def test_name_patterns_that_are_none_or_probably_several_are_refused(value: Any) -> None:
    with pytest.raises(CampaignConfigError, match="name_pattern is"):
        arguments.read_name_patterns("name_pattern", value)


@pytest.mark.parametrize(
    ("value", "seconds"), [(0, 0), ("0.0", 0), (timedelta(0), 0), (timedelta(hours=1), 3600), ("90", 90)]
)
def test_a_duration_may_be_zero_however_that_is_written(value: Any, seconds: float) -> None:
    assert arguments.read_duration("margin", value) == seconds


@pytest.mark.parametrize("value", [-1, "-1", timedelta(seconds=-1), True, None, "1:00:00", float("inf"), 10**400, 1e12])
def test_what_is_no_duration_is_refused(value: Any) -> None:
    with pytest.raises(CampaignConfigError, match="look_ahead is"):
        arguments.read_duration("look_ahead", value)
