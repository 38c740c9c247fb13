"""The whole daemon where it cannot work: full disks, wrong settings, a network that is down."""

import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from edge_classifier.errors import ExitCode
from tests.conftest import Cli
from tests.daemon.site import LONG_S, DaemonSite, gapless, seqs, stream
from tests.mjpeg import MjpegCamera
from tests.mosquitto import Broker, Listener, password_file
from tests.running_daemon import NODE, Daemon, Remote, Tree, model
from tests.smalldisk import fill, tmpfs
from tests.waiting import eventually


def test_service_on_a_full_disk_publishes_says_so_once_and_recovers(
    site: DaemonSite, tmp_path: Path
) -> None:
    remote = site.remote
    with tmpfs(tmp_path / "disk", "6m") as disk:
        store = {"enabled": True, "max_bytes": 1_000_000, "distance": 0}
        camera = site.slides("red", "green", "blue")
        device = {"name": NODE, "state_folder": disk / "state"}
        with site.daemon({"door": camera}, store=store, device=device).running() as daemon:
            daemon.until(lambda: len(remote.events("door")) >= 10)
            fill(disk)
            daemon.until(lambda: "Events are kept in memory" in daemon.log)
            # A picture of a kind that is not kept yet.
            assert remote.ask("snapshot")["status"] == "ok"
            daemon.until(lambda: "no pictures are kept" in daemon.log)
            goal = len(remote.events("door")) + 100
            daemon.until(lambda: len(remote.events("door")) >= goal)
            (disk / "filler").unlink()
            daemon.until(lambda: "events are on disk again" in daemon.log)

            def pictures_are_kept() -> bool:
                remote.ask("snapshot")
                return "pictures are kept again" in daemon.log

            daemon.until(pictures_are_kept)
            assert daemon.log.count("Events are kept in memory") == 1
            assert daemon.log.count("no pictures are kept") == 1
            assert daemon.stop() == 0
    events = remote.events("door")
    assert seqs(events) == gapless(len(events))


def test_service_shows_no_secret_anywhere(site: DaemonSite, tmp_path: Path, cli: Cli) -> None:
    secrets = ("broker-pa55", "yard-pa55", "pond-pa55", "roof-pa55", "path-pa55", "query-pa55")
    lines = ("allow_anonymous false", f"password_file {password_file(tmp_path, camera=secrets[0])}")
    password = tmp_path / "password"
    password.write_text(f"{secrets[0]}\n")
    login = tmp_path / "login"
    login.write_text(f"user:{secrets[1]}\n")
    with (
        Broker(tmp_path / "guarded", lines) as broker,
        Listener(
            broker.port, "#", prepare=lambda one: one.username_pw_set("camera", secrets[0])
        ) as listener,
        MjpegCamera(login=f"user:{secrets[1]}") as yard,
        MjpegCamera(login=f"user:{secrets[2]}") as pond,
    ):
        remote = Remote(listener)

        def address(word: str) -> str:
            return pond.url.replace("//", f"//user:{word}@")

        cameras = {
            "yard": stream(yard, credentials_file=login),
            "pond": stream(pond, source=f"{address(secrets[2])}?pwd={secrets[5]}"),
            # A wrong one, which is complained about.
            "roof": stream(pond, source=f"{address(secrets[3])}/user=me&password={secrets[4]}"),
        }
        mqtt = {"port": broker.port, "username": "camera", "password_file": password}
        with site.daemon(cameras, mqtt=mqtt, log={"level": "debug"}).running() as daemon:
            daemon.until(lambda: remote.state("yard").get("label") == "blue")
            daemon.until(lambda: remote.availability("pond") == "online")
            daemon.until(lambda: remote.listener.of("/stats"))
            daemon.until(lambda: remote.state("roof").get("problem"))
            assert remote.ask("reload")["status"] == "ok"
            told = daemon.page("/metrics") + daemon.page("/healthz")
            assert daemon.stop() == 0
            told += daemon.log + daemon.output
        told += "".join(str(message.payload, "latin-1") for message in listener.messages)
        shown = cli("config", "show", "--config", daemon.config)
        assert shown.returncode == 0
        told += str(shown.stdout + shown.stderr, "utf-8")
    assert "/stream.mjpg" in told
    assert [secret for secret in secrets if secret in told] == []


@pytest.mark.parametrize(
    ("settings", "code", "words"),
    [
        (
            {"mqtt": {"port": 70_000}, "colour": "red", "cameras": {"door": {"source": ""}}},
            ExitCode.CONFIGURATION,
            ("mqtt.port", "colour", "cameras.door.source"),
        ),
        ({"model": {"use": "/etc/passwd"}}, ExitCode.BAD_DATA, ("/etc/passwd",)),
        (
            {"decision": {"groups": {"warm": ["red", "oragne"]}, "ignore": ["blu"]}},
            ExitCode.CONFIGURATION,
            ("oragne", "'blu' is no label of this model; similar: 'blue'"),
        ),
        (
            {"device": {"name": NODE, "state_folder": "/proc/no"}},
            ExitCode.CANNOT_WRITE,
            ("/proc/no",),
        ),
        (
            {"cameras": {"door": {"source": "http://x/", "credentials_file": "/no/login"}}},
            ExitCode.CONFIGURATION,
            ("/no/login",),
        ),
    ],
)  # fmt: skip
def test_service_that_cannot_start_says_all_that_is_wrong(
    tmp_path: Path, cache: Path, settings: Tree, code: ExitCode, words: tuple[str, ...]
) -> None:
    network = model(tmp_path / "rgb.tflite")
    whole: Mapping[str, Any] = {
        "model": {"use": network},
        "cameras": {"door": {"source": "/dev/video99"}},
        **settings,
    }
    with Daemon(tmp_path / "daemon", 1, whole, cache).launched() as daemon:
        assert daemon.wait() == code
        assert [word for word in words if word not in daemon.log] == []
        assert "Traceback" not in daemon.log


# --- a network of its own ----------------------------------------------------------------------


@dataclass(frozen=True)
class Cable:
    """Between this machine and a network namespace; all of it is this process's own."""

    namespace: str = f"edge-{os.getpid()}"
    here: str = f"here-{os.getpid()}"
    there: str = f"there-{os.getpid()}"
    near: str = f"10.91.{os.getpid() % 250}.1"
    far: str = f"10.91.{os.getpid() % 250}.2"

    def up(self) -> None:
        self._set("up")

    def down(self) -> None:
        self._set("down")

    def remove(self) -> None:
        # The namespace would take the cable along, but some time later.
        for words in (("link", "delete", self.here), ("netns", "delete", self.namespace)):
            command = ["ip", *words]
            subprocess.run(command, capture_output=True, timeout=30, check=False)

    def _set(self, word: str) -> None:
        _ip("link", "set", self.here, word)


def _ip(*words: str) -> None:
    done = subprocess.run(["ip", *words], capture_output=True, text=True, timeout=30, check=False)
    if done.returncode:
        pytest.skip(f"no network namespace can be made here: {done.stderr.strip()}")


@pytest.fixture
def cable() -> Iterator[Cable]:
    if shutil.which("ip") is None:
        pytest.skip("ip is not installed (apt install iproute2)")
    made = Cable()
    _ip("netns", "add", made.namespace)
    try:
        _ip("link", "add", made.here, "type", "veth", "peer", made.there, "netns", made.namespace)
        _ip("address", "add", f"{made.near}/30", "dev", made.here)
        _ip("-n", made.namespace, "address", "add", f"{made.far}/30", "dev", made.there)
        for name in (made.there, "lo"):
            _ip("-n", made.namespace, "link", "set", name, "up")
        made.up()
        yield made
    finally:
        made.remove()


@pytest.mark.system
@pytest.mark.parametrize("length", ["short", "long"])
def test_service_whose_link_goes_down_and_up_delivers_all(
    cable: Cable, tmp_path: Path, site: DaemonSite, length: str
) -> None:
    with (
        Broker(tmp_path / "far", address="0.0.0.0") as site.broker,  # noqa: S104 (for both ends)
        Listener(site.broker.port, "#") as listener,
    ):
        remote = Remote(listener)
        mqtt = {"host": cable.near, "keepalive_s": 5}
        daemon = site.daemon({"door": site.slides("red", "green")}, ("--explain",), mqtt=mqtt)
        daemon.before = ("ip", "netns", "exec", cable.namespace)

        def made() -> int:
            return daemon.output.count("changed:")

        with daemon.running():
            daemon.until(lambda: len(remote.events("door")) >= 10)
            cable.down()
            goal = made() + 40
            daemon.until(lambda: made() >= goal)
            if length == "long":  # Both sides notice.
                daemon.until(lambda: "not connected to the broker" in daemon.log)
                daemon.until(lambda: remote.availability() == "offline")
            assert len(remote.events("door")) < goal
            goal = made()
            cable.up()
            daemon.until(lambda: len(remote.events("door")) > goal, LONG_S)
            daemon.until(lambda: remote.availability() == "online")
            assert daemon.stop() == 0
        eventually(lambda: remote.availability() == "offline")
    events = remote.events("door")
    assert seqs(events) == gapless(len(events))
