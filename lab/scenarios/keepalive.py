"""the main job: a SIP client's keep-alives answered at the router by a module deployed there while they flow"""

from netserv_lab import probe, sip
from netserv_lab.story import Story
from netserv_lab.visualizer import Visualizer
from netserv_lab.waiting import expect, until

TOPOLOGY = "edge"
NEEDS = (*probe.NODE, "sipp")
RATE = 20
WINDOW = 60  # keep-alives that each claim is made over

KEEPALIVE, NETMONITOR = "NetServ.apps.KeepAlive_1.0.0", "NetServ.apps.NetMonitor_1.0.0"


def run(lab):
    story = Story()
    client_host, server_host = lab["client"], lab["server"]
    publisher = lab.publisher

    story.chapter("The network")
    story.line(f"client {client_host.address()} -- edge router (NetServ) -- SIP server {server_host.address()}")
    story.line(f"also at the router: publisher {publisher.host.address()}, visualizer {lab['visualizer'].address()}")
    node = lab.node.start()
    status = node.status()
    story.line(f"node up: plane {status['plane']} ({status['plane_detail']}): {status['plane_reason']}")
    visualizer = Visualizer(lab["visualizer"])
    publisher.serve("keepalive", "netmonitor")

    def arrived():
        return server_host.udp_counters()["InDatagrams"]

    def sent():
        return client_host.udp_counters()["OutDatagrams"]

    def answered():
        return client_host.udp_counters()["InDatagrams"]

    story.chapter("1. Without a module: the SIP server gets every keep-alive")
    server = sip.Server(server_host)
    client = sip.Client(client_host, lab["server"], rate=RATE)
    until(lambda: arrived() >= WINDOW, "keep-alives arrive at the SIP server")
    story.line(f"client sends {RATE} OPTIONS a second: {sent()} sent, {arrived()} arrived at the SIP server, {answered()} answered")

    story.chapter("2. The publisher deploys two modules on the router")
    for module_id, file, headers in (
        (NETMONITOR, "netmonitor.wasm", {"properties": ["netserv.order=-10", *visualizer.properties]}),
        (KEEPALIVE, "keepalive.wasm", {}),
    ):
        story.line(f"SETUP {module_id}: signed by {publisher.name}, {publisher.url(file)}, filter udp port 5060 towards the server")
        answer = publisher.setup(node, module_id, file, wait=False, filter_port=5060, filter_proto="udp",
                                 filter_dst=f"{server_host.address()}/32", **headers)
        story.line(f"  answer: {answer['state']} ({answer['text']})")
        expect(answer["state"] in ("INSTALLING", "ACTIVE"), f"SETUP is answered INSTALLING: {answer}")
        seen = [answer["state"]]

        def active():
            state = node.state_of(module_id)
            if state != seen[-1]:
                seen.append(state)
                story.line(f"  {module_id}: {state}")
            expect(state != "FAILED", f"{module_id} failed: {node.module(module_id)}")
            return state == "ACTIVE"

        until(active, f"{module_id} becomes ACTIVE", 60)

    story.chapter("3. Keep-alives are answered at the router")
    settled = answered() + 10  # those that were on their way to the server have come back
    until(lambda: answered() >= settled, "answers keep coming")
    arrived_before, answered_before = arrived(), answered()
    until(lambda: answered() >= answered_before + WINDOW, "the client's keep-alives are answered")
    at_server, at_client = arrived() - arrived_before, answered() - answered_before
    story.line(f"of the client's next keep-alives {at_client} were answered, {at_server} arrived at the SIP server")
    expect(at_server == 0, f"no keep-alive arrives at the SIP server; {at_server} did")

    story.chapter("4. NetMonitor's counts arrive at the visualizer")
    flow = (client_host.address(), server_host.address())

    def counted():
        return {k: n for k, n in visualizer.counts().items() if k[:2] == flow and n >= WINDOW}

    until(counted, lambda: f"NetMonitor reports the client's packets; it reported {visualizer.counts()}")
    for (source, destination, ttl), packets in counted().items():
        story.line(f"{source} -> {destination}  TTL {ttl}: {packets} packets ({len(visualizer.reports())} reports)")

    story.chapter("5. REMOVE: the SIP server gets them again")
    for module_id in (KEEPALIVE, NETMONITOR):
        answer = publisher.remove(node, module_id)
        story.line(f"REMOVE {module_id}: {answer['text']}")
    arrived_before = arrived()
    until(lambda: arrived() >= arrived_before + WINDOW, "keep-alives arrive at the SIP server again")
    story.line(f"{arrived() - arrived_before} keep-alives arrived at the SIP server since")

    story.chapter("6. The books")
    status = client.finish()
    until(lambda: answered() == sent(), lambda: f"every keep-alive is answered: {sent()} sent, {answered()} answered")
    at_router = sent() - arrived()
    story.line(f"sipp: {client.successful} calls successful, {client.failed} failed, exit status {status}")
    story.line(f"{sent()} sent = {arrived()} arrived at the SIP server + {at_router} answered at the router")
    expect(status == 0 and client.failed == 0, f"every sipp call succeeds:\n{client.process.tail()}")
    expect(at_router >= WINDOW, "the router answered")
    expect(server.process.running(), "the SIP server is still there")
    story.line(f"done in {story.seconds:.0f} s")
