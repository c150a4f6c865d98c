"""Topic aliases over a real broker: receivers see whole topics, whatever the broker allows and refuses."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.bureau import BureauOptions
from agent.mqtt.connection import BrokerConnection
from agent.mqtt.topic_aliases import TopicAliases
from tests.support.broker import Broker, Listener, eventually, needs_mosquitto
from tests.support.bureau_factory import PREFIX, options


def test_the_least_recently_used_topic_gives_its_alias_away() -> None:
    aliases = TopicAliases(2)
    assert aliases.find("a") == (1, False)
    assert aliases.find("b") == (2, False)
    assert aliases.find("a") == (1, True)
    assert aliases.find("c") == (2, False), "that of b"
    assert aliases.find("a") == (1, True)
    assert aliases.find("b") == (2, False), "that of c"
    aliases.forget()
    assert aliases.find("b") == (1, False), "the broker is told anew"


def test_a_broker_that_allows_none_gets_none() -> None:
    aliases = TopicAliases()
    assert [aliases.find("a") for _ in range(2)] == [(0, False)] * 2
    assert {TopicAliases(65535).find(str(n))[0] for n in range(3)} == {1}
    many = TopicAliases(65535)
    assert max(many.find(str(n))[0] for n in range(1000)) <= 64, "each costs memory at the broker"


def connect(given: BureauOptions) -> BrokerConnection:
    connection = BrokerConnection(given, client_id="box", will=None)
    connection.open()
    return connection


def acknowledged(connection: BrokerConnection, count: int) -> list[str | None]:
    """The refusals (None where there is none) of the next acknowledgements."""
    found: list[str | None] = []

    def step() -> bool:
        connection.step(0.05)
        while connection.acks:
            found.append(connection.acks.popleft()[1])
        return len(found) >= count

    eventually(step)
    return found


@needs_mosquitto
@pytest.mark.parametrize(
    ("protocol", "allowed"), [("5", ""), ("5", "max_topic_alias 3"), ("5", "max_topic_alias 0"), ("3.1.1", "")]
)
def test_subscribers_see_whole_topics(tmp_path: Path, protocol: str, allowed: str) -> None:
    settings = f"{allowed}\nallow_anonymous true"
    with Broker(tmp_path, settings=settings) as broker, Listener(broker, f"{PREFIX}/#") as bureau:
        connection = connect(options(broker.port, protocol=protocol))
        sent = [(f"{PREFIX}/topic/{n % 12}", str(n).encode()) for n in (*range(40), *(0, 1) * 5)]
        for topic, payload in sent:
            connection.publish(topic, payload, retain=False)
        assert acknowledged(connection, len(sent)) == [None] * len(sent)
        bureau.wait(lambda: len(bureau.heard) == len(sent))
        assert [(heard.topic, heard.payload) for heard in bureau.heard] == sent
        connection.close(clean=True)


@needs_mosquitto
def test_a_refused_topic_does_not_end_the_connection(tmp_path: Path) -> None:
    rules = tmp_path / "acl"
    rules.write_text(f"topic write {PREFIX}/good\ntopic read {PREFIX}/#\n")
    settings = f"allow_anonymous true\nacl_file {rules}"
    with Broker(tmp_path / "broker", settings=settings) as broker, Listener(broker, f"{PREFIX}/#") as bureau:
        connection = connect(options(broker.port))
        for _ in range(2):
            for name in ("bad", "good", "bad", "good"):
                connection.publish(f"{PREFIX}/{name}", b"x", retain=False)
            assert [refused is None for refused in acknowledged(connection, 4)] == [False, True, False, True]
        bureau.wait(lambda: len(bureau.heard) == 4)
        assert {heard.topic for heard in bureau.heard} == {f"{PREFIX}/good"}
        connection.close(clean=True)
