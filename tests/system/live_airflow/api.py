"""Airflow's public REST API (v2), as far as tests need it, and what tests wait for."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Collection, Mapping
from contextlib import suppress
from datetime import datetime
from typing import Any

import requests

from tests.system.live_airflow.waiting import wait_until

Json = dict[str, Any]

PAGE = 1000
FINISHED = frozenset({"success", "failed"})
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
            said = f"{method} {path}: {answer.status_code} {answer.text}"
            raise requests.HTTPError(said, request=answer.request, response=answer)
        return answer.json() if answer.content else None

    def pages(self, path: str, field: str, **params: Any) -> list[Json]:
        """Return all entries of a collection, page by page."""
        entries: list[Json] = []
        while True:
            page = self.api("GET", path, params={"limit": PAGE, "offset": len(entries), **params})
            entries += page[field]
            if not page[field] or len(entries) >= page["total_entries"]:
                return entries

    def trigger_dag(
        self, dag_id: str, conf: Mapping[str, Any] | None = None, run_id: str | None = None, **body: Any
    ) -> Json:
        """
        Start a run now, as soon as the DAG is parsed; unpause the DAG if it is paused.

        :param body: further fields of the request, such as ``logical_date`` (null unless given)
        """
        if self.wait_for_dag(dag_id)["is_paused"]:
            self.api("PATCH", f"/dags/{dag_id}", json={"is_paused": False})
        request = {"logical_date": None, "conf": dict(conf or {}), **body}
        if run_id is not None:
            request["dag_run_id"] = run_id
        run: Json = self.api("POST", f"/dags/{dag_id}/dagRuns", json=request)
        return run

    def wait_for_dag(self, dag_id: str) -> Json:
        """Wait until a DAG is parsed and return it with its details; fail with the import errors."""

        def dag() -> Json | None:
            answer = self.request("GET", f"/dags/{dag_id}/details")
            return answer.json() if answer.ok else None

        def failure() -> str:
            errors = [error["stack_trace"] for error in self.pages("/importErrors", "import_errors")]
            return "\n".join([f"no DAG {dag_id}; import errors: {len(errors)}", *errors])

        return wait_until(dag, PARSING_TIMEOUT, failure)

    def dag_run(self, dag_id: str, run_id: str) -> Json:
        """Return a DAG run."""
        run: Json = self.api("GET", f"/dags/{dag_id}/dagRuns/{run_id}")
        return run

    def wait_for_run(self, dag_id: str, run_id: str, timeout: float = 120, interval: float = 0.2) -> Json:
        """Wait until a run has succeeded or failed, and return it; fail with the ends of the logs."""

        def finished() -> Json | None:
            run = self.dag_run(dag_id, run_id)
            return run if run["state"] in FINISHED else None

        return wait_until(finished, timeout, lambda: f"run not finished\n{self.describe(dag_id, run_id)}", interval)

    def task_instances(self, dag_id: str, run_id: str) -> list[Json]:
        """Return all task instances of a run, mapped ones one by one."""
        return self.pages(f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances", "task_instances", order_by="id")

    def wait_for_task_state(
        self,
        dag_id: str,
        run_id: str,
        task_id: str,
        states: Collection[str] | str,
        timeout: float = 120,
        count: int | None = None,
        interval: float = 0.2,
    ) -> list[Json]:
        """
        Wait until instances of a task are in one of the states, and return these.

        :param count: how many must be; all of them (and at least one) if None
        """
        wanted = {states} if isinstance(states, str) else set(states)

        def reached() -> list[Json] | None:
            all_of_them = [task for task in self.task_instances(dag_id, run_id) if task["task_id"] == task_id]
            found = [task for task in all_of_them if task["state"] in wanted]
            return found if len(found) >= (len(all_of_them) if count is None else count) else None

        def failure() -> str:
            return f"{task_id} not in {sorted(wanted)}\n{self.describe(dag_id, run_id)}"

        return wait_until(reached, timeout, failure, interval)

    def xcom(self, dag_id: str, run_id: str, task_id: str, map_index: int = -1, key: str = "return_value") -> Any:
        """Return the value of an XCom."""
        path = f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/xcomEntries/{key}"
        return self.api("GET", path, params={"map_index": map_index, "deserialize": False})["value"]

    def task_log(self, dag_id: str, run_id: str, task_id: str, try_number: int = 1, map_index: int = -1) -> str:
        """Return the log of a task as text, one event a line with its level and fields."""
        path = f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/logs/{try_number}"
        answer = self.api("GET", path, params={"map_index": map_index, "full_content": True})
        return "\n".join(render(entry) for entry in answer["content"])

    def create_connection(self, connection: Mapping[str, Any]) -> Json:
        """Create a connection: ``{"connection_id": …, "conn_type": …, …}``, ``extra`` being a JSON text."""
        created: Json = self.api("POST", "/connections", json=dict(connection))
        return created

    def delete_connection(self, connection_id: str) -> None:
        """Delete a connection."""
        self.api("DELETE", f"/connections/{connection_id}")

    def health(self) -> Json:
        """Return what ``/monitor/health`` says; nothing if the api-server does not answer."""
        with suppress(requests.RequestException):
            answer = self._session.get(f"{self.url}/api/v2/monitor/health", timeout=10)
            if answer.ok:
                return dict(answer.json())
        return {}

    def heartbeat(self, component: str) -> datetime | None:
        """Return the last sign of life of ``scheduler``, ``triggerer`` or ``dag_processor``."""
        beat = self.health().get(component, {}).get(f"latest_{component}_heartbeat")
        return datetime.fromisoformat(beat) if beat else None

    def describe(self, dag_id: str, run_id: str) -> str:
        """Say how a run stands, for a person who has to find out why it hangs."""
        tasks = self.task_instances(dag_id, run_id)
        counts = Counter((task["task_id"], str(task["state"]), task["try_number"]) for task in tasks)
        lines = [f"{dag_id} {run_id}: {self.dag_run(dag_id, run_id)['state']} at {time.strftime('%X')}"]
        for (task, state, tries), count in sorted(counts.items()):
            lines.append(f"  {task} try {tries}: {state} x {count}")
        return "\n".join(lines)


def render(entry: Json | str) -> str:
    """Write one entry of a task's log, as the API gives it, on one line."""
    if isinstance(entry, str):
        return entry
    fields = dict(entry)
    parts = [fields.pop("timestamp", None), fields.pop("level", None), fields.pop("event", None)]
    parts += [f"{name}={value}" for name, value in fields.items() if value not in (None, [], "")]
    return " ".join(str(part) for part in parts if part)
