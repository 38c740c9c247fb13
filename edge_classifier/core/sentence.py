"""Sentences for people: strings in English that can be told in other languages, too."""

from typing import Any, Self


class LabelText(str):
    """The label of a class, which readers may know by another name."""

    __slots__ = ()


class Sentence(str):
    """English with its values in it, and what it was made of: by that a page finds its translation.

    Programs, logs and the command line take it as the string that it is.
    """

    __slots__ = ("plural", "template", "values")

    template: str
    plural: str
    values: dict[str, Any]

    def __new__(cls, template: str, plural: str = "", /, **values: object) -> Self:
        """``template`` has ``{name}`` where a value belongs, which may be a sentence or a label.

        ``plural`` is said instead where the value ``count`` is another number than 1.
        """
        chosen = plural if plural and values["count"] != 1 else template
        made = super().__new__(cls, chosen.format(**values))
        made.template, made.plural, made.values = template, plural, values
        return made

    def __getnewargs_ex__(self) -> tuple[tuple[str, str], dict[str, Any]]:
        """For copies: the string alone would be taken for a template."""
        return (self.template, self.plural), self.values
