"""
A platform of a third party that has a bug: Kore.ai's, by a module that raises KeyError at responses about some ids.

Airflow knows its connection type as it knows that of any installed provider.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from types import SimpleNamespace
from typing import Any

try:
    from airflow.sdk.providers_manager_runtime import ProvidersManagerTaskRuntime as Manager
except ImportError:  # before Airflow 3.2
    from airflow.providers_manager import ProvidersManager as Manager  # type: ignore[assignment]

from airflow_provider_campaign.campaign import Campaign
from airflow_provider_campaign.hooks.base import CampaignHook
from airflow_provider_campaign.hooks.connection_fields import ConnectionFields
from airflow_provider_campaign.platforms.base import Action, ApiRequest, ListQuery, Pager
from airflow_provider_campaign.platforms.kore import KorePlatform
from airflow_provider_campaign.platforms.kore_list import KorePager

PREFIX = "unforeseen"


def unforeseen_id(actions: Collection[str]) -> str:
    """Return the id of a campaign that no response to these actions can be read about."""
    return "-".join([PREFIX, *sorted(actions)])


def fragile(connection: dict[str, Any]) -> dict[str, Any]:
    """Return a connection to Kore.ai as one of the third party's type."""
    hook: Any = SimpleNamespace(
        hook_class_name=f"{FragileHook.__module__}.{FragileHook.__name__}",
        connection_id_attribute_name=FragileHook.conn_name_attr,
        hook_name=FragileHook.hook_name,
        package_name="fragile-campaigns",
    )
    manager: Any = Manager
    manager().hooks[FragileHook.conn_type] = hook
    return {**connection, "conn_type": FragileHook.conn_type}


def _fail_if_unforeseen(campaign_id: object, action: Action) -> None:
    prefix, *actions = str(campaign_id).split("-")
    if prefix == PREFIX and action.value in actions:
        raise KeyError("whenever")


class FragilePlatform(KorePlatform):
    def read_campaign(self, request: ApiRequest, document: Mapping[str, Any]) -> Campaign:
        _fail_if_unforeseen(request.campaign_id, request.action)
        return super().read_campaign(request, document)

    def pager(self, query: ListQuery) -> Pager:
        return FragilePager(self.http_request(ApiRequest(Action.LIST, None, query.campaign_type)), query)


class FragilePager(KorePager):
    def read_rows(self, rows: Iterable[Any], read: Callable[[Mapping[str, Any]], Campaign]) -> list[Campaign]:
        def read_row(row: Mapping[str, Any]) -> Campaign:
            _fail_if_unforeseen(row.get("id") or row.get("_id"), Action.LIST)
            return read(row)

        return super().read_rows(rows, read_row)


class FragileHook(CampaignHook):
    conn_type = "fragile"
    hook_name = "Fragile Campaigns"

    def create_platform(self, fields: ConnectionFields) -> FragilePlatform:
        key = fields.required("password")
        ids = fields.required("login"), fields.identifier("iid"), fields.identifier("account_id")
        return FragilePlatform(*ids, "HS256", "airflow", key, fields.text("api_version"))
