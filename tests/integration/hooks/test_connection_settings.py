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


@pytest.mark.parametrize("algorithm", ["HS256", "HS384", "HS512"])
def test_a_token_is_signed_with_the_client_secret(sandbox: Sandbox, connect: Connect, algorithm: str) -> None:
    campaign = sandbox.add_campaign()
    connect(sandbox.kore_connection(jwt_algorithm=algorithm))
    assert V1_SMS.stop(campaign.id).execute({})["status"] == "Stopped"
    [request] = sandbox.requests
    assert jwt.get_unverified_header(request.headers["auth"])["alg"] == algorithm


KEYS: dict[str, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey] = {
    "RS256": rsa.generate_private_key(public_exponent=65537, key_size=2048),
    "ES256": ec.generate_private_key(ec.SECP256R1()),
}


@pytest.mark.parametrize(
    ("algorithm", "form", "line_break"),
    [
        ("RS256", PrivateFormat.TraditionalOpenSSL, "\n"),
        ("RS256", PrivateFormat.TraditionalOpenSSL, ""),  # lost in the form
        ("ES256", PrivateFormat.PKCS8, "\\n"),
    ],
)
def test_a_token_is_signed_with_the_private_key(
    sandbox: Sandbox, connect: Connect, algorithm: str, form: PrivateFormat, line_break: str
) -> None:
    key = KEYS[algorithm]
    pem = key.private_bytes(Encoding.PEM, form, NoEncryption()).decode().replace("\n", line_break)
    sandbox.config.public_key = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    campaign = sandbox.add_campaign()
    connection = sandbox.kore_connection(jwt_algorithm=algorithm, private_key=pem)
    connect({**connection, "password": None})
    assert V1_SMS.stop(campaign.id).execute({})["status"] == "Stopped"
    [request] = sandbox.requests
    assert jwt.get_unverified_header(request.headers["auth"])["alg"] == algorithm


def test_a_token_is_made_out_to_the_subject(sandbox: Sandbox, connect: Connect) -> None:
    connect(sandbox.kore_connection(jwt_subject="night shift"))
    the_hook().test_connection()
    assert [(request.claims or {}).get("sub") for request in sandbox.requests] == ["night shift"]


# Where requests go.


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
