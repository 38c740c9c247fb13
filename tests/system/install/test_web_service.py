"""The web page's unit under a real systemd, installed by ``install.sh --web``."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from edge_classifier.modelfile.catalogue import sha256_of
from tests import tiny
from tests.system.install.pi import CHECKOUT, CURRENT, PASSWORD, UNIT, Pi
from tests.waiting import eventually

pytestmark = [pytest.mark.system, pytest.mark.timeout(900)]

WEB = "edge-classifier-web.service"
SETTINGS = "/etc/edge-classifier/web.toml"
SECRET = "/etc/edge-classifier/web-secrets/mqtt-password"  # noqa: S105 (a path)
STATE = "/var/lib/private/edge-classifier-web"
MODELS = f"{STATE}-models"
ADDRESS = "http://127.0.0.1:8090"
PUBLISH = ("mosquitto_pub", "-u", "pi", "-P", PASSWORD, "-q", "1")
OPEN = """
[access]
allow_anonymous_uploads = true
[mqtt]
username = "pi"
"""
# What a visitor's browser does with a picture.
UPLOAD = f"""
page=$(curl --fail --silent --cookie-jar /run/jar {ADDRESS}/)
token=$(echo "$page" | grep -o 'name="csrfmiddlewaretoken" value="[^"]*' | head -n 1)
token=$(echo "$token" | cut -d'"' -f 4)
curl --silent --cookie /run/jar --form "csrfmiddlewaretoken=$token" --form "pictures=@$1" \\
  --location {ADDRESS}/classify
"""
# What an administrator's browser does with a form: ``PAGE PATH FORM...``.
ADMINISTRATE = f"""
send() {{
  page=$(curl --fail --silent --cookie /run/jar --cookie-jar /run/jar "{ADDRESS}/$1")
  token=$(echo "$page" | grep -o 'name="csrfmiddlewaretoken" value="[^"]*' | head -n 1)
  path=$2
  shift 2
  curl --fail --silent --cookie /run/jar --cookie-jar /run/jar --location \\
    --form "csrfmiddlewaretoken=$(echo "$token" | cut -d'"' -f 4)" "$@" "{ADDRESS}/$path"
}}
rm -f /run/jar
send login login --form username=anna --form "password={PASSWORD}" >&2
send "$@"
"""
# What the daemon can do with uploaded models.
PROBE = """
import json, os, sys
from pathlib import Path

def refused(action, *arguments):
    try:
        action(*arguments)
    except OSError as error:
        return error.strerror
    return ""

folder = Path(os.environ["EDGE_CLASSIFIER_UPLOADS"])
model = folder / sys.argv[1]
print(json.dumps({
    "read": model.read_bytes()[4:8].decode(),
    "list": refused(os.listdir, folder),
    "add": refused((folder / "new.tflite").touch),
    "change": refused(os.truncate, model, 0),
    "others": sorted(os.listdir(folder.parent)),
}))
"""


@pytest.fixture(scope="module")
def installed(pi: Pi) -> Iterator[Pi]:
    """The machine with the page, too; afterwards without it, as other tests expect it."""
    said = pi.install("--web").stdout
    assert f"The page is at {ADDRESS}/" in said
    assert re.search(rf"Make the first administrator there: {ADDRESS}/setup/\S{{43}}", said)
    # The page was started first, or else its folder of models would not be there for the daemon.
    mounts = pi.run("cat", f"/proc/{pi.shows('MainPID')}/mountinfo").stdout.splitlines()
    assert [line.split()[5][:3] for line in mounts if f" {MODELS} " in line] == ["ro,"]
    yield pi
    pi.systemctl("disable", "--now", WEB)
    etc = f"/etc/systemd/system/{WEB}"
    pi.run("rm", "-rf", etc, f"{etc}.d", SETTINGS, "/etc/edge-classifier/web-secrets")
    pi.run("rm", "-rf", STATE, MODELS)
    pi.run("rm", "-f", "/var/lib/edge-classifier-web", "/var/lib/edge-classifier-web-models")
    pi.systemctl("daemon-reload")


@pytest.fixture
def web(installed: Pi) -> Pi:
    """The machine with broker, daemon and page running."""
    installed.reset()
    installed.write(SETTINGS, OPEN)
    installed.write(SECRET, PASSWORD, mode=0o600)
    installed.systemctl("restart", WEB)
    return installed


def shows(pi: Pi, name: str) -> str:
    return pi.machine.shows(WEB, name)


def journal(pi: Pi) -> str:
    return pi.run("journalctl", "--output=cat", "-u", WEB).stdout


def health(pi: Pi) -> str:
    return pi.run("curl", "--silent", f"{ADDRESS}/healthz").stdout


def test_page_is_ready_when_systemd_says_so(web: Pi) -> None:
    assert shows(web, "ActiveState") == "active"
    assert json.loads(health(web))
    assert web.systemctl("is-enabled", WEB) == "enabled"


def test_page_records_what_the_daemon_tells_with_the_password_of_its_credential(web: Pi) -> None:
    web.wait_for("espresso")
    web.show("cat")
    web.run("rm", "/srv/pictures/espresso.jpg")
    web.systemctl("restart", "edge-classifier.service")
    eventually(lambda: json.loads(health(web))["recorder"]["recorded"] >= 1, within_s=60)
    assert PASSWORD not in journal(web)


def test_page_classifies_a_picture_in_its_sandbox(web: Pi) -> None:
    picture = f"{CHECKOUT}/edge_classifier/samples/espresso.jpg"
    page = web.run("sh", "-ec", UPLOAD, "sh", picture, timeout_s=120).stdout
    assert "espresso" in page
    assert shows(web, "ActiveState") == "active"


def test_page_keeps_its_state_for_itself(web: Pi) -> None:
    modes = web.run("find", STATE, "-maxdepth", "1", "-printf", "%m %f\\n").stdout.split("\n")
    modes.remove("711 edge-classifier-web")
    assert [line for line in modes if line and not line.startswith(("600 ", "700 "))] == []
    assert web.run("stat", "--format=%a", "/var/lib/private").stdout == "700\n"
    user = web.run("stat", "--format=%u", f"{STATE}/web.db").stdout
    assert int(user) >= 61184  # systemd's range of dynamic users


def upload_model(pi: Pi, name: str) -> str:
    """Upload a small model through the page; the name that it gets."""
    built = tiny.build(pi.path("/srv/tiny.tflite"))
    form = ("--form", "model=@/srv/tiny.tflite", "--form", f"name={name}")
    page = pi.run("bash", "-ec", ADMINISTRATE, "bash", "models", "models/upload", *form).stdout
    found = f"{name}-{sha256_of(built)[:8]}"
    assert f"<h1>{found}</h1>" in page
    return found


def runs(pi: Pi, model: str) -> bool:
    """Whether the daemon says that it runs this model."""
    info: dict[str, Any] = json.loads(pi.received("info") or "{}")
    return str(info.get("model")).startswith(f"{model}@")


@pytest.fixture
def uploaded(web: Pi) -> Iterator[str]:
    """A model that was uploaded to the page; afterwards the daemon runs its own, and it is gone."""
    # The folder of models may be new since the daemon was started.
    web.systemctl("restart", UNIT)
    command = ["edge-classify", "web", "--set", f"state_folder={STATE}", "createadmin", "anna"]
    web.run("sh", "-ec", f"echo {PASSWORD} | {' '.join(command)}")
    yield upload_model(web, "colours")
    # A request reaches a daemon that is connected; a test may just have restarted it.
    eventually(lambda: web.received("availability") == "online", within_s=60)
    topic = "edge-classifier/pi/request/model"
    web.run(*PUBLISH, "-t", topic, "-m", '{"model": ""}')
    eventually(lambda: runs(web, "mobilenet-v2-int8"), within_s=60)
    web.systemctl("stop", WEB)
    web.run("rm", "-rf", STATE, MODELS)


def test_daemon_changes_to_an_uploaded_model_and_keeps_it(web: Pi, uploaded: str) -> None:
    web.wait_for("espresso")
    form = ("--form", "device=pi", "--form", f"model={uploaded}")
    page = web.run("bash", "-ec", ADMINISTRATE, "bash", "models", "models/switch", *form).stdout
    assert f"pi now runs {uploaded}@" in page
    # The page goes, with all that it had.
    web.systemctl("stop", WEB)
    web.run("rm", "-rf", MODELS)
    web.systemctl("restart", UNIT)
    eventually(lambda: f"model {uploaded}, as asked for over MQTT" in web.journal(), within_s=60)
    assert runs(web, uploaded)


def test_daemon_may_read_uploaded_models_and_nothing_else_of_the_page(
    web: Pi, uploaded: str
) -> None:
    web.write("/opt/uploads.py", PROBE)
    found = web.in_sandbox(f"{CURRENT}/bin/python", "/opt/uploads.py", f"{uploaded}.tflite")
    assert json.loads(found) == {
        "read": "TFL3",
        "list": "Permission denied",
        "add": "Read-only file system",
        "change": "Permission denied",
        "others": ["edge-classifier-web-models", "sandbox"],
    }


def test_page_is_stopped_in_peace(web: Pi) -> None:
    web.systemctl("stop", WEB)
    assert shows(web, "Result") == "success"
    assert shows(web, "ExecMainStatus") == "0"


def test_page_killed_comes_back(web: Pi) -> None:
    before = shows(web, "MainPID")
    web.run("kill", "-KILL", before)
    eventually(lambda: shows(web, "MainPID") not in {before, "0"}, within_s=30)
    eventually(lambda: shows(web, "ActiveState") == "active", within_s=60)


def test_page_with_wrong_settings_fails_and_is_not_restarted(web: Pi) -> None:
    web.write(SETTINGS, "no_such_key = 1\n")
    web.systemctl("restart", WEB, check=False)
    assert shows(web, "ActiveState") == "failed"
    assert shows(web, "ExecMainStatus") == "78"
    assert shows(web, "NRestarts") == "0"


def test_upgrade_keeps_the_page_its_settings_and_its_state(web: Pi) -> None:
    before = web.run("sha256sum", SETTINGS, f"{STATE}/secret-key").stdout
    web.install("upgrade")
    assert web.run("sha256sum", SETTINGS, f"{STATE}/secret-key").stdout == before
    assert shows(web, "ActiveState") == "active"


def test_upgrade_that_refuses_the_settings_of_the_page_leaves_the_old_one_running(web: Pi) -> None:
    web.write(SETTINGS, "no_such_key = 1\n")
    before = web.release(), shows(web, "MainPID")
    done = web.install("upgrade", check=False)
    assert done.returncode == 78
    assert "no_such_key" in done.stderr
    assert (web.release(), shows(web, "MainPID")) == before
