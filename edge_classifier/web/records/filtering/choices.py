"""Parts of the filter's form as HTML: Django's own render templates for each."""

from typing import Any

from django import forms
from django.forms.utils import flatatt
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString


class PlainInput(forms.TextInput):
    """Where something is typed, of any type that ``attrs`` name."""

    def render(
        self, name: str, value: Any, attrs: dict[str, Any] | None = None, **_: Any
    ) -> SafeString:
        """As HTML; no ``renderer`` is asked."""
        given = {"type": self.input_type, "name": name, "value": self.format_value(value)}
        return format_html("<input{}>", flatatt({**given, **self.attrs, **(attrs or {})}))


class PlainSelect(forms.Select):
    """A choice without groups."""

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
