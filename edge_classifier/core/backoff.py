"""How long to wait before trying again: capped exponential back-off with full jitter. Pure."""

FIRST_S = 1.0
# More would leave the range of a float after some days without success.
_DOUBLINGS = 64


def pause_s(failures: int, random_share: float, *, max_s: float, first_s: float = FIRST_S) -> float:
    """Seconds to wait after ``failures`` failures in a row; none after none.

    The longest possible pause is ``first_s``, doubles with every failure and ends at ``max_s``.
    ``random_share`` from [0, 1) picks a point between nothing and that, so that many devices that
    lost the same thing do not all come back at once (Brooker, "Exponential Backoff And Jitter",
    AWS Architecture Blog, 2015).
    """
    if failures <= 0:
        return 0.0
    return random_share * min(max_s, first_s * 2.0 ** min(failures - 1, _DOUBLINGS))
