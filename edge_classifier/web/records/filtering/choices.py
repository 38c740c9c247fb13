"""A choice of one of several."""

from typing import Any

from django import forms
from django.forms.utils import flatatt
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString


class PlainSelect(forms.Select):
    """A choice without groups. Django's own renders two templates for each option."""

    def render(
        self, name: str, value: Any, attrs: dict[str, Any] | None = None, **_: Any
    ) -> SafeString:
        """As HTML; no ``renderer`` is asked."""
        chosen = self.format_value(value)
        options = format_html_join(
            "",
            "<option{}>{}</option>",
            (
                (flatatt({"value": given, "selected": str(given) in chosen}), text)
                for given, text in self.choices
            ),
        )
        built = self.build_attrs(self.attrs, {"name": name, **(attrs or {})})
        return format_html("<select{}>{}</select>", flatatt(built), options)


def choice(text: Any, choices: list[tuple[str, Any]]) -> forms.ChoiceField:
    """A field of the filter that may be left as it is."""
    return forms.ChoiceField(label=text, required=False, choices=choices, widget=PlainSelect)
