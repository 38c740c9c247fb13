"""Snapshots on S3-compatible storage, as a fleet has it."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("storages", reason="the extra [fleet] is not installed")

import boto3
from django.core.files.storage import storages
from django.test import override_settings
from moto.server import ThreadedMotoServer

from edge_classifier.web.config.settings import StorageSettings, WebSettings
from edge_classifier.web.django_settings import storage_backend
from edge_classifier.web.records import picture_storage
from tests.mosquitto import Broker
from tests.web.conftest import FOLDERS
from tests.web.recording import Process, Sender, snapshot_payload

BUCKET = "pictures"
KEYS = {
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
    "AWS_DEFAULT_REGION": "us-east-1",
}
PICTURED = "SELECT count(*) FROM web_record WHERE picture_id IS NOT NULL"


@pytest.fixture
def endpoint(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of an S3-compatible storage with a bucket."""
    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)
    server = ThreadedMotoServer("127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    address = f"http://{host}:{port}"
    client = boto3.client("s3", endpoint_url=address)
    client.create_bucket(Bucket=BUCKET)
    client.close()
    yield address
    server.stop()


def test_snapshot_is_kept_in_a_bucket_and_read_from_there(endpoint: str, tmp_path: Path) -> None:
    settings = {"storage.bucket": BUCKET, "storage.endpoint": endpoint}
    with Broker(tmp_path / "broker") as broker, Sender(broker.port) as sender:
        process = Process(tmp_path / "recorder", broker.port, settings, environment=KEYS)
        with process.running(broker):
            sender.events(1, 2)
            sender.snapshots(1, 2)
            process.until(lambda: process.rows(PICTURED) == [2])
            assert process.stop() == 0
    assert not list((process.state / "pictures").rglob("*.jpg"))
    chosen = WebSettings(storage=StorageSettings(bucket=BUCKET, endpoint=endpoint))
    backends = {**storages.backends, "default": storage_backend(chosen, FOLDERS)}
    with override_settings(STORAGES=backends):
        for number in (1, 2):
            name = picture_storage.picture_name(
                hashlib.sha256(snapshot_payload(number)).hexdigest()
            )
            assert picture_storage.read(name) == snapshot_payload(number)


def test_recorder_waits_for_a_bucket_that_is_away(endpoint: str, tmp_path: Path) -> None:
    settings = {"storage.bucket": "another", "storage.endpoint": endpoint}
    with Broker(tmp_path / "broker") as broker, Sender(broker.port) as sender:
        process = Process(tmp_path / "recorder", broker.port, settings, environment=KEYS)
        with process.running(broker):
            sender.snapshots(1)
            sender.events(1)
            process.until(lambda: "nothing is acknowledged: pictures: cannot be" in process.log)
            client = boto3.client("s3", endpoint_url=endpoint)
            client.create_bucket(Bucket="another")
            client.close()
            process.until(lambda: process.rows(PICTURED) == [1])
            # It says so when the rows are there already.
            process.until(lambda: "recording goes on" in process.log)
