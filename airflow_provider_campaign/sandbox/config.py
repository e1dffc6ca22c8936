"""The settings of a sandbox, and its credentials: all of them obviously fake, and all of them here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from airflow_provider_campaign.sandbox.clock import Clock

CLIENT_ID = "cs-sandbox-0000"
# Long enough for HS512, which wants 64 bytes.
CLIENT_SECRET = "sandbox-client-secret-not-a-real-one-0001-padded-to-64-bytes-only"
IID = "st-sandbox-0000"
ACCOUNT_ID = "acc-sandbox-0000"
API_KEY = "sk_live_sandbox_not_a_real_key"
ACCOUNT_GROUP_ID = "ag-sandbox-0000"

# What other processes may read and change: behavior, never a credential.
PUBLIC_SETTINGS = (
    "stop_delay",
    "start_delay",
    "latency",
    "rate_limit",
    "rate_window",
    "retry_after_header",
    "rate_limit_headers",
    "require_jti",
    "stop_when_stopped",
    "ignore_sort",
    "ignore_filters",
    "ignore_type",
    "list_lag",
    "status_lag",
    "conflict_status",
    "clock_offset",
    "start_status_word",
    "stop_status_word",
    "sonarly_rate_limit",
    "sonarly_permissions",
    "sonarly_page_size",
    "numeric_ids",
)

StopWhenStopped = Literal["conflict", "bad_request", "ok"]


@dataclass
class SandboxConfig:
    """
    The settings of a sandbox; all but ``port``, ``campaigns``, and ``clock`` may be changed while it runs.

    :param port: TCP port on 127.0.0.1; 0 takes a free one.
    :param campaigns: How many campaigns it has at the start and after a reset: those of ``seeds.py``, and more.
    :param clock: For delays and rate limits; None for the machine's monotonic clock.
    :param stop_delay: Seconds from a stop to Stopped, for Kore campaigns.
    :param start_delay: Seconds from a start to Active, for Kore campaigns.
    :param latency: Seconds added to every platform response.
    :param rate_limit: Kore requests in a window, over all endpoints; None for no limit.
    :param rate_window: Seconds; the window of both platforms' limits.
    :param retry_after_header: Whether a 429 has a ``Retry-After`` header.
    :param rate_limit_headers: Whether every response says how many requests are left, in ``X-RateLimit-…`` headers.
    :param require_jti: Whether Kore tokens need a ``jti`` that was never used before.
    :param stop_when_stopped: Kore's response to a stop of a Stopped or Completed campaign: 409, 400, or 200.
    :param public_key: PEM of the key of RS256 and ES256 tokens; None accepts HMAC only.
    :param ignore_sort: Whether Kore's list ignores ``sortBy`` and keeps the order in which campaigns were added.
    :param ignore_filters: Whether Kore's list ignores ``filters``.
    :param ignore_type: Whether Kore's list ignores ``type``, and shows SMS and voice campaigns.
    :param list_lag: Seconds by which both platforms' lists are behind: they show what was so long ago.
    :param status_lag: Seconds by which the responses about one campaign are behind.
    :param conflict_status: HTTP status of Kore's response to a stop of a campaign that is not running.
    :param clock_offset: Seconds by which the platform's clock is ahead of ours; a change moves no past date.
    :param start_status_word: Status in Sonarly's response to a start; None for the campaign's own.
    :param stop_status_word: Status in Sonarly's response to a stop; None for the campaign's own.
    :param sonarly_rate_limit: Sonarly requests in a window; None for no limit.
    :param sonarly_permissions: Those of the API key.
    :param sonarly_page_size: Campaigns on a page of Sonarly's list; None for all on one.
    :param numeric_ids: Whether Sonarly shows an id that consists of digits as a number.
    """

    port: int = 0
    campaigns: int = 0
    clock: Clock | None = None
    stop_delay: float = 0.0
    start_delay: float = 0.0
    latency: float = 0.0
    rate_limit: int | None = 60
    rate_window: float = 60.0
    retry_after_header: bool = False
    rate_limit_headers: bool = False
    require_jti: bool = False
    stop_when_stopped: StopWhenStopped = "conflict"
    public_key: str | None = None
    ignore_sort: bool = False
    ignore_filters: bool = False
    ignore_type: bool = False
    list_lag: float = 0.0
    status_lag: float = 0.0
    conflict_status: int = 409
    clock_offset: float = 0.0
    start_status_word: str | None = None
    stop_status_word: str | None = None
    sonarly_rate_limit: int | None = None
    sonarly_permissions: frozenset[str] | set[str] = frozenset({"campaigns:read", "campaigns:execute"})
    sonarly_page_size: int | None = None
    numeric_ids: bool = False
    client_id: str = CLIENT_ID
    client_secret: str = CLIENT_SECRET
    iid: str = IID
    account_id: str = ACCOUNT_ID
    api_key: str = API_KEY
    account_group_id: str = ACCOUNT_GROUP_ID

    def public_settings(self) -> dict[str, Any]:
        """Return the settings without credentials."""
        settings = {name: getattr(self, name) for name in PUBLIC_SETTINGS}
        return {**settings, "sonarly_permissions": sorted(self.sonarly_permissions)}
