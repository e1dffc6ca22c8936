"""Records on S3: each is created by a conditional put, so that none is ever overwritten, and all can be verified."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from moto.server import ThreadedMotoServer

from airflow_provider_campaign.exceptions import CampaignRecordError
from airflow_provider_campaign.operators.sweep import StopActiveCampaignsOperator
from airflow_provider_campaign.records.progress import Progress
from airflow_provider_campaign.records.record import RecordDraft
from airflow_provider_campaign.records.store import RecordStore
from airflow_provider_campaign.sandbox import Sandbox
from airflow_provider_campaign.sandbox.virtual_clock import VirtualClock
from tests.commands import Command
from tests.kinds import Connect
from tests.records_guard import check_record, verify_records

RUN = {"dag_id": "closing", "run_id": "evening", "task_id": "stop_all", "map_index": -1, "try_number": 1}
RUN["logical_date"] = None


class Bucket:
    """A bucket with Object Lock, seen past Airflow."""

    def __init__(self, url: str, name: str) -> None:
        self.path = f"s3://aws_default@{name}/evenings"
        self.client: Any = boto3.client(
            "s3", endpoint_url=url, region_name="us-east-1", aws_access_key_id="id", aws_secret_access_key="secret"
        )
        self._name = name
        self.client.create_bucket(Bucket=name, ObjectLockEnabledForBucket=True)

    def records(self) -> dict[str, bytes]:
        listed = self.client.list_objects_v2(Bucket=self._name)["Contents"]
        keys = [each["Key"] for each in listed if each["Key"].endswith(".json")]
        return {key: self.client.get_object(Bucket=self._name, Key=key)["Body"].read() for key in keys}

    def versions(self, key: str) -> int:
        """Return how often a record was written: a bucket with Object Lock keeps each version."""
        return len(self.client.list_object_versions(Bucket=self._name, Prefix=key)["Versions"])

    def delete(self, key: str) -> None:
        """Delete a record; the lock keeps the version below the marker that this leaves."""
        self.client.delete_object(Bucket=self._name, Key=key)


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """Run an S3; Airflow keeps one client for all that a connection is used for."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        yield f"http://{host}:{port}"
    finally:
        server.stop()


@pytest.fixture
def bucket(url: str, connect: Connect, request: pytest.FixtureRequest) -> Bucket:
    extra = {"endpoint_url": url, "region_name": "us-east-1"}
    connect({"conn_type": "aws", "login": "id", "password": "secret", "extra": extra}, "aws_default")
    return Bucket(url, re.sub(r"\W|_", "-", request.node.name)[:60])


def test_records_are_kept_and_one_that_is_missing_is_named(
    bucket: Bucket, sandbox: Sandbox, connect: Connect, clock: VirtualClock, command: Command
) -> None:
    connect(sandbox.kore_connection())
    for evening in range(3):
        sandbox.add_campaign(f"sms-{evening}", "sms")
        StopActiveCampaignsOperator(task_id="stop_all", records_path=bucket.path).execute({})
        clock.advance(86400)
    records = bucket.records()
    for content in records.values():
        check_record(content)
    stopped = [json.loads(content)["campaigns"][0]["campaign_id"] for content in records.values()]
    assert stopped == [f"sms-{evening}" for evening in range(3)]
    assert command("records", bucket.path).status == 0
    missing = sorted(records)[1]
    bucket.delete(missing)
    shown = command("records", bucket.path)
    assert (shown.status, missing.removeprefix("evenings/") in shown.stderr) == (1, True)


def record_of(at: float, outcome: str) -> dict[str, Any]:
    return RecordDraft("sweep", RUN, at, "campaign_default").record(Progress(), at + 1, outcome)


def test_a_record_that_is_there_is_never_written_again(bucket: Bucket) -> None:
    store = RecordStore(bucket.path)
    before = store.write(record_of(1_800_000_000.0, "success"))
    after = store.write(record_of(1_800_000_100.0, "failed"))
    assert before["path"].endswith("closing/evening/stop_all.try1.json")
    assert after["path"].endswith("closing/evening/stop_all.try1.2.json")
    assert [bucket.versions(key) for key in bucket.records()] == [1, 1]
    assert verify_records(store.read()) == []
    assert store.earlier_tries({**RUN, "try_number": 2})[1].sha256 == after["sha256"]


@pytest.mark.usefixtures("bucket")
def test_a_bucket_that_is_not_there_is_named() -> None:
    with pytest.raises(CampaignRecordError, match=r"s3://aws_default@no-such-bucket/evenings.*bucket does not exist"):
        RecordStore("s3://aws_default@no-such-bucket/evenings").write(record_of(1.0, "success"))
