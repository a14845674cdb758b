"""Whole numbers shared out by weight."""

from collections.abc import Sequence


def apportion(total: int, weights: Sequence[float], at_least: int = 0) -> list[int]:
    """Share `total` by largest remainder, `at_least` to each first; the sum is exact.

    Raises:
        ValueError: there is not enough for the least.
    """
    rest = total - at_least * len(weights)
    if rest < 0:
        raise ValueError(f"{total} is too few for {len(weights)} with at least {at_least} each")
    whole = sum(weights)
    quotas = [rest * weight / whole if whole else 0.0 for weight in weights]
    shares = [int(quota) for quota in quotas]
    by_remainder = sorted(range(len(weights)), key=lambda n: shares[n] - quotas[n])
    for n in by_remainder[: rest - sum(shares)]:
        shares[n] += 1
    return [at_least + share for share in shares]
