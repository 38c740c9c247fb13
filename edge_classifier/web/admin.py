"""What the administration shows of each table, and what may be changed there."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from axes.models import AccessAttempt
from django import forms
from django.contrib import admin
from django.contrib.auth.admin import UserAdmin
from django.contrib.auth.models import Group
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.db import transaction
from django.db.models import Model, QuerySet, Sum
from django.http import HttpRequest
from django.urls import reverse
from django.utils.functional import cached_property
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _

from edge_classifier.web.accounts.passwords import AdminNewUserForm, AdminPasswordForm
from edge_classifier.web.accounts.roles import is_still_administrator
from edge_classifier.web.models import (
    Camera,
    Comparison,
    DeviceToken,
    EventPicture,
    Label,
    LabelDayTally,
    Picture,
    Preference,
    Record,
    Token,
    User,
)
from edge_classifier.web.records import deletion
from edge_classifier.web.review import verdicts
from edge_classifier.web.templatetags.words import camera_title, score

admin.site.unregister(Group)  # Roles say who may do what; there is no second way.
# Words of django-axes, which has no Chinese ones: they are translated with those of this page.
_OF_AXES = (
    *(_("access attempt"), _("access attempts"), _("Attempt Time"), _("Username")),
    *(_("IP Address"), _("Failed Logins")),
)
_PAGE = 30
_MOST_CAMERAS = 100


class ReadOnlyAdmin(admin.ModelAdmin):
    """Rows that the program writes; they can be looked at and deleted."""

    list_per_page = _PAGE
    # Counts of all rows, beside that of those that were asked for, take long where there are many.
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER

    def has_add_permission(self, _request: HttpRequest) -> bool:
        """Nobody adds rows by hand."""
        return False

    def has_change_permission(self, _request: HttpRequest, _row: Model | None = None) -> bool:
        """Nobody changes facts."""
        return False


class DeletableAdmin(ReadOnlyAdmin):
    """Rows that others refer to; they are deleted with those, and not by hand."""

    def has_delete_permission(self, _request: HttpRequest, _row: Model | None = None) -> bool:
        """Nobody: files and records would be left over."""
        return False


class CameraFilter(admin.RelatedFieldListFilter):
    """The first cameras by name; of others, records are found by their device's name."""

    def field_choices(self, *_: Any) -> list[tuple[object, str]]:
        """A bounded number of links beside the list, with what people call each camera."""
        return [(one.pk, camera_title(one)) for one in Camera.objects.all()[:_MOST_CAMERAS]]


class TalliedPaginator(Paginator):
    """Takes the number of all records from the tally."""

    @cached_property
    def count(self) -> int:
        """A query that leaves none out need not read the table."""
        if self.object_list.query.where:
            return int(super().count)
        return int(LabelDayTally.objects.aggregate(all=Sum("count"))["all"] or 0)


class ReviewForm(forms.ModelForm):
    """The verdict of a reviewer on a record."""

    def clean(self) -> dict[str, Any]:
        """A correction needs the true label."""
        given: dict[str, Any] = super().clean()
        if given.get("verdict") == Record.Verdict.CORRECTED and not given.get("truth"):
            self.add_error("truth", _("The true label is missing."))
        return given


@admin.register(Record)
class RecordAdmin(ReadOnlyAdmin):
    """Records. Reviews can be changed, facts cannot. Files are deleted with their record."""

    form = ReviewForm
    paginator = TalliedPaginator
    list_display = ("thumbnail", "at", "where", "label", "rounded", "source", "verdict", "owner")
    list_display_links = ("thumbnail", "at")
    list_select_related = ("camera", "label", "owner", "picture")
    list_filter = ("source", "verdict", "at", ("camera", CameraFilter))
    search_fields = ("label__name", "camera__device")
    search_help_text = _("Label")
    autocomplete_fields = ("truth",)
    fields = (
        *("large", "at", "where", "source", "label", "score", "margin", "before", "model"),
        *(
            "owner",
            "recorded_at",
            "device_at",
            "delay_ms",
            "verdict",
            "truth",
            "reviewer",
            "reviewed_at",
        ),
    )
    readonly_fields = tuple(name for name in fields if name not in ("verdict", "truth"))

    def has_change_permission(self, _request: HttpRequest, _row: Model | None = None) -> bool:
        """The review may be changed."""
        return True

    @admin.display(description=_("picture"))
    def thumbnail(self, record: Record) -> str:
        """The thumbnail."""
        return self._image(record, "thumbnail", "edge-thumbnail")

    @admin.display(description=_("picture"))
    def large(self, record: Record) -> str:
        """The picture as it is stored."""
        return self._image(record, "picture", "edge-picture")

    @admin.display(description=_("camera"), ordering="camera")
    def where(self, record: Record) -> str:
        """What people call the camera."""
        return camera_title(record.camera) if record.camera else "-"

    @admin.display(description=_("score"), ordering="score")
    def rounded(self, record: Record) -> str:
        """The score with two digits, as everywhere on the page."""
        return score(record.score)

    def _image(self, record: Record, name: str, style: str) -> str:
        if record.picture_id is None:
            return "-"
        address = reverse(name, args=[record.key])
        text = '<img src="{}" class="{}" alt="{}" loading="lazy">'
        return format_html(text, address, style, record.label)

    def save_model(self, request: HttpRequest, obj: Record, *_: object) -> None:
        """Keep the review, as the page for it does."""
        truth = obj.truth.name if obj.truth else None
        verdicts.judge(obj, obj.verdict, truth, request.user)

    def delete_model(self, _request: HttpRequest, obj: Record) -> None:
        """Delete one record with its files."""
        deletion.delete(Record.objects.filter(pk=obj.pk))

    def delete_queryset(self, _request: HttpRequest, queryset: QuerySet[Record]) -> None:
        """Delete several records with their files."""
        deletion.delete(queryset)


@contextmanager
def _by_administrator(request: HttpRequest) -> Iterator[None]:
    """A transaction for who still is an administrator. Raises PermissionDenied for others."""
    with transaction.atomic():
        if not is_still_administrator(request.user):
            raise PermissionDenied
        yield


@admin.register(User)
class PersonAdmin(UserAdmin):
    """Users and their roles."""

    add_form = AdminNewUserForm
    change_password_form = AdminPasswordForm
    list_display = ("username", "role", "is_active", "first_name", "last_name", "seen_at")
    list_filter = ("role", "is_active")
    filter_horizontal = ()
    readonly_fields = ("seen_at", "last_login", "date_joined")
    fieldsets = (
        (None, {"fields": ("username", "password", "role", "is_active")}),
        (_("Person"), {"fields": ("first_name", "last_name", "email")}),
        (_("Times"), {"fields": readonly_fields}),
    )
    add_fieldsets = ((None, {"fields": ("username", "role", "password1", "password2")}),)

    # Nobody ends their own rights here, so that one administrator always stays.
    def has_delete_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        """Everybody else."""
        return bool(super().has_delete_permission(request, obj)) and obj != request.user

    def get_readonly_fields(self, request: HttpRequest, obj: User | None = None) -> tuple[str, ...]:
        """One's own role is not changed by oneself."""
        own = ("role", "is_active") if obj and obj == request.user else ()
        return (*self.readonly_fields, *own)

    def save_model(self, request: HttpRequest, obj: User, *given: Any) -> None:
        """Keep what was changed, unless somebody has ended the rights of who asks meanwhile."""
        with _by_administrator(request):
            super().save_model(request, obj, *given)

    def delete_model(self, request: HttpRequest, obj: User) -> None:
        """Delete one account, likewise."""
        with _by_administrator(request):
            super().delete_model(request, obj)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[User]) -> None:
        """Delete several accounts, likewise."""
        with _by_administrator(request):
            super().delete_queryset(request, queryset)


@admin.register(Token)
class TokenAdmin(ReadOnlyAdmin):
    """Tokens of programs, without their secrets. A program whose token is deleted is refused."""

    list_display = ("name", "user", "created_at", "used_at")
    list_select_related = ("user",)
    search_fields = ("name", "user__username")
    fields = list_display


@admin.register(DeviceToken)
class DeviceTokenAdmin(ReadOnlyAdmin):
    """Tokens of daemons, without their secrets. One that is deleted fetches no model any more."""

    list_display = ("name", "maker", "created_at", "used_at")
    list_select_related = ("maker",)
    search_fields = ("name",)
    fields = list_display


@dataclass(frozen=True)
class _TitledRow:
    """In the place of a row where Django shows what that is called."""

    pk: int
    title: str

    def __str__(self) -> str:
        return self.title


@admin.register(Camera)
class CameraAdmin(ReadOnlyAdmin):
    """Cameras; one without records can be deleted."""

    list_display = ("title", "device", "name", "first_seen")
    search_fields = ("device", "name")

    @admin.display(description=_("title"))
    def title(self, camera: Camera) -> str:
        """What people call it."""
        return camera_title(camera)

    def action_checkbox(self, camera: Camera) -> str:
        """The box of a row, which is called what people call the camera."""
        return str(super().action_checkbox(_TitledRow(camera.pk, camera_title(camera))))


@admin.register(Label)
class LabelAdmin(admin.ModelAdmin):
    """Labels; their Chinese names can be changed."""

    list_display = ("name", "chinese", "first_seen")
    search_fields = ("name", "chinese")
    readonly_fields = ("first_seen",)
    list_per_page = _PAGE
    show_full_result_count = False

    def get_readonly_fields(
        self, _request: HttpRequest, obj: Label | None = None
    ) -> tuple[str, ...]:
        """The name of a label cannot be changed: records and models use it."""
        return ("name", *self.readonly_fields) if obj else self.readonly_fields


@admin.register(Picture)
class PictureAdmin(DeletableAdmin):
    """Pictures in storage."""

    list_display = ("sha256", "size", "width", "height", "created_at")


@admin.register(EventPicture)
class EventPictureAdmin(DeletableAdmin):
    """Snapshots that wait for their events."""

    list_display = ("key", "place", "picture", "created_at")
    list_select_related = ("picture",)


@admin.register(Comparison)
class ComparisonAdmin(ReadOnlyAdmin):
    """How models did on reviewed pictures."""

    list_display = ("created_at", "model", "pictures", "hits")


@admin.register(Preference)
class PreferenceAdmin(ReadOnlyAdmin):
    """What was chosen on the page. Once deleted, the settings apply again."""

    list_display = ("name", "value")


@admin.register(AccessAttempt)
class AttemptAdmin(ReadOnlyAdmin):
    """Wrong passwords. To delete a row lets that account log in from that address at once."""

    list_display = ("attempt_time", "username", "ip_address", "failures_since_start")
    search_fields = ("username", "ip_address")
    fields = list_display
