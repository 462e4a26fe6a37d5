"""Scale's rows as curves: rate and half-load latency over each dimension."""


def plot(rows, path):
    import matplotlib
    matplotlib.use("svg")
    import matplotlib.pyplot as pyplot

    kinds = [k for k in ("filters", "side_by_side", "chain") if any(r["name"].startswith(k + "/") for r in rows)]
    if not kinds:
        return
    figure, axes = pyplot.subplots(1, len(kinds), figsize=(5 * len(kinds), 4), squeeze=False)
    for axis, kind in zip(axes[0], kinds):
        points = [(int(r["name"].split("/")[1]), r) for r in rows if r["name"].startswith(kind + "/")]
        counts = [c for c, _ in points]
        axis.plot(counts, [r["value"] / 1e3 for _, r in points], marker="o", label="MLFFR")
        axis.set_xscale("log")
        axis.set_xticks(counts, [str(c) for c in counts])
        axis.set_ylim(bottom=0)
        axis.set_xlabel(kind.replace("_", " "))
        axis.set_ylabel("kpps")
        delay = axis.twinx()
        delay.plot(counts, [r["p99_us"] for _, r in points], marker="x", color="gray", label="p99 at half load")
        delay.set_ylim(bottom=0)
        delay.set_ylabel("us")
        figure.legend()
    figure.tight_layout()
    figure.savefig(path)
