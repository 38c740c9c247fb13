"""The whole daemon with a real broker: what it publishes, through kills, outages and its end."""

import json
import re
import signal
import socket
from contextlib import ExitStack
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from edge_classifier.core.contract import Contract
from edge_classifier.core.jpeg_comment import event_of, frame_of
from edge_classifier.daemon.models import model_trials
from edge_classifier.decision.reasons import Reason
from tests.daemon.site import LONG_S, DaemonSite, gapless, seqs
from tests.mosquitto import Broker, Listener
from tests.running_daemon import ROOT, Remote, model
from tests.tiny import COLOURS
from tests.waiting import eventually


def test_service_publishes_complete_events_in_order_each_before_its_state(site: DaemonSite) -> None:
    camera = site.slides("red", "green", "blue")
    remote = site.remote
    with site.daemon({"door": camera}).running() as daemon:
        daemon.until(lambda: len(remote.events("door")) >= 20)
        assert daemon.stop() == 0
    # The last word: all else was there before.
    eventually(lambda: remote.availability() == "offline")
    events = remote.deliveries("door")
    assert seqs(events) == gapless(len(events))
    assert len({event["id"] for event in events}) == len(events)
    changes, ends = remote.changes("door"), ends_of(events)
    assert [event["to"] for event in changes[:4]] == ["red", "green", "blue", "red"]
    assert [event["from"] for event in changes[:4]] == ["unknown", "red", "green", "blue"]
    # Each label's end stands just before the change that takes it away.
    assert [event["event_type"] for event in events[:4]] == [
        *("label_changed", "label_ended"),
        *("label_changed", "label_ended"),
    ]
    for change, end in zip(changes, ends, strict=False):
        assert (end["episode"], end["label"]) == (change["id"], change["to"])
        assert end["peak_score"] >= change["score"]
        assert end["started"] == change["ts"]
    for event in changes:
        assert event.keys() == {
            *("event_type", "id", "camera", "seq", "from", "to", "from_name", "to_name"),
            *("score", "margin", "ts", "path", "path_names", "top", "model", "box"),
            "capture_to_publish_ms",
        }
        assert event["event_type"] == "label_changed"
        assert event["camera"] == "door"
        assert 0.9 < event["score"] <= 1
        assert 0.9 < event["margin"] <= 1
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", event["ts"])
        assert re.fullmatch(r"rgb@[0-9a-f]{8}", event["model"])
        assert 0 < event["capture_to_publish_ms"] < 20_000
    _assert_states_follow_events(remote)


def test_event_tells_what_its_label_is_called_in_the_models_languages(site: DaemonSite) -> None:
    daemon = site.daemon({"door": site.slides("red")})
    named = Contract(8, 8, labels=COLOURS, names={"zh": ("红", "绿", "蓝")})
    (site.folder / "rgb.contract.json").write_text(named.to_json(), "utf-8")
    with daemon.running():
        daemon.until(lambda: site.remote.events("door"))
        assert site.remote.events("door")[0]["names"]["zh"]["red"] == "红"
        assert site.remote.events("door")[0]["to_name"] == "red"


def ends_of(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [one for one in events if one["event_type"] == "label_ended"]


def _assert_states_follow_events(remote: Remote) -> None:
    told = {}
    shown = []
    # On connecting, what is retained goes out first.
    begin = remote.listener.messages.index(remote.listener.of("/event")[0])
    for message in remote.listener.messages[begin:]:
        if message.topic.endswith("/door/event"):
            event = json.loads(message.payload)
            told[event["seq"]] = event.get("to")
        elif message.topic.endswith("/door/state"):
            state = json.loads(message.payload)
            assert told[state["seq"]] == state["label"]
            shown.append(state["seq"])
    assert shown == sorted(shown)
    assert shown[-1] == max(told)


def test_service_retains_states_and_publishes_statistics_and_pictures(site: DaemonSite) -> None:
    remote = site.remote
    camera = site.slides("red", "green", title="Front door")
    with site.daemon({"door": camera}).running() as daemon:
        daemon.until(lambda: remote.listener.of("/stats") and remote.events("door"))
        daemon.until(lambda: remote.listener.of("/door/snapshot"))
        with Listener(site.broker.port, f"{ROOT}/#", name="late") as late:
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


def test_service_that_explains_says_of_each_frame_what_became_of_it(site: DaemonSite) -> None:
    camera = site.slides("red", "green", rate_fps=0, loop=False)
    with site.daemon({"door": camera}, ("--explain",)).running() as daemon:
        daemon.until(lambda: daemon.output.count("\n") >= 2)
        lines = daemon.output.splitlines()
    assert re.fullmatch(r"\d\d:\d\d:\d\d  door  changed: unknown -> red 0\.9\d", lines[0])
    assert re.fullmatch(r"\d\d:\d\d:\d\d  door  changed: red -> green 0\.9\d", lines[1])


def test_service_tells_of_a_short_visit_once_with_its_best_picture_and_never_as_a_state(
    site: DaemonSite, tmp_path: Path
) -> None:
    remote, folder = site.remote, tmp_path / "visit"
    folder.mkdir()
    for number, strength in enumerate((0, 0, 60, 0, 0, 0)):
        pixels = np.full((48, 64, 3), (90, 90, 90 + strength), np.uint8)
        cv2.imwrite(str(folder / f"{number}.png"), pixels)
    camera = {"source": f"pictures:{folder}", "picture_s": 2, "rate_fps": 10, "loop": False}
    decision = {"smoothing": "exponential", "dwell_s": 30}
    with site.daemon({"door": {**camera, "decision": decision}}).running() as daemon:
        daemon.until(lambda: remote.availability("door") == "online")
        daemon.until(lambda: remote.availability("door") == "offline", LONG_S)
        daemon.until(lambda: remote.listener.of("/door/snapshot"))
        assert daemon.stop() == 0
    (glimpse,) = remote.events("door")
    assert (glimpse["event_type"], glimpse["label"]) == ("label_glimpsed", "red")
    assert (glimpse["reason"], glimpse["needs_s"]) == ("dwell", 30)
    assert glimpse["frames"] >= 2
    assert glimpse["peak_score"] > 0.9
    assert {state["label"] for state in remote.states("door")} == {"unknown"}
    snapshot = remote.listener.of("/door/snapshot")[-1].payload
    assert event_of(snapshot) == glimpse["id"]
    about = frame_of(snapshot)
    assert about
    begun, ended = (datetime.fromisoformat(glimpse[key]) for key in ("started", "ts"))
    assert begun.timestamp() <= about.captured_ms / 1000 + 0.002
    assert about.captured_ms / 1000 <= ended.timestamp() + 0.002


# --- killed, and told to end --------------------------------------------------------------------


def test_service_and_broker_killed_in_outages_lose_and_disorder_nothing(site: DaemonSite) -> None:
    remote, broker = site.remote, site.broker
    camera = site.slides("red", "green", "blue", rate_fps=50)
    # Nothing holds there for long enough.
    slow = {"smoothing": "none", "dwell_s": 3600}
    glimpsed = site.slides("red", "green", "blue", "green", picture_s=1, decision=slow)
    cameras = {"door": camera, "yard": glimpsed}
    daemon = site.daemon(cameras, snapshots={"enabled": False})

    def arrive(more: int) -> None:
        goal = len(remote.events("door")) + more
        daemon.until(lambda: len(remote.events("door")) >= goal, LONG_S)

    def wait_in_vain(more: int) -> None:
        goal = daemon.metric("outbox_events") + more
        daemon.until(lambda: daemon.metric("outbox_events") >= goal)

    def outage() -> None:
        """The broker goes with messages in its hands that it has not looked at."""
        broker.save()
        broker.freeze()
        wait_in_vain(30)
        remote.listener.catch_up()
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
        daemon.until(lambda: daemon.metric("outbox_events") < 5, LONG_S)
        daemon.until(lambda: remote.events("yard"), LONG_S)
        assert daemon.stop() == 0
    eventually(lambda: remote.availability() == "offline")
    events = remote.events("door")
    assert seqs(events) == gapless(remote.state("door")["seq"])
    assert len(events) > 150
    for before, after in pairwise(remote.changes("door")):
        assert after["from"] == before["to"]
    _assert_changes_and_ends_pair_up(remote)
    _assert_glimpses_alone(remote)


def _assert_glimpses_alone(remote: Remote) -> None:
    events = remote.events("yard")
    assert seqs(events) == gapless(remote.state("yard")["seq"])
    assert {event["event_type"] for event in events} == {"label_glimpsed"}


def _assert_changes_and_ends_pair_up(remote: Remote) -> None:
    events = remote.events("door")
    assert len({(event["id"], event["seq"]) for event in remote.deliveries("door")}) == len(events)
    for before, after in pairwise(events):
        if after["event_type"] == "label_ended":
            assert after["episode"] == before["id"]
            assert after["label"] == before["to"]
            assert after["duration_s"] >= 0
        else:
            assert before["event_type"] == "label_ended"


def test_service_killed_shows_its_last_state_before_the_first_frame(
    site: DaemonSite, tmp_path: Path, cache: Path
) -> None:
    daemon = site.daemon({"door": site.slides("red", "green", retry_max_s=1)})
    model(daemon.state / "models/other.tflite", size=16)
    with daemon.running():
        daemon.until(lambda: site.remote.events("door"))
        assert site.remote.ask("model", model="other")["status"] == "ok"
        assert site.remote.ask("threshold", threshold=0.25)["status"] == "ok"
        assert site.remote.ask("enable", enabled=False, camera="door")["status"] == "ok"
        daemon.until(lambda: site.remote.state("door")["enabled"] is False)
        daemon.kill()
    # As if the other model had worked for its minute on trial.
    (daemon.state / model_trials.FILE).unlink()
    before = site.remote.state("door")
    assert before["threshold"] == 0.25
    assert before["model"].startswith("other@")
    site.broker.kill()
    # Another broker, that knows nothing; and a camera that gives no frames.
    away = (tmp_path / "red-green").rename(tmp_path / "away")
    with (
        Broker(tmp_path / "another", port=site.broker.port) as broker,
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
                lambda: any(event["seq"] > before["seq"] for event in remote.changes("door"))
            )
            later = [one for one in remote.events("door") if one["seq"] > before["seq"]]
            end, change, *_ = later
            assert (change["from"], change["seq"]) == (before["label"], before["seq"] + 2)
            assert (end["label"], end["seq"]) == (before["label"], before["seq"] + 1)


@pytest.mark.parametrize("way", ["connected", "broker away", "camera hangs"])
def test_service_that_is_ended_publishes_offline_and_ends_well(site: DaemonSite, way: str) -> None:
    with socket.socket() as silent, ExitStack() as caller:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        hanging = f"http://127.0.0.1:{silent.getsockname()[1]}/"
        cameras: dict[str, Any] = {"door": site.slides("red", "green")}
        if way == "camera hangs":
            cameras["yard"] = {"source": hanging, "open_timeout_s": 60}
        with site.daemon(cameras).running() as daemon:
            daemon.until(lambda: site.remote.events("door"))
            if way == "broker away":
                site.broker.kill()
            if way == "camera hangs":
                caller.enter_context(silent.accept()[0])
            assert daemon.stop(within_s=15) == 0
            assert "Traceback" not in daemon.log
    if way != "broker away":
        eventually(lambda: site.remote.availability() == "offline")
        eventually(lambda: site.remote.availability("door") == "offline")
        # By the daemon itself: the broker's will has no word for cameras.
        assert "offline published" in daemon.log


@pytest.mark.parametrize("after", ["", "INFO", "INFO model", "http://"])
def test_service_that_is_ended_while_it_starts_ends_soon(site: DaemonSite, after: str) -> None:
    with site.daemon({"door": site.slides("red", "green")}).launched() as daemon:
        while after not in daemon.log:
            daemon.until(lambda: True)
        assert daemon.stop(within_s=15) in {0, -signal.SIGTERM}
        assert "Traceback" not in daemon.log
