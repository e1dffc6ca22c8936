"""Telling of campaigns that had to be stopped while their calling hours were over."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from airflow_provider_campaign.arguments import argument_error
from airflow_provider_campaign.operations.sweep_result import SweepResult

if TYPE_CHECKING:
    from airflow.sdk import Asset, AssetAlias

log = logging.getLogger(__name__)


def read_incident_outlet(name: str, value: Any) -> Asset | None:
    """Return an asset, or None where the argument was left out."""
    if value is not None:
        from airflow.providers.common.compat.sdk import Asset  # only those who give one need it

        if not isinstance(value, Asset):
            raise argument_error(
                name, value, "which is not an asset", "Give, for instance, Asset('campaign_incidents')."
            )
    return value  # type: ignore[no-any-return]


def incident_alias(asset: Asset) -> AssetAlias:
    """Return the outlet through which an event of the asset is sent only where there is an incident."""
    from airflow.providers.common.compat.sdk import AssetAlias

    return AssetAlias(f"{getattr(asset, 'name', asset.uri)}_from_sweeps")


def send_incident_event(asset: Asset, context: Mapping[str, Any], result: Mapping[str, Any]) -> None:
    """Send an event of the asset, which is there once the task has succeeded."""
    extra = {name: result[name] for name in ("incidents", "window_end", "connection_id", "record")}
    context["outlet_events"][incident_alias(asset)].add(asset, extra=extra)


def log_incidents(outcome: SweepResult) -> None:
    """Write a warning for each campaign that was live although the calling hours were over."""
    for entry in outcome.entries:
        if entry.is_incident:
            log.warning(
                "Incident: campaign %s (%s) was live although its calling hours were over; it is %s now",
                entry.campaign.id,
                entry.campaign.name,
                entry.campaign.status,
            )
