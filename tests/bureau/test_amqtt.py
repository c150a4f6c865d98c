"""The demo's broker, amqtt, speaks MQTT 3.1.1 only: the link works with it too."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import paho.mqtt.client as mqtt
from amqtt.broker import Broker as Amqtt
from paho.mqtt.enums import CallbackAPIVersion

from agent.demo.broker import find_free_port
from tests.support.broker import eventually
from tests.support.bureau_factory import PREFIX, BureauBox, options
from tests.support.contract_check import validate


@contextmanager
def amqtt_broker() -> Iterator[int]:
    port, loop, ready = find_free_port(), asyncio.new_event_loop(), threading.Event()
    settings = {
        "listeners": {"default": {"type": "tcp", "bind": f"127.0.0.1:{port}"}},
        "plugins": {"amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}},
    }

    async def serve() -> Amqtt:
        broker = Amqtt(settings)
        await broker.start()
        ready.set()
        return broker

    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    broker = asyncio.run_coroutine_threadsafe(serve(), loop).result(10)
    try:
        yield port
    finally:
        asyncio.run_coroutine_threadsafe(broker.shutdown(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


def test_link_on_amqtt(tmp_path: Path) -> None:
    with amqtt_broker() as port:
        heard: list[mqtt.MQTTMessage] = []
        bureau = mqtt.Client(CallbackAPIVersion.VERSION2)
        bureau.on_connect = lambda c, *_: c.subscribe("training/v1/#", qos=1)
        bureau.on_message = lambda _c, _u, message: heard.append(message)
        bureau.connect("127.0.0.1", port)
        bureau.loop_start()

        def states() -> list[str]:
            own = [m for m in list(heard) if m.topic == f"{PREFIX}/state"]
            return [json.loads(m.payload)["data"]["state"] for m in own]

        given = options(port, protocol="3.1.1")
        with BureauBox(tmp_path, given, requests={"count": lambda _: {"people": 3}}) as box:
            for number in range(30):
                box.alarm(number)
            box.attend(1)
            eventually(lambda: box.catalog.outbox.size() == 0)
            bureau.publish(f"{PREFIX}/request/count", b"{}", qos=1)
            eventually(lambda: any(m.topic == f"{PREFIX}/response/count" for m in list(heard)))
        eventually(lambda: states()[-1:] == ["stopped"])
        bureau.disconnect()
        bureau.loop_stop()
        alerts = [m for m in heard if "/alert/" in m.topic]
        assert len(alerts) == 30
        for message in heard:
            if not message.topic.endswith("request/count"):
                validate(message.topic, message.payload)
