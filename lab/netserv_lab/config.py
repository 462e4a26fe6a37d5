"""The configuration of a lab node; packaging/netservd.example.toml says what each key means."""

import json

# The lab's own addresses, which a real node would not fetch from.
RANGES = ["10.0.0.0/8", "fd00::/8"]


def text(node):
    tables = [
        ("[node]", {
            "address": node.host.address(),
            "state_folder": str(node.state_folder),
            "run_folder": str(node.run_folder),
            "cache_folder": str(node.cache_folder),
            **({"program_folder": str(node.program_folder)} if node.program_folder else {}),
            "management": [str(a.ip) for end in node.host.spec.ends for a in end.addresses],
            "withhold": node.withhold,
        }),
        ("[forwarder]", {
            "plane": node.plane,
            "interfaces": [end.interface for end in node.host.spec.ends],
            "bypass": node.bypass,
            "workers": node.workers,
        }),
        ("[containers]", {"pool4": "100.64.0.0/24", "pool6": "fd64::/112", "idle_seconds": 2}),
        ("[helpers]", {"fetch_seconds": node.fetch_seconds, "private_ranges": RANGES}),
        ("[metrics]", {"listen": node.metrics_address}),
        ("[log]", {"level": "debug"}),
    ]
    for publisher in node.publishers:
        tables.append(("[[publisher]]", {
            "name": publisher.name,
            "key": publisher.public_key,
            "destinations": RANGES,
            "blocks": ["packet/1", "timer/1", "log/1", "properties/1", "counters/1", "udp/1"],
            "egress": RANGES,
            "emit_packets_per_second": 100000,
            "bandwidth_kbit": 10_000_000,
            **publisher.policy,
        }))
    return "\n".join(f"{header}\n" + "".join(f"{k} = {json.dumps(v)}\n" for k, v in keys.items())
                     for header, keys in tables)
