"""the main job: a SIP client's keep-alives answered near it, by a module that the publisher sent towards it"""

from netserv_lab import probe, sip
from netserv_lab.visualizer import Visualizer
from netserv_lab.waiting import expect, until

TOPOLOGY = "sites"
NEEDS = (*probe.NODE, "sipp")
RATE = 20
WINDOW = 60  # keep-alives that each claim is made over

KEEPALIVE, NETMONITOR = "NetServ.apps.KeepAlive_1.0.0", "NetServ.apps.NetMonitor_1.0.0"


def run(lab, story):
    user, server_host = lab["user"], lab["server"]
    publisher = lab.publisher
    routers = list(lab.nodes)

    story.chapter("The network")
    story.line("publisher, SIP server, visualizer - gate - WEST - core1 - MIDDLE - core2 - EAST - access - user")
    story.line(f"NetServ runs on {', '.join(routers)}; the routers between them run nothing of ours")
    lab.start()
    for name, node in lab.nodes.items():
        status = node.status()
        story.line(f"{name}: plane {status['plane']}: {status['plane_reason']}")
    visualizer = Visualizer(lab["visualizer"])
    publisher.serve("keepalive", "netmonitor")

    def arrived():
        return server_host.udp_counters()["InDatagrams"]

    def sent():
        return user.udp_counters()["OutDatagrams"]

    def answered():
        return user.udp_counters()["InDatagrams"]

    def deploy(module_id, file, *options):
        story.line(f"SETUP {module_id} towards {user.address()}: signed by {publisher.name}, filter udp port 5060 to the server")
        answer = publisher.setup_toward(user.address(), module_id, file, "--no-wait", "--filter-port", 5060,
                                        "--filter-proto", "udp", "--filter-dst", f"{server_host.address()}/32", *options)
        for n in answer.nodes:
            story.line(f"  {n['node']:8} {n['address']:12} round trip {n['rtt_ms']:6.1f} ms   {n['state']} ({n['text']})")
        expect(answer.names == routers, f"the response stack is the path: {answer}")
        expect(set(answer.each("state")) == {"INSTALLING"}, f"{module_id} is fetched and compiled everywhere: {answer}")
        for node in lab.nodes.values():
            node.wait_for_state(module_id, "ACTIVE")
        probed = publisher.toward(user.address(), "probe", module_id, check=True)
        story.line("PROBE: " + ", ".join(f"{n['node']} {n['state']}" for n in probed.nodes))
        expect(set(probed.each("state")) == {"ACTIVE"}, f"{module_id} is ACTIVE everywhere: {probed}")

    story.chapter("1. Without a module: the SIP server gets every keep-alive")
    server = sip.Server(server_host)
    client = sip.Client(user, server_host, rate=RATE)
    until(lambda: arrived() >= WINDOW, "keep-alives arrive at the SIP server")
    story.line(f"the user's phone sends {RATE} OPTIONS a second: {sent()} sent, {arrived()} arrived at the SIP server, {answered()} answered")

    story.chapter("2. NetMonitor, sent towards the user: it finds every NetServ router on the way")
    deploy(NETMONITOR, "netmonitor.wasm", "--property", "netserv.order=-10",
           *[word for p in visualizer.properties for word in ("--property", p)])
    flow = (user.address(), server_host.address())

    def seen():
        return {ttl: n for (source, to, ttl), n in visualizer.counts().items() if (source, to) == flow and n >= 10}

    until(lambda: len(seen()) == len(routers),
          lambda: f"every router's NetMonitor reports the user's packets; reported: {visualizer.counts()}")
    for name, (ttl, packets) in zip(reversed(routers), sorted(seen().items(), reverse=True)):
        story.line(f"reported to the visualizer: {flow[0]} -> {flow[1]}  TTL {ttl}: {packets} packets ({name})")

    story.chapter("3. KeepAlive the same way: keep-alives are answered at the router nearest to the user")
    deploy(KEEPALIVE, "keepalive.wasm")
    settled = answered() + 10  # those that were on their way to the server have come back
    until(lambda: answered() >= settled, "answers keep coming")
    arrived_before, answered_before = arrived(), answered()
    until(lambda: answered() >= answered_before + WINDOW, "the client's keep-alives are answered")
    at_server, at_user = arrived() - arrived_before, answered() - answered_before
    story.line(f"of the next keep-alives {at_user} were answered, {at_server} arrived at the SIP server")
    expect(at_server == 0, f"no keep-alive arrives at the SIP server; {at_server} did")

    story.chapter("4. REMOVE: the SIP server gets them again")
    for module_id in (KEEPALIVE, NETMONITOR):
        answer = publisher.toward(user.address(), "remove", module_id, check=True)
        story.line(f"REMOVE {module_id}: " + ", ".join(f"{n['node']} {n['text']}" for n in answer.nodes))
    arrived_before = arrived()
    until(lambda: arrived() >= arrived_before + WINDOW, "keep-alives arrive at the SIP server again")
    story.line(f"{arrived() - arrived_before} keep-alives arrived at the SIP server since")

    story.chapter("5. The books")
    status = client.finish()
    until(lambda: answered() == sent(), lambda: f"every keep-alive is answered: {sent()} sent, {answered()} answered")
    at_router = sent() - arrived()
    story.line(f"sipp: {client.successful} calls successful, {client.failed} failed, exit status {status}")
    story.line(f"{sent()} sent = {arrived()} arrived at the SIP server + {at_router} answered at {routers[-1]}")
    expect(status == 0 and client.failed == 0, f"every sipp call succeeds:\n{client.process.tail()}")
    expect(at_router >= WINDOW, "the router answered")
    expect(server.process.running(), "the SIP server is still there")
    story.line(f"done in {story.seconds:.0f} s")
