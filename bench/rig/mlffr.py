"""The maximum loss-free forwarding rate, by binary search on the offered rate."""

LOSS = 0.005
ATTEMPTS = 2


def search(trial, guess, ceiling, precision=0.02, loss=LOSS):
    """The highest offered rate that trial(rate) forwards with no more than that loss, and its Trial. A rate that fails is
    tried again, ATTEMPTS in all: other work on the machine also loses packets. Starts from a guess, steps out until the answer is
    between two rates, then halves."""
    best = None

    def passes(rate):
        nonlocal best
        for _ in range(ATTEMPTS):
            t = trial(rate)
            if t.loss <= loss:
                if best is None or t.rate > best.rate:
                    best = t
                return t.offered > 0.97 * rate  # the generator kept up
            if t.loss > 0.1:
                return False
        return False

    low, high = 0.0, ceiling
    rate, step = min(guess, ceiling), 1.3
    while high > low * (1 + precision):
        if passes(rate):
            low = rate
            rate = min(rate * step, (low + high) / 2) if high == ceiling else (low + high) / 2
        else:
            high = rate
            rate = max(rate / step, (low + high) / 2) if low == 0 else (low + high) / 2
            step = max(step, 1.6) if low == 0 else step
        if rate < 1000:
            break
    return best
