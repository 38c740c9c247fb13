"""The page as a process, on both databases: look-alikes of a camera lie on one pile."""

import io
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageEnhance

from edge_classifier import samples
from edge_classifier.core.jpeg_comment import event_comment, with_comment
from tests.mosquitto import Broker
from tests.waiting import eventually
from tests.web.recording import EVENT, SNAPSHOT, Sender, event_id, event_payload
from tests.web.serving import PASSWORD, Page, web

Rows = Callable[[str], list[tuple[Any, ...]]]


@pytest.fixture(params=["sqlite", "postgresql"])
def rows(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Rows]:
    """Asks the database of the page in ``tmp_path``."""
    if request.param == "postgresql":
        pytest.importorskip("psycopg", reason="the extra [fleet] is not installed")
        from tests.postgres import postgres  # Needs psycopg.

        with postgres() as running:
            monkeypatch.setenv("DATABASE_URL", running.url)
            yield lambda query: list(running.rows(query))
        return

    def ask(query: str) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(tmp_path / "web.db")) as connection:
            return connection.execute(query).fetchall()

    yield ask


def snapshot(number: int, image: Image.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, "JPEG")
    return with_comment(file.getvalue(), event_comment(event_id(number)))


def test_pictures_of_a_camera_lie_on_piles_which_a_reviewer_sees(
    rows: Rows, tmp_path: Path
) -> None:
    assert web(tmp_path, "createadmin", "anna", stdin=f"{PASSWORD}\n").returncode == 0
    cat = Image.open(samples.CAT).convert("RGB")
    other = Image.open(samples.FOLDER / "uniform.jpg").convert("RGB")
    darker = [ImageEnhance.Brightness(cat).enhance(share) for share in (1.0, 0.9, 0.8)]
    settings = ["lookalikes.enabled=on"]
    # Long enough for its label not to be new, which is asked about apart; not so long that the
    # stamp is taken for a wrong clock's.
    ago = (datetime.now(UTC) - timedelta(days=3)).isoformat()
    with (
        Broker(tmp_path / "broker") as broker,
        Page(tmp_path, ["mqtt.host=127.0.0.1", f"mqtt.port={broker.port}", *settings]) as page,
        Sender(broker.port) as sender,
    ):
        eventually(lambda: '"connected": true' in page.ask("/healthz").body.split("live")[0])
        for number, image in enumerate([*darker, other], 1):
            sender.send(EVENT, event_payload(number, margin=number / 100, ts=ago))
            sender.send(SNAPSHOT, snapshot(number, image))
        known = "SELECT picture_id, pile FROM web_picturecode ORDER BY picture_id"
        eventually(lambda: len(rows(known)) == 4, within_s=60)
        (one, first), (_, second), (_, third), (last, alone) = rows(known)
        assert (first, second, third, alone) == (one, one, one, last)
        cookie = page.log_in("anna", PASSWORD).cookies["sessionid"].partition(";")[0]
        review = page.ask("/review", headers={"Cookie": cookie}).body
        assert "and 2 that look alike" in review
        assert review.count("<article") == 2
        assert page.ask("/history?new=yes", headers={"Cookie": cookie}).status == 200
        assert '"lookalikes": {"ok": true}' in page.ask("/healthz").body
        assert "Traceback" not in page.said
    assert "what pictures look like is not compared" not in page.said
