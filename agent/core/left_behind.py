"""Calls that nothing can interrupt, such as the system's resolver: in a thread that is left behind where nobody waits."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

from agent.core.shortage import convert_shortage

T = TypeVar("T")
_SLICE_S = 0.2


def start_call(name: str, call: Callable[[], T]) -> Future[T]:
    """Run `call` in a thread that does not keep the process from ending. Raises Shortage where none can be started."""
    future: Future[T] = Future()

    def run() -> None:
        try:
            result = call()
        except BaseException as error:  # noqa: BLE001 - handed to the thread that waits, which raises it there
            future.set_exception(error)
        else:
            future.set_result(result)

    with convert_shortage():
        threading.Thread(target=run, name=name, daemon=True).start()
    return future


def wait_for_call(name: str, call: Callable[[], T], check: Callable[[], None]) -> T:
    """Return what `call` returns, or raise what it raises; `check` ends the wait by what it raises."""
    future = start_call(name, call)
    while not future.done():
        try:
            return future.result(_SLICE_S)
        except TimeoutError:  # or the call's own, which the next round raises
            check()
    return future.result()
