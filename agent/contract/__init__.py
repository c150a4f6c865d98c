"""The published contract as types: bodies of MQTT messages and API answers, requests, topics.

What the box sends is a TypedDict: builders stay plain dicts, mypy checks each field where it is written, and a heartbeat costs
nothing more. What others send is a pydantic model and is validated when it comes in. docs/schemas, docs/asyncapi.yaml and the
API's OpenAPI document are generated from these types (`scripts/contract` writes them); no field is described elsewhere.

Within v1 fields may be added; none is renamed or removed.
"""
