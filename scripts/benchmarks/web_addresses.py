"""The addresses that `scripts/benchmarks/web_pages.py` asks for: every page that reads records."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

# Addresses by what they show; what stands in braces is what the database has.
_PAGES = {
    "classify": "/classify",
    "live, no broker": "/live",
    "models": "/models",
    "teach": "/teach",
    "record": "/records/{key}",
    "record, in a list": "/records/{key}?label=label+0",
    "thumbnail": "/thumbnails/{key}.jpg",
    "label, frequent": "/labels/{label}",
    "label, rare": "/labels/{rare}",
    "label, unknown": "/labels/{unknown}",
    "review": "/review",
    "review, one camera": "/review?camera=1",
    "review, one label": "/review?label=label+0",
    "review, rare label": "/review?label=label+250",
    "review, uploads": "/review?source=upload",
    "review, after one": "/review?after={key}",
    "review, piles": "/review?view=piles",
    "review, many at once": "/review?view=grid",
    "review, many, the surest": "/review?view=grid&order=sure",
    "review, many, one label": "/review?view=grid&label=label+0",
    "review, dataset": "/review?view=dataset",
    "review, compare models": "/review/compare",
    "names, labels": "/history/names?field=label&text=2",
}
# Filters of the history.
_LISTS = {
    "all": "",
    "deep": "{before}",
    "newer than a deep place": "{after}",
    "frequent label": "label=label+0",
    "frequent label, deep": "label=label+0&{before}",
    "rare label": "label=label+250",
    "unknown": "label=unknown",
    "several labels of one name": "label={shared}",
    "device": "device=pi-1",
    "device, deep": "device=pi-1&{before}",
    "one camera": "device=pi-1&camera=front",
    "one camera, deep": "device=pi-1&camera=front&{before}",
    "camera and label": "device=pi-1&camera=front&label=label+0",
    "camera and rare label": "device=pi-1&camera=front&label=label+250",
    "device, label, not reviewed": "device=pi-1&label=label+0&review=no",
    "high scores": "score_min=0.99",
    "some scores": "score_min=0.5&score_max=0.9",
    "uncertain": "review=no&score_max=0.5",
    "camera, high scores": "device=pi-1&camera=front&score_min=0.95",
    "label, high scores": "label=label+0&score_min=0.95",
    "not reviewed": "review=no",
    "reviewed": "review=yes",
    "confirmed": "review=confirmed",
    "corrected": "review=corrected",
    "corrected, deep": "review=corrected&{before}",
    "nothing there": "review=nothing",
    "rejected": "review=rejected",
    "also rejected": "review=any",
    "one camera, corrected": "device=pi-1&camera=front&review=corrected",
    "label, corrected": "label=label+0&review=corrected",
    "events": "source=event",
    "uploads": "source=upload",
    "programs": "source=api",
    "glimpsed": "kind=glimpsed",
    "glimpsed, deep": "kind=glimpsed&{before}",
    "glimpsed, one camera": "kind=glimpsed&device=pi-1&camera=front",
    "glimpsed, label": "kind=glimpsed&label=label+0",
    "seen and glimpsed": "kind=all",
    "new here": "new=yes",
    "new here, label": "new=yes&label=label+0",
    "today": "{today}",
    "one day": "{day}",
    "one day, camera": "{day}&device=pi-1&camera=front",
    "one day, label": "{day}&label=label+0",
    "one day, corrected": "{day}&review=corrected",
    "two weeks": "{weeks}",
    "two weeks, label": "{weeks}&label=label+0",
    "two weeks, high scores": "{weeks}&score_min=0.99",
    "by score": "order=score",
    "by score, deep": "order=score&{sure}",
    "by score, one camera": "order=score&device=pi-1&camera=front",
    "by score, label": "order=score&label=label+0",
    "by score, rare label": "order=score&label=label+250",
    "by score, two weeks": "order=score&{weeks}",
    "by score, corrected": "order=score&review=corrected",
    "nothing found": "score_min=0.99999",
    "camera, nothing found": "device=pi-1&camera=front&score_min=0.99999",
}
# Filters of the days above it.
_DAYS = {
    "all": "",
    "label": "label=label+0",
    "camera": "device=pi-1&camera=front",
    "corrected": "review=corrected",
    "two weeks": "{weeks}",
    "glimpsed": "kind=glimpsed",
}
# And of its chart, which is for others, too.
_CHARTS = {
    **_DAYS,
    "high scores": "score_min=0.99",
    "some scores": "score_min=0.5&score_max=0.9",
    "new": "new=yes",
    "part of a day": "{part}",
}
# Parameters of the API's list.
_API = {
    "all": "",
    "200 of them": "limit=200",
    "deep": "{before}",
    "label": "label=label+0",
    "camera": "device=pi-1&camera=front",
    "corrected": "review=corrected",
    "by score": "order=score",
}
_FOR_ADMINISTRATORS = {
    "notifications": "/notify",
    "rollouts": "/rollouts",
    "accounts": "/accounts",
    "admin": "/admin/",
    "admin, records": "/admin/web/record/",
    "admin, one record": "/admin/web/record/{id}/change/",
}
_FOR_VIEWERS = {
    "history": "/history",
    "history, deep": "/history?{before}",
    "history, uploads": "/history?source=upload",
    "days": "/history/days?part",
    "label": "/labels/{label}",
    "api, one record": "/api/v1/records/{key}",
    "api, labels": "/api/v1/labels",
    "api, cameras": "/api/v1/cameras",
}


@dataclass(frozen=True)
class Page:
    """One address, and who asks for it."""

    name: str
    path: str
    role: str = "reviewer"


def all_pages() -> Iterator[Page]:
    """All of them, with filters of each kind; /healthz first."""
    from many_records import SHARED_NAME

    from edge_classifier.web.models import Label, Record
    from edge_classifier.web.records.keyset import Position

    newest = Record.objects.filter(source="event", picture__isnull=False)[0]
    deep = Record.objects.order_by("-at", "-id")[int(Record.objects.count() * 0.9)]
    sure = Record.objects.order_by("-score", "-id")[2000]
    numbers = dict(Label.objects.values_list("name", "id"))
    facts = {
        "key": newest.key,
        "id": newest.id,
        "label": numbers["label 0"],
        "rare": numbers["label 250"],
        "unknown": numbers["unknown"],
        "shared": SHARED_NAME,
        "before": f"before={Position.of(deep)}",
        "after": f"after={Position.of(deep)}",
        "sure": f"before={Position.of(sure, 'score')}",
        "today": _span(newest.at, 0),
        "day": _span(newest.at, 20, 20),
        "weeks": _span(newest.at, 28, 14),
        "part": f"{_span(newest.at, 20, 19)}T12:30",
    }
    found = [Page("healthz", "/healthz", "")]
    found += [Page(name, path) for name, path in _PAGES.items()]
    for name, query in _LISTS.items():
        found += [Page(f"history, {name}", f"/history?{query}")]
    for name, query in _DAYS.items():
        found += [Page(f"days, {name}", f"/history/days?part&{query}")]
    for name, query in _CHARTS.items():
        found += [Page(f"chart, {name}", f"/history/chart?part&{query}")]
    for name, query in _API.items():
        found += [Page(f"api, {name}", f"/api/v1/records?{query}", "viewer")]
    found += [Page(f"viewer, {name}", path, "viewer") for name, path in _FOR_VIEWERS.items()]
    for name, path in _FOR_ADMINISTRATORS.items():
        found += [Page(name, path, "administrator")]
    for one in found:
        yield Page(one.name, one.path.format(**facts), one.role)


def _span(newest: datetime, *ago: int) -> str:
    """A filter: from one day to another, which were so many days before ``newest``."""
    days = [(newest - timedelta(days=one)).date().isoformat() for one in ago]
    return "&".join(f"{name}={day}" for name, day in zip(("since", "until"), days, strict=False))
