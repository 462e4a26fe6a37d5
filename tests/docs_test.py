#!/usr/bin/python3
"""What the documentation lists is what the code has: metrics and their counters, kinds of events, options."""

import os
import re
import subprocess
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def text(path):
    return (ROOT / path).read_text()


def body(code, start):
    """From `start` to the end of that function or table."""
    at = code.index(start)
    return code[at:code.index("\n}", at)]


def literals(code):
    return set(re.findall(r'"([a-z][a-z0-9_-]*)"', code))


def documented(page, heading):
    """The names in backquotes in the first column of the table under `heading`."""
    section = text(page).split(f"## {heading}\n", 1)[1].split("\n## ", 1)[0]
    rows = [line.split("|")[1] for line in section.splitlines() if line.startswith("| `")]
    return {name for row in rows for name in re.findall(r"`([^`]+)`", row)}


def planes_counters():
    found = set()
    for path in sorted((ROOT / "src/plane").rglob("*.cc")):
        code = path.read_text()
        for function in re.finditer(r"std::map<std::string, std::uint64_t> \w+::counters\(\)", code):
            found |= literals(body(code, function.group()))
    table = text("src/plane/xdp/program.cc")
    table = table[table.index("kCounterNames[NSX_COUNTERS] = {"):]
    return found | literals(table[:table.index("};")])


def core_counters(kind):
    return literals(body(text("src/forward/counters.cc"), f"to_string({kind} counter)"))


def service_counters(variable):
    return set(re.findall(variable + r'\["([a-z_]+)"\]', text("src/daemons/forwarder_worker.cc")))


class Metrics(unittest.TestCase):
    def same(self, code, page, heading):
        docs = documented(page, heading)
        self.assertTrue(code)
        self.assertEqual(code - docs, set(), f"exported, but not in {page}, {heading}")
        self.assertEqual(docs - code, set(), f"in {page}, {heading}, but not exported")

    def test_every_metric_is_listed(self):
        exported = set(re.findall(r'"(netserv_[a-z_]+)"', text("src/daemons/netservd/measures.cc")))
        self.same(exported, "docs/metrics.md", "Names")

    def test_every_counter_of_the_node_is_listed(self):
        exported = core_counters("NodeCounter") | service_counters(r"stats\.node")
        self.same(exported, "docs/metrics.md", "Counters of `netserv_forwarder_total`, on each plane")

    def test_every_counter_of_the_planes_is_listed(self):
        docs = documented("docs/metrics.md", "On the xdp plane") | documented("docs/metrics.md", "On the netfilter plane")
        self.assertEqual(docs ^ planes_counters(), set())

    def test_every_counter_of_a_container_is_listed(self):
        exported = core_counters("ContainerCounter") | service_counters(r"c\.counters")
        self.same(exported, "docs/metrics.md", "Counters of `netserv_forwarder_container_total`")


class Lives(unittest.TestCase):
    """docs/life-of-*.md name the functions that are visited, as `name()` or `Class::name()`."""

    def test_every_function_visited_is_there(self):
        code = "\n".join(p.read_text() for p in (ROOT / "src").rglob("*") if p.suffix in (".h", ".cc", ".c"))
        for page in sorted((ROOT / "docs").glob("life-of-*.md")):
            named = set(re.findall(r"`([A-Za-z_][\w:]*)\(\)`", page.read_text()))
            self.assertGreater(len(named), 10, page.name)
            missing = {name for name in named if not self.has(code, *name.split("::"))}
            self.assertEqual(missing, set(), page.name)

    @staticmethod
    def has(code, *name):
        *scopes, function = name
        scopes_there = all(re.search(rf"\b(class|struct|namespace) (\w+::)*{scope}\b", code) for scope in scopes)
        return scopes_there and re.search(rf"\b{function}\(", code) is not None


class Events(unittest.TestCase):
    def test_every_kind_is_listed(self):
        kinds = literals(body(text("src/daemons/netservd/report.cc"), "std::string event_kind(")) - {"on"}
        switched = re.search(r'kPublisherDisabled, who, enable.on \? "(\w+)" : "(\w+)"', text("src/node/requests.cc"))
        kinds |= set(switched.groups())  # that one's kind is its text
        page = text("docs/admin-socket.md")
        listed = page[page.index("`kind` is one of"):]
        listed = set(re.findall(r"`([a-z-]+)`", listed[:listed.index("Clients show")])) - {"kind"}
        self.assertEqual(kinds ^ listed, set())


OPTION = re.compile(r"(?<![\w-])--[a-z][a-z0-9-]*")


def man_page_options(page):
    plain = re.sub(r"\\f[A-Z]", "", text(f"docs/man/{page}")).replace("\\-", "-")
    return set(OPTION.findall(plain))


def help_options(program, *command):
    """The options of a program's --help and of its commands'; the lab's are not the program's own."""
    said = subprocess.run([program, *command, "--help"], capture_output=True, text=True, check=True).stdout
    found = {m.group(1) for m in re.finditer(r"^\s+(?:-\w,)?(--[a-z][a-z0-9-]*)", said, re.M)} - {"--help"}
    commands = said.split("Subcommands:")[1] if "Subcommands:" in said else ""
    for name in re.findall(r"^  ([a-z][a-z-]*)  +\S", commands, re.M):
        if name != "lab":
            found |= help_options(program, *command, name)
    return found


class ManPages(unittest.TestCase):
    def program(self, name):
        path = Path(os.environ.get("NETSERV_BUILD_DIR", ROOT / "build")) / "bin" / name
        self.assertTrue(path.exists(), f"{path} is not built")
        return path

    def test_daemons_pages_list_every_option_and_no_other(self):
        for page, name in (("netservd.8", "netservd"), ("netserv-forwarder.8", "netserv-forwarder"), ("gistd.8", "gistd"),
                           ("nslpd.8", "nslpd"), ("gist-ping.1", "gist-ping")):
            with self.subTest(page):
                listed, known = man_page_options(page), help_options(self.program(name))
                self.assertEqual(known - listed, set(), "not in the page")
                self.assertEqual(listed - known, set(), "in the page only")

    def test_the_commands_page_names_options_that_there_are(self):
        # Of setup and the like it names those that need explaining; --help has all.
        self.assertEqual(man_page_options("netserv.1") - help_options(self.program("netserv")), {"--help"})

    def test_every_command_has_an_example_and_json(self):
        netserv = self.program("netserv")

        def walk(*command):
            said = subprocess.run([netserv, *command, "--help"], capture_output=True, text=True, check=True).stdout
            if "Subcommands:" in said:
                for name in re.findall(r"^  ([a-z][a-z-]*)  +\S", said.split("Subcommands:")[1], re.M):
                    if name != "lab":
                        walk(*command, name)
                return
            with self.subTest(" ".join(command)):
                self.assertIn("Example:", said)
                self.assertIn("--json", said)
        walk()


if __name__ == "__main__":
    unittest.main(verbosity=2)
