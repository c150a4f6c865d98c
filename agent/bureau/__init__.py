"""The link to the bureau over MQTT: will and birth, outbox sender, heartbeat, and what the bureau may send.

The will mirrors the birth; the outbox is emptied on acknowledgement; the bureau may send approved classes and requests.
docs/reference/mqtt.md explains the contract, docs/asyncapi.yaml states it. paho-mqtt is imported in `connection.py` only.
"""

from agent.bureau.heartbeat import Heartbeat
from agent.bureau.link import BureauLink, LinkStatus, probe_broker
from agent.bureau.options import BureauOptions

__all__ = ["BureauLink", "BureauOptions", "Heartbeat", "LinkStatus", "probe_broker"]
