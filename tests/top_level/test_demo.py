"""What scripts/demo shows: a made scene that the embedded model names rightly, and sentences."""

import json
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY, Cli

SCENE = REPOSITORY / "scripts" / "demo_scene.py"
# Seconds of the film in which each photograph is held, and a name that is right for it.
HELD = {"cat": (4, 5, 6), "espresso": (13, 14, 15), "building": (22, 23, 24)}


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("demo") / "garden.mp4"
    subprocess.run([sys.executable, str(SCENE), str(path)], check=True, timeout=120)
    return path


def test_each_photograph_of_the_scene_is_named_rightly_while_it_is_held(
    cli: Cli, film: Path
) -> None:
    done = cli(film, "--threshold", "0.6", "--format", "jsonl")
    assert done.returncode == 0, done.stderr
    seen = {}
    for line in done.stdout.splitlines():
        record = json.loads(line)
        best = record["predictions"][0]
        seen[int(record["at_s"])] = {best["label"], *best["path"]}
    for name, seconds in HELD.items():
        assert [second for second in seconds if name not in seen[second]] == []


def test_scene_begins_without_a_photograph_and_moves(film: Path) -> None:
    names = runpy.run_path(str(SCENE))
    frames = list(names["scene"]())
    assert frames[0].shape == (720, 1280, 3)
    still = abs(frames[1].astype(int) - frames[0]).mean()
    coming = abs(frames[14].astype(int) - frames[12]).mean()
    assert coming > 3 * still


def test_sentence_of_an_event_says_what_came_and_what_went() -> None:
    pytest.importorskip("amqtt", reason="the extra `demo` is not installed")
    program = (
        "import json, sys; sys.path.insert(0, sys.argv[1]); import live_demo\n"
        "for line in sys.stdin: print(live_demo.sentence(json.loads(line)))"
    )
    span = {"camera": "door", "label_name": "cat", "duration_s": 5.84, "peak_score": 0.987}
    changed = {"event_type": "label_changed", "camera": "door", "to_name": "cat", "score": 0.75}
    events = [
        {**changed, "to": "cat"},
        {**changed, "to": "unknown"},
        {**span, "event_type": "label_ended"},
        {**span, "event_type": "label_glimpsed"},
    ]
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program, str(SCENE.parent)],
        input="\n".join(map(json.dumps, events)),
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    assert done.stdout.splitlines() == [
        "door: cat came (score 0.75)",
        "",
        "door: cat went after 5.8 s (best score 0.99)",
        "door: cat was glimpsed for 5.8 s (best score 0.99)",
    ]
