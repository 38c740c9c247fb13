"""The whole daemon, whose state folder is full, damaged or deleted while a real broker listens."""

import json
import shutil
import time
from pathlib import Path
from typing import Any

from edge_classifier.errors import ExitCode
from tests.daemon.site import DaemonSite, gapless, seqs
from tests.running_daemon import NODE
from tests.smalldisk import fill, tmpfs
from tests.waiting import eventually


def test_service_that_ends_on_a_full_disk_without_a_broker_says_what_is_lost(
    site: DaemonSite, tmp_path: Path
) -> None:
    remote = site.remote
    with tmpfs(tmp_path / "disk", "2m") as disk:
        device = {"name": NODE, "state_folder": disk / "state"}
        camera = site.slides("red", "green")
        daemon = site.daemon({"door": camera}, ("--explain",), device=device)
        with daemon.running():
            daemon.until(lambda: len(remote.events("door")) >= 5)
            site.broker.kill()
            fill(disk)
            daemon.until(lambda: "Events are kept in memory" in daemon.log, 60)
            made = daemon.output.count("changed:")
            daemon.until(lambda: daemon.output.count("changed:") > made + 20)
            assert daemon.stop() == ExitCode.CANNOT_WRITE
            assert "events of door (numbers" in daemon.log
            assert "events are lost" in daemon.log
            # With the end of each label but the last.
            made = 2 * daemon.output.count("changed:") - 1
        (disk / "filler").unlink()
        site.broker.start()
        with daemon.running():
            daemon.until(lambda: any(one["seq"] > made for one in remote.events("door")), 60)
            assert "were lost when the last daemon ended" in daemon.page("/healthz")
            eventually(lambda: "were lost when" in _info(site), 30)
            assert daemon.stop() == 0
    numbers = seqs(remote.events("door"))
    assert len(numbers) == len(set(numbers)), "a number was given twice"
    assert made + 1 in numbers
    assert made not in numbers, "what was lost is a gap"


def test_service_killed_on_a_full_disk_gives_no_number_twice(
    site: DaemonSite, tmp_path: Path
) -> None:
    remote = site.remote
    with tmpfs(tmp_path / "disk", "2m") as disk:
        device = {"name": NODE, "state_folder": disk / "state"}
        daemon = site.daemon({"door": site.slides("red", "green")}, device=device)
        with daemon.running():
            daemon.until(lambda: len(remote.events("door")) >= 5)
            fill(disk)
            daemon.until(lambda: "Events are kept in memory" in daemon.log, 60)
            goal = len(remote.events("door")) + 30
            daemon.until(lambda: len(remote.events("door")) >= goal)
            daemon.kill()
        (disk / "filler").unlink()
        with daemon.running():
            goal = len(remote.events("door")) + 10
            daemon.until(lambda: len(remote.events("door")) >= goal)
            assert daemon.stop() == 0
    numbers = seqs(remote.events("door"))
    assert len(numbers) == len(set(numbers)), "a number was given twice"
    assert numbers == sorted(numbers)


def test_service_whose_state_folder_is_deleted_loses_no_event_at_the_next_kill(
    site: DaemonSite,
) -> None:
    remote = site.remote
    store = {"enabled": True, "distance": 0}
    daemon = site.daemon({"door": site.slides("red", "green")}, ("--explain",), store=store)
    with daemon.running():
        daemon.until(lambda: len(remote.events("door")) >= 5)
        daemon.until(lambda: any((daemon.state / "pictures").glob("*/*.jpg")))
        site.broker.kill()
        made = daemon.output.count("changed:")
        daemon.until(lambda: daemon.output.count("changed:") > made + 20)
        _remove(daemon.state)
        daemon.until(lambda: "deleted or exchanged while it was in use" in daemon.log)
        daemon.until((daemon.state / "pictures" / "pictures.jsonl").exists)
        health = json.loads(daemon.page("/healthz"))
        assert "deleted or exchanged" in " ".join(health["degraded"])
        made = daemon.output.count("changed:")
        daemon.until(lambda: daemon.output.count("changed:") > made + 20)
        daemon.kill()
    site.broker.start()
    with daemon.running():
        daemon.until(lambda: len(remote.events("door")) > made + 20, 60)
        assert daemon.stop() == 0
    events = remote.events("door")
    assert seqs(events) == gapless(len(events))


def test_service_whose_camera_comes_back_after_a_restart_counts_on(site: DaemonSite) -> None:
    remote = site.remote
    both: dict[str, Any] = {"door": site.slides("red", "green"), "yard": site.slides("red", "blue")}
    daemon = site.daemon(both)
    with daemon.running():
        daemon.until(lambda: len(remote.events("yard")) >= 5)
        daemon.configure({**daemon.settings, "cameras": {"door": both["door"]}})
        assert remote.ask("reload")["status"] == "ok"
        daemon.until(lambda: remote.availability("yard") == "")
        time.sleep(1.5)
        assert daemon.stop() == 0
    with daemon.running():
        assert daemon.stop() == 0
    daemon.configure({**daemon.settings, "cameras": both})
    before = len(remote.events("yard"))
    with daemon.running():
        daemon.until(lambda: len(remote.events("yard")) > before + 3)
        assert daemon.stop() == 0
    events = remote.events("yard")
    assert seqs(events) == gapless(len(events))


def _info(site: DaemonSite) -> str:
    return site.remote.listener.of(f"/{NODE}/info")[-1].payload.decode()


def _remove(folder: Path) -> None:
    """As ``rm -rf`` would, while somebody may make it anew."""
    folder.rename(folder.with_name("deleted"))
    shutil.rmtree(folder.with_name("deleted"))
