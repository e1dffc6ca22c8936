"""Who may send Kore.ai requests: tokens, and the application and account that they are for."""

from __future__ import annotations

import time
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from airflow_provider_campaign.sandbox import Sandbox
from tests.sandbox.clients import KoreClient

Key = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey


def pem_pair(key: Key) -> tuple[str, str]:
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    return private.decode(), public.decode()


@pytest.mark.parametrize("algorithm", ["HS256", "HS384", "HS512"])
def test_a_token_signed_with_the_secret_is_accepted(sandbox: Sandbox, kore: KoreClient, algorithm: str) -> None:
    now = time.time()
    token = kore.token(algorithm=algorithm, iat=now, exp=now + 300)
    assert kore.stop(sandbox.add_campaign().id, auth=token).status_code == 200
    assert (sandbox.requests[-1].claims or {})["appId"] == sandbox.config.client_id


@pytest.mark.parametrize(
    ("algorithm", "key"),
    [("RS256", rsa.generate_private_key(65537, 2048)), ("ES256", ec.generate_private_key(ec.SECP256R1()))],
)
def test_a_token_signed_with_a_registered_key_is_accepted(algorithm: str, key: Key) -> None:
    private, public = pem_pair(key)
    with Sandbox(public_key=public) as sandbox:
        kore, campaign = KoreClient(sandbox), sandbox.add_campaign()
        assert kore.stop(campaign.id, auth=kore.token(private, algorithm)).status_code == 200
        sandbox.config.public_key = None
        assert kore.stop(campaign.id, auth=kore.token(private, algorithm)).status_code == 401


@pytest.mark.parametrize(
    "claims",
    [
        {"appId": None},
        {"appId": "cs-somebody-else"},
        {"appId": None, "appid": "cs-sandbox-0000"},
        {"sub": None},
        {"sub": 7},
        {"exp": time.time() - 5},
        {"iat": time.time() + 3600},
    ],
)
def test_a_token_with_wrong_claims_is_unauthorized(sandbox: Sandbox, kore: KoreClient, claims: dict[str, Any]) -> None:
    campaign = sandbox.add_campaign()
    response = kore.stop(campaign.id, auth=kore.token(**claims))
    assert (response.status_code, response.json()["errors"][0]["code"]) == (401, 401)
    assert campaign.stop_requests == 0
    assert sandbox.requests[-1].claims is None


def test_a_missing_broken_or_wrongly_signed_token_is_unauthorized(sandbox: Sandbox, kore_v2: KoreClient) -> None:
    campaign = sandbox.add_campaign()
    wrong = (kore_v2.token("another secret, just as long as ours"), kore_v2.token("", "none"))
    for token in (None, "", "nonsense", "a.b.c", *wrong):
        assert kore_v2.stop(campaign.id, auth=token).status_code == 401
    assert kore_v2.stop(campaign.id, auth=None, Authorization=kore_v2.token()).status_code == 401


def test_a_jti_must_be_unused_where_that_is_enforced(sandbox: Sandbox, kore: KoreClient) -> None:
    campaign, token = sandbox.add_campaign(), kore.token()
    assert [kore.stop(campaign.id, auth=token).status_code for _ in range(2)] == [200, 409]
    sandbox.config.require_jti = True
    again = kore.token()
    assert [kore.status(campaign.id, auth=again).status_code for _ in range(2)] == [200, 401]
    assert kore.status(campaign.id, auth=kore.token(jti=None)).status_code == 401


def test_headers_and_path_must_name_the_application_and_the_account(sandbox: Sandbox, kore: KoreClient) -> None:
    campaign = sandbox.add_campaign()
    wrong: list[dict[str, Any]] = [{name: value} for name in ("iid", "accountId") for value in (None, "another")]
    for headers in wrong:
        assert kore.stop(campaign.id, **headers).status_code == 403
    path = kore.path("trigger", campaign.id).replace(sandbox.config.iid, "st-other") + "&trigger=stop"
    assert kore.send("POST", path).status_code == 403
    assert kore.send("POST", path, iid="st-other").status_code == 403
    assert campaign.stop_requests == 0
    in_any_case: dict[str, Any] = {"accountId": None, "ACCOUNTID": sandbox.config.account_id}
    assert kore.stop(campaign.id, **in_any_case).status_code == 200


def test_v2_needs_the_account_in_the_query_too(sandbox: Sandbox, kore_v2: KoreClient) -> None:
    campaign = sandbox.add_campaign()
    for action in ("trigger", "status", "list", "get", "delete"):
        path = kore_v2.path(action, campaign.id).replace("accountId=", "account=")
        method = {"get": "GET", "delete": "DELETE"}.get(action, "POST")
        query = "&trigger=stop" if action == "trigger" else ""
        assert kore_v2.send(method, path + query).status_code == 403
