"""Sentences for people: strings in English that can be told in other languages, too."""

from collections.abc import Iterable
from string import Formatter
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


def joined(separator: str, texts: Iterable[str]) -> Sentence:
    """``texts`` one after the other, each to be told in its own words."""
    values = {f"part{number}": text for number, text in enumerate(texts)}
    return Sentence(separator.join(f"{{{key}}}" for key in values), "", **values)


def with_replaced(text: str, old: str, new: str) -> str:
    """``text`` with ``new`` for each ``old`` in it, or in the values of a sentence."""
    if not isinstance(text, Sentence):
        return text.replace(old, new)
    values = {
        key: with_replaced(value, old, new) if isinstance(value, str) else value
        for key, value in text.values.items()
    }
    return Sentence(text.template, text.plural, **values)


def to_json(text: object) -> object:
    """``text``, or a value of one, for another program or for later; see ``from_json``."""
    if isinstance(text, Sentence):
        values = {key: to_json(value) for key, value in text.values.items()}
        return {"sentence": [text.template, text.plural], "values": values}
    if isinstance(text, LabelText):
        return {"label": str(text)}
    return text if text is None or isinstance(text, int | float | str) else str(text)


def from_json(told: Any) -> Any:
    """What ``to_json`` was given. Raises ValueError for anything that it does not make."""
    if told is None or isinstance(told, int | float | str):
        return told
    try:
        if isinstance(told.get("label"), str):
            return LabelText(told["label"])
        values = {str(key): from_json(value) for key, value in told["values"].items()}
        template, plural = told["sentence"]
        # Whoever made it may be taken over by a picture: no format of a million places.
        for _, name, form, conversion in [*Formatter().parse(template), *Formatter().parse(plural)]:
            if form or conversion or (name is not None and name not in values):
                raise KeyError(name)
        return Sentence(template, plural, **values)
    except (AttributeError, KeyError, TypeError, ValueError, RecursionError) as error:
        raise ValueError("not a sentence") from error
