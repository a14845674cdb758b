"""A town that is seeded on a running stack: other commands know it once it is recorded."""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from deploy.local.errors import LocalStackError
from deploy.local.made import all_remembered, remembered
from deploy.local.recording import record_town, seed
from deploy.local.seeding import LedgerRefusedError, Size, TownWish, entries_of, town_wish
from deploy.local.state import StackState, read_state, write_state
from deploy.seed.town import Entry
from tests.component.ledger.office import Office

SMALL = Size(villages=1, grids=2, people=20)


@dataclass(frozen=True)
class Ground:
    """A running stack's data directory, and a town that may be seeded there."""

    data_dir: Path
    wish: TownWish

    @property
    def state(self) -> StackState:
        return read_state(self.data_dir)

    async def seed(self) -> Mapping[str, object]:
        return await seed(self.state, [self.wish])


@pytest.fixture
def ground(office: Office, ledger_dsn: str, door_url: str, kafka: str, tmp_path: Path) -> Ground:
    shutil.copytree(office.secrets.key_file.parent, tmp_path / "secrets")
    facts = {"ledger": door_url, "postgres": {"ledger": ledger_dsn}, "kafka": kafka}
    write_state(tmp_path, {**facts, "tenants": ["first"]})
    return Ground(tmp_path, town_wish(f"{office.tenant}=gucheng", SMALL))


async def test_a_seeded_town_is_known_to_other_commands(ground: Ground) -> None:
    town, pid = ground.wish.tenant_id, ground.state.facts["pid"]
    assert town in await ground.seed()
    assert ground.state.tenant(town) == town
    assert (ground.state.tenants, ground.state.facts["pid"]) == (["first", town], pid)
    assert remembered(ground.data_dir, town) == ground.wish
    await ground.seed()
    assert ground.state.tenants == ["first", town]


async def test_a_town_whose_answer_came_too_late_is_noted_by_the_next_seed(ground: Ground) -> None:
    await record_town(ground.state, ground.wish, entries_of(ground.wish))
    (ground.data_dir / "towns.json").unlink()
    await ground.seed()
    assert all_remembered(ground.data_dir) == [ground.wish.tenant_id]
    assert ground.state.tenants == ["first", ground.wish.tenant_id]


async def test_a_town_without_keys_is_refused_with_what_makes_them(ground: Ground) -> None:
    wishes = [ground.wish, town_wish("nbr=yidukou"), town_wish("nbr2=yidukou")]
    with pytest.raises(LocalStackError) as refused:
        await seed(ground.state, wishes)
    said = str(refused.value)
    assert "请先运行 chuishao secrets --tenant nbr --tenant nbr2，再来一次" in said
    assert "First run `chuishao secrets --tenant nbr --tenant nbr2`" in said
    assert (all_remembered(ground.data_dir), ground.state.tenants) == ([], ["first"])


async def test_a_town_that_ledger_refuses_is_noted_nowhere(ground: Ground) -> None:
    with pytest.raises(LedgerRefusedError):
        await record_town(ground.state, ground.wish, [Entry("household", "h1", {"grid": 7})])
    assert (all_remembered(ground.data_dir), ground.state.tenants) == ([], ["first"])
