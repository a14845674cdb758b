"""In containers: the story comes true, wrong secrets and missing topics are named."""

import json
import subprocess
from collections.abc import AsyncIterator

import httpx
import pytest

from deploy.local.layout import SERVICES
from tests.compose.box import INNER, Box, box
from tests.waiting import until

pytestmark = pytest.mark.timeout(1800)
START_S = 120.0
PASSWORD_OF_NOBODY = "*:*:*:routing:wrong\n"
REACHED = "import importlib.util as u; print([n for n in {names} if u.find_spec(n)])"


@pytest.fixture(scope="module")
async def whole(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Box]:
    async with box(tmp_path_factory.mktemp("box")) as made:
        yield made


async def waits_for(whole: Box, service: str) -> str:
    """Return what a service's readiness names; nothing while its door is closed."""
    try:
        async with httpx.AsyncClient(timeout=5) as http:
            answer = await http.get(f"{whole.facts[service]}/ready")
    except httpx.HTTPError:
        return ""
    return str(answer.json()["waiting"])


async def test_the_story_of_the_demo_comes_true(whole: Box) -> None:
    told = await whole.compose(
        *("run", "--rm", "-T", "-e", "CI=true", "chuishao", "demo", "--on-running")
    )
    assert json.loads(told.strip().splitlines()[-1]) == {"came_true": True}


async def test_the_jobs_may_run_again_and_change_nothing(whole: Box) -> None:
    said = await whole.compose("run", "--rm", "-T", "topics")
    assert "made" not in said
    said = await whole.compose("run", "--rm", "-T", "migrate")
    assert said.count("up to date") == len(SERVICES)


@pytest.mark.parametrize("service", SERVICES)
async def test_a_service_is_nobody_writes_nothing_and_holds_no_neighbour(
    whole: Box, service: str
) -> None:
    (container,) = await whole.containers(service)
    facts = await whole.inspect(container)
    assert facts["Config"]["User"] == "10001:10001"
    assert facts["HostConfig"]["ReadonlyRootfs"]
    assert facts["State"]["Health"]["Status"] == "healthy"
    others = ["deploy", "tests", *(f"services.{name}" for name in SERVICES if name != service)]
    found = await whole.compose(
        *("exec", "-T", service, "python", "-c", REACHED.format(names=others))
    )
    assert found.strip() == "[]"
    code, _ = await whole.tried("exec", "-T", service, "touch", "/app/here")
    assert code != 0


async def test_a_wrong_password_of_the_database_is_named_by_readiness(whole: Box) -> None:
    file = whole.place / "secrets" / "pgpass-routing"
    right = file.read_bytes()
    file.write_text(PASSWORD_OF_NOBODY)
    try:
        await whole.compose("restart", "routing")

        async def named() -> bool:
            return "InvalidPasswordError" in await waits_for(whole, "routing")

        await until(named, "/ready names the password", START_S)
    finally:
        file.write_bytes(right)
    await whole.compose("restart", "routing")
    await whole.compose("up", "--detach", "--wait", "routing")


async def test_a_key_file_that_is_none_ends_the_start_with_78_and_its_name(whole: Box) -> None:
    wrong = ("-e", "ROUTING_KEY_FILE=/run/secrets/token-public")
    code, said = await whole.tried("run", "--rm", "-T", "--no-deps", *wrong, "routing")
    assert code == 78
    assert "ROUTING_KEY_FILE: /run/secrets/token-public 不是密钥文件" in said


async def test_a_missing_topic_is_named_until_the_job_makes_it(whole: Box) -> None:
    await whole.compose("stop", "intake", "console", "notify", "routing", "ledger")
    tool = ("exec", "-T", "kafka", "/opt/kafka/bin/kafka-topics.sh", "--bootstrap-server")
    await whole.compose(*tool, "kafka:9092", "--delete", "--topic", "notify.events")
    await whole.compose("up", "--detach", "--no-deps", "routing")

    async def named() -> bool:
        return "missing topics: notify.events" in await waits_for(whole, "routing")

    await until(named, "/ready names the topic", START_S)
    await whole.compose("run", "--rm", "-T", "topics")
    await whole.compose("up", "--detach", "--wait", "--no-deps", "routing")


def test_every_service_publishes_the_port_that_it_listens_on() -> None:
    said = subprocess.run(
        ["docker", "compose", "-f", "docker-compose.yml", "config", "--format", "json"],  # noqa: S607
        capture_output=True,
        check=True,
    ).stdout
    services = json.loads(said)["services"]
    listening = {
        name: int(services[name]["environment"][f"{name.upper()}_PORT"]) for name in SERVICES
    }
    assert listening == INNER
    assert {one["target"] for one in services["gate"]["ports"]} == set(INNER.values())
