#!/usr/bin/python3 -IS
"""Starts daemon and page of the add-on; ends when one of them does, and Home Assistant starts anew.

Home Assistant starts it as root, with the options in /data/options.json. Root makes the folders and
reads the options, and nothing else: what runs is the user `edge`.
"""

import json
import os
import pwd
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any

# Of Home Assistant's Supervisor, whose ingress asks from there and from nowhere else.
INGRESS = "172.30.32.2"
SUPERVISOR = "http://supervisor/services/mqtt"
DATA, SETTINGS, SECRETS = Path("/data"), Path("/config"), Path("/run/secrets")
NO_BROKER = "No broker: install the add-on Mosquitto, or set mqtt_host in this add-on's options."
COMMANDS = {"daemon": ["edge-classify", "run"], "page": ["edge-classify", "web"]}


def broker_of(options: Mapping[str, Any], token: str) -> dict[str, Any]:
    """The broker of the options, else Home Assistant's; empty where there is none."""
    if options.get("mqtt_host"):
        names = ("host", "port", "username", "password")
        return {name: options.get(f"mqtt_{name}", "") for name in names}
    asked = urllib.request.Request(SUPERVISOR, headers={"Authorization": f"Bearer {token}"})
    try:
        with urllib.request.urlopen(asked, timeout=20) as answer:  # noqa: S310 (a fixed address)
            found: dict[str, Any] = json.load(answer)["data"]
            return found
    except (urllib.error.URLError, TimeoutError, KeyError, ValueError):
        return {}


def variables(options: Mapping[str, Any], broker: Mapping[str, Any]) -> dict[str, str]:
    """The settings of daemon and page that the options say, as variables."""
    mqtt = {"HOST": broker["host"], "PORT": broker.get("port") or 1883}
    mqtt |= {"USERNAME": broker.get("username") or ""}
    if broker.get("ssl"):
        mqtt |= {"TLS__ENABLED": "true"}
    found = {
        f"{prefix}__MQTT__{name}": str(value)
        for prefix in ("EDGE_CLASSIFIER", "EDGE_CLASSIFIER_WEB")
        for name, value in mqtt.items()
    }
    if options.get("camera"):
        found["EDGE_CLASSIFIER__CAMERAS__CAMERA__SOURCE"] = options["camera"]
    ingress = "EDGE_CLASSIFIER_WEB__SERVER__INGRESS__"
    return found | {
        "EDGE_CLASSIFIER__SNAPSHOTS__KEEP_WAITING": "true",
        f"{ingress}PROXY": INGRESS,
        # JSON's lists of texts are TOML's.
        f"{ingress}ADMINISTRATORS": json.dumps(options.get("administrators", [])),
        f"{ingress}ROLE": options.get("others", "viewer"),
    }


def write_secrets(folder: Path, options: Mapping[str, Any], broker: Mapping[str, Any]) -> None:
    """What `edge` may read, and nobody else; where systemd would put credentials."""
    secrets = {
        "mqtt-password": broker.get("password"),
        "camera-camera": options.get("camera_login"),
    }
    for name, secret in secrets.items():
        if secret:
            (folder / name).write_text(f"{secret}\n", "utf-8")


def main() -> int:
    """Start both, wait for the first that ends, and end the other. Its exit code is this one's."""
    options = json.loads((DATA / "options.json").read_text("utf-8"))
    broker = broker_of(options, os.environ.pop("SUPERVISOR_TOKEN", ""))
    if not broker:
        print(NO_BROKER, file=sys.stderr)
        return 78
    edge = pwd.getpwnam("edge")
    states = {name: DATA / name for name in (*COMMANDS, "uploads")}
    os.umask(0o077)
    for folder in (*states.values(), SECRETS):
        folder.mkdir(parents=True, exist_ok=True)
    write_secrets(SECRETS, options, broker)
    for path in (*states.values(), SECRETS, *SECRETS.iterdir()):
        os.chown(path, edge.pw_uid, edge.pw_gid)
    # The number that cameras have on this machine; others need none.
    groups = {path.stat().st_gid for path in Path("/dev").glob("video*")} - {0}
    children = []
    for name, command in COMMANDS.items():
        file = SETTINGS / {"daemon": "config.toml", "page": "web.toml"}[name]
        here = {
            **os.environ,
            **variables(options, broker),
            "STATE_DIRECTORY": str(states[name]),
            "EDGE_CLASSIFIER_MODELS": str(states["daemon"] / "models"),
            "EDGE_CLASSIFIER_UPLOADS": str(states["uploads"]),
            "EDGE_CLASSIFIER_WEB__CLASSIFY__MODELS_FOLDER": str(states["uploads"]),
        }
        given = ["--config", str(file)] if file.exists() else []
        started = subprocess.Popen(
            [*command, *given],
            env=here,
            cwd="/",
            user=edge.pw_uid,
            group=edge.pw_gid,
            extra_groups=sorted(groups),
        )
        children.append(started)

    def end_all(*_: object) -> None:
        for child in children:
            child.terminate()

    signal.signal(signal.SIGTERM, end_all)
    _, status = os.wait()
    end_all()
    for child in children:
        child.wait()
    code = os.waitstatus_to_exitcode(status)
    # Of what a signal has ended, as shells say it.
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    sys.exit(main())
