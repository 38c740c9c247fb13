"""Records by their numbers, hundreds at a time."""

import json
from typing import Any

from django.core.exceptions import EmptyResultSet
from django.db.models import Lookup

_IN_JSON = "(SELECT value FROM json_each(%s))"


class Among(Lookup):
    """A number that is one of a list.

    The list is one value, where Django's own ``in`` makes, checks and quotes as many as there are
    numbers: of 900 that takes longer than the query.
    """

    prepare_rhs = False

    def as_sql(self, compiler: Any, connection: Any) -> tuple[str, list[Any]]:
        """PostgreSQL's. Raises EmptyResultSet: what is one of none is not asked for."""
        column, values = self.process_lhs(compiler, connection)
        return f"{column} = ANY(%s)", [*values, self._numbers()]

    def as_sqlite(self, compiler: Any, connection: Any) -> tuple[str, list[Any]]:
        """SQLite has no lists but those in JSON. Raises EmptyResultSet."""
        column, values = self.process_lhs(compiler, connection)
        return f"{column} IN {_IN_JSON}", [*values, json.dumps(self._numbers())]

    def _numbers(self) -> list[int]:
        if not self.rhs:
            raise EmptyResultSet
        return list(self.rhs)
