"""The accounts that a command is about: their connections, and work on all of them at once that Ctrl-C ends."""

from __future__ import annotations

import signal
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from airflow_provider_campaign.arguments import argument_error, read_words
from airflow_provider_campaign.client.client import CampaignClient
from airflow_provider_campaign.client.clock import Cancellation
from airflow_provider_campaign.client.errors import as_campaign_error
from airflow_provider_campaign.exceptions import CampaignConfigError, CampaignError
from airflow_provider_campaign.hooks.base import CampaignHook

SUCCESS, NOT_VERIFIED, NOTHING_SENT = 0, 1, 2
"""The exit statuses of all commands."""

REFRESH_INTERVAL = 0.2
"""Seconds between two looks at the progress."""

Result = TypeVar("Result")


@dataclass(frozen=True)
class Outcome(Generic[Result]):
    """The outcome of the work on one account: what it returned, None if nothing, and what went wrong."""

    value: Result | None = None
    error: CampaignError | None = None


def exit_status(outcomes: Collection[Outcome[Any]]) -> int:
    """Return 0 where all is done and verified, 2 where nothing was sent to any account, else 1."""
    errors = [outcome.error for outcome in outcomes if outcome.error is not None]
    if not errors:
        return SUCCESS
    nothing_sent = all(each.value is None and isinstance(each.error, CampaignConfigError) for each in outcomes)
    return NOTHING_SENT if nothing_sent else NOT_VERIFIED


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


def connect(conn_ids: Collection[str]) -> tuple[dict[str, CampaignClient], dict[str, CampaignError]]:
    """
    Return the client of each connection, and why another can't be looked up; nothing is sent yet.

    :raises CampaignConfigError: When one of them is missing or wrong, or none can be looked up.
    """
    clients, failures, wrong = {}, {}, []
    for conn_id in conn_ids:
        try:
            clients[conn_id] = CampaignHook.for_conn_id(conn_id).client
        except CampaignConfigError as error:
            wrong.append(error)
        except Exception as error:  # noqa: BLE001 whatever goes wrong with one connection, the others can be used
            failures[conn_id] = _lookup_error(conn_id, error)
    if wrong or not clients:
        raise CampaignConfigError("\n".join(map(str, [*wrong, *failures.values()])))
    return clients, failures


def _lookup_error(conn_id: str, error: Exception) -> CampaignError:
    if isinstance(error, CampaignError):
        return error
    return CampaignConfigError(  # without its text, which may hold a part of the connection
        f"Connection {conn_id!r} can't be read ({type(error).__name__}). Nothing was sent. If it is in Airflow's "
        "database, use the Fernet key and the database of the Airflow that has stored it."
    )


def run_on_all(
    work: Mapping[str, Callable[[], Outcome[Result]]], refresh: Callable[[], Any], cancellation: Cancellation
) -> dict[str, Outcome[Result]]:
    """
    Do the work on each account at once; Ctrl-C and SIGTERM end it within the requests under way.

    :param work: By connection id. Whatever it raises is the error of its account alone.
    :param refresh: Run now and then meanwhile, to show the progress.
    """
    with _signals_request(cancellation), ThreadPoolExecutor(len(work), thread_name_prefix="account") as pool:
        futures = {conn_id: pool.submit(_outcome, conn_id, task) for conn_id, task in work.items()}
        while wait(futures.values(), REFRESH_INTERVAL).not_done:
            with suppress(Exception):  # progress that can't be shown keeps no result from being shown
                refresh()
        return {conn_id: future.result() for conn_id, future in futures.items()}


def _outcome(conn_id: str, work: Callable[[], Outcome[Result]]) -> Outcome[Result]:
    try:
        return work()
    except Exception as error:  # noqa: BLE001 an error with one account must not stop the others
        return Outcome(error=as_campaign_error(error, f"Connection {conn_id!r}"))


@contextmanager
def _signals_request(cancellation: Cancellation) -> Iterator[None]:
    """Have Ctrl-C and SIGTERM raise the flag; ignore SIGHUP, so that a lost terminal aborts no stops."""
    previous = {
        number: signal.signal(number, lambda *_: cancellation.request()) for number in (signal.SIGINT, signal.SIGTERM)
    }
    previous[signal.SIGHUP] = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
