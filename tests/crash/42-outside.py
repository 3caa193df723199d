#!/usr/bin/env python3
"""What the machine around the server refuses: descriptors, names, a steady clock. Deliveries wait and go out when it is over; who
asks for health is answered meanwhile."""
import glob
import http.client
import os
import resource
import shutil
import socket
import subprocess
import tempfile
import time
import unittest

import shim  # noqa: F401  (finds the harness)
from shim import harness
from harness import Receiver, Server, until

from nameserver import SERVFAIL, Answer, NameServer

FAKETIME = glob.glob("/usr/lib/*/faketime/libfaketimeMT.so.1")
HOUR = 3600


def connect(port):
    s = socket.socket()
    s.settimeout(5)
    s.connect(("127.0.0.1", port))
    return s


class Descriptors(unittest.TestCase):
    def server(self, files):
        limit = lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))  # noqa: E731
        return Server(settings={"delivery.timeout": "2s"}, preexec_fn=limit)

    def cpu(self, server, seconds):
        """The share of a processor it takes."""
        def ticks():
            with open("/proc/%d/stat" % server.process.pid, encoding="ascii") as f:
                fields = f.read().rsplit(")", 1)[1].split()
            return int(fields[11]) + int(fields[12])
        before = ticks()
        time.sleep(seconds)
        return (ticks() - before) / os.sysconf("SC_CLK_TCK") / seconds

    def test_none_left(self):
        """Everything is taken, by somebody the server does not count: a kept connection is served and tells health, what is
        published is attempted and tried again, and once descriptors are back everything is answered and delivered."""
        with Receiver() as receiver, self.server(1024) as server:
            api = server.client()
            hooks = [api.webhook("%s/slow/300/%d" % (receiver.url, i), event_types=["few"], retry=[1] * 30) for i in range(30)]
            health = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
            for path in ("/livez", "/readyz"):
                health.request("GET", path)
                self.assertEqual(health.getresponse().read() and 200, 200)
            used = len(os.listdir("/proc/%d/fd" % server.process.pid))
            resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE, (used + 4, 1024))
            crowd = []
            for _ in range(100):
                try:
                    crowd.append(connect(server.port))
                except OSError:
                    break
            events = [api.publish("few", n)["id"] for n in range(5)]
            for _ in range(20):
                for path, want in (("/livez", 200), ("/readyz", 200)):
                    health.request("GET", path)
                    a = health.getresponse()
                    self.assertEqual((a.status, bool(a.read())), (want, True))
                time.sleep(0.02)
            self.assertIsNone(server.process.poll(), server.log()[-2000:])
            attempts = until(lambda: api.get("/v1/webhooks/%s/stats" % hooks[-1]["id"]).json["pending_by_error"], "failing attempts")
            self.assertEqual(set(attempts), {"internal"}, attempts)
            self.assertLess(self.cpu(server, 0.5), 0.25, "it waits busily")
            [s.close() for s in crowd]
            resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE, (1024, 1024))
            until(lambda: len(api.deliveries(status="succeeded", event=events[0])) == 30, "deliveries", harness.PATIENCE * 2)
            for w in hooks:
                until(lambda: api.get("/v1/webhooks/%s/stats" % w["id"]).json["deliveries"] ==
                      {"pending": 0, "succeeded": 5, "failed": 0, "cancelled": 0}, "all of them", harness.PATIENCE * 2)
            with connect(server.port) as s:
                s.sendall(b"GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
                self.assertIn(b"200 OK", s.recv(1000))
            health.close()
            self.assertEqual(server.stop(), 0, server.log()[-2000:])
            self.assertEqual(server.check()[0], 0)

    def test_none_at_the_start(self):
        """Too few to start with is said; with the fewest that are enough it works."""
        for files in (4, 20, 63):
            limit = lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))  # noqa: E731,B023
            done = subprocess.run([harness.PROGRAM, "serve", "--allow-root", "--data", "/nonexistent"], preexec_fn=limit, env=harness.clean_env(),
                                  capture_output=True, text=True, timeout=30)
            if harness.SANITIZED and done.returncode not in (0, 1):
                continue    # the sanitizer's own files
            self.assertEqual(done.returncode, 1, done.stderr)
            if files > 4:   # libraries are files as well
                self.assertIn("%d open files are allowed" % files, done.stderr)
        with Receiver() as receiver, self.server(64) as server:
            api = server.client()
            api.webhook(receiver.url + "/ok/few")
            api.publish("few")
            receiver.wait(1)
            self.assertEqual(server.log().count("ev=serve.few_files"), 2)
            self.assertEqual(server.stop(), 0)


class Names(unittest.TestCase):
    """A receiver whose name cannot be found is tried again, as class dns, until it can."""

    def life(self, fail, mend, **settings):
        with Receiver() as receiver, NameServer() as ns:
            settings = {"egress.dns_servers": ns.address, "egress.ports": "1-65535", **settings}
            fail(ns)
            with Server(settings=settings) as server:
                api = server.client()
                w = api.webhook("http://shop.test:%d/ok/names" % receiver.port, retry=[1] * 20)
                id = api.publish("named")["id"]
                until(lambda: api.get("/v1/webhooks/%s/stats" % w["id"]).json["pending_by_error"].get("dns") == 1, "an attempt of class dns")
                mend(ns)
                d = api.wait_deliveries("succeeded", timeout=harness.PATIENCE * 2)[0]
                attempts = api.delivery(d["id"])["attempts"]
                self.assertGreater(len(attempts), 1)
                self.assertEqual({a["error"]["class"] for a in attempts[:-1]}, {"dns"}, attempts)
                self.assertEqual([r["headers"]["webhook-id"] for r in receiver.records], [id])
                self.assertEqual(server.stop(), 0, server.log()[-2000:])
                self.assertEqual(server.check()[0], 0)

    def mend(self, ns):
        ns["shop.test"] = Answer(a=["127.0.0.1"], ttl=0)

    def test_servfail(self):
        self.life(lambda ns: ns.__setitem__("shop.test", Answer(rcode=SERVFAIL)), self.mend)

    def test_no_answer(self):
        self.life(lambda ns: ns.__setitem__("shop.test", Answer(silent=True)), self.mend)

    def test_unknown_name(self):
        self.life(lambda ns: None, self.mend)

    def test_no_name_server(self):
        """Its port is closed; then one listens there."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.bind(("127.0.0.1", 0))
            port = s.getsockname()[1]
        late = []

        def mend(ns):
            late.append(NameServer())
            late[0].udp.close()
            late[0].udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            late[0].udp.bind(("127.0.0.1", port))
            self.mend(late[0])
            late[0].__enter__()
        try:
            self.life(lambda ns: None, mend, **{"egress.dns_servers": "127.0.0.1:%d" % port})
        finally:
            for ns in late:
                ns.__exit__()


@unittest.skipIf(harness.SANITIZED, "the sanitizer and libfaketime both want to be loaded first")
class Clock(unittest.TestCase):
    """The wall clock of the running server jumps; the monotonic one goes on."""

    def setUp(self):
        self.assertTrue(FAKETIME, "the Debian package libfaketime is missing: tools/deps install test")
        self.folder = tempfile.mkdtemp(prefix="hl-clock-")
        self.addCleanup(shutil.rmtree, self.folder)
        self.jump(0)
        env = harness.clean_env(LD_PRELOAD=FAKETIME[0], FAKETIME_TIMESTAMP_FILE=self.now, FAKETIME_NO_CACHE="1",
                                FAKETIME_DONT_FAKE_MONOTONIC="1")
        self.server = Server(env=env, settings={"server.sandbox": "off"})
        self.addCleanup(self.server.__exit__)
        self.server.start()
        self.api = self.server.client()
        self.receiver = Receiver().start()
        self.addCleanup(self.receiver.stop)

    @property
    def now(self):
        return os.path.join(self.folder, "now")

    def jump(self, seconds):
        with open(self.now + ".new", "w", encoding="ascii") as f:
            f.write("%+d\n" % seconds)
        os.rename(self.now + ".new", self.now)

    def hook(self, behaviour, retry):
        return self.api.webhook("%s/%s" % (self.receiver.url, behaviour), retry=retry)

    def stats(self, w):
        return self.api.get("/v1/webhooks/%s/stats" % w["id"]).json["deliveries"]

    def finish(self):
        self.assertEqual(self.server.stop(), 0, self.server.log()[-2000:])
        code, out, err = self.server.check()
        self.assertEqual(code, 0, out + err)
        self.assertEqual([line for line in self.server.log().splitlines() if "level=error" in line], [])

    def test_forward(self):
        """What waited for hours is due at once; what waited past its window gets its one late attempt."""
        soon, late = self.hook("flaky/1/soon", [2 * HOUR]), self.hook("flaky/1/late", [10 * HOUR])
        id = self.api.publish("jump")["id"]
        until(lambda: len(self.receiver.records) == 2)
        self.jump(3 * HOUR)
        self.api.publish("nudge")
        until(lambda: len(self.receiver.of("/flaky/1/soon")) >= 2)
        until(lambda: self.stats(soon)["pending"] <= 1)
        self.assertEqual([r["headers"]["webhook-id"] for r in self.receiver.of("/flaky/1/late")].count(id), 1)
        self.jump(90 * HOUR)
        self.api.publish("nudge")
        until(lambda: [r["headers"]["webhook-id"] for r in self.receiver.of("/flaky/1/late")].count(id) == 2)
        d = [d for d in self.api.deliveries(webhook=late["id"]) if d["event_id"] == id][0]
        until(lambda: self.api.delivery(d["id"])["status"] == "succeeded")
        self.assertEqual(self.api.delivery(d["id"])["attempts"][-1]["trigger"], "late")
        self.finish()

    def test_backward(self):
        """A retry is not put off by more than the wait that was under way; new events go out at once; numbers and ids go on."""
        w = self.hook("flaky/1/back", [2])
        first = self.api.publish("jump")
        until(lambda: len(self.receiver.records) == 1)
        self.jump(-5 * HOUR)
        start = time.monotonic()
        second = self.api.publish("jump")
        until(lambda: self.stats(w) == {"pending": 0, "succeeded": 2, "failed": 0, "cancelled": 0}, timeout=30)
        self.assertLess(time.monotonic() - start, 15)
        ids = [e["id"] for e in self.api.get("/v1/events").json["data"]]
        self.assertEqual(ids, [second["id"], first["id"]], "newest first, whatever the clock said")
        self.assertEqual(self.server.stop(), 0)
        self.server.start()
        self.api.publish("jump")
        until(lambda: self.stats(w)["succeeded"] == 3)
        self.finish()

    def test_there_and_back(self):
        """Ten jumps in both directions while events come in: each is delivered once."""
        w = self.hook("flaky/1/many", [1, 1, 1, 1])
        ids = []
        for n in range(10):
            self.jump((n % 3 - 1) * n * HOUR // 2)
            ids += [self.api.publish("many", [n, i])["id"] for i in range(5)]
        self.jump(0)
        self.api.publish("nudge")
        until(lambda: self.stats(w)["succeeded"] == 51, timeout=60)
        good = [r["headers"]["webhook-id"] for r in self.receiver.records if r.get("status") in (None, 204)]
        self.assertLessEqual(set(ids), set(good))
        self.assertEqual(len(self.receiver.records), 2 * 51, "one failure and one success each")
        self.finish()


if __name__ == "__main__":
    unittest.main(verbosity=1, warnings="ignore")
