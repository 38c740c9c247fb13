"""Each mistake in the settings is told once, with place, value and what is allowed."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from edge_classifier.config.load import load
from edge_classifier.config.settings import Settings
from edge_classifier.config.sources import SettingsReport, SettingsSources
from edge_classifier.config.toml import Key, dotted, inline
from edge_classifier.errors import ConfigurationError, MissingFileError, UsageError
from tests.config.settings_files import ONE, VALUES, read, write, wrong

# The messages name its lines.
WRONG = """\
decision.enter = 0.3
decision.foo = 3
cameras.front.source = "rtsp://h/x"
[cameras.Front]
widht = 3
enter = 0.5
rate_fps = 900
quiet_hours = ["22:00-06:00", "x", 3]
[cameras."bad name"]
source = 0
decision.dwell_s = -1
region.left = 0.5
[mqtt]
hostname = "x"
base_topic = "a/#"
port = true
[mqtt.tls]
key_file = "config.toml"
[store]
uncertain_from = 0.9
max_bytes = 1979-01-01
[log]
level = "loud"
"""


def test_examine_wrong_file_tells_all_problems_with_place_value_and_what_is_allowed(
    file: Path,
) -> None:
    write(file, WRONG)
    report = read(file, "http.port=x", EDGE_CLASSIFIER__MQT__HOST="x")
    lines = [str(problem).replace(f" of {file}", "") for problem in report.problems]
    beyond = "the region reaches beyond the picture: left + width or top + height"
    bounds = "must be a whole number from 1000000 to 1000000000000"
    span = "is not a span such as 22:00-06:00"
    topic = "may not begin with $, nor have +, #, // or a / at its ends"
    assert [line for line in lines if "source (" not in line and "key_file = " not in line] == [
        'cameras."bad name" (line 9): a name has 1 to 64 letters (a to z), digits, - and _',
        'cameras."bad name".decision.dwell_s = -1 (line 11): must be a number from 0 to 3600',
        f'cameras."bad name".region (line 12): {beyond}',
        'cameras."bad name".source = 0 (line 10): must be 1 to 4096 characters in quotes',
        "cameras.Front (line 4): differs from cameras.front in upper and lower case only",
        "cameras.Front.enter (line 6): no such key; did you mean cameras.Front.decision.enter?",
        f"cameras.Front.quiet_hours[1] = \"x\" (line 8): 'x' {span}",
        "cameras.Front.quiet_hours[2] = 3 (line 8): must be text in quotes",
        "cameras.Front.rate_fps = 900 (line 7): must be a number from 0 to 240",
        "cameras.Front.widht (line 5): no such key; did you mean cameras.Front.width?",
        "decision (line 1): leave 0.4 is above enter 0.3",
        "decision.foo (line 2): no such key",
        'http.port = "x" (--set): must be a whole number from 0 to 65535',
        'log.level = "loud" (line 23): must be "debug", "info", "warning" or "error"',
        "mqt ($EDGE_CLASSIFIER__MQT__HOST): no such key; did you mean mqtt?",
        f'mqtt.base_topic = "a/#" (line 15): {topic}',
        "mqtt.hostname (line 14): no such key; did you mean mqtt.host?",
        "mqtt.port = true (line 16): must be a whole number from 1 to 65535",
        "mqtt.tls (line 17): certificate_file and key_file go together: give both or none",
        "store (line 19): uncertain_from 0.9 is above uncertain_to 0.7",
        f"store.max_bytes = 1979-01-01 (line 21): {bounds}",
    ]
    (missing,) = (line for line in lines if "source (" in line)
    assert missing.startswith("cameras.Front.source (line 4): is missing: /dev/video0 or 0 (USB)")
    with pytest.raises(ConfigurationError) as error:
        report.require()
    assert error.value.problem.splitlines() == [str(problem) for problem in report.problems]


@pytest.mark.parametrize("key", VALUES, ids=dotted)
def test_examine_value_of_another_kind_is_refused_at_its_key(file: Path, key: Key) -> None:
    fits = VALUES[key].facts.get("type")
    for kind, value in {"object": {"x": {"y": {}}}, "array": [[[]]], "boolean": True}.items():
        if kind != fits:
            found = wrong(examine_with(file, key, value))
            assert any(name.startswith(dotted(key)) for name in found), (value, found)


@pytest.mark.parametrize("key", [k for k, node in VALUES.items() if node.is_number], ids=dotted)
def test_examine_number_beyond_its_range_is_refused_and_its_ends_are_not(
    file: Path, key: Key
) -> None:
    facts = VALUES[key].facts
    lowest = facts.get("minimum", facts.get("exclusiveMinimum"))
    below = lowest if "exclusiveMinimum" in facts else lowest - 1
    for value in (below, facts["maximum"] + 1, float("nan"), float("inf"), 10**400, str(lowest)):
        found = wrong(examine_with(file, key, value))
        assert found[dotted(key)] == f"must be {VALUES[key].allowed}", value
    for value in (facts["maximum"], facts.get("minimum", facts["maximum"])):
        assert dotted(key) not in wrong(examine_with(file, key, value))


def examine_with(file: Path, key: Key, value: object) -> SettingsReport[Settings]:
    """With one value in the file, not as an option, where ``1`` may stand for ``"1"``."""
    values = {("cameras", "front", "source"): "0", key: value}
    return read(write(file, "".join(f"{dotted(k)} = {inline(v)}\n" for k, v in values.items())))


@pytest.mark.parametrize(
    ("setting", "key"),
    [
        ("decision = 1979-05-27", "decision"),
        ("decision.ignore = [1979-05-27]", "decision.ignore[0]"),
        ("decision.aliases = 07:32:00", "decision.aliases"),
        ("decision.aliases.a = 1979-05-27T07:32:00Z", "decision.aliases.a"),
        ("device.name = 1979-05-27", "device.name"),
        ("device.state_folder = 1979-05-27", "device.state_folder"),
        ("cameras.x = 1979-05-27", "cameras.x"),
        ("new = 1979-05-27", "new"),
    ],
)
def test_examine_date_is_refused_wherever_it_stands(file: Path, setting: str, key: str) -> None:
    assert list(wrong(read(write(file, f"{setting}\n{ONE}")))) == [key]


@pytest.mark.parametrize(
    ("setting", "key"),
    [
        ('mqtt = "x"', "mqtt"),
        ("mqtt.tls = []", "mqtt.tls"),
        ("cameras.front.region = 3", "cameras.front.region"),
        ("cameras.front.decision = 3", "cameras.front.decision"),
        ("cameras.back = 3", "cameras.back"),
        ('cameras.request.source = "0"', "cameras.request"),
        ('cameras."".source = "0"', 'cameras.""'),
        ('device.name = "Küche"', "device.name"),
        ('mqtt.base_topic = "/x"', "mqtt.base_topic"),
        ('mqtt.base_topic = "$SYS"', "mqtt.base_topic"),
        ('mqtt.base_topic = "a//b"', "mqtt.base_topic"),
        ('mqtt.discovery_prefix = "a/+/b"', "mqtt.discovery_prefix"),
        ('mqtt.host = "mqtt://broker:1883"', "mqtt.host"),
        ('mqtt.host = "broker:1883"', "mqtt.host"),
        ('mqtt.host = " broker"', "mqtt.host"),
        ('mqtt.host = "[::1]:1883"', "mqtt.host"),
        ('http.host = "[::1]:9464"', "http.host"),
        ('http.host = "127.0.0.1:9464"', "http.host"),
        ('cameras.front.quiet_hours = ["6:00-06:00"]', "cameras.front.quiet_hours[0]"),
        ('cameras.back.source = "pictures:~/a"', "cameras.back.source"),
        ('model.use = "~/a.tflite"', "model.use"),
        ('model.labels = "~me/a.txt"', "model.labels"),
        ('device.state_folder = "~/a"', "device.state_folder"),
        (f'model.labels = "/{"x" * 5000}"', "model.labels"),
        ('cameras.front.quiet_hours = ["24:00-06:00"]', "cameras.front.quiet_hours[0]"),
        ("decision.labels.cat = { enter = 0.2, leave = 0.3 }", "decision.labels.cat"),
        ("decision.labels.cat = { enter = 2 }", "decision.labels.cat.enter"),
        ('decision.groups.cat = "tabby"', "decision.groups.cat"),
        ("cameras.front.decision.leave = 0.9", "cameras.front.decision"),
        ('cameras.back.source = "foo://host"', "cameras.back.source"),
    ],
)
def test_examine_one_mistake_is_one_problem(file: Path, setting: str, key: str) -> None:
    text = ONE.replace("[cameras.front]\nsource", "cameras.front.source")
    assert list(wrong(read(write(file, f"{text}{setting}\n")))) == [key]


@pytest.mark.parametrize("host", ["broker.local", "10.0.0.1", "::1", "fe80::1:1883", "[::1]"])
def test_examine_host_that_is_a_name_or_an_address_is_taken(file: Path, host: str) -> None:
    assert read(file, f"mqtt.host={host}").require().mqtt.host == host


@pytest.mark.parametrize(
    ("key", "meant"),
    [
        ("cameras.front.rate", "cameras.front.rate_fps"),
        ("cameras.front.rotat", "cameras.front.rotate"),
        ("mqtt.password", "mqtt.password_file (a file whose first line is the password)"),
        (
            "cameras.front.credentials",
            "cameras.front.credentials_file (a file whose first line is USER:PASSWORD)",
        ),
    ],
)
def test_examine_unknown_key_gets_the_one_that_was_meant(file: Path, key: str, meant: str) -> None:
    assert wrong(read(file, f"{key}=5")) == {key: f"no such key; did you mean {meant}?"}


@pytest.mark.parametrize("variable", ["MQTT__HOST", "mqtt__host", "CAMERAS__FRONT__ROTATE"])
def test_examine_variable_with_an_underscore_missing_is_told(file: Path, variable: str) -> None:
    (problem,) = read(file, **{f"EDGE_CLASSIFIER_{variable}": "hunter2"}).problems
    meant = f"EDGE_CLASSIFIER__{variable}"
    assert str(problem) == f"$EDGE_CLASSIFIER_{variable}: did you mean {meant}?"


def test_examine_problem_in_what_cameras_inherit_is_told_once(file: Path) -> None:
    text = 'decision = { enter = 0.2, dwell_s = -1, new = 3 }\nmotion = "x"\n' + ONE
    write(file, text + 'decision.margin = 0.5\n[cameras.back]\nsource = "1"\n')
    assert list(wrong(read(file))) == ["decision", "decision.dwell_s", "decision.new", "motion"]


def test_examine_contradiction_with_a_default_in_place_of_a_wrong_value_is_not_told(
    file: Path,
) -> None:
    assert list(wrong(read(file, "decision.leave=0.7", "decision.enter=7"))) == ["decision.enter"]


def test_examine_too_many_cameras_are_refused(file: Path) -> None:
    write(file, "".join(f'cameras.c{number}.source = "p:{number}"\n' for number in range(17)))
    assert wrong(read(file)) == {"cameras": "there must be 1 to 16 tables [cameras.NAME]"}


@pytest.mark.parametrize("text", ["", "[cameras]\n", "[mqtt]\nport = 1\n"])
def test_examine_file_without_a_camera_is_refused(file: Path, text: str) -> None:
    assert list(wrong(read(write(file, text)))) == ["cameras"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"a = 1\n[b\n", "is not valid TOML: Expected ']' at the end of a table declaration "),
        (b"a = 1\na = 2\n", "is not valid TOML: Cannot overwrite a value (at line 2, column 6)"),
        (b"\xff = 1", "is not UTF-8 text (byte 1)"),
        (b"a = " + b"[" * 5000, "is not valid TOML: "),
        (b"a = " + b"9" * 5000, "is not valid TOML: "),
        (b"a = 1" + b"\n" * 1_000_000, "is larger than 1000000 bytes"),
    ],
)
def test_examine_file_that_is_no_toml_says_so_and_where(
    file: Path, content: bytes, said: str
) -> None:
    file.write_bytes(content)
    (problem,) = read(file).problems
    assert str(problem).startswith(f"{file}: {said}")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[cameras.Äußerst]\n", True),
        ("a = 1\n  [cameras.Größe]\n", True),
        ("[cameras.front door]\n", True),
        ("[mqtt]\n[mqtt]\n", False),
        ("Äußerst = 1\n", False),
    ],
)
def test_examine_table_of_a_name_that_toml_refuses_says_what_names_have(
    file: Path, text: str, told: bool
) -> None:
    report = read(write(file, text))
    (problem,) = report.problems
    assert problem.text.startswith("is not valid TOML: ")
    assert problem.text.endswith("; a title may have anything") == told
    with pytest.raises(ConfigurationError) as error:
        report.require()
    assert str(error.value) == f"{file}: {problem.text}"


@pytest.mark.parametrize(
    "setting",
    [
        f"{'a.' * 5000}a = 1",
        f"{'a.' * 400}a = 1",
        f"mqtt.host = {'[' * 210}{']' * 210}",
        f"decision.aliases{'.a' * 300} = 1",
    ],
    ids=["very deep tables", "deep tables", "lists", "aliases"],
)
def test_examine_what_is_nested_too_deeply_is_refused(file: Path, setting: str) -> None:
    (problem,) = read(write(file, f"{setting}\n{ONE}")).problems
    assert problem.text == "tables or lists are nested too deeply"


def test_examine_option_that_is_nested_too_deeply_is_refused(file: Path) -> None:
    (problem,) = read(file, f"{'a.' * 5000}a=1").problems
    assert problem.text == "tables or lists are nested too deeply"


def test_examine_folder_in_place_of_a_file_says_so(tmp_path: Path) -> None:
    (problem,) = read(tmp_path).problems
    assert str(problem) == f"{tmp_path}: cannot be read (Is a directory)"


@pytest.mark.parametrize("how", ["option", "variable"])
def test_examine_named_file_that_is_not_there_is_an_error_of_its_own(
    tmp_path: Path, how: str
) -> None:
    path = tmp_path / "none.toml"
    variables = {"EDGE_CLASSIFIER_CONFIG": str(path)} if how == "variable" else {}
    with pytest.raises(MissingFileError, match="config init"):
        read(path if how == "option" else None, **variables)


@pytest.mark.parametrize("assignment", ["hunter2", "=1", "a b=1", ""])
def test_examine_option_that_is_no_assignment_is_wrong_usage(file: Path, assignment: str) -> None:
    with pytest.raises(UsageError) as error:
        read(file, assignment)
    assert "hunter2" not in str(error.value)


def test_examine_text_that_is_not_utf8_is_refused(file: Path) -> None:
    report = read(file, "device.name=\udcff", EDGE_CLASSIFIER__MQTT__HOST="\udcff")
    assert wrong(report) == {"device.name": "is not UTF-8 text", "mqtt.host": "is not UTF-8 text"}


SECRETS: Mapping[str, str] = {
    "address": 'cameras.front.source = "rtsp://me:hunter2@host/"\nmqtt.port = 0',
    "address with any sign": 'cameras.front.source = "rtsp://me:a@hunter2/b?@host/"\nx = 3',
    "address of an unknown scheme": 'cameras.front.source = "foo://me:hunter2@host/"',
    "parameter": 'cameras.front.source = "http://host/?user=me&pwd=hunter2"\nx = 3',
    "unknown key": 'mqtt.password = "hunter2"\ncameras.front.source = "0"',
    "unknown table": 'secret.password = "hunter2"\ncameras.front.source = "0"',
    "in place of a file": 'mqtt.password_file = "hunter2"\ncameras.front.source = "0"',
    "in place of credentials": 'cameras.a = { source = "0", credentials_file = "me:hunter2" }',
    "broker with a password": 'mqtt.host = 3\nmqtt.username = ["mqtt://me:hunter2@host"]',
}


@pytest.mark.parametrize("place", SECRETS)
def test_examine_secret_at_a_wrong_place_is_never_repeated(file: Path, place: str) -> None:
    report = read(write(file, SECRETS[place]))
    assert report.problems
    assert "hunter2" not in repr(report)
    with pytest.raises(ConfigurationError) as error:
        report.require()
    assert "hunter2" not in f"{error.value!r}{error.value}"


def test_repr_of_settings_and_sources_holds_no_secret(file: Path) -> None:
    write(file, 'cameras.front.source = "rtsp://me:hunter2@host/"')
    given = SettingsSources(file, {"SOMETHING": "hunter2"})
    assert "hunter2" not in f"{given!r}{load(given)!r}"


def test_problem_with_a_long_value_is_cut_short(file: Path) -> None:
    (problem,) = read(file, f"device.name={'x' * 500}").problems
    assert len(problem.value) < 100
