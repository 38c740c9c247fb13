"""Whether something failed for want of room on a disk, and how people are told."""

import errno

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy

from edge_classifier.web.database_away import lacks_room

# In the reader's language, whoever that is when it is shown.
NO_ROOM: Promise = gettext_lazy("There is no room on the server's disk. Somebody has to make some.")
_FULL = (errno.ENOSPC, errno.EDQUOT)


def is_full(error: BaseException | None) -> bool:
    """Whether a full disk, of this machine or of the database's, is what ``error`` comes from."""
    while error is not None:
        if lacks_room(error) or (isinstance(error, OSError) and error.errno in _FULL):
            return True
        error = error.__cause__
    return False
