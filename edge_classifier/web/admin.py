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
from edge_classifier.web.review import verdicts as reviewing
from edge_classifier.web.templatetags.words import score

admin.site.unregister(Group)  # Roles say who may do what; there is no second way.
_PAGE = 30


class ReadOnlyAdmin(admin.ModelAdmin):
    """Rows that the program writes: to be looked at."""

    list_per_page = _PAGE
    # Counts of all rows, beside that of those that were asked for, take long where there are many.
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER

    def has_add_permission(self, _request: HttpRequest) -> bool:
        """Nobody: the program does."""
        return False

    def has_change_permission(self, _request: HttpRequest, _row: Model | None = None) -> bool:
        """Nobody: they are facts."""
        return False


class DeletableAdmin(ReadOnlyAdmin):
    """Rows that hold others together, and go with them."""

    def has_delete_permission(self, _request: HttpRequest, _row: Model | None = None) -> bool:
        """Nobody: files and records would be left behind."""
        return False


class ReviewForm(forms.ModelForm):
    """What a reviewer has said of a record."""

    def clean(self) -> dict[str, Any]:
        """Whoever says that a label is wrong names the right one."""
        said: dict[str, Any] = super().clean()
        if said.get("verdict") == Record.Verdict.CORRECTED and not said.get("truth"):
            self.add_error("truth", _("The true label is missing."))
        return said


@admin.register(Record)
class RecordAdmin(ReadOnlyAdmin):
    """What was seen. Reviews may be changed, facts may not; deletion takes the files along."""

    form = ReviewForm
    list_display = ("thumbnail", "at", "camera", "label", "rounded", "source", "verdict", "owner")
    list_display_links = ("thumbnail", "at")
    list_select_related = ("camera", "label", "owner", "picture")
    list_filter = ("source", "verdict", "at", "camera")
    search_fields = ("label__name",)
    search_help_text = _("Label")
    autocomplete_fields = ("truth",)
    fields = (
        *("large", "at", "camera", "source", "label", "score", "margin", "before", "model"),
        *("owner", "recorded_at", "delay_ms", "verdict", "truth", "reviewer", "reviewed_at"),
    )
    readonly_fields = tuple(name for name in fields if name not in ("verdict", "truth"))

    def has_change_permission(self, _request: HttpRequest, _row: Model | None = None) -> bool:
        """Administrators: of the review."""
        return True

    @admin.display(description=_("picture"))
    def thumbnail(self, record: Record) -> str:
        """Small, with a way to the whole one."""
        return self._image(record, "thumbnail", "edge-thumbnail")

    @admin.display(description=_("picture"))
    def large(self, record: Record) -> str:
        """As it was kept."""
        return self._image(record, "picture", "edge-picture")

    @admin.display(description=_("score"), ordering="score")
    def rounded(self, record: Record) -> str:
        """As everywhere on the page."""
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
        reviewing.judge(obj, obj.verdict, truth, request.user)

    def delete_model(self, _request: HttpRequest, obj: Record) -> None:
        """One record."""
        deletion.delete(Record.objects.filter(pk=obj.pk))

    def delete_queryset(self, _request: HttpRequest, queryset: QuerySet[Record]) -> None:
        """Several."""
        deletion.delete(queryset)


@admin.register(User)
class PersonAdmin(UserAdmin):
    """Who may come in, and what they may do."""

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
    """Programs that may come in; their secrets are not known here. To delete one shuts it out."""

    list_display = ("name", "user", "created_at", "used_at")
    list_select_related = ("user",)
    search_fields = ("name", "user__username")
    fields = list_display


@admin.register(Camera)
class CameraAdmin(ReadOnlyAdmin):
    """Cameras that have been heard of; one without records may be deleted."""

    list_display = ("device", "name", "first_seen")
    search_fields = ("device", "name")


@admin.register(Label)
class LabelAdmin(admin.ModelAdmin):
    """Words for what is seen; their Chinese names may be changed."""

    list_display = ("name", "chinese", "first_seen")
    search_fields = ("name", "chinese")
    readonly_fields = ("first_seen",)
    list_per_page = _PAGE
    show_full_result_count = False

    def get_readonly_fields(
        self, _request: HttpRequest, obj: Label | None = None
    ) -> tuple[str, ...]:
        """A name that records and models know stays."""
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
    """What was chosen on the page; deleted, the settings count again."""

    list_display = ("name", "value")


@admin.register(AccessAttempt)
class AttemptAdmin(ReadOnlyAdmin):
    """Wrong passwords. To delete a row lets that account log in from that address at once."""

    list_display = ("attempt_time", "username", "ip_address", "failures_since_start")
    search_fields = ("username", "ip_address")
    fields = list_display
