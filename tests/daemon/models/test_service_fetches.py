"""A daemon that is killed while a model comes: it goes on, or goes back, and says so."""

import hashlib
import json
import os
import threading
from itertools import count
from pathlib import Path
from typing import Any

from tests.daemon.models.source import TOKEN, Source, serving
from tests.daemon.site import DaemonSite
from tests.running_daemon import NODE, Daemon
from tests.tiny import Tiny, build

NAME = "garden 3"


def model_body(folder: Path) -> bytes:
    """A model that works, and takes a while on its way: what lies behind it is not read."""
    works = build(folder / "elsewhere.tflite", Tiny(size=(24, 24))).read_bytes()
    return works + os.urandom(400_000)


def fetching_daemon(site: DaemonSite, source: Source) -> Daemon:
    (site.folder / "token").write_text(TOKEN)
    (site.folder / "token").chmod(0o600)
    models = {"source": source.url, "token_file": site.folder / "token"}
    return site.daemon({"front": site.slides("red", "green")}, models=models)


def await_connected(site: DaemonSite, daemon: Daemon, life: int) -> None:
    """Its first, second, ... life takes requests: it is online once it has subscribed to them."""

    def is_online() -> bool:
        words = site.remote.listener.of(f"/{NODE}/availability")
        return [word.payload for word in words].count(b"online") >= life

    daemon.until(is_online)


def info(site: DaemonSite) -> dict[str, Any]:
    """What the daemon tells of itself; empty before it has."""
    told = site.remote.listener.of("/info")
    found: dict[str, Any] = json.loads(told[-1].payload) if told else {}
    return found


def test_daemon_killed_while_a_model_comes_goes_on_where_it_was_and_back_when_it_ends_it(
    site: DaemonSite,
) -> None:
    body = model_body(site.folder)
    sha256 = hashlib.sha256(body).hexdigest()
    version = f"{NAME}@{sha256[:8]}"
    with serving(body) as source:
        daemon = fetching_daemon(site, source)
        with daemon.running():
            gate, pieces = threading.Event(), count()
            source.piece = 100_000
            # Two come, and the next one only to the daemon that is started again.
            source.before_piece = lambda: (
                len(source.requests) > 1 or (next(pieces) < 2 or gate.wait(60))
            )
            await_connected(site, daemon, 1)
            site.remote.send("model", model=NAME, sha256=sha256)
            part = daemon.state / "fetched" / f".part-{sha256}"
            daemon.until(lambda: part.is_file() and part.stat().st_size >= 100_000)
            daemon.kill()
            had = part.stat().st_size
            assert 0 < had < len(body)
            gate.set()

            daemon.start()
            await_connected(site, daemon, 2)
            daemon.until(lambda: site.remote.state("front"))
            assert site.remote.state("front")["model"].startswith("rgb@")
            before = len(source.requests)
            site.remote.send("model", model=NAME, sha256=sha256)
            daemon.until(lambda: site.remote.state("front")["model"] == version)
            assert source.ranges[before:] == [f"bytes={had}-"]
            daemon.until(lambda: site.remote.changes("front")[-1]["model"] == version)
            daemon.until(lambda: info(site)["model_change"]["state"] == "running")

            # Native code might have ended it: within a minute the model is to blame.
            daemon.kill()
            daemon.start()
            daemon.until(lambda: (info(site)["model_change"] or {}).get("state") == "failed")
            assert info(site)["model"].startswith("rgb@")
            change = info(site)["model_change"]
            assert (change["model"], change["sha256"]) == (NAME, sha256)
            assert "ended the daemon when it ran last" in change["error"]
            assert "ended the daemon when it ran last" in info(site)["notes"][0]
            assert "ended the daemon" in daemon.log
            assert "ended the daemon" in daemon.page("/healthz")
            # It does not do so twice.
            daemon.kill()
            daemon.start()
            await_connected(site, daemon, 4)
            assert info(site)["model"].startswith("rgb@")
            # Whoever asks for it gets it, without another download.
            assert site.remote.ask("model", model=NAME, sha256=sha256)["status"] == "ok"
            assert len(source.requests) == before + 1
            assert daemon.stop() == 0


def test_daemon_killed_while_a_model_is_tried_has_it_or_has_it_not(site: DaemonSite) -> None:
    body = model_body(site.folder)
    sha256 = hashlib.sha256(body).hexdigest()
    with serving(body) as source:
        daemon = fetching_daemon(site, source)
        with daemon.running():
            await_connected(site, daemon, 1)
            site.remote.send("model", model=NAME, sha256=sha256)
            new = daemon.state / "fetched" / f".new-{sha256}"
            daemon.until(new.is_dir)
            daemon.kill()
            daemon.start()
            assert not new.exists()
            await_connected(site, daemon, 2)
            site.remote.send("model", model=NAME, sha256=sha256)
            daemon.until(lambda: site.remote.state("front").get("model") == f"{NAME}@{sha256[:8]}")
            daemon.stop()
