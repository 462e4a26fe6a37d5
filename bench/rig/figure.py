"""Figure 11's rows as a table and as a plot, beside the paper's."""

HEADS = ("packet/plane/configuration", "kpps", "ratio", "target", "bypassed", "at twice", "p50 us", "p99 us", "paper kpps")


def table(rows):
    lines = [HEADS]
    for r in rows:
        if r["name"].endswith("/overload"):
            continue
        target = r.get("target")
        verdict = f"{target:g} {'met' if r['ratio'] >= target else 'MISSED'}" if target and "ratio" in r else ""
        lines.append((r["name"], f"{r['value'] / 1e3:.1f}", f"{r['ratio']:.2f}" if "ratio" in r else "", verdict,
                      f"{r['bypassed']:.2%}" if "bypassed" in r else "", f"{r['overload'] / 1e3:.1f}" if "overload" in r else "",
                      f"{r['p50_us']:.0f}" if "p50_us" in r else "", f"{r['p99_us']:.0f}" if "p99_us" in r else "",
                      str(r.get("paper_kpps") or "")))
    widths = [max(len(line[i]) for line in lines) for i in range(len(HEADS))]
    return "\n".join("  ".join(text.ljust(w) if i == 0 else text.rjust(w) for i, (text, w) in enumerate(zip(line, widths)))
                     for line in lines)


def plot(rows, path):
    """Bars for each packet size: ours by plane, and the paper's, each as a share of its own configuration 2."""
    import matplotlib
    matplotlib.use("svg")
    import matplotlib.pyplot as pyplot

    rates = {tuple(r["name"].split("/")): r for r in rows if r["name"].count("/") == 2}
    sizes = sorted({int(size) for size, _, _ in rates})
    figure, axes = pyplot.subplots(1, len(sizes), figsize=(6 * len(sizes), 4), squeeze=False)
    for axis, size in zip(axes[0], sizes):
        of_size = {(plane, c): r for (s, plane, c), r in rates.items() if int(s) == size}
        order = [c for c in ("1", "2", "3", "4", "5", "5o", "6") if any(name == c for _, name in of_size)]
        planes = sorted({plane for plane, _ in of_size} - {"none"}, reverse=True)
        base = of_size[("none", "2")]["value"] if ("none", "2") in of_size else 1
        paper = {c: r["paper_kpps"] for (_, c), r in of_size.items() if r.get("paper_kpps")}
        width = 0.8 / (len(planes) + 1)
        for i, plane in enumerate(planes):
            got = [of_size.get((plane, c)) or of_size.get(("none", c)) for c in order]
            axis.bar([x + i * width for x in range(len(order))], [r["value"] / base if r else 0 for r in got], width,
                     label=f"NetServ, {plane}")
        axis.bar([x + len(planes) * width for x in range(len(order))],
                 [paper.get(c, 0) / paper.get("2", 1) for c in order], width, label="paper", color="lightgray")
        axis.set_xticks([x + 0.4 - width / 2 for x in range(len(order))], order)
        axis.set_title(f"{size}-byte packets; 1.0 = {base / 1e3:,.0f} kpps (paper: {paper.get('2', 0)})")
        axis.set_xlabel("configuration")
        axis.set_ylabel("MLFFR, of configuration 2")
        axis.legend()
    figure.tight_layout()
    figure.savefig(path)
