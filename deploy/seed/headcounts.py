"""How many of each role a town gets where its profile gives no number, and why so many."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Per = Literal["unit", "department"]


@dataclass(frozen=True, slots=True)
class Usual:
    """So many per unit of the role's level, or per department; they belong to `department`."""

    count: int
    why: str
    per: Per = "unit"
    department: str | None = None


UNKNOWN = Usual(1, "a role nobody has described answers with one person at each unit of its level")

USUAL: Mapping[str, Usual] = {
    "citizen": Usual(0, "everybody is one, and nobody is on a roster for it"),
    # In the grid and below.
    "grid_worker": Usual(1, "a grid without a worker of its own is no grid"),
    "grid_leader": Usual(1, "one head, who is called when it is urgent"),
    "grid_branch_secretary": Usual(1, "a branch has one secretary"),
    "grid_group_leader": Usual(1, "one party member leads one group"),
    "village_team": Usual(3, "the night goes round among three"),
    "five_elders": Usual(2, "two retired people, so that one is at home"),
    "local_worthy": Usual(1, "not every hamlet has more than one whom all respect"),
    "cleaner": Usual(1, "one keeps a grid clean"),
    "civility_monitor": Usual(1, "one voice is enough to remind"),
    "public_service_worker": Usual(1, "one brings meals and runs errands"),
    # In the village.
    "village_cadre": Usual(5, "the two committees of a village have three to seven members"),
    "village_rep": Usual(10, "enough for a vote"),
    "branch_secretary": Usual(1, "a branch has one secretary"),
    "station_clerk": Usual(1, "the counter of a village station has one chair"),
    "undertaker": Usual(2, "one works while the other is away"),
    "discipline_liaison": Usual(1, "one supervises, and does nothing else"),
    "village_center_clerk": Usual(1, "the village centre opens in the daytime alone"),
    "stationed_cadre": Usual(1, "one cadre of the town is in charge of one village"),
    "police_officer": Usual(1, "one officer per beat", department="police"),
    "lawyer": Usual(1, "one lawyer goes round a village"),
    "party_deputy": Usual(2, "a village sends two"),
    "peoples_deputy": Usual(2, "a village sends two"),
    "volunteer": Usual(10, "enough for a team"),
    # Between village and town.
    "area_secretary": Usual(1, "an area has one secretary"),
    # In the town.
    "center_clerk": Usual(3, "three share early, late and weekend"),
    "town_leader": Usual(3, "secretary, mayor and the deputy for law and order"),
    "main_leader": Usual(2, "secretary and mayor"),
    "team_member": Usual(7, "the rest of a leading group of nine"),
    "town_party_member": Usual(8, "a leading group has seven to nine"),
    "practical_talent": Usual(6, "an agronomist, a vet, a builder and the like"),
    "party_backbone": Usual(6, "one for every few villages"),
    "party_instructor": Usual(2, "joint branches are few"),
    "petition_cadre": Usual(1, "the petition desk is one desk"),
    "mediator": Usual(3, "a mediation committee has at least three members by law"),
    "legal_counsel": Usual(1, "a town retains one"),
    "psychologist": Usual(1, "one comes on fixed days"),
    "cppcc_member": Usual(5, "a town has a handful"),
    "town_unit_member": Usual(12, "a dozen members of the town's offices go down to grids"),
    "data_clerk": Usual(1, "one prepares the counts"),
    "department_officer": Usual(2, "one is out while the other answers", per="department"),
    "department_head": Usual(1, "a department has one head", per="department"),
    "station_head": Usual(1, "a station has one head", per="department"),
}
