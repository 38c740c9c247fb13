import pytest
from django.db import IntegrityError
from django.test import Client

from edge_classifier.web.models import Record
from tests.web import making


def test_event_that_comes_twice_is_refused_by_the_database(db: None) -> None:
    first = making.event()
    with pytest.raises(IntegrityError):
        making.event(key=first.key)


@pytest.mark.parametrize("role", ["viewer", "reviewer", "administrator"])
def test_user_has_the_rights_of_the_role(
    db: None, role: str, request: pytest.FixtureRequest
) -> None:
    client: Client = request.getfixturevalue(role)
    assert (client.get("/admin/").status_code == 200) == (role == "administrator")


def test_record_is_kept_with_its_picture(db: None) -> None:
    made = making.upload("dog")
    found = Record.objects.select_related("label", "picture").get(key=made.key)
    assert (found.label.name, found.picture.width) == ("dog", 64)
