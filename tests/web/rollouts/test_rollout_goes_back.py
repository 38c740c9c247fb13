"""A real page, a real broker, real daemons: a model that is worse is taken back by itself.

The first device gets it, says why it is worse, and runs the one before again; nobody else is asked.
"""

import html
import json
import re
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import Any

import pytest

from edge_classifier.errors import ExitCode
from tests.modelfile.test_model_zip import zip_file
from tests.mosquitto import Broker, Listener
from tests.ports import HOST
from tests.running_daemon import HASTY, Daemon, colours, model
from tests.tiny import Tiny, build
from tests.waiting import eventually
from tests.web.installed_models.test_models_travel import Administrator
from tests.web.rollouts.deploying import deploy, finished, token
from tests.web.serving import PASSWORD, Page, web

FIRST, OTHER = "pi-1", "pi-2"
OLD = "rgb@"
# On a machine that others share, twice as long is no fault of the model's.
NO_TIMES = ("--max-slower", "100")


@dataclass
class World:
    """A page, and two devices that run the same model."""

    page: Page
    ann: Administrator
    # Of an administrator.
    token: Path
    listener: Listener
    daemons: dict[str, Daemon]

    def info(self, device: str) -> dict[str, Any]:
        told = self.listener.of(f"/{device}/info")
        found: dict[str, Any] = json.loads(told[-1].payload) if told else {}
        return found

    def runs(self, device: str, camera: str) -> str:
        """The model of a camera, as its device tells."""
        told = self.info(device)["models"]
        return str(next(one["model"] for one in told if camera in one["cameras"]))

    def failure(self, device: str, sha256: str) -> str:
        """Why a device does not run a model; empty: it does not say."""
        change = self.info(device)["model_change"] or {}
        is_meant = (change.get("sha256"), change.get("state")) == (sha256, "failed")
        return str(change["error"]) if is_meant else ""

    def has_evidence(self, device: str) -> bool:
        """Whether each camera has changed often enough with the model before to be judged by it."""
        return all(self._changes_with_old(device, camera) > 40 for camera in ("front", "gate"))

    def _changes_with_old(self, device: str, camera: str) -> int:
        told = [json.loads(one.payload) for one in self.listener.of(f"/{device}/{camera}/event")]
        changes = [one["model"] for one in told if one["event_type"] == "label_changed"]
        return sum(1 for _ in takewhile(lambda one: one.startswith(OLD), reversed(changes)))

    def asked(self, device: str) -> list[str]:
        """The models that it was asked for."""
        told = self.listener.of(f"/{device}/request/model")
        return [json.loads(one.payload)["model"] for one in told]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("world")
    state = folder / "page"
    assert web(state, "createadmin", "ann", stdin=f"{PASSWORD}\n").returncode == 0
    with ExitStack() as stack:
        broker = stack.enter_context(Broker(folder / "broker"))
        page = stack.enter_context(Page(state, (f"mqtt.host={HOST}", f"mqtt.port={broker.port}")))
        ann = Administrator(page)
        of_device = token(ann, "/models/tokens", folder / "device-token")
        of_person = token(ann, "/tokens", folder / "token")
        listener = stack.enter_context(Listener(broker.port, "#"))
        pictures = colours(folder / "slides", "red", "green")
        # One picture lasts for one frame.
        camera = {"source": f"pictures:{pictures}", "picture_s": 0, "rate_fps": 4}
        daemons = {
            name: Daemon(
                folder / name,
                broker.port,
                {
                    "device": {"name": name},
                    "model": {"use": model(folder / f"{name}-rgb" / "rgb.tflite")},
                    "models": {"source": page.address, "token_file": of_device},
                    "decision": {**HASTY, "glimpses": False},
                    "snapshots": {"enabled": False},
                    "cameras": dict.fromkeys(cameras, camera),
                },
                folder / "cache",
            )
            for name, cameras in ((FIRST, ("front", "gate")), (OTHER, ("front",)))
        }
        for daemon in daemons.values():
            stack.enter_context(daemon.launched())
        for daemon in daemons.values():
            daemon.await_up()
        shown = f'id="to-{OTHER}"'
        eventually(lambda: shown in ann.read("/rollouts/new"), 60)
        yield World(page, ann, of_person, listener, daemons)


def rolled_out(world: World, file: Path, *more: str, watch: str = "0.1") -> "subprocess.Popen[str]":
    """By one command, from a file that the page does not have."""
    eventually(lambda: world.has_evidence(FIRST), 120)
    arguments = [str(file), "--to", FIRST, "pi-*", "--watch", watch, "--patience", "5", *more]
    return deploy(world.page, world.token, *arguments)


def assert_back(world: World, told: Any, why: str, camera: str = "") -> None:
    """The first device runs the one before, nobody else was asked, and all say why."""
    states = {one["device"]: one["state"] for one in told["devices"]}
    assert states.get(OTHER, "missed") == "missed"
    assert states[FIRST] in ("back", "failed")
    assert told["state"] == "halted"
    assert not world.asked(OTHER)
    eventually(lambda: world.runs(FIRST, camera or "front").startswith(OLD), 30)
    assert world.info(FIRST)["model"].startswith(OLD)
    eventually(lambda: why in world.failure(FIRST, told["sha256"]), 30)
    assert why in html.unescape(world.ann.read(f"/rollouts/{told['id']}"))
    eventually(lambda: why in html.unescape(world.ann.read("/models?part")), 30)


def nearly_always_unknown(said: str, camera: str) -> str:
    """Why the first device goes back, which is that."""
    why = re.search(rf"camera {camera}: unknown (\d+) % of the time, 0 % before", said)
    assert why, said
    assert f"{FIRST}: Halted, and goes back: {why[0]}" in said
    # Until the new model has looked, the label of the one before stays.
    assert int(why[1]) > 50
    return why[0]


def test_model_that_is_unknown_nearly_always_is_taken_back_from_the_first_device(
    world: World, tmp_path: Path
) -> None:
    file = build(tmp_path / "blind.tflite", Tiny(size=(24, 24), folded=0.05))
    code, nothing, said = finished(rolled_out(world, file, "--dry-run"))
    assert (code, nothing) == (ExitCode.USAGE, None)
    assert "blind.tflite is not on the page yet" in said
    code, told, said = finished(rolled_out(world, file, *NO_TIMES), 300)
    assert code == ExitCode.BAD_DATA
    assert "blind.tflite has been uploaded and tried: blind-" in said
    assert_back(world, told, nearly_always_unknown(said, "front"))
    code, _plan, said = finished(rolled_out(world, file, "--dry-run"))
    assert code == ExitCode.OK
    assert "blind.tflite is on the page already: blind-" in said


def test_model_that_is_much_slower_is_taken_back_from_the_first_device(
    world: World, tmp_path: Path
) -> None:
    file = build(tmp_path / "slow.tflite", Tiny(size=(1000, 1000)))
    code, told, said = finished(rolled_out(world, file), 300)
    assert code == ExitCode.BAD_DATA
    assert f"{FIRST}: Halted, and goes back: " in said
    assert_back(world, told, " ms before (at most 1.5 times)")


def test_model_that_ends_the_daemon_is_not_tried_elsewhere(world: World, tmp_path: Path) -> None:
    network = build(tmp_path / "model.tflite", Tiny(size=(32, 32))).read_bytes()
    labels = b"0 red\n1 green\n2 blue\n"
    file = zip_file(tmp_path / "killer.zip", {"model.tflite": network, "labels.txt": labels})
    running, daemon = rolled_out(world, file, *NO_TIMES, watch="10"), world.daemons[FIRST]
    eventually(lambda: world.runs(FIRST, "front").startswith("killer-"), 90)
    # As the kernel does when native code crashes; systemd starts it again.
    daemon.kill()
    daemon.start()
    code, told, said = finished(running, 120)
    assert code == ExitCode.BAD_DATA
    assert "the first device failed, or went away" in said
    assert_back(world, told, "ended the daemon when it ran last")


def test_model_of_one_camera_alone_is_taken_back_and_the_other_camera_goes_on(
    world: World, tmp_path: Path
) -> None:
    file = build(tmp_path / "blind-gate.tflite", Tiny(size=(40, 40), folded=0.05))
    code, told, said = finished(rolled_out(world, file, "--camera", "gate", *NO_TIMES), 300)
    assert code == ExitCode.BAD_DATA
    why = nearly_always_unknown(said, "gate")
    assert told["camera"] == "gate"
    fronts = {
        json.loads(one.payload)["model"] for one in world.listener.of(f"/{FIRST}/front/event")
    }
    assert not any(one.startswith("blind-gate-") for one in fronts)
    gates = {json.loads(one.payload)["model"] for one in world.listener.of(f"/{FIRST}/gate/event")}
    assert any(one.startswith("blind-gate-") for one in gates)
    assert_back(world, told, why, "gate")
    # It follows the common one again.
    last = world.listener.of(f"/{FIRST}/request/model")[-1]
    assert json.loads(last.payload)["model"] == ""
