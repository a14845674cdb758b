import os
import socket

import pytest

from deploy.local.errors import LocalStackError
from deploy.local.ports import answers, free_or_raise, unused_ports


def test_a_taken_port_is_refused_with_its_holder_and_the_way_out() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(LocalStackError) as raised:
            free_or_raise({"Kafka": port, "PostgreSQL": unused_ports(1)[0]})
    text = str(raised.value)
    assert f"Kafka 要用的端口 {port} 已被" in text
    assert f"port {port}, wanted by Kafka, is held by" in text
    assert f"pid {os.getpid()}" in text
    assert "--port-base" in text
    assert "PostgreSQL" not in text


def test_free_ports_are_accepted() -> None:
    free_or_raise({"Kafka": unused_ports(1)[0]})


def test_unused_ports_are_neighbours() -> None:
    ports = unused_ports(3)
    assert len(ports) == 3
    assert ports.step == 1


async def test_a_port_answers_while_somebody_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        assert await answers(port)
    assert not await answers(port)
