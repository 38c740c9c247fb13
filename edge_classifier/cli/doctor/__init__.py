"""``edge-classify doctor``: can this machine do it, and if not, why?"""

import importlib.metadata
import json
import platform
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from edge_classifier import __version__, samples
from edge_classifier.classifier import AnswerOptions
from edge_classifier.cli.common import (
    add_model_arguments,
    add_settings_arguments,
    model_choice,
    settings_sources,
    use_credentials_of_the_service,
)
from edge_classifier.cli.doctor.finding import DoctorFinding
from edge_classifier.cli.models import verdict_on
from edge_classifier.config.settings import Settings
from edge_classifier.engine.delegates import find_edgetpu
from edge_classifier.engine.probe import check_delegate
from edge_classifier.engine.runtime import load_runtime
from edge_classifier.errors import EdgeClassifierError, ExitCode
from edge_classifier.model_loading import load_model
from edge_classifier.modelfile.catalogue import load_catalogue
from edge_classifier.vision.pictures import load_picture

DESCRIPTION = (
    "Checks this machine (runtime, accelerators, model, one timed inference), and the cameras, the "
    "broker and the disk of the daemon's settings. Publishes nothing but one message to itself."
)
_MARKS = {True: "ok  ", False: "BAD ", None: "    "}
_PACKAGES = ("numpy", "opencv-python-headless", "pillow", "rich", "pooch")
# Flags of /proc/cpuinfo for which XNNPACK has kernels of its own.
_FEATURES = {
    "asimd": "NEON",
    "neon": "NEON",
    "asimddp": "int8 dot product (fast)",
    "i8mm": "int8 matrix multiplication (faster)",
    "avx2": "AVX2",
    "avx512f": "AVX-512",
    "avx_vnni": "int8 dot product (fast)",
    "avx512_vnni": "int8 dot product (fast)",
}


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("--json", action="store_true", help="print JSON")
    add_model_arguments(parser)
    parser.add_argument(
        "--machine-only",
        action="store_true",
        help="try neither the cameras nor the broker of the settings",
    )
    group = parser.add_argument_group("for a bug report")
    group.add_argument(
        "--bundle",
        type=Path,
        metavar="FILE",
        help="also pack a zip: this, settings without secrets, log, health, the model's facts",
    )
    group.add_argument(
        "--log", type=Path, metavar="FILE", help="the daemon's log (default: the journal)"
    )
    group.add_argument(
        "--pictures", action="store_true", help="with the newest pictures that the daemon has kept"
    )
    add_settings_arguments(group)


def run(options: Namespace) -> ExitCode:
    """Look at everything, print it, and fail with the code of the first thing that is wrong."""
    findings: list[DoctorFinding] = []
    codes: list[ExitCode] = []

    def look(
        subject: str,
        inspect: Callable[[], list[DoctorFinding]],
        code: ExitCode = ExitCode.BAD_DATA,
    ) -> None:
        try:
            found = inspect()
            findings.extend(found)
            codes.extend(code for one in found if one.ok is False)
        except EdgeClassifierError as error:
            findings.append(DoctorFinding(subject, str(error), ok=False))
            codes.append(error.exit_code)

    look("versions", _versions)
    look("processor", _processor)
    look("runtime", _runtime)
    look("edge tpu", _edgetpu)
    look("models", _model_files)
    look("inference", lambda: _inference(options))
    if not options.machine_only:
        _look_at_settings(options, look)
    if options.json:
        print(json.dumps([asdict(finding) for finding in findings], indent=1))
    else:
        for finding in findings:
            print(f"{_MARKS[finding.ok]} {finding.subject:<26} {finding.detail}")
    if options.bundle:
        from edge_classifier.cli.doctor.bug_report import write_bundle  # Loads pydantic.

        contents = write_bundle(options.bundle, [asdict(one) for one in findings], options)
        # What a program reads on standard output stays JSON.
        stream = sys.stderr if options.json else sys.stdout
        print(f"{options.bundle} has, without secrets; look before you send it:", file=stream)
        for name, size in contents:
            print(f"{size:>9}  {name}", file=stream)
    return codes[0] if codes else ExitCode.OK


def _look_at_settings(options: Namespace, look: Callable[..., None]) -> None:
    """Cameras, broker and disk. Each has its limits of time."""
    from edge_classifier.cli.doctor.broker import try_broker
    from edge_classifier.cli.doctor.cameras import try_cameras
    from edge_classifier.cli.doctor.disk import look_at_disk
    from edge_classifier.cli.doctor.model_source import try_model_source
    from edge_classifier.config.load_in_child import examine_in_child
    from edge_classifier.config.sources import find_file

    sources = settings_sources(options)
    known: list[Settings] = []

    def read() -> list[DoctorFinding]:
        if find_file(sources) is None and not options.assignments:
            text = "none: neither cameras nor a broker are tried. edge-classify config init"
            return [DoctorFinding("settings", text)]
        report = examine_in_child(sources)
        known.append(report.require())
        warnings = [DoctorFinding("settings", f"warning: {one}") for one in report.warnings]
        return [DoctorFinding("settings", f"{report.file or 'no file'}", ok=True), *warnings]

    look("settings", read)
    if not known:
        return
    settings = known[0]
    use_credentials_of_the_service(sources)
    look("cameras", lambda: try_cameras(settings), ExitCode.UNAVAILABLE)
    look("broker", lambda: try_broker(settings.mqtt, settings.device), ExitCode.UNAVAILABLE)
    look("models.source", lambda: try_model_source(settings.models), ExitCode.UNAVAILABLE)
    look("disk", lambda: look_at_disk(settings), ExitCode.CANNOT_WRITE)


def _versions() -> list[DoctorFinding]:
    found = [DoctorFinding("edge-classifier", __version__)]
    bits = 64 if sys.maxsize > 2**32 else 32
    python = f"{platform.python_version()}, {bits} bit, {platform.platform()}"
    found.append(DoctorFinding("python", python))
    for name in _PACKAGES:
        try:
            found.append(DoctorFinding(name, importlib.metadata.version(name)))
        except importlib.metadata.PackageNotFoundError:
            found.append(DoctorFinding(name, "not installed by pip (a system package may serve)"))
    return found


def _processor() -> list[DoctorFinding]:
    try:
        flags = set(Path("/proc/cpuinfo").read_text("utf-8").split())
    except OSError as error:
        # XNNPACK asks there, too, and without an answer leaves its fast kernels out.
        text = f"/proc/cpuinfo cannot be read ({error.strerror}): inference will be slow"
        return [DoctorFinding("processor", text, ok=False)]
    known = list(dict.fromkeys(text for flag, text in _FEATURES.items() if flag in flags))
    return [
        DoctorFinding("processor", f"{platform.machine()}: {', '.join(known) or 'no vector units'}")
    ]


def _runtime() -> list[DoctorFinding]:
    runtime = load_runtime()
    text = f"{runtime.name} {runtime.version} ({runtime.reason})"
    return [DoctorFinding("runtime", text, ok=True)]


def _edgetpu() -> list[DoctorFinding]:
    library = find_edgetpu()
    if library is None:
        return [DoctorFinding("edge tpu", "libedgetpu is not installed; the CPU is used")]
    check_delegate(library, load_catalogue().locate(""))
    return [DoctorFinding("edge tpu", f"{library} loads and runs", ok=True)]


def _model_files() -> list[DoctorFinding]:
    catalogue = load_catalogue()
    found = []
    for entry in catalogue.entries:
        if entry.embedded or catalogue.has(entry):
            verdict, code = verdict_on(entry, catalogue)
            good = code is ExitCode.OK
            remedy = "" if good else f". {catalogue.how_to_get(entry)}"
            found.append(DoctorFinding(f"model {entry.name}", f"{verdict}{remedy}", ok=good))
    return found


def _inference(options: Namespace) -> list[DoctorFinding]:
    """Classify a photograph of a cat; the second run is timed, the first one warms up."""
    model = load_model(model_choice(options), threads=options.threads)
    frame = load_picture(str(samples.CAT)).frame
    classifier = model.classifier(AnswerOptions(top_k=1))
    classifier.classify(frame)
    result = classifier.classify(frame)
    best = result.predictions[0]
    text = (
        f"{model.name} on {model.delegate_choice.note}, {options.threads} thread(s): "
        f"preprocessing {result.preprocess_ms:.2f} ms, inference {result.inference_ms:.2f} ms; "
        f"the sample cat is {best.label} {best.score:.2f}"
    )
    notes = [DoctorFinding("note", note) for note in model.notes]
    known = {name.split(",")[0] for name in model.resolved.contract.labels}
    # None for a model that cannot know cats.
    right = best.label.split(",", maxsplit=1)[0] in samples.CAT_LABELS
    is_cat = right if known & set(samples.CAT_LABELS) else None
    return [DoctorFinding("inference", text, ok=is_cat), *notes]
