"""The maximum loss-free forwarding rate, by binary search on the offered rate."""

LOSS = 0.005
ATTEMPTS = 2
LEAST = 1000  # packets a second
FAR_ABOVE = 1.25  # the answer


def search(trial, guess, ceiling, precision=0.02, loss=LOSS):
    """As search_from(). A disturbance that lasts ends a search far below the machine's limit, and that shows once it is over:
    a rate far above the answer passes, and the search begins there again."""
    best = search_from(trial, guess, ceiling, precision, loss)
    while best is not None and (above := FAR_ABOVE * best.rate) <= ceiling:
        far = trial(above)
        if far.loss > loss or far.offered <= 0.97 * above:
            break
        best = max(far, search_from(trial, far.rate, ceiling, precision, loss) or far, key=lambda t: t.rate)
    return best


def search_from(trial, guess, ceiling, precision=0.02, loss=LOSS):
    """The highest offered rate that trial(rate) forwards with no more than that loss, as its Trial; None if there is none
    down to LEAST. Starts from a guess, steps out until the answer is between two rates, then halves. Other work on the machine
    also loses packets, so a rate that fails is tried again, ATTEMPTS in all, and once more when the answer is just below it: if
    it passes then, the search goes on upwards."""
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

    low, failed = 0.0, None  # the highest that passed, the lowest that did not
    rate, step = min(guess, ceiling), 1.3
    while rate >= LEAST:
        again = rate == failed
        if passes(rate):
            low = rate
            if rate >= ceiling:
                break
            if again:
                failed, step = None, 1.1
        else:
            failed = rate
            if again:
                break
        if failed is None:
            rate = min(rate * step, ceiling)
        elif low == 0:
            rate, step = rate / step, max(step, 1.6)
        elif failed > low * (1 + precision):
            rate = (low + failed) / 2
        else:
            rate = failed
    return best
