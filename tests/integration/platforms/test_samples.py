"""Every sample response in the platforms' documents, served verbatim and read."""

from __future__ import annotations

from pathlib import Path

import pytest

from airflow_provider_campaign.exceptions import (
    CampaignAuthError,
    CampaignConflictError,
    CampaignError,
    CampaignNotFoundError,
    CampaignRateLimitError,
    CampaignRequestError,
    CampaignUnavailableError,
)
from airflow_provider_campaign.sandbox import Sandbox
from tests.kinds import KORE_KINDS, SONARLY, Connect
from tests.servers import LocalServer, Reply, Sent

SAMPLES = {path.stem: path.read_bytes() for path in (Path(__file__).parents[2] / "data/samples").iterdir()}

V1_SMS, V1_VOICE, _, V2_VOICE = KORE_KINDS
SONARLY_ID = "507f1f77bcf86cd799439011"
DELETED_ID = "cd-3aefda80-f98e-5f4f-ad41-92803abbxxxx"


STOPS = {
    "kore_stop_sms_v1": (V1_SMS, "2025-06-26T14:45:07.956Z", "campaignExecutionType"),
    "kore_stop_voice_v1": (V1_VOICE, "2025-06-27T07:13:51.444Z", "campaignInstanceId"),
    "kore_stop_voice_v2": (V2_VOICE, "2025-12-05T12:01:35.312Z", "campaignInstanceId"),
}
"""Sample: the kind of campaign, when it was stopped, and what else the response tells."""


@pytest.mark.parametrize("sample", STOPS)
def test_kores_sample_of_a_stop_is_a_stopped_campaign(sandbox: Sandbox, connect: Connect, sample: str) -> None:
    kind, updated_at, detail = STOPS[sample]
    with LocalServer(lambda sent: Reply(SAMPLES[sample])) as server:
        connect({**kind.connection(sandbox), "host": server.url})
        record = kind.stop("cd-1").execute({})
    assert len(server.requests) == 1
    assert record.pop("raw").keys() == {"status", "message", "updatedAt", detail}
    assert record == {
        "campaign_id": "cd-1",
        "status": "Stopped",
        "message": "Campaign Stopped",
        "updated_at": updated_at,
        "already_stopped": False,
    }


def test_kores_sample_of_a_delete_is_the_campaign_as_it_was(sandbox: Sandbox, connect: Connect) -> None:
    with LocalServer(lambda sent: Reply(SAMPLES["kore_delete_sms_v1"])) as server:
        connect({**V1_SMS.connection(sandbox), "host": server.url})
        record = V1_SMS.delete(DELETED_ID).execute({})
    assert record.pop("raw")["data"]["dialingStrategy"]["callingHours"]["timezone"] == "Asia/Kolkata"
    assert record == {
        "campaign_id": DELETED_ID,
        "status": "Stopped",
        "message": "Campaign Interactive Support SMS Campaign deleted successfully",
        "updated_at": "2025-06-27T09:31:56.940Z",
        "already_stopped": False,
    }


def test_sonarlys_sample_of_a_stop_is_a_stopped_campaign(sandbox: Sandbox, connect: Connect) -> None:
    with LocalServer(lambda sent: Reply(SAMPLES["sonarly_stop_200"])) as server:
        connect({**SONARLY.connection(sandbox), "host": server.url})
        record = SONARLY.stop(SONARLY_ID).execute({})
    assert len(server.requests) == 1
    raw = record.pop("raw")
    assert (raw["data"]["campaign"]["status"], raw["data"]["instancesStopped"]) == ("draft", 25)
    assert record == {
        "campaign_id": SONARLY_ID,
        "status": "Stopped",  # the platform's `success`; its example calls the campaign `draft` all the same
        "message": "instancesStopped: 25",
        "updated_at": "string",
        "already_stopped": False,
    }


ERRORS: dict[int, tuple[type[CampaignError], str]] = {
    400: (CampaignRequestError, "active"),
    401: (CampaignAuthError, "active"),
    403: (CampaignAuthError, "active"),
    404: (CampaignNotFoundError, "active"),
    409: (CampaignConflictError, "draft"),
    429: (CampaignRateLimitError, "active"),
    500: (CampaignUnavailableError, "active"),
    502: (CampaignUnavailableError, "active"),
}
"""HTTP status: the error it is, and the state in which a read then finds the campaign."""


@pytest.mark.parametrize("status", ERRORS)
def test_sonarlys_sample_of_an_error_is_that_error(sandbox: Sandbox, connect: Connect, status: int) -> None:
    error, state = ERRORS[status]
    sample = SAMPLES[f"sonarly_stop_{status}"]
    campaign = b'{"success": true, "data": {"id": "%s", "status": "%s"}}' % (SONARLY_ID.encode(), state.encode())

    def respond(sent: Sent) -> Reply:
        return Reply(sample, status) if sent.method == "POST" else Reply(campaign)

    with LocalServer(respond) as server:
        connect({**SONARLY.connection(sandbox), "host": server.url})
        with pytest.raises(CampaignError) as caught:
            SONARLY.stop(SONARLY_ID, timeout=10).execute({})
    assert type(caught.value) is error
    assert ("it is Draft" in str(caught.value)) == (error is CampaignConflictError)
    assert caught.value.http_status == status
    assert "Thanks for the context. I can send over details this afternoon. string" in str(caught.value)
    assert f"HTTP {status}" in str(caught.value)
    assert (caught.value.code, caught.value.trace_id) == ("VALIDATION_ERROR" if status == 400 else "string", SONARLY_ID)


def test_sonarlys_sample_is_no_stop_without_its_success(sandbox: Sandbox, connect: Connect) -> None:
    body = SAMPLES["sonarly_stop_200"].replace(b'"success": true', b'"success": false')
    with LocalServer(lambda sent: Reply(body)) as server:
        connect({**SONARLY.connection(sandbox), "host": server.url})
        with pytest.raises(
            CampaignUnavailableError, match=f"HTTP 200, the response says .*trace id {SONARLY_ID}"
        ) as caught:
            SONARLY.stop(SONARLY_ID, timeout=10).execute({})
    assert caught.value.http_status == 200


@pytest.mark.parametrize("word", [b"failure", b"error"])
def test_kores_sample_is_no_delete_without_its_success(sandbox: Sandbox, connect: Connect, word: bytes) -> None:
    body = SAMPLES["kore_delete_sms_v1"].replace(b'"status": "success"', b'"status": "%s"' % word)
    with LocalServer(lambda sent: Reply(body)) as server:
        connect({**V1_SMS.connection(sandbox), "host": server.url})
        with pytest.raises(CampaignUnavailableError, match="HTTP 200, Campaign Interactive Support"):
            V1_SMS.delete(DELETED_ID, timeout=10).execute({})
