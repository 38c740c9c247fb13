"""Settings come from defaults, file, variables and options, the later above the earlier."""

from pathlib import Path

import pytest

from edge_classifier.config import sources as sources_module
from edge_classifier.config.load import load
from edge_classifier.config.schema import SchemaNode
from edge_classifier.config.settings import CameraSettings, Settings, Thresholds
from edge_classifier.config.sources import SettingsSources
from edge_classifier.config.toml import dotted
from tests.config.settings_files import ONE, VALUES, read, write, wrong


def test_load_smallest_file_gives_the_defaults(file: Path) -> None:
    assert load(SettingsSources(file)) == Settings(cameras={"front": CameraSettings(source="0")})


def test_load_environment_is_above_the_file_and_options_are_above_that(file: Path) -> None:
    write(file, ONE + "rate_fps = 1\nwidth = 1\nheight = 1\n")
    variables = {
        "EDGE_CLASSIFIER__CAMERAS__FRONT__RATE_FPS": "2",
        "EDGE_CLASSIFIER__CAMERAS__FRONT__WIDTH": "2",
    }
    report = read(file, "cameras.front.rate_fps=3", **variables)
    assert report.settings
    camera = report.settings.cameras["front"]
    assert (camera.rate_fps, camera.width, camera.height) == (3, 2, 1)
    names = [("cameras", "front", name) for name in ("rate_fps", "width", "height")]
    assert [report.origins[key] for key in names] == [
        "--set",
        "$EDGE_CLASSIFIER__CAMERAS__FRONT__WIDTH",
        f"line 5 of {file}",
    ]


@pytest.mark.parametrize(
    ("assignment", "key"),
    [
        (r'device.state_folder="a\u0000"', "device.state_folder"),
        (r'model.labels="\u0000"', "model.labels"),
        (r'mqtt.host="a\u0000b"', "mqtt.host"),
        (r'cameras.front.source="a\u0000"', "cameras.front.source"),
        (r'decision.ignore=["cat", "a\u0000"]', "decision.ignore"),
        (r'decision.labels={"a\u0000" = {enter = 0.5}}', r'decision.labels."a\u0000".enter'),
    ],
)
def test_load_text_that_ends_for_the_system_before_it_ends_is_refused(
    file: Path, assignment: str, key: str
) -> None:
    found = {problem.key: problem.text for problem in read(file, assignment).problems}
    assert found[key] == "must be without the character NUL"


@pytest.mark.parametrize(
    ("key", "text", "value"),
    [
        ("mqtt.host", "broker", "broker"),
        ("mqtt.host", '"broker"', "broker"),
        ("mqtt.host", "'broker'", "broker"),
        ("mqtt.host", "12", "12"),
        ("mqtt.username", "1\nport = 2", "1\nport = 2"),
        ("mqtt.host", "a=b", "a=b"),
        ("mqtt.protocol", "5", "5"),
        ("mqtt.username", "", ""),
        ("mqtt.username", "true", "true"),
        ("mqtt.discovery", "false", False),
        ("mqtt.stats_s", "1.5", 1.5),
        ("mqtt.keepalive_s", "10", 10),
        ("decision.ignore", '["a", "b"]', ("a", "b")),
        ("decision.aliases", '{ "Egyptian cat" = "cat" }', {"Egyptian cat": "cat"}),
        ("decision.labels", "{cat={enter=0.7}}", {"cat": Thresholds(enter=0.7)}),
        ("device.state_folder", "/x", Path("/x")),
    ],
)
def test_load_text_of_a_variable_or_an_option_is_what_the_key_takes(
    file: Path, key: str, text: str, value: object
) -> None:
    section, name = key.split(".")
    variable = f"EDGE_CLASSIFIER__{section}__{name}".upper()
    for report in (read(file, f"{key}={text}"), read(file, **{variable: text})):
        assert getattr(getattr(report.require(), section), name) == value


@pytest.mark.parametrize("variable", ["FRONT_DOOR", "front_door", "Front_Door"])
def test_load_variable_of_a_camera_finds_it_in_the_file(file: Path, variable: str) -> None:
    write(file, '[cameras.Front-Door]\nsource = "0"\n')
    report = read(file, **{f"EDGE_CLASSIFIER__CAMERAS__{variable}__ROTATE": "90"})
    assert {name: camera.rotate for name, camera in report.require().cameras.items()} == {
        "Front-Door": 90
    }


def test_load_camera_of_variables_alone_needs_no_file() -> None:
    variables = {"EDGE_CLASSIFIER__CAMERAS__YARD__SOURCE": "0", "HOME": "/nowhere"}
    assert load(SettingsSources(None, variables)).cameras == {"yard": CameraSettings(source="0")}


def test_load_variable_with_another_prefix_is_left_alone(file: Path) -> None:
    others = {"MY_EDGE_CLASSIFIER_MQTT__HOST": "x", "EDGE_CLASSIFIER_CATALOGUE__X": "x"}
    read(file, EDGE_CLASSIFIER_MODELS="/x", EDGE_CLASSIFIER="1", PATH="/bin", **others).require()


@pytest.mark.parametrize("weaker", ["file", "variable"])
def test_load_empty_path_takes_back_that_of_a_weaker_source(file: Path, weaker: str) -> None:
    variables = {"EDGE_CLASSIFIER__MODEL__LABELS": "/nowhere"} if weaker == "variable" else {}
    if weaker == "file":
        write(file, ONE + '[model]\nlabels = "/nowhere"\n')
    assert read(file, "model.labels=", **variables).require().model.labels is None


def test_load_cameras_inherit_what_they_do_not_set(file: Path) -> None:
    write(
        file,
        """
        decision = { enter = 0.9, labels = { cat = { enter = 0.5 } }, aliases = { a = "b" } }
        motion.enabled = true
        [cameras.front]
        source = "0"
        decision = { leave = 0.3, labels = { cat = { leave = 0.2 } }, aliases = { c = "d" } }
        [cameras.back]
        source = "1"
        motion.area = 0.5
        """,
    )
    settings = load(SettingsSources(file))
    front, back = settings.cameras["front"], settings.cameras["back"]
    assert (front.decision.enter, front.decision.leave) == (0.9, 0.3)
    assert front.decision.labels == {"cat": Thresholds(enter=0.5, leave=0.2)}
    assert front.decision.aliases == {"a": "b", "c": "d"}
    assert back.decision == settings.decision
    assert (back.motion.enabled, back.motion.area, front.motion.area) == (True, 0.5, 0.005)


class Folders:
    """The places where a file is looked for, all of them in one folder."""

    def __init__(self, folder: Path) -> None:
        self.system = folder / "etc" / "config.toml"
        self.own = folder / "home" / ".config" / "edge-classifier" / "config.toml"
        self.xdg = folder / "xdg" / "edge-classifier" / "config.toml"
        self.named = folder / "named.toml"
        self.home = {"HOME": str(folder / "home")}
        self.xdg_home = {**self.home, "XDG_CONFIG_HOME": str(folder / "xdg")}
        for path in (self.system, self.own, self.xdg, self.named):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(ONE, "utf-8")


@pytest.fixture
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Folders:
    found = Folders(tmp_path)
    monkeypatch.setattr(sources_module, "SYSTEM_FILE", found.system)
    return found


def test_examine_file_is_the_named_one_before_any_other(folders: Folders) -> None:
    variable = {**folders.home, "EDGE_CLASSIFIER_CONFIG": str(folders.named)}
    assert read(folders.own, **variable).file == folders.own
    assert read(None, **variable).file == folders.named
    assert read(None, **folders.home).file == folders.system
    folders.system.unlink()
    assert read(None, **folders.home).file == folders.own
    assert read(None, **folders.xdg_home).file == folders.xdg
    assert read(None, **folders.home, EDGE_CLASSIFIER_CONFIG="").file == folders.own


def test_examine_without_any_file_or_camera_says_what_to_do(folders: Folders) -> None:
    folders.system.unlink()
    folders.own.unlink()
    (problem,) = read(None, **folders.home).problems
    assert str(problem).startswith(f"there is neither {folders.system} nor {folders.own}; ")
    assert "`edge-classify config init`" in str(problem)


def test_examine_state_folder_need_not_be_there(file: Path, tmp_path: Path) -> None:
    read(file, f"device.state_folder={tmp_path}/new").require()


def test_examine_stream_may_serve_two_cameras(file: Path) -> None:
    write(file, 'cameras.a.source = "rtsp://h/"\ncameras.b.source = "rtsp://h/"\n')
    assert read(file).warnings == ()


def test_schema_has_a_text_for_every_key_and_a_range_for_every_number() -> None:
    assert len(VALUES) > 60
    for key, node in VALUES.items():
        assert node.text.endswith((".", "]", ")")), dotted(key)
        if node.is_number:
            assert {"minimum", "exclusiveMinimum"} & node.facts.keys(), dotted(key)
            assert "maximum" in node.facts, dotted(key)
    for key, node in SchemaNode.root(Settings).tables():
        assert not key or node.text, dotted(key)


def test_examine_a_file_with_a_byte_order_mark_is_read_as_without(file: Path) -> None:
    file.write_bytes(b"\xef\xbb\xbf" + ONE.encode())
    assert read(file).require() == read(write(file, ONE)).require()


def test_examine_thousands_of_cameras_says_one_thing(file: Path) -> None:
    tables = "".join(f'[cameras.c{n}]\nsource = "pictures:/gone/{n}"\n' for n in range(2000))
    report = read(write(file, tables))
    assert wrong(report) == {"cameras": "there must be 1 to 16 tables [cameras.NAME]"}
    assert not report.warnings
