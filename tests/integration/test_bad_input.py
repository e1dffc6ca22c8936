"""Whatever is wrong with a connection or an argument is said before anything is sent."""

from __future__ import annotations

import re
from typing import Any

import airflow
import pytest
from airflow.providers.common.compat.sdk import AirflowFailException
from packaging.version import Version

from airflow_provider_campaign.exceptions import CampaignConfigError, CampaignError
from airflow_provider_campaign.sandbox import Sandbox
from airflow_provider_campaign.sensors.campaign import CampaignStatusSensor
from tests.kinds import Connect, Kind


def refusal(sandbox: Sandbox, kind: Kind) -> str:
    """Return the one message that stop, status sensor and hook have for what is wrong."""
    campaign = kind.add_campaign(sandbox)
    messages = set()
    for operator in (kind.stop(campaign.id), CampaignStatusSensor(task_id="wait", campaign_id=campaign.id)):
        with pytest.raises(CampaignConfigError) as caught:
            operator.execute({})
        assert isinstance(caught.value, AirflowFailException)
        messages.add(str(caught.value))
    assert sandbox.requests == []
    assert campaign.status == "Active"
    [message] = messages
    assert "campaign_default" in message
    assert "Nothing was sent" in message
    return message


WRONG = [
    ({"password": " "}, "(password) is missing"),
    ({"host": "http://platform.example"}, "Host (host) is 'http://platform.example', which would send credentials"),
    ({"conn_type": "http"}, "is of type 'http', which is not a campaign platform"),
]


@pytest.mark.parametrize(("changes", "problem"), WRONG)
def test_operators_and_sensors_refuse_a_wrong_connection_alike(
    sandbox: Sandbox, connect: Connect, kind: Kind, changes: dict[str, Any], problem: str
) -> None:
    connect({**kind.connection(sandbox), **changes})
    assert problem in refusal(sandbox, kind)


@pytest.mark.parametrize("extra", ["no JSON", '["iid"]', '"text"', "7"])
def test_an_extra_that_is_no_object_is_refused(sandbox: Sandbox, connect: Connect, kind: Kind, extra: str) -> None:
    connect({**kind.connection(sandbox), "extra": extra})
    if Version("3.0") <= Version(airflow.__version__) < Version("3.2"):  # for these it is no connection at all
        with pytest.raises(CampaignError, match="'campaign_default' was not found"):
            kind.stop("cd-1").execute({})
        assert not sandbox.requests
        return
    assert re.search(r"extra is not a JSON object|ID \(\w+\) is missing", refusal(sandbox, kind))
