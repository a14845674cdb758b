"""What is looked at as `/metrics` is asked, and how long what is unread has waited."""

import asyncio

import pytest
from prometheus_client import REGISTRY

from services.telemetry import looks
from services.telemetry.looks import Behind


@pytest.fixture(autouse=True)
def _no_other_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(looks, "_looks", {})


def failed(what: str) -> float:
    return REGISTRY.get_sample_value("chuishao_looks_failed_total", {"what": what}) or 0


def test_who_has_read_to_the_end_is_not_behind() -> None:
    behind = Behind()
    assert behind.seconds({0: 5, 1: 0}, {0: 5, 1: 0}, 10) == {0: 0, 1: 0}
    assert behind.seconds({0: 6, 1: 0}, {0: 6, 1: 0}, 3_610) == {0: 0, 1: 0}


def test_the_wait_is_that_of_the_oldest_unread() -> None:
    behind = Behind()
    assert behind.seconds({0: 5}, {0: 2}, 100) == {0: 0}
    assert behind.seconds({0: 9}, {0: 2}, 115) == {0: 15}
    assert behind.seconds({0: 9}, {0: 4}, 130) == {0: 30}, "some were read, the fifth was not"
    assert behind.seconds({0: 9}, {0: 5}, 145) == {0: 30}, "what came by 115 is the oldest now"
    assert behind.seconds({0: 9}, {0: 9}, 160) == {0: 0}


def test_a_partition_that_comes_back_counts_from_then() -> None:
    behind = Behind()
    behind.seconds({0: 5}, {0: 0}, 0)
    behind.seconds({}, {}, 15)
    assert behind.seconds({0: 5}, {0: 0}, 30) == {0: 0}


def test_a_long_outage_takes_bounded_memory_and_never_says_too_little() -> None:
    behind = Behind()
    for n in range(3 * looks._SEEN_MAX):  # noqa: SLF001 - the bound itself
        behind.seconds({0: n + 1}, {0: 0}, float(n))
    assert len(behind._seen[0]) == looks._SEEN_MAX  # noqa: SLF001
    end = 3 * looks._SEEN_MAX  # noqa: SLF001
    assert behind.seconds({0: end}, {0: 1_500}, float(end))[0] >= end - 1_500


async def test_a_look_that_fails_or_hangs_is_counted_and_holds_up_no_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(looks, "_LOOK_WAIT_S", 0.05)
    seen: list[str] = []

    async def well() -> None:
        seen.append("well")

    async def broken() -> None:
        raise OSError

    async def hanging() -> None:
        await asyncio.Event().wait()

    before = failed("broken"), failed("hanging")
    for one in (broken, hanging, well):
        looks.at_each_scrape(one.__name__, one)
    await looks.look()
    assert seen == ["well"]
    assert (failed("broken"), failed("hanging")) == (before[0] + 1, before[1] + 1)
