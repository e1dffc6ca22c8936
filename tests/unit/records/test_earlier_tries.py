"""What earlier tries have left is quoted where it is about the same account and scope, and steers nothing."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest

from airflow_provider_campaign.campaign import Campaign
from airflow_provider_campaign.platforms.base import Platform
from airflow_provider_campaign.platforms.sonarly import SonarlyPlatform
from airflow_provider_campaign.records.progress import Progress, campaign_entry
from airflow_provider_campaign.records.record import EarlierTries, RecordDraft
from airflow_provider_campaign.records.shape import RecordFile, read_record
from tests.accounts import KORE_V2, SONARLY

SCOPE = {"campaign_types": ("sms", "voice"), "statuses": ("Active",), "name_pattern": None, "dry_run": False}
RUN = {"dag_id": "closing", "run_id": "evening", "task_id": "sweep", "map_index": -1, "logical_date": None}


def draft(number: int = 2, platform: Platform | None = KORE_V2, **known: Any) -> RecordDraft:
    known = {"action": "sweep", "connection_id": "campaign_default", "scope": SCOPE, **known}
    return RecordDraft(run={**RUN, "try_number": number}, began_at=1_800_000_000.0, platform=platform, **known)


def entry(campaign_id: str, *, is_stopped: bool = False, **details: Any) -> dict[str, Any]:
    campaign = Campaign(campaign_id, "Active", f"Sale {campaign_id}", "sms")
    return {**campaign_entry(campaign, asked_at=1.0, confirmed_at=2.0 if is_stopped else None), **details}


def compare(tries: Sequence[RecordFile], subject: dict[str, Any]) -> EarlierTries:
    return EarlierTries.compare(dict(enumerate(tries, 1)), subject)


def stored(campaigns: Sequence[dict[str, Any]], number: int = 1, **known: Any) -> RecordFile:
    """Return a try's record as it is read back."""
    record = draft(number, **known).record(Progress(campaigns), 1_800_000_001.0, "failed")
    return RecordFile(f"try{number}.json", "a" * 64, read_record(json.dumps(record).encode()))


def test_campaigns_of_the_same_account_and_scope_are_quoted_and_what_was_not_verified_is_left() -> None:
    earlier = compare([stored([entry("c-1"), entry("c-2", is_stopped=True)])], draft().header())
    assert [each["campaign_id"] for each in earlier.campaigns] == ["c-1", "c-2"]
    assert earlier.leftovers == [Campaign("c-1", "Active", "Sale c-1", "sms")]
    assert earlier.tries == [{"try_number": 1, "outcome": "failed", "path": "try1.json", "sha256": "a" * 64}]
    assert earlier.describe_foreign() is None


@pytest.mark.parametrize(
    "known",
    [
        {"connection_id": "another"},
        {"platform": SONARLY},
        {"platform": SonarlyPlatform("ag-2", "key")},
        {"platform": None},
        {"scope": {**SCOPE, "name_pattern": "FL *"}},
    ],
    ids=str,
)
def test_what_was_left_elsewhere_is_a_failure_that_names_it_and_nothing_else(known: dict[str, Any]) -> None:
    earlier = compare([stored([entry("c-1"), entry("c-2", is_stopped=True)])], draft(**known).header())
    assert (earlier.campaigns, earlier.leftovers) == ((), [])
    text = earlier.describe_foreign() or ""
    assert "'campaign_default', Kore.ai, account acc-1/st-1" in text
    assert "c-1 (Sale c-1)" in text
    assert "c-2" not in text


def test_what_was_left_elsewhere_is_named_by_every_later_try_until_one_has_verified_it() -> None:
    tries = [stored([entry("c-1")]), stored([entry("b-1")], 2, connection_id="b")]
    earlier = compare(tries, draft(3, connection_id="b").header())
    assert [each.id for each in earlier.leftovers] == ["b-1"]
    assert "c-1" in (earlier.describe_foreign() or "")
    tries.append(stored([entry("c-1", is_stopped=True)], 3))
    assert compare(tries, draft(4, connection_id="b").header()).describe_foreign() is None


def test_what_this_try_has_verified_in_the_same_account_is_not_left() -> None:
    scope = {**SCOPE, "name_pattern": "Sale *"}
    narrower = compare([stored([entry("c-1"), entry("c-2")], scope=scope)], draft().header())
    assert "Sale c-1" not in (narrower.describe_foreign({"c-1"}) or "")
    assert narrower.describe_foreign({"c-1", "c-2"}) is None
    other_account = compare([stored([entry("c-1")])], draft(platform=SONARLY).header())
    assert "c-1" in (other_account.describe_foreign({"c-1"}) or "")


@pytest.mark.parametrize("known", [{"action": "stop"}, {"scope": {**SCOPE, "dry_run": True}}], ids=str)
def test_only_a_sweep_that_was_to_stop_leaves_something(known: dict[str, Any]) -> None:
    earlier = compare([stored([entry("c-1")], **known)], draft().header())
    assert (earlier.leftovers, earlier.describe_foreign()) == ([], None)


def test_a_try_without_a_record_is_named_and_hides_no_other() -> None:
    earlier = compare([stored([entry("c-1")]), RecordFile("", "", None)], draft(3).header())
    assert (earlier.missing, [each.id for each in earlier.leftovers]) == ([2], ["c-1"])


def test_stored_texts_do_no_harm_where_they_are_quoted() -> None:
    odd = entry("c\x00-1", name="a\ud83d\x1b[2J\nb", message="x" * 5000)
    [campaign] = compare([stored([odd])], draft().header()).campaigns
    assert (campaign["campaign_id"], campaign["name"]) == ("c\ufffd-1", "a\ufffd\ufffd[2J b")
    assert len(campaign["message"]) <= 1000
