"""The daemon on a made scene, with broker, subscriber, and the page that records it.

    scripts/demo [--seconds N] [--json]

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
import urllib.request
from pathlib import Path
from typing import Any

from amqtt.broker import Broker
from demo_scene import write_film
from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion

_CONFIG = """
[device]
name = "demo"
state_folder = "{folder}"
[mqtt]
port = {port}
stats_s = 5
[http]
enabled = false
[snapshots]
keep_waiting = true
[cameras.garden]
source = "{film}"
"""
_PAGE_CONFIG = """
title = "Demo"
state_folder = "{folder}"
[server]
port = {page_port}
[mqtt]
port = {port}
protocol = "3.1.1"
"""
_SHOWN_S = 35
_STEP_S = 0.5


def main() -> int:
    """Start all parts, end them after a while; 0 when events have arrived and been recorded."""
    parser = argparse.ArgumentParser(description="Show the daemon and the web page at work.")
    text = "how long; without it, until Ctrl-C in a terminal, else 35 s"
    parser.add_argument("--seconds", type=int, metavar="N", help=text)
    parser.add_argument("--json", action="store_true", help="print every message as it comes")
    options = parser.parse_args()
    seconds = options.seconds
    logging.getLogger("amqtt").setLevel(logging.CRITICAL)
    logging.getLogger("transitions").setLevel(logging.CRITICAL)
    if seconds is None and not sys.stdin.isatty():
        seconds = _SHOWN_S
    with tempfile.TemporaryDirectory() as folder:
        return asyncio.run(_show(Path(folder), seconds, as_json=options.json))


async def _show(folder: Path, seconds: int | None, *, as_json: bool) -> int:
    port = _free_port()
    broker = Broker(_broker_config(port))
    await broker.start()
    page = Page(folder, port)
    print("The web page is started ...", flush=True)
    film = folder / "garden.mp4"
    await asyncio.gather(asyncio.to_thread(page.wait), asyncio.to_thread(write_film, film))
    listener = Listener(port, as_json=as_json)
    print(f"A broker listens on 127.0.0.1:{port}; the daemon's camera is a made scene: {film}\n")
    daemon = _start_daemon(folder, film, port)
    try:
        await _watch([daemon, page.process], listener, page.address, seconds)
    finally:
        code = await asyncio.to_thread(_end, daemon)
        await asyncio.sleep(0.5)  # The last words are on their way.
        recorded = page.recorded()
        listener.stop()
        page_code = await asyncio.to_thread(_end, page.process)
        await broker.shutdown()
    print(f"\nThe daemon ended with exit code {code} after {listener.events} events.")
    print(f"The page ended with exit code {page_code}; it had recorded {recorded} of them.")
    return 0 if listener.events == recorded > 0 and code == page_code == 0 else 1


async def _watch(
    processes: list[subprocess.Popen[bytes]],
    listener: "Listener",
    address: str,
    seconds: int | None,
) -> None:
    """Wait until time is up, a process ends, or Ctrl-C."""
    started = time.monotonic()
    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGINT, stopped.set)
    while not stopped.is_set() and all(process.poll() is None for process in processes):
        passed_s = time.monotonic() - started
        if seconds is not None and passed_s >= seconds:
            return
        if seconds is None and passed_s >= _SHOWN_S and not listener.is_silent:
            listener.is_silent = True
            print(f"\nThe page stays at {address} until Ctrl-C.", flush=True)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stopped.wait(), _STEP_S)


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


def _start_daemon(folder: Path, film: Path, port: int) -> subprocess.Popen[bytes]:
    config = folder / "config.toml"
    text = _CONFIG.format(folder=folder / "state", port=port, film=film)
    config.write_text(text, "utf-8")
    command = [sys.executable, "-m", "edge_classifier", "run", "--config", str(config)]
    # In a group of its own, so that Ctrl-C is ours and all end in order.
    return subprocess.Popen(command, env=os.environ, process_group=0)


def _end(process: subprocess.Popen[bytes]) -> int:
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
    return process.wait(20)


class Page:
    """The web page in a process of its own; it says itself where it is."""

    def __init__(self, folder: Path, port: int) -> None:
        page_port = _free_port()
        config = folder / "web.toml"
        state = folder / "web"
        config.write_text(
            _PAGE_CONFIG.format(folder=state, port=port, page_port=page_port), "utf-8"
        )
        self.address = f"http://127.0.0.1:{page_port}/"
        command = [sys.executable, "-m", "edge_classifier", "web", "--config", str(config)]
        self.process = subprocess.Popen(command, env=os.environ, process_group=0)

    def wait(self) -> None:
        """Until it answers. Raises SystemExit when it has ended instead."""
        while self.process.poll() is None:
            with contextlib.suppress(OSError):
                if self._health()["live"]["connected"]:
                    return
            time.sleep(_STEP_S)
        raise SystemExit(f"the page ended with exit code {self.process.returncode}")

    def recorded(self) -> int:
        """Events that it has written."""
        with contextlib.suppress(OSError):
            return int(self._health()["recorder"]["recorded"])
        return 0

    def _health(self) -> dict[str, Any]:
        with urllib.request.urlopen(f"{self.address}healthz", timeout=5) as answer:  # noqa: S310
            found: dict[str, Any] = json.load(answer)
        return found


class Listener:
    """A subscriber that prints what it receives: a sentence an event, or all messages."""

    def __init__(self, port: int, *, as_json: bool) -> None:
        self._as_json = as_json
        self.events = 0
        self.is_silent = False
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
        if self.is_silent:
            return
        elapsed = f"{time.monotonic() - self._started:6.1f} s"
        payload = bytes(message.payload)
        if self._as_json:
            print(f"{elapsed}  {message.topic}  {_shown(payload)}", flush=True)
        elif message.topic.endswith("/event") and (text := sentence(json.loads(payload))):
            print(f"{elapsed}  {text}", flush=True)


def sentence(event: dict[str, Any]) -> str:
    """An event for people. Empty: the one before has said it."""
    camera = event["camera"]
    if event["event_type"] == "label_changed":
        if event["to"] == "unknown":
            return ""
        return f"{camera}: {event['to_name']} came (score {event['score']:.2f})"
    label, lasted_s, peak = event["label_name"], event["duration_s"], event["peak_score"]
    if event["event_type"] == "label_ended":
        return f"{camera}: {label} went after {lasted_s:.1f} s (best score {peak:.2f})"
    return f"{camera}: {label} was glimpsed for {lasted_s:.1f} s (best score {peak:.2f})"


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
