"""Messages and uploads with seeded damage: taken or refused, without a traceback or a 5xx."""

from collections.abc import Callable
from pathlib import Path

import pytest
from django.test import Client

from edge_classifier.web.models import User
from edge_classifier.web.services import Services
from tests.mutations.damage import seeded
from tests.mutations.messages import try_messages
from tests.mutations.uploads import try_uploads
from tests.web.working import working

_FORM = '--b\r\nContent-Disposition: form-data; name="model"\r\n\r\nx\r\n--b--\r\n'


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


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("address", "body", "status"),
    [
        ("/nowhere", "x", 404),
        ("/teach", "x", 400),
        ("/api/v1/rollouts", "x", 400),
        ("/api/v1/rollouts", _FORM, 400),
        ("/api/v1/rollouts/1/end", _FORM, 400),
    ],
)
def test_form_in_the_wrong_place_or_without_its_boundary_is_refused(
    address: str, body: str, status: int
) -> None:
    """Django reads a form while it looks for the token that browsers send along."""
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(User.objects.create_user("anna", role=User.Role.ADMINISTRATOR))
    browser.get("/teach")
    token = {"X-CSRFToken": browser.cookies["csrftoken"].value}
    kind = "multipart/form-data; boundary=b" if body == _FORM else "multipart/form-data"
    assert browser.post(address, body, content_type=kind, headers=token).status_code == status
