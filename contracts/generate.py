"""What other languages read: a JSON Schema per fact and the AsyncAPI 3 document of the bus.

`make schemas` writes them; they are checked in, and their diff is what a reviewer reads.
Sources: JSON Schema 2020-12; AsyncAPI 3.0.0 with its Kafka bindings 0.5.0.
"""

import json
from collections.abc import Mapping
from inspect import cleandoc
from pathlib import Path
from typing import Any

from contracts.events import CONTENT_TYPE, Fact
from contracts.facts import INTAKE_FACTS, NOTIFY_FACTS, ROUTING_FACTS, TASK_FACTS
from contracts.profile import Profile
from contracts.registry import Change
from contracts.topics import (
    DEPARTMENT_TASKS,
    INTAKE_EVENTS,
    LEDGER_REGISTRY,
    NOTIFY_EVENTS,
    ROUTING_EVENTS,
    Topic,
)

HERE = Path(__file__).parent
SCHEMAS, ASYNCAPI = HERE / "schemas", HERE / "asyncapi.json"
VERSION = "1.0.0"
TASKS = "dept.tasks"  # the channel of all departments' topics: its address has parameters

FACTS: Mapping[str, tuple[Topic, Mapping[str, type[Fact]]]] = {
    INTAKE_EVENTS.name: (INTAKE_EVENTS, INTAKE_FACTS),
    ROUTING_EVENTS.name: (ROUTING_EVENTS, ROUTING_FACTS),
    NOTIFY_EVENTS.name: (NOTIFY_EVENTS, NOTIFY_FACTS),
    LEDGER_REGISTRY.name: (
        LEDGER_REGISTRY,
        {model.TYPE: model for model in Change.KINDS.values()},
    ),
    TASKS: (DEPARTMENT_TASKS, TASK_FACTS),
}
# Who reads what; who writes stands in the topic manifest.
READERS: Mapping[str, tuple[str, ...]] = {
    INTAKE_EVENTS.name: ("routing", "ledger"),
    ROUTING_EVENTS.name: ("intake", "notify", "ledger", "console"),
    NOTIFY_EVENTS.name: ("routing", "ledger"),
    LEDGER_REGISTRY.name: ("intake", "routing", "notify", "console"),
    TASKS: ("department",),
}

_PARAMETERS = {
    "tenant": {"description": "the town's slug"},
    "department": {"description": "the department's id in the town's profile"},
}
_TEXT = {"type": "string"}
_HEADERS: dict[str, Any] = {
    "ce_specversion": {"const": "1.0"},
    "ce_id": {"type": "string", "format": "uuid", "description": "derived: a repeat has the same"},
    "ce_type": _TEXT,
    "ce_source": {"type": "string", "format": "uri-reference"},
    "ce_subject": {"type": "string", "description": "the case's id, or kind/id in the registry"},
    "ce_time": {"type": "string", "format": "date-time", "description": "the tenant's time"},
    "ce_tenant": {"type": "string", "description": "the town's slug; it leads the record's key"},
    "content-type": {"const": CONTENT_TYPE},
}
_MORE_HEADERS: dict[str, dict[str, Any]] = {
    INTAKE_EVENTS.name: {
        "ce_bodymac": {"type": "string", "description": "tells two bodies under one id apart"},
        "traceparent": {"type": "string", "description": "W3C trace context"},
    },
    ROUTING_EVENTS.name: {
        "ce_sequence": {"type": "string", "description": "counts the facts of one case from 1"},
        "traceparent": {"type": "string", "description": "W3C trace context"},
    },
    DEPARTMENT_TASKS.name: {
        "ce_sequence": {
            "type": "string",
            "description": "the `task_seq`: counts one case's records here from 1, without a gap",
        },
        "traceparent": {"type": "string", "description": "W3C trace context"},
    },
    LEDGER_REGISTRY.name: {
        "ce_changeset": {"type": "string", "description": "a set takes effect whole or not at all"},
        "ce_last": {"enum": ["true", "false"], "description": "the last record of its set"},
    },
}


def schema_of(model: type[Fact]) -> dict[str, Any]:
    """Return the JSON Schema of a fact's body, as readers accept it."""
    schema = model.model_json_schema(by_alias=True)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:chuishao:{model.TYPE}",
        **schema,
        "title": model.TYPE,
        "description": cleandoc(model.__doc__ or ""),
    }


def asyncapi() -> dict[str, Any]:
    """Return the AsyncAPI document of every topic."""
    messages = {
        name: _message(topic, name, model)
        for topic, facts in FACTS.values()
        for name, model in facts.items()
    }
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Chuishao 吹哨",
            "version": VERSION,
            "description": (
                "The facts by which Chuishao's services and a town's departments speak. "
                "CloudEvents 1.0 in binary mode: attributes in headers, the fact's JSON as body."
            ),
        },
        "defaultContentType": CONTENT_TYPE,
        "channels": {name: _channel(*given) for name, given in FACTS.items()},
        "operations": _operations(),
        "components": {"messages": messages},
    }


def _channel(topic: Topic, facts: Mapping[str, type[Fact]]) -> dict[str, Any]:
    parameters = {"parameters": _PARAMETERS} if topic is DEPARTMENT_TASKS else {}
    return {
        "address": topic.name,
        **parameters,
        "description": f"{topic.what} Key: {topic.key}.",
        "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in facts},
        "bindings": {
            "kafka": {
                "topic": topic.name,
                "partitions": topic.partitions,
                "topicConfiguration": {
                    "cleanup.policy": [topic.cleanup],
                    "retention.ms": topic.retention_ms or -1,
                },
                "bindingVersion": "0.5.0",
            }
        },
    }


def _message(topic: Topic, name: str, model: type[Fact]) -> dict[str, Any]:
    schema = schema_of(model)
    del schema["$schema"], schema["$id"]
    return {
        "name": name,
        "title": name,
        "summary": cleandoc(model.__doc__ or "").partition("\n")[0],
        "contentType": CONTENT_TYPE,
        "headers": {
            "type": "object",
            "required": list(_HEADERS),
            "properties": {
                **_HEADERS,
                "ce_type": {"const": name},
                **_MORE_HEADERS.get(topic.name, {}),
            },
        },
        "payload": _local_refs(schema, f"#/components/messages/{name}/payload"),
    }


def _local_refs(schema: Any, place: str) -> Any:  # noqa: ANN401 - any JSON
    """Point the schema's own references to where it stands in the document."""
    if isinstance(schema, dict):
        return {
            key: value.replace("#/", f"{place}/", 1)
            if key == "$ref" and isinstance(value, str)
            else _local_refs(value, place)
            for key, value in schema.items()
        }
    if isinstance(schema, list):
        return [_local_refs(one, place) for one in schema]
    return schema


def _operations() -> dict[str, Any]:
    operations: dict[str, Any] = {}
    for name, (topic, facts) in FACTS.items():
        channel = {"$ref": f"#/channels/{name}"}
        messages = [{"$ref": f"#/channels/{name}/messages/{fact}"} for fact in facts]
        given = {"channel": channel, "messages": messages}
        operations[f"{topic.owner}.writes.{name}"] = {"action": "send", **given}
        for reader in READERS[name]:
            operations[f"{reader}.reads.{name}"] = {"action": "receive", **given}
    return operations


def documents() -> dict[Path, str]:
    """Return every generated file with its text."""
    made: dict[Path, Any] = {
        SCHEMAS / f"{name}.json": schema_of(model)
        for _, facts in FACTS.values()
        for name, model in facts.items()
    }
    made[SCHEMAS / "town-profile.json"] = Profile.model_json_schema()
    made[ASYNCAPI] = asyncapi()
    return {
        path: json.dumps(content, ensure_ascii=False, indent=1) + "\n"
        for path, content in made.items()
    }


def main() -> None:
    """Write every document; one that is no longer made is removed."""
    SCHEMAS.mkdir(exist_ok=True)
    made = documents()
    for path in set(SCHEMAS.glob("*.json")) - set(made):
        path.unlink()
    for path, text in made.items():
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
