"""From an Airflow connection to a client of the platform that its type stands for."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import suppress
from functools import cached_property
from pkgutil import resolve_name
from typing import Any, ClassVar, Self

from airflow.providers.common.compat.sdk import AirflowException, AirflowNotFoundException, BaseHook, Connection

from airflow_provider_campaign import __version__
from airflow_provider_campaign.campaign import Campaign
from airflow_provider_campaign.client.client import DEFAULT_REQUEST_TIMEOUT, CampaignClient
from airflow_provider_campaign.client.clock import SYSTEM_CLOCK, Clock
from airflow_provider_campaign.client.transport import Transport
from airflow_provider_campaign.exceptions import (
    CampaignConfigError,
    CampaignError,
    CampaignUnavailableError,
    forget_variables,
)
from airflow_provider_campaign.get_provider_info import connection_type_info
from airflow_provider_campaign.hooks.connection_fields import ConnectionFields
from airflow_provider_campaign.platforms.base import Platform
from airflow_provider_campaign.waiting.account_poller import wait_for_effect

DEFAULT_TIMEOUT = 900.0  # seconds for a whole operation: requests, retries, and waiting


class CampaignHook(BaseHook, ABC):
    """
    The account that a connection stands for: its :attr:`client` stops, starts, deletes, reads, and lists campaigns.

    A subclass names its connection type, and reads a platform out of the connection's fields.

    :param campaign_conn_id: The connection id.
    :param connection: The connection, if it was already looked up.
    :param renews: Whether it is looked up once more if the platform refuses its credentials, which may have changed.
    :param clock: What the client's waits are measured by.
    """

    conn_name_attr = "campaign_conn_id"
    default_conn_name = "campaign_default"
    conn_type: ClassVar[str]
    hook_name: ClassVar[str]

    def __init__(
        self,
        campaign_conn_id: str = default_conn_name,
        *,
        connection: Connection | None = None,
        renews: bool = True,
        clock: Clock = SYSTEM_CLOCK,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.campaign_conn_id = campaign_conn_id
        self.clock = clock
        self._connection = connection
        self._client: CampaignClient | None = None
        self._renews = renews

    @classmethod
    def for_connection(cls, connection: Connection, *, renews: bool = False) -> Self:
        """Return the hook of a connection's type; raise a :class:`.CampaignConfigError` if that is of no platform."""
        hook_class = _hook_class(connection)
        if hook_class is None or not issubclass(hook_class, cls):
            raise CampaignConfigError(
                f"Connection {connection.conn_id!r} is of type {connection.conn_type!r}, which is not a campaign "
                "platform. Nothing was sent. Choose 'Kore.ai Campaigns' (kore) or 'Sonarly Campaigns' (sonarly) "
                "as its type, or give the id of another connection."
            )
        return hook_class(connection.conn_id, connection=connection, renews=renews)

    @classmethod
    def for_conn_id(cls, campaign_conn_id: str) -> Self:
        """Look a connection up and return its hook; raise a :class:`.CampaignUnavailableError` if it is not found."""
        return cls.for_connection(cls._find_connection(campaign_conn_id), renews=True)

    @abstractmethod
    def create_platform(self, fields: ConnectionFields) -> Platform:
        """Return the account on its platform; raise a :class:`.CampaignConfigError` if a field is missing or wrong."""

    @cached_property
    def connection(self) -> Connection:
        """The connection, looked up once."""
        return self._connection or self._find_connection(self.campaign_conn_id)

    @classmethod
    def _find_connection(cls, conn_id: str) -> Connection:
        """Look up a connection, in the database, too, if this is no task: in a script, or on the command line."""
        conn_id = conn_id.strip()
        with suppress(AirflowNotFoundException):  # on Airflow 3.1 and later it does not see the database there
            return cls.get_connection(conn_id)
        from airflow.models import Connection as StoredConnection  # brings the database's libraries

        try:
            return StoredConnection.get_connection_from_secrets(conn_id)
        except AirflowNotFoundException as error:  # also where a secrets backend or the database does not answer
            raise CampaignUnavailableError(
                f"Connection {conn_id!r} was found in none of environment, secrets backends and database. Nothing was "
                "sent. Check its id with 'airflow connections list', that all of them answer, or give it in the "
                f"environment (AIRFLOW_CONN_{conn_id.upper()})."
            ) from error

    @property
    def client(self) -> CampaignClient:
        """The client of the account; a :class:`.CampaignConfigError` if a field of the connection is wrong."""
        # Not a cached_property: as a variable, a traceback of that shows the connection with its secrets.
        self._client = self._client or self._create_client()
        return self._client

    def _create_client(self) -> CampaignClient:
        if self.connection.conn_type != self.conn_type:
            raise CampaignConfigError(
                f"Connection {self.connection.conn_id!r} is of type {self.connection.conn_type!r}, not "
                f"{self.conn_type!r} ({self.hook_name}). Nothing was sent. Give the id of another connection."
            )
        try:
            return self._client_of(ConnectionFields(self.connection))
        except Exception as error:
            forget_variables(error)
            raise

    def _client_of(self, fields: ConnectionFields) -> CampaignClient:
        platform = self.create_platform(fields)
        return CampaignClient(
            platform,
            Transport(fields.base_url(), fields.text("ca_bundle") or None, f"airflow-provider-campaign/{__version__}"),
            description=f"connection {self.connection.conn_id!r}, {platform.name}",
            timeout=fields.seconds("timeout") or DEFAULT_REQUEST_TIMEOUT,
            retry_budget=fields.seconds("retry_budget"),
            clock=self.clock,
            look_up=self._look_up if self._renews else None,
        )

    def _look_up(self) -> tuple[Platform, str]:
        """Return the account and the address that the connection stands for now."""
        # Up to Airflow 3.1 only one thread at a time may ask a task's supervisor: as long as a task's other threads
        # send requests, its main thread asks for nothing.
        client = CampaignHook.for_conn_id(self.campaign_conn_id).client
        return client.platform, client.transport.base_url

    def get_conn(self) -> CampaignClient:
        """Return the client of the account, which signs what it sends."""
        return self.client

    def test_connection(self) -> tuple[bool, str]:
        """Send one cheap request; return the result, or what to fix."""
        try:
            return True, f"Connected to {self.client.platform.name}: {self.client.probe()}"
        except CampaignError as error:
            return False, str(error)

    def stop_campaign(self, campaign_id: str, campaign_type: str | None = None, **options: Any) -> Campaign:
        """
        Ask the platform to stop a campaign, and do not wait: it may still be stopping, and sending.

        This and the following are the methods of :class:`.CampaignClient`, with the same parameters.
        """
        return self.client.stop_campaign(campaign_id, campaign_type, **options)

    def stop_and_wait(
        self,
        campaign_id: str,
        campaign_type: str | None = None,
        *,
        timeout: float = DEFAULT_TIMEOUT,
        check_first: bool = False,
    ) -> Campaign:
        """
        Stop a campaign, and return it once the platform says that it is stopped or completed.

        :param campaign_type: ``sms`` or ``voice`` if the platform has types.
        :param timeout: Seconds for all of it: requests, retries, and waiting.
        :param check_first: Read the status before anything is sent: for a retry of the task.
        :raises CampaignTimeoutError: When it is not stopped in time.
        :raises CampaignError: As for :meth:`.CampaignClient.stop_campaign`.
        """
        deadline = self.client.deadline(timeout)
        campaign = self.client.stop_campaign(campaign_id, campaign_type, check_first=check_first, deadline=deadline)
        return wait_for_effect(self.client, campaign, deadline)

    def start_campaign(self, campaign_id: str, campaign_type: str | None = None, **options: Any) -> Campaign:
        return self.client.start_campaign(campaign_id, campaign_type, **options)

    def delete_campaign(self, campaign_id: str, campaign_type: str | None = None, **options: Any) -> Campaign | None:
        return self.client.delete_campaign(campaign_id, campaign_type, **options)

    def get_campaign_status(self, campaign_id: str, **options: Any) -> Campaign:
        return self.client.get_campaign_status(campaign_id, **options)

    def get_campaign(self, campaign_id: str, **options: Any) -> Campaign:
        return self.client.get_campaign(campaign_id, **options)

    def list_campaigns(self, *args: Any, **options: Any) -> Iterator[Campaign]:
        return self.client.list_campaigns(*args, **options)


def _hook_class(connection: Connection) -> type[Any] | None:
    """Return the class of a connection's hook, None if its type has none."""
    class_name = connection_type_info(connection.conn_type or "").get("hook-class-name")
    # What is ours needs no search through the metadata of every provider, a third of a second for a task.
    if class_name:
        module, _, name = class_name.rpartition(".")
        return resolve_name(f"{module}:{name}")  # type: ignore[no-any-return]
    try:
        return type(connection.get_hook())  # type: ignore[no-untyped-call]
    except (AirflowException, AttributeError):  # no such type, or one without a hook
        return None
