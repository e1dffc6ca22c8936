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

Reader = Callable[[str, Any], Any]
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
def test_whatever_is_given_is_read_or_is_an_error_of_ours(read: Reader, value: Any) -> None:
    with suppress(CampaignConfigError):
        read("an_argument", value)


@pytest.mark.parametrize("text", ["[" * 100_000, "{[]: 1}", "[" + "9" * 5_000])
@pytest.mark.parametrize("read", LISTS)
def test_a_text_that_no_parser_takes_is_refused(read: Reader, text: str) -> None:
    with pytest.raises(CampaignConfigError):
        read("an_argument", text)


ACCEPTED: dict[Reader, list[tuple[Any, Any]]] = {
    arguments.read_campaign_ids: [
        *((value, ("cd-1", "7")) for value in (["cd-1", 7, "cd-1", "7"], ("cd-1", 7), '["cd-1", "7", 7]')),
        *((value, ("cd-1", "7")) for value in ("cd-1, 7", "cd-1\n7\n")),
    ],
    arguments.read_name_patterns: [
        *((None, None), ("[ab]*", ("[ab]*",)), ("[12]", ("[12]",)), ("Evening[,] *", ("Evening[,] *",))),
        *((value, ("E *", "Night *")) for value in (["E *", " Night *"], "['E *', 'Night *']")),
    ],
    arguments.read_duration: [
        *((value, 0) for value in (0, "0.0", timedelta(0))),
        *((timedelta(hours=1), 3600), ("90", 90)),
    ],
}
REFUSED: dict[Reader, tuple[Any, ...]] = {
    arguments.read_campaign_ids: (
        *([], (), 7, {"cd-1": 1}, b"cd-1", [None], [""], [True], [7.0], ["a/b"], ["cd-1", ["cd-2"]], [" cd-1"]),
        *("", " ", "[]", "None", "null", "{{ x }}", "{'cd-1': 1}", "['cd-1'"),
    ),
    arguments.read_name_patterns: (
        *("FL *, GA *", ["FL *", "GA *, TX *"], [], "[]", "", "None", [None], ["["], 7, {"a": 1}),
    ),
    arguments.read_duration: (-1, "-1", timedelta(seconds=-1), True, None, "1:00:00", float("inf"), 10**400, 1e12),
}


@pytest.mark.parametrize("read", ACCEPTED)
def test_what_may_be_written_in_several_ways_is_read_as_one(read: Reader) -> None:
    assert [read("an_argument", value) for value, _ in ACCEPTED[read]] == [expected for _, expected in ACCEPTED[read]]


@pytest.mark.parametrize(("read", "value"), [(read, value) for read, values in REFUSED.items() for value in values])
def test_what_can_not_be_meant_is_refused(read: Reader, value: Any) -> None:
    with pytest.raises(CampaignConfigError, match=r"an_argument|campaign_id"):
        read("an_argument", value)
