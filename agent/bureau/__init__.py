"""The link to the bureau: MQTT with a will that mirrors the birth, an outbox emptied on acknowledgement, a heartbeat, and
what the bureau may send (approved classes, requests). docs/reference/mqtt.md explains the contract, docs/asyncapi.yaml is it.

paho-mqtt is imported in `connection.py` only.
"""

from agent.bureau.heartbeat import Heartbeat
from agent.bureau.link import BureauLink, LinkStatus, probe_broker
from agent.bureau.options import BureauOptions

__all__ = ["BureauLink", "BureauOptions", "Heartbeat", "LinkStatus", "probe_broker"]
