"""The daemon on the bundled photographs, a broker in pure Python, and what a subscriber receives.

    scripts/demo [--seconds N]

The broker (amqtt) is for this and for a first try only; a household runs mosquitto or the like.
"""

import argparse
import asyncio
import contextlib
import json
import logging
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from amqtt.broker import Broker
from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion

from edge_classifier import samples

_CONFIG = """
[device]
name = "demo"
state_folder = "{folder}"
[mqtt]
port = {port}
stats_s = 5
[http]
enabled = false
[cameras.door]
source = "pictures:{pictures}"
picture_s = 3
[decision]
time_constant_s = 0.5
[decision.groups]
cat = ["tabby", "tiger cat", "Egyptian cat", "Persian cat", "Siamese cat"]
"""


def main() -> int:
    """Start the broker, the subscriber and the daemon; end them; 0 when events have arrived."""
    parser = argparse.ArgumentParser(description="Show the daemon at work.")
    parser.add_argument("--seconds", type=int, default=20, metavar="N", help="how long")
    seconds = parser.parse_args().seconds
    logging.getLogger("amqtt").setLevel(logging.CRITICAL)
    logging.getLogger("transitions").setLevel(logging.CRITICAL)
    with tempfile.TemporaryDirectory() as folder:
        return asyncio.run(_show(Path(folder), seconds))


async def _show(folder: Path, seconds: int) -> int:
    port = _free_port()
    broker = Broker(_broker_config(port))
    await broker.start()
    listener = Listener(port)
    print(f"A broker listens on 127.0.0.1:{port}; the daemon classifies {samples.FOLDER}.\n")
    daemon = _start_daemon(folder, port)
    try:
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(asyncio.to_thread(daemon.wait), seconds)
    finally:
        if daemon.poll() is None:
            daemon.send_signal(signal.SIGTERM)
        code = await asyncio.to_thread(daemon.wait, 20)
        await asyncio.sleep(0.5)  # The last words are on their way.
        listener.stop()
        await broker.shutdown()
    print(f"\nThe daemon ended with exit code {code} after {listener.events} events.")
    return 0 if listener.events and code == 0 else 1


def _broker_config(port: int) -> dict[str, object]:
    anonymous = {"amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}}
    return {
        "listeners": {"default": {"type": "tcp", "bind": f"127.0.0.1:{port}"}},
        "plugins": anonymous,
    }


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def _start_daemon(folder: Path, port: int) -> subprocess.Popen[bytes]:
    config = folder / "config.toml"
    text = _CONFIG.format(folder=folder / "state", port=port, pictures=samples.FOLDER)
    config.write_text(text, "utf-8")
    command = [sys.executable, "-m", "edge_classifier", "run", "--config", str(config)]
    return subprocess.Popen(command, env=os.environ)


class Listener:
    """A subscriber that prints what it receives."""

    def __init__(self, port: int) -> None:
        self.events = 0
        self._started = time.monotonic()
        self._client = Client(CallbackAPIVersion.VERSION2, "demo-listener")
        self._client.on_message = self._print
        self._client.connect("127.0.0.1", port)
        self._client.subscribe("#", 1)
        self._client.loop_start()

    def stop(self) -> None:
        """Disconnect."""
        self._client.disconnect()
        self._client.loop_stop()

    def _print(self, _client: Client, _userdata: object, message: MQTTMessage) -> None:
        self.events += message.topic.endswith("/event")
        elapsed = time.monotonic() - self._started
        print(f"{elapsed:6.1f} s  {message.topic}  {_shown(bytes(message.payload))}", flush=True)


def _shown(payload: bytes) -> str:
    """A payload for one line of a terminal."""
    if payload.startswith(b"\xff\xd8"):
        return f"(JPEG, {len(payload)} bytes)"
    text = payload.decode("utf-8", "replace")
    with contextlib.suppress(ValueError):
        text = json.dumps(json.loads(text), ensure_ascii=False)
    return text if len(text) <= 300 else f"{text[:300]} ... ({len(payload)} bytes)"


if __name__ == "__main__":
    raise SystemExit(main())
