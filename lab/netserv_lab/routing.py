"""Shortest paths through a topology, as routes: what `routing = "shortest"` means."""

from collections import deque


def shortest(hosts, links):
    """Routes to every network for every host: {host name: ["10.2.0.0/24 via 10.9.1.2", ...]}. A network is a link's
    prefix. Packets pass through routers only; of paths of the same length the one whose link comes first is taken.
    Networks on the inner side of a NAT are known there only."""
    neighbours = {name: [] for name in hosts}
    for a, b in links:
        neighbours[a.host].append((a, b))
        neighbours[b.host].append((b, a))
    return {name: _from(name, hosts, links, neighbours) for name in hosts}


def _from(start, hosts, links, neighbours):
    first_hop = {start: None}  # host -> the far end of the first link on the way there
    hidden = set()  # NATs reached from outside
    queue = deque([start])
    while queue:
        here = queue.popleft()
        if here != start and not hosts[here].router:
            continue
        for near, there in neighbours[here]:
            if there.host in first_hop or (here in hidden and _inside(hosts[here], near)):
                continue
            first_hop[there.host] = first_hop[here] or there
            if hosts[there.host].nat and not _inside(hosts[there.host], there):
                hidden.add(there.host)
            queue.append(there.host)
    order = {name: position for position, name in enumerate(first_hop)}  # as found: the nearest first
    routes = []
    for link in links:
        reached = [end for end in link if end.host in order and not (end.host in hidden and _inside(hosts[end.host], end))]
        if not reached or any(end.host == start for end in link):
            continue
        via = first_hop[min(reached, key=lambda end: order[end.host]).host]
        for address in link[0].addresses:
            gateway = next((a.ip for a in via.addresses if a.version == address.version), None)
            if gateway:
                routes.append(f"{address.network} via {gateway}")
    return routes


def _inside(host, end):
    return host.nat and end.interface != host.nat
