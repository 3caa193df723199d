#!/usr/bin/env python3
"""Rules that fire while prices move and the server is killed with -9 again and again. Prices only move towards the thresholds, so
in the end every rule has been true; meanwhile those that fired are enabled again with another threshold (which tells, when an
answer was lost, whether the change was made) and must fire again, since they still are true. The checker:

    events      of each rule exactly one per enabled period: its first, and one for every change that enabled it
    deliveries  of each event exactly one, which succeeded; a request names the event it is about, and no other
    market      best prices as acknowledged last, after every start
    store       `hookline check` clean after every kill and at the end

Links are long, so that the log of ticks is cut several times and kills meet checkpoints, too."""
import json
import os
import random
import sys
import threading
import time
import unittest
from collections import Counter

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "e2e"))
import harness  # noqa: E402
from harness import Receiver, Server, until  # noqa: E402
from market import NDJSON, ask, bid, item, lines  # noqa: E402

SEED = int(os.environ.get("HOOKLINE_SEED", time.time_ns() % 1000000))
RULES = int(os.environ.get("HOOKLINE_CRASH_ALERTS", "500" if harness.SANITIZED else "2500"))
KILLS, ITEMS, STEPS = 6, 60, 300 if harness.SANITIZED else 800
AGAIN = RULES // 3
FALLING, RISING = range(1, ITEMS // 2 + 1), range(ITEMS // 2 + 1, ITEMS + 1)
LINK = "https://market.example/" + "x" * 900 + "/"


def price(id, step):
    return 20000 - step * 19000 // STEPS if id in FALLING else 1000 + step * 19000 // STEPS


class Feed(threading.Thread):
    """Sends one step after the other, each until it is acknowledged."""

    def __init__(self, server):
        threading.Thread.__init__(self, daemon=True)
        self.api = server.client()
        self.step = 0                 # all before it are acknowledged
        self.hold = threading.Event() # no further step while it is set…
        self.still = threading.Event()# …and it has been noticed
        self.resent, self.error = 0, None

    def run(self):
        while self.step < STEPS and not self.error:
            if self.hold.is_set():
                self.still.set()
                time.sleep(0.005)
                continue
            records = [ask(i, price(i, self.step), link=LINK + str(self.step)) for i in (*FALLING, *RISING)]
            try:
                a = self.api.request("POST", "/v1/market/asks", lines(records), content_type=NDJSON)
            except Exception:  # noqa: BLE001  (whatever a dying server looks like)
                a = None
            if a is None or a.status >= 500:
                self.resent += 1
                time.sleep(0.01)
            elif a.status != 200 or a.json["accepted"] != len(records):
                self.error = a
            else:
                self.step += 1


class Owner(threading.Thread):
    """Enables what fired again, and knows how many periods each rule has had."""

    def __init__(self, server, rules, dice):
        threading.Thread.__init__(self, daemon=True)
        self.api, self.rules, self.dice = server.client(), rules, dice
        self.periods = Counter(dict.fromkeys(rules, 1))
        self.unknown = None           # (id, threshold): a change whose answer was lost
        self.left, self.lost, self.error, self.ended = AGAIN, 0, None, False

    def ask(self, method, path, body=None):
        try:
            a = self.api.request(method, path, body)
        except Exception:  # noqa: BLE001
            a = None
        return None if a is None or a.status >= 500 else a

    def settle(self):
        id, threshold = self.unknown
        a = self.ask("GET", "/v1/alerts/" + id)
        if a is None:
            time.sleep(0.01)
            return
        made = a.json["threshold"] == threshold
        self.periods[id] += made
        self.lost += made
        self.unknown = None

    def enable(self, id):
        kind, threshold = self.rules[id]
        threshold += 1 if kind == "price_below" else -1
        self.rules[id] = kind, threshold
        text = "%d.%02d" % divmod(threshold, 100)
        a = self.ask("PATCH", "/v1/alerts/" + id, {"enabled": True, "threshold": text})
        if a is None:
            self.unknown = id, text
        elif a.status != 200:
            self.error = a
        else:
            self.periods[id] += 1
        self.left -= 1

    def fired(self):
        """Some rules that are disabled now."""
        ids = self.dice.sample(sorted(self.rules), 40)
        found = []
        for id in ids:
            a = self.ask("GET", "/v1/alerts/" + id)
            if a and a.status == 200 and not a.json["enabled"]:
                found.append(id)
        return found

    def run(self):
        while (self.left > 0 or self.unknown) and not self.error and not self.ended:
            if self.unknown:
                self.settle()
                continue
            for id in self.fired():
                if not self.unknown and self.left > 0:
                    self.enable(id)
            time.sleep(0.01)


class Alerts(unittest.TestCase):
    def setUp(self):
        self.dice = random.Random(SEED)
        self.receiver = Receiver().start()
        self.addCleanup(self.receiver.stop)
        self.server = Server()
        self.addCleanup(self.server.__exit__)
        self.server.start()
        self.api = self.server.client()
        self.api.webhook(self.receiver.url + "/ok/alerts", event_types=["alert.triggered"], retry=[1])

    def put(self, method, path, body, content_type="application/json"):
        a = self.api.request(method, path, body, content_type=content_type)
        self.assertEqual(a.status, 200, a)
        return a.json

    def make_rules(self):
        """id → (kind, threshold in hundredths); each true by the last step at the latest, none before the first."""
        rules, made = [], {}
        for n in range(RULES):
            id = 1 + n % ITEMS
            kind = "price_below" if id in FALLING else "price_above" if n % 2 else "spread_exceeds"
            threshold = self.dice.randrange(1500, 19000) if kind != "spread_exceeds" else self.dice.randrange(2000, 9000)
            currency = None if kind == "spread_exceeds" else "EUR" if n % 5 == 0 else "USD"
            if currency == "EUR":
                threshold //= 2
            rules.append({"item_id": id, "kind": kind, "threshold": "%d.%02d" % divmod(threshold, 100), "currency": currency})
            rules[-1]["_"] = threshold
        for at in range(0, RULES, 100):
            batch = [{k: v for k, v in r.items() if k != "_"} for r in rules[at:at + 100]]
            a = self.put("POST", "/v1/alerts/batch", {"alerts": batch})
            self.assertEqual(a["failed"], 0, a)
            for r, got in zip(rules[at:at + 100], a["results"]):
                made[got["alert"]["id"]] = r["kind"], r["_"]
        return made

    def check(self, why):
        code, out, err = self.server.check()
        self.assertEqual((code, out.splitlines()[-1:]), (0, ["clean"]), "%s: %s%s" % (why, out, err))

    def kill(self, feed):
        time.sleep(self.dice.uniform(0, 0.03))    # a random moment, not a wait for anything
        self.server.kill()
        feed.still.clear()
        feed.hold.set()               # nothing moves until what was acknowledged is compared
        until(lambda: feed.still.is_set() or not feed.is_alive(), "the feed to stand still")
        step = feed.step
        self.check("after a kill at step %d" % step)
        self.server.start()
        for id in (FALLING[0], RISING[0]):
            best = self.put("GET", "/v1/market/items/%d" % id, None)["best_ask"]
            self.assertIn(best, {price(id, s) for s in (step - 1, step) if s >= 0}, (id, step))
        feed.hold.clear()

    def pages(self, path):
        cursor, rows = "", []
        while cursor is not None:
            a = self.put("GET", path + (cursor and "&cursor=" + cursor), None)
            rows, cursor = rows + a["data"], a["next_cursor"]
        return rows

    def test_alerts(self):
        self.put("PUT", "/v1/market/items", lines([item(i) for i in range(1, ITEMS + 1)]), NDJSON)
        self.put("PUT", "/v1/market/fx", {"timestamp": "2026-04-12T18:00:00Z", "rates": {"EUR": 0.5}})
        self.put("POST", "/v1/market/bids", lines([bid(i, 900) for i in RISING]), NDJSON)
        rules = self.make_rules()
        start = time.monotonic()
        feed, owner = Feed(self.server), Owner(self.server, dict(rules), random.Random(SEED + 1))
        self.addCleanup(setattr, owner, "ended", True)
        [t.start() for t in (feed, owner)]
        for mark in sorted(self.dice.sample(range(STEPS // 20, STEPS), KILLS - 1)):
            until(lambda: feed.step >= mark or feed.error or owner.error, "step %d" % mark, 120)
            self.kill(feed)
        until(lambda: feed.step == STEPS or feed.error, "the last step", 120)
        self.kill(feed)               # rules still fire, deliveries are under way
        until(lambda: not owner.is_alive(), "the last rule enabled", 120, 0.05)
        [t.join(10) for t in (feed, owner)]
        self.assertEqual((feed.error, owner.error), (None, None))
        until(lambda: not any(r["enabled"] for r in self.pages("/v1/alerts?limit=250")), "every rule to fire", 120, 0.2)
        self.judge(rules, owner, feed, time.monotonic() - start)

    def judge(self, rules, owner, feed, took):
        until(lambda: self.api.get("/v1/deliveries?status=pending&limit=1").json["data"] == [], "every delivery", 120, 0.1)
        events = self.pages("/v1/alerts/events?limit=250")
        fired = Counter(e["alert_id"] for e in events)
        wrong = {id: (fired[id], owner.periods[id]) for id in rules if fired[id] != owner.periods[id]}
        print("seed %d: %d rules, %d events, %d kills in %.1f s; steps sent again %d; changes made whose answer was lost %d; requests %d" %
              (SEED, RULES, len(events), KILLS, took, feed.resent, owner.lost, len(self.receiver.records)))
        self.assertEqual(wrong, {}, "events, enabled periods")
        self.assertEqual(set(fired), set(rules))
        self.assertEqual([e for e in events if [d["status"] for d in e["deliveries"]] != ["succeeded"]], [])
        of = {e["id"]: e["alert_id"] for e in events}
        seen = set()
        for r in self.receiver.records:
            body = json.loads(r["body"])
            seen.add(body["id"])
            self.assertEqual((body["id"], body["data"]["event_id"]), (r["headers"]["webhook-id"],) * 2)
            self.assertEqual(body["data"]["alert_id"], of[body["id"]])
        self.assertEqual(seen, set(of))
        self.assertEqual(self.server.stop(), 0, self.server.log()[-2000:])
        self.check("at the end")
        self.assertEqual([l for l in self.server.log(all_runs=True).splitlines() if "level=error" in l], [])


if __name__ == "__main__":
    unittest.main(verbosity=1, warnings="ignore")
