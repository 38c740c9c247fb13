"""Which part may import what: docs/architecture.md as a test."""

import ast
import sys
from collections.abc import Sequence

import pytest

from tests.architecture.package_imports import (
    CHILD,
    CONFIG,
    DAEMON,
    DATASET,
    DJANGO,
    EVALUATION,
    MQTT,
    PACKAGE,
    PROGRESS,
    SCHEMA_MODULE,
    SETTINGS,
    TRAINING,
    WEB,
    all_imports,
    importers_of,
    imports_in,
    is_late_command,
    is_within,
    modules,
    texts_in,
)

CORE, ERRORS = f"{PACKAGE}.core", f"{PACKAGE}.errors"


FILES, CHILD_PROCESS, MALLOC = (f"{PACKAGE}.{name}" for name in ("files", "child", "malloc"))


HTTP_CONNECTION = f"{PACKAGE}.http_connection"


INSTALLATION = f"{PACKAGE}.installation"


PROTOCOLS, VISION = f"{PACKAGE}.protocols", f"{PACKAGE}.vision"


ENGINE, MODELFILE = f"{PACKAGE}.engine", f"{PACKAGE}.modelfile"


FIELD_TYPES, QUIET_HOURS = f"{CONFIG}.field_types", f"{CORE}.quiet_hours"


MQTT_SETTINGS, CONSTRAINTS = f"{CONFIG}.mqtt_settings", f"{CONFIG}.constraints"


NETWORK_ADDRESS = f"{CORE}.network.network_address"


CAPTURE, DECISION = f"{PACKAGE}.capture", f"{PACKAGE}.decision"


TEACH = f"{PACKAGE}.teach"


TRANSLATION, SENTENCE = f"{PACKAGE}.translation", f"{CORE}.sentence"


# Module or package to what it may import beside the standard library.
ALLOWED = {
    PACKAGE: (),
    # They quote what somebody gave in part.
    ERRORS: (f"{CORE}.text",),
    FILES: (ERRORS,),
    HTTP_CONNECTION: (PROTOCOLS,),
    # How it ended, or what error it met, is told in any language.
    CHILD_PROCESS: (SENTENCE, ERRORS),
    TRANSLATION: (SENTENCE,),
    MALLOC: (),
    INSTALLATION: (),
    PROGRESS: ("rich",),
    CORE: ("numpy", CORE),
    PROTOCOLS: (CORE,),
    VISION: ("numpy", "cv2", "PIL", CORE, ERRORS, INSTALLATION, PROTOCOLS, SETTINGS, VISION),
    CONFIG: ("annotated_types", "pydantic", "pydantic_core", CORE, ERRORS, CONFIG),
    SETTINGS: (CONSTRAINTS, FIELD_TYPES, MQTT_SETTINGS),
    MQTT_SETTINGS: (CONSTRAINTS, FIELD_TYPES),
    FIELD_TYPES: (CONSTRAINTS, QUIET_HOURS, NETWORK_ADDRESS, f"{CORE}.contract"),
    CAPTURE: (
        *("numpy", "cv2", CORE, ERRORS, PROTOCOLS, SETTINGS, VISION, HTTP_CONNECTION, CAPTURE),
    ),
    DECISION: ("numpy", CORE, SETTINGS, DECISION),
    MQTT: (
        "paho",
        CORE,
        ERRORS,
        PROTOCOLS,
        CONFIG,
        PACKAGE,
        MQTT,
    ),
    MODELFILE: (
        *("numpy", "pooch", "requests", "flatbuffers", "ai_edge_litert"),
        *(CORE, ERRORS, MODELFILE),
    ),
    ENGINE: ("numpy", CORE, ERRORS, INSTALLATION, PROTOCOLS, ENGINE),
    DATASET: ("numpy", CORE, ERRORS, VISION, DATASET),
    EVALUATION: (
        "numpy",
        "cv2",
        "jinja2",
        "markupsafe",
        "matplotlib",
        PACKAGE,
        CORE,
        ERRORS,
        PROTOCOLS,
        SETTINGS,
        f"{CONFIG}.toml",
        VISION,
        DATASET,
        f"{ENGINE}.tflite",
        f"{PACKAGE}.model_loading",
        f"{PACKAGE}.batch",
        f"{PACKAGE}.classifier",
        TRANSLATION,
        EVALUATION,
    ),
    TEACH: (
        *("numpy", CORE, ERRORS, VISION, DATASET, ENGINE, TEACH, f"{PACKAGE}.model_loading"),
        *(f"{EVALUATION}.{name}" for name in ("calibration", "matching", "measures", "unknown")),
        *(f"{EVALUATION}.{name}" for name in ("report_data", "score", "thresholds")),
        *(f"{MODELFILE}.catalogue", SCHEMA_MODULE),
    ),
    DAEMON: (
        "numpy",
        CORE,
        ERRORS,
        PROTOCOLS,
        CONFIG,
        CAPTURE,
        DECISION,
        MQTT,
        VISION,
        MODELFILE,
        ENGINE,
        HTTP_CONNECTION,
        f"{PACKAGE}.classifier",
        f"{PACKAGE}.model_loading",
        f"{PACKAGE}.picture_trial",
        PACKAGE,
        DAEMON,
    ),
    WEB: (
        "dj_database_url",
        "botocore",
        "apprise",
        # What apprise reads answers with; a test of libraries says where.
        "requests",
        *DJANGO,
        CORE,
        ERRORS,
        CONFIG,
        f"{MQTT}.connection",
        f"{MQTT}.codec",
        f"{MQTT}.topics",
        f"{MODELFILE}.catalogue",
        f"{MODELFILE}.model_zip",
        INSTALLATION,
        TRANSLATION,
        PACKAGE,
        WEB,
    ),
    f"{PACKAGE}.model_loading": (
        *(SENTENCE, ERRORS, VISION, ENGINE, MODELFILE, f"{PACKAGE}.classifier"),
    ),
    f"{PACKAGE}.picture_trial": (
        *("numpy", ERRORS, VISION, ENGINE, f"{PACKAGE}.classifier", f"{PACKAGE}.model_loading"),
        f"{PACKAGE}.samples",
    ),
    f"{PACKAGE}.model_writing": ("numpy", CORE, ENGINE, ERRORS, MODELFILE),
    f"{PACKAGE}.classifier": ("numpy", CORE, PROTOCOLS, VISION),
    f"{PACKAGE}.batch": (f"{CORE}.ahead", ERRORS, PROTOCOLS, VISION, f"{PACKAGE}.classifier"),
}


# What has no effects; all others may write files and start children in the one way there is.
PURE = (
    *(PACKAGE, ERRORS, CORE, PROTOCOLS, SETTINGS, MQTT_SETTINGS, FIELD_TYPES, CONSTRAINTS),
    DECISION,
)


ALLOWED_TO_THE_CHILD = (
    *(FILES, CHILD_PROCESS),
    *("numpy", "PIL", VISION, MODELFILE, ENGINE),
    *(f"{PACKAGE}.model_loading", f"{PACKAGE}.classifier", CORE, ERRORS, WEB),
    *(f"{TEACH}.base", f"{TEACH}.other_things"),
)


def test_opencv_is_taken_as_one_module() -> None:
    """Debian's own, which 32-bit Pis have, is a single file without ``cv2.typing``."""
    assert not [found for found in all_imports() if found.module.startswith("cv2.")]


def is_standard(module: str) -> bool:
    return module.partition(".")[0] in sys.stdlib_module_names


@pytest.mark.parametrize("part", ALLOWED)
def test_imports_of_a_layer_stay_below_it(part: str) -> None:
    # The package itself is its __init__ alone: its parts have rules of their own.
    own = [part] if part == PACKAGE else [name for name in modules() if is_within(name, part)]
    own = [name for name in own if not name.startswith(CHILD)]
    tools = () if part in PURE else (FILES, CHILD_PROCESS, MALLOC)
    assert wrong_imports(own, (*ALLOWED[part], *tools)) == []


def test_imports_of_the_web_pages_child_are_those_of_a_classifier() -> None:
    children = [name for name in modules() if name.startswith(CHILD)]
    assert wrong_imports(children, ALLOWED_TO_THE_CHILD) == []


def test_child_of_the_web_page_is_imported_by_itself_only() -> None:
    found = [one for one in all_imports() if one.module.startswith(CHILD)]
    assert found, "the rule is for modules that are gone"
    assert [str(one) for one in found if not one.importer.startswith(CHILD)] == []


def wrong_imports(importers: Sequence[str], allowed: Sequence[str]) -> list[str]:
    """What ``importers`` import beside the standard library and ``allowed``."""
    assert importers, "the rule is for a part that is gone"
    return [
        str(found)
        for found in all_imports()
        if found.importer in importers
        and not is_standard(found.module)
        and not is_within(found.module, *(name for name in allowed if name != PACKAGE))
        and not (found.module == PACKAGE and PACKAGE in allowed)
    ]


def test_imports_of_the_command_line_are_its_own_business() -> None:
    allowed = (f"{PACKAGE}.cli", f"{PACKAGE}.__main__")
    found = importers_of(f"{PACKAGE}.cli")
    assert [str(one) for one in found if not is_within(one.importer, *allowed)] == []


def test_what_writes_models_comes_with_teaching_and_training_only() -> None:
    found = importers_of(SCHEMA_MODULE, f"{PACKAGE}.model_writing")
    assert found, "the rule is for modules that are gone"
    users = (TEACH, TRAINING, f"{PACKAGE}.model_writing")
    wrong = [one for one in found if not is_within(one.importer, *users)]
    assert [str(one) for one in wrong if not is_late_command(one)] == []


def test_training_is_imported_late_and_by_the_command_line_only() -> None:
    found = [one for one in importers_of(TRAINING) if not is_within(one.importer, TRAINING)]
    assert found, "the rule is for a command that is gone"
    wrong = [one for one in found if not one.late or not is_within(one.importer, f"{PACKAGE}.cli")]
    assert [str(one) for one in wrong] == []


def test_daemon_is_imported_by_the_command_line_only() -> None:
    found = importers_of(DAEMON)
    wrong = [one for one in found if not is_within(one.importer, DAEMON, f"{PACKAGE}.cli")]
    assert [str(one) for one in wrong] == []


def test_web_page_is_imported_late_and_by_the_command_line_only() -> None:
    found = [one for one in importers_of(WEB) if not is_within(one.importer, WEB)]
    assert found, "the rule is for a command that is gone"
    assert [str(one) for one in found if not is_late_command(one)] == []


@pytest.mark.parametrize(
    ("code", "module", "late"),
    [
        ("import torch", "torch", False),
        ("import torch.nn as nn", "torch.nn", False),
        ("from torch import nn", "torch", False),
        ("if True:\n  import torch", "torch", False),
        ("try:\n  import torch\nexcept ImportError: pass", "torch", False),
        ("class A:\n  import torch", "torch", False),
        ("def f():\n  import torch", "torch", True),
        ("class A:\n  def f(self):\n    if self:\n      from torch import nn", "torch", True),
        ("async def f():\n  import torch", "torch", True),
        ("if TYPE_CHECKING:\n  import torch", "torch", True),
        ("from edge_classifier import batch", "edge_classifier.batch", False),
        ("from edge_classifier import __version__", "edge_classifier", False),
    ],
)
def test_imports_in_any_place_are_seen(code: str, module: str, late: bool) -> None:
    (found,) = imports_in("example", ast.parse(code))
    assert (found.module, found.late) == (module, late)


def test_texts_in_code_are_seen_and_docstrings_are_not() -> None:
    code = '"""torch"""\ndef f():\n  """torch"""\n  return g("numpy", f"{f}cv2")'
    assert sorted(texts_in(ast.parse(code))) == ["cv2", "numpy"]
