"""The account that a connection stands for: its fields, its session, the hook that its type picks."""

from __future__ import annotations

from functools import cached_property
from http.cookiejar import DefaultCookiePolicy
from pkgutil import resolve_name
from typing import Any, ClassVar, Self

import requests
from airflow.providers.common.compat.sdk import AirflowException, BaseHook, Connection

from airflow_provider_campaign import __version__
from airflow_provider_campaign.exceptions import CampaignConfigError
from airflow_provider_campaign.get_provider_info import connection_type_info
from airflow_provider_campaign.hooks.settings import ConnectionFields, Settings
from airflow_provider_campaign.hooks.transport import bounded_session


class AccountHook(BaseHook):
    """
    What a hook knows of its connection; nothing here sends a request.

    :param campaign_conn_id: The connection id.
    """

    conn_name_attr = "campaign_conn_id"
    default_conn_name = "campaign_default"
    conn_type: ClassVar[str]
    hook_name: ClassVar[str]

    platform: ClassVar[str]
    """What messages call the platform."""

    def __init__(self, campaign_conn_id: str = default_conn_name, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.campaign_conn_id = campaign_conn_id

    @classmethod
    def for_connection(cls, connection: Connection) -> Self:
        """
        Return the hook that a connection's type stands for.

        :raises CampaignConfigError: When the type is not one of a campaign platform.
        """
        class_name = connection_type_info(connection.conn_type or "").get("hook-class-name")
        try:
            # What is ours needs no search through the metadata of every provider, a third of a second for a task.
            hook = resolve_name(class_name)(connection.conn_id) if class_name else connection.get_hook()  # type: ignore[no-untyped-call]
        except (
            AirflowException,
            AttributeError,
            ImportError,
        ):  # no such type, one without a hook, one that lacks parts
            hook = None
        if not isinstance(hook, cls):
            raise CampaignConfigError(
                f"Connection {connection.conn_id!r} is of type {connection.conn_type!r}, which is not a campaign "
                "platform. Nothing was sent. Choose 'Kore.ai Campaigns' (kore) or 'Sonarly Campaigns' (sonarly) "
                "as its type, or give the id of another connection."
            )
        hook.connection = connection
        return hook

    @classmethod
    def for_conn_id(cls, campaign_conn_id: str) -> Self:
        """
        Look a connection up and return its hook.

        :raises CampaignConfigError: When its type is not one of a campaign platform.
        """
        return cls.for_connection(cls.get_connection(campaign_conn_id))

    @cached_property
    def connection(self) -> Connection:
        """The connection, looked up once."""
        return self.get_connection(self.campaign_conn_id)

    @cached_property
    def fields(self) -> ConnectionFields:
        """The connection's fields, with clear errors for those that are missing or wrong."""
        if self.connection.conn_type != self.conn_type:
            raise CampaignConfigError(
                f"Connection {self.connection.conn_id!r} is of type {self.connection.conn_type!r}, not "
                f"{self.conn_type!r} ({self.hook_name}). Nothing was sent. Give the id of another connection."
            )
        return ConnectionFields(self.connection)

    @cached_property
    def settings(self) -> Settings:
        """What every platform's connection has: address, time-out, budget, CA."""
        return self.fields.common()

    @cached_property
    def session(self) -> requests.Session:
        """The session all requests go through; it keeps no cookies, so that threads may share it."""
        session = bounded_session()
        session.headers["User-Agent"] = f"airflow-provider-campaign/{__version__}"
        session.verify = self.settings.ca_bundle or True
        session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        return session

    def get_conn(self) -> requests.Session:
        """Return the session all requests go through."""
        return self.session

    @property
    def secrets(self) -> tuple[str, ...]:
        """What must never be shown, even where the platform echoes it."""
        return tuple(filter(None, ((self.connection.password or "").strip(),)))

    @property
    def where(self) -> str:
        """The connection, as messages name it."""
        return f"connection {self.connection.conn_id!r}, {self.platform}"
