"""The platforms' rate limits."""

from __future__ import annotations

from airflow_provider_campaign.sandbox import Sandbox
from airflow_provider_campaign.sandbox.virtual_clock import VirtualClock
from tests.sandbox.clients import KoreClient, SonarlyClient

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
