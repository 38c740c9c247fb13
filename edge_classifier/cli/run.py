"""``edge-classify run``: the daemon."""

import logging
import time
from argparse import ArgumentParser, Namespace

from edge_classifier.cli.common import add_settings_arguments, settings_sources
from edge_classifier.cli.log import start_log
from edge_classifier.config.load_in_child import examine_in_child
from edge_classifier.config.settings import Settings
from edge_classifier.daemon.camera_pipeline import CameraPipeline, FrameResult
from edge_classifier.daemon.service import Service
from edge_classifier.decision.explain import explain
from edge_classifier.errors import ExitCode

DESCRIPTION = "Classifies cameras and publishes their labels over MQTT until it is told to stop."

_log = logging.getLogger(__name__)


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the options."""
    add_settings_arguments(parser)
    parser.add_argument(
        "--explain",
        action="store_true",
        help="print for each frame what became of it and why",
    )


def run(options: Namespace) -> ExitCode:
    """Run until SIGTERM or Ctrl-C."""
    sources = settings_sources(options)
    start_log()

    def read_settings() -> Settings:
        report = examine_in_child(sources)
        for warning in report.warnings:
            _log.warning("%s", warning)
        return report.require()

    settings = read_settings()
    service = Service(
        settings, read_settings=read_settings, explain=_explain if options.explain else None
    )
    return service.run()


def _explain(pipeline: CameraPipeline, result: FrameResult) -> None:
    """One line a frame."""
    at = time.strftime("%H:%M:%S", time.localtime(result.captured.at.utc))
    verdict = result.verdict
    text = explain(verdict, pipeline.rules) if verdict else result.reason.meaning
    gated = "" if result.inference_ms or not verdict else " (gated: nothing has moved)"
    print(f"{at}  {pipeline.name}  {text}{gated}", flush=True)
