"""Who may log in, as the commands tell it, is who holds a post now."""

from datetime import UTC, datetime, timedelta

from deploy.local.registered import logins_of
from tests import factories
from tests.component.ledger.office import Office


async def test_whoever_leaves_later_is_told_until_then(office: Office, ledger_dsn: str) -> None:
    town = factories.town_lines(tenant=office.tenant)
    assert (await office.post_set("town", town)).status_code == 200
    before = await logins_of(ledger_dsn, office.tenant)
    assert before
    gone = {one.staff for one in before}
    leaving = [
        {**line, "body": None}
        for line in town
        if line["id"] in gone or (line["kind"] == "link" and line["body"]["staff"] in gone)
    ]
    later = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    assert (await office.post_set("leave", leaving, valid_from=later)).status_code == 200
    assert await logins_of(ledger_dsn, office.tenant) == before
