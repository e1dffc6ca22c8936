"""Calling hours from files, by account: what the command line takes in place of a task's ``calling_hours``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import yaml

from airflow_provider_campaign.arguments import argument_error
from airflow_provider_campaign.calling_hours import CallingRules
from airflow_provider_campaign.cli.accounts import read_conn_ids

OPTION = "--calling-hours"


def read_rules(given: Sequence[str] | None, conn_ids: Sequence[str] | None) -> dict[str, CallingRules]:
    """
    Return the rules of each account, by connection id.

    :param given: Values of the option ``--calling-hours``: ``CONN_ID=FILE``, or ``FILE`` for those of ``--conn-id``.
    :param conn_ids: Values of the option ``--conn-id``.
    :raises CampaignConfigError: When a file is unreadable, or an account has no file, or two.
    """
    rules: dict[str, CallingRules] = {}
    for text in given or ():
        conn_id, is_named, file = text.partition("=")
        for each in [conn_id] if is_named else read_conn_ids(conn_ids):
            if each in rules:
                raise argument_error(OPTION, text, f"and {each!r} has another file already", "Give each account one.")
            rules[each] = _read_file(file if is_named else text)
    for each in read_conn_ids(conn_ids) if conn_ids or not rules else ():
        if each not in rules:
            raise argument_error(OPTION, given, f"without calling hours of {each!r}", f"Give {OPTION} {each}=FILE.")
    return rules


def _read_file(file: str) -> CallingRules:
    try:
        text = Path(file).read_text(encoding="utf-8")
        return CallingRules.read(text if file.endswith(".json") else yaml.safe_load(text))
    except (OSError, UnicodeError, yaml.YAMLError) as error:
        fix = "Give a YAML or JSON file with calling hours, or with a list of rules."
        raise argument_error(OPTION, file, f"which can't be read ({error})", fix) from None
