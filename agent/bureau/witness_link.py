"""The witness's connection to the broker: hears all boxes, publishes countersignatures."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable
from dataclasses import replace

from agent.bureau.link import generate_reconnect_delays
from agent.bureau.options import BureauOptions
from agent.bureau.witness import Witness, WitnessAlarm
from agent.contract.topics import ROOT
from agent.core.clock import Clock
from agent.core.errors import BureauError
from agent.mqtt.connection import BrokerConnection

log = logging.getLogger(__name__)


def run_witness(
    witness: Witness,
    options: BureauOptions,
    clock: Clock,
    stop: threading.Event,
    report: Callable[[WitnessAlarm], None],
) -> None:
    """Stay connected until `stop`; the session is kept at the broker, so what boxes say meanwhile comes later."""
    waits = generate_reconnect_delays(options)
    while not stop.is_set():
        connection = BrokerConnection(replace(options, window=1000), client_id="site-agent.witness", will=None)
        try:
            connection.open()
            connection.subscribe([f"{ROOT}/#"])
            waits = generate_reconnect_delays(options)
            _serve(witness, connection, options, stop, report)
        except BureauError as error:
            log.warning("%s", error)
            clock.wait(stop, next(waits))
        finally:
            connection.close(clean=stop.is_set())


def _serve(
    witness: Witness,
    connection: BrokerConnection,
    options: BureauOptions,
    stop: threading.Event,
    report: Callable[[WitnessAlarm], None],
) -> None:
    while not stop.is_set():
        connection.step(options.poll_s)
        connection.acks.clear()
        while connection.inbox:
            message = connection.inbox.popleft()
            for alarm in witness.take(message.topic, message.payload, retained=message.retained):
                report(alarm)
        for asked in witness.list_inquiries():
            connection.publish(asked.topic, json.dumps(asked.body).encode(), retain=False)
        for alarm in witness.find_holes():
            report(alarm)
        for found in witness.sign_due():
            connection.publish(found.topic, json.dumps(found.body, ensure_ascii=False).encode(), retain=True)
            log.info("%s", found.topic)
