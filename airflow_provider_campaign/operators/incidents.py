"""The asset event of a sweep that has found an incident, or an end of calling hours that no run has verified."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from airflow_provider_campaign.arguments import argument_error

if TYPE_CHECKING:
    from airflow.sdk import Asset, AssetAlias

EVENT_KEYS = ("incidents", "missed_closings", "window_end", "connection_id", "record")
"""What an event carries of the task's result."""


def read_incident_outlet(name: str, value: Any) -> Asset | None:
    """Return an asset, or None if the argument is absent."""
    if value is not None:
        from airflow.providers.common.compat.sdk import Asset  # only those who give one need it

        if not isinstance(value, Asset):
            raise argument_error(
                name, value, "which is not an asset", "Give, for example, Asset('campaign_incidents')."
            )
    return value  # type: ignore[no-any-return]


def incident_alias(asset: Asset) -> AssetAlias:
    """Return the outlet through which an event of the asset is sent only if there is an incident."""
    from airflow.providers.common.compat.sdk import AssetAlias

    return AssetAlias(f"{getattr(asset, 'name', asset.uri)}_from_sweeps")


def send_incident_event(asset: Asset, context: Mapping[str, Any], result: Mapping[str, Any]) -> None:
    """Send an event of the asset, which is there once the task has succeeded."""
    context["outlet_events"][incident_alias(asset)].add(asset, extra={name: result[name] for name in EVENT_KEYS})
