"""The whole daemon with real cameras: how they fail, and what is changed while it runs."""

import json
import signal
from operator import le

from tests.daemon.site import GERMAN, DaemonSite, gapless, seqs, stream
from tests.mjpeg import MjpegCamera, jpeg
from tests.running_daemon import HASTY, ROOT, model
from tests.waiting import eventually

# Blue, green, red.
GREEN, RED = (0, 255, 0), (0, 0, 255)


def test_service_with_a_camera_that_fails_in_every_way_goes_on(site: DaemonSite) -> None:
    remote = site.remote
    with MjpegCamera() as yard:
        yard.picture = jpeg(GREEN)
        cameras = {"yard": stream(yard), "door": site.slides("red", "green")}
        with site.daemon(cameras).running() as daemon:

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


def test_service_through_twenty_reconnects_keeps_its_threads_and_files(site: DaemonSite) -> None:
    names = ("north", "east", "south", "west")
    with (
        MjpegCamera() as server,
        site.daemon({name: stream(server) for name in names}).running() as daemon,
    ):

        def all_turn(word: str) -> None:
            daemon.until(lambda: all(site.remote.availability(name) == word for name in names))

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


def test_service_does_what_it_is_asked_over_mqtt(site: DaemonSite) -> None:
    remote = site.remote
    stale = json.dumps({"enabled": False, "transaction": "stale"})
    remote.listener.publish(f"{ROOT}/request/enable", stale, retain=True)
    with site.daemon({"door": site.slides("red", "green")}).running() as daemon:
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
        events = remote.events("door")
        assert seqs(events) == gapless(len(events))
        # What was on its way may be gone then, and its number with it.
        assert remote.ask("clear", what="outbox")["status"] == "ok"
        assert remote.ask("clear", what="store")["status"] == "ok"

        refused = remote.ask("threshold", threshold="high", camera="door")
        assert refused["status"] == "error"
        assert refused["error"] == "threshold must be a number from 0 to 1, or null"
        assert "no such command" in remote.ask("format")["error"]
        assert "no camera 'roof'" in remote.ask("enable", enabled=True, camera="roof")["error"]
        remote.listener.publish(f"{ROOT}/request/clear", b"\xff{")
        eventually(lambda: remote.response(None))
        numbers = seqs(remote.events("door"))
        assert numbers == sorted(set(numbers))


def test_service_exchanges_its_model_between_two_frames_or_keeps_it(site: DaemonSite) -> None:
    remote = site.remote
    daemon = site.daemon({"door": site.slides("red", "green")})
    model(daemon.state / "models/german.tflite", GERMAN, size=16)
    model(daemon.state / "models/long.tflite", ("one", "two", "three", "four", "five"), size=16)
    (daemon.state / "models/junk.tflite").write_bytes(b"\0\0\0\0TFL3" + b"junk" * 1000)

    def goes_on(labels: set[str], id_begins: str) -> None:
        goal = len(remote.events("door")) + 4

        def has_gone_on() -> bool:
            events = remote.events("door")
            models = {event["model"].startswith(id_begins) for event in events[-2:]}
            return len(events) >= goal and models == {True}

        # Some events of the model before may still have been on their way.
        daemon.until(has_gone_on)
        assert {event["to"] for event in remote.changes("door")[-2:]} == labels

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
        daemon.until(
            lambda: json.loads(remote.listener.of("/info")[-1].payload)["labels"] == list(GERMAN)
        )
        daemon.until(lambda: "grün" in remote.listener.of("/config")[-1].payload.decode())
        assert remote.ask("model", model="")["status"] == "ok"
        goes_on({"red", "green"}, "rgb@")
        events = remote.events("door")
        assert seqs(events) == gapless(len(events))
        # No frame is judged by the labels of another network.
        for event in remote.changes("door"):
            known = GERMAN if event["model"].startswith("german@") else ("red", "green", "blue")
            assert event["to"] in {*known, "unknown"}


def test_service_on_sighup_takes_what_is_right_and_refuses_what_is_not(site: DaemonSite) -> None:
    remote = site.remote
    daemon = site.daemon({"door": site.slides("red", "green")})
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

        yard = site.slides("blue")
        cameras = {"door": site.slides("red", "green", enabled=False), "yard": yard}
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
