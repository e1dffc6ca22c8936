"""Our commands, run in this process as a person types them."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from airflow_provider_campaign.__main__ import main


@dataclass(frozen=True)
class Shown:
    status: int
    stdout: str
    stderr: str

    @property
    def rows(self) -> list[dict[str, Any]]:
        """What ``-o json`` prints."""
        return json.loads(self.stdout or "[]")  # type: ignore[no-any-return]


Command = Callable[..., Shown]


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str]) -> Command:
    """Return what runs a command: ``command("live", "-o", "json")``."""

    def run(*arguments: str) -> Shown:
        capsys.readouterr()
        with pytest.raises(SystemExit) as end:
            main(arguments)
        printed = capsys.readouterr()
        return Shown(int(end.value.code or 0), printed.out, printed.err)

    return run
