"""The Python interface of the sandbox."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

from starlette.applications import Starlette
from starlette.routing import Mount

from airflow_provider_campaign.sandbox.campaigns import Campaign, canonical_status
from airflow_provider_campaign.sandbox.config import SandboxConfig
from airflow_provider_campaign.sandbox.control import control_routes
from airflow_provider_campaign.sandbox.faults import Fault
from airflow_provider_campaign.sandbox.gateway import Gateway
from airflow_provider_campaign.sandbox.kore import KorePlatform
from airflow_provider_campaign.sandbox.page import page_routes
from airflow_provider_campaign.sandbox.requestlog import ReceivedRequest
from airflow_provider_campaign.sandbox.server import LOOPBACK, ServerThread
from airflow_provider_campaign.sandbox.sonarly import SonarlyPlatform
from airflow_provider_campaign.sandbox.state import SandboxState


class Sandbox:
    """
    Both platforms on a port of this machine, from `with` to its end.

    :param config: the settings; or give them as keyword arguments
    :param settings: fields of `SandboxConfig`
    """

    def __init__(self, config: SandboxConfig | None = None, **settings: Any) -> None:
        self.config = dataclasses.replace(config or SandboxConfig(), **settings)
        self.state = SandboxState(self.config)
        self._server: ServerThread | None = None
        self.port = self.config.port

    def __enter__(self) -> Self:
        """Start the server."""
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Stop the server."""
        self.stop()

    def start(self) -> None:
        """
        Listen, and serve in a daemon thread; after a `stop`, on the same port again.

        :raises OSError: when the port is taken
        """
        self._server = ServerThread(self._application(), self.port)
        self.port = self._server.port

    def stop(self) -> None:
        """End the server and every connection to it; what it saw can still be read."""
        if self._server is not None:
            self._server.end()
            self._server = None

    @property
    def url(self) -> str:
        """The address without a path."""
        return f"http://{LOOPBACK}:{self.port}"

    def kore_connection(self, api_version: str = "v1", **extra: Any) -> dict[str, Any]:
        """
        Return an Airflow connection to the Kore side, ready for `AIRFLOW_CONN_...` when dumped as JSON.

        :param api_version: `v1` or `v2`
        :param extra: further fields of the connection's extra
        """
        config = self.config
        return {
            "conn_type": "kore",
            "host": self.url,
            "login": config.client_id,
            "password": config.client_secret,
            "extra": {
                "iid": config.iid,
                "account_id": config.account_id,
                "api_version": api_version,
                **extra,
            },
        }

    def sonarly_connection(self, **extra: Any) -> dict[str, Any]:
        """
        Return an Airflow connection to the Sonarly side, ready for `AIRFLOW_CONN_...` when dumped as JSON.

        :param extra: further fields of the connection's extra
        """
        return {
            "conn_type": "sonarly",
            "host": self.url,
            "password": self.config.api_key,
            "extra": {"account_group_id": self.config.account_group_id, **extra},
        }

    def add_campaign(
        self,
        campaign_id: str | None = None,
        campaign_type: str = "sms",
        status: str = "Active",
        name: str | None = None,
        **details: Any,
    ) -> Campaign:
        """
        Put a campaign into the account and return its live state.

        :param campaign_id: its id; made up in the platform's form when None
        :param campaign_type: `sms`, `voice` or `sonarly`
        :param status: its status, in any case
        :param name: its name; made up when None
        :param details: `stop_delay`, `start_delay`, `stoppable`, `completes`, `priority`, `calling_hours`,
            and any other field of `Campaign`
        """
        return self.state.add_campaign(campaign_id, campaign_type, status, name, **details)

    def campaign(self, campaign_id: str) -> Campaign:
        """
        Return a campaign's live state.

        :param campaign_id: its id
        :raises KeyError: when there is none
        """
        campaign = self.state.account.find(campaign_id)
        if campaign is None:
            raise KeyError(campaign_id)
        return campaign

    def campaigns(self) -> list[Campaign]:
        """Return all campaigns, in the order in which they were added."""
        return self.state.account.campaigns()

    def remove_campaign(self, campaign_id: str) -> None:
        """
        Remove a campaign, as if somebody had deleted it in the platform's console.

        :param campaign_id: its id
        :raises KeyError: when there is none
        """
        if self.state.account.remove(campaign_id) is None:
            raise KeyError(campaign_id)

    def set_status(self, campaign_id: str, status: str) -> None:
        """
        Give a campaign a status; what was to become of it before is off.

        :param campaign_id: its id
        :param status: the status, in any case
        """
        self.state.account.become(self.campaign(campaign_id), canonical_status(status))

    @property
    def requests(self) -> list[ReceivedRequest]:
        """The platform requests so far, oldest first."""
        return self.state.requests.all()

    def clear_requests(self) -> None:
        """Forget the requests so far; the rate limits do not."""
        self.state.requests.clear()

    def add_fault(self, fault: Fault) -> Fault:
        """
        Plan a fault, after those that are planned already.

        :param fault: the fault
        """
        self.state.faults.add(fault)
        return fault

    def clear_faults(self) -> None:
        """Plan no fault any more."""
        self.state.faults.clear()

    def wait_for(self, predicate: Callable[[Sandbox], Any], timeout: float = 10.0) -> None:
        """
        Block until something holds of this sandbox.

        :param predicate: what is waited for
        :param timeout: seconds of real time
        :raises TimeoutError: when it does not hold by then
        """
        self.state.wait_until(lambda: predicate(self), timeout)

    def reset(self) -> None:
        """Forget campaigns, faults, requests and what the rate limits counted; keep the settings."""
        self.state.reset()

    def _application(self) -> Starlette:
        gateway = Gateway(self.state, KorePlatform(self.state), SonarlyPlatform(self.state))
        return Starlette(routes=[*page_routes(), *control_routes(self), Mount("/", app=gateway)])
