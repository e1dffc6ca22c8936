"""The accounts that a command is about: connections, calling hours, records, and work on all of them at once."""

from __future__ import annotations

import getpass
import signal
from argparse import Namespace
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import yaml

from airflow_provider_campaign.arguments import argument_error, read_words
from airflow_provider_campaign.calling_hours import CallingRules
from airflow_provider_campaign.cli.output import Output
from airflow_provider_campaign.client.client import CampaignClient
from airflow_provider_campaign.client.clock import Cancellation
from airflow_provider_campaign.client.errors import as_campaign_error
from airflow_provider_campaign.exceptions import CampaignConfigError, CampaignError
from airflow_provider_campaign.hooks.base import CampaignHook
from airflow_provider_campaign.operators.task_record import TaskRecord, open_store
from airflow_provider_campaign.records.progress import Progress
from airflow_provider_campaign.records.record import RecordDraft

REFRESH_INTERVAL = 0.2  # seconds between two looks at the progress


def read_conn_ids(given: Sequence[str] | None) -> list[str]:
    """Return the connection ids of the option ``--conn-id``, each once."""
    words = [word for text in given or [CampaignHook.default_conn_name] for word in read_words("--conn-id", text)]
    return list(dict.fromkeys(words))


def read_conn_id(given: Sequence[str] | None) -> str:
    """Return the one connection id; several are an error, because a campaign is in one account."""
    conn_ids = read_conn_ids(given)
    if len(conn_ids) > 1:
        raise argument_error("--conn-id", ", ".join(conn_ids), "which are several", "Name the campaign's account.")
    return conn_ids[0]


def read_rules(given: Sequence[str] | None, conn_ids: Sequence[str] | None) -> dict[str, CallingRules]:
    """
    Return the calling hours of each account, by connection id.

    :param given: Values of the option ``--calling-hours``: ``CONN_ID=FILE``, or ``FILE`` for those of ``--conn-id``.
    """
    option = "--calling-hours"
    rules: dict[str, CallingRules] = {}
    for text in given or ():
        conn_id, is_named, file = text.partition("=")
        for each in [conn_id] if is_named else read_conn_ids(conn_ids):
            if each in rules:
                raise argument_error(option, text, f"and {each!r} has another file already", "Give each account one.")
            rules[each] = _read_file(option, file if is_named else text)
    for each in read_conn_ids(conn_ids) if conn_ids or not rules else ():
        if each not in rules:
            raise argument_error(option, given, f"without calling hours of {each!r}", f"Give {option} {each}=FILE.")
    return rules


def _read_file(option: str, file: str) -> CallingRules:
    try:
        return CallingRules.read(yaml.safe_load(Path(file).read_text(encoding="utf-8")))  # JSON is YAML, too
    except (OSError, UnicodeError, yaml.YAMLError) as error:
        fix = "Give a YAML or JSON file with calling hours, or with a list of rules."
        raise argument_error(option, file, f"which can't be read ({error})", fix) from None


def connect(conn_ids: Collection[str]) -> tuple[dict[str, CampaignClient], dict[str, CampaignError]]:
    """
    Return the client of each connection, and why others can't be looked up now; nothing is sent yet.

    :raises CampaignConfigError: When one of them is wrong, or none can be looked up.
    """
    clients, failures, wrong = {}, {}, []
    for conn_id in conn_ids:
        try:
            clients[conn_id] = CampaignHook.for_conn_id(conn_id).client
        except CampaignConfigError as error:
            wrong.append(error)
        except CampaignError as error:
            failures[conn_id] = error
        except Exception as error:  # noqa: BLE001 whatever goes wrong with one connection, the others can be used
            failures[conn_id] = CampaignConfigError(  # without its text, which may hold a part of the connection
                f"Connection {conn_id!r} can't be read ({type(error).__name__}). Nothing was sent. If it is in "
                "Airflow's database, use the Fernet key and the database of the Airflow that has stored it."
            )
    if wrong or not clients:
        raise CampaignConfigError("\n".join(map(str, [*wrong, *failures.values()])))
    return clients, failures


def run_on_all(
    work: Mapping[str, Callable[[], Any]], refresh: Callable[[], Any], cancellation: Cancellation
) -> dict[str, CampaignError]:
    """
    Do the work on each account at once, and return the errors by connection id.

    Ctrl-C and SIGTERM end it within the requests under way. Meanwhile, ``refresh`` shows the progress now and then.
    """
    with signals_request(cancellation), ThreadPoolExecutor(len(work), thread_name_prefix="account") as pool:
        futures = {conn_id: pool.submit(task) for conn_id, task in work.items()}
        while wait(futures.values(), REFRESH_INTERVAL).not_done:
            with suppress(Exception):  # progress that can't be shown keeps no result from being shown
                refresh()
    found = {conn_id: future.exception() for conn_id, future in futures.items()}
    return {
        conn_id: as_campaign_error(error, f"Connection {conn_id!r}")
        for conn_id, error in found.items()
        if isinstance(error, Exception)
    }


@contextmanager
def signals_request(cancellation: Cancellation) -> Iterator[None]:
    """Have Ctrl-C and SIGTERM request it; ignore SIGHUP, so that a lost terminal aborts no stops."""
    previous = {
        number: signal.signal(number, lambda *_: cancellation.request()) for number in (signal.SIGINT, signal.SIGTERM)
    }
    previous[signal.SIGHUP] = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


@contextmanager
def recorded(
    options: Namespace,
    output: Output,
    client: CampaignClient,
    cancellation: Cancellation,
    progress: Callable[[], Progress],
    **known: Any,
) -> Iterator[TaskRecord]:
    """Record a command's work on an account, however it ends, and say where; the record's ``problem`` is not raised."""
    run = {"command": "stop" if known["action"] == "stop" else "stop-active", "user": None}
    with suppress(OSError, KeyError):  # the machine may have no name for the user
        run["user"] = getpass.getuser()
    draft = RecordDraft(run=run, began_at=client.clock.time(), platform=client.platform, **known)
    record = TaskRecord(draft, open_store("--records-path", options.records_path, has_default=True), cancellation)
    record.describe(progress)
    try:
        yield record
    except Exception as error:
        record.end(error)
        raise
    else:
        record.end(None)
    finally:
        if reference := record.result.get("record"):
            output.say(f"{known['connection_id']}: record {reference['path']}, SHA-256 {reference['sha256']}")
