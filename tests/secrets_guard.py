"""
A watch over the whole suite: no secret and no token in a log, an error, an XCom, or what Airflow keeps and prints.

A test during which something escapes fails, whatever else it found.
"""

from __future__ import annotations

import logging
import re
import subprocess
from collections.abc import Generator, Iterator
from typing import Any

import pytest

from airflow_provider_campaign.campaign import Campaign
from airflow_provider_campaign.exceptions import CampaignError
from airflow_provider_campaign.sandbox.config import SandboxConfig

SECRETS = {"the Client Secret": SandboxConfig().client_secret, "the API key": SandboxConfig().api_key}
TOKEN = re.compile(r"eyJ[\w-]{4,}\.eyJ[\w-]{4,}")
AIRFLOWS_OWN = "MaskSecret("  # what Airflow 3.0 itself writes at debug level: what it tells its supervisor to mask

SHOWS_ITS_CREDENTIALS = "tests/sandbox/"
"""The sandbox's own tests: it shows its credentials, made up as they are, to whoever asks for a connection."""


def leak_in(text: str) -> str | None:
    if AIRFLOWS_OWN in text:
        text = "\n".join(line for line in text.splitlines() if AIRFLOWS_OWN not in line)
    for name, secret in SECRETS.items():
        if secret in text:
            return name
    return "a token" if TOKEN.search(text) else None


class Watch(logging.Handler):
    """Hears every log record, error and XCom record, and what other processes print."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.leaks: list[str] = []
        self.errors: list[CampaignError] = []

    def hear(self, source: str, text: object) -> None:
        leak = leak_in(text.decode(errors="replace") if isinstance(text, bytes) else str(text))
        if leak:
            self.leaks.append(f"{leak} in {source}")

    def emit(self, record: logging.LogRecord) -> None:
        self.hear(f"a record of the logger {record.name}", f"{record.getMessage()} {record.exc_info}")

    def take_leaks(self) -> list[str]:
        """Return the leaks since this was asked last; errors are complete only now, with what caused them."""
        for error in self.errors:
            for link in chain_of(error):
                self.hear(f"a {type(link).__name__}", f"{link} {link!r} {vars(link)}")
        leaks, self.leaks = self.leaks, []
        self.errors.clear()
        return leaks


def chain_of(error: BaseException | None) -> list[BaseException]:
    chain: list[BaseException] = []
    while error is not None and error not in chain:
        chain.append(error)
        error = error.__cause__ or error.__context__
    return chain


watch = Watch()


def pytest_sessionstart() -> None:
    logging.getLogger().addHandler(watch)
    logging.getLogger("airflow.task").addHandler(watch)  # it does not propagate on Airflow 2.11
    for name in ("urllib3", "requests"):
        logging.getLogger(name).setLevel(logging.DEBUG)
    listen_to(CampaignError, "__init__", lambda error, _: watch.errors.append(error))
    listen_to(Campaign, "as_dict", lambda _, record: watch.hear("an XCom", record))
    listen_to(subprocess.Popen, "communicate", lambda _, output: watch.hear("the output of a process", output))


def listen_to(owner: type, method: str, hear: Any) -> None:
    """Have each action of a method heard, with what it returned."""
    original = getattr(owner, method)

    def heard(self: Any, *args: Any, **kwargs: Any) -> Any:
        result = original(self, *args, **kwargs)
        hear(self, result)
        return result

    setattr(owner, method, heard)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    for name, text in report.sections if report.when == "call" else ():
        watch.hear(name, text)
    leaks = watch.take_leaks()
    if leaks and report.passed and not item.nodeid.startswith(SHOWS_ITS_CREDENTIALS):
        report.outcome = "failed"
        report.longrepr = "\n".join(["A secret has escaped:", *leaks])
    return report


@pytest.fixture(scope="session", autouse=True)
def nothing_secret_is_kept(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Look through the databases and logs of every Airflow that ran in a test's folder: XComs, rendered templates."""
    yield
    for pattern in ("*.db", "*.log"):
        for path in tmp_path_factory.getbasetemp().rglob(pattern):
            leak = leak_in(path.read_bytes().decode(errors="replace"))
            assert leak is None, f"{leak} in {path}"
