"""The sandbox gateway's configuration: the templates that notify would submit, and whose phones."""

import json
import sys

from deploy.local.layout import GATEWAY_KEY_ID, SHOW_NUMBER, SIGN_NAME, Layout
from deploy.local.migrate import ROOT
from deploy.local.phones import Phonebook
from deploy.local.process import Command
from deploy.local.secrets import Secrets

TEMPLATES = ROOT / "services" / "notify" / "templates.json"
CALL_TEMPLATES = TEMPLATES.with_name("call_templates.json")


def sandbox_command(layout: Layout, secrets: Secrets, phones: Phonebook) -> Command:
    """Write the gateway's configuration and return how it is run."""
    place = layout.data_dir / "sandbox"
    place.mkdir(parents=True, exist_ok=True)
    names = place / "phones.json"
    names.write_text(json.dumps(phones.labels, ensure_ascii=False))
    token = secrets.receipts_token_file.read_text()
    config = {
        "port": layout.port("sandbox"),
        "access_keys": {GATEWAY_KEY_ID: secrets.gateway_secret_file.read_text()},
        "sign_names": [SIGN_NAME],
        "templates_file": str(TEMPLATES),
        "call_templates_file": str(CALL_TEMPLATES),
        "calls": {"show_numbers": [SHOW_NUMBER]},
        "names_file": str(names),
        "truth_file": str(place / "truth.ndjson"),
        "receipts": {
            "callback_url": f"{layout.url('notify')}/v1/receipts/aliyun?token={token}",
            "calls_url": f"{layout.url('notify')}/v1/receipts/aliyun_voice?token={token}",
            "delay_s": 0.5,
        },
        "replies": {"callback_url": f"{layout.url('notify')}/v1/replies/aliyun?token={token}"},
        "page": {
            "frame_ancestors": ["'self'", layout.url("console")],
            "groups": phones.beginnings,
        },
    }
    path = place / "config.json"
    path.touch(mode=0o600)
    path.write_text(json.dumps(config, ensure_ascii=False, indent=1))
    argv = (sys.executable, "-m", "deploy.sandbox", "--config", str(path))
    return Command("sandbox", argv, layout.more_env.get("sandbox", {}), layout.log("sandbox"), ROOT)
