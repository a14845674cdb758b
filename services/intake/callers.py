"""How often one address may look for a report, so that nobody can try codes one after another.

Kept in memory, for this process alone, and for so many addresses: who has not come for longest is
forgotten first.
"""

import math
import time
from collections import OrderedDict
from collections.abc import Sequence
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from starlette.requests import Request

from services.chassis.http import Problem
from services.intake.domain.quota import Bucket, spend, take
from services.intake.settings import IntakeSettings

Network = IPv4Network | IPv6Network
_HOME_BITS = 64  # whoever has an IPv6 address has a whole network of them


class Callers:
    """Counts looks by address."""

    def __init__(self, settings: IntakeSettings) -> None:
        self._settings = settings
        self._trusted = [ip_network(one) for one in settings.trusted_proxies.split(",") if one]
        self._buckets: OrderedDict[str, Bucket] = OrderedDict()

    @property
    def known(self) -> int:
        """Return how many addresses are remembered."""
        return len(self._buckets)

    def check(self, request: Request) -> str:
        """Count one look; return whose it was.

        Raises:
            Problem: 429, he must wait.
        """
        who = caller(request, self._trusted)
        now, per_s = time.monotonic(), self._settings.track_per_minute / 60
        bucket, wait_s = take(self._buckets.get(who), now, per_s, self._settings.track_burst)
        self._keep(who, bucket)
        if wait_s is not None:
            zh, en = "查询太频繁，请稍后再查。", "Too many looks from this address: wait a while."
            headers = {"Retry-After": str(max(1, math.ceil(wait_s)))}
            raise Problem(429, "track_limited", zh, en, headers)
        return who

    def was_wrong(self, who: str) -> None:
        """Let a code that is nobody's cost more than a look."""
        bucket = self._buckets.get(who)
        if bucket is not None:
            self._keep(who, spend(bucket, self._settings.track_wrong_cost - 1))

    def _keep(self, who: str, bucket: Bucket) -> None:
        self._buckets[who] = bucket
        self._buckets.move_to_end(who)
        if len(self._buckets) > self._settings.track_addresses_max:
            self._buckets.popitem(last=False)


def caller(request: Request, trusted: Sequence[Network]) -> str:
    """Return who asks: the peer, or whom the last proxy that is trusted names.

    `X-Forwarded-For` is read from its end, past our own proxies; what stands before the first
    stranger could be anybody's invention.
    """
    address = request.client.host if request.client else ""
    forwarded = ",".join(request.headers.getlist("x-forwarded-for")).split(",")
    for named in reversed(forwarded):
        if not _is_of(address, trusted) or not named.strip():
            break
        address = named.strip()
    return _counted(address)


def _is_of(address: str, networks: Sequence[Network]) -> bool:
    try:
        here = ip_address(address)
    except ValueError:
        return False
    return any(here in network for network in networks)


def _counted(address: str) -> str:
    """Return the address as it is counted: an IPv6 one by its network, any other text cut short."""
    try:
        here = ip_address(address)
    except ValueError:
        return address[:64]
    if isinstance(here, IPv6Address):
        return str(here.ipv4_mapped or ip_network((here, _HOME_BITS), strict=False))
    return str(here)
