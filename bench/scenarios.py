"""The scenarios. Each takes a Plan, returns a list of rows and puts what was measured into them; see report.py."""
import dataclasses, json, socket, statistics, subprocess, time

import rig
from market import alerts
from report import Row
from rig import CONNECTIONS, Failed


@dataclasses.dataclass
class Plan:
    quick: bool

    def pick(self, quick, full):
        return quick if self.quick else full


median = statistics.median
BUSY = 256          # connections where a sender may choose: more than enough for BullMQ


def at_most(n):
    """Settings for as many connections to the receiver as the yardstick has."""
    return {"delivery.max_in_flight": n, "delivery.max_slow": n}


def alternate(n, ours, beside):
    """n laps of ours, each between two of the yardstick, with which it is compared."""
    mine, other = [], [beside()]
    for _ in range(n):
        mine.append(ours())
        other.append(beside())
    return mine, other, [o / ((a + b) / 2) for o, a, b in zip(mine, other, other[1:])]


# ---- delivering

def settled(nginx, since, wanted, limit_s):
    """Waits until `wanted` more requests than `since` have come. Returns how long ago the last one came, to 10 ms."""
    end = time.monotonic() + limit_s
    while (got := nginx.count() - since) < wanted:
        if time.monotonic() > end:
            raise Failed(f"delivered {got} of {wanted} within {limit_s} s")
        time.sleep(0.01)
    return time.monotonic()


def deliver_once(server, nginx, seconds, connections=CONNECTIONS):
    """Publishes for some seconds; the rate counts until the last delivery has arrived."""
    body = json.dumps({"type": "bench.event", "data": rig.event_data()}, separators=(",", ":"))
    before, cpu, began = nginx.count(), server.cpu_s(), time.monotonic()
    sent = rig.wrk(f"http://127.0.0.1:{server.port}", seconds, body, connections, "/v1/events", {
        "Authorization": f"Bearer {server.key}", "Content-Type": "application/json"})
    if sent["bad"]:
        raise Failed(f"{sent['bad']} publishes refused")
    took = settled(nginx, before, sent["ok"], 30) - began
    n = nginx.count() - before
    cpu = {k: round((v - cpu.get(k, 0)) / n * 1e6, 1) for k, v in server.cpu_s().items()}
    return {"delivered": n, "rate": n / took, "published_rate": sent["rate"], "ack_p50_ms": sent["p50_ms"],
            "ack_p99_ms": sent["p99_ms"], "drain_s": round(took - sent["seconds"], 2), "cpu_us_per_delivery": cpu}


class Delivering:
    """Server, webhook and nginx, and the laps of fan-out 1 between them."""

    def __init__(self, plan, connections=CONNECTIONS, tls=False):
        self.plan, self.connections, self.nginx, self.laps = plan, connections, rig.Nginx(tls), []
        self.server = rig.Server(at_most(connections) | ({"tls.ca_file": self.nginx.cert} if tls else {}))
        self.headers, self.body = rig.caught(self.server)
        self.server.webhook(self.nginx.url + "/", max_in_flight=connections)
        deliver_once(self.server, self.nginx, 1, connections)

    def lap(self):
        self.laps.append(deliver_once(self.server, self.nginx, self.plan.pick(3, 4), self.connections))
        return self.laps[-1]["rate"]

    def stream_lap(self):
        """As queues and logs are fed: one connection, up to 256 events on it that have no answer yet; the server reads no more."""
        n, before, cpu, began = self.plan.pick(80_000, 200_000), self.nginx.count(), self.server.cpu_s(), time.monotonic()
        accepted = json.loads(rig.run([rig.OUT / "batch", self.server.port, self.server.key, n, 1, "bench.event",
                                       rig.BODY_BYTES - 130]))["accepted"]
        if accepted != n:
            raise Failed(f"{n - accepted} of {n} events refused")
        rate = n / (settled(self.nginx, before, n, 30) - began)
        cpu = {k: round((v - cpu.get(k, 0)) / n * 1e6, 1) for k, v in self.server.cpu_s().items()}
        self.laps.append({"delivered": n, "rate": rate, "cpu_us_per_delivery": cpu})
        return rate

    def wrk(self):
        return rig.wrk(self.nginx.url, self.plan.pick(2, 3), self.body, self.connections, "/", self.headers)["rate"]

    def row(self, scenario, what, yardstick, n, beside, ours=None, **bounds):
        first = len(self.laps)
        mine, other, ratios = alternate(n, ours or self.lap, beside)
        return Row(scenario, what, median(mine), "/s", yardstick, median(other), median(ratios), **bounds,
                   detail={"ratios": [round(r, 3) for r in ratios], "laps": self.laps[first:]})

    def stop(self):
        self.server.stop()
        self.nginx.stop()


def deliver(plan):
    d = Delivering(plan)
    what = "deliveries, fan-out 1, 1 KiB, {} connections"
    rows = [d.row("deliver", what.format(CONNECTIONS), "wrk -> nginx", plan.pick(2, 5), d.wrk, least=0.2, goal=0.3)]
    d.stop()
    d = Delivering(plan, BUSY)
    what = what.format(BUSY)
    rows.append(d.row("deliver", what, "wrk -> nginx", plan.pick(1, 3), d.wrk, goal=0.3))
    fed = f"deliveries, fan-out 1, 1 KiB, {BUSY} connections, published over one"
    for fsync, note in (("always", "as durable"), ("everysec", "may lose a second")):
        sender = BullMQ(plan, d.nginx, fsync)
        beside = f"BullMQ + Redis, appendfsync {fsync} ({note})"
        rows.append(d.row("deliver", fed, beside, plan.pick(1, 3), sender.lap, d.stream_lap, least=5, goal=10))
        rows.append(d.row("deliver", what, beside, plan.pick(1, 3), sender.lap))
        sender.stop()
    sender = SyslogNg(plan, d.nginx)
    beside = "syslog-ng http(), disk buffer (no fsync, unsigned)"
    rows.append(d.row("deliver", fed, beside, plan.pick(1, 3), sender.lap, d.stream_lap, goal=2.5))
    sender.stop()
    d.stop()
    return rows


def tls(plan):
    d = Delivering(plan, tls=True)
    what = f"deliveries over TLS, fan-out 1, 1 KiB, {CONNECTIONS} connections"
    row = d.row("tls", what, "wrk -> nginx over TLS", plan.pick(2, 5), d.wrk, goal=0.3)
    d.stop()
    return [row]


class BullMQ:
    def __init__(self, plan, nginx, fsync):
        if not (rig.HERE / "node_modules" / "bullmq").exists():
            raise Failed("BullMQ is not installed (tools/deps install bench)")
        self.nginx, self.count, self.redis = nginx, plan.pick(8000, 24000), rig.Redis(fsync)
        program, pipes = rig.HERE / "bullmq.js", {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        self.worker = rig.start(["node", program, "worker", self.redis.port, nginx.url, BUSY], **pipes)
        self.producer = rig.start(["node", program, "producer", self.redis.port, "-", BUSY, rig.BODY_BYTES],
                                  **pipes)
        for p in (self.worker, self.producer):
            if p.stdout.readline() != "ready\n":
                raise Failed("BullMQ did not start")
        self.send(4000) # to warm up

    def send(self, n):
        before, began = self.nginx.count(), time.monotonic()
        self.producer.stdin.write(f"{n}\n")
        self.producer.stdin.flush()
        return n / (settled(self.nginx, before, n, 120) - began)

    def lap(self):
        rate = self.send(self.count)
        self.redis.settle()
        return rate

    def stop(self):
        rig.stop(self.producer)
        rig.stop(self.worker)
        self.redis.stop()


class SyslogNg:
    """C, libcurl, 32 threads; its buffer survives a restart but is not synced per event, and nothing is signed."""

    def __init__(self, plan, nginx):
        self.nginx, self.count = nginx, plan.pick(20000, 60000)
        place, self.port = rig.scratch(), rig.free_port()
        (place / "conf").write_text(f"""@version: 3.35
options {{ stats-freq(0); log-msg-size(65536); }};
source s {{ network(ip(127.0.0.1) port({self.port}) transport(tcp) flags(no-parse) max-connections(64)
  log-iw-size(6400)); }};
destination d {{ http(url("{nginx.url}/") method("POST") body("$MSG") headers("Content-Type: application/json")
  workers(32) batch-lines(1)
  disk-buffer(reliable(yes) disk-buf-size(1073741824) mem-buf-size(67108864) dir("{place}"))); }};
log {{ source(s); destination(d); flags(flow-control); }};
""")
        self.process = rig.start(["syslog-ng", "-F", "--no-caps", "-f", place / "conf", "-R", place / "persist",
                                  "-c", place / "control", "-p", place / "pid"], stderr=subprocess.DEVNULL)
        rig.wait_until("syslog-ng", lambda: rig.accepts(self.port), 10)

    def lap(self):
        line = (json.dumps({"type": "bench.event", "data": rig.event_data(rig.BODY_BYTES - 30)}) + "\n").encode()
        before, began = self.nginx.count(), time.monotonic()
        with socket.create_connection(("127.0.0.1", self.port)) as s:
            for _ in range(self.count // 100):
                s.sendall(line * 100)
            return self.count / (settled(self.nginx, before, self.count, 120) - began)

    def stop(self):
        rig.stop(self.process)


def fanout(plan):
    nginx = rig.Nginx()
    server = rig.Server(at_most(CONNECTIONS))
    headers, body = rig.caught(server)
    webhooks, events = 1000, plan.pick(60, 200)
    server.webhooks({"url": f"{nginx.url}/{i}"} for i in range(webhooks))
    cpu = []

    def publish(n):
        before, cpu_before, began = nginx.count(), server.cpu_s(), time.monotonic()
        for _ in range(n):
            if server.publish(rig.event_data())["deliveries"] != webhooks:
                raise Failed("an event did not reach every webhook")
        rate = n * webhooks / (settled(nginx, before, n * webhooks, 60) - began)
        cpu.append({k: round((v - cpu_before[k]) / n / webhooks * 1e6, 1) for k, v in server.cpu_s().items()})
        return rate

    publish(5) # to warm up
    mine, other, ratios = alternate(plan.pick(2, 5), lambda: publish(events), lambda: rig.wrk(
        nginx.url, plan.pick(2, 3), body, CONNECTIONS, "/", headers)["rate"])
    server.stop()
    nginx.stop()
    return [Row("fanout", "deliveries, fan-out 1 to 1000, 1 KiB, 64 connections", median(mine), "/s", "wrk -> nginx",
                median(other), median(ratios), least=0.35, goal=0.5,
                detail={"ratios": [round(r, 3) for r in ratios], "cpu_us_per_delivery": cpu})]


# ---- waiting

def latency(plan):
    server, port = rig.Server(), rig.free_port()
    server.webhook(f"http://127.0.0.1:{port}/")
    laps = []
    for _ in range(3):
        out = rig.run([rig.OUT / "probe", port, server.port, server.key, plan.pick(400, 2000), 5])
        laps.append(json.loads(out)) # the webhook stays, each lap listens there again
    server.stop()
    mid = sorted(laps, key=lambda l: l["delivered_p99_ms"])[1]
    return [Row("latency", "publish to receiver, unloaded, p99", mid["delivered_p99_ms"], "ms", most=10, goal=5,
                detail={"laps": laps, "fdatasync_us": rig.fsync_us()}),
            Row("latency", "publish to receiver, unloaded, p50", mid["delivered_p50_ms"], "ms"),
            Row("latency", "publish to 202, unloaded, p50", mid["acked_p50_ms"], "ms")]


def publish_evenly(server, types, per_second, seconds):
    """Publishes events of the types in turn, each saying when it was sent. Returns how many began over 0.5 s late."""
    late, fill, began = 0, rig.event_data(900)["fill"], time.monotonic()
    for i in range(int(per_second * seconds)):
        ahead = began + i / per_second - time.monotonic()
        if ahead > 0:
            time.sleep(ahead)
        late += ahead < -0.5
        server.publish({"sent_ns": time.monotonic_ns(), "fill": fill}, types[i % len(types)])
    return late


def spread(healthy, silent, healthy_port, silent_port, groups):
    """Webhooks on addresses of their own, `groups` event types, so that each event goes to one part of them."""
    # the silent ones are spread over the groups like the others
    address = lambda i: f"127.{16 + i // 62500}.{i // 250 % 250}.{i % 250 + 1}"
    for i in range(healthy + silent):
        port = healthy_port if i < healthy else silent_port
        yield {"url": f"http://{address(i)}:{port}/", "event_types": [f"bench.g{i % groups}"]}


def isolated(healthy, silent, groups, per_second, seconds, settings=(), settle=1.0):
    good, bad = rig.Sink("answer"), rig.Sink("silent")
    server = rig.Server(settings)
    server.webhooks(spread(healthy, silent, good.port, bad.port, groups), 32)
    types = [f"bench.g{i}" for i in range(groups)]
    late = publish_evenly(server, types, per_second, seconds)
    time.sleep(settle)
    stats = good.stats() | {"late_publishes": late}
    stats["expected"] = sum(len(range(i % groups, healthy, groups)) for i in range(int(per_second * seconds)))
    server.stop()
    good.stop()
    bad.stop()
    return stats


def isolation(plan):
    none, some = [], []
    for _ in range(plan.pick(1, 4)):
        none.append(isolated(1000, 0, 50, 100, plan.pick(8, 15)))
        some.append(isolated(990, 10, 50, 100, plan.pick(8, 15)))
    p99 = lambda laps: median(l["p99_ms"] for l in laps)
    rows = [Row("isolation", "p99 of healthy receivers, 10 of 1000 hang", p99(some), "ms", "none hangs", p99(none),
                median(s["p99_ms"] / n["p99_ms"] for s, n in zip(some, none)), most=1.25, goal=1.1,
                detail={"none": none, "some": some})]
    hung = isolated(100, 10000, 50, 10, plan.pick(20, 45), settle=3)
    if hung["n"] < hung["expected"]:
        hung["missing"] = hung["expected"] - hung["n"]
    what = "p99 of 100 healthy receivers beside 10,000 that hang"
    rows.append(Row("isolation", what, hung["p99_ms"] / 1000, "s", most=2, detail=hung))
    return rows


# ---- holding

def backlog(plan):
    pending, fan = plan.pick(100_000, 1_000_000), 10
    server, nowhere = rig.Server(), rig.free_port()
    for i in range(fan): # nobody listens there: the queues park and everything stays pending
        server.webhook(f"http://127.0.0.1:{nowhere}/{i}", event_types=["bench.pending"])
    quiet = ingest_rate(server, 2)
    out = rig.run([rig.OUT / "batch", server.port, server.key, pending // fan, 4, "bench.pending",
                   rig.BODY_BYTES - 130], 300)
    filled = json.loads(out)
    if filled["deliveries"] != pending:
        raise Failed(f"{filled['deliveries']} deliveries instead of {pending}")
    time.sleep(2)
    full = server.memory()
    loaded = ingest_rate(server, 2)
    store_mib = sum(f.stat().st_blocks for f in server.dir.iterdir() if f.is_file()) * 512 // 2**20
    server.halt()
    server.launch()
    time.sleep(1)
    after = server.memory()
    begun = server.start_s
    waiting = sum(w["pending"] for w in server.call("GET", "/v1/undelivered?limit=250")["data"])
    if waiting != pending:
        raise Failed(f"{waiting} pending after the restart instead of {pending}")
    server.stop()
    n = f"{pending:,} pending"
    return [Row("backlog", f"{n}: RssAnon", max(full["anon_mib"], after["anon_mib"]), "MiB", most=150, goal=100,
                detail={"before_restart": full, "after_restart": after, "store_mib": store_mib, "filled": filled}),
            Row("backlog", f"{n}: start until ready", begun, "s", most=2, goal=1),
            Row("backlog", f"{n}: publish rate", loaded, "/s", "same, nothing pending", quiet, loaded / quiet)]


def ingest_rate(server, seconds):
    body = json.dumps({"type": "bench.nobody", "data": rig.event_data()}, separators=(",", ":"))
    sent = rig.wrk(f"http://127.0.0.1:{server.port}", seconds, body, CONNECTIONS, "/v1/events", {
        "Authorization": f"Bearer {server.key}", "Content-Type": "application/json"})
    if sent["bad"]:
        raise Failed(f"{sent['bad']} publishes refused")
    return sent["rate"]


def ingest(plan):
    server, redis, rows = rig.Server(), rig.Redis("always"), []
    server.webhook(f"http://127.0.0.1:{rig.free_port()}/", event_types=["bench.somebody"])

    def batch():
        return json.loads(rig.run([rig.OUT / "batch", server.port, server.key, plan.pick(100_000, 300_000), 4,
                                   "bench.nobody", rig.BODY_BYTES - 130]))["per_second"]

    for what, ours in (("events by single POSTs, 64 connections", lambda: ingest_rate(server, plan.pick(2, 4))),
                       ("events by NDJSON, 4 connections", batch)):
        mine, other, ratios = alternate(plan.pick(1, 3), ours, lambda: redis_xadd(redis, plan.pick(60_000, 150_000)))
        rows.append(Row("ingest", what, median(mine), "/s", "Redis XADD, appendfsync always", median(other),
                        median(ratios), detail={"ratios": [round(r, 3) for r in ratios]}))
    redis.stop()
    server.stop()
    return rows


def redis_xadd(redis, n):
    out = rig.run(["redis-benchmark", "-p", redis.port, "-c", CONNECTIONS, "-n", n, "--csv", "XADD", "bench", "*",
                   "event", "x" * rig.BODY_BYTES])
    redis_rate = float(out.strip().split("\n")[-1].split('","')[1])
    rig.run(["redis-cli", "-p", redis.port, "DEL", "bench"])
    return redis_rate


def idle(plan):
    nginx, server = rig.Nginx(), rig.Server()
    for i in range(10):
        server.webhook(f"{nginx.url}/{i}")
    for _ in range(20):
        server.publish(rig.event_data())
    time.sleep(plan.pick(6, 10)) # kept connections are closed after 4 s
    seconds, before = plan.pick(10, 30), server.wakeups()
    time.sleep(seconds)
    rate = (server.wakeups() - before) / seconds
    memory = server.memory()
    server.stop()
    nginx.stop()
    return [Row("idle", "RssAnon", memory["anon_mib"], "MiB", most=20, goal=20, detail=memory),
            Row("idle", "wake-ups of all threads", rate, "/s", most=1, goal=1)]


ALL = {f.__name__: f for f in (deliver, tls, fanout, latency, isolation, backlog, ingest, alerts, idle)}
