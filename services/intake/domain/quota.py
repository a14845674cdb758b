"""How much a front end may post: a bucket that fills at a steady rate up to its brim."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Bucket:
    """What is left for one key, as of `at` (seconds of a monotonic clock)."""

    level: float
    at: float


def take(
    bucket: Bucket | None, now: float, per_second: float, brim: int
) -> tuple[Bucket, float | None]:
    """Take one; return the bucket and None, or how many seconds to wait for the next."""
    level = brim if bucket is None else min(brim, bucket.level + (now - bucket.at) * per_second)
    if level >= 1:
        return Bucket(level - 1, now), None
    return Bucket(level, now), (1 - level) / per_second


def spend(bucket: Bucket, amount: float) -> Bucket:
    """Take more from a bucket, whether it has it or not: what is owed makes the wait longer."""
    return Bucket(bucket.level - amount, bucket.at)
