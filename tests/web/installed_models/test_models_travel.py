"""A real page, a real broker, a real daemon elsewhere: a model gets there, and speaks."""

import hashlib
import json
import os
import re
import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import requests

from tests.mosquitto import Broker, Listener
from tests.ports import HOST
from tests.running_daemon import HASTY, Daemon, Remote, colours, model
from tests.tiny import Tiny, build
from tests.waiting import eventually
from tests.web.serving import PASSWORD, Page, hidden_token, prepare


@dataclass
class Network:
    """Between a daemon and a page; each connection may be cut after so many bytes."""

    to_port: int
    port: int = 0
    cuts: list[int] = field(default_factory=list)
    # What daemons asked for, in pieces as they came.
    asked: list[bytes] = field(default_factory=list)

    def carry(self, near: socket.socket) -> None:
        left = self.cuts.pop(0) if self.cuts else None
        # Whoever hangs up in the middle has a reason.
        far_end = (HOST, self.to_port)
        with suppress(OSError), closing(near), closing(socket.create_connection(far_end)) as far:
            near.settimeout(20)
            far.settimeout(20)
            head = near.recv(1 << 16)
            self.asked.append(head)
            far.sendall(head)
            while chunk := far.recv(1 << 14):
                near.sendall(chunk if left is None else chunk[:left])
                if left is not None:
                    left -= len(chunk)
                    if left <= 0:
                        return


@contextmanager
def network(to_port: int) -> Iterator[Network]:
    made = Network(to_port)
    with socket.create_server((HOST, 0)) as server:
        made.port = server.getsockname()[1]
        is_over = threading.Event()

        def accept() -> None:
            while not is_over.is_set():
                with suppress(OSError):
                    near, _ = server.accept()
                    threading.Thread(target=made.carry, args=(near,), daemon=True).start()

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        yield made
        is_over.set()
        with suppress(OSError):
            socket.create_connection((HOST, made.port), 1).close()
        thread.join(5)


class Administrator:
    """Somebody at the page, without a browser."""

    def __init__(self, page: Page) -> None:
        self._page, self._session = page, requests.Session()
        self.post("/login", at="/login", username="ann", password=PASSWORD)

    def read(self, path: str) -> str:
        return self._session.get(self._page.address + path, timeout=60).text

    def post(self, path: str, *, at: str, **form: object) -> str:
        """Send a form that stands ``at`` a page; the page that comes then."""
        files = {name: value for name, value in form.items() if isinstance(value, tuple)}
        fields = {name: value for name, value in form.items() if name not in files}
        fields["csrfmiddlewaretoken"] = hidden_token(self.read(at))
        answer = self._session.post(
            self._page.address + path,
            data=fields,
            files=files or None,
            headers={"Referer": self._page.address},
            timeout=120,
        )
        assert answer.status_code == 200, answer.text
        return answer.text


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    with Broker(tmp_path / "broker") as made:
        yield made


def daemon_elsewhere(folder: Path, broker: Broker, source_port: int, token: Path) -> Daemon:
    """One that fetches models from the page, through the network at ``source_port``."""
    pictures = colours(folder / "slides", "red", "green")
    camera = {"source": f"pictures:{pictures}", "picture_s": 0, "rate_fps": 20}
    return Daemon(
        folder / "daemon",
        broker.port,
        {
            "model": {"use": model(folder / "rgb.tflite")},
            "models": {"source": f"http://{HOST}:{source_port}", "token_file": token},
            "decision": HASTY,
            "cameras": {"front": camera},
        },
        folder / "cache",
    )


def test_model_that_is_uploaded_is_in_the_next_event_of_a_daemon_elsewhere(
    tmp_path: Path, broker: Broker
) -> None:
    """Through a network that is cut twice on the way."""
    state = tmp_path / "page"
    prepare(state, "ann")
    body = build(tmp_path / "new.tflite", Tiny(size=(24, 24))).read_bytes() + os.urandom(600_000)
    sha256 = hashlib.sha256(body).hexdigest()
    settings = (f"mqtt.host={HOST}", f"mqtt.port={broker.port}")
    with (
        Page(state, settings) as page,
        network(page.port) as between,
        Listener(broker.port, "#") as listener,
    ):
        ann, remote = Administrator(page), Remote(listener)
        ann.post("/models/upload", at="/models", name="garden 3", model=("m.tflite", body))
        name = f"garden-3-{sha256[:8]}"
        made = ann.post("/models/tokens/make", at="/models/tokens", name="pi")
        (secret,) = re.findall(r'value="(edge_device_[^"]+)"', made)
        token = tmp_path / "token"
        token.write_text(secret)
        token.chmod(0o600)
        daemon = daemon_elsewhere(tmp_path, broker, between.port, token)
        with daemon.running():
            eventually(lambda: "rgb@" in ann.read(f"/models/{name}/report"), 30)
            between.cuts = [200_000, 150_000]
            shown = ann.post(f"/models/{name}/send", at=f"/models/{name}/report", device=["pi"])
            assert "1 device was asked." in shown
            version = f"{name}@{sha256[:8]}"
            daemon.until(lambda: remote.state("front").get("model") == version, 60)
            daemon.until(lambda: remote.changes("front")[-1]["model"] == version)
            ranges = [re.findall(rb"(?i)range: (bytes=\d+-)", head) for head in between.asked]
            assert [len(found) for found in ranges] == [0, 1, 1]
            assert all(f"GET /api/v1/models/{sha256}".encode() in head for head in between.asked)
            row = re.compile(r'good">runs</span>')
            eventually(lambda: row.search(ann.read(f"/models/{name}/report?part")), 30)
            told = json.loads(listener.of("/info")[-1].payload)["model_change"]
            assert (told["state"], told["sha256"]) == ("running", sha256)

            # A token that is revoked fetches nothing any more; the page says why, by the device.
            other = build(tmp_path / "other.tflite", Tiny(size=(16, 16))).read_bytes()
            ann.post("/models/upload", at="/models", name="street", model=("m.tflite", other))
            ann.post("/models/tokens/1/revoke", at="/models/tokens")
            street = f"street-{hashlib.sha256(other).hexdigest()[:8]}"
            ann.post(f"/models/{street}/send", at=f"/models/{street}/report", device=["pi"])
            eventually(
                lambda: (
                    "refuses this device&#x27;s token" in ann.read(f"/models/{street}/report?part")
                ),
                30,
            )
            assert remote.state("front")["model"] == version
