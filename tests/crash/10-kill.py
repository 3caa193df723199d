#!/usr/bin/env python3
"""10,000 events to 20 webhooks of mixed formats and moods, the server killed with -9 five times meanwhile and started again
on the same directory; publishers send what was not acknowledged again with the same id. The checker then compares what was
attempted, what was acknowledged and what was received:

    lost        acknowledged, not received by a healthy webhook: none
    unexpected  received, never published: none
    duplicates  received again although answered with 2xx: counted, bounded by what may be in flight at a kill
    changed     bytes of data, bodies between attempts, webhook-ids, signatures: none wrong
    store       `hookline check` clean after every kill and at the end; counters as expected"""
import base64
import json
import os
import queue
import random
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "e2e"))
import harness  # noqa: E402
from harness import Server, until  # noqa: E402

N = int(os.environ.get("HOOKLINE_CRASH_EVENTS", "1500" if harness.SANITIZED else "10000"))
KILLS = 5
SEED = int(os.environ.get("HOOKLINE_SEED", time.time_ns() % 1000000))
PUBLISHERS = 4
MAX_IN_FLIGHT, MAX_UNCOMMITTED = 2000, 4096      # the defaults of the options

# (mood, format, further members); dead is a port nobody listens on
HOOKS = ([("ok", "standard", {})] * 4 + [("tls", "standard", {})] + [("slow", "standard", {"max_in_flight": 100})] * 2 +
         [("flaky", "standard", {}), ("resets", "standard", {}), ("limited", "standard", {}), ("hangs", "standard", {"timeout": 1})] +
         [("ok", "google_sheets", {}), ("flaky", "google_sheets", {}), ("ok", "discord", {}), ("flaky", "discord", {}),
          ("discord_limited", "discord", {}), ("telegram", "telegram", {}), ("telegram", "telegram", {}),
          ("never", "standard", {}), ("dead", "standard", {})])
UNHEALTHY = ("never", "dead")


def event_data(n):
    """What a sender that re-serialises would change."""
    return ('{"n":%d,"big":%d%021d,"price":%d.10,"text":"\u00e9\\u00e9 \\/ %s","z":1.0,"a":[1, 2,  3]}' %
            (n, n + 1, n, n % 100, "x" * (n * 7 % 300))).encode()


class Crowd:
    """The receivers, in a node process of their own."""

    def __init__(self, folder, certs, secrets):
        with open(os.path.join(folder, "data"), "wb") as f:
            f.write(b"".join(event_data(n) + b"\n" for n in range(N)))
        hooks = [{"mood": "ok" if mood in ("tls", "dead") else mood, "format": format,
                  "secret": secrets[i] if format in ("standard", "google_sheets") else None} for i, (mood, format, _) in enumerate(HOOKS)]
        self.process = subprocess.Popen(["node", os.path.join(HERE, "receiver.mjs")], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.say({"hooks": hooks, "data": os.path.join(folder, "data"), "cert": certs["good"][0], "key": certs["good"][1]})
        self.ports = json.loads(self.process.stdout.readline())

    def say(self, what):
        self.process.stdin.write((what if isinstance(what, str) else json.dumps(what)).encode() + b"\n")
        self.process.stdin.flush()

    def report(self):
        self.say("report")
        return json.loads(self.process.stdout.readline())

    def stop(self):
        self.process.stdin.close()
        self.process.wait(30)
        self.process.stdout.close()


class Publishers:
    """Threads that publish every number, again with the same id until it was acknowledged."""

    def __init__(self, server):
        self.server = server
        self.todo = queue.SimpleQueue()
        for n in range(N):
            self.todo.put(n)
        self.acked = {}              # number → id of the event
        self.retried = self.replayed = 0
        self.errors = []
        self.threads = [threading.Thread(target=self.run, daemon=True) for _ in range(PUBLISHERS)]

    def run(self):
        client = self.server.client()
        while True:
            try:
                n = self.todo.get_nowait()
            except queue.Empty:
                return
            body = b'{"type":"crash.%d","id":"e-%d","data":%s}' % (n % 3, n, event_data(n))
            while n not in self.acked:
                try:
                    a = client.post("/v1/events", body)
                except Exception:  # noqa: BLE001  (whatever a dying server looks like)
                    self.retried += 1
                    time.sleep(0.01)
                    continue
                if a.status == 202:
                    self.replayed += a.json["replayed"]
                    self.acked[n] = a.json["id"]
                elif a.status not in (429, 503):
                    self.errors.append(a)
                    return
                else:
                    time.sleep(0.01)


class Kill(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="hl-crash-")
        self.addCleanup(shutil.rmtree, self.folder)
        certs = harness.make_certs(self.folder)
        secrets = ["whsec_" + base64.b64encode(os.urandom(32)).decode() for _ in HOOKS]
        self.crowd = Crowd(self.folder, certs, secrets)
        self.addCleanup(self.crowd.stop)
        self.server = Server(settings={"tls.ca_file": certs["ca"], "egress.allow_hosts": "localhost"})
        self.addCleanup(self.server.__exit__)
        self.server.start()
        self.api = self.server.client()
        self.ids = [self.register(i, secrets[i]) for i in range(len(HOOKS))]

    def register(self, i, secret):
        mood, format, members = HOOKS[i]
        url = "http://127.0.0.1:%d/%d" % (1 if mood == "dead" else self.crowd.ports["http"], i)
        if mood == "tls":
            url = "https://localhost:%d/%d" % (self.crowd.ports["https"], i)
        if mood == "dead":
            with socket.socket() as s:
                s.bind(("127.0.0.1", 0))
                url = "http://127.0.0.1:%d/" % s.getsockname()[1]
        if format == "telegram":
            url += "?chat_id=1"
        return self.api.webhook(url, format=format, secret=secret, retry=[1], **members)["id"]

    def kill(self, why):
        self.server.kill()
        code, out, err = self.server.check()
        self.assertEqual((code, out.splitlines()[-1:]), (0, ["clean"]), "after a kill (%s): %s%s" % (why, out, err))
        start = time.monotonic()
        self.server.start()
        self.down.append(time.monotonic() - start)

    def stats(self, i):
        return self.api.get("/v1/webhooks/%s/stats" % self.ids[i]).json

    def healthy(self):
        return [i for i in range(len(HOOKS)) if HOOKS[i][0] not in UNHEALTHY]

    def test_kill(self):
        dice = random.Random(SEED)
        self.down = []
        start = time.monotonic()
        publishers = Publishers(self.server)
        [t.start() for t in publishers.threads]
        # four kills while events come in, one while the rest is delivered
        marks = sorted(dice.sample(range(N // 20, N), KILLS - 1))
        for mark in marks:
            until(lambda: len(publishers.acked) >= mark or publishers.errors, "%d events acknowledged" % mark, 120)
            self.kill("%d acknowledged" % len(publishers.acked))
        [t.join(120) for t in publishers.threads]
        self.assertEqual(publishers.errors, [])
        self.assertEqual(len(publishers.acked), N)
        published = time.monotonic() - start
        time.sleep(dice.uniform(0, 0.5))          # a random moment, not a wait for anything
        self.kill("delivering")
        for i in self.healthy():
            until(lambda: self.stats(i)["deliveries"]["pending"] == 0, "webhook %d %s done: %s" % (i, HOOKS[i], self.stats(i)), 120, 0.1)
        until(lambda: self.stats(18)["deliveries"]["pending"] == 0, "the refusing webhook done", 60, 0.1)
        self.judge(publishers, published, time.monotonic() - start)

    def judge(self, publishers, published, took):
        report = self.crowd.report()
        self.assertEqual(report["faults"], {}, report["examples"])
        lost, duplicates, again = [], 0, 0
        for i in self.healthy():
            good = report["hooks"][i]["good"]
            lost += [(i, n) for n in publishers.acked if good[n] == 0]
            duplicates += sum(g - 1 for g in good if g > 1)
            again += sum(report["hooks"][i]["seen"])
        print("seed %d: %d events, %d kills; published in %.1f s, delivered in %.1f s; requests %d; sent again by publishers %d, "
              "of those known already %d; lost %d; duplicates %d; restart at most %.2f s" %
              (SEED, N, KILLS, published, took, again, publishers.retried, publishers.replayed, len(lost), duplicates, max(self.down)))
        self.assertEqual(lost, [])
        self.assertLessEqual(duplicates, KILLS * (MAX_IN_FLIGHT + MAX_UNCOMMITTED))
        self.assertEqual([n for n in range(N) if report["ids"][n] != publishers.acked[n]], [], "webhook-id is the event's id")
        self.assertEqual(self.api.get("/v1/accounts/default").json["totals"]["events"], N, "an event was stored twice")
        for i in range(len(HOOKS)):
            s = self.stats(i)["deliveries"]
            want = {"dead": "pending", "never": "failed"}.get(HOOKS[i][0], "succeeded")
            self.assertEqual(s, dict({"pending": 0, "succeeded": 0, "failed": 0, "cancelled": 0}, **{want: N}), HOOKS[i])
        self.assertTrue(self.stats(19)["parked"])
        self.assertEqual(self.server.stop(), 0, self.server.log()[-2000:])
        code, out, err = self.server.check()
        self.assertEqual((code, out.splitlines()[-1]), (0, "clean"), out + err)
        self.assertEqual([line for line in self.server.log(all_runs=True).splitlines() if "level=error" in line], [])


if __name__ == "__main__":
    unittest.main(verbosity=1, warnings="ignore")
