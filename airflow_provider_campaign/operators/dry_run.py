"""An argument that bears the name of a method of every operator."""

from __future__ import annotations

from typing import Any

from airflow.providers.common.compat.sdk import BaseOperator

_METHOD = getattr(BaseOperator, "dry_run", None)
"""Airflow's own method; 3.0 has none."""


class DryRun:
    """A value that Airflow's templates render by calling it with a context, and its command line without one."""

    def __init__(self, task: BaseOperator, value: str | bool) -> None:
        self._task = task
        self._value = value

    def __call__(self, context: Any = None, jinja_env: Any = None) -> Any:
        if context is None:
            return _METHOD(self._task) if _METHOD else None
        return self._task.render_template(self._value, context, jinja_env)

    def __bool__(self) -> bool:
        return bool(self._value)

    def __str__(self) -> str:
        return str(self._value)

    serialize = __str__  # as Airflow keeps it: a text, whose length 3.0 wants to know
