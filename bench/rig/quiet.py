"""Whether other machines of the host leave this one alone: its cores' time, and the caches of the core that is measured.

A neighbour on the same physical core, or one that fills the shared cache, makes everything here up to twice as slow, and no
counter of the kernel shows it. So a program (cache_probe) says how long loads take, and the best it has ever said is what is
quiet.
"""

import time

from . import stolen

L2_SLOWER, L3_SLOWER = 1.25, 2.5  # than the best, at most
FIRST_LOOKS, BETWEEN_SECONDS, PATIENCE_SECONDS = 30, 0.1, 1.5


class Quiet:
    def __init__(self, ask, cores):
        """`ask()` gives {l2_ns, l3_ns}."""
        self._ask = ask
        self._cores = cores
        self._best = ask()
        self._patience = PATIENCE_SECONDS
        for _ in range(FIRST_LOOKS):
            self._slowness()
            time.sleep(BETWEEN_SECONDS)

    def _slowness(self):
        """Of the caches, at most 1 if they are quiet."""
        now = self._ask()
        self._best = {k: min(v, now[k]) for k, v in self._best.items()}
        return max(now["l2_ns"] / self._best["l2_ns"] / L2_SLOWER, now["l3_ns"] / self._best["l3_ns"] / L3_SLOWER)

    def wait(self):
        """Until the caches are quiet, or for PATIENCE_SECONDS; half as long each time that was in vain, until they are again."""
        for _ in range(int(self._patience / BETWEEN_SECONDS)):
            if self._slowness() <= 1:
                self._patience = PATIENCE_SECONDS
                return
            time.sleep(BETWEEN_SECONDS)
        self._patience = max(self._patience / 2, BETWEEN_SECONDS)

    def during(self, action):
        """What the action gives, and how much it was disturbed: 0 is not at all. A stolen tick counts as caches twice too slow."""
        before = stolen.ticks(self._cores)
        result = action()
        taken = stolen.ticks(self._cores) - before
        return result, taken + max(0.0, self._slowness() - 1)
