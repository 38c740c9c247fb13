"""``edge-classify watch``: what does a camera see, and what would be published?"""

import logging
import os
import sys
from argparse import ArgumentParser, Namespace
from dataclasses import replace
from pathlib import Path

from edge_classifier.capture.find_camera import first_camera, source_for_settings
from edge_classifier.cli.common import (
    add_settings_arguments,
    print_notes,
    settings_sources,
    use_credentials_of_the_service,
    whole_number,
)
from edge_classifier.cli.log import start_log
from edge_classifier.cli.watch.display import make_display
from edge_classifier.cli.watch.watcher import Watcher
from edge_classifier.config.load_in_child import examine_in_child
from edge_classifier.config.settings import CameraSettings, ModelSettings, Settings
from edge_classifier.core.network.camera_address import shared_camera
from edge_classifier.core.text import escaped
from edge_classifier.daemon.cameras.active_cameras import with_own_lens
from edge_classifier.daemon.models.models_in_force import load_configured_models
from edge_classifier.errors import ExitCode, UsageError

DESCRIPTION = "Shows what a camera sees, what would be published, and why not. Publishes nothing."
# The name of a camera that no settings name.
_CAMERA = "camera"


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "source",
        nargs="?",
        metavar="SOURCE",
        help="as in the settings: 0, /dev/video2, picamera2, rtsp://..., http://..., a video, a "
        "picture, a folder of pictures (default: the first camera that is found)",
    )
    parser.add_argument(
        "--credentials",
        type=Path,
        metavar="FILE",
        help="a file whose first line is USER:PASSWORD for the address",
    )
    parser.add_argument(
        "--model", default="", metavar="NAME|PATH", help="as for pictures (default: the embedded)"
    )
    parser.add_argument(
        "--seconds", type=whole_number(1, 86_400), metavar="N", help="end after so many seconds"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object a change")
    group = parser.add_argument_group("a camera of the daemon's settings, with all that they say")
    group.add_argument("--camera", metavar="NAME", help="its name, instead of SOURCE")
    add_settings_arguments(group)


def run(options: Namespace) -> ExitCode:
    """Watch until Ctrl-C, the end of a video or the last second."""
    start_log()
    # What else the daemon would log is on the display, or of no interest here.
    logging.getLogger().setLevel(logging.ERROR)
    settings = _settings(options)
    models = load_configured_models(settings)
    print_notes(models.first.loaded.notes)
    display = make_display(sys.stdout, as_json=options.json)
    watcher = Watcher(
        settings, models, on_frame=display.show_frame, on_trouble=display.show_trouble
    )
    try:
        watcher.run(options.seconds)
    finally:
        display.close()
    code = ExitCode.OK
    if not watcher.frames:
        # Each reason begins with what it is about.
        for status in watcher.statuses.values():
            print(f"edge-classify: {escaped(status.reason or 'no frame came')}", file=sys.stderr)
        code = ExitCode.UNAVAILABLE
    if watcher.has_hung:
        # A driver that hangs may crash what Python tidies up on its way out.
        sys.stdout.flush()
        os._exit(code)
    return code


def _settings(options: Namespace) -> Settings:
    """Those of one camera, which publish nothing and keep nothing."""
    if options.camera is None:
        if options.config or options.assignments:
            raise UsageError("--config, --set", "are for a camera of the settings", "Add --camera.")
        source = first_camera() if options.source is None else source_for_settings(options.source)
        # A video or a folder is shown once.
        camera = CameraSettings(source=source, credentials_file=options.credentials, loop=False)
        chosen = Settings(cameras={_CAMERA: camera}, model=ModelSettings(use=options.model))
    else:
        if options.source is not None:
            raise UsageError(options.source, "and --camera: give one of the two")
        sources = settings_sources(options)
        found = examine_in_child(sources).require()
        use_credentials_of_the_service(sources)
        if options.camera not in found.cameras:
            known = f"There are {', '.join(found.cameras)}."
            raise UsageError(options.camera, "no such camera in the settings", known)
        camera = with_own_lens(options.camera, found.cameras)
        # By the name by which the credentials of its lens are known.
        name = shared_camera(found.cameras[options.camera].source) or options.camera
        camera = replace(camera, model=options.model or camera.model)
        chosen = replace(found, cameras={name: camera})
    return chosen
