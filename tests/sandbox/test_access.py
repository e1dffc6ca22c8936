"""Who may not send Kore.ai requests, and how many may be sent: the provider's own tests send what is accepted."""

from __future__ import annotations

import time
from typing import Any

from airflow_provider_campaign.sandbox import Sandbox
from airflow_provider_campaign.sandbox.virtual_clock import VirtualClock
from tests.sandbox.clients import KoreClient, SonarlyClient


def test_a_token_that_is_missing_broken_or_wrong_is_unauthorized(sandbox: Sandbox, kore: KoreClient) -> None:
    campaign = sandbox.add_campaign()
    claims: list[dict[str, Any]] = [
        {"appId": None},
        {"appId": "cs-somebody-else"},
        {"appId": None, "appid": "cs-sandbox-0000"},
        {"sub": None},
        {"sub": 7},
        {"exp": time.time() - 5},
        {"iat": time.time() + 3600},
    ]
    signed = (kore.token("another secret, just as long as ours"), kore.token("", "none"))
    for token in (None, "", "nonsense", "a.b.c", *signed, *(kore.token(**each) for each in claims)):
        response = kore.stop(campaign.id, auth=token)
        assert (response.status_code, response.json()["errors"][0]["code"]) == (401, 401)
        assert sandbox.requests[-1].claims is None
    assert kore.stop(campaign.id, auth=None, Authorization=kore.token()).status_code == 401
    assert campaign.stop_requests == 0


def test_a_jti_must_be_unused_where_that_is_enforced(sandbox: Sandbox, kore: KoreClient) -> None:
    campaign, token = sandbox.add_campaign(), kore.token()
    assert [kore.stop(campaign.id, auth=token).status_code for _ in range(2)] == [200, 409]
    sandbox.config.require_jti = True
    again = kore.token()
    assert [kore.status(campaign.id, auth=again).status_code for _ in range(2)] == [200, 401]
    assert kore.status(campaign.id, auth=kore.token(jti=None)).status_code == 401


def test_headers_and_path_must_name_the_application_and_the_account(sandbox: Sandbox, kore: KoreClient) -> None:
    campaign, kore_v2 = sandbox.add_campaign(), KoreClient(sandbox, "v2")
    wrong: list[dict[str, Any]] = [{name: value} for name in ("iid", "accountId") for value in (None, "another")]
    assert [kore.stop(campaign.id, **headers).status_code for headers in wrong] == [403] * 4
    path = kore.path("trigger", campaign.id).replace(sandbox.config.iid, "st-other") + "&trigger=stop"
    assert kore.send("POST", path).status_code == 403
    assert kore.send("POST", path, iid="st-other").status_code == 403
    for action in ("trigger", "status", "list", "get", "delete"):  # which v2 wants in the query, too
        path = kore_v2.path(action, campaign.id).replace("accountId=", "account=")
        method = {"get": "GET", "delete": "DELETE"}.get(action, "POST")
        assert kore_v2.send(method, path + "&trigger=stop").status_code == 403
    assert campaign.stop_requests == 0
    in_any_case: dict[str, Any] = {"accountId": None, "ACCOUNTID": sandbox.config.account_id}
    assert kore.stop(campaign.id, **in_any_case).status_code == 200


# The rate limits.

TEXT = "You've exceeded the per-minute rate limit. Please wait for sometime before retrying."


def test_the_sixty_first_request_of_a_minute_is_rejected(
    sandbox: Sandbox, kore: KoreClient, sonarly: SonarlyClient, clock: VirtualClock
) -> None:
    sandbox.config.sonarly_rate_limit = 1  # its own
    assert [sonarly.list().status_code for _ in range(2)] == [200, 429]
    campaign = sandbox.add_campaign()
    assert kore.stop(campaign.id, auth=None).status_code == 401  # neither this one counts
    assert kore.stop(campaign.id, accountId="other").status_code == 403  # nor this one
    assert sandbox.spend(50) == 50  # another client's
    clients = (kore, KoreClient(sandbox, "v2"))
    assert {clients[number % 2].status(campaign.id).status_code for number in range(10)} == {200}
    assert sandbox.spend() == 0
    refused = kore.stop(campaign.id)
    assert refused.status_code == 429
    assert refused.json() == {"errors": [{"msg": TEXT, "code": 429}]}
    assert "Retry-After" not in refused.headers
    assert campaign.stop_requests == 0
    clock.advance(12.5)
    sandbox.config.retry_after_header = True
    assert kore.status(campaign.id).headers["Retry-After"] == "48"
    sandbox.config.rate_limit = None
    assert kore.stop(campaign.id).status_code == 200
    sandbox.config.rate_limit = 60
    sandbox.reset()
    assert kore.list().status_code == 200


def test_the_window_slides_and_rejected_requests_do_not_count(
    sandbox: Sandbox, kore: KoreClient, clock: VirtualClock
) -> None:
    sandbox.config.rate_limit = 2
    codes = []
    for seconds in (0, 30, 29, 1, 0, 29, 1, 0):
        clock.advance(seconds)
        codes.append(kore.list().status_code)
    assert codes == [200, 200, 429, 200, 429, 429, 200, 429]
