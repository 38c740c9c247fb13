"""The accounts of all people: added, changed and removed by an administrator, who always stays."""

import re
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from edge_classifier.web.accounts import tokens
from edge_classifier.web.models import User
from tests.web import making
from tests.web.conftest import PASSWORD

LINK = re.compile(r'value="http://testserver(/welcome/[^"]+)"')


def link_in(page: str) -> str:
    found = LINK.search(page)
    assert found, page
    return found[1]


def choose(client: Client, link: str, password: str = PASSWORD) -> int:
    """Open ``link`` and choose ``password``; the last status."""
    shown = client.get(link, follow=True)
    place = shown.redirect_chain[-1][0] if shown.redirect_chain else link
    form = {"new_password1": password, "new_password2": password}
    return client.post(place, form).status_code


def add(administrator: Client, name: str = "rita", role: str = "reviewer") -> str:
    """A new account; its link."""
    page = administrator.post("/accounts", {"username": name, "role": role})
    return link_in(page.content.decode())


def test_somebody_new_chooses_their_password_by_a_link_that_is_good_once(
    administrator: Client,
) -> None:
    link = add(administrator)
    rita = User.objects.get(username="rita")
    assert (rita.role, rita.has_usable_password()) == ("reviewer", False)
    browser = Client()
    assert choose(browser, link) == 302
    assert browser.get("/review").status_code == 200
    assert Client().post("/login", {"username": "rita", "password": PASSWORD}).status_code == 302
    other = Client()
    assert "used up" in other.get(link).content.decode()
    assert choose(other, link, "another long password") == 200
    assert "/welcome/" not in administrator.get("/accounts").content.decode()


@pytest.mark.parametrize(
    "path", ["/password", "/admin/web/user/add/", "/admin/web/user/1/password/"]
)
def test_rule_that_a_new_password_breaks_is_told_below_it(administrator: Client, path: str) -> None:
    User.objects.get().set_password(PASSWORD)
    form = {"username": "rita", "role": "viewer", "old_password": PASSWORD}
    names = ("password", "new_password")
    form |= {f"{name}{number}": "12345" for name in names for number in (1, 2)}
    path = path.replace("1", str(User.objects.get().pk))
    page = administrator.post(path, form).content.decode()
    wrong = re.findall(r'<input[^>]*name="(\w+)"[^>]*aria-invalid="true"', page)
    assert "too short" in page
    assert wrong in (["password1"], ["new_password1"])


def test_name_that_is_taken_is_refused_beside_its_field(administrator: Client) -> None:
    User.objects.create_user("rita")
    page = administrator.post("/accounts", {"username": "RITA", "role": "viewer"}).content.decode()
    assert re.search(r'id="id_username"[^>]*>\s*<ul class="errorlist"[^>]*><li>[^<]*exists', page)
    assert User.objects.filter(username__iexact="rita").count() == 1


def test_name_that_somebody_takes_at_the_same_time_is_refused_beside_its_field(
    administrator: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After the form has looked, and before the account is made."""
    prepare = User.set_unusable_password

    def prepare_late(user: User) -> None:
        User.objects.bulk_create([User(username=user.username)])
        prepare(user)

    monkeypatch.setattr(User, "set_unusable_password", prepare_late)
    answer = administrator.post("/accounts", {"username": "rita", "role": "viewer"})
    assert answer.status_code == 200
    assert "errorlist" in answer.content.decode()
    assert User.objects.filter(username="rita").count() == 1


def test_reset_ends_the_old_password_and_what_was_logged_in_with_it(administrator: Client) -> None:
    rita = User.objects.create_user("rita", password=PASSWORD)
    browser = Client()
    browser.force_login(rita)
    page = administrator.post(f"/accounts/{rita.pk}/password").content.decode()
    assert browser.get("/live").status_code == 302
    assert choose(Client(), link_in(page), "a new password that is long") == 302
    rita.refresh_from_db()
    assert rita.check_password("a new password that is long")


def test_password_by_a_link_ends_the_wait_after_wrong_ones(administrator: Client) -> None:
    User.objects.create_user("rita", password=PASSWORD)
    for _ in range(5):
        Client().post("/login", {"username": "rita", "password": "wrong"})
    assert Client().post("/login", {"username": "rita", "password": PASSWORD}).status_code == 429
    rita = User.objects.get(username="rita")
    page = administrator.post(f"/accounts/{rita.pk}/password").content.decode()
    assert choose(Client(), link_in(page)) == 302
    assert Client().post("/login", {"username": "rita", "password": PASSWORD}).status_code == 302


def test_role_is_changed_with_all_that_it_may(administrator: Client) -> None:
    rita = User.objects.create_user("rita", password=PASSWORD)
    administrator.post(f"/accounts/{rita.pk}/role", {"role": "administrator"})
    rita.refresh_from_db()
    assert (rita.role, rita.is_superuser) == ("administrator", True)
    administrator.post(f"/accounts/{rita.pk}/role", {"role": "emperor"})
    rita.refresh_from_db()
    assert rita.role == "administrator"


def test_account_is_removed_after_a_question_and_its_records_stay(administrator: Client) -> None:
    rita = User.objects.create_user("rita", password=PASSWORD)
    record = making.upload("cat", owner=rita)
    _, secret = tokens.make(rita, "script")
    page = administrator.get(f"/accounts/{rita.pk}/remove").content.decode()
    assert "Remove the account of rita?" in page
    assert User.objects.filter(pk=rita.pk).exists()
    administrator.post(f"/accounts/{rita.pk}/remove")
    assert not User.objects.filter(pk=rita.pk).exists()
    assert tokens.user_of(secret) is None
    record.refresh_from_db()
    assert record.owner is None


WAYS_TO_END: list[tuple[str, dict[str, str]]] = [
    ("/accounts/{}/remove", {}),
    ("/accounts/{}/role", {"role": "viewer"}),
    ("/admin/web/user/{}/delete/", {"post": "yes"}),
    ("/admin/web/user/{}/change/", {"username": "administrator", "role": "viewer"}),
    ("/admin/web/user/", {"action": "delete_selected", "_selected_action": "{}", "post": "y"}),
]


@pytest.mark.parametrize(("path", "form"), WAYS_TO_END)
def test_nobody_ends_their_own_rights_so_that_one_administrator_stays(
    administrator: Client, path: str, form: dict[str, str]
) -> None:
    own = User.objects.get()
    filled = {name: value.format(own.pk) for name, value in form.items()}
    administrator.post(path.format(own.pk), filled)
    own.refresh_from_db()
    assert (own.role, own.is_active) == ("administrator", True)
    assert administrator.get("/accounts").status_code == 200


@pytest.mark.parametrize(("path", "form"), WAYS_TO_END)
@pytest.mark.parametrize("change", [{"role": "viewer"}, {"is_active": False}])
def test_of_two_administrators_who_end_each_others_rights_at_once_one_stays(
    db: None,
    path: str,
    form: dict[str, str],
    change: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first = User.objects.create_user("administrator", role="administrator")
    second = User.objects.create_user("second", role="administrator")
    # The request of the second one was let in before the first one was quicker.
    monkeypatch.setattr("django.contrib.auth.get_user", lambda _request: second)
    User.objects.filter(pk=second.pk).update(**change)
    filled = {name: value.format(first.pk) for name, value in form.items()}
    assert Client().post(path.format(first.pk), filled).status_code in {302, 403}
    first.refresh_from_db()
    assert (first.role, first.is_active) == ("administrator", True)


@pytest.mark.usefixtures("noon")
def test_last_visit_is_shown_and_written_once_an_hour(
    administrator: Client, viewer: Client
) -> None:
    seen = User.objects.get(username="viewer").seen_at
    assert seen is None
    viewer.get("/history")
    first = User.objects.get(username="viewer").seen_at
    assert first
    viewer.get("/history")
    assert User.objects.get(username="viewer").seen_at == first
    User.objects.filter(username="viewer").update(seen_at=timezone.now() - timedelta(hours=2))
    viewer.get("/history")
    assert User.objects.get(username="viewer").seen_at > first
    told = f"last seen {timezone.localtime():%Y-%m-%d}"
    assert told in administrator.get("/accounts").content.decode()


def test_administration_has_24_hours_and_no_name_of_a_library(administrator: Client) -> None:
    User.objects.update(seen_at=timezone.localtime().replace(hour=15, minute=4))
    Client().post("/login", {"username": "nobody", "password": "wrong"})
    assert "15:04" in administrator.get("/admin/web/user/").content.decode()
    for path in ("/admin/", "/admin/axes/", "/admin/axes/accessattempt/", "/admin/web/user/"):
        page = administrator.get(path).content.decode()
        text = re.sub(r"<[^>]+>", " ", page)
        assert not re.search(r"(?i)\baxes\b", text), path
        assert not re.search(r"\b[ap]\.m\.", text), path


@pytest.mark.parametrize("path", ["/", "/login", "/classify"])
def test_page_without_an_administrator_says_where_the_link_is(visitor: Client, path: str) -> None:
    assert "journalctl -u edge-classifier-web" in visitor.get(path).content.decode()
    User.objects.create_user("anna", role="administrator")
    assert "journalctl" not in visitor.get(path).content.decode()
