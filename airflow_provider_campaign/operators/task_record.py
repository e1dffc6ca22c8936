"""The record of a task's try, or of a command, written however it ends; and the metrics of a try."""

from __future__ import annotations

import json
import logging
import re
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from types import TracebackType
from typing import Any, Self

from airflow.providers.common.compat.sdk import AirflowSkipException, BaseOperator, Context, TaskDeferred, conf

from airflow_provider_campaign.arguments import read_records_path
from airflow_provider_campaign.client.clock import SYSTEM_CLOCK, Cancellation
from airflow_provider_campaign.exceptions import CampaignConfigError, CampaignRecordError, CampaignTimeoutError
from airflow_provider_campaign.records.progress import Progress, iso_utc
from airflow_provider_campaign.records.record import EarlierTries, RecordDraft, sweep_result
from airflow_provider_campaign.records.shape import RecordFile, canonical, read_record
from airflow_provider_campaign.records.store import RecordStore

log = logging.getLogger(__name__)

STATE_KEY = "campaign_record.try{}"  # the key of a try's record in Airflow's task state store
KILL_GRACE = 2.0  # seconds for a cancelled task to end: Airflow kills its process after five
MAX_TAG_LENGTH = 100  # characters; Airflow takes 250 for a metric's name with all its tags


class TaskRecord:
    """
    A record that is not written yet: ``with`` writes it when a try ends, by success, failure, skip, or SIGTERM.

    Deferring ends no try, and leaves no record. A command, which has no context, no previous tries, and no metrics,
    writes its record by :meth:`end`.
    """

    def __init__(
        self,
        draft: RecordDraft,
        store: RecordStore | None,
        cancellation: Cancellation,
        context: Mapping[str, Any] | None = None,
        *,
        keeps_tries: bool = False,
    ) -> None:
        self.draft = draft
        self.result: dict[str, Any] = {}  # what a sweep's task returns, once the record is written
        self.problem: CampaignRecordError | None = None  # why it could not be written
        self._store = store
        self._cancellation = cancellation
        self._context = context
        self._keeps_tries = keeps_tries
        self._progress: Callable[[], Progress] = Progress
        self._counted = (0, 0)
        self._lock = threading.RLock()

    @classmethod
    def of_task(
        cls, task: BaseOperator, context: Context | None, action: str, records_path: Any, cancellation: Cancellation
    ) -> Self:
        """Return the record of a task's try; without a records path only sweeps have a default."""
        given: Mapping[str, Any] = context or {}
        ti, logical_date = given.get("ti"), given.get("logical_date")
        map_index = getattr(ti, "map_index", None)
        run = {
            "dag_id": getattr(ti, "dag_id", None),
            "run_id": getattr(ti, "run_id", None),
            "task_id": getattr(ti, "task_id", None) or task.task_id,
            "map_index": -1 if map_index is None else map_index,
            "try_number": getattr(ti, "try_number", None) or 1,
            "logical_date": iso_utc(logical_date.timestamp()) if logical_date else None,
        }
        store = open_store("records_path", records_path, has_default=action == "sweep")
        keeps_tries = records_path is not None or action == "sweep"
        return cls(RecordDraft(action, run, SYSTEM_CLOCK.time()), store, cancellation, given, keeps_tries=keeps_tries)

    def describe(self, progress: Callable[[], Progress] | None = None, **known: Any) -> None:
        """Note fields of :class:`RecordDraft`, and what returns the progress at any moment."""
        if reason := known.get("reason"):
            log.info("Reason: %s", reason)
        self.draft = replace(self.draft, **known)
        self._progress = progress or self._progress

    def count_from(self, requests: int, refused: int) -> None:
        """Note how many requests, and refusals, the metrics have counted before the task was deferred."""
        self._counted = (requests, refused)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _: type[BaseException] | None, error: BaseException | None, __: TracebackType | None) -> None:
        if isinstance(error, TaskDeferred):
            progress = replace(self._progress(), campaigns=())
            send_metrics(self.draft.record(progress, SYSTEM_CLOCK.time(), "success"), *self._counted)
            return
        self.end(error)
        if (error or self.problem) and self.draft.action == "sweep" and self._context:
            with suppress(Exception):  # whatever an XCom backend raises, the task's own error counts
                self._context["ti"].xcom_push(key="return_value", value=self.result)
        if self.problem and self.result["outcome"] != "killed" and not isinstance(error, CampaignConfigError):
            raise CampaignRecordError(self.result["error"]) from (error or self.problem)

    def end_soon(self) -> None:
        """Write the record in a moment, should the task not end by then; safe in a signal handler."""
        error = CampaignTimeoutError("The task was cancelled while a request was under way.")
        watchdog = threading.Timer(KILL_GRACE, self.end, (error,))
        watchdog.daemon = True
        watchdog.start()

    def end(self, error: BaseException | None) -> None:
        """Write the record, once, and send the metrics."""
        with self._lock:
            if self.result:
                return
            self.load_earlier_tries()
            record = self.draft.record(self._progress(), SYSTEM_CLOCK.time(), self._outcome(error), error)
            reference = self._write(record)
            if self.problem:
                record["outcome"] = "killed" if record["outcome"] == "killed" else "failed"
                record["error"] = "\n".join(filter(None, (record["error"], str(self.problem))))
            if reference or (self._keeps_tries and record["outcome"] != "success"):
                self._keep(record, reference or {"path": "", "sha256": ""})
            if self._context is not None:
                send_metrics(record, *self._counted)
            if reference and self._store:
                reference = {**reference, "path": f"{self._store.records_path.rstrip('/')}/{reference['path']}"}
                log.info("Record: %(path)s, SHA-256 %(sha256)s", reference)
            self.result = sweep_result(record, reference)

    def load_earlier_tries(self) -> EarlierTries:
        """Return what previous tries have left; connection, platform, and scope of this one have to be known."""
        if self._keeps_tries and not self.draft.earlier.tries and self.draft.run["try_number"] > 1:
            self.describe(earlier=EarlierTries.compare(self._stored_tries(), self.draft.header()))
            if missing := self.draft.earlier.missing:
                log.warning("Previous tries of this task have left no record: %s", ", ".join(map(str, missing)))
        return self.draft.earlier

    def _stored_tries(self) -> dict[int, RecordFile]:
        """Return the record of each previous try: the one that it has handed on, if Airflow keeps that, else a file."""
        kept = {number: self._kept_by(number) for number in range(1, self.draft.run["try_number"])}
        found: dict[int, RecordFile] = {}
        try:
            if self._store is not None and not all(kept.values()):
                found = self._store.earlier_tries(self.draft.run)
        except CampaignRecordError as error:
            log.warning("%s", error)
        return {number: each or found.get(number, RecordFile("", "", None)) for number, each in kept.items()}

    def _outcome(self, error: BaseException | None) -> str:
        if error is None:
            return "success"
        if isinstance(error, AirflowSkipException):
            return "skipped"
        is_killed = self._cancellation.is_requested or not isinstance(error, Exception)
        return "killed" if is_killed else "failed"

    def _write(self, record: dict[str, Any]) -> dict[str, str] | None:
        """Write the record and return where it is; None if there is no store, or it can't be written."""
        if self._store is None:
            return None
        try:
            return self._store.write({**record, "closings": []} if self.draft.is_repeat else record)
        except CampaignRecordError as problem:
            self.problem = problem
            log.error("%s", problem)
            log.error("The record that could not be written: %s", canonical(record).decode().strip())
            return None

    def _kept_by(self, try_number: int) -> RecordFile | None:
        """Return the record that a try has kept in the task state store (Airflow 3.3 and later)."""
        store = (self._context or {}).get("task_state_store")
        try:
            kept = None if store is None else store.get(STATE_KEY.format(try_number))
            return RecordFile(kept["path"], kept["sha256"], read_record(canonical(kept["record"]))) if kept else None
        except Exception as error:  # noqa: BLE001 whatever Airflow raises, this is the second best place
            log.warning("The task state store can't be read: %s", error)
            return None

    def _keep(self, record: Mapping[str, Any], reference: Mapping[str, str]) -> None:
        """Keep the record where the next try finds it, if Airflow has a place for it."""
        store = (self._context or {}).get("task_state_store")
        try:
            if store is not None:
                kept = {**reference, "record": json.loads(canonical(record))}  # a tuple would be refused
                store.set(STATE_KEY.format(self.draft.run["try_number"]), kept)
        except Exception as error:  # noqa: BLE001 whatever Airflow raises, what was done counts
            log.warning("What this try did can't be kept for the next one: %s", error)


def open_store(name: str, value: Any, *, has_default: bool) -> RecordStore | None:
    """
    Return the store of records, None if there is no path; one that can't be used fails when it is written to.

    The default is ``[campaign] records_path`` of Airflow's configuration, if there is one.
    """
    try:
        if value is None and has_default:
            name = "[campaign] records_path"
            value = conf.get("campaign", "records_path", fallback=None) or None
        path = read_records_path(name, value)
    except Exception as error:  # noqa: BLE001 evidence keeps no campaign from being stopped
        problem = str(error) if isinstance(error, CampaignConfigError) else f"{name} can't be read: {error}"
        log.warning("No record can be written; the task fails for that reason once its work is done. %s", problem)
        return RecordStore(str(value), f"The record can't be written. {problem}")
    return RecordStore(path) if path else None


def send_metrics(record: Mapping[str, Any], requests: int = 0, refused: int = 0) -> None:
    """Send what one try did, but for the requests that were counted before it was deferred."""
    from airflow.providers.common.compat.sdk import Stats  # only a task needs it, not a DAG file

    counts, seconds = _measured(record)
    counts |= {"rate_limited": record["refused"] - refused, "requests": record["requests"] - requests}
    # For a tag with a colon in it, Airflow drops the whole metric.
    names = {name: (record[name] or "unknown")[:MAX_TAG_LENGTH] for name in ("platform", "connection_id")}
    tags = {name: re.sub(r"[^\w.-]", "_", text, flags=re.ASCII) for name, text in names.items()}
    try:
        for name, count in counts.items():
            if count:
                Stats.incr(f"campaign.{name}", count, tags=tags)
        if seconds:
            Stats.gauge("campaign.seconds_after_window_end", max(seconds), tags=tags)
    except Exception as error:  # noqa: BLE001 whatever the metrics' backend raises, what was done counts
        log.warning("The metrics can't be sent: %s", error)


def _measured(record: Mapping[str, Any]) -> tuple[dict[str, int], list[float]]:
    """Return the counts of campaigns and closings, and how long after its end each campaign was verified stopped."""
    own = [each for each in record["campaigns"] if each["try_number"] == record["run"].get("try_number")]
    confirmed = [each for each in own if each["confirmed_at"]]
    is_stop = record["action"] in ("sweep", "stop")
    counts = {
        "stopped": sum(1 for each in confirmed if is_stop and not each["already_stopped"]),
        "failed": 0 if record["outcome"] == "success" else len(own) - len(confirmed),
        "incidents": sum(1 for each in own if each["is_incident"]),
        "missed_closings": len(record["missed_closings"]),
    }
    moments = [(each["confirmed_at"], each["end"]) for each in confirmed if each["end"] and not each["is_incident"]]
    return counts, [(datetime.fromisoformat(at) - datetime.fromisoformat(end)).total_seconds() for at, end in moments]
