"""The whole daemon with several models and one lens: through requests, losses and kills."""

import json

from tests.daemon.site import GERMAN, DaemonSite, gapless, seqs, stream
from tests.mjpeg import MjpegCamera, jpeg
from tests.running_daemon import ROOT, Daemon, Remote, Tree, merged, model
from tests.waiting import eventually

# Blue, green, red.
GREEN, RED = (0, 255, 0), (0, 0, 255)
SHUT_OPEN = ("shut", "open", "ajar")


def one_lens(site: DaemonSite, camera: MjpegCamera) -> Tree:
    """``front`` says a colour, ``gate`` from the same frames whether it is shut or open."""
    gate = model(site.folder / "gate/gate.tflite", SHUT_OPEN, size=24)
    return {
        # One opening only, however long a busy machine lets a picture wait.
        "front": stream(camera, read_timeout_s=60),
        "gate": {"source": "camera:front", "model": str(gate), "rate_fps": 5},
    }


def lose_lens_and_switch_it_off(daemon: Daemon, camera: MjpegCamera, remote: Remote) -> None:
    """Both cameras go and come with the one lens that they look through."""
    camera.kill()
    daemon.until(lambda: remote.availability("gate") == "offline")

    def same_problem() -> bool:
        problems = {remote.state(name)["problem"] for name in ("front", "gate")}
        return len(problems) == 1 and problems != {None}

    daemon.until(same_problem)
    camera.start()
    daemon.until(lambda: remote.availability("gate") == "online")
    daemon.until(lambda: remote.availability("front") == "online")

    remote.ask("enable", camera="front", enabled=False)
    daemon.until(lambda: remote.availability("gate") == "offline")
    off = "front, whose frames it takes, is switched off"
    daemon.until(lambda: remote.state("gate")["problem"] == off)
    remote.ask("enable", camera="front", enabled=True)
    daemon.until(lambda: remote.availability("gate") == "online")


def test_service_answers_two_questions_from_one_lens_through_kills_and_losses(
    site: DaemonSite,
) -> None:
    remote = site.remote

    def shows(front: str, gate: str) -> bool:
        labels = [remote.state(camera).get("label") for camera in ("front", "gate")]
        return labels == [front, gate]

    with MjpegCamera() as camera:
        camera.picture = jpeg(RED)
        with site.daemon(one_lens(site, camera)).running() as daemon:
            model(daemon.state / "models/german.tflite", GERMAN, size=16)
            daemon.until(lambda: shows("red", "shut"))
            assert camera.connections == 1
            camera.picture = jpeg(GREEN)
            daemon.until(lambda: shows("green", "open"))

            answer = remote.ask("model", camera="gate", model="german")
            assert (answer["status"], answer["data"]["cameras"]) == ("ok", ["gate"])
            daemon.until(lambda: shows("green", "grün"))
            assert remote.state("front")["model"].startswith("rgb@")
            daemon.until(lambda: remote.state("gate")["model"] == answer["data"]["model"])
            # Both have events that may not be lost.
            camera.picture = jpeg(RED)
            daemon.until(lambda: shows("red", "rot"))
            # A kill so soon would be taken for the new model's fault.
            assert daemon.stop() == 0
            daemon.start()
            daemon.until(lambda: remote.availability("gate") == "online")
            camera.picture = jpeg(GREEN)
            daemon.until(lambda: shows("green", "grün"))
            camera.picture = jpeg(RED)
            daemon.until(lambda: shows("red", "rot"))
            daemon.kill()
            daemon.start()
            assert "model german, as asked for over MQTT" in daemon.log
            camera.picture = jpeg(GREEN)
            daemon.until(lambda: shows("green", "grün"))

            lose_lens_and_switch_it_off(daemon, camera, remote)
            assert daemon.stop() == 0
    for name in ("front", "gate"):
        events = remote.events(name)
        assert seqs(events) == gapless(len(events))


def test_service_tells_of_each_model_and_of_each_cameras_own_labels(site: DaemonSite) -> None:
    remote = site.remote
    with MjpegCamera() as camera, site.daemon(one_lens(site, camera)).running() as daemon:
        camera.picture = jpeg(RED)
        daemon.until(lambda: remote.state("gate").get("label") == "shut")
        front, gate = remote.state("front")["model"], remote.state("gate")["model"]
        info = json.loads(remote.listener.of(f"{ROOT}/info")[-1].payload)
        assert [(one["model"], one["cameras"]) for one in info["models"]] == [
            (front, ["front"]),
            (gate, ["gate"]),
        ]

        def stats() -> list[dict[str, object]]:
            told = [json.loads(one.payload) for one in remote.listener.of("/stats")]
            return [] if not told else list(told[-1]["models"])

        eventually(lambda: [one["model"] for one in stats() if one["frames"]] == [front, gate])
        metrics = daemon.page("/metrics")
        for one in (front, gate):
            name = "edge_classifier_model_inference_seconds_count"
            assert f'{name}{{model="{one}"}}' in metrics
        described = json.loads(remote.listener.of("/config")[-1].payload)
        components = described["cmps"]
        assert components["front.label"]["options"] == ["red", "green", "blue", "unknown"]
        assert components["gate.label"]["options"] == [*SHUT_OPEN, "unknown"]
        assert {"rgb", "gate"} <= set(components["gate.model"]["options"])
        assert described["dev"]["mdl"] == f"{front}, {gate}"


def test_service_whose_reload_would_leave_a_camera_without_its_source_says_so_and_goes_on(
    site: DaemonSite,
) -> None:
    remote = site.remote
    with MjpegCamera() as camera, site.daemon(one_lens(site, camera)).running() as daemon:
        camera.picture = jpeg(RED)
        daemon.until(lambda: remote.state("gate").get("label") == "shut")
        whole = dict(daemon.settings)
        gate = {"gate": whole["cameras"]["gate"], "yard": stream(camera)}
        daemon.configure({**whole, "cameras": gate})
        answer = remote.ask("reload")
        assert answer["status"] == "error"
        assert "there is no camera front; there are yard" in answer["error"]
        camera.picture = jpeg(GREEN)
        daemon.until(lambda: remote.state("gate")["label"] == "open")
        # Switched off by a reload it is told as the reason, and comes back.
        for enabled, word in ((False, "offline"), (True, "online")):
            front = {"cameras": {"front": {"enabled": enabled}}}
            daemon.configure(merged(whole, front))
            assert remote.ask("reload")["status"] == "ok"
            daemon.until(lambda: remote.availability("gate") == word)  # noqa: B023 (called here)
        assert daemon.stop() == 0


def test_service_refuses_a_reload_that_removes_the_owner_of_a_lens_and_takes_one_that_replaces_it(
    site: DaemonSite,
) -> None:
    # Each colour stays for longer than the slower camera's period, which else might take each time
    # the same one.
    remote, front = site.remote, site.slides("red", "green", picture_s=0.5)
    gate = model(site.folder / "gate/gate.tflite", SHUT_OPEN, size=24)
    of_gate = {"source": "camera:front", "model": str(gate), "rate_fps": 5}
    daemon = site.daemon({"front": front, "gate": of_gate})
    settings = daemon.settings
    with daemon.running():

        def goes_on(camera: str) -> None:
            before = len(remote.events(camera))
            daemon.until(lambda: len(remote.events(camera)) > before + 2)

        goes_on("gate")
        daemon.configure({**settings, "cameras": {"gate": of_gate}})
        answer = remote.ask("reload")
        assert answer["status"] == "error"
        assert "cameras.gate.source" in answer["error"]
        assert "front" in answer["error"]
        goes_on("gate")
        goes_on("front")
        # Switched off by the file, and on again.
        daemon.configure(
            {**settings, "cameras": {"front": {**front, "enabled": False}, "gate": of_gate}}
        )
        assert remote.ask("reload")["status"] == "ok"
        off = "front, whose frames it takes, is switched off"
        daemon.until(lambda: remote.state("gate")["problem"] == off)
        assert remote.availability("gate") == "offline"
        daemon.configure({**settings, "cameras": {"gate": {**of_gate, "source": front["source"]}}})
        assert remote.ask("reload")["status"] == "ok"
        daemon.until(lambda: remote.availability("gate") == "online")
        daemon.until(lambda: remote.state("gate")["problem"] is None)
        goes_on("gate")
        daemon.configure(settings)
        assert remote.ask("reload")["status"] == "ok"
        goes_on("front")
        goes_on("gate")
        assert daemon.stop() == 0
