#!/usr/bin/python3
"""The search for the maximum loss-free forwarding rate, on machines that are made up."""

import sys
import unittest
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "bench"))

from rig import mlffr  # noqa: E402

CEILING = 4_000_000


@dataclass
class Trial:
    offered: float
    loss: float

    @property
    def rate(self):
        return self.offered * (1 - self.loss)


class Machine:
    """Forwards `capacity` a second, but for the trials (by number, from 1) in which somebody else has half of it."""

    def __init__(self, capacity, disturbed=(), most_offered=CEILING):
        self.capacity, self.disturbed, self.most_offered = capacity, disturbed, most_offered
        self.trials = 0

    def trial(self, rate):
        self.trials += 1
        capacity = self.capacity / 2 if self.trials in self.disturbed else self.capacity
        offered = min(rate, self.most_offered)
        return Trial(offered, max(0.0, 1 - capacity / offered))


class SearchTest(unittest.TestCase):
    def found(self, machine, guess=200_000):
        best = mlffr.search(machine.trial, guess, CEILING)
        self.assertLessEqual(machine.trials, 40)
        return best.rate if best else None

    def test_the_answer_is_found_from_any_guess(self):
        for capacity in (3_000, 150_000, 200_000, 1_234_567, 3_900_000):
            for guess in (1_500, 200_000, 1_000_000, CEILING):
                with self.subTest(capacity=capacity, guess=guess):
                    rate = self.found(Machine(capacity), guess)
                    self.assertLessEqual(rate, capacity)
                    self.assertGreater(rate, capacity * 0.975)

    def test_a_disturbed_trial_does_not_decide(self):
        for number in range(1, 20):
            with self.subTest(trial=number):
                self.assertGreater(self.found(Machine(400_000, {number})), 400_000 * 0.95)

    def test_a_disturbance_that_lasts_does_not_decide_once_it_is_over(self):
        for first in range(1, 12):
            with self.subTest(first=first):
                machine = Machine(400_000, range(first, first + 6))
                best = mlffr.search(machine.trial, 200_000, CEILING)
                self.assertGreater(best.rate, 400_000 / mlffr.FAR_ABOVE * 0.95)

    def test_a_machine_as_fast_as_the_ceiling_or_the_generator(self):
        self.assertEqual(self.found(Machine(2 * CEILING)), CEILING)
        self.assertEqual(self.found(Machine(2 * CEILING), CEILING), CEILING)
        self.assertEqual(self.found(Machine(2 * CEILING, most_offered=500_000)), 500_000)

    def test_one_that_forwards_nothing(self):
        self.assertIsNone(self.found(Machine(1)))


if __name__ == "__main__":
    unittest.main()
