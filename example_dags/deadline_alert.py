"""Stop everything when the calling hours end; send a mail if that is not done in five minutes. Airflow 3.1+."""

from __future__ import annotations

from datetime import timedelta

import pendulum
from airflow.providers.common.compat.sdk import DAG
from airflow.providers.smtp.notifications.smtp import SmtpNotifier

from airflow_provider_campaign.operators.campaign import StopActiveCampaignsOperator
from airflow_provider_campaign.timetables import calling_hours_end

CALLING_HOURS = {
    "frequency": "DAILY",
    "timezone": "America/New_York",
    "days": [{"start": "8:00 AM", "end": "9:00 PM"}],
}

MAIL = {
    "to": "on-call@example.com",
    "from_email": "airflow@example.com",
    "subject": "Campaigns may be live outside their calling hours",
    "html_content": "Run {{ dag_run.dag_run_id }} has not succeeded by its deadline, {{ deadline.deadline_time }}.",
}

try:  # from 3.2 on they are in airflow.sdk, too
    from airflow.sdk.definitions.deadline import (  # type: ignore[attr-defined]
        AsyncCallback,
        DeadlineAlert,
        DeadlineReference,
    )
except ImportError:
    pass  # Airflow before 3.1 has no deadline alerts, and this file no DAG
else:
    with DAG(
        dag_id="deadline_alert",
        description="Stop everything when the calling hours end, and raise an alarm if that takes too long",
        doc_md=__doc__,
        tags=["campaigns", "window"],
        schedule=calling_hours_end(CALLING_HOURS),
        start_date=pendulum.datetime(2026, 1, 1, tz="America/New_York"),
        catchup=False,
        max_active_runs=1,
        default_args={"retries": 3, "retry_delay": timedelta(seconds=10)},
        deadline=DeadlineAlert(
            reference=DeadlineReference.DAGRUN_LOGICAL_DATE,  # the moment at which the window ended
            interval=timedelta(minutes=5),
            callback=AsyncCallback(SmtpNotifier, kwargs=MAIL),
        ),
    ) as dag:
        StopActiveCampaignsOperator(task_id="stop_active_campaigns", calling_hours=CALLING_HOURS)
