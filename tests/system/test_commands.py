"""The commands as a stranger runs them: what they print, and what they leave behind."""

import json
import re
import shlex
import signal
import socket
from pathlib import Path

import jwt
import psutil
import pytest

from deploy.cli.up import show
from deploy.local.phones import labels_of_registry
from deploy.local.ports import unused_ports
from deploy.local.whole import Running
from services.chassis.seal import KeyRing
from tests.faults.ground import TENANT
from tests.system.doors import command

SMALL = ["--villages", "2", "--grids", "6", "--people", "60"]
READY_S = 120


def demo(data_dir: Path) -> str:
    """Run the demo to its end; return the number of the case that it told of."""
    port = str(unused_ports(40)[0])
    place = ["--data-dir", str(data_dir), "--port-base", port]
    process = command("demo", *place, *SMALL, CI="true")
    out, err = process.communicate(timeout=280)
    assert process.returncode == 0, out + err
    assert json.loads(out.strip().splitlines()[-1]) == {"came_true": True}
    assert "结案" in out
    assert "○" not in out
    told = re.search(r"● (\S+)：短信到了", out)
    assert told is not None
    return told[1]


@pytest.mark.timeout(300)
def test_the_demo_tells_a_story_that_comes_true_and_ends(tmp_path: Path) -> None:
    demo(tmp_path)


@pytest.mark.long
@pytest.mark.timeout(600)
def test_a_second_demo_on_the_same_data_tells_of_another_case(tmp_path: Path) -> None:
    assert demo(tmp_path) != demo(tmp_path)


@pytest.mark.timeout(300)
def test_up_prints_one_line_when_ready_and_leaves_nothing_behind(tmp_path: Path) -> None:
    port = unused_ports(40)[0]
    data_dir = str(tmp_path / "up")
    process = command("up", "--json", "--data-dir", data_dir, "--port-base", str(port), *SMALL)
    try:
        assert process.stdout is not None
        facts = json.loads(process.stdout.readline())
        assert {"intake", "routing", "notify", "ledger", "console", "kafka", "postgres"} <= set(
            facts
        )
        assert facts["api_keys"]["demo"].startswith("cs_demo_")
        children = psutil.Process(process.pid).children(recursive=True)
        assert len(children) >= 8
        token = command("token", "--role", "grid_worker", "--unit", "g01", "--data-dir", data_dir)
        assert token.communicate(timeout=30)[0].count(".") == 2
        doctor = command("doctor", "--data-dir", data_dir)
        doctor_out, _ = doctor.communicate(timeout=60)
        assert doctor.returncode == 0, doctor_out
        again = command("up", "--data-dir", data_dir, "--port-base", str(port), *SMALL)
        _, refused = again.communicate(timeout=60)
        assert again.returncode == 1
        assert "--port-base" in refused or "--data-dir" in refused
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)
    assert process.returncode == 0
    _, alive = psutil.wait_procs(children, timeout=5)
    assert not alive
    assert not (tmp_path / "up" / "stack.json").exists()


def test_a_taken_port_is_named_with_the_fix(tmp_path: Path) -> None:
    port = unused_ports(40)[0]
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", port + 1))
        taken.listen()
        process = command("up", "--data-dir", str(tmp_path), "--port-base", str(port), *SMALL)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert str(port + 1) in err
    assert "--port-base" in err
    assert "Traceback" not in err


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        pytest.param(["doctor"], "chuishao up", id="nothing-runs"),
        pytest.param(["up", "--tenant", "atlantis"], "yihe", id="unknown-profile"),
        pytest.param(["demo", "--tenant", "gucheng"], "first_ask", id="another-town-s-story"),
        pytest.param(["up", "--grids", "1", "--villages", "5"], "at least 5", id="impossible-size"),
    ],
)
def test_a_mistake_is_told_without_a_trace(arguments: list[str], says: str, tmp_path: Path) -> None:
    process = command(*arguments, "--data-dir", str(tmp_path / "none"))
    out, err = process.communicate(timeout=60)
    assert process.returncode != 0
    assert "Traceback" not in out + err
    assert says in out + err


def test_a_month_is_no_length_of_time(place: str) -> None:
    out, err = command("clock", "advance", "P1M", "--data-dir", place).communicate(timeout=60)
    assert "P1M is no length of time" in err
    assert "P7D" in err
    assert "Traceback" not in out + err


def test_what_goes_back_or_is_unknown_is_told_by_name(place: str) -> None:
    _, err = command("clock", "advance", "-P1D", "--data-dir", place).communicate(timeout=60)
    assert "write P1D" in err
    asked = command("token", "--role", "nonsense", "--data-dir", place)
    token, err = asked.communicate(timeout=60)
    assert token.count(".") == 2
    assert "grid_worker" in err
    assert "nonsense" in err


async def test_labels_of_the_registry_are_those_that_were_made_up(running: Running) -> None:
    keys = KeyRing(running.secrets.key_file)
    labels = await labels_of_registry(running.dsn("ledger"), TENANT, keys)
    assert labels == running.phones[TENANT] != {}


def test_the_clock_is_told_in_the_town_s_zone(place: str) -> None:
    told = command("clock", "now", "--data-dir", place, TZ="America/New_York")
    out, err = told.communicate(timeout=60)
    assert re.match(rf"{TENANT}  \S+\+08:00 ", out), out + err


async def test_the_logins_that_are_shown_are_of_people_who_are_there(
    running: Running, place: str, capsys: pytest.CaptureFixture[str]
) -> None:
    await show(running)
    shown = [
        shlex.split(line)[1:]
        for line in capsys.readouterr().out.splitlines()
        if line.strip().startswith("chuishao token")
    ]
    posts = {
        (e.record_id, post["role"], post["unit"])
        for e in running.towns[TENANT]
        if e.kind == "staff"
        for post in e.body["posts"]
    }
    roles = set()
    for arguments in shown:
        token, err = command(*arguments).communicate(timeout=60)
        claims = jwt.decode(token.strip(), options={"verify_signature": False})
        assert claims["tenant"] == TENANT, err
        assert (claims["sub"], claims["roles"][0], claims["units"][0]) in posts
        roles.add(claims["roles"][0])
    assert {"grid_worker", "village_cadre", "center_clerk"} <= roles
    assert all(place in arguments for arguments in shown)
