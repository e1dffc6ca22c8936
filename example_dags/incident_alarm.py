"""
Send a mail when a campaign was live while closed, or an end of calling hours was not verified by any run.

The sweep in `closing_with_alarms` reports it as an event of the asset `campaign_incidents`, which starts this DAG.
Airflow retries a mail that can't be sent.
"""

from __future__ import annotations

from datetime import timedelta

import pendulum
from airflow.providers.common.compat.sdk import DAG, Asset
from airflow.providers.smtp.operators.smtp import EmailOperator

EVENTS = """
{% set by_asset = triggering_asset_events if triggering_asset_events is defined else triggering_dataset_events %}
{% for events in by_asset.values() %}
{% for event in events %}
<p>{{ event.extra.connection_id | e }}: live while closed: {{ event.extra.incidents | join(", ") | e }};
ends that no run has verified: {{ event.extra.missed_closings | map(attribute="end") | join(", ") | e }}</p>
{% endfor %}
{% endfor %}
"""

with DAG(
    dag_id="incident_alarm",
    description="Send a mail when a campaign was live while closed",
    doc_md=__doc__,
    tags=["campaigns", "alarm"],
    schedule=[Asset("campaign_incidents")],
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    is_paused_upon_creation=False,
) as dag:
    EmailOperator(
        task_id="mail",
        to="on-call@example.com",
        from_email="airflow@example.com",
        subject="Campaigns were live outside their calling hours",
        html_content=EVENTS,
        retries=5,
        retry_delay=timedelta(minutes=1),
    )
