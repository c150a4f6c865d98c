"""The AsyncAPI document, made from the table of topics."""

from __future__ import annotations

import re

from agent.contract.json_schema import BOX, Schema
from agent.contract.topics import TOPICS, Topic
from agent.core.model import Session


def build_document() -> Schema:
    """Return the AsyncAPI document."""
    sending = [topic for topic in TOPICS if topic.operation]
    return {
        "asyncapi": "3.0.0",
        "id": "urn:site-agent:training:v1",
        "info": {
            "title": "site-agent",
            "version": "1.0.0",
            "description": _ABOUT,
            "license": {"name": "AGPL-3.0-or-later"},
        },
        "defaultContentType": "application/json",
        "servers": {"bureau": _SERVER},
        "channels": {topic.channel: _channel(topic) for topic in TOPICS},
        "operations": {topic.operation: _operation(topic) for topic in sending},
        "components": {
            "securitySchemes": {
                "password": {"type": "userPassword", "description": "A user for each box"},
                "certificate": {"type": "X509", "description": "A client certificate for each box"},
            },
            "parameters": _PARAMETERS,
            "messages": {topic.channel: _message(topic) for topic in TOPICS},
        },
    }


_ABOUT = (
    "What a classroom box publishes for the training bureau, and what it accepts from it. Topics begin with"
    f" {BOX}. Messages of the box are CloudEvents 1.0 in structured JSON, QoS 1. docs/reference/mqtt.md explains them."
    " Fields may be added within v1; none is renamed or removed."
)
_SERVER: Schema = {
    "host": "mqtt.example.org:8883",
    "protocol": "secure-mqtt",
    "protocolVersion": "5.0",
    "description": "The bureau's broker. MQTT 3.1.1 is served too; then answers come on response/{name}.",
    "security": [
        {"$ref": "#/components/securitySchemes/password"},
        {"$ref": "#/components/securitySchemes/certificate"},
    ],
    "bindings": {
        "mqtt": {
            "clientId": "site-agent.{county}.{site}.{box}",
            "cleanSession": False,
            "keepAlive": 30,
            "lastWill": {"topic": f"{BOX}/state", "qos": 1, "retain": True},
        }
    },
}
_PARAMETERS: Schema = {
    "county": {"description": "County, [A-Za-z0-9][A-Za-z0-9-]{0,31}"},
    "site": {"description": "Training site"},
    "box": {"description": "The box of the site"},
    "camera_id": {"description": "The camera's name in this box"},
    "class_id": {"description": "Class ID (班级编号)"},
    "date": {"description": "The site's calendar day, YYYY-MM-DD"},
    "session": {"description": "Half-day", "enum": [session.value for session in Session]},
    "kind": {"description": "Alert kind, as in schemas/common.json"},
    "name": {"description": "Request", "examples": ["count", "gaps", "clip", "picture", "call", "statements"]},
}


def _channel(topic: Topic) -> Schema:
    address = f"{BOX}/{topic.address}"
    names = re.findall(r"\{(\w+)\}", address)
    return {
        "address": address,
        **({"description": topic.about} if topic.about else {}),
        "parameters": {name: {"$ref": f"#/components/parameters/{name}"} for name in names},
        "messages": {topic.channel: {"$ref": f"#/components/messages/{topic.channel}"}},
    }


def _operation(topic: Topic) -> Schema:
    made: Schema = {
        "action": topic.direction,
        "channel": {"$ref": f"#/channels/{topic.channel}"},
        "bindings": {"mqtt": {"qos": 1, "retain": topic.retained}},
    }
    if topic.address.startswith("request/"):
        made["reply"] = {
            "address": {
                "location": "$message.header#/responseTopic",
                "description": "MQTT 5 response topic, with the correlation data of the request",
            },
            "channel": {"$ref": f"#/channels/{topic.channel.replace('request', 'response')}"},
        }
    return made


def _message(topic: Topic) -> Schema:
    kind = "application/cloudevents+json" if topic.direction == "send" else "application/json"
    return {"contentType": kind, "payload": {"$ref": f"./schemas/{topic.schema_file}"}}
