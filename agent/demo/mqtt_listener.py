"""A client of the broker that receives what the bureau's dashboard would receive."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from typing import TypeAlias

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from agent import i18n
from agent.core.model import JsonObject

EventHandler: TypeAlias = Callable[[str, JsonObject], None]
log = logging.getLogger(__name__)


class MqttListener:
    """Subscribe to `training/v1/#` and pass each event on as (topic below the box, data of the event)."""

    def __init__(self, host: str, port: int, heard: EventHandler) -> None:
        self._heard = heard
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id="demo-dashboard", protocol=mqtt.MQTTv311)
        self._client.on_connect = lambda client, *_: client.subscribe("training/v1/#", qos=1)
        self._client.on_message = self._message
        self._client.connect(host, port)

    def start(self) -> MqttListener:
        self._client.loop_start()
        return self

    def stop(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def _message(self, _client: mqtt.Client, _userdata: object, message: mqtt.MQTTMessage) -> None:
        if not message.payload:  # a retained topic that was cleared
            return
        try:
            event = json.loads(message.payload)
        except ValueError:
            log.warning("%s", i18n.translate("demo.not_json", topic=message.topic))
            return
        # training/v1/{county}/{site}/{box}/…
        self._heard(message.topic.split("/", 5)[5], event["data"])
