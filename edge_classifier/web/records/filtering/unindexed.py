"""Conditions for which SQLite takes no index.

It knows nothing of how many rows have a value, and takes an index of a condition rather than the
one that has the order of a list: then it reads and sorts all rows of that value, for a page of
thirty. PostgreSQL counts, and chooses well by itself.
"""

from collections.abc import Iterator
from typing import Any

from django.db.models import F, Func, Q, QuerySet

from edge_classifier.web.models import Record

_PREFIX = "plain_"
_COLUMNS = ("source", "verdict", "camera_id", "label_id", "truth_id", "score", "at", "new_here")


class _Unindexed(Func):
    """A column as it is; a sign before it hides it from SQLite's choice of an index."""

    template = "%(expressions)s"

    def as_sqlite(self, compiler: Any, connection: Any, **more: Any) -> Any:
        """With the sign, which changes no value of any type."""
        return self.as_sql(compiler, connection, template="+%(expressions)s", **more)


def sifted(records: QuerySet[Record], *conditions: Q) -> QuerySet[Record]:
    """Those of ``records`` for which all ``conditions`` hold, some of them of ``without_index``."""
    hidden = {name for condition in conditions for name in _hidden(condition)}
    columns = {name: _Unindexed(F(name.removeprefix(_PREFIX))) for name in hidden}
    return records.alias(**columns).filter(*conditions)


def _hidden(condition: Q) -> Iterator[str]:
    for child in condition.children:
        if isinstance(child, Q):
            yield from _hidden(child)
        elif child[0].startswith(_PREFIX):
            yield child[0].split("__")[0]


def without_index(condition: Q, *, of: str = "", but: str = "") -> Q:
    """The same, which is to use no index: ``of`` this column, or of all ``but`` it."""
    children = []
    for child in condition.children:
        if isinstance(child, Q):
            children.append(without_index(child, of=of, but=but))
            continue
        name, value = child
        column, *_ = name.split("__")
        is_meant = column == of if of else column != but
        prefix = _PREFIX if is_meant and column in _COLUMNS else ""
        children.append((f"{prefix}{name}", value))
    return Q.create(children, condition.connector, condition.negated)
