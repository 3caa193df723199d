#!/usr/bin/env python3
"""The disk says no. Flushes and writes of the store fail in the running server (shim.c) while publishers work: from that moment
nobody is told success, the server ends with exit code 5 and says why, the next start is clean and holds everything that was
acknowledged; also when the power fails right after the failed call. A disk or a quota that is full is no such end: publishers
get 507, outcomes are stored, deletions work, and it recovers by itself."""
import json
import os
import random
import re
import shutil
import subprocess
import tempfile
import threading
import time
import unittest

import shim
from shim import EDQUOT, EIO, ENOSPC, harness
from harness import Receiver, until

EXIT_FATAL = 5
SEED = int(os.environ.get("HOOKLINE_SEED", time.time_ns() % 1000000))
ROUNDS = int(os.environ.get("HOOKLINE_FAULT_ROUNDS", "1" if harness.SANITIZED else "3"))
EOPNOTSUPP = 95


class Publishers:
    """Publish events with ids of their own until the server is gone; each number once."""

    def __init__(self, server, n=3, first=0):
        self.server, self.acked, self.odd, self.n = server, [], [], first
        self.lock = threading.Lock()
        self.stop = False
        self.threads = [threading.Thread(target=self.run) for _ in range(n)]
        [t.start() for t in self.threads]

    def run(self):
        client = self.server.client()
        while not self.stop:
            with self.lock:
                self.n += 1
                n = self.n
            try:
                a = client.post("/v1/events", {"type": "fault.%d" % (n % 2), "id": "f-%d" % n, "data": {"n": n, "pad": "x" * (n % 700)}})
            except Exception:  # noqa: BLE001  (a dying server)
                return
            if a.status == 202:
                self.acked.append((n, a.json["id"]))
            elif a.status == 503:
                return
            else:
                self.odd.append(a)
                return

    def join(self):
        [t.join(60) for t in self.threads]


class Base(unittest.TestCase):
    maxDiff = None

    def setUp(self):
        self.folder = os.path.realpath(tempfile.mkdtemp(prefix="hl-fault-"))
        self.addCleanup(shutil.rmtree, self.folder)
        self.data = os.path.join(self.folder, "data")
        self.control = shim.Control(os.path.join(self.folder, "control"))
        self.receiver = Receiver().start()
        self.addCleanup(self.receiver.stop)

    def server(self, **kw):
        server = shim.Server(self.data, control=self.control, **kw)
        self.addCleanup(server.__exit__)
        return server

    def clean(self):
        code, out, err = harness.run("check", self.data)
        self.assertEqual((code, out.splitlines()[-1:]), (0, ["clean"]), out + err)


class Fatal(Base):
    def fail(self, dice, **fault):
        """One life that ends by the fault."""
        server = self.life
        self.control.clear()
        server.start()
        publishers = Publishers(server)
        until(lambda: len(publishers.acked) > 20)
        before = len(publishers.acked)
        self.control.skip = dice.randrange(6)
        for name, value in fault.items():
            setattr(self.control, name, value)
        try:
            code = server.process.wait(harness.PATIENCE + 10)
        finally:
            publishers.stop = True
            publishers.join()
        log = server.log()
        self.assertEqual(code, EXIT_FATAL, "%s, seed %d: %s" % (fault, SEED, log[-3000:]))
        self.assertEqual(self.control.injected, 1, "the server went on after %s, seed %d" % (fault, SEED))
        self.assertRegex(log, "ev=serve.fatal error=\".*%s" % re.escape(os.strerror(list(fault.values())[0])))
        self.assertEqual(publishers.odd, [])
        return publishers.acked, before

    def all_there(self, api, acked):
        for n, id in acked:
            a = api.get("/v1/events/" + id)
            self.assertEqual((a.status, a.json.get("external_id")), (200, "f-%d" % n), "seed %d" % SEED)

    def lives(self, **fault):
        dice = random.Random(SEED)
        self.life = self.server()
        self.life.start()
        api = self.life.client()
        hook = api.webhook(self.receiver.url + "/ok/all", event_types=["fault.0", "fault.1"])
        api.webhook(self.receiver.url + "/flaky/1/some", event_types=["fault.0"], retry=[1])
        self.assertEqual(self.life.stop(), 0)
        acked = []
        for _ in range(ROUNDS):
            more, _ = self.fail(dice, **fault)
            acked += more
            self.clean()
        self.control.clear()
        self.life.start()
        self.all_there(api, acked)
        until(lambda: api.get("/v1/webhooks/%s/stats" % hook["id"]).json["deliveries"]["pending"] == 0)
        received = {r["headers"]["webhook-id"] for r in self.receiver.of("/ok/all")}
        self.assertEqual({id for _, id in acked} - received, set(), "lost; seed %d" % SEED)
        self.assertEqual(self.life.stop(), 0)
        self.clean()

    def test_flush(self):
        self.lives(sync=EIO)

    def test_write(self):
        self.lives(write=EIO)

    def test_write_without_room(self):
        self.lives(write=ENOSPC)

    def test_last_page(self):
        self.lives(meta=EIO)

    def test_last_page_written_all_the_same(self):
        self.lives(meta_after=EIO)

    def test_a_start_whose_disk_fails(self):
        """Exit 4 when the start itself has to flush something, else 5 with the first change; then all is as before."""
        server = self.server()
        server.start()
        key = server.key
        self.assertEqual(server.stop(), 0)
        self.control.sync = EIO
        code = self.ended(server)
        self.assertEqual(code, EXIT_FATAL if "serve.fatal" in server.log() else 4, server.log())
        self.control.clear()
        server.start()
        self.assertEqual(server.client(key=key).get("/v1/events").status, 200)
        self.assertEqual(server.stop(), 0)
        self.clean()

    def ended(self, server):
        """A start that is not to become ready unless nothing had to be flushed; then the first change ends it."""
        server.start(wait=False)
        until(lambda: server.process.poll() is not None or "ev=serve.ready" in server.log())
        if server.process.poll() is None:
            server.ready()
            try:
                server.client(key=server.key).publish("x")
            except Exception:  # noqa: BLE001
                pass
        return server.process.wait(harness.PATIENCE + 10)

    def test_power_cut_after_a_failed_flush(self):
        """What the system calls flushed is what power.c takes as flushed; a failed call is none."""
        for fault in ("sync", "meta", "meta_after"):
            self.data = os.path.join(self.folder, fault)
            trace, book, work = (os.path.join(self.folder, fault + "." + n) for n in ("trace", "book", "work"))
            os.mkdir(work)
            self.control.clear()
            self.life = self.server(trace=trace)
            self.life.start()
            self.life.client()
            self.assertEqual(self.life.stop(), 0)
            acked, _ = self.fail(random.Random(SEED), **{fault: EIO})
            sent = {}
            for stream in shim.streams(trace):
                for record, body, _ in stream.answers():
                    found = re.match(rb'\{"id":"([-0-9a-f]+)","deliveries"', body)
                    if found:
                        sent[found.group(1).decode()] = record
            with open(book, "w", encoding="utf-8") as f:
                for n, id in acked:
                    f.write("V\tevent\tf-%d\t%s\n" % (n, json.dumps({"n": n, "pad": "x" * (n % 700)})))
                    f.write("A\t%d\tevent\tf-%d\t0\n" % (sent[id], n))
            done = subprocess.run([os.path.join(shim.BUILD, "tests", "crash", "power"), trace, book, work, "--states", "300", "--seed", str(SEED),
                                   "--tail", "30"], capture_output=True, text=True, timeout=300)
            self.assertEqual(done.returncode, 0, "%s, seed %d: %s%s" % (fault, SEED, done.stdout, done.stderr[-1000:]))


class Full(Base):
    """As 50-limits.py does it with a small disk, for those who may not mount one; and quotas of the file system."""

    def full(self, number):
        with self.server() as server:
            api = server.client()
            hook = api.webhook(self.receiver.url + "/status/500/fill", event_types=["fill"], retry=[3600])
            small = api.webhook(self.receiver.url + "/flaky/2/small", event_types=["small"], retry=[1])
            api.publish("small")
            self.control.allocate = number
            pad, acked = "x" * 500000, []
            while True:
                a = api.post("/v1/events", {"type": "fill", "data": pad})
                if a.status != 202:
                    break
                acked.append(a.json["id"])
                self.assertLess(len(acked), 400)
            self.assertEqual((a.status, a.json["code"]), (507, "store_full"), a)
            self.assertIn("retry-after", a.headers)
            self.assertEqual(api.get("/readyz").status, 503)
            self.assertEqual(api.get("/livez").status, 200)
            api.wait_deliveries("succeeded", webhook=small["id"])
            until(lambda: api.get("/v1/webhooks/%s/stats" % hook["id"]).json["pending_by_error"].get("http_status") == len(acked))
            self.assertEqual(api.patch("/v1/webhooks/" + small["id"], {"enabled": False}).status, 200)
            self.assertEqual(api.delete("/v1/webhooks/%s?drop_history=true" % hook["id"]).status, 204)
            until(lambda: api.get("/v1/webhooks/" + hook["id"]).status == 404)
            self.control.clear()
            until(lambda: api.post("/v1/events", {"type": "small", "data": 1}).status == 202, "room again")
            until(lambda: api.get("/readyz").status == 200)
            for id in acked[::7]:
                self.assertEqual(api.get("/v1/events/" + id).status, 200)
            self.assertEqual(server.stop(), 0)
        self.clean()

    def test_disk(self):
        self.full(ENOSPC)

    def test_nothing_is_sent_when_its_outcome_would_not_fit(self):
        """Else the commit fails, and after the restart the same requests are sent again. Tests of webhooks keep no outcome."""
        with self.server() as server:
            api = server.client()
            hook = api.webhook(self.receiver.url + "/status/200/wait")
            due = time.time() + 1
            for n in range(5):
                api.publish("wait", n, deliver_after=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(due)))
            self.assertEqual(server.stop(), 0)
            self.control.allocate = ENOSPC
            server.start()
            api = server.client()
            server.wait_log("ev=store.reserve_spent")
            until(lambda: time.time() > due + 0.5)
            self.assertEqual(api.post("/v1/webhooks/%s/test" % hook["id"]).status, 200)
            self.assertEqual([r["target"] for r in self.receiver.records], ["/status/200/wait"])
            self.assertEqual(api.get("/readyz").status, 503)
            self.control.clear()
            api.wait_deliveries("succeeded", webhook=hook["id"], n=5)
            until(lambda: api.get("/readyz").status == 200)
            self.assertEqual(server.stop(), 0)
        self.clean()

    def test_quota(self):
        self.full(EDQUOT)

    def test_a_file_system_that_cannot_reserve(self):
        """Room is guessed there; when the guess was wrong the commit fails, and that is an end in order."""
        self.control.allocate = EOPNOTSUPP
        server = self.server()
        server.start()
        api = server.client()
        acked = [(n, api.publish("fault.0", {"n": n}, id="f-%d" % n)["id"]) for n in range(50)]
        self.control.growth = ENOSPC
        publishers = Publishers(server, first=1000)
        self.assertEqual(server.process.wait(harness.PATIENCE + 10), EXIT_FATAL, server.log()[-2000:])
        publishers.join()
        self.assertEqual(publishers.odd, [])
        self.clean()
        self.control.clear()
        server.start()
        for n, id in acked + publishers.acked:
            self.assertEqual(api.get("/v1/events/" + id).status, 200)
        self.assertEqual(server.stop(), 0)
        self.clean()


if __name__ == "__main__":
    unittest.main(verbosity=1, warnings="ignore")
