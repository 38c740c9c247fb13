"""Configuration files with seeded damage: taken, or refused with what is wrong, a line each."""

from pathlib import Path

from tests.mutations.damage import seeded
from tests.mutations.settings import try_settings


def test_damaged_configuration_files_are_taken_or_refused_in_words(tmp_path: Path) -> None:
    findings = try_settings(tmp_path, 150, seeded())
    assert findings.wrong == []
    assert findings.endings["refused"] > 50, findings.endings
    assert findings.endings["taken"] > 5, findings.endings
