"""Label files as they are found beside models: plain, numbered, JSON, and TensorFlow's pbtxt.

A label that is read at the wrong output is worse than none: what leaves a doubt is refused, with
the line.
"""

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from edge_classifier.core.sentence import Sentence
from edge_classifier.core.text import is_printable

# The longest that a record of the web page keeps.
LONGEST_LABEL = 200
_LONGEST_LINE = 2000
# More outputs than any classifier has.
_MOST_NUMBER = 1_000_000
# Python's str.splitlines also ends a line at NEL, VT and others, which then shift all labels.
_LINE_END = re.compile(r"\r\n|\n|\r")
# `0 cat`, `0: cat`, `0,cat`, `0. cat`, `0) cat`, `0 - cat`, with Chinese punctuation, too.
_NUMBERED = re.compile(r"([0-9]{1,9})(?:\s*[:;,=)|\uff1a\uff0c\u3001]\s*|\.\s+|\s*-\s+|\s+|$)(.*)")
# `cat,0`: the columns the other way round.
_NUMBERED_LAST = re.compile(r"(.*?)\s*[:;,=\t\uff1a\uff0c]\s*([0-9]{1,9})")
_ITEM = re.compile(
    r'\s*item\s*:?\s*\{((?:[^{}"\']|"(?:[^"\\]|\\.)*"|\'(?:[^\'\\]|\\.)*\')*)\}\s*,?'
)
_FIELD = re.compile(
    r'\s*(\w+)\s*:\s*(-?[0-9]+|"(?:[^"\\]|\\.)*"|\'(?:[^\'\\]|\\.)*\'|\w+)\s*[,;]?\s*'
)
_BYTE_ORDER_MARKS = (
    (b"\xef\xbb\xbf", "utf-8-sig"),
    (b"\xff\xfe\x00\x00", "utf-32"),
    (b"\x00\x00\xfe\xff", "utf-32"),
    (b"\xff\xfe", "utf-16"),
    (b"\xfe\xff", "utf-16"),
)
_LITERALLY = Sentence("Labels that begin with a number of their own belong into a JSON list")
_NO_LIST = Sentence("is not a JSON list or object of labels")
# Where a label of a number is.
_LINE, _ENTRY = Sentence("line"), Sentence("entry")


class LabelFormatError(ValueError):
    """A label file that cannot be right; the text names the line."""


@dataclass(frozen=True, slots=True)
class LabelFile:
    """What a label file says: one label an output, in their order."""

    labels: tuple[str, ...]
    # The number of the first label: 0, or 1 where numbers begin at 1.
    first: int = 0
    # Whether the format keeps output 0 for a background that the file does not name.
    background_is_implied: bool = False
    # Lines that may not be what they were taken for.
    doubts: tuple[str, ...] = ()


def read_label_file(data: bytes, name: str = "labels.txt") -> LabelFile:
    """The labels in ``data``, by what is in it; ``name`` tells JSON and pbtxt from a list of lines.

    Raises LabelFormatError with the line, or the number, that cannot be right.
    """
    marked = (encoding for mark, encoding in _BYTE_ORDER_MARKS if data.startswith(mark))
    try:
        text = data.decode(next(marked, "utf-8"))
    except UnicodeDecodeError as error:
        line = len(_LINE_END.findall(data[: error.start].decode("latin-1"))) + 1
        raise LabelFormatError(
            Sentence(
                "line {line} is not UTF-8: save the file as UTF-8, for example with "
                "`iconv -f latin1 -t utf-8`",
                line=line,
            )
        ) from error
    suffix = name.lower().rpartition(".")[2]
    if suffix == "json" or (text.lstrip()[:1] in ("[", "{") and _is_json(text)):
        found = _of_json(text)
    elif suffix == "pbtxt" or re.match(r"(\s*#[^\n]*\n)*\s*item\s*:?\s*\{", text):
        found = _of_pbtxt(text)
    else:
        found = _of_lines(text)
    for index, label in enumerate(found.labels):
        if len(label) > LONGEST_LABEL:
            raise LabelFormatError(
                Sentence(
                    "the label of output {output} has {length} characters ({start}...); up to "
                    "{most} are allowed",
                    output=index,
                    length=len(label),
                    start=label[:30],
                    most=LONGEST_LABEL,
                )
            )
    return found


def _clean(label: str) -> str:
    """One blank between words, whatever blank stood there; nothing that terminals must not see."""
    words = " ".join(label.split())
    return words if is_printable(words) else "".join(filter(is_printable, words))


def _of_lines(text: str) -> LabelFile:
    lines = [line.strip() for line in _LINE_END.split(text)]
    filled = [(at, line) for at, line in enumerate(lines, 1) if _clean(line)]
    if long := next((at for at, line in filled if len(line) > _LONGEST_LINE), 0):
        raise LabelFormatError(
            Sentence(
                "line {line} is longer than {most} characters: no labels",
                line=long,
                most=_LONGEST_LINE,
            )
        )
    if numbered := _numbered(filled):
        return numbered
    last = filled[-1][0] if filled else 0
    blank = next((at for at, line in enumerate(lines[:last], 1) if not _clean(line)), 0)
    comment = next((at for at, line in filled if line.startswith("#")), 0)
    doubts = []
    if blank:
        doubts.append(Sentence("line {line} is empty, and passed over", line=blank))
    if comment:
        doubts.append(Sentence("line {line} begins with #, and is read as a label", line=comment))
    return LabelFile(tuple(_clean(line) for _, line in filled), doubts=tuple(doubts))


def _numbered(lines: list[tuple[int, str]]) -> LabelFile | None:
    """The labels by their numbers; None: the lines are not numbered."""
    found = [(at, _NUMBERED.fullmatch(line)) for at, line in lines]
    named = [(at, int(m[1]), m[2]) for at, m in found if m and m[2]]
    last = [(at, _NUMBERED_LAST.fullmatch(line)) for at, line in lines]
    turned = [(at, int(m[2]), m[1]) for at, m in last if m]
    if len(turned) == len(lines) > len(named):
        # Different labels with the numbers 0 to N-1.
        numbers = sorted(number for _, number, _ in turned)
        is_each_once = len({label for *_, label in turned}) == len(turned)
        if numbers == list(range(len(turned))) and is_each_once:
            return _by_number(turned, _LINE)
    # Labels may begin with a number, too: `7 up`, `1 euro` and `2 euro`.
    is_few = not named or len(named) * 2 < len(lines)
    if is_few or min(n for _, n, _ in named) > 1 or len({name for *_, name in named}) == 1:
        return None
    for at, match in found:
        if match is None:
            raise LabelFormatError(
                Sentence(
                    "line {line} has no number, and others have. {remedy}",
                    line=at,
                    remedy=_LITERALLY,
                )
            )
        if not match[2]:
            raise LabelFormatError(_without_label(_LINE, at, int(match[1])))
    return _by_number([(at, number, _unquoted(label)) for at, number, label in named], _LINE)


def _unquoted(label: str) -> str:
    """A label without the quotes that a table's cell with a comma in it has."""
    if len(label) > 2 and label[0] == label[-1] == '"':
        return label[1:-1].replace('""', '"')
    return label


def _without_label(place: Sentence, at: int, number: int) -> Sentence:
    return Sentence(
        "{place} {at} has the number {number} and no label", place=place, at=at, number=number
    )


def _by_number(pairs: Iterable[tuple[int, int, str]], place: Sentence) -> LabelFile:
    """Labels in the order of their numbers, which must be 0 to N-1, or in order from 1 to N."""
    given: dict[int, tuple[int, str]] = {}
    for at, number, label in pairs:
        if number in given:
            raise LabelFormatError(
                Sentence(
                    "{place} {at} has the number {number} again, as {place} {before}. {remedy}",
                    place=place,
                    at=at,
                    number=number,
                    before=given[number][0],
                    remedy=_LITERALLY,
                )
            )
        if number > _MOST_NUMBER:
            raise LabelFormatError(
                Sentence("{place} {at} has the number {number}", place=place, at=at, number=number)
            )
        if not _clean(label):
            raise LabelFormatError(_without_label(place, at, number))
        given[number] = at, _clean(label)
    start = min(given)
    for expected, number in enumerate(sorted(given), start):
        if number != expected:
            raise LabelFormatError(
                Sentence(
                    "there is no number {expected}: {place} {at} has {number} after {before}. "
                    "{remedy}",
                    expected=expected,
                    place=place,
                    at=given[number][0],
                    number=number,
                    before=expected - 1,
                    remedy=_LITERALLY,
                )
            )
    if start > 1:
        raise LabelFormatError(Sentence("its numbers begin at {start}, not at 0", start=start))
    if start and list(given) != sorted(given):
        raise LabelFormatError(
            Sentence(
                "its numbers begin at 1 and are not in order: number the outputs from 0. {remedy}",
                remedy=_LITERALLY,
            )
        )
    return LabelFile(tuple(given[number][1] for number in sorted(given)), first=start)


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


class _Pairs(list[tuple[str, Any]]):
    """A JSON object as it is written: a key that is there twice is seen."""


def _of_json(text: str) -> LabelFile:
    try:
        data = json.loads(text, object_pairs_hook=_Pairs)
    except RecursionError as error:
        raise LabelFormatError(_NO_LIST) from error
    except ValueError as error:
        raise LabelFormatError(Sentence("is not JSON ({cause})", cause=str(error))) from error
    if isinstance(data, _Pairs):
        # As configurations of other tools have them: Hugging Face's, Teachable Machine's.
        inside = [value for key, value in data if key in ("id2label", "labels", "classes")]
        if len(inside) == 1 and isinstance(inside[0], list):
            data = inside[0]
    if not isinstance(data, list) or not data:
        raise LabelFormatError(_NO_LIST)
    if isinstance(data, _Pairs):
        return _of_object(data)
    for place, label in enumerate(data, 1):
        if not isinstance(label, str) or not _clean(label):
            raise LabelFormatError(
                Sentence("element {place} of its list is not a text", place=place)
            )
    return LabelFile(tuple(_clean(label) for label in data))


def _of_object(data: _Pairs) -> LabelFile:
    """Of {"cat": 0}, or {"0": "cat"}, or Keras's {"0": ["n01440764", "tench"]}."""
    if all(type(value) is int and value >= 0 for _, value in data):
        if all(_number_of(key) is not None for key, _ in data):
            raise LabelFormatError(Sentence("has numbers on both sides: which are the labels?"))
        return _by_number([(at, value, key) for at, (key, value) in enumerate(data, 1)], _ENTRY)
    pairs = []
    for place, (key, value) in enumerate(data, 1):
        number = _number_of(key)
        label = value[-1] if isinstance(value, list) and len(value) == 2 else value
        if number is None or not isinstance(label, str):
            raise LabelFormatError(
                Sentence(
                    "entry {place}, {key}, is not a number with a label", place=place, key=key[:30]
                )
            )
        pairs.append((place, number, label))
    return _by_number(pairs, _ENTRY)


def _number_of(key: str) -> int | None:
    return int(key) if re.fullmatch(r"[0-9]{1,9}", key) else None


def _of_pbtxt(text: str) -> LabelFile:
    """TensorFlow's label map, whose number 0 is the background, named or not."""
    text = _LINE_END.sub("\n", text)
    pairs, position = [], 0
    text = re.sub(r"(?m)^\s*#.*$", "", text)
    while match := _ITEM.match(text, position):
        at = text.count("\n", 0, match.end()) + 1
        fields = _fields(match[1], at)
        label = fields.get("display_name", fields.get("name", ""))
        if not fields.get("id", "").isdigit() or not _clean(label):
            raise LabelFormatError(
                Sentence("the item that ends on line {line} has no id, or no name", line=at)
            )
        pairs.append((at, int(fields["id"]), label))
        position = match.end()
    if text[position:].strip() or not pairs:
        at = text.count("\n", 0, position) + 1
        raise LabelFormatError(
            Sentence("line {line} is not an item {{ id: 1 name: 'cat' }}", line=at)
        )
    # The order of the items means nothing.
    found = _by_number(sorted(pairs, key=lambda pair: pair[1]), _LINE)
    return replace(found, background_is_implied=found.first == 1)


def _fields(text: str, at: int) -> dict[str, str]:
    fields, position = {}, 0
    text = text.strip()
    while position < len(text):
        match = _FIELD.match(text, position)
        if match is None:
            raise LabelFormatError(
                Sentence("the item that ends on line {line} cannot be read", line=at)
            )
        value = match[2]
        fields[match[1]] = re.sub(r"\\(.)", r"\1", value[1:-1]) if value[0] in "\"'" else value
        position = match.end()
    return fields
