"""A sweep whose arguments come from a form; run as a script it submits the form in several ways."""

from __future__ import annotations

import json
from typing import Any

from airflow.providers.common.compat.sdk import DAG

from airflow_provider_campaign.operators.campaign import StopActiveCampaignsOperator

FORM = {
    "dry": False,
    "types": ["sms", "voice"],
    "pattern": "*",
    "statuses": "Active",
}
SUBMISSIONS: dict[str, dict[str, Any]] = {
    "dry run": {"dry": True},
    "no types": {"types": []},
    "no pattern, as None": {"pattern": None},
    "a status that is none": {"statuses": "Activ"},
    "not a boolean": {"dry": "perhaps"},
    "sms of the evening": {"types": ["sms"], "pattern": "Evening*", "dry": "False"},
    "all": {},
}


def form(number: int) -> DAG:
    """Return a DAG with the form; a run renders its templates in place, so each submission takes one of its own."""
    with DAG(f"form_{number}", schedule=None, params=FORM) as dag:
        StopActiveCampaignsOperator(
            task_id="sweep",
            campaign_types="{{ params.types }}",
            name_pattern="{{ params.pattern }}",
            statuses="{{ params.statuses }}",
            dry_run="{{ params.dry }}",
        )
    return dag


dags = [form(number) for number in range(len(SUBMISSIONS))]
globals().update({dag.dag_id: dag for dag in dags})


def submit(dag: DAG, conf: dict[str, Any]) -> list[Any]:
    """Run a DAG with a form's values; return the run's state, what was found, and what was stopped."""
    run = dag.test(run_conf=conf)
    [instance] = run.get_task_instances()
    result = instance.xcom_pull(task_ids="sweep", map_indexes=-1) or {}
    return [run.state, result.get("total"), sorted(row["campaign_id"] for row in result.get("stopped", []))]


if __name__ == "__main__":
    outcomes = {name: submit(dag, conf) for dag, (name, conf) in zip(dags, SUBMISSIONS.items(), strict=True)}
    print(json.dumps(outcomes, default=str))
