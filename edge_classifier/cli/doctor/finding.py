"""One line of what the doctor has found."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class DoctorFinding:
    """``ok`` None: a fact that is neither good nor bad."""

    subject: str
    detail: str
    ok: bool | None = None
