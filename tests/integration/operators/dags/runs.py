"""DAGs for real runs; as a script it runs them and prints, as one line of JSON, what became of each task."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from airflow import __version__
from airflow.providers.common.compat.sdk import DAG, task

from airflow_provider_campaign.operators.campaign import (
    DeleteSmsCampaignOperator,
    StopActiveCampaignsOperator,
    StopCampaignOperator,
    StopSmsCampaignOperator,
    StopVoiceCampaignOperator,
)
from airflow_provider_campaign.operators.task_record import send_metrics
from airflow_provider_campaign.sensors.campaign import CampaignStatusSensor

CONN_ID = "kore:prod, \N{LATIN SMALL LETTER E WITH ACUTE}" + "x" * 200
RETRIES: dict[str, Any] = {"retries": 2, "retry_delay": timedelta(seconds=0.1)}
FORM = {"dry": False, "types": ["sms", "voice"], "pattern": "*", "statuses": "Active"}
SUBMISSIONS: dict[str, dict[str, Any]] = {
    "dry run": {"dry": "yes"},
    "no types": {"types": []},
    "no pattern, as None": {"pattern": None},
    "a status that is none": {"statuses": "Activ"},
    "not a boolean": {"dry": "perhaps"},
    "sms of the evening": {"types": ["sms"], "pattern": "Evening*", "dry": "False"},
    "all": {},
}

with DAG("evening", start_date=datetime(2026, 1, 1, tzinfo=UTC), schedule=None) as evening:

    @task
    def measure() -> None:
        """Send a metric that only a scheduled run would have."""
        campaign = {"confirmed_at": "2026-03-02T21:00:12.500000+00:00", "already_stopped": False}
        campaign["end"] = "2026-03-02T21:00:00+00:00"
        send_metrics(
            {
                **{"action": "sweep", "outcome": "success", "platform": "Kore.ai", "connection_id": CONN_ID},
                **{"requests": 0, "refused": 0, "run": {"try_number": 1}, "missed_closings": []},
                "campaigns": [{**campaign, "try_number": 1, "is_incident": each} for each in (False, True)],
            }
        )

    @task
    def ids() -> list[str]:
        return ["cd-sms-1", "cd-sms-2", "cd-sms-3"]

    stop_sms = StopSmsCampaignOperator.partial(task_id="stop_sms").expand(campaign_id=ids())
    stop_voice = StopVoiceCampaignOperator(
        task_id="stop_voice",
        campaign_id="cd-voice-{{ params.number }}",
        campaign_conn_id="{{ params.account }}",
        wait_for_completion=False,
        params={"number": 1, "account": "kore_v2"},
    )
    wait = CampaignStatusSensor(
        task_id="wait",
        campaign_id="{{ ti.xcom_pull(task_ids='stop_voice')['campaign_id'] }}",
        campaign_conn_id="kore_v2",
        target_statuses="{{ 'stopped' }}",
        # The ``dag.test`` of 3.0 and 3.1 reschedules only once.
        mode="poke" if __version__.startswith(("3.0.", "3.1.")) else "reschedule",
        poke_interval=1,
        timeout=60,
    )
    stop_outreach = StopCampaignOperator.partial(task_id="stop_outreach", campaign_id="outreach-1").expand(
        campaign_conn_id=["sonarly"]
    )
    delete = DeleteSmsCampaignOperator(task_id="delete", campaign_id="cd-sms-1")
    measure()
    [stop_sms, stop_voice >> wait, stop_outreach] >> delete

with DAG("retries", schedule=None) as retries:  # a task for each way to fail
    for name in ("kore-unauthorized", "kore-not_found", "kore-lost"):
        StopSmsCampaignOperator(task_id=name, campaign_id=name, campaign_conn_id="kore", **RETRIES)
    for name in ("sonarly-forbidden", "sonarly-rate_limit"):
        StopCampaignOperator(task_id=name, campaign_id=name, campaign_conn_id="sonarly", **RETRIES)

forms = []
for number in range(len(SUBMISSIONS)):  # a run renders a DAG's templates in place
    with DAG(f"form_{number}", schedule=None, params=FORM) as form:
        StopActiveCampaignsOperator(
            task_id="sweep",
            campaign_conn_id="form",
            campaign_types="{{ params.types }}",
            name_pattern="{{ params.pattern }}",
            statuses="{{ params.statuses }}",
            dry_run="{{ params.dry }}",
        )
    forms.append(form)
globals().update({form.dag_id: form for form in forms})


def outcomes(dag: DAG, conf: dict[str, Any] | None = None) -> dict[str, list[Any]]:
    """Run a DAG and return each task instance's state, number of tries, and XCom."""
    return {
        each.task_id + (f"[{each.map_index}]" if each.map_index >= 0 else ""): [
            each.state,
            each.try_number,
            each.xcom_pull(task_ids=each.task_id, map_indexes=each.map_index),
        ]
        for each in dag.test(run_conf=conf).get_task_instances()
    }


if __name__ == "__main__":
    found = {**outcomes(evening), **outcomes(retries)}
    for dag, (name, conf) in zip(forms, SUBMISSIONS.items(), strict=True):
        [found[name]] = outcomes(dag, conf).values()
    print(json.dumps(found, default=str))
