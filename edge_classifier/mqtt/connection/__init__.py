"""One connection to the broker and the next one, for daemon and page."""
