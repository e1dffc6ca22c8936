"""Each setting of a connection has its effect."""

from __future__ import annotations

from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from airflow_provider_campaign.exceptions import CampaignUnavailableError
from airflow_provider_campaign.hooks.base import CampaignHook
from airflow_provider_campaign.platforms.base import Action, ApiRequest
from airflow_provider_campaign.sandbox import Fault, Sandbox
from tests.accounts import ONCE
from tests.kinds import KORE_KINDS, Connect

V1_SMS = KORE_KINDS[0]


def the_hook() -> CampaignHook:
    return CampaignHook.for_conn_id("campaign_default")


# How tokens are signed.

RSA, EC = rsa.generate_private_key(public_exponent=65537, key_size=2048), ec.generate_private_key(ec.SECP256R1())


@pytest.mark.parametrize(
    ("algorithm", "key", "form", "line_break"),
    [
        *[(algorithm, None, None, "") for algorithm in ("HS256", "HS384", "HS512")],
        ("RS256", RSA, PrivateFormat.TraditionalOpenSSL, "\n"),
        ("RS256", RSA, PrivateFormat.TraditionalOpenSSL, ""),  # lost in the form
        ("ES256", EC, PrivateFormat.PKCS8, "\\n"),
    ],
)
def test_a_token_is_signed_with_the_client_secret_or_the_private_key(
    sandbox: Sandbox, connect: Connect, algorithm: str, key: Any, form: Any, line_break: str
) -> None:
    connection = sandbox.kore_connection(jwt_algorithm=algorithm, jwt_subject="night shift")
    if key:
        public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        sandbox.config.public_key = public.decode()
        pem = key.private_bytes(Encoding.PEM, form, NoEncryption()).decode().replace("\n", line_break)
        connection = {**connection, "password": None, "extra": {**connection["extra"], "private_key": pem}}
    connect(connection)
    assert V1_SMS.stop(sandbox.add_campaign().id).execute({})["status"] == "Stopped"
    [request] = sandbox.requests
    assert jwt.get_unverified_header(request.headers["auth"])["alg"] == algorithm
    assert (request.claims or {})["sub"] == "night shift"


def test_a_single_path_can_be_replaced(sandbox: Sandbox, connect: Connect) -> None:
    path = "/other/{iid}/{account_id}/{campaign_id}?x=1"
    connect(sandbox.kore_connection(endpoints={"status": path}))
    asked = [ApiRequest(action, "cd-1") for action in (Action.STATUS, Action.GET)]
    moved, kept = (the_hook().client.platform.http_request(request).path for request in asked)
    assert moved == "/other/st-sandbox-0000/acc-sandbox-0000/cd-1?x=1"
    assert kept.startswith("/agentassist/")


# How long things may take.


def test_a_request_may_take_as_long_as_the_timeout(sandbox: Sandbox, connect: Connect) -> None:
    campaign = sandbox.add_campaign()
    sandbox.add_fault(Fault("slow", seconds=0.4, count=None))
    connect(sandbox.kore_connection(timeout=30))
    assert the_hook().client.get_campaign_status(campaign.id, deadline=ONCE).status == "Active"
    connect(sandbox.kore_connection(timeout=0.1))
    with pytest.raises(CampaignUnavailableError, match="within the time-out"):
        the_hook().client.get_campaign_status(campaign.id, deadline=ONCE)


@pytest.mark.parametrize(
    ("act", "setting", "seconds"),
    [
        ("get", {}, 120),
        ("get", {"retry_budget": 300}, 300),
        ("stop", {}, 900),  # the operator's own time-out
        ("stop", {"retry_budget": 40}, 40),
    ],
)
def test_an_action_may_take_as_long_with_its_retries_as_the_budget(
    sandbox: Sandbox, connect: Connect, act: str, setting: dict[str, Any], seconds: float
) -> None:
    sandbox.add_fault(Fault("error", status=503, count=None))
    connect(sandbox.kore_connection(**setting))
    with pytest.raises(CampaignUnavailableError, match="HTTP 503"):
        the_hook().client.get_campaign("cd-1") if act == "get" else V1_SMS.stop("cd-1").execute({})
    last = sandbox.requests[-1].at - 1000
    assert seconds * 0.9 <= last <= seconds
