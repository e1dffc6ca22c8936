from __future__ import annotations

from collections.abc import Iterator

import pytest

from airflow_provider_campaign.sandbox import Sandbox
from airflow_provider_campaign.sandbox.virtual_clock import VirtualClock
from tests.sandbox.clients import KoreClient, SonarlyClient


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture
def sandbox(clock: VirtualClock) -> Iterator[Sandbox]:
    with Sandbox(clock=clock) as sandbox:
        yield sandbox


@pytest.fixture
def kore(sandbox: Sandbox) -> KoreClient:
    return KoreClient(sandbox)


@pytest.fixture
def sonarly(sandbox: Sandbox) -> SonarlyClient:
    return SonarlyClient(sandbox)
