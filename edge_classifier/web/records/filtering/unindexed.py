"""Conditions for which SQLite takes no index.

It knows nothing of how many rows have a value, and takes an index of a condition rather than the
one that has the order of a list: then it reads and sorts all rows of that value, for a page of
thirty. PostgreSQL counts, and chooses well by itself.
"""

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


def plain(records: QuerySet[Record]) -> QuerySet[Record]:
    """``records``, of which a condition of ``without_index`` may be asked."""
    return records.alias(**{f"{_PREFIX}{name}": _Unindexed(F(name)) for name in _COLUMNS})


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
