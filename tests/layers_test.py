#!/usr/bin/python3
"""Includes go down only: checks every #include in src/, sdk/ and modules/ against the table in src/README.md.

A row's folders may include what its last column names, what those may include, and themselves; folders of one row
stay apart. `cores` there means the row that calls itself cores, `all above` every row above. The SDK may be included
by all and includes only itself; modules include only the SDK.
"""

import re
import sys
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"', re.M)
ANGLE_OURS = re.compile(r"^\s*#\s*include\s+<(netserv/[^>]+)>", re.M)


def allowed_by_table(text):
    """folder -> set of folders that it may include."""
    rows = []
    for line in text.splitlines():
        cells = [c.strip() for c in line.strip().strip("|").split("|")]
        folders = re.findall(r"`(\w+)/`", cells[0])
        if len(cells) == 3 and folders:
            rows.append((folders, cells[1], cells[2]))
    allowed = {}
    cores = next((folders for folders, what, _ in rows if what.startswith("cores")), [])
    above = []
    for folders, _, may in rows:
        direct = set()
        if "all above" in may:
            direct.update(above)
        for word in re.findall(r"\w+", may):
            if word == "cores":
                direct.update(cores)
            elif word in allowed:
                direct.add(word)
        reach = set(direct)
        for folder in direct:
            reach |= allowed[folder]
        for folder in folders:
            allowed[folder] = reach | {folder}
        above += folders
    return allowed


def sources(folder):
    return (p for p in sorted((ROOT / folder).rglob("*")) if p.suffix in (".h", ".hpp", ".cc", ".c"))


def includes(path):
    text = path.read_text(errors="replace")
    return INCLUDE.findall(text) + ANGLE_OURS.findall(text)


def violations(allowed):
    src = ROOT / "src"
    sdk = ROOT / "sdk" / "include"
    for path in sources("src"):
        folder = path.relative_to(src).parts[0]
        if folder not in allowed:
            yield f"{path.relative_to(ROOT)}: folder {folder}/ is not in the table of src/README.md"
            continue
        for include in includes(path):
            target = include.split("/")[0]
            if (src / include).exists():
                if target not in allowed[folder]:
                    yield f"{path.relative_to(ROOT)}: {folder}/ may not include {include}"
            elif not (sdk / include).exists() and not (path.parent / include).exists() and target in allowed:
                yield f"{path.relative_to(ROOT)}: no such header {include}"
    for path in sources("sdk"):
        for include in includes(path):
            if (src / include).exists():
                yield f"{path.relative_to(ROOT)}: sdk/ may not include {include}"
    for path in sources("modules"):
        # Unit tests of a module run on the host; they too see only the SDK and what lies beside them.
        for include in includes(path):
            if (src / include).exists():
                yield f"{path.relative_to(ROOT)}: modules/ may not include {include}"


def own_header_not_first():
    src = ROOT / "src"
    for path in src.rglob("*.cc"):
        own = path.with_suffix(".h")
        first = re.search(r"^#include (\S+)", path.read_text(), re.M)
        if own.exists() and not (first and first[1] == f'"{own.relative_to(src)}"'):
            yield f"{path.relative_to(ROOT)}: the first include is not {own.name}"


class Layers(unittest.TestCase):
    def test_includes_go_down_only(self):
        found = list(violations(allowed_by_table((ROOT / "src" / "README.md").read_text())))
        self.assertEqual(found, [], "\n" + "\n".join(found))

    def test_a_source_begins_with_its_own_header(self):
        """So each of these headers is known to compile alone; tests/CMakeLists.txt sees to the others."""
        found = list(own_header_not_first())
        self.assertEqual(found, [], "\n" + "\n".join(found))

    def test_the_table_is_read(self):
        allowed = allowed_by_table((ROOT / "src" / "README.md").read_text())
        self.assertEqual(allowed["base"], {"base"})
        self.assertIn("base", allowed["daemons"])
        self.assertNotIn("daemons", allowed["node"])
        self.assertNotIn("sys", allowed["node"])


if __name__ == "__main__":
    unittest.main(verbosity=2)
