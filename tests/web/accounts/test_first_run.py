"""The first administrator: by the link of the log, or by a command."""

import io
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from django.db import connection
from django.test import Client

from edge_classifier.errors import UsageError
from edge_classifier.web.accounts import first_run
from edge_classifier.web.accounts.first_run import Invitation, create_administrator
from edge_classifier.web.models import User
from edge_classifier.web.services import Services
from tests.web.conftest import PASSWORD
from tests.web.serving import web


@contextmanager
def terminal() -> Iterator[tuple[int, int]]:
    """The two ends of one: for who types and reads, and for the program."""
    keyboard, screen = os.openpty()
    try:
        yield keyboard, screen
    finally:
        os.close(keyboard)
        os.close(screen)


def twice(password: str) -> dict[str, str]:
    return {"password1": password, "password2": password}


FORM = {"username": "anna", **twice(PASSWORD)}


@pytest.fixture
def invitation(page: Services) -> Invitation:
    """That of a page which has just been started."""
    return page.invitation


def test_link_is_long_and_the_same_until_it_is_used(db: None, invitation: Invitation) -> None:
    link = invitation.link()
    assert len(link) >= len("setup/") + 43  # 256 bits
    assert invitation.link() == link
    assert Invitation().link() != link


def test_link_makes_the_first_administrator_and_logs_them_in(
    visitor: Client, invitation: Invitation
) -> None:
    link = f"/{invitation.link()}"
    assert visitor.get(link).status_code == 200
    assert visitor.post(link, FORM).headers["Location"] == "/"
    user = User.objects.get()
    assert (user.username, user.role, user.is_superuser) == ("anna", "administrator", True)
    assert visitor.get("/admin/").status_code == 200
    assert visitor.get(link).status_code == 404
    assert Client().post(link, {**FORM, "username": "eve"}).status_code == 404
    assert invitation.link() == ""


@pytest.mark.parametrize("token", ["x", "é", "%00", "none"])
def test_link_with_another_token_leads_nowhere(
    visitor: Client, invitation: Invitation, token: str
) -> None:
    assert visitor.get(f"/setup/{token}").status_code == 404  # Before there is any link.
    invitation.link()
    assert visitor.get(f"/setup/{token}").status_code == 404
    assert visitor.post(f"/setup/{token}", FORM).status_code == 404
    assert User.objects.count() == 0


def test_link_is_gone_once_an_administrator_exists_by_another_way(
    visitor: Client, invitation: Invitation
) -> None:
    link = f"/{invitation.link()}"
    User.objects.create_user("viewer", password=PASSWORD)
    assert visitor.get(link).status_code == 200
    create_administrator("bert", io.StringIO(f"{PASSWORD}\n"))
    assert visitor.get(link).status_code == 404
    assert visitor.post(link, FORM).status_code == 404


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        (twice("short"), "too short"),
        ({"username": "annabella", **twice("annabella1")}, "too similar"),
        ({"password2": "something else"}, "match"),
        ({"username": "a/b c"}, "valid username"),
        ({"username": ""}, "required"),
    ],
)
def test_administrator_that_is_not_good_enough_is_refused_with_the_reason(
    visitor: Client, invitation: Invitation, changed: dict[str, str], said: str
) -> None:
    link = f"/{invitation.link()}"
    page = visitor.post(link, {**FORM, **changed})
    assert page.status_code == 200
    assert said in page.content.decode()
    assert User.objects.count() == 0
    assert visitor.get(link).status_code == 200


def test_form_tells_programs_that_keep_passwords_what_its_fields_are(
    visitor: Client, invitation: Invitation
) -> None:
    page = visitor.get(f"/{invitation.link()}").content.decode()
    assert re.search(r'<input[^>]*name="username"[^>]*autocomplete="username"', page)
    for name in ("password1", "password2"):
        assert re.search(rf'<input[^>]*name="{name}"[^>]*autocomplete="new-password"', page)


def test_rule_that_a_password_breaks_is_told_below_it(
    visitor: Client, invitation: Invitation
) -> None:
    page = visitor.post(f"/{invitation.link()}", {**FORM, **twice("short")}).content.decode()
    first, again = page.index('name="password1"'), page.index('name="password2"')
    assert first < page.index("too short") < again
    assert "errorlist" not in page[again:]


@pytest.mark.django_db(transaction=True)
def test_link_used_by_many_at_once_makes_one_administrator(invitation: Invitation) -> None:
    link = f"/{invitation.link()}"
    codes = []

    def use(number: int) -> None:
        codes.append(Client().post(link, {**FORM, "username": f"anna{number}"}).status_code)
        connection.close()

    threads = [threading.Thread(target=use, args=[number]) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(codes) == [302, 404, 404, 404, 404, 404]
    assert User.objects.count() == 1


def test_command_makes_an_administrator_of_a_line_that_is_piped_in(db: None) -> None:
    user = create_administrator("anna", io.StringIO(f"{PASSWORD}\nmore\n"))
    assert (user.role, user.check_password(PASSWORD)) == ("administrator", True)
    assert first_run.administrator_exists()


@pytest.mark.parametrize(
    ("name", "line", "said"),
    [
        ("anna", "hunter2", "too common"),
        ("anna", "", "required"),
        ("annabella", "annabella1", "too similar"),
        ("ANNE", PASSWORD, "already exists"),
        ("a b", PASSWORD, "valid username"),
        ("", PASSWORD, "needs a name"),
    ],
)
def test_command_refuses_with_the_reason(db: None, name: str, line: str, said: str) -> None:
    User.objects.create_user("anne", password=PASSWORD)
    with pytest.raises(UsageError, match=said):
        create_administrator(name, io.StringIO(f"{line}\n"))
    assert User.objects.count() == 1


def test_command_on_a_terminal_asks_for_all_and_shows_no_password(tmp_path: Path) -> None:
    with terminal() as (keyboard, screen):
        options = ["--set", f"state_folder={tmp_path}", "createadmin"]
        command = ["setsid", "--ctty", "--wait", sys.executable, "-m", "edge_classifier", "web"]
        process = subprocess.Popen(
            [*command, *options], stdin=screen, stdout=screen, stderr=screen, close_fds=True
        )
        seen = ""
        for question, answer in (
            ("Name: ", "anna"),
            ("Password: ", PASSWORD),
            ("Once more: ", PASSWORD),
        ):
            while question not in seen:
                seen += os.read(keyboard, 1000).decode()
            os.write(keyboard, f"{answer}\n".encode())
        assert process.wait(60) == 0
        # A terminal gives out what was written in as many pieces as it likes.
        while "anna is an administrator now." not in seen:
            seen += os.read(keyboard, 1000).decode()
    assert PASSWORD not in seen


def test_command_exits_with_usage_for_a_weak_password_and_makes_nobody(tmp_path: Path) -> None:
    done = web(tmp_path, "createadmin", "anna", stdin="hunter2\n")
    assert done.returncode == 2
    assert "too common" in done.stderr
    assert "hunter2" not in done.stderr + done.stdout
