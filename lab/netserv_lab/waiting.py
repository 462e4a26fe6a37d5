"""Waiting for conditions. Nothing in the lab sleeps for a length of time and hopes."""

import time

# How long a condition may take on a slow, shared machine before the run is called failed. No test measures by it.
PATIENCE = 30.0


class Expected(Exception):
    """Something that a scenario expects did not come about."""


def until(condition, what, patience=PATIENCE, every=0.02):
    """Calls condition() until it returns something true, and returns that. `what` may be a function: it is asked for
    the text at the end, when it can tell what was seen last."""
    deadline = time.monotonic() + patience
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise Expected(f"not within {patience:g} s: {what() if callable(what) else what}")
        time.sleep(every)


def expect(truth, what):
    if not truth:
        raise Expected(what() if callable(what) else what)
