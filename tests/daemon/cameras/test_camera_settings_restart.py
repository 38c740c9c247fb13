"""Settings over MQTT through the end of daemon and broker, and beside the command line."""

import json
import subprocess
import sys
import tomllib
from datetime import UTC, datetime
from pathlib import Path

from edge_classifier.mqtt.codec.camera_settings import read_camera_settings
from tests.conftest import REPOSITORY
from tests.daemon.site import DaemonSite
from tests.mosquitto import Broker, Listener
from tests.running_daemon import Daemon, Remote, merged

REGION = {"left": 0.25, "top": 0.0, "width": 0.5, "height": 1.0}


def shown(daemon: Daemon) -> str:
    """What ``config show --origins`` prints."""
    command = [sys.executable, "-m", "edge_classifier", "config", "show", "--origins"]
    done = subprocess.run(
        [*command, "--config", daemon.config], capture_output=True, check=True, cwd=REPOSITORY
    )
    assert done.stderr == b""
    return done.stdout.decode()


def pictures(daemon: Daemon, camera: str) -> list[Path]:
    return [path for path in (daemon.state / "pictures").rglob("*.jpg") if camera in str(path)]


def test_camera_switched_off_gives_nothing_after_kill_of_daemon_and_broker(
    site: DaemonSite, tmp_path: Path
) -> None:
    cameras = {name: site.slides("red", "green") for name in ("door", "yard")}
    daemon = site.daemon(cameras, store={"enabled": True, "min_interval_s": 0, "distance": 0})
    wanted = {"enabled": False, "region": REGION, "title": "Front door", "look": "whole"}
    with daemon.running():
        daemon.until(lambda: site.remote.changes("door") and pictures(daemon, "door"))
        assert site.remote.ask("camera", camera="door", set=wanted)["status"] == "ok"
        # Whoever has the answer can rely on it.
        ends = datetime.now(UTC)
        daemon.kill()
    site.broker.kill()
    kept = pictures(daemon, "door")
    # The file becomes another, and what was set stays above it.
    daemon.configure(merged(daemon.settings, {"cameras": {"door": {"title": "A", "rate_fps": 9}}}))
    with (
        # One that knows nothing.
        Broker(tmp_path / "another", port=site.broker.port) as broker,
        Listener(broker.port, "#", name="newcomer") as listener,
        daemon.running(),
    ):
        remote = Remote(listener)
        daemon.until(lambda: len(remote.changes("yard")) > 20)
        assert remote.state("door")["enabled"] is False
        told = remote.ask("camera", camera="door")["data"]
        values = read_camera_settings(told)["door"]
        assert {name: values[name].value for name in wanted} == wanted
        assert (values["rate_fps"].value, values["rate_fps"].is_set_over_mqtt) == (9, False)
        assert "switched off" in remote.ask("burst", camera="door")["error"]
        # Those of before may come once more.
        assert all(datetime.fromisoformat(one["ts"]) <= ends for one in remote.events("door"))
        assert listener.of("/door/snapshot") == listener.of("/door/burst") == []
        assert pictures(daemon, "door") == kept
        daemon.until(lambda: listener.of("/stats"))
        stats = json.loads(listener.of("/stats")[-1].payload)["cameras"]["door"]
        assert set(stats["reasons"]) == {"disabled"}
        # The same file, read while the daemon has it for itself.
        text = shown(daemon)
        door = tomllib.loads(text)["cameras"]["door"]
        assert (door["enabled"], door["region"], door["title"]) == (False, REGION, "Front door")
        assert 'title = "Front door"  # set over MQTT' in text
        assert text.count("# set over MQTT") == 3 + len(REGION)
        assert remote.ask("camera", camera="door", reset=[*wanted])["status"] == "ok"
        seen = len(remote.events("door"))
        daemon.until(lambda: len(remote.events("door")) > seen + 2)
        assert "set over MQTT" not in shown(daemon)
    assert "set over MQTT" not in shown(daemon)
