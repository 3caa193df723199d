#!/usr/bin/env python3
"""The power fails. The disk of a real run is recorded call by call (shim.c) together with what the server told its clients and
when; then every place of the record is tried as the last one (power.c): what the disk had flushed, plus none, all or any part
of what it had not, torn at sectors. Each such disk is opened with the real store, audited, and compared with everything that had
been acknowledged by then: events one by one and in batches, webhooks made, changed, deleted, their secrets, keys, alerts, quotes.

A store that flushes too little must not pass: the same run with LMDB's flags for speed, and on a disk that does not flush.

    40-power.py [--states N] [--scale N] [--seed N]      more states, of a longer run"""
import json
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import unittest

import shim
from shim import harness

POWER = os.path.join(shim.BUILD, "tests", "crash", "power")
SEED = int(os.environ.get("HOOKLINE_SEED", time.time_ns() % 1000000))
STATES = int(os.environ.get("HOOKLINE_POWER_STATES", "400" if harness.SANITIZED else "8000"))
SCALE = int(os.environ.get("HOOKLINE_POWER_SCALE", "1" if harness.SANITIZED else "2"))
MEMORY = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
MDB_NOSYNC, MDB_NOMETASYNC = 0x10000, 0x40000


class Book:
    """What was asked for, in order, and what each connection was answered."""

    def __init__(self):
        self.values = {}        # (kind, name) → values in the order they were asked for
        self.talks = []         # connections: lists of (body, [things acknowledged], [things of each line])
        self.lock = threading.Lock()

    def ask(self, kind, name, value):
        with self.lock:
            values = self.values.setdefault((kind, name), [])
            values.append(value)
            return kind, name, len(values) - 1

    def expectations(self, trace, path):
        """Finds each answer in the trace by its connection's bodies and writes what power.c reads."""
        sent = [s.answers() for s in shim.streams(trace)]
        acks = []
        for talk in filter(None, self.talks):
            bodies = [body for body, _, _ in talk]
            at = [a for a in sent if [body for _, body, _ in a[:len(talk)]] == bodies]
            assert len(at) == 1, (len(at), bodies[:2], [a[0][1] for a in sent if a][:5])
            for (first, _, ends), (_, things, by_line) in zip(at[0], talk):
                acks += [(first, thing) for thing in things]
                acks += [(end, thing) for end, things in zip(ends, by_line) for thing in things]
        with open(path, "w", encoding="utf-8") as f:
            for (kind, name), values in self.values.items():
                f.writelines("V\t%s\t%s\t%s\n" % (kind, name, v) for v in values)
            for at, (kind, name, n) in sorted(acks):
                f.write("A\t%d\t%s\t%s\t%d\n" % (at, kind, name, n))
        return len(acks)


class Client:
    """One connection, kept; every answer goes into the book."""

    def __init__(self, server, book):
        self.client, self.book, self.talk, self.of = server.client(), book, None, None

    def ask(self, method, path, body=None, things=(), by_line=(), **kw):
        if self.of != self.client.server.generation:
            self.of, self.talk = self.client.server.generation, []
            self.book.talks.append(self.talk)
        things = [self.book.ask(*t) for t in things]
        by_line = [[self.book.ask(*t)] for t in by_line]
        a = self.client.request(method, path, body, **kw)
        assert 200 <= a.status < 300, a
        self.talk.append((a.body, things, by_line))
        return a

    def later(self, *things):
        """The newest answer acknowledged these, which it told itself (a secret)."""
        self.talk[-1][1].extend(self.book.ask(*t) for t in things)


class Load:
    """A life of the server. Threads end by themselves; `on` numbers what they make, so that a second life makes other things."""

    def __init__(self, server, receiver, book, scale, seed):
        self.server, self.receiver, self.book, self.scale, self.dice = server, receiver, book, scale, random.Random(seed)
        self.wrong = []

    def run(self, life):
        threads = [threading.Thread(target=self.guard, args=(f, "%s%d" % (name, life)))
                   for name, f in (("a", self.publisher), ("b", self.publisher), ("c", self.batch), ("d", self.admin), ("m", self.market))]
        [t.start() for t in threads]
        [t.join(120) for t in threads]
        assert not self.wrong, self.wrong

    def guard(self, what, name):
        try:
            what(name, Client(self.server, self.book))
        except Exception as e:  # noqa: BLE001
            self.wrong.append(repr(e))

    def event(self, id):
        return {"type": "cut.%d" % (len(id) % 3), "id": id}, '{"id":"%s","pad":"%s"}' % (id, "x" * random.Random(id).randrange(900))

    def publisher(self, name, c):
        for n in range(40 * self.scale):
            head, data = self.event("%s-%d" % (name, n))
            body = json.dumps(head)[:-1] + ',"data":%s}' % data
            c.ask("POST", "/v1/events", body.encode(), [("event", head["id"], data)])

    def batch(self, name, c):
        for n in range(2 * self.scale):
            events = [self.event("%s-%d-%d" % (name, n, i)) for i in range(20)]
            text = "".join(json.dumps(head)[:-1] + ',"data":%s}\n' % data for head, data in events)
            c.ask("POST", "/v1/events/batch", text.encode(), by_line=[("event", head["id"], data) for head, data in events],
                  content_type="application/x-ndjson")

    def admin(self, name, c):
        made = []
        for n in range(8 * self.scale):
            hook = "%s-%d" % (name, n)
            a = c.ask("POST", "/v1/webhooks", {"url": self.receiver.url + "/ok/" + hook, "name": hook, "description": "made", "retry": [1],
                                               "event_types": ["cut.%d" % (n % 3)]}, [("webhook", hook, "made")])
            c.later(("secret", hook, a.json["secret"]))
            made.append((hook, a.json["id"]))
            hook, id = self.dice.choice(made)
            c.ask("PATCH", "/v1/webhooks/" + id, {"description": "changed %d" % n}, [("webhook", hook, "changed %d" % n)])
            a = c.ask("POST", "/v1/webhooks/%s/rotate-secret" % id)
            c.later(("secret", hook, a.json["secret"]))
            if n % 3 == 2:
                hook, id = made.pop(self.dice.randrange(len(made)))
                c.ask("DELETE", "/v1/webhooks/%s?drop_history=%s" % (id, "true" if n % 2 else "false"),
                      things=[("webhook", hook, "(gone)"), ("secret", hook, "(gone)")])
            key = "key-" + hook + "-%d" % n
            a = c.ask("POST", "/v1/keys", {"scopes": ["read"], "name": key}, [("key", key, "active")])
            if n % 2:
                c.ask("DELETE", "/v1/keys/" + a.json["id"], things=[("key", key, "revoked")])

    def market(self, name, c):
        items = [1000 * int(name[1:]) + i for i in range(1, 9)]
        text = b"".join(b'{"item_id":%d,"market_hash_name":"Item %d","phase":null}\n' % (i, i) for i in items)
        c.ask("PUT", "/v1/market/items", text, content_type="application/x-ndjson")
        alerts = {}
        for n in range(12 * self.scale):
            item = self.dice.choice(items)
            cents = 100000 + n
            line = {"provider": "p", "item_id": item, "market_hash_name": "Item %d" % item, "phase": None, "lowest_ask": cents, "quantity": 1,
                    "link": None, "timestamp": "2026-04-12T18:20:11Z", "last_updated": "2026-04-12T18:%02d:%02dZ" % (n // 60, n % 60)}
            c.ask("POST", "/v1/market/asks", json.dumps(line).encode(), [("ask", str(item), str(cents))], content_type="application/x-ndjson")
            item = self.dice.choice(items)
            if item in alerts:
                c.ask("PATCH", "/v1/alerts/" + alerts[item], {"threshold": str(10 + n)}, [("alert", str(item), str(10 + n))])
            else:
                a = c.ask("POST", "/v1/alerts", {"item_id": item, "kind": "price_below", "threshold": "5", "enabled": n % 2 == 0},
                          [("alert", str(item), "5")])
                alerts[item] = a.json["id"]


class Power(unittest.TestCase):
    def setUp(self):
        self.folder = os.path.realpath(tempfile.mkdtemp(prefix="hl-power-"))
        self.work = tempfile.mkdtemp(prefix="hl-power-", dir=MEMORY)
        self.addCleanup(shutil.rmtree, self.folder)
        self.addCleanup(shutil.rmtree, self.work)

    def record(self, lives=1, scale=1, **shim_options):
        """Runs a server; the last life ends by kill -9, the others in order. Returns the trace."""
        trace, data, book = (os.path.join(self.folder, n) for n in ("trace", "data", "book"))
        with harness.Receiver() as receiver, shim.Server(data, trace=trace, **shim_options) as server:
            self.book = Book()
            load = Load(server, receiver, self.book, scale, SEED)
            api = server.client()
            for behaviour in ("ok", "flaky/2", "status/500"):
                api.webhook("%s/%s/shared" % (receiver.url, behaviour), retry=[1, 3600])
            for life in range(1, lives + 1):
                load.run(life)
                if life < lives:
                    self.assertEqual(server.stop(), 0, server.log()[-2000:])
                    server.start()
            server.kill()
        self.acks = self.book.expectations(trace, book)
        self.assertGreater(self.acks, 100 * scale)
        return trace

    def power(self, trace, states, *args):
        done = subprocess.run([POWER, trace, os.path.join(self.folder, "book"), self.work, "--states", str(states), "--seed", str(SEED)] +
                              list(args), capture_output=True, text=True, timeout=3600)
        self.assertIn(done.returncode, (0, 1), "seed %d: %s%s" % (SEED, done.stdout, done.stderr[-2000:]))
        counts = {name: int(n) for name, n in re.findall(r"(\w+) (\d+)", done.stdout.split("acknowledged")[-1])}
        return counts, done.stdout

    def test_nothing_acknowledged_is_lost(self):
        start = time.monotonic()
        trace = self.record(lives=2, scale=SCALE)
        recorded = time.monotonic()
        counts, text = self.power(trace, STATES, "--same", os.path.join(self.folder, "data", "data.mdb"))
        print("seed %d: recorded in %.1f s, tried in %.1f s\n%s" % (SEED, recorded - start, time.monotonic() - recorded, text))
        self.assertEqual({k: v for k, v in counts.items() if v}, {}, "seed %d: %s" % (SEED, text))
        tried = int(re.search(r"states (\d+)", text).group(1))
        self.assertGreater(tried, STATES // 2)

    def caught(self, **shim_options):
        """Returns the states by what was wrong with them."""
        counts, text = self.power(self.record(**shim_options), 600, "--first", "100")
        print("%s: %s" % (shim_options, text))
        bad = {k: n for k, n in counts.items() if k in ("lost", "damaged", "unopenable", "crashed")}
        self.assertGreater(sum(bad.values()), 20, text)
        return bad

    def test_a_store_that_does_not_flush_its_last_page_is_caught(self):
        self.assertGreater(self.caught(mdb_flags=MDB_NOMETASYNC)["lost"], 20)

    def test_a_store_without_flushes_is_caught(self):
        bad = self.caught(mdb_flags=MDB_NOSYNC)
        self.assertGreater(bad["damaged"] + bad["unopenable"] + bad["crashed"], 20)

    def test_a_disk_that_does_not_flush_is_caught(self):
        self.caught(no_flush=1)


def options():
    global STATES, SCALE, SEED
    args = sys.argv[1:]
    for name in ("--states", "--scale", "--seed"):
        if name in args:
            i = args.index(name)
            value = int(args[i + 1])
            STATES, SCALE, SEED = (value if n == name else v for n, v in (("--states", STATES), ("--scale", SCALE), ("--seed", SEED)))
            del args[i:i + 2]
    sys.argv[1:] = args


if __name__ == "__main__":
    options()
    unittest.main(verbosity=1, warnings="ignore")
