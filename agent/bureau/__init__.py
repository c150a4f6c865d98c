"""The link to the bureau over MQTT: will and birth, outbox sender, heartbeat, and what the bureau may send.

The will mirrors the birth; the outbox is emptied on acknowledgement; the bureau may send approved classes and requests.
docs/mqtt.md explains the contract, docs/asyncapi.yaml states it. paho-mqtt is imported in `connection.py` only.
"""

from agent.bureau.heartbeat import Heartbeat
from agent.bureau.link import BureauLink, LinkStatus, probe
from agent.bureau.options import Options

__all__ = ["BureauLink", "Heartbeat", "LinkStatus", "Options", "probe"]
