"""What was lost, damaged or deleted, for whoever looks after the device."""

import logging

_log = logging.getLogger(__name__)

# What is told in health and ``info``; the log has all of it.
_MAX_TEXTS = 20


class Incidents:
    """Those since the start that nobody has acknowledged yet. Any thread may read ``texts``."""

    def __init__(self) -> None:
        # The oldest first.
        self.texts: tuple[str, ...] = ()

    def tell(self, text: str) -> None:
        """In the log, and to whoever asks."""
        _log.error("%s", text)
        self.texts = (*self.texts[1 - _MAX_TEXTS :], text)

    def forget(self) -> None:
        """Somebody has read them."""
        if self.texts:
            _log.info("%d incidents are acknowledged", len(self.texts))
        self.texts = ()
