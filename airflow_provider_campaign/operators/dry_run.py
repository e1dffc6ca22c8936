"""An argument that bears the name of a method of every operator."""

from __future__ import annotations

from typing import Any

from airflow.providers.common.compat.sdk import BaseOperator


class DryRunArgument:
    """
    The attribute ``dry_run`` of an operator: the argument's value, which can be called as well.

    ``airflow tasks test --dry-run`` calls the method of that name.
    """

    def __get__(self, task: BaseOperator | None, owner: type) -> Any:
        """Return the value as it was set; a text or boolean as a text that can be called."""
        if task is None:
            return BaseOperator.dry_run
        value = vars(task)["dry_run"]
        return _CallableText(value, task) if isinstance(value, str | bool) else value

    def __set__(self, task: BaseOperator, value: Any) -> None:
        """Set what was given, or rendered."""
        vars(task)["dry_run"] = value


class _CallableText(str):
    """The text of a value, which runs Airflow's own method when called."""

    def __new__(cls, value: str | bool, task: BaseOperator) -> _CallableText:
        text = super().__new__(cls, value)
        text.task = task  # type: ignore[attr-defined]
        return text

    def __call__(self) -> None:
        BaseOperator.dry_run(self.task)  # type: ignore[attr-defined]

    def __reduce__(self) -> tuple[Any, ...]:
        return str, (str(self),)
