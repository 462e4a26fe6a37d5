#!/usr/bin/env python3
"""Writes RFC 4475's test messages, bit-exact, beside this script, from the archive in the RFC's Appendix A.1.

    extract.py rfc4475.txt [FOLDER]
"""
import base64
import io
import pathlib
import re
import sys
import tarfile


def messages(rfc_text):
    # The markers also occur in the recipe before it.
    block = rfc_text.rsplit("-- BEGIN MESSAGE ARCHIVE --", 1)[1].split("-- END MESSAGE ARCHIVE --")[0]
    # Page headers and footers hold blanks within the line; base64 lines do not.
    lines = [line.strip() for line in block.splitlines() if re.fullmatch(r"\s*\S+\s*", line)]
    archive = tarfile.open(fileobj=io.BytesIO(base64.b64decode("".join(lines))), mode="r:gz")
    return {pathlib.PurePath(m.name).name: archive.extractfile(m).read() for m in archive if m.isfile()}


def main():
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    folder = pathlib.Path(sys.argv[2]) if len(sys.argv) == 3 else pathlib.Path(__file__).parent
    for name, content in sorted(messages(pathlib.Path(sys.argv[1]).read_text(errors="replace")).items()):
        (folder / name).write_bytes(content)
        print(f"{name} {len(content)}")


if __name__ == "__main__":
    main()
