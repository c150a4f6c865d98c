"""The link to the bureau: MQTT with a will that mirrors the birth, an outbox emptied on acknowledgement, a heartbeat, and
what the bureau may send (approved classes, requests). docs/mqtt.md explains the contract, docs/asyncapi.yaml is it.

paho-mqtt is imported in `connection.py` only.
"""

from agent.bureau.heartbeat import Heartbeat
from agent.bureau.link import BureauLink, LinkStatus, probe
from agent.bureau.options import Options

__all__ = ["BureauLink", "Heartbeat", "LinkStatus", "Options", "probe"]
