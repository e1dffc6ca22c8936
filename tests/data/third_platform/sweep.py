"""Sweep the toy platform; print what the task pushed or returned, its error, and its log, as JSON."""

from __future__ import annotations

import io
import json
import logging
from types import SimpleNamespace
from typing import Any

from airflow_provider_campaign.operators.campaign import StopActiveCampaignsOperator

log = io.StringIO()
logging.getLogger("airflow_provider_campaign").addHandler(logging.StreamHandler(log))
xcoms: dict[str, Any] = {}
ti = SimpleNamespace(
    dag_id="closing",
    run_id="run",
    task_id="sweep",
    map_index=-1,
    try_number=1,
    xcom_push=lambda key, value: xcoms.update({key: value}),
)
context: Any = {"ti": ti}
error = None
try:
    xcoms["return_value"] = StopActiveCampaignsOperator(task_id="sweep", timeout=6).execute(context)
except Exception as raised:  # noqa: BLE001 whatever ends it
    error = f"{type(raised).__name__}: {raised}"
print(json.dumps({"result": xcoms.get("return_value"), "error": error, "log": log.getvalue()}))
