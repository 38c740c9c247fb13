"""A model's file comes as a whole, as it was promised, and in time; or not at all."""

import hashlib
import shutil
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from edge_classifier.cli.doctor.model_source import try_model_source
from edge_classifier.config.settings import ModelSourceSettings
from edge_classifier.daemon.models.download import DownloadLimits, ModelDownload
from edge_classifier.errors import (
    ConfigurationError,
    DownloadError,
    EdgeClassifierError,
    OutputError,
)
from tests.daemon.models.source import TOKEN, Source, serving
from tests.fake_source import FakeClock
from tests.mosquitto import authority
from tests.ports import free_port

BODY = bytes(range(256)) * 4000
SHA256 = hashlib.sha256(BODY).hexdigest()
# Where nothing is about time, a busy machine may take its own; pauses only are short.
PATIENT = DownloadLimits(pause_s=0.01, most_pause_s=0.02)
# Where nothing comes.
IMPATIENT = replace(PATIENT, stall_s=0.3, patience_s=0.6)


@pytest.fixture
def source() -> Iterator[Source]:
    with serving(BODY) as made:
        yield made


class Room:
    """Where a download goes, and what it is told."""

    def __init__(self, folder: Path) -> None:
        self.part = folder / "fetched" / f".part-{SHA256}"
        token = folder / "token"
        token.write_text(f"{TOKEN}\n")
        self.settings = ModelSourceSettings(token_file=token)
        self.told: list[tuple[int, int]] = []

    def fetch(self, url: str, limits: DownloadLimits = PATIENT, **settings: Any) -> bytes:
        """What has come."""
        ModelDownload(
            replace(self.settings, source=url, **settings),
            SHA256,
            self.part,
            progress=lambda *so_far: self.told.append(so_far),
            limits=limits,
        ).run()
        return self.part.read_bytes()

    def fails(
        self,
        url: str,
        kind: type[EdgeClassifierError],
        limits: DownloadLimits = PATIENT,
        **settings: Any,
    ) -> str:
        """Why nothing comes."""
        with pytest.raises(kind) as caught:
            self.fetch(url, limits, **settings)
        return str(caught.value)


@pytest.fixture
def room(tmp_path: Path) -> Room:
    return Room(tmp_path)


def test_download_comes_as_a_whole_and_tells_how_far_it_is(source: Source, room: Room) -> None:
    assert room.fetch(source.url) == BODY
    assert room.told[-1] == (len(BODY), len(BODY))
    assert source.paths == [f"/api/v1/models/{SHA256}"]
    assert source.requests[0]["authorization"] == f"Bearer {TOKEN}"


def test_download_that_is_cut_goes_on_where_it_was(source: Source, room: Room) -> None:
    source.cuts = [100_000, 50_000]
    assert room.fetch(source.url) == BODY
    assert source.ranges == ["", "bytes=100000-", "bytes=150000-"]
    assert {one.get("if-range", "") for one in source.requests} == {"", f'"{SHA256}"'}


def test_download_that_is_given_up_goes_on_the_next_time(source: Source, room: Room) -> None:
    source.cuts = [100_000, *[0] * 1000]
    words = room.fails(source.url, DownloadError, replace(PATIENT, patience_s=0.6))
    assert "the connection to 127.0.0.1 ended too early; 100000 bytes are kept" in words
    source.cuts, source.requests = [], []
    assert room.fetch(source.url) == BODY
    assert source.ranges == ["bytes=100000-"]


def test_download_of_another_file_is_thrown_away(source: Source, room: Room) -> None:
    source.body = BODY[:-1] + b"!"
    assert "SHA-256 differs" in room.fails(source.url, DownloadError)
    assert not room.part.exists()
    assert len(source.requests) == 1


def test_download_whose_beginning_was_damaged_begins_anew(source: Source, room: Room) -> None:
    room.part.parent.mkdir()
    room.part.write_bytes(b"\0" * 5000)
    assert room.fetch(source.url) == BODY
    assert source.ranges == ["bytes=5000-", ""]


@pytest.mark.parametrize("extra", [0, 100])
def test_download_that_is_all_there_is_asked_for_once_at_most(
    source: Source, room: Room, extra: int
) -> None:
    room.part.parent.mkdir()
    room.part.write_bytes(BODY + b"\0" * extra)
    assert room.fetch(source.url) == BODY
    assert len(source.requests) == (2 if extra else 1)


@pytest.mark.parametrize("size", [10_000_000_000, 1_000_001])
def test_download_that_announces_too_much_is_refused_before_its_first_byte(
    source: Source, room: Room, size: int
) -> None:
    source.announced = size
    words = room.fails(source.url, DownloadError, max_mb=1)
    assert f"announces {size} bytes, more than models.max_mb allows (1 MB)" in words
    assert not room.part.exists()


def test_download_without_an_end_is_refused(source: Source, room: Room) -> None:
    source.announced = None
    assert "does not say how large" in room.fails(source.url, DownloadError)
    assert not room.part.exists()


def test_download_keeps_no_byte_beyond_what_was_announced(source: Source, room: Room) -> None:
    source.announced, source.body = 1000, BODY * 20
    assert "SHA-256 differs" in room.fails(source.url, DownloadError)
    assert room.told[-1] == (1000, 1000)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_download_is_never_sent_on(source: Source, room: Room, status: int) -> None:
    with serving(BODY) as elsewhere:
        source.refusals = [(status, {"Location": f"{elsewhere.url}/{SHA256}"})]
        assert "sends on to another place" in room.fails(source.url, DownloadError)
        assert elsewhere.requests == []
    assert len(source.requests) == 1


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (401, "refuses this device's token"),
        (403, "refuses this device's token"),
        (404, "has no such model"),
        (418, "gives no model (HTTP status 418)"),
    ],
)
def test_download_that_is_refused_is_not_asked_for_again(
    source: Source, room: Room, status: int, words: str
) -> None:
    source.refusals = [(status, {})] * 9
    assert words in room.fails(source.url, DownloadError)
    assert len(source.requests) == 1


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_download_that_has_no_place_now_is_asked_for_later(
    source: Source, room: Room, status: int
) -> None:
    source.refusals = [(status, {"Retry-After": "0"})] * 2
    assert room.fetch(source.url) == BODY
    assert len(source.requests) == 3


def test_download_waits_as_long_as_it_is_asked_to(source: Source, tmp_path: Path) -> None:
    slept: list[float] = []
    source.refusals = [(503, {"Retry-After": "7"}), (503, {"Retry-After": "99999"})]
    room = Room(tmp_path)
    settings = replace(room.settings, source=source.url)
    ModelDownload(settings, SHA256, room.part, sleep=slept.append).run()
    # A page that asks for an hour gets a minute.
    assert slept == [7.0, 60.0]


def test_download_from_which_nothing_comes_is_given_up(source: Source, room: Room) -> None:
    is_over = threading.Event()
    source.before_piece = lambda: is_over.wait(60)
    words = room.fails(source.url, DownloadError, IMPATIENT)
    assert words.startswith("127.0.0.1: does not answer in time")
    is_over.set()


def test_download_that_drips_is_over_in_time_and_keeps_what_came(
    source: Source, room: Room
) -> None:
    clock, came = FakeClock(), threading.Semaphore(1)

    def drip() -> None:
        """The next byte comes when the one before was read, and after a while."""
        assert came.acquire(timeout=60)
        clock.add(100)

    source.piece, source.before_piece = 1, drip
    settings = replace(room.settings, source=source.url)
    with pytest.raises(DownloadError, match="bytes are kept"):
        ModelDownload(
            settings,
            SHA256,
            room.part,
            progress=lambda *_: came.release(),
            limits=replace(PATIENT, stall_s=300, total_s=1000),
            clock=clock,
        ).run()
    # The last one may come when there is no time left to take it.
    assert room.part.stat().st_size in {9, 10}


def test_download_from_a_page_that_comes_up_later_is_made(room: Room) -> None:
    port = free_port()
    waited: list[float] = []
    with pytest.raises(DownloadError, match="nothing answers at 127"):
        room.fetch(f"http://127.0.0.1:{port}", IMPATIENT)

    def up_after_a_while(pause_s: float) -> None:
        waited.append(pause_s)
        if len(waited) == 3:
            up.append(server.__enter__())

    server, up = serving(BODY, port=port), list[Source]()
    settings = replace(room.settings, source=f"http://127.0.0.1:{port}")
    try:
        ModelDownload(settings, SHA256, room.part, limits=PATIENT, sleep=up_after_a_while).run()
        assert room.part.read_bytes() == BODY
    finally:
        if up:
            server.__exit__(None, None, None)


def test_download_over_tls_takes_the_right_certificate_and_no_other(
    room: Room, tmp_path: Path
) -> None:
    ours, other = authority(tmp_path / "ours"), authority(tmp_path / "other")
    with serving(BODY, certificate=ours.sign("page", "IP:127.0.0.1")) as source:
        words = room.fails(source.url, DownloadError)
        assert "the certificate of 127.0.0.1 is not good" in words
        words = room.fails(source.url, DownloadError, ca_file=other.certificate)
        assert "models.ca_file" in words
        assert source.requests == []
        assert room.fetch(source.url, ca_file=ours.certificate) == BODY
    with serving(BODY, certificate=ours.sign("else", "IP:127.0.0.2")) as source:
        room.part.unlink()
        words = room.fails(source.url, DownloadError, ca_file=ours.certificate)
        assert "IP address mismatch" in words


def test_download_with_an_authority_that_is_none_says_so(
    source: Source, room: Room, tmp_path: Path
) -> None:
    (tmp_path / "ca").write_text("no certificate")
    url = source.url.replace("http:", "https:")
    assert "models.ca_file" in room.fails(url, ConfigurationError, ca_file=tmp_path / "ca")


def test_download_without_its_token_says_what_to_do(
    source: Source, room: Room, tmp_path: Path
) -> None:
    assert "The page makes a device's token" in room.fails(
        source.url, DownloadError, token_file=None
    )
    (tmp_path / "empty").touch()
    assert "is empty" in room.fails(source.url, ConfigurationError, token_file=tmp_path / "empty")


def test_source_is_tried_without_fetching_anything(
    source: Source, room: Room, tmp_path: Path
) -> None:
    """What `edge-classify doctor` says of it."""

    def tried(**changed: Any) -> str:
        settings = replace(room.settings, **{"source": source.url, **changed})
        try:
            (found,) = try_model_source(settings)
        except EdgeClassifierError as error:
            return str(error)
        assert found.ok
        return found.detail

    assert "takes this device's token" in tried()
    (tmp_path / "other").write_text("another")
    assert "refuses this device's token" in tried(token_file=tmp_path / "other")
    source.refusals = [(404, {"Content-Type": "text/html"})]
    assert "something else than the page" in tried()
    source.refusals = [(302, {"Location": "http://elsewhere"})]
    assert "sends on to another place" in tried()
    assert "nothing answers at" in tried(source=f"http://127.0.0.1:{free_port()}")
    assert not room.part.exists()


def test_download_that_would_fill_the_disk_is_not_begun(
    source: Source, room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = SimpleNamespace(free=50_500_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    assert "does not fit" in room.fails(source.url, OutputError)
    assert not room.part.exists()


def test_download_that_cannot_be_written_says_so(source: Source, room: Room) -> None:
    room.part.parent.write_text("a file where the folder was")
    assert "cannot be written" in room.fails(source.url, OutputError)
