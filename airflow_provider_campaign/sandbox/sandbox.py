"""The Python interface of the sandbox."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.routing import Mount

from airflow_provider_campaign.sandbox.campaigns import Campaign
from airflow_provider_campaign.sandbox.config import SandboxConfig
from airflow_provider_campaign.sandbox.control import control_routes
from airflow_provider_campaign.sandbox.faults import Fault
from airflow_provider_campaign.sandbox.gateway import Gateway
from airflow_provider_campaign.sandbox.kore import KorePlatform
from airflow_provider_campaign.sandbox.page import page_routes
from airflow_provider_campaign.sandbox.request_log import ReceivedRequest
from airflow_provider_campaign.sandbox.seeds import seed
from airflow_provider_campaign.sandbox.server import LOOPBACK, ServerThread
from airflow_provider_campaign.sandbox.sonarly import SonarlyPlatform
from airflow_provider_campaign.sandbox.state import SandboxState
from airflow_provider_campaign.sandbox.statuses import canonical_status


class Sandbox:
    """
    Both platforms on a port of this machine; a context manager.

    :param config: None for the defaults.
    :param settings: Fields of ``SandboxConfig``, which override those of ``config``.
    """

    def __init__(self, config: SandboxConfig | None = None, **settings: Any) -> None:
        self.config = dataclasses.replace(config or SandboxConfig(), **settings)
        self.state = SandboxState(self.config)
        self._server: ServerThread | None = None
        self.port = self.config.port
        seed(self, self.config.campaigns)

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
        Listen and serve in a daemon thread; after a ``stop``, on the same port again.

        :raises OSError: When the port is taken.
        """
        self._server = ServerThread(self._application(), self.port)
        self.port = self._server.port

    def stop(self) -> None:
        """Stop the server and close all connections; campaigns and requests can still be read."""
        if self._server is not None:
            self._server.stop()
            self._server = None

    @property
    def url(self) -> str:
        """The address without a path."""
        return f"http://{LOOPBACK}:{self.port}"

    def kore_connection(self, api_version: str = "v1", **extra: Any) -> dict[str, Any]:
        """
        Return an Airflow connection to the Kore side, whose JSON ``AIRFLOW_CONN_...`` accepts.

        :param api_version: ``v1`` or ``v2``.
        :param extra: Further fields of the connection's extra.
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
        Return an Airflow connection to the Sonarly side, whose JSON ``AIRFLOW_CONN_...`` accepts.

        :param extra: Further fields of the connection's extra.
        """
        return {
            "conn_type": "sonarly",
            "host": self.url,
            "password": self.config.api_key,
            "extra": {"account_group_id": self.config.account_group_id, **extra},
        }

    def connections(self) -> dict[str, dict[str, Any]]:
        """Return the connections that documentation and example DAGs name, by their ids."""
        return {
            "campaign_default": self.kore_connection(),
            "kore_v2": self.kore_connection("v2"),
            "sonarly": self.sonarly_connection(),
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
        Add a campaign; the returned object follows its state.

        :param campaign_id: None generates one in the platform's format.
        :param campaign_type: ``sms``, ``voice``, or ``sonarly``.
        :param status: In any case.
        :param name: None generates one.
        :param details: ``stop_delay``, ``start_delay``, ``stoppable``, ``completes``, ``priority``, ``calling_hours``,
            and any other field of ``Campaign``.
        """
        return self.state.add_campaign(campaign_id, campaign_type, status, name, **details)

    def campaign(self, campaign_id: str) -> Campaign:
        """
        Return a campaign; the object follows its state.

        :raises KeyError: When there is no campaign with that id.
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
        Remove a campaign, as if it had been deleted in the platform's console.

        :raises KeyError: When there is no campaign with that id.
        """
        if self.state.account.remove(campaign_id) is None:
            raise KeyError(campaign_id)

    def set_status(self, campaign_id: str, status: str, delay: float = 0.0, documented: bool = True) -> None:
        """
        Set a campaign's status, now or later; its pending transition is cancelled.

        :param status: In any case.
        :param delay: Seconds from now.
        :param documented: Whether it must be a known status; otherwise any word is taken as it is.
        :raises KeyError: When there is no campaign of that id.
        """
        word = canonical_status(status) if documented else status
        self.state.account.set_status(self.campaign(campaign_id), word, delay)

    @property
    def requests(self) -> list[ReceivedRequest]:
        """The platform requests so far, oldest first."""
        return self.state.requests.all()

    def on_request(self, listener: Callable[[ReceivedRequest], object]) -> None:
        """
        Call a function with each platform request from now on, after it has arrived and before it is executed.

        :param listener: May change anything here, or move the clock; no other request is served meanwhile.
        """
        self.state.listeners.append(listener)

    def spend(self, requests: int = 1) -> int:
        """
        Count requests of another client against Kore's rate limit; return how many of them it accepted.

        :param requests: How many it sends, all at once.
        """
        limit, window = self.config.rate_limit, self.config.rate_window
        return sum(self.state.kore_limiter.try_acquire(limit, window) for _ in range(requests))

    def clear_requests(self) -> None:
        """Remove the requests so far; they still count against the rate limits."""
        self.state.requests.clear()

    def add_fault(self, fault: Fault) -> Fault:
        """Add a fault after those that are planned already, and return it."""
        self.state.faults.add(fault)
        return fault

    def clear_faults(self) -> None:
        """Remove all faults."""
        self.state.faults.clear()

    def wait_for(self, predicate: Callable[[Sandbox], Any], timeout: float = 10.0) -> None:
        """
        Block until a predicate of this sandbox holds.

        :param timeout: Seconds of real time.
        :raises TimeoutError: When it does not hold by then.
        """
        self.state.wait_until(lambda: predicate(self), timeout)

    def reset(self) -> None:
        """Bring the campaigns of the start back; remove all others, faults, and requests, and reset the rate limits."""
        with self.state.changed:
            self.state.reset()
            seed(self, self.config.campaigns)

    def _application(self) -> Starlette:
        gateway = Gateway(self.state, KorePlatform(self.state), SonarlyPlatform(self.state))
        # A page of another origin whose name is made to resolve to this machine would be of the same origin as this.
        own_names = Middleware(TrustedHostMiddleware, allowed_hosts=[LOOPBACK, "localhost"])
        routes = [*page_routes(), *control_routes(self), Mount("/", app=gateway)]
        return Starlette(routes=routes, middleware=[own_names])
