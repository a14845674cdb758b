"""Where everything of one development stack is: ports, files, settings of each service."""

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from deploy.local.migrate import ROOT
from deploy.local.process import Command
from deploy.local.secrets import Secrets

PORT_BASE = 8100
PORTS = {
    "console": 0,
    "intake": 1,
    "routing": 2,
    "notify": 3,
    "ledger": 4,
    "sandbox": 5,
    "kafka": 6,
    "kafka-controller": 7,
    "postgres": 8,
}
SERVICES = ("ledger", "routing", "notify", "console", "intake")
GATEWAY_KEY_ID, SIGN_NAME, SHOW_NUMBER = "chuishao", "吹哨", "057100000000"
QUIETER = ("QUIET_HOURS", "APP_INBOX")
ANCHORS = Path("audit", "anchors.ndjson")  # in the data directory
REPLICA_STRIDE = 20  # the second replica of a service listens so far above the first


@dataclass(frozen=True, slots=True)
class Layout:
    """One stack's ports and files. `more_env` is added to a service's settings, by its name."""

    data_dir: Path
    port_base: int = PORT_BASE
    more_env: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    def port(self, name: str, replica: int = 0) -> int:
        return self.port_base + PORTS[name] + replica * REPLICA_STRIDE

    def url(self, name: str) -> str:
        return f"http://127.0.0.1:{self.port(name)}"

    @property
    def ports(self) -> dict[str, int]:
        return {name: self.port(name) for name in PORTS}

    def log(self, name: str) -> Path:
        return self.data_dir / "logs" / f"{name}.log"

    def service(
        self, name: str, bootstrap: str, dsn: str, secrets: Secrets, replica: int = 0
    ) -> Command:
        """Return how a service is run here."""
        shown = name if replica == 0 else f"{name}-{replica}"
        settings = {
            "MODE": "development",
            "PORT": str(self.port(name, replica)),
            "REPLICA": str(replica),
            "KAFKA_BOOTSTRAP": bootstrap,
            "POSTGRES_DSN": dsn,
            "KEY_FILE": str(secrets.key_file),
            "TOKEN_KEY_FILE": str(secrets.token_public),
            **self._own(name, secrets),
        }
        env = {f"{name.upper()}_{key}": value for key, value in settings.items()}
        argv = (sys.executable, "-m", f"services.{name}")
        more = self.more_env.get(name, {})
        return Command(shown, argv, {**env, **more}, self.log(shown), cwd=ROOT)

    def _own(self, name: str, secrets: Secrets) -> dict[str, str]:
        match name:
            case "console":
                return {"SANDBOX_URL": self.url("sandbox"), "LEDGER_URL": self.url("ledger")}
            case "intake":
                return {"ATTACHMENT_URL": (self.data_dir.absolute() / "attachments").as_uri()}
            case "ledger":
                return {"AUDIT_ANCHOR_PATH": str(self.data_dir.absolute() / ANCHORS)}
            case "notify":
                return {
                    "GATEWAY_URL": self.url("sandbox"),
                    "GATEWAY_KEY_ID": GATEWAY_KEY_ID,
                    "GATEWAY_SIGN_NAME": SIGN_NAME,
                    "GATEWAY_SECRET_FILE": str(secrets.gateway_secret_file),
                    "RECEIPTS_TOKEN_FILE": str(secrets.receipts_token_file),
                    "VOICE_URL": self.url("sandbox"),
                    "VOICE_SHOW_NUMBER": SHOW_NUMBER,
                    # What is sent shall be seen on the sandbox's phones, whatever the hour.
                    **{name: os.environ.get(f"NOTIFY_{name}", "false") for name in QUIETER},
                }
            case _:
                return {}
