"""Containerfile, compose file and add-on agree with the project, its settings and its documents."""

import importlib.util
import json
import re
import subprocess
import sys
import threading
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from types import ModuleType
from typing import Any, get_args

import pytest
import yaml

from edge_classifier import __version__
from edge_classifier.config import load as daemon_settings
from edge_classifier.config.sources import SettingsSources
from edge_classifier.web.config import load_settings
from edge_classifier.web.config.settings import IngressSettings, ServerSettings
from tests.conftest import REPOSITORY
from tests.ports import HOST, free_port

FOLDER = REPOSITORY / "scripts/container"
CONTAINERFILE = (FOLDER / "Containerfile").read_text("utf-8")
COMPOSE = yaml.safe_load((FOLDER / "compose.yaml").read_text("utf-8"))
ADDON = yaml.safe_load((FOLDER / "addon/config.yaml").read_text("utf-8"))
ONES_OWN = {"daemon", "page"}


def start() -> ModuleType:
    """The add-on's entry point."""
    spec = importlib.util.spec_from_file_location("addon_start", FOLDER / "addon/start.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


START = start()


@contextmanager
def answering(status: int, body: str = "{}") -> Iterator[int]:
    """A server on a port of its own that says the same to everybody."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer((HOST, 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


def of_page(variables: dict[str, str]) -> Any:
    return load_settings.load(None, [], variables)


def of_daemon(variables: dict[str, str], folder: Path) -> Any:
    file = folder / "config.toml"
    file.touch()
    return daemon_settings.load(SettingsSources(file, environment=variables))


def plain(text: str) -> str:
    """A value of the compose file where no variable is set."""
    return re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", str(text))


def variables_of(service: str) -> dict[str, str]:
    return {key: plain(one) for key, one in COMPOSE["services"][service]["environment"].items()}


def test_image_has_what_the_installer_has() -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text("utf-8"))["project"]
    extras = re.findall(r"^ARG EXTRAS=([\w,]+)$", CONTAINERFILE, re.MULTILINE)
    assert extras == ["web,notify"]
    assert '".[$EXTRAS]"' in CONTAINERFILE
    args = COMPOSE["services"]["daemon"]["build"]["args"]
    assert plain(args["EXTRAS"]) == extras[0]
    assert set(extras[0].split(",")) <= set(project["optional-dependencies"])
    assert extras[0] in (REPOSITORY / "scripts/install.sh").read_text("utf-8")


def test_image_runs_as_nobody_special_and_tells_its_health() -> None:
    last = CONTAINERFILE.rpartition("\nFROM ")[2]
    assert "\nUSER edge\n" in last
    assert "\nHEALTHCHECK " in last


def test_all_that_is_copied_into_the_image_is_let_in() -> None:
    let_in = (FOLDER / "Containerfile.dockerignore").read_text("utf-8").split()
    for line in re.findall(r"^COPY (?!--from)(.+)$", CONTAINERFILE, re.MULTILINE):
        *sources, _ = [part for part in line.split() if not part.startswith("--")]
        for source in sources:
            assert f"!{source}" in let_in
            assert (REPOSITORY / source).exists()


@pytest.mark.parametrize("service", sorted(ONES_OWN))
def test_own_services_have_no_rights_and_a_root_that_is_not_written_to(service: str) -> None:
    found = COMPOSE["services"][service]
    assert found["read_only"]
    assert found["cap_drop"] == ["ALL"]
    assert "no-new-privileges:true" in found["security_opt"]
    assert "privileged" not in found


def test_nothing_is_open_to_the_network_unless_somebody_says_so() -> None:
    ports = [plain(port) for one in COMPOSE["services"].values() for port in one.get("ports", ())]
    assert ports
    assert all(port.startswith("127.0.0.1:") for port in ports)
    assert f"127.0.0.1:{ServerSettings().port}:{ServerSettings().port}" in ports


def test_variables_of_the_compose_file_are_settings(tmp_path: Path) -> None:
    page, daemon = of_page(variables_of("page")), of_daemon(variables_of("daemon"), tmp_path)
    assert page.mqtt.host == daemon.mqtt.host == "broker"
    assert page.mqtt.username == daemon.mqtt.username == "edge"
    assert page.server.allowed_hosts == ("localhost",)
    assert daemon.cameras["camera"].source == "/dev/video0"
    assert daemon.snapshots.keep_waiting


def test_broker_keeps_what_waits_as_the_documents_say() -> None:
    fleet = (REPOSITORY / "docs/fleet.md").read_text("utf-8")
    wanted = re.findall(r"```\n(persistence true\n.*?)```", fleet, re.DOTALL)[0].split("\n")
    has = (FOLDER / "mosquitto.conf").read_text("utf-8").split("\n")
    assert set(wanted) <= set(has)
    assert not [line for line in has if line.startswith("allow_anonymous")]


def test_variables_that_documents_name_are_those_of_the_compose_file() -> None:
    text = (FOLDER / "compose.yaml").read_text("utf-8")
    used = set(re.findall(r"\$\{(\w+)", text))
    assert used == set(re.findall(r"^#   (\w+)=", text, re.MULTILINE))
    document = (REPOSITORY / "docs/container.md").read_text("utf-8")
    assert used <= set(re.findall(r"\b([A-Z_]+)=", document)) | {"CAMERA"}


def test_addon_is_this_version_of_the_page_on_its_port() -> None:
    assert ADDON["version"] == __version__
    assert ADDON["ingress"] is True
    assert ADDON["ingress_port"] == ServerSettings().port
    assert set(ADDON["ports"]) == {f"{ServerSettings().port}/tcp"}


def test_addon_offers_the_roles_that_there_are() -> None:
    offered = ADDON["schema"]["others"].removeprefix("list(").removesuffix(")").split("|")
    kind = IngressSettings.__annotations__["role"]
    assert tuple(offered) == get_args(kind)
    assert ADDON["options"]["others"] == IngressSettings().role


@pytest.mark.parametrize("language", ["en", "zh-Hans"])
def test_addon_explains_every_option_in_both_languages(language: str) -> None:
    text = (FOLDER / f"addon/translations/{language}.yaml").read_text("utf-8")
    found = yaml.safe_load(text)
    assert set(found["configuration"]) == set(ADDON["schema"])
    assert set(found["network"]) == set(ADDON["ports"])
    assert all(one["name"] for one in found["configuration"].values())


def test_addon_tells_page_and_daemon_what_its_options_say(tmp_path: Path) -> None:
    options = {
        "camera": "rtsp://192.168.1.20/1",
        "administrators": ["anna", 'b"c'],
        "others": "none",
    }
    broker = {"host": "core-mosquitto", "port": 1884, "username": "addons", "ssl": False}
    found = START.variables(options, broker)
    page, daemon = of_page(found), of_daemon(found, tmp_path)
    assert page.server.ingress == IngressSettings(
        proxy="172.30.32.2", administrators=("anna", 'b"c'), role="none"
    )
    for one in (page.mqtt, daemon.mqtt):
        assert (one.host, one.port, one.username) == ("core-mosquitto", 1884, "addons")
        assert not one.tls.enabled
    assert daemon.cameras["camera"].source == "rtsp://192.168.1.20/1"


def test_addon_without_a_camera_leaves_that_to_the_file(tmp_path: Path) -> None:
    found = START.variables(ADDON["options"], {"host": "h", "ssl": True})
    assert not any("CAMERAS" in name for name in found)
    assert of_page(found).mqtt.tls.enabled


def test_addon_asks_home_assistant_for_its_broker(monkeypatch: pytest.MonkeyPatch) -> None:
    known = {"host": "core-mosquitto", "port": 1883, "username": "addons", "password": "s"}
    with answering(200, json.dumps({"result": "ok", "data": known})) as port:
        monkeypatch.setattr(START, "SUPERVISOR", f"http://{HOST}:{port}/services/mqtt")
        assert START.broker_of({}, "token") == known
        own = START.broker_of({"mqtt_host": "nas", "mqtt_password": "t"}, "token")
        assert (own["host"], own["password"]) == ("nas", "t")
    with answering(400) as port:
        monkeypatch.setattr(START, "SUPERVISOR", f"http://{HOST}:{port}/services/mqtt")
        assert START.broker_of({}, "token") == {}


def test_addon_is_a_folder_that_builds_by_itself(tmp_path: Path) -> None:
    made = tmp_path / "addon"
    subprocess.run([FOLDER / "addon/make.sh", made], check=True, capture_output=True)
    assert {"config.yaml", "Dockerfile", "DOCS.md", "icon.png"} <= {
        one.name for one in made.iterdir()
    }
    text = (made / "Dockerfile").read_text("utf-8")
    for line in re.findall(r"^COPY (?!--from)(.+)$", text, re.MULTILINE):
        *sources, _ = [part for part in line.split() if not part.startswith("--")]
        assert all((made / source).exists() for source in sources)
    again = subprocess.run([FOLDER / "addon/make.sh", made], check=False, capture_output=True)
    assert again.returncode == 73


@pytest.mark.parametrize(
    ("statuses", "code"), [([200], 0), ([200, 200], 0), ([503], 1), ([200, 503], 1)]
)
def test_health_is_that_of_all_that_has_to_answer(statuses: list[int], code: int) -> None:
    with contextmanager(_answering_all)(statuses) as ports:
        assert healthy(*ports) == code
        assert healthy(*ports, free_port()) == 1


def healthy(*ports: int) -> int:
    command = [sys.executable, str(FOLDER / "healthy"), *map(str, ports)]
    return subprocess.run(command, check=False).returncode


def _answering_all(statuses: list[int]) -> Iterator[list[int]]:
    if not statuses:
        yield []
        return
    with answering(statuses[0]) as port, contextmanager(_answering_all)(statuses[1:]) as rest:
        yield [port, *rest]
