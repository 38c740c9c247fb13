"""The picture of an event that waits arrives behind its event, whoever was away meanwhile."""

import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import pytest

from edge_classifier.config.mqtt_settings import MqttSettings, SnapshotSettings
from edge_classifier.core.contract import ColourOrder
from edge_classifier.core.frame import Frame
from edge_classifier.core.jpeg_comment import event_comment, event_of
from edge_classifier.mqtt.outbox.incidents import Incidents
from edge_classifier.mqtt.outbox.waiting_snapshots import WaitingSnapshots
from edge_classifier.mqtt.publisher import Publisher
from edge_classifier.vision.jpeg import jpeg_with_comment
from tests.emitter import CAMERA, ROOT, change, publisher, state
from tests.mosquitto import Broker, Listener
from tests.ports import HOST
from tests.smalldisk import fill, tmpfs
from tests.waiting import eventually

KEPT = SnapshotSettings(keep_waiting=True)


def picture(event_id: str, side: int = 32) -> bytes:
    pixels = np.random.default_rng(1).integers(0, 256, (side, side, 3), np.uint8)
    return jpeg_with_comment(Frame(pixels, ColourOrder.BGR), 100_000, event_comment(event_id))


def in_folder(folder: Path, incidents: Incidents | None = None) -> WaitingSnapshots:
    limits = SnapshotSettings(waiting_max=50, waiting_max_bytes=10**7)
    return WaitingSnapshots(folder, limits, incidents or Incidents())


@contextmanager
def running(
    broker: Broker, folder: Path, snapshots: SnapshotSettings = KEPT, protocol: Any = "3.1.1"
) -> Iterator[Publisher]:
    mqtt = MqttSettings(host=HOST, port=broker.port, protocol=protocol)
    path = folder / "state" / "outbox.db"
    made = publisher(broker.port, path, mqtt, snapshots=snapshots)
    made.start()
    try:
        yield made
    finally:
        made.stop(5)


def emit(made: Publisher, count: int) -> list[str]:
    names = [uuid4().hex for _ in range(count)]
    for seq, name in enumerate(names, 1):
        made.put_events([change(seq, name=name)], state(seq), {name: partial(picture, name)})
        # Each is written before the next comes, as frames do.
        eventually(partial(has_taken, made, seq))
    return names


def has_taken(made: Publisher, count: int) -> bool:
    status = made.status
    return max(status.published, status.snapshots_waiting + status.snapshots_dropped) >= count


def is_in_folder(folder: Path, jpeg: bytes) -> bool:
    """Whether it waits on disk. Meanwhile others may go."""
    found = []
    for path in (folder / "state" / "waiting-snapshots").iterdir():
        with suppress(FileNotFoundError):
            found.append(path.read_bytes())
    return jpeg in found


def order(listener: Listener) -> list[str]:
    """Ids of events and, with a sign, of their pictures, as they came first."""
    found = []
    for one in listener.messages:
        if one.topic.endswith("/event"):
            found.append(one.payload.decode().split('"id":"')[1][:32])
        elif one.topic.endswith("/snapshot") and (event_id := event_of(one.payload)):
            found.append(f"picture of {event_id}")
    return list(dict.fromkeys(found))


@pytest.mark.parametrize("protocol", ["3.1.1", "5"])
def test_pictures_of_events_that_waited_come_each_behind_its_event(
    broker: Broker, tmp_path: Path, protocol: str
) -> None:
    with Listener(broker.port, f"{ROOT}/#") as listener:
        with running(broker, tmp_path, protocol=protocol) as made:
            eventually(lambda: made.status.connected)
            broker.save()
            broker.kill()
            eventually(lambda: not made.status.connected)
            names = emit(made, 12)
            eventually(lambda: made.status.snapshots_waiting == 12)
        # And through a restart of the daemon.
        broker.start()
        listener.await_subscribed()
        with running(broker, tmp_path, protocol=protocol) as made:
            eventually(lambda: len(order(listener)) == 24)
            eventually(lambda: made.status.snapshots_waiting == 0)
        came = order(listener)
        assert [one for one in came if not one.startswith("picture")] == names
        pictures = [f"picture of {name}" for name in names]
        assert [one for one in came if one.startswith("picture")] == pictures
        assert all(came.index(name) < came.index(f"picture of {name}") for name in names)
        assert {one.qos for one in listener.of("/snapshot")} == {1}
        assert not list((tmp_path / "state" / "waiting-snapshots").iterdir())


def test_pictures_that_come_while_a_recorder_is_away_wait_for_it_at_the_broker(
    broker: Broker, tmp_path: Path
) -> None:
    with Listener(broker.port, f"{ROOT}/+/snapshot", f"{ROOT}/+/event", name="recorder"):
        pass
    with running(broker, tmp_path) as made:
        eventually(lambda: made.status.connected)
        names = emit(made, 5)
        eventually(lambda: made.status.published == 5 and made.status.snapshots_waiting == 0)
    with Listener(broker.port, f"{ROOT}/+/event", name="recorder") as back:
        eventually(lambda: len(order(back)) == 10)
        assert {one for one in order(back) if one.startswith("picture")} == {
            f"picture of {name}" for name in names
        }


def test_pictures_beyond_the_bound_go_oldest_first_and_are_counted(
    broker: Broker, tmp_path: Path
) -> None:
    broker.kill()
    few = SnapshotSettings(keep_waiting=True, waiting_max=3)
    with running(broker, tmp_path, few) as made:
        names = emit(made, 10)
        eventually(lambda: made.status.snapshots_dropped == 7)
        assert made.status.snapshots_waiting == 3
        assert made.status.waiting == 10
        kept = sorted(path.name for path in (tmp_path / "state" / "waiting-snapshots").iterdir())
        assert [name[-36:-4] for name in kept] == names[-3:]


def test_better_picture_of_an_event_takes_the_place_of_the_one_that_waits(
    broker: Broker, tmp_path: Path
) -> None:
    broker.kill()
    few = SnapshotSettings(keep_waiting=True, waiting_max=3)
    with running(broker, tmp_path, few) as made:
        names = emit(made, 3)
        for side in (40, 48, 56):
            better = picture(names[0], side)
            made.put_snapshot(CAMERA, partial(bytes, better), names[0])
            eventually(partial(is_in_folder, tmp_path, better))
        assert (made.status.snapshots_waiting, made.status.snapshots_dropped) == (3, 0)
        broker.start()
        with Listener(broker.port, f"{ROOT}/+/snapshot", name="late") as late:
            eventually(lambda: made.status.snapshots_waiting == 0)
            eventually(lambda: picture(names[0], 56) in [one.payload for one in late.messages])


def test_better_picture_of_an_event_that_has_arrived_goes_out_at_once(
    broker: Broker, tmp_path: Path
) -> None:
    with running(broker, tmp_path) as made, Listener(broker.port, f"{ROOT}/#") as listener:
        eventually(lambda: made.status.connected)
        (name,) = emit(made, 1)
        eventually(lambda: made.status.published == 1 and made.status.snapshots_waiting == 0)
        made.put_snapshot(CAMERA, lambda: picture(name, 64), name)
        eventually(lambda: picture(name, 64) in [one.payload for one in listener.of("/snapshot")])
        eventually(lambda: made.status.snapshots_waiting == 0)


def test_better_picture_of_an_event_that_waits_since_a_restart_comes_behind_it(
    broker: Broker, tmp_path: Path
) -> None:
    with Listener(broker.port, f"{ROOT}/#", name="recorder"):
        pass
    broker.save()
    broker.kill()
    with running(broker, tmp_path) as made:
        (name,) = emit(made, 1)
        eventually(lambda: made.status.snapshots_waiting == 1)
    better = picture(name, 64)
    with running(broker, tmp_path) as made:
        made.put_snapshot(CAMERA, partial(bytes, better), name)
        eventually(partial(is_in_folder, tmp_path, better))
        broker.start()
        eventually(lambda: made.status.published == 1 and made.status.snapshots_waiting == 0)
    with Listener(broker.port, f"{ROOT}/#", name="recorder") as back:
        eventually(lambda: better in [one.payload for one in back.of("/snapshot")])
        assert order(back) == [name, f"picture of {name}"]


def test_snapshot_with_the_newest_state_of_a_camera_is_the_one_that_stays(
    broker: Broker, tmp_path: Path
) -> None:
    """What is repeated on a new connection must not be an older picture."""
    with running(broker, tmp_path) as made:
        eventually(lambda: made.status.connected)
        names = emit(made, 4)
        eventually(lambda: made.status.published == 4 and made.status.snapshots_waiting == 0)
        broker.kill()
        eventually(lambda: not made.status.connected)
        broker.start()
        eventually(lambda: made.status.connected)
        with Listener(broker.port, f"{ROOT}/+/snapshot", name="late") as late:
            eventually(lambda: late.messages)
            assert event_of(late.messages[-1].payload) == names[-1]


def test_snapshots_taken_back_are_not_sent_later(broker: Broker, tmp_path: Path) -> None:
    broker.kill()
    with running(broker, tmp_path) as made:
        emit(made, 3)
        made.clear_snapshot(CAMERA)
        eventually(lambda: made.status.snapshots_waiting == 0)
        broker.start()
        eventually(lambda: made.status.waiting == 0)
        with Listener(broker.port, f"{ROOT}/+/snapshot", name="late") as late:
            late.publish(f"{ROOT}/x/snapshot", "last")
            eventually(lambda: late.messages)
            assert [one.payload for one in late.messages] == [b"last"]


# --- the folder ----------------------------------------------------------------------------------


def test_pictures_of_a_process_that_was_killed_are_whole_or_not_there(tmp_path: Path) -> None:
    program = (
        "import sys\n"
        "from pathlib import Path\n"
        "from uuid import uuid4\n"
        "from tests.mqtt.outbox.test_waiting_snapshots import in_folder, picture\n"
        "made = in_folder(Path(sys.argv[1]))\n"
        "print('started', flush=True)\n"
        "while True:\n"
        "    name = uuid4().hex\n"
        "    made.put('front', name, picture(name, 256))\n"
    )
    for _ in range(5):
        command = [sys.executable, "-c", program, str(tmp_path / "kept")]
        root = Path(__file__).parents[3]
        with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=root) as process:
            assert process.stdout
            assert process.stdout.readline()
            eventually(lambda: len(list((tmp_path / "kept").glob("*.jpg"))) > 3)
            process.send_signal(signal.SIGKILL)
    found = in_folder(tmp_path / "kept")
    found.open(())
    assert found.count == len(list((tmp_path / "kept").iterdir())) <= 50
    while given := found.next():
        waiting, jpeg = given
        assert jpeg == picture(waiting.event_id, 256)
        found.sent(waiting)
    assert found.dropped == 0


def test_pictures_on_a_full_disk_are_not_kept_and_it_says_so(tmp_path: Path) -> None:
    with tmpfs(tmp_path / "small", "2m") as small:
        kept = in_folder(small / "kept")
        fill(small)
        name = uuid4().hex
        assert not kept.put(CAMERA, name, picture(name))
        assert "disk" in kept.trouble or "space" in kept.trouble
        assert kept.dropped == 1
        assert not list(small.glob("kept/*"))


@pytest.mark.parametrize("content", [b"", b"half", b"\xff\xd8\xff\xfe"])
def test_pictures_that_are_damaged_are_not_sent(tmp_path: Path, content: bytes) -> None:
    kept = in_folder(tmp_path)
    names = [uuid4().hex, uuid4().hex]
    for name in names:
        kept.put(CAMERA, name, picture(name))
        kept.event_arrived(name)
    min(tmp_path.iterdir()).write_bytes(content)
    given = kept.next()
    assert given
    assert given[0].event_id == names[1]
    assert kept.dropped == 1


def test_pictures_wait_for_events_that_are_still_in_the_outbox_after_a_restart(
    tmp_path: Path,
) -> None:
    kept = in_folder(tmp_path)
    names = [uuid4().hex, uuid4().hex]
    for name in names:
        kept.put(CAMERA, name, picture(name))
    again = in_folder(tmp_path)
    again.open({names[0]})
    given = again.next()
    assert given
    assert given[0].event_id == names[1]
    again.event_arrived(names[0])
    given = again.next()
    assert given
    assert given[0].event_id == names[0]


@pytest.mark.parametrize("how", ["folder", "files", "exchanged"])
def test_pictures_whose_folder_is_deleted_are_told_as_lost_and_later_ones_are_kept(
    tmp_path: Path, how: str
) -> None:
    incidents = Incidents()
    folder = tmp_path / "state" / "kept"
    kept = in_folder(folder, incidents)
    names = [uuid4().hex, uuid4().hex, uuid4().hex]
    for name in names[:2]:
        kept.put(CAMERA, name, picture(name))
    kept.check()
    assert (kept.count, kept.dropped, incidents.texts) == (2, 0, ())
    if how == "files":
        for one in folder.iterdir():
            one.unlink()
    else:
        shutil.rmtree(folder.parent)
        if how == "exchanged":
            folder.mkdir(parents=True)
    kept.check()
    assert (kept.count, kept.dropped) == (0, 2)
    assert ["2 pictures of waiting events" in text for text in incidents.texts] == [True]
    assert kept.put(CAMERA, names[2], picture(names[2]))
    kept.check()
    again = in_folder(folder)
    again.open(set())
    given = again.next()
    assert given
    assert given[0].event_id == names[2]
    assert len(incidents.texts) == 1


def test_pictures_that_are_deleted_under_the_daemon_cost_no_event_and_it_says_so(
    broker: Broker, tmp_path: Path
) -> None:
    with Listener(broker.port, f"{ROOT}/#") as listener, running(broker, tmp_path) as made:
        eventually(lambda: made.status.connected)
        broker.kill()
        eventually(lambda: not made.status.connected)
        names = emit(made, 3)
        eventually(lambda: made.status.snapshots_waiting == 3)
        # In one step: otherwise it may be noticed in the middle, and be told twice.
        (tmp_path / "state" / "waiting-snapshots").rename(tmp_path / "elsewhere")
        eventually(lambda: made.status.snapshots_waiting == 0)
        assert made.status.snapshots_dropped == 3
        assert "3 pictures of waiting events" in " ".join(made.status.incidents)
        made.forget_incidents()
        eventually(lambda: made.status.incidents == ())
        assert made.status.waiting == 3, "the events themselves go on to wait"
        broker.start()
        listener.await_subscribed()
        eventually(lambda: made.status.waiting == 0)
        eventually(lambda: [one for one in order(listener) if one in names] == names)
