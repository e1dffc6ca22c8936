"""
Keep campaigns inside their calling hours, and raise the alarm by mail.

If the task fails for good, a mail names the campaigns that are not verified stopped. A campaign that was live while
closed, or an end that no run has verified, is an event of the asset `campaign_incidents`: `incident_alarm` mails it.
The mails go through the connection `smtp_default`; Slack's and PagerDuty's notifiers can take its place.
"""

from __future__ import annotations

from datetime import timedelta

import pendulum
from airflow.providers.common.compat.sdk import DAG, Asset
from airflow.providers.smtp.notifications.smtp import SmtpNotifier

from airflow_provider_campaign.operators.campaign import StopActiveCampaignsOperator

CALLING_HOURS = {
    "frequency": "DAILY",
    "timezone": "America/New_York",
    "days": [{"start": "8:00 AM", "end": "9:00 PM"}],
}

with DAG(
    dag_id="closing_with_alarms",
    description="Keep campaigns inside their calling hours, and raise the alarm by mail",
    doc_md=__doc__,
    tags=["campaigns", "alarm"],
    schedule="*/5 * * * *",
    start_date=pendulum.datetime(2026, 1, 1, tz="America/New_York"),
    catchup=False,
    max_active_runs=1,
) as dag:
    StopActiveCampaignsOperator(
        task_id="close",
        calling_hours=CALLING_HOURS,
        incident_outlet=Asset("campaign_incidents"),
        retries=2,
        retry_delay=timedelta(seconds=30),
        on_failure_callback=SmtpNotifier(
            to="on-call@example.com",
            from_email="airflow@example.com",
            subject="Campaigns are not verified stopped",
            html_content="<pre>{{ exception | e }}</pre>",
        ),
    )
