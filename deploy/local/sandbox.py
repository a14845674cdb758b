"""The sandbox gateway's configuration: the templates that notify would submit, and whose phones."""

import json
import sys
from dataclasses import dataclass
from pathlib import Path

from deploy.local.layout import GATEWAY_KEY_ID, SHOW_NUMBER, SIGN_NAME, Layout
from deploy.local.migrate import ROOT
from deploy.local.phones import Phonebook
from deploy.local.process import Command
from deploy.local.secrets import Secrets

TEMPLATES = ROOT / "services" / "notify" / "templates.json"
CALL_TEMPLATES = TEMPLATES.with_name("call_templates.json")


@dataclass(frozen=True, slots=True)
class Around:
    """Whom the gateway calls, and by whose page its own is framed."""

    notify: str
    console: str
    port: int


def sandbox_command(layout: Layout, secrets: Secrets, phones: Phonebook) -> Command:
    """Write the gateway's configuration and return how it is run."""
    around = Around(layout.url("notify"), layout.url("console"), layout.port("sandbox"))
    path = write_config(layout.data_dir / "sandbox", around, secrets, phones)
    argv = (sys.executable, "-m", "deploy.sandbox", "--config", str(path))
    return Command("sandbox", argv, layout.more_env.get("sandbox", {}), layout.log("sandbox"), ROOT)


def write_config(place: Path, around: Around, secrets: Secrets, phones: Phonebook) -> Path:
    """Write the gateway's configuration; return where it lies."""
    place.mkdir(parents=True, exist_ok=True)
    names = place / "phones.json"
    names.write_text(json.dumps(phones.labels, ensure_ascii=False))
    token = secrets.receipts_token_file.read_text()
    config = {
        "port": around.port,
        "access_keys": {GATEWAY_KEY_ID: secrets.gateway_secret_file.read_text()},
        "sign_names": [SIGN_NAME],
        "templates_file": str(TEMPLATES),
        "call_templates_file": str(CALL_TEMPLATES),
        "calls": {"show_numbers": [SHOW_NUMBER]},
        "names_file": str(names),
        "truth_file": str(place / "truth.ndjson"),
        "receipts": {
            "callback_url": f"{around.notify}/v1/receipts/aliyun?token={token}",
            "calls_url": f"{around.notify}/v1/receipts/aliyun_voice?token={token}",
            "delay_s": 0.5,
        },
        "replies": {"callback_url": f"{around.notify}/v1/replies/aliyun?token={token}"},
        "page": {
            "frame_ancestors": ["'self'", around.console],
            "groups": phones.beginnings,
        },
    }
    path = place / "config.json"
    path.touch(mode=0o600)
    path.write_text(json.dumps(config, ensure_ascii=False, indent=1))
    return path
