"""A real page, a real broker, three real daemons and fifty simulated: a model gets to all of them.

One refuses it, one dies of it, one is away for a while, and the page is killed in the middle.
"""

import hashlib
import json
import os
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pytest

from edge_classifier.errors import ExitCode
from tests.mosquitto import Broker, Listener
from tests.ports import HOST
from tests.running_daemon import HASTY, Daemon, colours, model
from tests.tiny import Tiny, build
from tests.waiting import eventually
from tests.web.installed_models.test_models_travel import Administrator
from tests.web.rollouts.deploying import deploy, finished, token
from tests.web.rollouts.simulated import SimulatedFleet
from tests.web.serving import Page, prepare

REAL = ("pi-1", "pi-2", "pi-3")
SIMULATED = tuple(f"sim-{number:02}" for number in range(50))
REFUSES, DIES, AWAY = "sim-07", "sim-23", "sim-42"


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    with Broker(tmp_path / "broker") as made:
        yield made


def real_daemon(name: str, folder: Path, broker: Broker, page: Page, secret: Path) -> Daemon:
    pictures = colours(folder / f"{name}-slides", "red", "green")
    settings = {
        "device": {"name": name},
        "model": {"use": model(folder / f"{name}-rgb.tflite")},
        "models": {"source": page.address, "token_file": secret},
        "decision": HASTY,
        "cameras": {"front": {"source": f"pictures:{pictures}", "picture_s": 0, "rate_fps": 2}},
    }
    return Daemon(folder / name, broker.port, settings, folder / "cache")


@dataclass
class World:
    """All that runs, and a model that is uploaded."""

    page: Page
    ann: Administrator
    # Of an administrator.
    token: Path
    listener: Listener
    fleet: SimulatedFleet
    name: str = ""
    digits: str = ""
    # When it was uploaded, in UTC seconds.
    uploaded_at: float = 0.0

    def upload(self, path: Path) -> None:
        body = build(path, Tiny(size=(24, 24))).read_bytes() + os.urandom(300_000)
        self.digits = hashlib.sha256(body).hexdigest()[:8]
        self.name, self.uploaded_at = f"garden-{self.digits}", time.time()
        self.ann.post("/models/upload", at="/models", name="garden", model=("m.tflite", body))

    def states(self, state: str) -> set[str]:
        told = json.loads(self.ann.read("/api/v1/rollouts/1"))
        return {one["device"] for one in told["devices"] if one["state"] == state}

    def first_event(self, device: str) -> float:
        """When the first event with the model was, in UTC seconds; 0: there was none."""
        events = [json.loads(one.payload) for one in self.listener.of(f"/{device}/front/event")]
        found = [one["ts"] for one in events if one["model"].endswith(self.digits)]
        return datetime.fromisoformat(found[0]).timestamp() if found else 0.0


@pytest.fixture
def world(tmp_path: Path, broker: Broker) -> Iterator[World]:
    state = tmp_path / "page"
    prepare(state, "ann")
    with ExitStack() as stack:
        page = stack.enter_context(Page(state, (f"mqtt.host={HOST}", f"mqtt.port={broker.port}")))
        ann = Administrator(page)
        of_device = token(ann, "/models/tokens", tmp_path / "device-token")
        of_person = token(ann, "/tokens", tmp_path / "token")
        listener = stack.enter_context(Listener(broker.port, "#"))
        daemons = [real_daemon(name, tmp_path, broker, page, of_device) for name in REAL]
        for daemon in daemons:
            stack.enter_context(daemon.launched())
        for daemon in daemons:
            daemon.await_up()
        fleet = stack.enter_context(SimulatedFleet(broker.port, SIMULATED).running())
        fleet[REFUSES].fate, fleet[DIES].fate = "refuses", "dies"
        fleet.set_online(AWAY, online=False)
        shown = f'id="to-{SIMULATED[-1]}"'
        eventually(lambda: shown in ann.read("/rollouts/new"), 60)
        yield World(page, ann, of_person, listener, fleet)


def test_model_reaches_53_devices_though_some_refuse_die_or_are_away_and_the_page_is_killed(
    world: World, tmp_path: Path
) -> None:
    page, fleet = world.page, world.fleet
    world.upload(tmp_path / "new.tflite")
    arguments = [world.name, "--to", *REAL, "sim-*", "--batch", "26", "--watch", "0.05"]
    arguments += ["--patience", "0.05", "--away", "0.1", "--max-lost", "3"]
    # On a machine that others share, twice as long is no fault of the model's.
    arguments += ["--max-slower", "100"]
    code, plan, _ = finished(deploy(page, world.token, *arguments, "--dry-run"))
    assert code == ExitCode.OK
    assert [one["device"] for one in plan["devices"]][:3] == list(REAL)
    assert not any(device.asked for device in fleet.devices.values())

    running = deploy(page, world.token, *arguments)
    eventually(lambda: fleet.having(world.digits), 90)
    # The first one is a real device, and had it before all others.
    assert world.first_event("pi-1") < time.time()
    page.end(signal.SIGKILL)
    page.__enter__()
    world.ann = Administrator(page)
    code, twice, said = finished(deploy(page, world.token, "mobilenet-v2-int8", "--to", "sim-*"))
    assert (code, twice) == (ExitCode.USAGE, None)
    assert "is in another roll-out that is not over" in said

    others = {*REAL, *SIMULATED} - {REFUSES, DIES, AWAY}
    eventually(lambda: world.states("kept") >= others, 120)
    fleet.set_online(AWAY, online=True)
    eventually(lambda: AWAY in world.states("kept"), 60)
    world.ann.post("/rollouts/1/halt", at="/rollouts/1", leave="1")
    code, told, said = finished(running)
    assert code == ExitCode.UNAVAILABLE
    ended = {one["device"]: one["state"] for one in told["devices"]}
    assert {name for name, state in ended.items() if state != "kept"} == {REFUSES, DIES}
    assert ended[REFUSES] == "failed"
    assert f"{REFUSES}: Did not take it: there is no room for it" in said
    assert f"{DIES}: Is away, and nobody waits for it any more." in said
    assert f"{AWAY}: Has come back." in said
    # Each was asked, and at most once more, as the page was killed.
    assert {len(one.asked) for one in fleet.devices.values()} <= {1, 2}
    for real in REAL:
        eventually(lambda real=real: world.first_event(real), 30)  # type: ignore[misc]
        after_s = world.first_event(real) - world.uploaded_at
        print(f"from the upload to the next event of {real} with it: {after_s:.1f} s")
