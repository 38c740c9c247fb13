"""Names that the fields of the filter offer, or take for others."""

from difflib import get_close_matches
from itertools import islice

from django.db.models import Q, QuerySet

from edge_classifier.web.models import Camera, Label
from edge_classifier.web.templatetags.words import named, title_of

# Names that a field offers at once; more are found by typing.
MOST_OFFERED = 200
# Labels that are offered in the place of one that there is not, and with which it is compared.
_MOST_SIMILAR, _MOST_COMPARED = 6, 2_000


def names_like(field: str, text: str, most: int) -> list[tuple[str, str]]:
    """Names of devices, cameras or labels that contain ``text``; at most ``most``.

    Each with what is shown beside it: of labels the name in the other language, of cameras, which
    have those of their devices before their own, what people call them.
    """
    if field == "label":
        like = Q(name__icontains=text) | Q(chinese__icontains=text)
        found = Label.objects.filter(like if text else Q())
        rows = found.order_by("name").values_list("name", "chinese")[:most]
        return [
            (shown, chinese if shown == name else name)
            for name, chinese in rows
            for shown in (named(name, chinese),)
        ]
    if field == "camera":
        # Titles are no column: devices tell them. There are as many cameras as retention leaves.
        places = Camera.objects.order_by("device", "name").values_list("device", "name")
        known = ((f"{device}/{name}", title_of(device, name)) for device, name in places.iterator())
        wanted = text.casefold()
        fitting = (one for one in known if any(wanted in name.casefold() for name in one))
        return list(islice(fitting, most))
    like = Q(device__icontains=text) if text else Q()
    devices = Camera.objects.filter(like).order_by("device").values_list("device", flat=True)
    return [(name, name) for name in devices.distinct()[:most]]


def cameras_called(name: str) -> QuerySet[Camera]:
    """Cameras of this name, which may have that of its device before it; else of this title.

    Where there are none, without asking again.
    """
    device, _slash, camera = name.rpartition("/")
    of_device = {"device": device} if device else {}
    found = Camera.objects.filter(name=camera, **of_device)
    if not name or found.exists():
        return found
    places = Camera.objects.values_list("id", "device", "name")
    meant = name.casefold()
    ids = [pk for pk, *place in places if title_of(*place).casefold() == meant]
    return Camera.objects.filter(id__in=ids) if ids else Camera.objects.none()


def similar_labels(text: str) -> list[str]:
    """Names of labels, in the reader's language, that ``text`` may have been meant for."""
    near = [name for name, _other in names_like("label", text, _MOST_SIMILAR)]
    rows = Label.objects.exclude(first_seen=None).order_by("-first_seen")
    known = rows.values_list("name", "chinese")[:_MOST_COMPARED]
    # Either name is compared, as people write it; the one that is read is offered.
    shown = {one.casefold(): named(*row) for row in known for one in row if one}
    alike = get_close_matches(text.casefold(), shown, _MOST_SIMILAR)
    return list(dict.fromkeys([*near, *(shown[name] for name in alike)]))[:_MOST_SIMILAR]
