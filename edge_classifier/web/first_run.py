"""The first administrator: a link that the log tells, as long as there is none."""


def link() -> str:
    """The path of the page that makes the first administrator; empty when there is one."""
    return ""
