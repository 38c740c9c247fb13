"""The API against its own description: whatever is sent, answers are what OpenAPI says."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import schemathesis
from django.core.cache import cache
from django.core.wsgi import get_wsgi_application
from django.test import Client
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from schemathesis.specs.openapi.checks import positive_data_acceptance

from edge_classifier.web.api import api
from edge_classifier.web.models import Record
from edge_classifier.web.services import Services
from edge_classifier.web.worker.picture_worker import PictureWorker
from tests import browsing
from tests.web import making
from tests.web.api.client import PROBLEM, ROOT, Program, program
from tests.web.conftest import FOLDERS
from tests.web.serving import PASSWORD, Page, prepare
from tests.web.working import working

EVENT, OWN = (
    UUID("00000000-0000-4000-8000-000000000001"),
    UUID("00000000-0000-4000-8000-000000000002"),
)
DESCRIPTION: dict[str, Any] = json.loads(json.dumps(api.get_openapi_schema()))

# What is random is no picture, and no record's key: some of what is sent must be good.
schemathesis.openapi.media_type("image/jpeg", st.sampled_from([making.jpeg(), b"no picture"]))
schemathesis.openapi.format("uuid", st.sampled_from([str(EVENT), str(OWN)]) | st.uuids().map(str))
described = schemathesis.openapi.from_dict(DESCRIPTION)
described.app = get_wsgi_application()


@pytest.fixture(scope="module")
def worker() -> Iterator[PictureWorker]:
    """One child for all that is sent."""
    with working(FOLDERS.models) as found:
        yield found


@pytest.fixture
def asks(
    transactional_db: None,
    worker: PictureWorker,
    change: Callable[..., Services],
    request: pytest.FixtureRequest,
) -> Program:
    """A program whose user has the role that is asked for."""
    change(worker=worker)
    return program(request.param)


@described.parametrize()
@pytest.mark.parametrize("asks", ["viewer", "reviewer"], indirect=True)
@settings(
    max_examples=15,
    derandomize=True,
    deadline=None,
    database=None,
    # What a request changes is put right before the next.
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_answer_is_what_the_description_says(case: schemathesis.Case, asks: Program) -> None:
    cache.clear()
    if Record.objects.filter(verdict="").count() != 2:
        Record.objects.all().delete()
        making.event(key=EVENT, picture=making.jpeg())
        making.upload(key=OWN, owner=asks.user, top=[["cat", 0.9]])
    # Which names there are, and what a picture is, no description can say: 422 is right, too.
    case.call_and_validate(headers=asks.headers, excluded_checks=[positive_data_acceptance])


def test_description_that_is_served_is_this_one(viewer: Client) -> None:
    assert viewer.get(f"{ROOT}/openapi.json").json() == DESCRIPTION


def test_every_operation_describes_its_refusals_as_problems() -> None:
    for path, operations in DESCRIPTION["paths"].items():
        for method, operation in operations.items():
            refusals = [one for code, one in operation["responses"].items() if int(code) >= 400]
            kinds = {kind for refusal in refusals for kind in refusal["content"]}
            assert kinds == {PROBLEM}, (method, path)
            assert operation["description"]
            ways_in: list[dict[str, Any]] = [{"TokenAuth": []}, {"LoginAuth": []}]
            is_for_devices = path.endswith("/models/{sha256}")
            assert operation["security"] == (
                [{"DeviceTokenAuth": []}] if is_for_devices else ways_in
            )


def test_page_of_the_api_works_in_a_browser(tmp_path: Path) -> None:
    """Under the content security policy of all pages, and without asking anybody else."""
    prepare(tmp_path, "ann")
    said: list[str] = []
    with browsing.browser() as browser, Page(tmp_path) as page:
        tab = browser.new_page()
        tab.on("console", lambda message: said.append(message.text))
        tab.on("pageerror", lambda error: said.append(str(error)))
        tab.on("request", lambda asked: said.append(asked.url) if not ours(asked.url) else None)
        tab.goto(f"{page.address}{ROOT}/docs")
        tab.fill("input[name=username]", "ann")
        tab.fill("input[name=password]", PASSWORD)
        tab.press("input[name=password]", "Enter")
        tab.click("#operations-Records-delete .opblock-summary-control")
        tab.click("#operations-Records-delete .try-out__btn")
        tab.fill("#operations-Records-delete input", str(EVENT))
        tab.click("#operations-Records-delete .execute")
        # Not 403: the page sends the CSRF token along.
        tab.wait_for_selector("#operations-Records-delete .live-responses-table >> text=404")
    assert [line for line in said if "404" not in line] == []


def ours(url: str) -> bool:
    return url.startswith(("http://127.0.0.1:", "data:", "blob:"))
