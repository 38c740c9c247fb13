"""The daemon as a whole, with real cameras, a real broker, and all that may befall them."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import pairwise
from operator import le
from pathlib import Path
from typing import Any

import pytest

from edge_classifier.decision.reasons import Reason
from edge_classifier.errors import ExitCode
from tests.conftest import Cli
from tests.mjpeg import MjpegCamera, jpeg
from tests.mosquitto import Broker, Listener, password_file
from tests.running_daemon import HASTY, NODE, ROOT, Daemon, Remote, Tree, colours, model
from tests.smalldisk import fill, tmpfs
from tests.waiting import eventually

# Blue, green, red.
GREEN, RED = (0, 255, 0), (0, 0, 255)
GERMAN = ("rot", "grün", "blau")
# A broker that was away may be called again only after some seconds.
LONG_S = 60.0


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@dataclass
class House:
    """A broker, someone who listens to it, and room for a daemon."""

    folder: Path
    cache: Path
    broker: Broker
    remote: Remote

    def daemon(self, cameras: Tree, arguments: tuple[str, ...] = (), **settings: Any) -> Daemon:
        """Not started. Its model names colours."""
        network = model(self.folder / "rgb.tflite")
        whole = {"model": {"use": network}, "decision": HASTY, "cameras": cameras, **settings}
        return Daemon(
            self.folder / "daemon", self.broker.port, whole, self.cache, arguments=arguments
        )

    def slides(self, *names: str, **settings: Any) -> dict[str, Any]:
        """A camera before which these colours change, 20 times a second."""
        folder = self.folder / "-".join(names)
        pictures = folder if folder.exists() else colours(folder, *names)
        return {"source": f"pictures:{pictures}", "picture_s": 0, "rate_fps": 20, **settings}


@pytest.fixture
def house(tmp_path: Path, cache: Path) -> Iterator[House]:
    with Broker(tmp_path / "broker") as broker, Listener(broker.port, "#") as listener:
        yield House(tmp_path, cache, broker, Remote(listener))


def stream(camera: MjpegCamera, **settings: Any) -> dict[str, Any]:
    """A camera that is given up and tried again soon."""
    limits = {"open_timeout_s": 3, "read_timeout_s": 1, "retry_max_s": 1}
    return {"source": camera.url, "rate_fps": 10, **limits, **settings}


def seqs(events: list[dict[str, Any]]) -> list[int]:
    return [event["seq"] for event in events]


def gapless(count: int) -> list[int]:
    return list(range(1, count + 1))


# --- what comes out ----------------------------------------------------------------------------


def test_daemon_publishes_complete_events_in_order_each_before_its_state(house: House) -> None:
    camera = house.slides("red", "green", "blue")
    remote = house.remote
    with house.daemon({"door": camera}).running() as daemon:
        daemon.until(lambda: len(remote.events("door")) >= 20)
        assert daemon.stop() == 0
    events = remote.deliveries("door")
    assert seqs(events) == gapless(len(events))
    assert len({event["id"] for event in events}) == len(events)
    assert [event["to"] for event in events[:4]] == ["red", "green", "blue", "red"]
    assert [event["from"] for event in events[:4]] == ["unknown", "red", "green", "blue"]
    for event in events:
        assert event.keys() == {
            *("event_type", "id", "camera", "seq", "from", "to", "from_name", "to_name"),
            *("score", "margin", "ts", "model", "capture_to_publish_ms"),
        }
        assert event["event_type"] == "label_changed"
        assert event["camera"] == "door"
        assert 0.9 < event["score"] <= 1
        assert 0.9 < event["margin"] <= 1
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", event["ts"])
        assert re.fullmatch(r"rgb@[0-9a-f]{8}", event["model"])
        assert 0 < event["capture_to_publish_ms"] < 20_000
    _assert_states_follow_events(remote)


def _assert_states_follow_events(remote: Remote) -> None:
    told = {}
    shown = []
    # On connecting, what is retained goes out first.
    begin = remote.listener.messages.index(remote.listener.of("/event")[0])
    for message in remote.listener.messages[begin:]:
        if message.topic.endswith("/door/event"):
            event = json.loads(message.payload)
            told[event["seq"]] = event["to"]
        elif message.topic.endswith("/door/state"):
            state = json.loads(message.payload)
            assert told[state["seq"]] == state["label"]
            shown.append(state["seq"])
    assert shown == sorted(shown)
    assert shown[-1] == max(told)


def test_daemon_retains_what_is_and_tells_figures_and_pictures(house: House) -> None:
    remote = house.remote
    camera = house.slides("red", "green", title="Front door")
    with house.daemon({"door": camera}).running() as daemon:
        daemon.until(lambda: remote.listener.of("/stats") and remote.events("door"))
        daemon.until(lambda: remote.listener.of("/door/snapshot"))
        with Listener(house.broker.port, f"{ROOT}/#", name="late") as late:
            endings = (
                "/pi/availability",
                "/door/availability",
                "/door/state",
                "/info",
                "/snapshot",
            )
            daemon.until(lambda: all(late.of(ending) for ending in endings))
            assert [late.of(ending)[0].retain for ending in endings] == [True] * 5
            assert not any(message.retain for message in late.of("/event"))
        assert remote.listener.of("/door/snapshot")[0].payload[:3] == b"\xff\xd8\xff"
        assert "Front door" in remote.listener.of("/config")[0].payload.decode()
        daemon.until(
            lambda: "publish" in json.loads(remote.listener.of("/stats")[-1].payload)["stages_ms"]
        )
        stats = json.loads(remote.listener.of("/stats")[-1].payload)
        assert stats["cameras"]["door"]["online"] is True
        assert stats["cameras"]["door"]["reasons"].keys() <= set(Reason)
        assert stats["publisher"]["connected"] is True
        assert 'edge_classifier_camera_online{camera="door"} 1.0' in daemon.page("/metrics")
        assert json.loads(daemon.page("/healthz"))["status"] == "ok"


def test_daemon_that_explains_says_of_each_frame_what_became_of_it(house: House) -> None:
    camera = house.slides("red", "green", rate_fps=0, loop=False)
    with house.daemon({"door": camera}, ("--explain",)).running() as daemon:
        daemon.until(lambda: daemon.output.count("\n") >= 2)
        lines = daemon.output.splitlines()
    assert re.fullmatch(r"\d\d:\d\d:\d\d  door  changed: unknown -> red 0\.9\d", lines[0])
    assert re.fullmatch(r"\d\d:\d\d:\d\d  door  changed: red -> green 0\.9\d", lines[1])


# --- killed ------------------------------------------------------------------------------------


def test_daemon_and_broker_killed_in_outages_lose_and_disorder_nothing(house: House) -> None:
    remote, broker = house.remote, house.broker
    camera = house.slides("red", "green", "blue", rate_fps=50)
    daemon = house.daemon({"door": camera}, snapshots={"enabled": False})

    def arrive(more: int) -> None:
        goal = len(remote.events("door")) + more
        daemon.until(lambda: len(remote.events("door")) >= goal, LONG_S)

    def wait_in_vain(more: int) -> None:
        goal = daemon.figure("outbox_events") + more
        daemon.until(lambda: daemon.figure("outbox_events") >= goal)

    def outage() -> None:
        """The broker goes with messages in its hands that it has not looked at."""
        broker.save()
        assert broker.process
        broker.process.send_signal(signal.SIGSTOP)
        wait_in_vain(30)
        broker.kill()

    def end_outage() -> None:
        broker.start()
        remote.listener.await_subscribed()

    with daemon.running():
        arrive(20)
        outage()  # the broker alone
        wait_in_vain(20)
        end_outage()
        arrive(40)
        daemon.kill()  # the daemon alone
        daemon.start()
        arrive(20)
        outage()  # both, and the daemon twice
        wait_in_vain(20)
        daemon.kill()
        daemon.start()
        wait_in_vain(20)
        daemon.kill()
        end_outage()
        daemon.start()
        arrive(80)
        daemon.until(lambda: daemon.figure("outbox_events") < 5, LONG_S)
        assert daemon.stop() == 0
    eventually(lambda: remote.availability() == "offline")
    events = remote.events("door")
    assert seqs(events) == gapless(remote.state("door")["seq"])
    assert len(events) > 150
    for before, after in pairwise(events):
        assert after["from"] == before["to"]
    assert len({(event["id"], event["seq"]) for event in remote.deliveries("door")}) == len(events)


def test_daemon_killed_shows_its_last_state_before_the_first_frame(
    house: House, tmp_path: Path, cache: Path
) -> None:
    daemon = house.daemon({"door": house.slides("red", "green", retry_max_s=1)})
    model(daemon.state / "models/other.tflite", size=16)
    with daemon.running():
        daemon.until(lambda: house.remote.events("door"))
        assert house.remote.ask("model", model="other")["status"] == "ok"
        assert house.remote.ask("threshold", threshold=0.25)["status"] == "ok"
        assert house.remote.ask("enable", enabled=False, camera="door")["status"] == "ok"
        daemon.until(lambda: house.remote.state("door")["enabled"] is False)
        daemon.kill()
    before = house.remote.state("door")
    assert before["threshold"] == 0.25
    assert before["model"].startswith("other@")
    house.broker.kill()
    # Another broker, that knows nothing; and a camera that gives no frames.
    away = (tmp_path / "red-green").rename(tmp_path / "away")
    with (
        Broker(tmp_path / "another", port=house.broker.port) as broker,
        Listener(broker.port, "#", name="newcomer") as listener,
    ):
        remote = Remote(listener)
        with daemon.running():
            daemon.until(lambda: remote.states("door"))
            for state in (remote.states("door")[0], remote.state("door")):
                for key in ("label", "seq", "since", "enabled", "threshold"):
                    assert state[key] == before[key]
            daemon.until(lambda: remote.state("door")["model"] == before["model"])
            assert remote.availability("door") == "offline"
            away.rename(tmp_path / "red-green")
            assert remote.ask("enable", enabled=True)["status"] == "ok"
            # Older ones may arrive once more: the first broker's last acks were not on disk yet.
            daemon.until(
                lambda: any(event["seq"] > before["seq"] for event in remote.events("door"))
            )
            event = next(event for event in remote.events("door") if event["seq"] > before["seq"])
            assert (event["from"], event["seq"]) == (before["label"], before["seq"] + 1)


@pytest.mark.parametrize("way", ["connected", "broker away", "camera hangs"])
def test_daemon_told_to_end_says_offline_and_ends_well(house: House, way: str) -> None:
    with socket.socket() as silent, ExitStack() as caller:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        hanging = f"http://127.0.0.1:{silent.getsockname()[1]}/"
        cameras: dict[str, Any] = {"door": house.slides("red", "green")}
        if way == "camera hangs":
            cameras["yard"] = {"source": hanging, "open_timeout_s": 60}
        with house.daemon(cameras).running() as daemon:
            daemon.until(lambda: house.remote.events("door"))
            if way == "broker away":
                house.broker.kill()
            if way == "camera hangs":
                caller.enter_context(silent.accept()[0])
            assert daemon.stop(within_s=15) == 0
            assert "Traceback" not in daemon.log
    if way != "broker away":
        eventually(lambda: house.remote.availability() == "offline")
        assert house.remote.availability("door") == "offline"
        # By the daemon itself: the broker's will has no word for cameras.
        assert "broker told" in daemon.log


@pytest.mark.parametrize("after", ["", "INFO", "INFO model", "http://"])
def test_daemon_told_to_end_while_it_starts_ends_soon(house: House, after: str) -> None:
    with house.daemon({"door": house.slides("red", "green")}).launched() as daemon:
        while after not in daemon.log:
            daemon.until(lambda: True)
        assert daemon.stop(within_s=15) in {0, -signal.SIGTERM}
        assert "Traceback" not in daemon.log


# --- cameras -----------------------------------------------------------------------------------


def test_daemon_with_a_camera_that_fails_in_every_way_goes_on(house: House) -> None:
    remote = house.remote
    with MjpegCamera() as yard:
        yard.picture = jpeg(GREEN)
        cameras = {"yard": stream(yard), "door": house.slides("red", "green")}
        with house.daemon(cameras).running() as daemon:

            def turns(word: str) -> None:
                daemon.until(lambda: remote.availability("yard") == word)

            def door_goes_on() -> None:
                goal = len(remote.events("door")) + 10
                daemon.until(lambda: len(remote.events("door")) >= goal)

            turns("online")
            daemon.until(lambda: remote.state("yard").get("label") == "green")
            yard.kill()
            turns("offline")
            daemon.until(lambda: remote.state("yard")["problem"])
            door_goes_on()
            yard.stalled = True
            calls = yard.connections
            yard.start()
            daemon.until(lambda: yard.connections > calls)  # open, but without a first frame
            door_goes_on()
            assert remote.availability("yard") == "offline"
            yard.stalled = False
            turns("online")
            yard.garbage = 1_000_000
            turns("offline")
            door_goes_on()
            yard.garbage = 0
            turns("online")
            yard.stalled = True
            turns("offline")
            yard.stalled = False
            yard.picture = jpeg(RED)
            turns("online")
            daemon.until(lambda: remote.state("yard")["label"] == "red")
            daemon.until(lambda: remote.state("yard")["problem"] is None)
            assert remote.availability("door") == "online"
            assert daemon.stop() == 0


def test_daemon_through_twenty_reconnects_keeps_its_threads_and_files(house: House) -> None:
    names = ("north", "east", "south", "west")
    with (
        MjpegCamera() as server,
        house.daemon({name: stream(server) for name in names}).running() as daemon,
    ):

        def all_turn(word: str) -> None:
            daemon.until(lambda: all(house.remote.availability(name) == word for name in names))

        def reconnect() -> tuple[int, int]:
            server.kill()
            all_turn("offline")
            server.start()
            all_turn("online")
            return daemon.resources()

        all_turn("online")
        first = reconnect()
        for _ in range(4):
            last = reconnect()
        assert "hang" not in daemon.log
        # What belonged to the last connections may take a moment to go.
        assert last[0] <= first[0] + len(names)
        daemon.until(lambda: all(map(le, daemon.resources(), first)), 10)


# --- what changes while it runs ----------------------------------------------------------------


def test_daemon_does_what_it_is_asked_over_mqtt(house: House) -> None:
    remote = house.remote
    stale = json.dumps({"enabled": False, "transaction": "stale"})
    remote.listener.publish(f"{ROOT}/request/enable", stale, retain=True)
    with house.daemon({"door": house.slides("red", "green")}).running() as daemon:
        daemon.until(lambda: remote.events("door"))
        answer = remote.ask("threshold", threshold=0.5)
        assert (answer["status"], answer["error"]) == ("ok", None)
        assert answer["data"] == {"thresholds": {"door": 0.5}}
        daemon.until(lambda: remote.state("door")["threshold"] == 0.5)
        assert remote.response("stale") is None
        assert remote.state("door")["enabled"] is True

        assert remote.ask("enable", enabled=False)["status"] == "ok"
        daemon.until(lambda: remote.state("door")["enabled"] is False)
        pictures = len(remote.listener.of("/door/snapshot"))
        assert remote.ask("snapshot", camera="door")["status"] == "ok"
        daemon.until(lambda: len(remote.listener.of("/door/snapshot")) > pictures)
        assert remote.ask("clear", what="label")["status"] == "ok"
        daemon.until(lambda: remote.state("door")["label"] == "unknown")
        assert remote.ask("clear", what="overrides")["status"] == "ok"
        daemon.until(lambda: remote.state("door")["enabled"] is True)
        assert remote.ask("clear", what="outbox")["status"] == "ok"
        assert remote.ask("clear", what="store")["status"] == "ok"

        refused = remote.ask("threshold", threshold="high", camera="door")
        assert refused["status"] == "error"
        assert refused["error"] == "threshold must be a number from 0 to 1, or null"
        assert "no such command" in remote.ask("format")["error"]
        assert "no camera 'roof'" in remote.ask("enable", enabled=True, camera="roof")["error"]
        remote.listener.publish(f"{ROOT}/request/clear", b"\xff{")
        eventually(lambda: remote.response(None))
        assert seqs(remote.events("door")) == gapless(len(remote.events("door")))


def test_daemon_exchanges_its_model_between_two_frames_or_keeps_it(house: House) -> None:
    remote = house.remote
    daemon = house.daemon({"door": house.slides("red", "green")})
    model(daemon.state / "models/german.tflite", GERMAN, size=16)
    model(daemon.state / "models/long.tflite", ("one", "two", "three", "four", "five"), size=16)
    (daemon.state / "models/junk.tflite").write_bytes(b"\0\0\0\0TFL3" + b"junk" * 1000)

    def goes_on(labels: set[str], id_begins: str) -> None:
        goal = len(remote.events("door")) + 4
        daemon.until(lambda: len(remote.events("door")) >= goal)
        last = remote.events("door")[-2:]
        assert {event["to"] for event in last} == labels
        assert all(event["model"].startswith(id_begins) for event in last)

    with daemon.running():
        goes_on({"red", "green"}, "rgb@")
        for name, words in {
            "junk": "junk.tflite",
            "long": "5 labels",
            "missing": "no such model",
            "../../etc/passwd": "no such model",
        }.items():
            refused = remote.ask("model", model=name)
            assert refused["status"] == "error"
            assert words in refused["error"]
        goes_on({"red", "green"}, "rgb@")
        assert remote.ask("model", model="german")["data"]["model"].startswith("german@")
        goes_on({"rot", "grün"}, "german@")
        info = json.loads(remote.listener.of("/info")[-1].payload)
        assert info["labels"] == list(GERMAN)
        assert "grün" in remote.listener.of("/config")[-1].payload.decode()
        assert remote.ask("model", model="")["status"] == "ok"
        goes_on({"red", "green"}, "rgb@")
        events = remote.events("door")
        assert seqs(events) == gapless(len(events))
        # No frame is judged by the labels of another network.
        for event in events:
            known = GERMAN if event["model"].startswith("german@") else ("red", "green", "blue")
            assert event["to"] in {*known, "unknown"}


def test_daemon_on_sighup_takes_what_is_right_and_refuses_what_is_not(house: House) -> None:
    remote = house.remote
    daemon = house.daemon({"door": house.slides("red", "green")})
    settings = daemon.settings
    with daemon.running():
        daemon.until(lambda: remote.events("door"))
        daemon.config.write_text("[cameras.door]\nsource = 7\ncolour = 'red'\n")
        daemon.send(signal.SIGHUP)
        daemon.until(lambda: "the old one stays" in daemon.log)
        said = daemon.log.partition("the old one stays")[2]
        assert "cameras.door.source" in said
        assert "colour" in said
        goal = len(remote.events("door")) + 5
        daemon.until(lambda: len(remote.events("door")) >= goal)

        german = {**HASTY, "groups": {"warm": ["rot"]}}
        daemon.configure({**settings, "decision": german})
        assert "rot" in remote.ask("reload")["error"]
        assert remote.state("door")["label"] in {"red", "green"}

        yard = house.slides("blue")
        cameras = {"door": house.slides("red", "green", enabled=False), "yard": yard}
        daemon.configure({**settings, "cameras": cameras, "outbox": {"max_events": 50}})
        daemon.send(signal.SIGHUP)
        daemon.until(lambda: "configuration taken" in daemon.log)
        said = daemon.log.partition("configuration taken")[2]
        assert "cameras.yard" in said
        assert "needs a restart: outbox.max_events" in said
        daemon.until(lambda: remote.state("yard").get("label") == "blue")
        daemon.until(lambda: remote.state("door")["enabled"] is False)
        assert remote.ask("reload")["data"] == {
            "changed": [],
            "restart_required": ["outbox.max_events"],
        }

        daemon.configure({**settings, "cameras": {"yard": yard}})
        assert remote.ask("reload")["data"]["changed"] == ["cameras.door"]
        assert "no camera 'door'" in remote.ask("snapshot", camera="door")["error"]
        assert daemon.stop() == 0


# --- where nothing can be kept, and what must not be told ---------------------------------------


def test_daemon_on_a_full_disk_publishes_says_so_once_and_recovers(
    house: House, tmp_path: Path
) -> None:
    remote = house.remote
    with tmpfs(tmp_path / "disk", "6m") as disk:
        store = {"enabled": True, "max_bytes": 1_000_000, "distance": 0}
        camera = house.slides("red", "green", "blue")
        device = {"name": NODE, "state_folder": disk / "state"}
        with house.daemon({"door": camera}, store=store, device=device).running() as daemon:
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


def test_daemon_tells_nobody_a_secret(house: House, tmp_path: Path, cli: Cli) -> None:
    secrets = ("broker-pa55", "yard-pa55", "pond-pa55", "roof-pa55")
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
        cameras = {
            "yard": stream(yard, credentials_file=login),
            "pond": stream(pond, source=pond.url.replace("//", f"//user:{secrets[2]}@")),
            # A wrong one, which is complained about.
            "roof": stream(pond, source=pond.url.replace("//", f"//user:{secrets[3]}@")),
        }
        mqtt = {"port": broker.port, "username": "camera", "password_file": password}
        with house.daemon(cameras, mqtt=mqtt, log={"level": "debug"}).running() as daemon:
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
        ({"model": {"use": "/no/such.tflite"}}, ExitCode.MISSING_FILE, ("/no/such.tflite",)),
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
def test_daemon_that_cannot_start_says_all_that_is_wrong(
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
    """Between this machine and a network namespace."""

    namespace: str = "edge-classifier"
    # Of this process: another run beside it has a network of its own.
    near: str = f"10.91.{os.getpid() % 250}.1"
    far: str = f"10.91.{os.getpid() % 250}.2"

    def up(self) -> None:
        self._set("up")

    def down(self) -> None:
        self._set("down")

    def remove(self) -> None:
        # The namespace would take the cable along, but some time later.
        for words in (("link", "delete", "ec-here"), ("netns", "delete", self.namespace)):
            command = ["ip", *words]
            subprocess.run(command, capture_output=True, timeout=30, check=False)

    def _set(self, word: str) -> None:
        _ip("link", "set", "ec-here", word)


def _ip(*words: str) -> None:
    done = subprocess.run(["ip", *words], capture_output=True, text=True, timeout=30, check=False)
    if done.returncode:
        pytest.skip(f"no network namespace can be made here: {done.stderr.strip()}")


@pytest.fixture
def cable() -> Iterator[Cable]:
    if shutil.which("ip") is None:
        pytest.skip("ip is not installed (apt install iproute2)")
    made = Cable()
    made.remove()  # In case a run before this one was killed.
    _ip("netns", "add", made.namespace)
    try:
        _ip("link", "add", "ec-here", "type", "veth", "peer", "ec-there", "netns", made.namespace)
        _ip("address", "add", f"{made.near}/30", "dev", "ec-here")
        _ip("-n", made.namespace, "address", "add", f"{made.far}/30", "dev", "ec-there")
        for name in ("ec-there", "lo"):
            _ip("-n", made.namespace, "link", "set", name, "up")
        made.up()
        yield made
    finally:
        made.remove()


@pytest.mark.system
@pytest.mark.parametrize("length", ["short", "long"])
def test_daemon_whose_link_goes_down_and_up_delivers_all(
    cable: Cable, tmp_path: Path, house: House, length: str
) -> None:
    with (
        Broker(tmp_path / "far", address="0.0.0.0") as house.broker,  # noqa: S104 (for both ends)
        Listener(house.broker.port, "#") as listener,
    ):
        remote = Remote(listener)
        mqtt = {"host": cable.near, "keepalive_s": 5}
        daemon = house.daemon({"door": house.slides("red", "green")}, ("--explain",), mqtt=mqtt)
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
    assert seqs(remote.events("door")) == gapless(len(remote.events("door")))
