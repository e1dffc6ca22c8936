"""What a try of a task hands on to the next one in Airflow's task state store (3.3 and later; there is none before)."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from typing import Any

from airflow_provider_campaign.operations.earlier_tries import StoredTry
from airflow_provider_campaign.operations.record import canonical
from airflow_provider_campaign.operations.record_chain import read_record

log = logging.getLogger(__name__)

STATE_KEY = "campaign_record.try{}"
"""What the store keeps a try's record, or its hash, under."""


class TaskState:
    """The task state store of one task; whatever Airflow raises is logged, for what was done counts."""

    def __init__(self, context: Mapping[str, Any]) -> None:
        self._store = context.get("task_state_store")

    def read(self, try_number: int) -> StoredTry:
        """Return what a try has kept: its record, or only the SHA-256 of one in a file."""
        try:
            text = None if self._store is None else self._store.get(STATE_KEY.format(try_number))
            sha256 = json.loads(text).get("sha256") if text else None
            return StoredTry(try_number, read_record(text.encode()) if text else None, sha256=sha256)
        except Exception as error:  # noqa: BLE001
            log.warning("The task state store can't be read: %s", error)
            return StoredTry(try_number)

    def keep(self, try_number: int, value: Mapping[str, Any]) -> None:
        """Keep something for the next try."""
        try:
            if self._store is not None:
                self._store.set(STATE_KEY.format(try_number), canonical(value).decode())
        except Exception as error:  # noqa: BLE001
            log.warning("What this try did can't be kept for the next one: %s", error)
