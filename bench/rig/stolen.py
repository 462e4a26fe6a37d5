"""Time that a hypervisor has given to other machines, from /proc/stat, in its ticks."""


def ticks(cores, text=None):
    """Stolen from these cores since the machine's start."""
    text = open("/proc/stat").read() if text is None else text
    names = {f"cpu{core}" for core in cores}
    return sum(int(line.split()[8]) for line in text.splitlines() if line.split(" ", 1)[0] in names)
