"""Single keys from a terminal, without Enter; the terminal's own settings always come back."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from types import FrameType

ESCAPE = "\x1b"


@contextlib.contextmanager
def keys(press: Callable[[str], None]) -> Iterator[None]:
    """Call `press` with each key, from a thread of its own, while the context lasts.

    Keys that send more than one character, as arrows do, are left out. Standard input
    must be a terminal. When it is closed, `press` gets "" and no more.
    """
    if sys.platform == "win32":
        with _windows(press):
            yield
    else:
        with _posix(press):
            yield


if sys.platform == "win32":
    import msvcrt

    @contextlib.contextmanager
    def _windows(press: Callable[[str], None]) -> Iterator[None]:
        over = threading.Event()

        def read() -> None:
            while not over.wait(0.03):
                while msvcrt.kbhit():
                    key = msvcrt.getwch()
                    if key in "\x00\xe0":  # the first half of a function key
                        msvcrt.getwch()
                    else:
                        press(key)

        thread = threading.Thread(target=read, name="keys", daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()

else:
    import select
    import termios
    import tty

    @contextlib.contextmanager
    def _posix(press: Callable[[str], None]) -> Iterator[None]:
        terminal = sys.stdin.fileno()
        before = termios.tcgetattr(terminal)
        woken, wake = os.pipe()
        thread = threading.Thread(
            target=_read, args=(terminal, woken, press), name="keys", daemon=True
        )
        try:
            with _signals(lambda: _single(terminal)):
                _single(terminal)
                thread.start()
                yield
        finally:
            os.close(wake)
            if thread.ident is not None:
                thread.join()
            os.close(woken)
            with contextlib.suppress(termios.error):  # the terminal may have been closed
                termios.tcsetattr(terminal, termios.TCSADRAIN, before)

    def _single(terminal: int) -> None:
        tty.setcbreak(terminal, termios.TCSANOW)

    def _read(terminal: int, woken: int, press: Callable[[str], None]) -> None:
        while True:
            ready, _, _ = select.select([terminal, woken], [], [])
            if woken in ready:
                return
            try:
                text = os.read(terminal, 64).decode(errors="replace")
            except OSError:
                text = ""
            if not text:
                press("")
                return
            for key in "" if text.startswith(ESCAPE) else text:
                press(key)

    @contextlib.contextmanager
    def _signals(again: Callable[[], None]) -> Iterator[None]:
        """Let an ending signal unwind the program, and come back whole from Ctrl-Z."""

        def leave(number: int, frame: FrameType | None) -> None:
            raise SystemExit(128 + number)

        before = {
            number: signal.signal(number, leave) for number in (signal.SIGTERM, signal.SIGHUP)
        }
        before[signal.SIGCONT] = signal.signal(signal.SIGCONT, lambda *_: again())
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
