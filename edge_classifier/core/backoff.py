"""How long to wait before trying again: capped exponential back-off with full jitter. Pure."""

FIRST_S = 1.0
# More would leave the range of a float after some days without success.
_DOUBLINGS = 64


def pause_s(setbacks: int, chance: float, *, max_s: float, first_s: float = FIRST_S) -> float:
    """Seconds to wait after ``setbacks`` failures in a row; none after none.

    The longest possible pause is ``first_s``, doubles with every failure and ends at ``max_s``.
    ``chance`` from [0, 1) picks a point between nothing and that, so that many devices that lost
    the same thing do not all come back at once (Brooker, "Exponential Backoff And Jitter",
    AWS Architecture Blog, 2015).
    """
    if setbacks <= 0:
        return 0.0
    return chance * min(max_s, first_s * 2.0 ** min(setbacks - 1, _DOUBLINGS))
