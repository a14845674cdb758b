from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from services.chassis.postgres import open_pool
from services.chassis.seal import KeyRing
from services.notify.settings import NotifySettings
from tests import factories
from tests.component.notify import world as worlds
from tests.component.notify.world import Gateway, World
from tests.conftest import Database


@pytest.fixture
async def gateway() -> AsyncIterator[Gateway]:
    """A gateway that tells nobody of receipts."""
    async with worlds.gateway() as running:
        yield running


@pytest.fixture
async def world(database: Database, tmp_path: Path, gateway: Gateway) -> AsyncIterator[World]:
    """Notify's own database, a town in it, and settings that lead to the gateway."""
    keys = factories.secrets(tmp_path / "secrets", factories.TENANT, "gucheng")
    secret, token = tmp_path / "gateway-secret", tmp_path / "receipts-token"
    secret.write_text(f"{worlds.SECRET}\n")
    token.write_text(worlds.RECEIPTS_TOKEN)
    settings = factories.settings(
        NotifySettings,
        keys,
        dsn=await database("notify"),
        gateway_url=gateway.url,
        gateway_key_id=worlds.KEY_ID,
        gateway_secret_file=secret,
        gateway_sign_name=worlds.SIGN,
        receipts_token_file=token,
        **worlds.QUICK,
    )
    async with open_pool(settings, "notify") as pool:
        made = World(pool, keys, KeyRing(keys.key_file), settings)
        await made.town()
        yield made
