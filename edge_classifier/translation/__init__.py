"""Sentences of the package, and texts of reports, in the language of who reads them."""

import gettext
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from edge_classifier.core.sentence import LabelText, Sentence

_CATALOGUES = Path(__file__).parent / "locale"


def translation_to(language: str) -> gettext.NullTranslations:
    """The texts in ``language``, a tag; those in English are in the code."""
    if language == "en":
        return gettext.NullTranslations()
    return gettext.translation("sentences", _CATALOGUES, [language.replace("-", "_")])


@dataclass(frozen=True, slots=True)
class Reader:
    """Who has these texts in their language."""

    translation: gettext.NullTranslations
    # By label; one without a name is shown as it is.
    names: Mapping[str, str]

    def name(self, label: str) -> str:
        """What the reader calls ``label``."""
        return self.names.get(label, label)

    def told(self, what: object) -> str:
        """A sentence with all sentences and labels in it; anything else as it is."""
        if isinstance(what, LabelText):
            return self.name(what)
        if not isinstance(what, Sentence):
            return str(what)
        text = self.translation.gettext(what.template)
        if what.plural:
            count = what.values["count"]
            text = self.translation.ngettext(what.template, what.plural, count)
        return text.format(**{key: self.told(value) for key, value in what.values.items()})
