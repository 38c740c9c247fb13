"""``edge-classify doctor`` on what the settings name: cameras, broker, disk."""

import json
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from edge_classifier import samples
from tests.cli.doctor.health_server import answering
from tests.conftest import Cli, Completed
from tests.mosquitto import Broker
from tests.ports import free_port

Findings = dict[str, dict[str, object]]


def findings(done: Completed) -> Findings:
    return {one["subject"]: one for one in json.loads(done.stdout)}


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A folder with a cat for a camera."""
    (tmp_path / "photographs").mkdir()
    shutil.copy(samples.CAT, tmp_path / "photographs")
    return tmp_path


def settings(site: Path, port: int, *, source: str = "", more: str = "") -> Path:
    file = site / "config.toml"
    file.write_text(
        f"""
        [device]
        name = "pi"
        state_folder = "{site}/state"
        [http]
        enabled = false
        [mqtt]
        port = {port}
        {more}
        [cameras.door]
        source = "{source or f"pictures:{site}/photographs"}"
        """,
        "utf-8",
    )
    return file


def test_doctor_looks_through_cameras_asks_the_broker_and_looks_at_the_disk(
    cli: Cli, site: Path
) -> None:
    with Broker(site / "broker") as broker:
        done = cli("doctor", "--json", "--config", settings(site, broker.port))
    assert done.returncode == 0, done.stdout
    found = findings(done)
    camera = str(found["camera door"]["detail"])
    assert found["camera door"]["ok"] is True
    assert "1 picture; a frame of 451 x 300" in camera
    assert "ms old, brightness 45%" in camera
    # A cat, by the default settings.
    assert str(found["door now"]["detail"]).startswith("published: cat (")
    assert "connected, and what is published below edge-classifier/pi arrives" in str(
        found["broker"]["detail"]
    )
    assert "GB free" in str(found["disk"]["detail"])
    # Nothing was made that was not there.
    assert not (site / "state").exists()


def test_doctor_tells_what_does_not_answer_within_bounded_time(cli: Cli, site: Path) -> None:
    file = settings(site, free_port(), source="/dev/video-that-is-not-there")
    started = time.monotonic()
    done = cli("doctor", "--json", "--config", file)
    assert done.returncode == 69
    found = findings(done)
    assert found["camera door"]["ok"] is False
    assert "there is no such camera" in str(found["camera door"]["detail"])
    assert found["broker"]["ok"] is False
    assert "nothing listens there" in str(found["broker"]["detail"])
    assert time.monotonic() - started < 90


def test_doctor_says_that_a_picture_is_dark(cli: Cli, site: Path) -> None:
    Image.new("RGB", (64, 48), (3, 3, 3)).save(site / "photographs" / "cat.jpg")
    done = cli("doctor", "--json", "--config", settings(site, 1, more="enabled = false"))
    assert done.returncode == 0, done.stdout
    assert "which is very dark" in str(findings(done)["camera door"]["detail"])


@pytest.mark.parametrize(
    ("protocol", "access", "words"),
    [
        ("3.1.1", "topic read #", "does not come back"),
        ("5", "topic read #", "may not publish on edge-classifier/pi/doctor"),
        ("5", "topic write #", "does not come back"),
    ],
)
def test_doctor_tells_of_a_broker_that_lets_it_in_and_takes_nothing(
    cli: Cli, site: Path, protocol: str, access: str, words: str
) -> None:
    (site / "acl").write_text(f"{access}\n", "utf-8")
    (site / "acl").chmod(0o644)
    lines = ("allow_anonymous true", f"acl_file {site}/acl")
    file = site / "config.toml"
    with Broker(site / "broker", lines) as broker:
        settings(site, broker.port, more=f'protocol = "{protocol}"')
        done = cli("doctor", "--json", "--config", file)
    assert done.returncode == 69, done.stdout
    assert words in str(findings(done)["broker"]["detail"])


# What a daemon says of its cameras.
DOOR = {"door": "/dev/video7"}


@pytest.fixture
def daemon(request: pytest.FixtureRequest) -> Iterator[int]:
    """The port of a daemon that runs; its health as the test says."""
    degraded, cameras = request.param
    health = {"status": "ok", "failing": [], "degraded": degraded, "cameras": cameras}
    with answering(lambda _: health) as port:
        yield port


@pytest.mark.parametrize(
    ("daemon", "code", "words"),
    [
        (([], DOOR), 0, "/dev/video7: the running daemon has it, and frames come"),
        ((["door: it hangs"], DOOR), 69, "the running daemon says: door: it hangs"),
    ],
    indirect=["daemon"],
)
def test_doctor_leaves_the_running_daemon_its_camera(
    cli: Cli, site: Path, daemon: int, code: int, words: str
) -> None:
    file = settings(site, 1, source="/dev/video7", more="enabled = false")
    text = file.read_text("utf-8").replace("enabled = false", f"port = {daemon}", 1)
    file.write_text(text, "utf-8")
    done = cli("doctor", "--json", "--config", file)
    assert done.returncode == code, done.stdout
    assert findings(done)["camera door"]["detail"] == words


@pytest.mark.parametrize(
    "daemon",
    [([], {"door": "/dev/video0"}), ([], {"yard": "/dev/video7"}), ([], {})],
    indirect=True,
    ids=["before it is restarted", "another daemon", "an older daemon"],
)
def test_doctor_tries_a_camera_that_the_running_daemon_does_not_have(
    cli: Cli, site: Path, daemon: int
) -> None:
    file = settings(site, 1, source="/dev/video7", more="enabled = false")
    text = file.read_text("utf-8").replace("enabled = false", f"port = {daemon}", 1)
    file.write_text(text, "utf-8")
    done = cli("doctor", "--json", "--config", file)
    assert done.returncode == 69, done.stdout
    assert "/dev/video7: there is no such camera" in str(findings(done)["camera door"]["detail"])


def test_doctor_without_settings_says_so_and_is_content(cli: Cli, site: Path) -> None:
    found = findings(cli("doctor", "--json"))
    assert "neither cameras nor a broker are tried" in str(found["settings"]["detail"])
    alone = cli("doctor", "--json", "--machine-only", "--config", settings(site, free_port()))
    assert alone.returncode == 0
    assert "settings" not in findings(alone)


def test_doctor_with_wrong_settings_tells_them(cli: Cli, site: Path) -> None:
    file = settings(site, 1, more="nonsense = 1")
    done = cli("doctor", "--json", "--config", file)
    assert done.returncode == 78
    assert "nonsense" in str(findings(done)["settings"]["detail"])
