"""Lines that a person can follow: what is done, what was seen, with seconds since the start."""

import json
import time


class Story:
    def __init__(self, as_json=False):
        """As JSON: a line each, {"seconds", "chapter"} or {"seconds", "line"}."""
        self._start = time.monotonic()
        self._json = as_json

    def chapter(self, text):
        self._tell("chapter", text, "\n" + text)

    def line(self, text):
        self._tell("line", text, f"  [{self.seconds:6.1f} s]  {text}")

    def _tell(self, kind, text, for_people):
        print(json.dumps({"seconds": round(self.seconds, 3), kind: text}) if self._json else for_people, flush=True)

    @property
    def seconds(self):
        return time.monotonic() - self._start
