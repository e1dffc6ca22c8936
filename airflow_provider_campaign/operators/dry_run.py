"""An argument that bears the name of a method of every operator."""

from __future__ import annotations

from typing import Any

from airflow.providers.common.compat.sdk import BaseOperator

_METHOD = getattr(BaseOperator, "dry_run", None)
"""Airflow's own method; 3.0 has none."""


class DryRunArgument:
    """
    The attribute ``dry_run`` of an operator: a template field, and what ``airflow tasks test --dry-run`` calls.

    The value itself stands in the task's ``__dict__``.
    """

    def __get__(self, task: BaseOperator | None, owner: type) -> Any:
        """Return what Airflow may render, serialize, or call; an upstream task's output as it is."""
        if task is None:
            return _METHOD
        value = vars(task)["dry_run"]
        return _DryRun(task, value) if isinstance(value, str | bool) else value

    def __set__(self, task: BaseOperator, value: Any) -> None:
        vars(task)["dry_run"] = value


class _DryRun:
    """A value that Airflow's templates render by calling it with a context, and its command line without one."""

    def __init__(self, task: BaseOperator, value: str | bool) -> None:
        self._task = task
        self._value = value

    def __call__(self, context: Any = None, jinja_env: Any = None) -> Any:
        if context is None:
            return _METHOD(self._task) if _METHOD else None
        if isinstance(self._value, bool):
            return self._value
        return self._task.render_template(self._value, context, jinja_env)

    def __bool__(self) -> bool:
        return bool(self._value)

    def __str__(self) -> str:
        return str(self._value)

    def serialize(self) -> str:
        """Return the value as Airflow keeps it: a text, whose length 3.0 wants to know."""
        return str(self._value)
