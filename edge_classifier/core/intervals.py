"""What a share that was counted tells of the true one. Pure."""

import math

# Standard deviations of a normal distribution within which 95 % of it lies.
Z_95 = 1.96


def wilson(hits: int, count: int, z: float = Z_95) -> tuple[float, float]:
    """The interval in [0, 1] that holds the true share behind ``hits`` of ``count``.

    Wilson, "Probable Inference, the Law of Succession, and Statistical Inference", 1927: unlike
    the usual normal interval it stays right for few pictures and for shares near 0 and 1. Without
    any picture nothing is known: (0, 1).
    """
    if not 0 <= hits <= count:
        raise ValueError(f"{hits} of {count}")
    if count == 0:
        return 0.0, 1.0
    share, weight = hits / count, z * z / count
    middle = (share + weight / 2) / (1 + weight)
    half = z / (1 + weight) * math.sqrt(share * (1 - share) / count + weight / (4 * count))
    # At the ends the formula gives 0 and 1, but for rounding.
    low = 0.0 if hits == 0 else max(0.0, middle - half)
    return low, 1.0 if hits == count else min(1.0, middle + half)


def rise(before: tuple[int, int], after: tuple[int, int], z: float = Z_95) -> tuple[float, float]:
    """The interval that holds by how much a share has risen; each is (hits, count).

    Newcombe, "Interval estimation for the difference between independent proportions", 1998,
    method 10: made of the two Wilson intervals, and right for few observations like them. Without
    observations on either side nothing is known of it.
    """
    (low_before, high_before), (low_after, high_after) = wilson(*before, z), wilson(*after, z)
    share_before, share_after = (hits / count if count else 0.5 for hits, count in (before, after))
    change = share_after - share_before
    return (
        change - math.hypot(share_after - low_after, high_before - share_before),
        change + math.hypot(high_after - share_after, share_before - low_before),
    )
