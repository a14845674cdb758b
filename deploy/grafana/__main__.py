"""`python -m deploy.grafana` writes each service's dashboard anew."""

import json
from pathlib import Path
from typing import Any

from deploy.grafana.panels import PANELS, SERVICES, Panel

PLACE = Path(__file__).parent
_WIDE, _HIGH, _COLUMNS = 8, 7, 3
_SOURCE = {"type": "prometheus", "uid": "${source}"}


def dashboard(service: str) -> dict[str, Any]:
    """Return a service's dashboard, as Grafana imports it."""
    shown = [panel for panel in PANELS if service in panel.services]
    return {
        "uid": f"chuishao-{service}",
        "title": f"吹哨 Chuishao · {service}",
        "tags": ["chuishao"],
        "schemaVersion": 39,
        "timezone": "browser",
        "refresh": "15s",
        "time": {"from": "now-1h", "to": "now"},
        "templating": {"list": [{"name": "source", "type": "datasource", "query": "prometheus"}]},
        "panels": [_panel(service, n, panel) for n, panel in enumerate(shown)],
    }


def _panel(service: str, n: int, panel: Panel) -> dict[str, Any]:
    row, column = divmod(n, _COLUMNS)
    return {
        "id": n + 1,
        "type": "timeseries",
        "title": panel.title,
        "datasource": _SOURCE,
        "gridPos": {"x": column * _WIDE, "y": row * _HIGH, "w": _WIDE, "h": _HIGH},
        "fieldConfig": {"defaults": {"unit": panel.unit, "min": 0}, "overrides": []},
        "targets": [
            {
                "refId": chr(ord("A") + m),
                "datasource": _SOURCE,
                "expr": query.text.replace("$m", query.name).replace("$job", service),
                "legendFormat": query.legend,
            }
            for m, query in enumerate(panel.queries)
        ],
    }


def text(service: str) -> str:
    return json.dumps(dashboard(service), ensure_ascii=False, indent=1) + "\n"


if __name__ == "__main__":
    for name in SERVICES:
        (PLACE / f"{name}.json").write_text(text(name), encoding="utf-8")
