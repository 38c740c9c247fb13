"""Programs that ask the API, for tests."""

from dataclasses import dataclass
from typing import Any

from django.test import Client

from edge_classifier.web.accounts import tokens
from edge_classifier.web.models import User

ROOT = "/api/v1"
PROBLEM = "application/problem+json"
ROLES = ("viewer", "reviewer", "administrator")


@dataclass(frozen=True)
class Program:
    """One that has a token."""

    user: User
    secret: str

    @property
    def headers(self) -> dict[str, str]:
        """What it sends with each request."""
        return {"Authorization": f"Bearer {self.secret}"}

    def ask(self, method: str, path: str, **request: Any) -> Any:
        """The answer to a request for ``path`` below the API's root."""
        client = Client(enforce_csrf_checks=True, headers=self.headers)
        return getattr(client, method)(ROOT + path, **request)

    def get(self, path: str, **params: Any) -> Any:
        """The JSON of a good answer."""
        answer = self.ask("get", path, query_params=params)
        assert answer.status_code == 200, answer.content
        return answer.json()


def program(role: str, name: str = "") -> Program:
    """A program of a new user with this role."""
    user = User.objects.create_user(name or f"{role}-of-program", role=role)
    return Program(user, tokens.make(user, "test")[1])


def problem(answer: Any) -> Any:
    """The JSON of an answer that must be a problem."""
    assert answer["Content-Type"] == PROBLEM, answer.content
    found = answer.json()
    assert found["status"] == answer.status_code
    assert found["title"]
    assert found["detail"]
    assert set(found) <= {"title", "status", "detail", "errors"}
    return found
