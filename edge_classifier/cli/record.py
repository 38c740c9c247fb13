"""``edge-classify record``: the recorder in a process of its own."""

import signal
import threading
from argparse import ArgumentParser, Namespace

from edge_classifier.cli.log import start_log
from edge_classifier.cli.web import add_common_arguments, prepare
from edge_classifier.errors import ExitCode, UsageError

DESCRIPTION = "Writes what the daemons publish over MQTT into the database of `edge-classify web`."

# So that all is over within the 5 s that are promised.
_STOP_S = 4.0


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the options."""
    add_common_arguments(parser)
    parser.add_argument("--group", help="recorders that share the load (key: record.group)")


def run(options: Namespace) -> ExitCode:
    """Record until SIGTERM or Ctrl-C."""
    start_log()
    own = [f"record.group={options.group}"] if options.group is not None else []
    settings, _ = prepare(options, [*options.assignments, *own], waits=True)
    if not settings.mqtt.enabled:
        raise UsageError("record", "mqtt.enabled is false: there is nothing to record")
    from edge_classifier.web.recorder.recorder import Recorder  # Needs Django's settings.

    stopped = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopped.set())
    recorder = Recorder(settings)
    recorder.start()
    stopped.wait()
    recorder.stop(_STOP_S)
    return ExitCode.OK
