"""Numbers that look right and belong to nobody.

Place codes begin with 79. GB/T 2260 gives the seventies to Taiwan alone, as 71, so no county, no
citizen number and no division code begins so. Mobile numbers begin with 160, which no operator
is known to use; each tenant has a block of them, so that towns on one stack ring no phone twice.
"""

from collections import Counter
from dataclasses import dataclass
from datetime import date
from zlib import crc32

from services.ledger.domain.numbers import citizen_check

_ORDERS = 500  # odd or even three-digit numbers: people of one sex born on one day
_STEP = 6_180_339  # without a common factor with any holders' share, so no number comes twice
_BLOCKS, _BLOCK = 500, 200_000

MALE, FEMALE = "1", "2"  # GB/T 2261.1


def division_code(tenant_id: str) -> str:
    """Return nine digits for a tenant: an unreal county, then a town (100 to 199)."""
    digits = crc32(tenant_id.encode())
    return f"79{1 + digits % 20:02d}{1 + digits // 20 % 30:02d}1{digits // 600 % 100:02d}"


class CitizenNumbers:
    """Gives out citizen numbers of one county, each once."""

    def __init__(self, place: str) -> None:
        self._place = place
        self._given: Counter[tuple[date, str]] = Counter()

    def give(self, born: date, sex: str) -> str:
        """Give the next number of that day.

        Raises:
            ValueError: the day has no number left.
        """
        nth = self._given[born, sex]
        if nth >= _ORDERS - 1:
            raise ValueError("too many people of one sex were born on one day")
        self._given[born, sex] += 1
        # 7 has no factor in common with 499, so the order looks drawn and never comes twice.
        order = 2 * ((born.toordinal() + 7 * nth) % (_ORDERS - 1)) + (1 if sex == MALE else 2)
        body = f"{self._place}{born:%Y%m%d}{order:03d}"
        return body + citizen_check(body)


def phone_block(tenant_id: str) -> int:
    """Return which of the 500 blocks of mobile numbers is a tenant's; two may have the same."""
    return crc32(tenant_id.encode()) % _BLOCKS


def phone_beginnings(tenant_id: str) -> tuple[str, ...]:
    """Return how the mobile numbers of a tenant's block begin, and no others."""
    first = phone_block(tenant_id) * _BLOCK
    return tuple(f"160{(first + n) // 100_000:03d}" for n in range(0, _BLOCK, 100_000))


@dataclass(frozen=True, slots=True)
class Holders:
    """Those who share a part of each block: its first number, and how many there are."""

    first: int
    count: int


STAFF, RESIDENTS = Holders(0, 40_000), Holders(40_000, 160_000)


class PhoneNumbers:
    """Gives out mobile numbers of a tenant's block, each once."""

    def __init__(self, tenant_id: str, holders: Holders, start: int) -> None:
        self._holders = holders
        self._base = phone_block(tenant_id) * _BLOCK + holders.first
        self._next = start
        self._left = holders.count

    def give(self) -> str:
        """Give the next number.

        Raises:
            ValueError: there is none left.
        """
        if not self._left:
            raise ValueError(f"a town has at most {self._holders.count:,} such telephones")
        self._left -= 1
        self._next = (self._next + _STEP) % self._holders.count
        return f"160{self._base + self._next:08d}"
