"""The whole daemon with a real broker: what it publishes, through kills, outages and its end."""

import json
import re
import signal
import socket
from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from edge_classifier.daemon import model_trials
from edge_classifier.decision.reasons import Reason
from tests.daemon.site import LONG_S, DaemonSite, gapless, seqs
from tests.mosquitto import Broker, Listener
from tests.running_daemon import ROOT, Remote, model
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


# --- killed, and told to end --------------------------------------------------------------------


def test_service_and_broker_killed_in_outages_lose_and_disorder_nothing(site: DaemonSite) -> None:
    remote, broker = site.remote, site.broker
    camera = site.slides("red", "green", "blue", rate_fps=50)
    daemon = site.daemon({"door": camera}, snapshots={"enabled": False})

    def arrive(more: int) -> None:
        goal = len(remote.events("door")) + more
        daemon.until(lambda: len(remote.events("door")) >= goal, LONG_S)

    def wait_in_vain(more: int) -> None:
        goal = daemon.metric("outbox_events") + more
        daemon.until(lambda: daemon.metric("outbox_events") >= goal)

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
        daemon.until(lambda: daemon.metric("outbox_events") < 5, LONG_S)
        assert daemon.stop() == 0
    eventually(lambda: remote.availability() == "offline")
    events = remote.events("door")
    assert seqs(events) == gapless(remote.state("door")["seq"])
    assert len(events) > 150
    for before, after in pairwise(events):
        assert after["from"] == before["to"]
    assert len({(event["id"], event["seq"]) for event in remote.deliveries("door")}) == len(events)


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
                lambda: any(event["seq"] > before["seq"] for event in remote.events("door"))
            )
            event = next(event for event in remote.events("door") if event["seq"] > before["seq"])
            assert (event["from"], event["seq"]) == (before["label"], before["seq"] + 1)


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
