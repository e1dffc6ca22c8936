"""The record of one try of a task, written however the try ends."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from types import TracebackType
from typing import Any, Self

from airflow.providers.common.compat.sdk import AirflowSkipException, BaseOperator, Context, TaskDeferred, conf

from airflow_provider_campaign.arguments import read_records_path
from airflow_provider_campaign.client.clock import SYSTEM_CLOCK, Cancellation
from airflow_provider_campaign.exceptions import CampaignConfigError, CampaignRecordError, CampaignTimeoutError
from airflow_provider_campaign.records.chain import RecordFile
from airflow_provider_campaign.records.earlier_tries import EarlierTries
from airflow_provider_campaign.records.metrics import send_metrics
from airflow_provider_campaign.records.progress import Progress, iso_utc
from airflow_provider_campaign.records.record import RecordDraft, sweep_result
from airflow_provider_campaign.records.shape import canonical, read_record
from airflow_provider_campaign.records.store import RecordStore

log = logging.getLogger(__name__)

STATE_KEY = "campaign_record.try{}"
"""What Airflow's task state store keeps a try's record, or its hash, under."""

KILL_GRACE = 2.0
"""Seconds for a cancelled task to end: Airflow kills its process after five."""


def open_store(name: str, value: Any, *, has_default: bool) -> RecordStore | None:
    """
    Return the store of records, None if there is no path; one that can't be used fails when it is written to.

    :param name: What messages call the argument.
    :param value: A path, None for a default.
    :param has_default: Whether the default is ``[campaign] records_path`` of Airflow's configuration.
    """
    try:
        if value is None and has_default:
            name = "[campaign] records_path"
            value = conf.get("campaign", "records_path", fallback=None) or None
        path = read_records_path(name, value)
    except Exception as error:  # noqa: BLE001 evidence keeps no campaign from being stopped
        problem = str(error) if isinstance(error, CampaignConfigError) else f"{name} can't be read: {error}"
        log.warning("No record can be written, which will be a failure once the work is done. %s", problem)
        return RecordStore(str(value), f"The record can't be written. {problem}")
    return RecordStore(path) if path else None


class TaskRecord:
    """
    A record under way: ``with`` writes it when the try ends, by success, failure, skip, or SIGTERM.

    Deferring ends no try, and leaves no record.

    :param records_path: The argument as it was rendered; None for the default, which only sweeps have.
    """

    def __init__(
        self, task: BaseOperator, context: Context, action: str, records_path: Any, cancellation: Cancellation
    ) -> None:
        self._context: Mapping[str, Any] = context or {}
        self._store = open_store("records_path", records_path, has_default=action == "sweep")
        self._cancellation = cancellation
        self.draft = RecordDraft(action, run_of(task, self._context), SYSTEM_CLOCK.time())
        self.result: dict[str, Any] = {}
        """What a sweep's task returns, once the record is written."""
        self._progress: Callable[[], Progress] = Progress
        self._try_number: int = self.draft.run["try_number"]
        self._has_earlier = False
        self._lock = threading.RLock()
        self._is_kept = records_path is not None or action in ("sweep", "delete")
        self._counted = {"requests": 0, "refused": 0}

    def describe(self, progress: Callable[[], Progress] | None = None, **known: Any) -> None:
        """
        Note what is known by now.

        :param progress: Returns what is known of the campaigns, at any moment.
        :param known: Fields of :class:`RecordDraft`.
        """
        if reason := known.get("reason"):
            log.info("Reason: %s", reason)
        self.draft = replace(self.draft, **known)
        self._progress = progress or self._progress

    def count_from(self, requests: int, refused: int) -> None:
        """Note what the metrics have counted before the task was deferred."""
        self._counted = {"requests": requests, "refused": refused}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _: type[BaseException] | None, error: BaseException | None, __: TracebackType | None) -> None:
        if isinstance(error, TaskDeferred):
            record = self.draft.record(replace(self._progress(), campaigns=()), SYSTEM_CLOCK.time(), "success")
            send_metrics(record, self._counted)
            return
        problem = self._end(error)
        if (error or problem) and self.draft.action == "sweep":
            self._push(self.result)
        if problem and self.result["outcome"] != "killed" and not isinstance(error, CampaignConfigError):
            raise CampaignRecordError(self.result["error"]) from (error or problem)

    def end_soon(self) -> None:
        """Write the record in a moment, should the task not end by then; safe in a signal handler."""
        error = CampaignTimeoutError("The task was cancelled while a request was under way.")
        watchdog = threading.Timer(KILL_GRACE, self._end, (error,))
        watchdog.daemon = True
        watchdog.start()

    def _end(self, error: BaseException | None) -> CampaignRecordError | None:
        """Write the record, once; return why it is not written, if that is so."""
        with self._lock:
            if self.result:
                return None
            self.load_earlier_tries()
            outcome = self._outcome(error)
            record = self.draft.record(self._progress(), SYSTEM_CLOCK.time(), outcome, error)
            reference, problem = self._write(record)
            if problem:
                record |= {"outcome": "killed" if outcome == "killed" else "failed"}
                record |= {"error": "\n".join(filter(None, (record["error"], str(problem))))}
            is_worth_it = record["outcome"] != "success" or record["action"] == "delete"
            if reference or (self._is_kept and is_worth_it):
                self._keep({"sha256": reference["sha256"]} if reference else record)
            send_metrics(record, self._counted)
            self.result = sweep_result(record, reference)
            return problem

    def load_earlier_tries(self) -> EarlierTries:
        """
        Return what previous tries have left, compared with what :meth:`describe` has noted of this one.

        Describe connection, platform, and scope first. An unreadable record counts as missing, and is logged.
        """
        if self._is_kept and not self._has_earlier and self._try_number > 1:
            self._has_earlier = True
            self.describe(earlier=EarlierTries.compare(self._stored_tries(), self.draft.header()))
            if missing := self.draft.earlier.missing:
                log.warning("No record is there of what these tries did: %s", ", ".join(map(str, missing)))
        return self.draft.earlier

    def _stored_tries(self) -> dict[int, RecordFile]:
        """Return the record of each previous try: the one that it has handed on, if Airflow keeps that."""
        kept = {number: self._kept_by(number) for number in range(1, self._try_number)}
        handed_on = {number: each.sha256 for number, each in kept.items() if each.sha256}
        found: dict[int, RecordFile] = {}
        try:
            if self._store is not None:
                found = self._store.earlier_tries(self.draft.run, iso_utc(self.draft.began_at) or "", handed_on)
        except CampaignRecordError as error:
            log.warning("%s", error)
        for number in handed_on.keys() - found.keys():
            log.warning("No record has the SHA-256 that try %s has handed on: %s", number, handed_on[number])
        return {number: each if each.record else found.get(number, each) for number, each in kept.items()}

    def _outcome(self, error: BaseException | None) -> str:
        if error is None:
            return "success"
        if isinstance(error, AirflowSkipException):
            return "skipped"
        is_killed = self._cancellation.is_requested or not isinstance(error, Exception)
        return "killed" if is_killed else "failed"

    def _write(self, record: dict[str, Any]) -> tuple[dict[str, str] | None, CampaignRecordError | None]:
        """Write the record; return where it is, or why it is not."""
        if self._store is None:
            return None, None
        try:
            reference = self._store.write({**record, "closings": []} if self.draft.is_repeat else record)
        except CampaignRecordError as problem:
            log.error("%s", problem)
            log.error("The record that could not be written: %s", canonical(record).decode().strip())
            return None, problem
        log.info("Record: %s, SHA-256 %s", reference["path"], reference["sha256"])
        return reference, None

    def _kept_by(self, try_number: int) -> RecordFile:
        """Return what a try has kept in the task state store: its record, or only the SHA-256 of one in a file."""
        store = self._context.get("task_state_store")  # 3.3 and later
        try:
            text = None if store is None else store.get(STATE_KEY.format(try_number))
            sha256 = json.loads(text).get("sha256") if text else None
            return RecordFile("", sha256 or "", read_record(text.encode()) if text else None)
        except Exception as error:  # noqa: BLE001 whatever Airflow raises, this is the second best place
            log.warning("The task state store can't be read: %s", error)
            return RecordFile("", "", None)

    def _keep(self, value: Mapping[str, Any]) -> None:
        """Keep the record, or its hash, where the next try finds it, if Airflow has a place for it."""
        store = self._context.get("task_state_store")
        try:
            if store is not None:
                store.set(STATE_KEY.format(self._try_number), canonical(value).decode())
        except Exception as error:  # noqa: BLE001 whatever Airflow raises, what was done counts
            log.warning("What this try did can't be kept for the next one: %s", error)

    def _push(self, result: dict[str, Any]) -> None:
        """Push the result of a try that returns none."""
        try:
            if "ti" in self._context:
                self._context["ti"].xcom_push(key="return_value", value=result)
        except Exception as error:  # noqa: BLE001 whatever an XCom backend raises, the task's own error counts
            log.warning("The result can't be pushed to XCom: %s", error)


def run_of(task: BaseOperator, context: Mapping[str, Any]) -> dict[str, Any]:
    """Return what identifies a try."""
    ti = context.get("ti")
    logical_date, map_index = context.get("logical_date"), getattr(ti, "map_index", None)
    return {
        "dag_id": getattr(ti, "dag_id", None),
        "run_id": getattr(ti, "run_id", None),
        "task_id": getattr(ti, "task_id", None) or task.task_id,
        "map_index": -1 if map_index is None else map_index,
        "try_number": getattr(ti, "try_number", None) or 1,
        "logical_date": iso_utc(logical_date.timestamp()) if logical_date else None,
    }
