"""What the administration shows of each table, and what may be changed there."""

from typing import Any

from axes.models import AccessAttempt
from django import forms
from django.contrib import admin
from django.contrib.auth.admin import UserAdmin
from django.contrib.auth.models import Group
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _

from edge_classifier.web.models import (
    Camera,
    Comparison,
    EventPicture,
    Label,
    Picture,
    Preference,
    Record,
    Token,
    User,
)
from edge_classifier.web.records import deletion
from edge_classifier.web.review import verdicts
from edge_classifier.web.templatetags.words import score

admin.site.unregister(Group)  # Roles say who may do what; there is no second way.
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

    def field_choices(self, *arguments: Any) -> list[tuple[object, str]]:
        """A bounded number of links beside the list."""
        return list(super().field_choices(*arguments))[:_MOST_CAMERAS]


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
    list_display = ("thumbnail", "at", "camera", "label", "rounded", "source", "verdict", "owner")
    list_display_links = ("thumbnail", "at")
    list_select_related = ("camera", "label", "owner", "picture")
    list_filter = ("source", "verdict", "at", ("camera", CameraFilter))
    search_fields = ("label__name", "camera__device")
    search_help_text = _("Label")
    autocomplete_fields = ("truth",)
    fields = (
        *("large", "at", "camera", "source", "label", "score", "margin", "before", "model"),
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


@admin.register(User)
class PersonAdmin(UserAdmin):
    """Users and their roles."""

    list_display = ("username", "role", "is_active", "first_name", "last_name", "last_login")
    list_filter = ("role", "is_active")
    filter_horizontal = ()
    readonly_fields = ("last_login", "date_joined")
    fieldsets = (
        (None, {"fields": ("username", "password", "role", "is_active")}),
        (_("Person"), {"fields": ("first_name", "last_name", "email")}),
        (_("Times"), {"fields": readonly_fields}),
    )
    add_fieldsets = ((None, {"fields": ("username", "role", "password1", "password2")}),)


@admin.register(Token)
class TokenAdmin(ReadOnlyAdmin):
    """Tokens of programs, without their secrets. A program whose token is deleted is refused."""

    list_display = ("name", "user", "created_at", "used_at")
    list_select_related = ("user",)
    search_fields = ("name", "user__username")
    fields = list_display


@admin.register(Camera)
class CameraAdmin(ReadOnlyAdmin):
    """Cameras; one without records can be deleted."""

    list_display = ("device", "name", "first_seen")
    search_fields = ("device", "name")


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

    list_display = ("key", "picture", "created_at")
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
