"""
Keep an account closed whose campaigns have different hours: four states, two holidays, and an emergency at any time.

An emergency is the Airflow Variable ``campaign_emergency``, for example
``[{"from": "2026-11-03T14:05", "until": null, "reason": "complaint 4711"}]``. An ``until`` that has passed, or an empty
list, lifts it.
"""

from __future__ import annotations

from datetime import timedelta

import holidays
import pendulum
from airflow.providers.common.compat.sdk import DAG

from airflow_provider_campaign.operators.campaign import StopActiveCampaignsOperator

YEAR = pendulum.today().year
US = holidays.country_holidays("US", years=(YEAR, YEAR + 1))
CLOSED_DATES = [
    day.isoformat() for name in ("Thanksgiving Day", "Christmas Day") for day in US.get_named(name, lookup="exact")
]


def hours(timezone: str, start: str, end: str) -> dict[str, object]:
    return {
        "frequency": "DAILY",
        "timezone": timezone,
        "start": start,
        "end": end,
        "closed_dates": CLOSED_DATES,
        "overrides": "{{ var.value.get('campaign_emergency', '[]') }}",
    }


# The first rule that matches a campaign's name applies.
RULES = [
    {"name": "Florida", "name_pattern": ["FL-*", "Florida *"], **hours("America/New_York", "8:00 AM", "8:00 PM")},
    {"name": "Oklahoma", "name_pattern": ["OK-*", "Oklahoma *"], **hours("America/Chicago", "8:00 AM", "8:00 PM")},
    {"name": "Texas", "name_pattern": ["TX-*", "Texas *"], **hours("America/Chicago", "9:00 AM", "9:00 PM")},
    {
        "name": "California",
        "name_pattern": ["CA-*", "California *"],
        **hours("America/Los_Angeles", "8:00 AM", "9:00 PM"),
    },
    # From 8 a.m. in Los Angeles until 9 p.m. in New York.
    {"name": "others", **hours("America/New_York", "11:00 AM", "9:00 PM")},
]

with DAG(
    dag_id="account_with_rules",
    description="Stop each campaign by the end of its own calling hours, and any that is started outside of them",
    doc_md=__doc__,
    tags=["campaigns", "calling hours"],
    schedule="*/5 * * * *",
    start_date=pendulum.datetime(2026, 1, 1, tz="America/New_York"),
    catchup=False,
    max_active_runs=1,
    default_args={"retries": 3, "retry_delay": timedelta(seconds=10)},
) as dag:
    StopActiveCampaignsOperator(
        task_id="stop_active_campaigns", calling_hours=RULES, look_ahead=timedelta(minutes=30), deferrable=True
    )
