"""Thousands of devices, cameras and labels, as anybody who may publish can make them up."""

import json
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from edge_classifier.web.maintenance import cleanup
from edge_classifier.web.models import Camera, Label
from tests.web import making

COUNT = 4000


@pytest.fixture
def many(db: None) -> None:
    now = timezone.now()
    Camera.objects.bulk_create(
        Camera(device=f"device-{number:04}", name=f"{number:04}-{'c' * 50}")
        for number in range(COUNT)
    )
    Label.objects.bulk_create(
        Label(name=f"label-{number:04}-{'x' * 180}", first_seen=now) for number in range(COUNT)
    )
    for number in range(40):
        label = Label.objects.get(name__startswith=f"label-{number:04}-")
        making.event(label.name, camera=Camera.objects.get(device=f"device-{number:04}"))


@pytest.mark.parametrize(
    "address",
    [
        *("/history", "/history?device=device-3999", "/history/chart", "/review?view=dataset"),
        *("/review", "/review?view=grid", "/admin/web/record/", "/models", "/live"),
        *("/history/names?field=label&text=x", "/history/names?field=device&text="),
        *("/api/v1/cameras", "/api/v1/labels", "/api/v1/records"),
    ],
)
def test_page_stays_small_however_many_names_there_are(
    many: None, administrator: Client, address: str
) -> None:
    response = administrator.get(address)
    assert response.status_code == 200
    assert len(response.content) < 400_000


def test_names_that_the_page_does_not_carry_are_found_by_typing(many: None, viewer: Client) -> None:
    page = viewer.get("/history").content.decode()
    assert 'data-search="/history/names?field=device&amp;text="' in page
    assert "device-3998" not in page
    found = viewer.get("/history/names?field=device&text=CE-399").content.decode()
    assert found.count("<option") == 10
    assert '<option value="device-3998">' in found
    Label.objects.filter(name__startswith="label-3998").update(chinese="猫")
    assert "label-3998" in viewer.get("/history/names?field=label&text=猫").content.decode()
    assert viewer.get("/history/names?field=owner").status_code == 404


def test_name_that_the_page_does_not_carry_can_be_filtered_by(many: None, viewer: Client) -> None:
    making.event("cat", camera=Camera.objects.get(device="device-3998"))
    page = viewer.get("/history?device=device-3998").content.decode()
    assert "1 record<" in page
    wrong = viewer.get("/history?device=nowhere")
    assert wrong.status_code == 400
    assert "No device has the name “nowhere”." in wrong.content.decode()


def test_few_names_are_chosen_from_a_list(viewer: Client) -> None:
    making.event("cat")
    page = viewer.get("/history?device=pi").content.decode()
    assert '<option value="pi" selected>' in page
    assert 'data-search="/history/names?field=device' not in page


def test_cameras_of_the_api_come_in_parts_and_each_once(many: None, viewer: Client) -> None:
    found, after = [], ""
    while part := json.loads(viewer.get(f"/api/v1/cameras?after={after}").content)["cameras"]:
        assert len(part) <= 1000
        found += [(one["device"], one["name"]) for one in part]
        after = f"{part[-1]['device']}/{part[-1]['name']}"
    assert found == sorted(Camera.objects.values_list("device", "name"))


def test_names_that_nothing_has_go_where_there_are_very_many(
    many: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cleanup, "MOST_NAMES", 100)
    old = timezone.now() - timedelta(days=9)
    kept: Any = Label.objects.create(name="translated", chinese="翻译", first_seen=old)
    chosen = Label.objects.create(name="only chosen")
    cleanup.delete_unused_names()
    assert Label.objects.count() == Camera.objects.count() == 100
    assert Label.objects.filter(pk__in=[kept.pk, chosen.pk]).count() == 2
    assert {f"device-{number:04}" for number in range(40)} <= set(
        Camera.objects.values_list("device", flat=True)
    )
    assert cleanup.delete_unused_names() == 0
