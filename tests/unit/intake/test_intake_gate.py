"""Who waits when there is too much, and who asks."""

from ipaddress import ip_network

import pytest
from starlette.requests import Request

from contracts.registry import FrontEnd
from services.chassis.http import Problem
from services.intake.callers import caller
from services.intake.domain.quota import Bucket, spend, take
from services.intake.domain.shedding import Rank, places_after, places_for, rank_of
from services.intake.gate import Gate

PROXIES = [ip_network("10.0.0.0/8"), ip_network("fd00::/8")]


def request(peer: str = "203.0.113.9", *forwarded: str) -> Request:
    headers = [(b"x-forwarded-for", one.encode()) for one in forwarded]
    return Request({"type": "http", "client": (peer, 1), "headers": headers})


@pytest.mark.parametrize(
    ("peer", "forwarded", "who"),
    [
        ("203.0.113.9", [], "203.0.113.9"),
        ("203.0.113.9", ["1.1.1.1"], "203.0.113.9"),  # a stranger's word
        ("10.0.0.1", ["1.1.1.1"], "1.1.1.1"),
        ("10.0.0.1", ["6.6.6.6, 1.1.1.1"], "1.1.1.1"),
        ("10.0.0.1", ["6.6.6.6, 1.1.1.1, 10.0.0.2"], "1.1.1.1"),
        ("10.0.0.1", ["6.6.6.6", "1.1.1.1"], "1.1.1.1"),
        ("10.0.0.1", [], "10.0.0.1"),
        ("10.0.0.1", [""], "10.0.0.1"),
        ("10.0.0.1", ["10.0.0.7"], "10.0.0.7"),
        ("10.0.0.1", ["x" * 500], "x" * 64),
        ("2001:db8:1:2:3::4", [], "2001:db8:1:2::/64"),
        ("::ffff:1.2.3.4", [], "1.2.3.4"),
        ("fd00::1", ["2001:db8::1"], "2001:db8::/64"),
    ],
)
def test_who_asks_is_the_last_that_a_trusted_proxy_names(
    peer: str, forwarded: list[str], who: str
) -> None:
    assert caller(request(peer, *forwarded), PROXIES) == who


def test_without_trusted_proxies_a_header_says_nothing() -> None:
    assert caller(request("10.0.0.1", "1.1.1.1"), []) == "10.0.0.1"


def test_what_is_owed_makes_the_wait_longer() -> None:
    bucket, _ = take(None, 100.0, 1.0, 3)
    assert take(spend(bucket, 9), 100.0, 1.0, 3)[1] == pytest.approx(8)
    assert spend(Bucket(2, 1.0), 0.5) == Bucket(1.5, 1.0)


def front_end(kind: str, **more: float) -> FrontEnd:
    return FrontEnd.model_validate({"zh": "入口", "kind": kind, "key_digest": "d", **more})


PERSON, CAMERA = front_end("mini_program", burst=1000), front_end("camera", burst=1000)


def test_the_order_of_shedding_is_looks_software_people_emergencies() -> None:
    places = [places_for(rank, 100) for rank in Rank]
    assert list(Rank) == [Rank.LOOK, Rank.SOFTWARE, Rank.PERSON, Rank.EMERGENCY]
    assert places == sorted(places) == [25, 60, 90, 100]
    assert [rank_of(kind) for kind in ("camera", "hotline", "anything")] == [
        Rank.SOFTWARE, Rank.PERSON, Rank.PERSON,
    ]  # fmt: skip


@pytest.mark.parametrize("places", [1, 2, 3, 256])
def test_somebody_is_always_let_in(places: int) -> None:
    assert all(1 <= places_for(rank, places) <= places for rank in Rank)


def filled(gate: Gate, inside: int) -> list[str]:
    """Fill places by keys of one place each; tell who could still come."""
    visits = [gate.visit(request()) for _ in range(inside)]
    for one in visits:
        one.__enter__()
    can = []
    try:
        with gate.look():
            can.append("look")
    except Problem:
        pass
    for name, kind in (("software", CAMERA), ("person", PERSON)):
        here = request()
        with gate.visit(here):
            gate.count(here, name, kind)
            if not gate.strained(here, kind):
                can.append(name)
    can.append("emergency")
    for one in visits:
        one.__exit__(None, None, None)
    return can


@pytest.mark.parametrize(
    ("inside", "can"),
    [
        (0, ["look", "software", "person", "emergency"]),
        (5, ["software", "person", "emergency"]),
        (12, ["person", "emergency"]),
        (18, ["emergency"]),
        (19, ["emergency"]),
    ],
)
def test_the_fuller_it_is_the_fewer_may_come(inside: int, can: list[str]) -> None:
    gate = Gate(20)
    assert filled(gate, inside) == can
    assert filled(gate, 0) == ["look", "software", "person", "emergency"]  # all places came back


def test_a_full_house_lets_nobody_in() -> None:
    gate = Gate(1)
    with gate.visit(request()), pytest.raises(Problem) as caught, gate.visit(request()):
        pass
    assert (caught.value.status, caught.value.body["code"]) == (429, "overloaded")
    with gate.visit(request()):
        pass


def test_the_slower_the_broker_the_fewer_are_let_in_and_they_come_back() -> None:
    places = 256.0
    for _ in range(200):
        places = places_after(places, 0.7, 256)
    assert places == 32
    for _ in range(1000):
        places = places_after(places, 0.02, 256)
    assert places == 256
    assert places_after(2.0, 9.0, 2) == 2


def test_a_gate_that_hears_of_a_slow_broker_closes_sooner() -> None:
    gate = Gate(100)
    for _ in range(200):
        gate.took(4.0)
    assert gate.places == 32
    assert filled(gate, 31) == ["emergency"]


def test_one_key_cannot_fill_all_places() -> None:
    gate = Gate(8)
    held = [request() for _ in range(7)]
    visits = [gate.visit(one) for one in held]
    for one, here in zip(visits, held, strict=True):
        one.__enter__()
        gate.count(here, "flood", PERSON)
    assert gate.strained(held[-1], PERSON)
    other = request()
    with gate.visit(other):
        gate.count(other, "calm", PERSON)
        assert not gate.strained(other, PERSON)
    for one in visits:
        one.__exit__(None, None, None)
