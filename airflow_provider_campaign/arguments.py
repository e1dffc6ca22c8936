"""
Reading the arguments of operators, sensor, and command line: an argument that would make a task do nothing is an error
that names it, its value, and the fix; at parse time if it is no template, and after rendering if it is one.
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from datetime import timedelta
from functools import partial
from typing import Any

from airflow_provider_campaign.calling_hours import CallingRules
from airflow_provider_campaign.calling_hours.reading import parse_literal, text_list
from airflow_provider_campaign.campaign import (
    STOP_CONDITION,
    CampaignStatus,
    canonical_status,
    is_template_text,
    pattern_problem,
    text_problem,
    validate_campaign_id,
)
from airflow_provider_campaign.exceptions import CampaignConfigError
from airflow_provider_campaign.platforms.base import Platform
from airflow_provider_campaign.text import clean, one_line, shown

Reader = Callable[[str, Any], Any]

BOOLEANS = {"true": True, "yes": True, "1": True, "on": True, "false": False, "no": False, "0": False, "off": False}

MIN_POLL_INTERVAL = 1.0  # seconds between two polls, at the least
MAX_SECONDS = 1e9  # thirty years: longer durations overflow dates
MAX_REASON_LENGTH = 1000  # characters of a reason that are kept

EVIDENCE = ("records_path", "reason")  # only the record needs them: they keep no campaign from being stopped


def argument_error(
    name: str, value: object, problem: str, fix: str, *, nothing_sent: bool = True
) -> CampaignConfigError:
    sent = "Nothing was sent. " if nothing_sent else ""
    return CampaignConfigError(f"{name} is {shown(value)}, {problem}. {sent}{fix}")


def read_bool(name: str, value: Any) -> bool:
    """Return a boolean, or what one of the texts true, false, yes, no, 1, 0, on, and off stands for."""
    if isinstance(value, bool):
        return value
    text = value.strip().casefold() if isinstance(value, str) else None
    if text not in BOOLEANS:
        raise argument_error(name, value, "which is neither true nor false", f"Use one of {', '.join(BOOLEANS)}.")
    return BOOLEANS[text]


def read_seconds(name: str, value: Any, *, may_be_zero: bool = False) -> float:
    """Return a positive number of seconds, given as such, as a ``timedelta``, or as the text of a number."""
    seconds = value.total_seconds() if isinstance(value, timedelta) else value
    try:
        seconds = math.nan if isinstance(seconds, bool) else float(seconds)
    except (TypeError, ValueError, OverflowError):
        seconds = math.nan
    if not 0 <= seconds <= MAX_SECONDS or not (seconds or may_be_zero):
        raise argument_error(name, value, "which is not a positive number of seconds", "Give, for example, 900.")
    return seconds


read_duration = partial(read_seconds, may_be_zero=True)


def read_poll_interval(name: str, value: Any) -> float:
    seconds = read_seconds(name, value)
    if seconds < MIN_POLL_INTERVAL:
        raise argument_error(name, value, "which is less than a second", "Give 1 or more; 30 is usual.")
    return seconds


def read_text(name: str, value: Any) -> str:
    """Return a text that is there: not blank, not a rendered ``None``, not a template that was not rendered."""
    if not isinstance(value, str):
        raise argument_error(name, value, f"which is not a text but {type(value).__name__}", "Give a text.")
    if problem := text_problem(value):
        fix = "Leave the argument out, or check what the template or the upstream task gives."
        raise argument_error(name, value, f"which {problem}", fix)
    return value.strip()


def read_optional_text(name: str, value: Any) -> str | None:
    return None if value is None else read_text(name, value)


def read_campaign_id(name: str, value: Any) -> str:
    return validate_campaign_id(value)


def read_campaign_ids(name: str, value: Any) -> tuple[str, ...] | None:
    """Return campaign ids, each once, given as :func:`read_words` takes them; None, or ``*``, stands for all."""
    if value is None or value == "*":
        return None
    return tuple(dict.fromkeys(map(validate_campaign_id, _items(name, value))))


def read_words(name: str, value: Any) -> tuple[str, ...]:
    """Return words, each once, given as a list, as one text with commas, or as the text of a list."""
    return tuple(dict.fromkeys(read_text(name, item) for item in _items(name, value)))


def _items(name: str, value: Any) -> Collection[Any]:
    items = value
    if isinstance(value, str):
        text = read_text(name, value)
        items = [word.strip() for word in re.split("[,\n]", text) if word.strip()] or [text]
        if text.startswith(("[", "(", "{")):
            items = None
            with suppress(CampaignConfigError):
                items = parse_literal(name, text)
    if isinstance(items, Mapping | str | bytes) or not isinstance(items, Collection):
        raise argument_error(name, value, "which is not a list", "Give a list, or one text with commas.")
    if not items:
        raise argument_error(name, value, "which is empty", "Leave the argument out, or say what is meant.")
    return items


def read_statuses(name: str, value: Any) -> tuple[str, ...]:
    return tuple(map(canonical_status, read_words(name, value)))


def read_live_statuses(name: str, value: Any) -> tuple[str, ...]:
    """Return status words, none of which is that of a campaign that is stopped already."""
    statuses = read_statuses(name, value)
    for status in filter(STOP_CONDITION.is_met_by, statuses):
        raise argument_error(name, value, f"and {status} is not live", "Name the statuses that are to be stopped.")
    return statuses


def check_documented(name: str, statuses: Collection[str], platform: Platform, *, nothing_sent: bool = True) -> None:
    """Refuse a status word that a platform does not have, if all of its words are documented."""
    documented = [status.value for status in CampaignStatus if status is not CampaignStatus.DRAFT]
    for status in statuses:
        if platform.has_closed_status_set and status not in documented:
            near = difflib.get_close_matches(status.capitalize(), documented, 1)
            fix = f"Did you mean {near[0]}?" if near else f"Use some of {', '.join(documented)}."
            raise argument_error(name, status, f"which is no status of {platform.name}", fix, nothing_sent=nothing_sent)


def read_name_patterns(name: str, value: Any) -> tuple[str, ...] | None:
    """Return patterns, given as one, as a list, or as the text of a list; None if the argument is absent."""
    if value is None:
        return None
    if isinstance(value, str):  # the text of a list is also a set of characters, but hardly meant as one
        listed = text_list(value)
        value = [value] if listed is None else listed
    patterns = tuple(read_text(name, pattern) for pattern in _items(name, value))
    for pattern in patterns:
        if problem := pattern_problem(pattern):
            raise argument_error(name, pattern, *problem)
    return patterns


def read_records_path(name: str, value: Any) -> str | None:
    """Return a path that does not depend on where a task runs, or None if the argument is absent."""
    if value is None:
        return None
    path = value.strip() if isinstance(value, str) else ""
    scheme, mark, rest = path.partition("://")
    if is_template_text(path) or not (path.startswith("/") or (scheme and mark)):
        fix = "Give, for example, s3://aws_default@bucket/records or file:///records."
        raise argument_error(name, value, "which is neither a URL nor an absolute path", fix, nothing_sent=False)
    host = rest.partition("/")[0].rpartition("@")[2]
    if host and scheme.casefold() in ("file", "local"):
        problem = f"which names the host {host!r}; a file's path begins with a third slash"
        raise argument_error(name, value, problem, f"Give file:///{rest}.", nothing_sent=False)
    return path


def read_reason(name: str, value: Any) -> str | None:
    """Return a reason as one line, None if absent; no value of it keeps a task from acting."""
    return None if value is None else one_line(clean(str(value)), MAX_REASON_LENGTH) or None


def read_calling_rules(name: str, value: Any) -> CallingRules | None:
    """Return rules of calling hours, given as a list, as one object, or as the text of either; None if left out."""
    if isinstance(value, str):
        value = read_text(name, value)
    return None if value is None else CallingRules.read(value)


def is_template(value: Any) -> bool:
    """Return whether a value is only known once Airflow has rendered it, or a part of it."""
    if isinstance(value, str):
        return is_template_text(value)
    if isinstance(value, Mapping):
        return any(map(is_template, value.values()))
    if isinstance(value, list | tuple | set):
        return any(map(is_template, value))
    return hasattr(value, "iter_references")  # an XComArg and its like


def check_arguments(task: Any, readers: Mapping[str, Reader]) -> set[str]:
    """Read, at parse time, what is no template, and return the names of what is one."""
    templates = {name for name in readers if name in task.template_fields and is_template(vars(task)[name])}
    for name, read in readers.items():
        if name not in templates:
            read(name, vars(task)[name])
    return templates


def read_arguments(task: Any, readers: Mapping[str, Reader], templates: Collection[str] = ()) -> dict[str, Any]:
    """
    Return what a task's arguments mean, now that they are rendered.

    What only the record needs ends no task before its work: a records path is returned as it was rendered.

    :param templates: The names of those that were templates: None is no argument that was left out there.
    """
    values = {name: vars(task)[name] for name in readers}
    for name in templates:
        if values[name] is None and name not in EVIDENCE:
            fix = "Check what the template or the upstream task gives."
            raise argument_error(name, None, "because its template rendered to None", fix)
    if "records_path" in templates:
        values["records_path"] = str(values["records_path"])
    return {name: value if name == "records_path" else readers[name](name, value) for name, value in values.items()}
