"""What is quoted of what somebody gave has a bound, in each kind of message."""

from pathlib import Path

import pytest

from edge_classifier.cli.main import main
from edge_classifier.config.sources import SettingProblem
from edge_classifier.errors import UsageError

LONG = "x" * 100_000
MOST = 3_000


@pytest.mark.parametrize(
    "arguments",
    [
        [f"/a/{LONG}"],
        [f"--{LONG}"],
        ["--model", LONG, "cat.jpg"],
        ["--top-k", LONG, "cat.jpg"],
        ["models", LONG],
        ["models", "info", LONG],
        ["config", "check", "--config", f"/a/{LONG}"],
        ["config", "check", "--config", "FILE", "--set", f"{LONG}=1"],
        ["config", "check", "--config", "FILE", "--set", f"mqtt.port={LONG}"],
        ["config", "check", "--config", "FILE", "--set", f"cameras.b.quiet_hours=['{LONG}']"],
        ["web", LONG],
    ],
)
def test_command_quotes_an_argument_of_any_length_in_part(
    arguments: list[str], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "config.toml"
    file.write_text('[mqtt]\nhost = "127.0.0.1"\n[cameras.a]\nsource = "0"\n')
    with pytest.raises(SystemExit) as ended:
        raise SystemExit(main([str(file) if one == "FILE" else one for one in arguments]))
    assert ended.value.code != 0
    told = "".join(capfd.readouterr())
    assert 0 < len(told) < MOST


def test_errors_and_problems_quote_in_part_and_keep_their_lines() -> None:
    error = UsageError(LONG, f"{LONG}\n{LONG}", LONG)
    assert len(str(error)) < 2 * MOST
    assert len(error.problem.splitlines()) == 2
    assert len(str(SettingProblem(LONG, LONG, "", LONG))) < MOST
