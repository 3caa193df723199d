#!/usr/bin/env python3
"""Backups of a server at work: events come in one by one and in batches, prices tick, alerts fire, receivers fail. Each copy, plain,
compact and with its key, is one moment: it passes `check`, holds every event, alert and price acknowledged before it began, and
serves: what was pending in it is delivered."""
import json
import os
import shutil
import tempfile
import threading
import unittest

import shim  # noqa: F401  (finds the harness)
from shim import harness
from harness import Receiver, Server, run, until

NDJSON = "application/x-ndjson"
WAYS = [("plain", []), ("compact", ["--compact"]), ("key", ["--with-key"]), ("both", ["--compact", "--with-key"])]


class Load:
    """Threads that work until stop(). Each list grows only after the acknowledgement."""

    def __init__(self, server):
        self.server, self.events, self.prices, self.rules, self.wrong = server, [], [], [], []
        self.ending = threading.Event()
        self.threads = [threading.Thread(target=self.guard, args=a) for a in ((self.publish, 0), (self.publish, 1), (self.batch, 0), (self.tick, 0))]
        [t.start() for t in self.threads]

    def guard(self, what, n):
        client = self.server.client()
        i = 0
        try:
            while not self.ending.is_set():
                i += 1
                what(client, n, i)
        except Exception as e:  # noqa: BLE001
            self.wrong.append(repr(e))

    def publish(self, client, n, i):
        data = {"i": i, "pad": "y" * (i * 31 % 700)}
        self.events.append((client.publish("live.%d" % (i % 3), data)["id"], data))

    def batch(self, client, n, i):
        data = [{"batch": i, "line": k} for k in range(20)]
        a = client.post("/v1/events/batch", b"".join(json.dumps({"type": "live.b", "data": d}).encode() + b"\n" for d in data), content_type=NDJSON)
        lines = [json.loads(line) for line in a.body.splitlines()]
        assert [r["status"] for r in lines] == [202] * 20, a
        self.events += [(r["id"], d) for r, d in zip(lines, data)]

    def tick(self, client, n, i):
        """Every price is lower than the one before; every tenth fires a rule made just before it."""
        cents = 10000000 - i
        if i % 10 == 0:
            a = client.post("/v1/alerts", {"item_id": 7, "kind": "price_below", "threshold": "%d.%02d" % ((cents + 1) // 100, (cents + 1) % 100)})
            assert a.status == 201, a
            self.rules.append(a.json["id"])
        line = {"provider": "p", "item_id": 7, "market_hash_name": "AK", "phase": None, "lowest_ask": cents, "quantity": 1, "link": None,
                "timestamp": None, "last_updated": None}
        a = client.post("/v1/market/asks", json.dumps(line).encode(), content_type=NDJSON)
        assert (a.status, a.json["accepted"]) == (200, 1), a
        self.prices.append(cents)

    def now(self):
        return {"events": list(self.events), "rules": list(self.rules), "price": self.prices[-1]}

    def stop(self):
        self.ending.set()
        [t.join(60) for t in self.threads]


class Backup(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="hl-backup-")
        self.addCleanup(shutil.rmtree, self.folder)
        self.receiver = Receiver().start()
        self.addCleanup(self.receiver.stop)

    def copies(self, server, load):
        made = []
        for name, args in WAYS:
            n = len(load.events)
            until(lambda: len(load.events) > n + 150 and load.prices or load.wrong, "events")
            before, dest = load.now(), os.path.join(self.folder, name)
            code, out, err = run("backup", server.data, dest, *args)
            self.assertEqual(code, 0, err)
            self.assertEqual(os.path.exists(os.path.join(dest, "key")), "--with-key" in args)
            self.assertEqual(sorted(set(os.listdir(dest)) - {"key"}), ["data.mdb"])
            made.append((dest, before))
        return made

    def restored(self, dest, before, server, key):
        if not os.path.exists(os.path.join(dest, "key")):
            code, _, err = run("check", dest)
            self.assertEqual(code, 4, "without its key it does not open")
            shutil.copy(os.path.join(server.data, "key"), dest)
        code, out, err = run("check", dest)
        self.assertEqual((code, out.splitlines()[-1]), (0, "clean"), out + err)
        with Server(data=dest) as s:
            api = s.client(key=key)
            for id, data in before["events"]:
                a = api.get("/v1/events/" + id)
                self.assertEqual((a.status, a.json.get("data")), (200, data))
            for id in before["rules"]:
                self.assertEqual(api.get("/v1/alerts/" + id).status, 200)
            self.assertLessEqual(api.get("/v1/market/items/7").json["best_ask"], before["price"])
            ok = [w for w in api.get("/v1/webhooks").json["data"] if w["name"] == "ok"][0]
            until(lambda: api.get("/v1/webhooks/%s/stats" % ok["id"]).json["deliveries"]["pending"] == 0, "what was pending")
            received = {r["headers"]["webhook-id"] for r in self.receiver.of("/ok/all")}
            self.assertEqual({id for id, _ in before["events"]} - received, set())
            n = self.receiver.n_requests
            api.publish("live.0", "restored")
            self.receiver.wait(n + 1)
            self.assertEqual(s.stop(), 0, s.log()[-2000:])
        code, out, err = run("check", dest)
        self.assertEqual((code, out.splitlines()[-1]), (0, "clean"), out + err)

    def test_under_load(self):
        with Server() as server:
            api = server.client()
            api.webhook(self.receiver.url + "/ok/all", name="ok")
            api.webhook(self.receiver.url + "/status/500/all", name="fails", retry=[3600])
            api.webhook(self.receiver.url + "/flaky/1/all", name="flaky", retry=[1])
            a = api.put("/v1/market/items", b'{"item_id":7,"market_hash_name":"AK","phase":null}\n', content_type=NDJSON)
            self.assertEqual(a.status, 200, a)
            load = Load(server)
            try:
                made = self.copies(server, load)
            finally:
                load.stop()
            self.assertEqual(load.wrong, [])
            self.assertGreater(len(load.events), len(made[-1][1]["events"]), "it went on meanwhile")
            key = server.key
            self.assertEqual(server.stop(), 0)
            for dest, before in made:
                self.restored(dest, before, server, key)
            print("%d events, %d ticks, %d rules; in the copies at least %s events" %
                  (len(load.events), len(load.prices), len(load.rules), [len(b["events"]) for _, b in made]))


if __name__ == "__main__":
    unittest.main(verbosity=1, warnings="ignore")
