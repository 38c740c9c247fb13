"""A real Home Assistant core on the loopback interface, driven by its REST API."""

import json
import signal
import subprocess
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.ports import HOST, free_port
from tests.system.debian import PYTHON, SITE, Root, bootstrap
from tests.system.machine import kept, need, need_package
from tests.waiting import eventually

# The last that runs on Python 3.13.
_VERSION = "2026.2.3"
_PACKAGES = ("python3-dev", "python3-pip", "gcc", "libc6-dev", "ca-certificates")
_SETTINGS = """
http:
  server_host: 127.0.0.1
  server_port: {port}
api:
config:
onboarding:
logger:
  default: warning
"""
_CLIENT = "http://127.0.0.1/"
_USER = {
    "client_id": _CLIENT,
    "name": "Test",
    "username": "test",
    "password": "loopback only",
    "language": "en",
}


def installed() -> Path:
    """A root file system with Home Assistant, made at the first call; skips where it cannot be."""
    need("mmdebstrap", "unshare", "setpriv")
    return kept("home-assistant", (_VERSION, _PACKAGES), _install)


def _install(folder: Path) -> None:
    need_package("homeassistant")
    bootstrap(folder, *_PACKAGES)
    root = Root(folder)
    core = f"homeassistant=={_VERSION}"
    # Home Assistant's own list of versions that go together comes inside of it.
    root.pip_install("--no-deps", core)
    constraints = f"/{SITE}/homeassistant/package_constraints.txt"
    root.pip_install("-c", constraints, core, "home-assistant-frontend", "paho-mqtt")


@dataclass
class HomeAssistant:
    """One instance with its settings and memory in ``folder``; stopped and started at will."""

    root: Path
    folder: Path
    port: int = field(default_factory=free_port)
    # Lines beside our settings.
    more: str = ""
    _process: subprocess.Popen[str] | None = None
    _token: str = ""

    @property
    def log(self) -> str:
        """Warnings and errors since it was made."""
        return (self.folder / "home-assistant.out").read_text("utf-8")

    def start(self) -> None:
        """Return when it answers and has loaded its integrations."""
        settings = self.folder / "configuration.yaml"
        settings.write_text(_SETTINGS.format(port=self.port) + self.more, "utf-8")
        root = Root(self.root, lent={self.folder: "/config"})
        command = [PYTHON, "-m", "homeassistant", "--config", "/config", "--skip-pip"]
        with (self.folder / "home-assistant.out").open("a") as out:
            self._process = root.start(*command, stdout=out.fileno(), stderr=subprocess.STDOUT)
        eventually(self._answers, within_s=120)
        if not self._token:
            self._set_up_owner()
        eventually(lambda: self.get("/api/config")["state"] == "RUNNING", within_s=60)

    def stop(self) -> None:
        """Stop it as its service manager would; it writes its memory down."""
        process, self._process = self._process, None
        if process is not None:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(60)
            finally:
                process.kill()

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def use_broker(self, port: int) -> None:
        """Set up the MQTT integration as a user does in the dialogue; discovery is then on."""
        flows = "/api/config/config_entries/flow"
        flow = self.post(flows, {"handler": "mqtt"})
        done = self.post(f"{flows}/{flow['flow_id']}", {"broker": HOST, "port": port})
        assert done["type"] == "create_entry", done

    def states(self) -> dict[str, dict[str, Any]]:
        """Every entity by its id, with ``state`` and ``attributes``."""
        return {entity["entity_id"]: entity for entity in self.get("/api/states")}

    def call(self, service: str, **data: object) -> None:
        """Call a service, e.g. ``switch/turn_off``, as a button in the browser does."""
        self.post(f"/api/services/{service}", data)

    def get(self, path: str) -> Any:
        """Answer of the REST API."""
        return json.loads(self.read(path))

    def post(self, path: str, body: Mapping[str, object]) -> Any:
        """Answer of the REST API."""
        return json.loads(self.read(path, json.dumps(body).encode(), "application/json"))

    def delete(self, path: str) -> None:
        """Take away what the REST API has there."""
        self.read(path, method="DELETE")

    def read(
        self, path: str, body: bytes | None = None, kind: str = "", method: str | None = None
    ) -> bytes:
        """The bytes at ``path``, asked for as the user who was set up."""
        headers = {"Authorization": f"Bearer {self._token}"} if self._token else {}
        if kind:
            headers["Content-Type"] = kind
        url = f"http://{HOST}:{self.port}{path}"
        request = urllib.request.Request(url, body, headers, method=method)
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
            return bytes(answer.read())

    def _answers(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, self.log[-3000:]
        try:
            self.read("/manifest.json")
        except (urllib.error.URLError, ConnectionError):
            return False
        return True

    def _set_up_owner(self) -> None:
        code = self.post("/api/onboarding/users", _USER)["auth_code"]
        form = {"client_id": _CLIENT, "grant_type": "authorization_code", "code": code}
        body = urllib.parse.urlencode(form).encode()
        answer = self.read("/auth/token", body, "application/x-www-form-urlencoded")
        self._token = json.loads(answer)["access_token"]
