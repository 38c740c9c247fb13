"""The web page's unit under a real systemd, installed by ``install.sh --web``."""

import json
import re
from collections.abc import Iterator

import pytest

from tests.system.pi import CHECKOUT, PASSWORD, Pi
from tests.waiting import eventually

pytestmark = [pytest.mark.system, pytest.mark.timeout(900)]

WEB = "edge-classifier-web.service"
SETTINGS = "/etc/edge-classifier/web.toml"
SECRET = "/etc/edge-classifier/web-secrets/mqtt-password"  # noqa: S105 (a path)
STATE = "/var/lib/private/edge-classifier-web"
ADDRESS = "http://127.0.0.1:8090"
OPEN = """
[access]
allow_anonymous_uploads = true
[mqtt]
username = "pi"
"""
UPLOAD = f"""
page=$(curl --fail --silent --cookie-jar /run/jar {ADDRESS}/)
token=$(echo "$page" | grep -o 'name="csrfmiddlewaretoken" value="[^"]*' | head -n 1)
token=$(echo "$token" | cut -d'"' -f 4)
curl --silent --cookie /run/jar --form "csrfmiddlewaretoken=$token" --form "pictures=@$1" \\
  --location {ADDRESS}/classify
"""
"""What a visitor's browser does with a picture."""


@pytest.fixture(scope="module")
def installed(pi: Pi) -> Iterator[Pi]:
    """The machine with the page, too; afterwards without it, as other tests expect it."""
    said = pi.install("--web").stdout
    assert f"The page is at {ADDRESS}/" in said
    assert re.search(rf"Make the first administrator there: {ADDRESS}/setup/\S{{43}}", said)
    yield pi
    pi.systemctl("disable", "--now", WEB)
    etc = f"/etc/systemd/system/{WEB}"
    pi.run("rm", "-rf", etc, f"{etc}.d", SETTINGS, "/etc/edge-classifier/web-secrets", STATE)
    pi.run("rm", "-f", "/var/lib/edge-classifier-web")
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
    assert "700 edge-classifier-web" in modes
    assert [line for line in modes if line and not line.startswith(("600 ", "700 "))] == []
    user = web.run("stat", "--format=%u", f"{STATE}/web.db").stdout
    assert int(user) >= 61184  # systemd's range of dynamic users


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
