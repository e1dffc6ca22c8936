"""What nobody foresaw about one campaign stops no other: it is that campaign's failure, its traceback is logged."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.airflow_process import AirflowProcess
from tests.local_server import LocalServer, Reply, Sent

PLATFORM = Path(__file__).parents[2] / "data" / "third_platform"
ODD = "toy-13"
COUNT = 30


class Account:
    """
    Thirty campaigns of a third platform, whose module knows no word for the urgency of one of them.

    :param odd_in: The actions whose responses show that word; only those of a list can be read otherwise.
    """

    def __init__(self, odd_in: set[str], *, stoppable: bool = False) -> None:
        self.states = {f"toy-{number:02}": "active" for number in range(COUNT)}
        self._odd_in = odd_in
        self._stoppable = stoppable

    def answer(self, sent: Sent) -> Reply:
        path, _, first = sent.target.partition("?from=")
        if path == "/campaigns":
            ids = sorted(campaign_id for campaign_id in self.states if campaign_id >= first)
            rows = [self._row(campaign_id, "list") for campaign_id in ids[:10]]
            return self._reply({"rows": rows, "next": ids[10] if ids[10:] else None})
        campaign_id, _, action = path.removeprefix("/campaigns/").partition("/")
        if action == "stop" and (campaign_id != ODD or self._stoppable):
            self.states[campaign_id] = "stopped"
        return self._reply(self._row(campaign_id, action or "status"))

    @property
    def active(self) -> set[str]:
        return {campaign_id for campaign_id, state in self.states.items() if state == "active"}

    def _row(self, campaign_id: str, action: str) -> dict[str, str]:
        row = {"id": campaign_id, "state": self.states[campaign_id]}
        return {**row, "urgency": "whenever"} if campaign_id == ODD and action in self._odd_in else row

    def _reply(self, document: object) -> Reply:
        return Reply(json.dumps(document).encode())


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """Install the toy provider's metadata into a folder, as pip does."""
    metadata = tmp_path / "site" / "toy_campaigns-1.0.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: toy-campaigns\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(
        "[apache_airflow_provider]\nprovider_info = toy_provider_info:get_provider_info\n"
    )
    return metadata.parent


def sweep(account: Account, home: Path, installed: Path) -> Any:
    with LocalServer(account.answer) as server:
        connection = {"conn_type": "toy", "host": server.url, "password": "toy-key"}
        airflow = AirflowProcess(home, {"campaign_default": connection}, path=(installed, PLATFORM))
        return airflow.answer(str(PLATFORM / "sweep.py"))


@pytest.mark.parametrize("odd_in", [{"stop"}, {"stop", "status"}], ids=lambda odd_in: "+".join(sorted(odd_in)))
def test_a_key_error_while_one_stop_of_thirty_is_read_leaves_the_others_stopped(
    tmp_path: Path, installed: Path, odd_in: set[str]
) -> None:
    account = Account(odd_in)
    done = sweep(account, tmp_path, installed)
    assert account.active == {ODD}
    assert done["error"].startswith("CampaignSweepError: ")  # another try may go well
    assert ODD in done["error"]
    assert "toy-12" not in done["error"]
    assert done["result"]["outcome"] == "failed"
    assert [row["campaign_id"] for row in done["result"]["failed"]] == [ODD]
    assert len(done["result"]["stopped"]) == COUNT - 1
    assert "Traceback" in done["log"]
    assert "KeyError: 'whenever'" in done["log"]


def test_a_stop_that_was_carried_out_counts_although_its_answer_could_not_be_read(
    tmp_path: Path, installed: Path
) -> None:
    account = Account({"stop"}, stoppable=True)
    done = sweep(account, tmp_path, installed)
    assert account.active == set()
    assert done["error"] is None
    assert len(done["result"]["stopped"]) == COUNT
    assert "KeyError: 'whenever'" in done["log"]


def test_a_key_error_in_one_row_of_a_list_leaves_the_others_stopped(tmp_path: Path, installed: Path) -> None:
    account = Account({"list"})
    done = sweep(account, tmp_path, installed)
    assert account.active <= {ODD}
    assert ODD in done["error"]
    assert len(done["result"]["stopped"]) >= COUNT - 1
