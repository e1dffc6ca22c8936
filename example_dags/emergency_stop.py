"""
# Stop everything now

Trigger this DAG, and fill in its form: the connections, what to stop there, and why.

Each connection gets a task of its own: it lists live campaigns, stops them, and succeeds only once a listing shows
none. The tasks run at the same time, and all others continue if one fails. **The run succeeds only if everything is
verified stopped.** The failed task's log names the campaigns that are not, in red.

With *Only list* checked, nothing is stopped: the task `report` lists the campaigns that would be.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from airflow.providers.common.compat.sdk import DAG, Param, task, teardown

from airflow_provider_campaign.operators.campaign import StopActiveCampaignsOperator


@task
def connections(params: Mapping[str, Any]) -> list[str]:
    """Return the connections that the form names; each gets a task."""
    return list(params["connections"])


@teardown
def report(results: Any) -> list[str]:
    """Report the outcome for each campaign. A teardown runs even if other tasks have failed, and does not hide that."""
    lines = []
    for result in results:
        for outcome in ("live", "stopped", "already_stopped", "failed"):
            for row in result.get(outcome, ()):
                name, status = row["name"] or "without a name", row["status"]
                lines.append(f"{outcome.replace('_', ' ')}: {row['campaign_id']} ({name}), {status}")
    logging.getLogger("airflow.task").info("%s", "\n".join(lines) or "Nothing was live.")
    return lines


with DAG(
    dag_id="emergency_stop",
    description="Stop all live campaigns now: trigger it, and fill in the form",
    doc_md=__doc__,
    tags=["campaigns", "emergency"],
    schedule=None,
    catchup=False,
    is_paused_upon_creation=False,  # in an emergency, it must be ready to run
    default_args={"retries": 2, "retry_delay": timedelta(seconds=10)},
    params={
        "reason": Param(
            "",
            type=["string", "null"],
            title="Reason",
            description="Why they are stopped; it is stored with the result. Optional.",
        ),
        "connections": Param(
            ["campaign_default"],
            type="array",
            items={"type": "string"},
            minItems=1,
            title="Connections",
            description="The connection ids of the accounts, one a line.",
        ),
        "campaign_types": Param(
            ["sms", "voice"],
            type="array",
            items={"type": "string", "enum": ["sms", "voice"]},
            examples=["sms", "voice"],
            minItems=1,
            title="Types",
            description="The campaigns to stop on Kore.ai; Sonarly has no types.",
        ),
        "name_pattern": Param(
            ["*"],
            type=["array", "null"],
            items={"type": "string"},
            title="Names",
            description="Only campaigns whose name matches, with * and ?, one pattern a line; empty for all of them.",
        ),
        "campaign_ids": Param(
            [],
            type=["array", "null"],
            items={"type": "string"},
            title="Campaigns",
            description="Only these campaigns, one id a line; empty for all of them.",
        ),
        "dry_run": Param(False, type="boolean", title="Only list", description="List campaigns, and stop nothing."),
    },
) as dag:
    stop = StopActiveCampaignsOperator.partial(
        task_id="stop",
        campaign_types="{{ params.campaign_types }}",
        name_pattern="{{ params.name_pattern or '*' }}",
        campaign_ids="{{ params.campaign_ids or '*' }}",
        dry_run="{{ params.dry_run }}",
        reason="{{ params.reason or '' }}",
        map_index_template="{{ task.campaign_conn_id }}",
    ).expand(campaign_conn_id=connections())  # type: ignore[call-arg, misc]
    report(stop.output)
