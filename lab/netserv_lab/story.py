"""Lines that a person can follow: what is done, what was seen, with seconds since the start."""

import time


class Story:
    def __init__(self):
        self._start = time.monotonic()

    def chapter(self, text):
        self._print("\n" + text)

    def line(self, text):
        self._print(f"  [{time.monotonic() - self._start:6.1f} s]  {text}")

    @staticmethod
    def _print(text):
        print(text, flush=True)

    @property
    def seconds(self):
        return time.monotonic() - self._start
