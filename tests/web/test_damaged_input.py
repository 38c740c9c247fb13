"""Messages and uploads with seeded damage: taken or refused, without a traceback or a 5xx."""

from collections.abc import Callable
from pathlib import Path

import pytest
from django.test import Client

from edge_classifier.web.services import Services
from tests.mutations.damage import seeded
from tests.mutations.messages import try_messages
from tests.mutations.uploads import try_uploads
from tests.web.working import working


@pytest.mark.django_db
def test_damaged_messages_stop_neither_the_page_nor_a_daemon(tmp_path: Path) -> None:
    findings = try_messages(tmp_path, 600, seeded())
    assert findings.wrong == []
    assert findings.endings["refused"] > 100, findings.endings
    assert findings.endings["taken"] > 100, findings.endings


def test_damaged_uploads_are_answered_without_an_error_of_ours(
    administrator: Client, change: Callable[..., Services], tmp_path: Path
) -> None:
    with working(tmp_path / "models") as worker:
        change(worker=worker)
        findings = try_uploads(administrator, tmp_path, 100, seeded())
    assert findings.wrong == []
    assert findings.tried >= 100
