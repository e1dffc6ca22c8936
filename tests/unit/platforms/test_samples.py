"""Every sample response in the platforms' documents, given verbatim and read; and the page that lists the contract."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from airflow_provider_campaign import exceptions
from airflow_provider_campaign.client.client import CampaignClient
from airflow_provider_campaign.platforms import kore, sonarly
from airflow_provider_campaign.platforms.base import Platform
from tests.accounts import KORE_V1, KORE_V2, SONARLY, client_of
from tests.scripted_transport import ScriptedTransport, SentRequest, Step, response

SAMPLES = {path.stem: path.read_bytes() for path in (Path(__file__).parents[2] / "data/samples").iterdir()}

SONARLY_ID = "507f1f77bcf86cd799439011"
DELETED_ID = "cd-3aefda80-f98e-5f4f-ad41-92803abbxxxx"


def client_that_gets(platform: Platform, body: bytes, status: int = 200, before: Step | None = None) -> CampaignClient:
    """Return a client whose change gets a response, and whose status reads another one, or the same."""

    def respond(sent: SentRequest) -> Step:
        return before if before and sent.action == "status" else response(body=body, status=status)

    return client_of(platform, ScriptedTransport(respond), retry_budget=1)


STOPS: dict[str, tuple[Platform, str, str, str]] = {
    "kore_stop_sms_v1": (KORE_V1, "sms", "2025-06-26T14:45:07.956Z", "campaignExecutionType"),
    "kore_stop_voice_v1": (KORE_V1, "voice", "2025-06-27T07:13:51.444Z", "campaignInstanceId"),
    "kore_stop_voice_v2": (KORE_V2, "voice", "2025-12-05T12:01:35.312Z", "campaignInstanceId"),
}
"""Sample: the account, the campaign's type, when it was stopped, and what else the response tells."""


RECORD = {"status": "Stopped", "message": "Campaign Stopped", "already_stopped": False}
"""What an operator puts into XCom of a campaign that is stopped."""


@pytest.mark.parametrize("sample", STOPS)
def test_kores_sample_of_a_stop_is_a_stopped_campaign(sample: str) -> None:
    platform, campaign_type, updated_at, detail = STOPS[sample]
    record = client_that_gets(platform, SAMPLES[sample]).stop_campaign("cd-1", campaign_type).as_dict()
    assert record.pop("raw").keys() == {"status", "message", "updatedAt", detail}
    assert record == {**RECORD, "campaign_id": "cd-1", "updated_at": updated_at}


def test_kores_sample_of_a_delete_is_the_campaign_as_it_was() -> None:
    campaign = client_that_gets(KORE_V1, SAMPLES["kore_delete_sms_v1"]).delete_campaign(DELETED_ID, "sms")
    assert campaign is not None
    record = campaign.as_dict()
    assert record.pop("raw")["data"]["dialingStrategy"]["callingHours"]["timezone"] == "Asia/Kolkata"
    message = "Campaign Interactive Support SMS Campaign deleted successfully"
    assert record == {**RECORD, "campaign_id": DELETED_ID, "message": message, "updated_at": "2025-06-27T09:31:56.940Z"}


def test_sonarlys_sample_of_a_stop_is_a_stopped_campaign() -> None:
    record = client_that_gets(SONARLY, SAMPLES["sonarly_stop_200"]).stop_campaign(SONARLY_ID).as_dict()
    raw = record.pop("raw")
    # The platform's `success` counts; its example calls the campaign `draft` all the same.
    assert (raw["data"]["campaign"]["status"], raw["data"]["instancesStopped"]) == ("draft", 25)
    assert record == {**RECORD, "campaign_id": SONARLY_ID, "message": "instancesStopped: 25", "updated_at": "string"}


ERRORS: dict[int, tuple[type[exceptions.CampaignError], str]] = {
    400: (exceptions.CampaignRequestError, "active"),
    401: (exceptions.CampaignAuthError, "active"),
    403: (exceptions.CampaignAuthError, "active"),
    404: (exceptions.CampaignNotFoundError, "active"),
    409: (exceptions.CampaignConflictError, "draft"),
    429: (exceptions.CampaignRateLimitError, "active"),
    500: (exceptions.CampaignUnavailableError, "active"),
    502: (exceptions.CampaignUnavailableError, "active"),
}
"""HTTP status: the error it is, and the state in which a read then finds the campaign."""


@pytest.mark.parametrize("status", ERRORS)
def test_sonarlys_sample_of_an_error_is_that_error(status: int) -> None:
    error, state = ERRORS[status]
    shown = response({"success": True, "data": {"id": SONARLY_ID, "status": state}})
    with pytest.raises(error, match=f"HTTP {status}") as caught:
        client_that_gets(SONARLY, SAMPLES[f"sonarly_stop_{status}"], status, shown).stop_campaign(SONARLY_ID)
    assert caught.type is error
    assert ("it is Draft" in str(caught.value)) == (error is exceptions.CampaignConflictError)
    assert "Thanks for the context. I can send over details this afternoon. string" in str(caught.value)
    told = (caught.value.http_status, caught.value.code, caught.value.trace_id)
    assert told == (status, "VALIDATION_ERROR" if status == 400 else "string", SONARLY_ID)


# The page docs/contract.md.

REPOSITORY = Path(__file__).parents[3]
PAGE = (REPOSITORY / "docs" / "contract.md").read_text()


def rows(title: str) -> list[list[str]]:
    section = PAGE.split(f"\n## {title}\n")[1].split("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("| `")]
    return [[cell.strip().strip("`") for cell in line.strip("|").split(" | ")] for line in lines]


def test_every_kore_endpoint_is_in_the_contract() -> None:
    endpoints = {(name, version): path for version, paths in kore.ENDPOINTS.items() for name, path in paths.items()}
    endpoints["schedule_off", "v2"] = kore.SCHEDULE_OFF
    assert {(name, version): path for name, version, path, _ in rows("Kore.ai")} == endpoints


def test_every_sonarly_endpoint_is_in_the_contract() -> None:
    assert {name: path for name, path, _ in rows("Sonarly")} == {
        str(action): path for action, path in sonarly.ENDPOINTS.items()
    }


def test_every_sample_is_in_the_contract() -> None:
    assert {sample for sample, _ in rows("Sample responses")} == SAMPLES.keys()


def test_every_row_names_an_existing_test_of_its_own() -> None:
    named = re.findall(r"`(tests/[^`]+)::(\w+)([^`]*)`", PAGE)
    assert len(named) == len(set(named)) == sum(map(len, map(rows, ("Kore.ai", "Sonarly", "Sample responses"))))
    assert [row for row in named if f"\ndef {row[1]}(" not in (REPOSITORY / row[0]).read_text()] == []
