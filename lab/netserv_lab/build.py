"""Where the programs and modules of a build lie."""

import os
from pathlib import Path

from .waiting import Expected

ROOT = Path(__file__).resolve().parent.parent.parent


class Build:
    def __init__(self, folder):
        self.folder = Path(folder).resolve()

    @staticmethod
    def find(folder=None):
        """The folder named, else $NETSERV_BUILD_DIR, else the build under the source tree that was made last."""
        folder = folder or os.environ.get("NETSERV_BUILD_DIR")
        if not folder:
            programs = [p for p in [ROOT / "build/bin/netservd", *ROOT.glob("build/*/bin/netservd")] if p.exists()]
            if not programs:
                raise Expected(f"no build of netservd under {ROOT}/build: run make build, or pass --build")
            folder = max(programs, key=lambda p: p.stat().st_mtime).parent.parent
        build = Build(folder)
        build.program("netservd")
        return build

    def program(self, name):
        path = self.folder / "bin" / name
        if not path.exists():
            raise Expected(f"{path} is not built")
        return path

    def module(self, name):
        """The .wasm file of a module, by the name of its folder."""
        found = sorted(self.folder.glob(f"modules/**/{name}.wasm"))
        if not found:
            raise Expected(f"no {name}.wasm under {self.folder}/modules")
        return found[0]
