"""Airflow's public REST API (v2), as far as tests need it, and what tests wait for."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import requests

from tests.system.live_airflow.waiting import wait_until

Json = dict[str, Any]

PAGE = 1000
PARSING_TIMEOUT = 60.0
REQUEST_TIMEOUT = 60


class AirflowApi:
    """A running Airflow whose SimpleAuthManager takes everybody for an admin; its api-server is at ``url``."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._session = requests.Session()
        self._session.trust_env = False

    def request(self, method: str, path: str, **kwargs: Any) -> requests.Response:
        """Send one request below ``/api/v2`` with a token and return the response, whatever its status."""
        if "Authorization" not in self._session.headers:
            answer = self._session.get(f"{self.url}/auth/token", timeout=REQUEST_TIMEOUT)
            answer.raise_for_status()
            self._session.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"
        kwargs.setdefault("timeout", REQUEST_TIMEOUT)
        return self._session.request(method, f"{self.url}/api/v2{path}", **kwargs)

    def api(self, method: str, path: str, **kwargs: Any) -> Any:
        """Send one request; return the JSON of the answer, or raise with its body if its status is an error."""
        answer = self.request(method, path, **kwargs)
        if not answer.ok:
            raise requests.HTTPError(f"{method} {path}: {answer.status_code} {answer.text}", response=answer)
        return answer.json() if answer.content else None

    def pages(self, path: str, field: str, **params: Any) -> list[Json]:
        entries: list[Json] = []
        while True:
            page = self.api("GET", path, params={"limit": PAGE, "offset": len(entries), **params})
            entries += page[field]
            if not page[field] or len(entries) >= page["total_entries"]:
                return entries

    def trigger_dag(self, dag_id: str, conf: Mapping[str, Any] | None = None, logical_date: str | None = None) -> str:
        """Start a run now, as soon as the DAG is parsed; unpause the DAG if it is paused. Return the run's id."""
        if self.wait_for_dag(dag_id)["is_paused"]:
            self.pause(dag_id, is_paused=False)
        request = {"logical_date": logical_date, "conf": dict(conf or {})}
        return str(self.api("POST", f"/dags/{dag_id}/dagRuns", json=request)["dag_run_id"])

    def run_dag(self, dag_id: str, conf: Mapping[str, Any] | None = None, state: str = "success") -> str:
        run_id = self.trigger_dag(dag_id, conf)
        self.wait_for_run(dag_id, run_id, state)
        return run_id

    def pause(self, dag_id: str, *, is_paused: bool) -> None:
        self.api("PATCH", f"/dags/{dag_id}", json={"is_paused": is_paused})

    def wait_for_dag(self, dag_id: str) -> Json:
        """Wait until a DAG is parsed and return it with its details; fail with the import errors."""

        def dag() -> Json | None:
            answer = self.request("GET", f"/dags/{dag_id}/details")
            return answer.json() if answer.ok else None

        def failure() -> str:
            errors = [error["stack_trace"] for error in self.pages("/importErrors", "import_errors")]
            return "\n".join([f"no DAG {dag_id}; import errors: {len(errors)}", *errors])

        return wait_until(dag, PARSING_TIMEOUT, failure)

    def wait_for_run(self, dag_id: str, run_id: str, state: str | None = "success", timeout: float = 240) -> Json:
        """Wait until a run has ended, in a state unless that is None; return it, or fail with the ends of the logs."""

        def finished() -> Json | None:
            run: Json = self.api("GET", f"/dags/{dag_id}/dagRuns/{run_id}")
            return run if run["state"] in ("success", "failed") else None

        run = wait_until(finished, timeout, lambda: f"run not finished\n{self.describe(dag_id, run_id)}", 0.2)
        assert state in (None, run["state"]), self.describe(dag_id, run_id)
        return run

    def task_instances(self, dag_id: str, run_id: str) -> list[Json]:
        return self.pages(f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances", "task_instances", order_by="id")

    def wait_for_tasks(self, dag_id: str, run_id: str, state: str, count: int, timeout: float = 120) -> None:
        wait_until(
            lambda: sum(task["state"] == state for task in self.task_instances(dag_id, run_id)) >= count,
            timeout,
            lambda: f"not {count} tasks {state}\n{self.describe(dag_id, run_id)}",
            interval=0.2,
        )

    def xcom(self, dag_id: str, run_id: str, task_id: str, map_index: int = -1) -> Any:
        path = f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/xcomEntries/return_value"
        return self.api("GET", path, params={"map_index": map_index, "deserialize": False})["value"]

    def task_log(self, dag_id: str, run_id: str, task_id: str, try_number: int = 1) -> str:
        """Return the log of a task as text, one event a line."""
        path = f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/logs/{try_number}"
        answer = self.api("GET", path, params={"full_content": True})
        entries = ([entry] if isinstance(entry, str) else entry.values() for entry in answer["content"])
        return "\n".join(" ".join(map(str, entry)) for entry in entries)

    def enter_connection(self, method: str, conn_id: str, connection: Mapping[str, Any]) -> None:
        path = "/connections" if method == "POST" else f"/connections/{conn_id}"
        body = {"connection_id": conn_id, **connection, "extra": json.dumps(connection["extra"])}
        self.api(method, path, json=body)

    def health(self) -> Json:
        """Return what ``/monitor/health`` says; nothing if the api-server does not answer."""
        with suppress(requests.RequestException):
            answer = self._session.get(f"{self.url}/api/v2/monitor/health", timeout=10)
            if answer.ok:
                return dict(answer.json())
        return {}

    def describe(self, dag_id: str, run_id: str) -> str:
        """Say how a run stands, for a person who has to find out why it hangs."""
        tasks = self.task_instances(dag_id, run_id)
        counts = Counter(f"{task['task_id']} try {task['try_number']}: {task['state']}" for task in tasks)
        return "\n  ".join([f"{dag_id} {run_id} at {time.strftime('%X')}", *map(str, sorted(counts.items()))])
