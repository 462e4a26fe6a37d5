"""Takes a .wasm file's manifest section apart and puts another in its place, for modules of tests."""

import json

SECTION = b"netserv.manifest"


def _leb(value):
    out = bytearray()
    while True:
        byte = value & 0x7F
        value >>= 7
        out.append(byte | (0x80 if value else 0))
        if not value:
            return bytes(out)


def _read_leb(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if not byte & 0x80:
            return value, at


def _sections(wasm):
    at = 8
    while at < len(wasm):
        start, kind = at, wasm[at]
        size, body = _read_leb(wasm, at + 1)
        at = body + size
        yield kind, wasm[body:at], wasm[start:at]


def _manifest_in(kind, body):
    """The manifest, if the section is the one that holds it."""
    name_length, at = _read_leb(body, 0) if kind == 0 else (0, 0)
    if kind != 0 or body[at:at + name_length] != SECTION:
        return None
    return json.loads(body[at + name_length:].rstrip(b"\0"))


def manifest_of(wasm):
    return next(filter(None, (_manifest_in(kind, body) for kind, body, _ in _sections(wasm))))


def _manifest_section(manifest):
    payload = _leb(len(SECTION)) + SECTION + json.dumps(manifest).encode()
    return b"\0" + _leb(len(payload)) + payload


def add_manifest(wasm, **manifest):
    """The file, which has none, with a manifest."""
    return wasm + _manifest_section(manifest)


def with_manifest(wasm, **changes):
    """The file with keys of its manifest changed."""
    out = bytearray(wasm[:8])
    for kind, body, whole in _sections(wasm):
        manifest = _manifest_in(kind, body)
        if manifest is None:
            out += whole
            continue
        out += _manifest_section(manifest | changes)
    return bytes(out)
