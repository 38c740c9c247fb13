"""Messages as they arrive by Apprise: at an ntfy server, a webhook and a mail server."""

import base64
import json
from collections.abc import Iterator
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

pytest.importorskip("apprise", reason="the extra [notify] is not installed")

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult

from edge_classifier.config.secrets import Secret
from edge_classifier.web.notify import sending
from edge_classifier.web.notify.addresses import Address
from edge_classifier.web.notify.message_text import MessageContent
from tests.ports import HOST, free_port
from tests.web import making
from tests.web.notify.telling import (
    PUBLIC,
    Clock,
    HttpReceiver,
    addresses,
    notifier,
    rule,
    run,
)

TOKEN = "tk-not-to-be-shown"  # noqa: S105 (of a receiver that ends with the test)


class Mailbox:
    """What a mail server has taken."""

    def __init__(self) -> None:
        self.got: list[EmailMessage] = []
        # What it says then; empty: nothing, and it hangs up.
        self.answer = "250 taken"

    async def handle_DATA(self, server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802 (aiosmtpd's)
        mail = message_from_bytes(envelope.content, policy=policy.default)
        assert isinstance(mail, EmailMessage)
        self.got.append(mail)
        if not self.answer:
            server.transport.close()
        return self.answer


@pytest.fixture
def http() -> Iterator[HttpReceiver]:
    receiver = HttpReceiver()
    yield receiver
    receiver.close()


@pytest.fixture
def mail() -> Iterator[tuple[int, Mailbox]]:
    mailbox, port = Mailbox(), free_port()
    controller = Controller(mailbox, HOST, port)
    controller.start()
    yield port, mailbox
    controller.stop()


@pytest.mark.django_db
def test_ntfy_a_webhook_and_a_mail_server_get_the_message_with_its_picture_and_link(
    http: HttpReceiver, mail: tuple[int, Mailbox], tmp_path: Path
) -> None:
    now = Clock()
    file = addresses(
        tmp_path,
        f"ntfy://{HOST}:{http.port}/garden",
        f"json://{HOST}:{http.port}/hook",
        f"mailto://{HOST}:{mail[0]}?from=page@example.org&to=anna@example.org&mode=insecure",
    )
    made = notifier(rule(tmp_path, addresses_file=file), now=now, send=sending.send_by_apprise)
    picture = making.jpeg((10, 20, 30))
    record = making.event("goldfinch", at=now(), picture=picture)
    run(made)
    assert made.failures == []
    link = f"{PUBLIC}/records/{record.key}"
    (ntfy_path, ntfy_body), (hook_path, hook_body) = http.got
    asked = parse_qs(urlsplit(ntfy_path).query)
    assert ntfy_path.startswith("/garden?")
    assert asked["title"] == ["goldfinch · first today"]
    assert link in asked["message"][0]
    assert ntfy_body == picture
    hook = json.loads(hook_body)
    assert hook_path == "/hook"
    assert hook["title"] == "goldfinch · first today"
    assert link in hook["message"]
    assert base64.b64decode(hook["attachments"][0]["base64"]) == picture
    (letter,) = mail[1].got
    assert letter["Subject"] == "goldfinch · first today"
    assert letter["To"] == "anna@example.org"
    (attached,) = letter.iter_attachments()
    assert attached.get_content() == picture
    text = letter.get_body(("plain", "html"))
    assert text is not None
    assert link in text.get_content()


def sent_to(text: str, folder: Path) -> tuple[str, int]:
    content = MessageContent("cat", "at noon", making.jpeg())
    return sending.send_by_apprise(Address(Secret(text), 1), content, folder)


def test_receiver_that_answers_500_is_one_that_may_be_tried_again(
    http: HttpReceiver, tmp_path: Path
) -> None:
    http.status = 500
    assert sent_to(f"json://{HOST}:{http.port}/{TOKEN}", tmp_path) == ("answered", 500)


def test_what_a_service_writes_into_its_answer_is_not_taken_for_a_fault_of_the_way(
    http: HttpReceiver, tmp_path: Path
) -> None:
    http.status, http.body = 500, b"error 123: read timed out"
    assert sent_to(f"json://{HOST}:{http.port}/", tmp_path) == ("answered", 500)


@pytest.mark.parametrize(("status", "result"), [(200, ("", 0)), (500, ("answered", 500))])
def test_answer_without_end_is_not_read_to_its_end(
    http: HttpReceiver,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    status: int,
    result: tuple[str, int],
) -> None:
    """On a small machine the gigabytes of one service would be all of its memory."""
    http.status, http.body, http.stays = status, b"x" * 2_000_000, True
    monkeypatch.setattr(sending, "_LIMIT_S", 15.0)
    assert sent_to(f"json://{HOST}:{http.port}/", tmp_path) == result


@pytest.mark.parametrize(
    ("answer", "result"),
    [("", ("no_answer", 0)), ("452 later", ("answered", 452)), ("250 taken", ("", 0))],
)
def test_mail_that_may_have_come_is_not_one_that_is_sent_again(
    mail: tuple[int, Mailbox], tmp_path: Path, answer: str, result: tuple[str, int]
) -> None:
    port, mailbox = mail
    mailbox.answer = answer
    address = f"mailto://{HOST}:{port}?from=a@example.org&to=b@example.org&mode=insecure"
    assert sent_to(address, tmp_path) == result
    assert len(mailbox.got) == 1


def test_mail_server_that_refuses_the_password_says_so(
    tmp_path: Path,
) -> None:
    refuses = Controller(
        Mailbox(),
        HOST,
        free_port(),
        authenticator=lambda *_: AuthResult(success=False, handled=False),
        auth_require_tls=False,
    )
    refuses.start()
    try:
        address = f"mailto://anna:{TOKEN}@{HOST}:{refuses.port}?from=a@b.org&to=b@b.org"
        assert sent_to(f"{address}&mode=insecure", tmp_path) == ("answered", 535)
    finally:
        refuses.stop()


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("json://127.0.0.1:9/", "unreachable"),
        ("ntfy://nowhere.invalid/garden", "unreachable"),
        ("mailto://127.0.0.1:9?from=a@example.org&to=b@example.org", "unreachable"),
        (TOKEN, "wrong_address"),
        (f"tgram://{TOKEN}", "wrong_address"),
        (f"pigeon://{TOKEN}", "wrong_address"),
    ],
)
def test_address_that_leads_nowhere_is_told_from_one_that_is_none(
    tmp_path: Path, text: str, problem: str
) -> None:
    assert sent_to(text, tmp_path) == (problem, 0)
    assert list(tmp_path.iterdir()) == []


def test_receiver_that_takes_too_long_is_left(
    http: HttpReceiver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # It would answer within the time of a test, and be taken for one that has it.
    http.delay_s = 60
    monkeypatch.setattr(sending, "_LIMIT_S", 4.0)
    assert sent_to(f"json://{HOST}:{http.port}/", tmp_path) == ("no_answer", 0)


@pytest.mark.django_db
def test_no_address_is_logged_or_kept_or_shown(
    http: HttpReceiver, tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: Any
) -> None:
    now = Clock()
    http.status = 500
    file = addresses(
        tmp_path,
        f"json://user:{TOKEN}@{HOST}:{http.port}/{TOKEN}",
        f"tgram://{TOKEN}/12345",
        TOKEN,
    )
    made = notifier(rule(tmp_path, addresses_file=file), now=now, send=sending.send_by_apprise)
    making.event("cat", at=now(), picture=making.jpeg())
    run(made)
    assert len(made.failures) == 3
    from edge_classifier.web.notify.tables import Notification

    kept = list(Notification.objects.values())
    shown = f"{made.failures} {kept} {caplog.text} {capfd.readouterr()}"
    assert TOKEN not in shown
