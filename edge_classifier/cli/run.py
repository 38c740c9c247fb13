"""``edge-classify run``: the daemon."""

import gc
import logging
import time
from argparse import ArgumentParser, Namespace

from edge_classifier.cli.common import add_settings_arguments, box_text, settings_sources
from edge_classifier.cli.log import start_log
from edge_classifier.config.load_in_child import examine_in_child
from edge_classifier.config.settings import Settings
from edge_classifier.daemon.cameras.camera_pipeline import CameraPipeline
from edge_classifier.daemon.cameras.frame_result import FrameResult
from edge_classifier.daemon.service import Service
from edge_classifier.decision.explain import explain
from edge_classifier.errors import ExitCode
from edge_classifier.malloc import M_ARENA_MAX, mallopt

DESCRIPTION = "Classifies cameras and publishes their labels over MQTT until it is told to stop."

_log = logging.getLogger(__name__)

# Of frames alike a line comes so often.
_EXPLAIN_S = 10.0


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the options."""
    add_settings_arguments(parser)
    parser.add_argument(
        "--explain",
        action="store_true",
        help="print what becomes of frames and why, a line for those alike",
    )


def run(options: Namespace) -> ExitCode:
    """Run until SIGTERM or Ctrl-C."""
    # A class with slots is made twice, and the first of each was frozen with all that stays.
    gc.unfreeze()
    gc.collect()
    # Each thread would have a memory pool of its own: 1 MB more for every camera.
    mallopt(M_ARENA_MAX, 2)
    sources = settings_sources(options)
    start_log()

    def read_settings() -> Settings:
        report = examine_in_child(sources)
        for warning in report.warnings:
            _log.warning("%s", warning)
        return report.require()

    settings = read_settings()
    service = Service(
        settings, read_settings=read_settings, explain=Explanations() if options.explain else None
    )
    return service.run()


class Explanations:
    """A line for what became of a frame; of frames alike one now and then, with their number."""

    def __init__(self) -> None:
        # By camera: what the last line said, when, the newest line after it and of how many frames.
        self._kinds: dict[str, tuple[object, ...]] = {}
        self._printed_at: dict[str, float] = {}
        self._alike: dict[str, tuple[str, int]] = {}

    def __call__(self, pipeline: CameraPipeline, result: FrameResult) -> None:
        """Take in one frame."""
        name, verdict, at_s = pipeline.name, result.verdict, result.captured.at.monotonic
        kind = (
            result.reason,
            verdict and (verdict.label, verdict.best.label, verdict.pending is None),
        )
        is_other = kind != self._kinds.get(name) or result.change is not None
        if is_other:
            self._print_alike(name)
        at = time.strftime("%H:%M:%S", time.localtime(result.captured.at.utc))
        text = explain(verdict, pipeline.rules) if verdict else result.reason.meaning
        gated = "" if result.inference_ms or not verdict else " (gated: nothing has moved)"
        line = f"{at}  {name}  {text}{box_text(result.box)}{gated}"
        count = 1 if is_other else self._alike.get(name, ("", 0))[1] + 1
        self._kinds[name], self._alike[name] = kind, (line, count)
        if is_other or at_s - self._printed_at[name] >= _EXPLAIN_S:
            self._print_alike(name)
            self._printed_at[name] = at_s

    def _print_alike(self, name: str) -> None:
        line, count = self._alike.pop(name, ("", 0))
        if count:
            print(line if count == 1 else f"{line} ({count} frames alike)", flush=True)
