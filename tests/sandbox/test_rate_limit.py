"""The platforms' rate limits."""

from __future__ import annotations

import pytest

from airflow_provider_campaign.sandbox import Sandbox
from airflow_provider_campaign.sandbox.virtual_clock import VirtualClock
from tests.sandbox.clients import KoreClient, SonarlyClient

TEXT = "You've exceeded the per-minute rate limit. Please wait for sometime before retrying."


def test_the_sixty_first_request_of_a_minute_is_rejected(
    sandbox: Sandbox, kore: KoreClient, kore_v2: KoreClient
) -> None:
    campaign = sandbox.add_campaign()
    assert {(kore, kore_v2)[number % 2].status(campaign.id).status_code for number in range(60)} == {200}
    refused = kore.stop(campaign.id)
    assert refused.status_code == 429
    assert refused.json() == {"errors": [{"msg": TEXT, "code": 429}]}
    assert "Retry-After" not in refused.headers
    assert campaign.stop_requests == 0
    sandbox.config.rate_limit = None
    assert kore.stop(campaign.id).status_code == 200


def test_the_window_slides_and_rejected_requests_do_not_count(
    sandbox: Sandbox, kore: KoreClient, clock: VirtualClock
) -> None:
    sandbox.config.rate_limit = 2
    campaign = sandbox.add_campaign()
    codes = []
    for seconds in (0, 30, 29, 1, 0, 29, 1, 0):
        clock.advance(seconds)
        codes.append(kore.status(campaign.id).status_code)
    assert codes == [200, 200, 429, 200, 429, 429, 200, 429]


def test_unauthorized_requests_and_those_for_other_accounts_do_not_count(sandbox: Sandbox, kore: KoreClient) -> None:
    sandbox.config.rate_limit = 1
    campaign = sandbox.add_campaign()
    assert kore.stop(campaign.id, auth=None).status_code == 401
    assert kore.stop(campaign.id, accountId="other").status_code == 403
    assert kore.stop(campaign.id).status_code == 200


@pytest.mark.parametrize("limit", [None, 3])
def test_sonarly_has_a_limit_of_its_own(
    sandbox: Sandbox, kore: KoreClient, sonarly: SonarlyClient, limit: int | None
) -> None:
    sandbox.config.sonarly_rate_limit, sandbox.config.rate_limit = limit, 1
    codes = [sonarly.list().status_code for _ in range(4)]
    assert codes == [200, 200, 200, 200 if limit is None else 429]
    assert kore.list().status_code == 200


def test_another_client_may_spend_requests_and_a_reset_empties_the_window(
    sandbox: Sandbox, kore: KoreClient, clock: VirtualClock
) -> None:
    assert sandbox.spend(59) == 59
    assert [kore.list().status_code for _ in range(2)] == [200, 429]
    assert sandbox.spend() == 0
    clock.advance(60)
    assert sandbox.spend(100) == 60
    assert len(sandbox.requests) == 2
    sandbox.reset()
    assert kore.list().status_code == 200


def test_retry_after_is_the_time_until_the_window_has_room(
    sandbox: Sandbox, kore: KoreClient, clock: VirtualClock
) -> None:
    sandbox.config.rate_limit, sandbox.config.retry_after_header = 1, True
    campaign = sandbox.add_campaign()
    kore.status(campaign.id)
    clock.advance(12.5)
    assert kore.status(campaign.id).headers["Retry-After"] == "48"
