"""Waiting for calls that cannot be interrupted."""

from __future__ import annotations

import threading
import time

import pytest

from agent.core.left_behind import wait_for_call


class Enough(Exception):
    pass


def test_what_the_call_returns_or_raises_comes_back() -> None:
    assert wait_for_call("t", lambda: 7, lambda: None) == 7
    with pytest.raises(ZeroDivisionError):
        wait_for_call("t", lambda: 1 // 0, lambda: None)


def test_a_time_out_of_the_call_itself_ends_the_wait() -> None:
    def call() -> None:
        raise TimeoutError("its own")

    with pytest.raises(TimeoutError, match="its own"):
        wait_for_call("t", call, lambda: None)


def test_the_check_ends_the_wait_and_leaves_the_call_behind() -> None:
    over = threading.Event()

    def check() -> None:
        raise Enough

    begun = time.monotonic()
    with pytest.raises(Enough):
        wait_for_call("left-behind", over.wait, check)
    assert time.monotonic() - begun < 5
    left = [thread for thread in threading.enumerate() if thread.name == "left-behind"]
    assert left and left[0].daemon
    over.set()
