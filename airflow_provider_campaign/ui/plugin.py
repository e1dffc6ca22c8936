"""Put the Campaign shutdowns page into Airflow's navigation, on Airflow 3.1 and later."""

from __future__ import annotations

from typing import Any

from airflow.providers.common.compat.sdk import AirflowPlugin

PREFIX = "/campaign-shutdowns"

# Airflow shows pages of plugins, and its API accepts the cookie of its UI (3.1).
HAS_EXTERNAL_VIEWS = hasattr(AirflowPlugin, "external_views")


async def serve_page(scope: Any, receive: Any, send: Any) -> None:
    """Serve the files of the page. Airflow loads plugins also in processes that have no use for a web framework."""
    from airflow_provider_campaign.ui.static_page import PAGE

    await PAGE(scope, receive, send)


class CampaignShutdownsPlugin(AirflowPlugin):
    """The page, and the application that serves its files; nothing on Airflow before 3.1."""

    name = "campaign_shutdowns"
    fastapi_apps: list[Any] = []
    external_views: list[Any] = []

    if HAS_EXTERNAL_VIEWS:
        fastapi_apps = [{"app": serve_page, "url_prefix": PREFIX, "name": "Campaign shutdowns"}]
        external_views = [
            {
                "name": "Campaign shutdowns",
                # Relative, for Airflow's UI knows the path of [api] base_url; the slash is needed.
                "href": f"{PREFIX.removeprefix('/')}/",
                "destination": "nav",
                "category": "browse",
                "url_route": "campaign-shutdowns",
            }
        ]
