from datetime import timedelta

from services.notify.store import attempts, cases, intents, registry, slots
from tests.component.notify.world import World


async def test_every_statement_fits_the_schema(world: World) -> None:
    modules = (attempts, cases, intents, registry, slots)
    statements = [
        text
        for module in modules
        for name, text in vars(module).items()
        if name.isupper() and isinstance(text, str)
    ]
    assert len(statements) > 20
    async with world.pool.acquire() as conn:
        for text in statements:
            await conn.prepare(text)


async def test_a_claim_reads_what_is_due_alone_however_much_is_kept(world: World) -> None:
    await world.assign()
    async with world.pool.acquire() as conn:
        await conn.execute(
            "INSERT INTO intent SELECT tenant_id, gen_random_uuid(), case_id, event_id,"
            " traceparent, notice, rule, recipient, channels, tries_max, wait_s, words, due_at,"
            " timezone, 'delivered', NULL, channel, now(), now(), now()"
            " FROM intent, generate_series(1, 20000)"
        )
        await conn.execute("ANALYZE intent")
        plan = await conn.fetch(
            f"EXPLAIN {intents.CLAIM}", ["sms", "app"], 10, timedelta(seconds=30)
        )
    text = "\n".join(row[0] for row in plan)
    assert "intent_due" in text
    assert "Seq Scan on intent" not in text
