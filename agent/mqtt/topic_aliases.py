"""Topic aliases of MQTT 5: a number in place of a topic that was sent before on the same connection.

A box's topics are as long as fifty bytes and come again each minute. Receivers see no difference: the broker puts the topic
back.
"""

from __future__ import annotations

_MOST = 64
"""Aliases that are worth keeping; a broker may allow 65,535."""


class TopicAliases:
    """The aliases of one connection. `most`: how many the broker allows, 0 for none."""

    def __init__(self, most: int = 0) -> None:
        self.most = most
        self._by_topic: dict[str, int] = {}

    def find(self, topic: str) -> tuple[int, bool]:
        """Return (alias, whether the broker knows it); alias 0 where there is none.

        Where all are taken, the one that was used least recently is given away.
        """
        alias = self._by_topic.pop(topic, 0)
        is_known = alias > 0
        if not is_known:
            most = min(self.most, _MOST)
            if len(self._by_topic) < most:
                alias = len(self._by_topic) + 1
            elif most:
                alias = self._by_topic.pop(next(iter(self._by_topic)))
        if alias:
            self._by_topic[topic] = alias  # the last one in the order of use
        return alias, is_known

    def forget(self) -> None:
        """Send whole topics again."""
        self._by_topic.clear()
