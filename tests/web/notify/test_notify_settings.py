"""Tables ``[[notify]]`` of web.toml: what is wrong is named with its line, and shows no address."""

from pathlib import Path

import pytest

from edge_classifier.config.mqtt_settings import SnapshotSettings
from edge_classifier.config.secrets import read_secret_lines
from edge_classifier.errors import ConfigurationError
from edge_classifier.web.config.load_settings import load
from edge_classifier.web.config.settings import NotificationRule
from edge_classifier.web.notify.addresses import read_addresses
from tests.web.notify.telling import rule

TOKEN = "tk-not-to-be-shown"  # noqa: S105 (of no receiver)


def problem_of(folder: Path, text: str) -> str:
    (file := folder / "web.toml").write_text(text)
    with pytest.raises(ConfigurationError) as caught:
        load(file, environment={})
    return str(caught.value)


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("hours = ['25:00-1']", 'notify[1].hours[0] = "25:00-1" (line 6'),
        ("whenn = ['rare']", "notify[1].whenn (line 6"),
        ("when = ['often']", 'must be "first_ever", "first_of_day" or "rare"'),
        ("digest_at = '9'", "must be a time of day"),
        ("name = 'one'", ""),
        (f"addresses_file = 'tgram://{TOKEN}/1'", 'notify[1].addresses_file = "***" (line 6'),
        (f"addresses_file = 'mailto:anna:{TOKEN}@example.org'", '= "***" (line 6'),
        (f"addresses_file = '{TOKEN}'\nkind = ''", "notify[1].kind"),
    ],
)
def test_wrong_rule_is_named_with_its_line_and_without_an_address(
    tmp_path: Path, line: str, text: str
) -> None:
    name = "" if line.startswith("name") else "name = 'two'"
    found = problem_of(tmp_path, f"[[notify]]\nname = 'one'\n[[notify]]\n{name}\n\n{line}\n")
    assert text in found
    assert TOKEN not in found


def test_two_rules_of_one_name_are_refused(tmp_path: Path) -> None:
    text = "[[notify]]\nname = 'a'\n" * 2
    assert "two rules have the name 'a'" in problem_of(tmp_path, text)


@pytest.mark.parametrize("content", ["", "# none\n\n", "x\n" * 21])
def test_file_without_addresses_or_with_too_many_is_refused(tmp_path: Path, content: str) -> None:
    (file := tmp_path / "addresses").write_text(content)
    with pytest.raises(ConfigurationError, match="must have 1 to 20 lines"):
        read_addresses(rule(tmp_path, addresses_file=file))


def test_address_in_the_place_of_a_name_is_shown_nowhere(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="no such systemd credential") as caught:
        read_addresses(rule(tmp_path, addresses_file=Path(TOKEN)))
    assert TOKEN not in str(caught.value)
    assert TOKEN not in repr(caught.value)


def test_addresses_of_a_service_are_its_credentials(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "secrets_notify-addresses").write_text("all\n")
    (tmp_path / "secrets_notify-family").write_text("family\n")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    named = rule(tmp_path, addresses_file=Path("notify-family"))
    unnamed = rule(tmp_path, addresses_file=None)
    found = [read_addresses(one)[0].secret.reveal() for one in (named, unnamed)]
    assert found == ["family", "all"]


def test_lines_of_a_secret_keep_their_numbers(tmp_path: Path) -> None:
    (file := tmp_path / "secret").write_text("\ufeff# one\n\n  first \r\nsecond\n")
    found = read_secret_lines(file, "", 5)
    assert [(number, secret.reveal()) for number, secret in found] == [(3, "first"), (4, "second")]


def test_message_waits_longer_than_a_daemon_takes_to_send_a_better_picture() -> None:
    on_its_way_s = 1
    waits_s = NotificationRule(name="birds").picture_wait_s
    assert waits_s > SnapshotSettings().best_every_s + on_its_way_s
