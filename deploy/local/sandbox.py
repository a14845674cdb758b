"""The sandbox gateway's configuration: the templates that notify would submit, and whose phones."""

import json
import sys
from collections.abc import Iterable, Sequence

from deploy.local.layout import GATEWAY_KEY_ID, SHOW_NUMBER, SIGN_NAME, Layout
from deploy.local.migrate import ROOT
from deploy.local.process import Command
from deploy.local.secrets import Secrets
from deploy.seed.town import Entry

TEMPLATES = ROOT / "services" / "notify" / "templates.json"
CALL_TEMPLATES = TEMPLATES.with_name("call_templates.json")


def sandbox_command(layout: Layout, secrets: Secrets, towns: Iterable[Sequence[Entry]]) -> Command:
    """Write the gateway's configuration and return how it is run."""
    place = layout.data_dir / "sandbox"
    place.mkdir(parents=True, exist_ok=True)
    names = place / "phones.json"
    labels: dict[str, str] = {}
    for entries in towns:
        labels |= phone_labels(entries)
    names.write_text(json.dumps(labels, ensure_ascii=False))
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
        "page": {"frame_ancestors": ["'self'", layout.url("console")]},
    }
    path = place / "config.json"
    path.touch(mode=0o600)
    path.write_text(json.dumps(config, ensure_ascii=False, indent=1))
    argv = (sys.executable, "-m", "deploy.sandbox", "--config", str(path))
    return Command("sandbox", argv, layout.more_env.get("sandbox", {}), layout.log("sandbox"), ROOT)


def phone_labels(entries: Sequence[Entry]) -> dict[str, str]:
    """Tell whose phone it is: unit, role, name. For the sandbox's page alone."""
    profile = next(entry.body["body"] for entry in entries if entry.kind == "profile")
    roles = {role["id"]: role["zh"] for role in profile["roles"]}
    units = {entry.record_id: entry.body["zh"] for entry in entries if entry.kind == "unit"}
    return {
        entry.body["phone"]: " ".join(
            (units.get(post["unit"], post["unit"]), roles[post["role"]], entry.body["name"])
        )
        for entry in entries
        if entry.kind == "staff" and entry.body.get("phone")
        for post in entry.body["posts"][:1]
    }
