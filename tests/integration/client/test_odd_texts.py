"""Campaigns with names and fields that Airflow can't keep: stopped, swept and shown all the same."""

from __future__ import annotations

import itertools
import json
import logging
import re
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from airflow.serialization.serialized_objects import BaseSerialization

from airflow_provider_campaign.exceptions import CampaignSweepError
from airflow_provider_campaign.operators.campaign import StopActiveCampaignsOperator
from airflow_provider_campaign.sandbox import Sandbox
from airflow_provider_campaign.text import MAX_DEPTH
from tests.commands import Command
from tests.kinds import KINDS, SONARLY, Connect, Kind
from tests.odd_texts import ODD

FORMS = (KINDS[0], KINDS[3], SONARLY)  # one for each form that responses come in
CASES = list(zip(ODD, itertools.cycle(FORMS), strict=False))


def depth_of(value: Any) -> int:
    items = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return 1 + max(map(depth_of, items), default=0)


def check_can_be_kept(value: Any) -> None:
    """Check that XCom, the databases and the triggerer's channel can take a value, and give it back."""
    text = json.dumps(value, allow_nan=False, ensure_ascii=False)
    assert "\x00" not in text
    assert "\\u0000" not in text
    assert len(text.encode()) <= 40_000
    assert BaseSerialization.deserialize(json.loads(json.dumps(BaseSerialization.serialize(value)))) == value
    if find_spec("msgspec"):  # Airflow 3's processes talk in MessagePack, whose numbers have 64 bits
        import msgspec

        assert msgspec.msgpack.decode(msgspec.msgpack.encode(value)) == value
    assert depth_of(value) <= MAX_DEPTH + 5


@pytest.mark.parametrize(("name", "kind"), CASES, ids=lambda part: getattr(part, "label", part))
def test_a_stop_and_a_sweep_return_what_can_be_kept(
    sandbox: Sandbox, connect: Connect, name: str, kind: Kind, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    connect(kind.connection(sandbox))
    single, live, paused = (
        kind.add_campaign(sandbox, status=each, **ODD[name]) for each in ("Active", "Active", "Paused")
    )
    check_can_be_kept(kind.stop(single.id).execute({}))
    assert single.status == "Stopped"
    sweep = StopActiveCampaignsOperator(task_id="sweep", records_path=str(tmp_path), calling_hours={"open": False})
    result = sweep.execute({})
    check_can_be_kept(result)
    assert [each["campaign_id"] for each in result["stopped"]] == [live.id]
    assert [each["campaign_id"] for each in result["may_start"]] == [paused.id]
    assert {live.status, paused.status} == {"Stopped", "Paused"}
    [record] = [json.loads(path.read_text()) for path in tmp_path.rglob("*.json")]
    check_can_be_kept(record)
    lines = [record.getMessage() for record in caplog.records if record.name.startswith("airflow_provider_campaign")]
    assert lines
    assert all(line.isprintable() and len(line) < 2000 for line in lines)


@pytest.mark.parametrize("kind", FORMS, ids=lambda kind: kind.label)
def test_ids_that_can_not_be_sent_back_fail_the_sweep(sandbox: Sandbox, connect: Connect, kind: Kind) -> None:
    """An id that cleaning would change is never taken for another campaign's."""
    connect(kind.connection(sandbox))
    ids = ("cd-\x001", "cd-\ud83d1", " cd-1", "cd-1\u200b", "cd-" + "1" * 300)
    odd = [kind.add_campaign(sandbox, campaign_id=each, name=f"Odd {number}") for number, each in enumerate(ids)]
    near = kind.add_campaign(sandbox, campaign_id="cd-1", status="Paused")
    live = kind.add_campaign(sandbox, campaign_id="cd-2")
    with pytest.raises(CampaignSweepError) as raised:
        StopActiveCampaignsOperator(task_id="sweep", timeout=60).execute({})
    problem = r"(Odd \d)\) can't be read: the response's _?id is not a word"
    assert sorted(re.findall(problem, str(raised.value))) == [campaign.name for campaign in odd]
    assert {campaign.status for campaign in odd} == {"Active"}
    assert (near.status, live.status) == ("Paused", "Stopped")
    assert {request.campaign_id for request in sandbox.requests} == {None, "cd-2"}


def test_the_command_line_shows_them_all(sandbox: Sandbox, connect: Connect, command: Command) -> None:
    connect(sandbox.kore_connection())
    for details in ODD.values():
        sandbox.add_campaign(**details)
    for arguments in (("live", "-o", "table"), ("live", "-o", "yaml"), ("stop-active", "--yes", "-o", "json")):
        shown = command(*arguments)
        assert shown.status == 0
        shown.stdout.encode()
        assert len(shown.stdout) < 5000 * len(ODD)
        assert all(line.isprintable() for line in shown.stdout.splitlines())
        assert "Traceback" not in shown.stderr
