"""Report on a campaign each time any client stops it: a watched asset starts the DAG. Airflow 3.0+."""

from __future__ import annotations

from airflow.providers.common.compat.sdk import DAG

from airflow_provider_campaign.hooks.base import CampaignHook
from airflow_provider_campaign.triggers.campaign import CampaignStatusTrigger

CAMPAIGN_ID = "cd-sms-evening-1"

try:
    from airflow.sdk import Asset, AssetWatcher, task
except ImportError:
    pass  # Airflow 2.11 has no asset watchers, and this file no DAG
else:
    stopped = Asset(
        f"campaign-{CAMPAIGN_ID}-stopped",
        watchers=[AssetWatcher(name="stopped", trigger=CampaignStatusTrigger(campaign_id=CAMPAIGN_ID))],
    )

    with DAG(
        dag_id="report_on_asset",
        description="Report on a campaign each time that it is stopped",
        doc_md=__doc__,
        tags=["campaigns", "report"],
        schedule=[stopped],
        catchup=False,
        max_active_runs=1,
    ) as dag:

        @task
        def report() -> str:
            campaign = CampaignHook.for_conn_id("campaign_default").client.get_campaign(CAMPAIGN_ID)
            return f"{campaign.name} ({campaign.id}) is {campaign.status}, changed last at {campaign.updated_at}"

        report()
