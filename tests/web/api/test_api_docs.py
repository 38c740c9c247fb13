"""docs/api.md against a real server: its commands work, and are answered as it says."""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from edge_classifier import samples
from edge_classifier.web.api import api
from edge_classifier.web.api.problems import ProblemDetails
from tests import tiny
from tests.conftest import REPOSITORY
from tests.mosquitto import Broker
from tests.ports import HOST
from tests.waiting import eventually
from tests.web.recording import Sender, event_payload
from tests.web.serving import PASSWORD, Page, hidden_token, prepare

PAGE = (REPOSITORY / "docs" / "api.md").read_text("utf-8")
ADDRESS = "http://localhost:8090"
EXAMPLES = [
    (command, answer)
    for command, answer in re.findall(
        r"```sh\n(curl [^\n]+)\n```\n(?:\n```json\n(.*?)```)?", PAGE, re.DOTALL
    )
]
STATE = (
    b'{"label": "cat", "name": "cat", "score": 0.75, "margin": 0.5, "top": [], "seq": 1,'
    b' "since": "2026-11-22T11:39:00.238Z", "ts": "2026-11-22T11:39:05.000Z",'
    b' "model": "test@00000000", "enabled": true, "threshold": 0.6, "problem": null}'
)


@dataclass
class Shell:
    """Where commands are typed in."""

    address: str
    folder: Path
    token: str
    device_token: str
    key: str = ""
    # Of a model, and of a roll-out.
    sha256: str = ""
    number: str = ""

    def run(self, command: str) -> str:
        """What ``command`` prints; its answer must be a good one, unless it is an error's."""
        words = {"TOKEN": self.token, "KEY": self.key, "PATH": os.environ["PATH"]}
        words |= {"DEVICE_TOKEN": self.device_token, "SHA256": self.sha256, "ID": self.number}
        done = subprocess.run(
            ["sh", "-c", command.replace("curl ", "curl -sS ").replace(ADDRESS, self.address)],
            cwd=self.folder,
            env=words,
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        return done.stdout


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    """A page with an administrator, who has made a token on it; and a camera that it hears."""
    folder = tmp_path_factory.mktemp("api-docs")
    shutil.copy(samples.FOLDER / "espresso.jpg", folder)
    tiny.build(folder / "garden.tflite")
    state = folder / "state"
    prepare(state, "ann")
    with Broker(folder / "broker") as broker, Sender(broker.port) as sender:
        sender.send("edge-classifier/pi/availability", b"online", retain=True)
        sender.send("edge-classifier/pi/front/availability", b"online", retain=True)
        sender.send("edge-classifier/pi/front/state", STATE, retain=True)
        with Page(state, (f"mqtt.host={HOST}", f"mqtt.port={broker.port}")) as page:
            of_device = token_made_on(page, "/models/tokens")
            shell = Shell(page.address, folder, token_made_on(page), of_device)
            status = f'curl -H "Authorization: Bearer $TOKEN" {ADDRESS}/api/v1/status'
            eventually(lambda: json.loads(shell.run(status))["recorder"]["connected"])
            sender.send("edge-classifier/pi/front/event", event_payload(1))
            sender.send("edge-classifier/pi/stats", b'{"cameras": {"front": {"fps": 5.1}}}')
            eventually(lambda: json.loads(shell.run(status))["recorder"]["recorded"])
            cameras = status.replace("status", "cameras")
            eventually(lambda: json.loads(shell.run(cameras))["cameras"][0]["now"]["fps"])
            yield shell


def token_made_on(page: Page, where: str = "/tokens") -> str:
    """As the document tells to do."""
    cookies = dict(page.log_in("ann", PASSWORD).cookies)

    def sent() -> dict[str, str]:
        return {"Cookie": "; ".join(line.partition(";")[0] for line in cookies.values())}

    form = page.ask(where, headers=sent())
    cookies.update(form.cookies)
    body = f"csrfmiddlewaretoken={hidden_token(form.body)}&name=docs"
    made = page.ask(f"{where}/make", headers=sent(), form=body)
    return re.findall(r'value="(edge_[^"]+)"', made.body)[0]


def shape(value: Any) -> Any:
    """Keys, and kinds of values; of lists that of their first element."""
    if isinstance(value, dict):
        return {key: shape(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [shape(value[0])] if value else []
    return "number" if isinstance(value, int | float) else type(value).__name__


def test_commands_of_the_page_work_and_are_answered_as_shown(shell: Shell) -> None:
    for command, shown in EXAMPLES:
        said = shell.run(command)
        if shown:
            assert shape(json.loads(said)) == shape(json.loads(shown)), (command, said)
        if '"saved": {' in said:
            shell.key = json.loads(said)["results"][0]["saved"]["key"]
        if command.endswith("/api/v1/models"):
            shell.sha256 = json.loads(said)["models"][0]["sha256"]
        if command.endswith("/api/v1/rollouts") and "POST" in command:
            shell.number = str(json.loads(said)["id"])
        if "review" in command:
            assert json.loads(said)["review"]["truth"] == "cappuccino"
    assert sha256((shell.folder / "model.tflite").read_bytes()).hexdigest() == shell.sha256
    assert (shell.folder / "picture.jpg").read_bytes().startswith(b"\xff\xd8")
    # The last one but those about other things deletes it.
    gone = shell.run(f'curl -H "Authorization: Bearer $TOKEN" {ADDRESS}/api/v1/records/$KEY')
    assert json.loads(gone)["status"] == 404


def test_every_operation_has_a_command_in_the_page() -> None:
    shown = set()
    for command, _ in EXAMPLES:
        method = re.search(r"-X (\w+)", command)
        sends = "-F " in command or "--data-binary" in command
        path = re.findall(rf"{ADDRESS}([^\s?\"]+)", command)[0]
        for word, gap in {"$KEY": "{key}", "$SHA256": "{sha256}", "$ID": "{number}"}.items():
            path = path.replace(word, gap)
        shown.add((method[1] if method else "POST" if sends else "GET", path))
    described = {
        (method.upper(), path)
        for path, methods in api.get_openapi_schema()["paths"].items()
        for method in methods
    }
    assert shown == described


def test_every_parameter_key_and_status_is_in_the_page() -> None:
    description = api.get_openapi_schema()
    operations = [one for methods in description["paths"].values() for one in methods.values()]
    words = {
        name["name"]
        for one in operations
        for name in one["parameters"]
        if name["name"] not in ("key", "sha256")
    }
    schemas = description["components"]["schemas"]
    words |= {
        key
        for name in ("Recognition", "RecordSchema", "RolloutRequest")
        for key in schemas[name]["properties"]
    }
    assert not {word for word in words if f"`{word}`" not in PAGE}
    statuses = {str(status) for one in operations for status in one["responses"]}
    assert not {
        status
        for status in statuses - {"200", "201", "204", "206", "304"}
        if f"| {status} |" not in PAGE
    }
    assert set(ProblemDetails.model_fields) == set(json.loads(EXAMPLES[-1][1]))
