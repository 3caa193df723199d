"""What happens beside publishing: webhooks are rotated, paused and resumed, deleted and made anew, recovered, disabled by their
receivers and enabled again, events are replayed, prices tick and alerts fire. Everything is asked for until it is acknowledged,
with the same Idempotency-Key, so a lost answer never hides whether it was done."""
import http.client
import json
import os
import random
import sys
import threading
import time
import traceback

import crowd as crowds
import harness
from program import UnixConnection

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))), "e2e"))
from market import NDJSON, ask, item, lines  # noqa: E402

ITEMS = 60
LINK = "https://market.example/" + "x" * 980 + "/"


class Over(Exception):
    """The round ends."""


class Worker(threading.Thread):
    """A client of its own, over the unix socket, that asks until it is answered."""

    def __init__(self, host, crowd, seed):
        threading.Thread.__init__(self, daemon=True)
        self.host, self.crowd, self.dice = host, crowd, random.Random(seed)
        self.key = host.key
        self.stopping = threading.Event()
        self.still = False           # nothing is begun while it is set
        self.error, self.asked, self.repeated = None, 0, 0
        self.connection = None
        self.serial = 0

    def unique(self):
        self.serial += 1
        return "%s-%d" % (self.name, self.serial)

    def rest(self, seconds):
        if self.stopping.wait(seconds):
            raise Over

    def once(self, method, path, body, headers):
        if self.connection is None:
            self.connection = UnixConnection(self.host.unix, 20)
        try:
            self.connection.request(method, path, body, headers)
            r = self.connection.getresponse()
            return harness.Answer(r.status, {k.lower(): v for k, v in r.getheaders()}, r.read())
        except (OSError, http.client.HTTPException):
            self.connection.close()
            self.connection = None
            return None

    def ask(self, method, path, body=None, expect=(200,), idem=False, content_type="application/json", headers=None):
        h = dict({"Authorization": "Bearer " + self.key}, **(headers or {}))
        if body is not None:
            h["Content-Type"] = content_type
            body = body if isinstance(body, bytes) else json.dumps(body).encode()
        if idem:
            h["Idempotency-Key"] = self.unique()
        self.asked += 1
        for tries in range(100000):
            a = self.once(method, path, body, h)
            if a is not None and a.status in expect:
                return a
            if a is not None and a.status < 500 and a.status != 429:
                raise AssertionError("%s %s: %r" % (method, path, a))
            self.repeated += 1
            if tries > 5000 and self.stopping.is_set():
                raise Over
            time.sleep(0.004)
        raise AssertionError("%s %s: never answered" % (method, path))

    def run(self):
        try:
            while not self.stopping.is_set():
                if self.still:
                    self.rest(0.01)
                else:
                    self.step()
        except Over:
            pass
        except Exception:  # noqa: BLE001
            self.error = traceback.format_exc()


class Churn(Worker):
    def __init__(self, host, crowd, hooks, seed):
        Worker.__init__(self, host, crowd, seed)
        self.name = "churn"
        self.hooks = hooks
        self.replayed = {}       # number of an event → answers
        self.favourite = None    # the action wanted most just now
        self.pace_s = 0.01
        self.rotations = self.dooms = 0

    def of(self, flag):
        return [h for h in self.hooks if h.has(flag)]

    def step(self):
        actions = ["rotate", "rotate", "pause", "pause", "pause", "doom", "recover", "gone", "replay", "replay", "small_change", "read"]
        action = self.favourite if self.favourite and self.dice.random() < 0.7 else self.dice.choice(actions)
        getattr(self, action)()
        self.rest(self.pace_s)

    def rotate(self):
        h = self.dice.choice(self.of("r"))
        a = self.ask("POST", "/v1/webhooks/%s/rotate-secret" % h.id, {}, idem=True)
        self.rotations += 1
        self.crowd.say("secret", h.index, a.json["secret"])

    def enable(self, h, enabled):
        self.ask("PATCH", "/v1/webhooks/" + h.id, {"enabled": enabled})

    def pause(self):
        h = self.dice.choice(self.of("p"))
        self.enable(h, False)
        self.rest(self.dice.uniform(0, 0.05))
        self.enable(h, True)

    def doom(self):
        """Deleted with what waits for it, and made anew."""
        h = self.dice.choice(self.of("d"))
        self.ask("DELETE", "/v1/webhooks/%s?drop_history=%s" % (h.id, self.dice.choice(["true", "false"])), expect=(204, 404))
        a = self.ask("POST", "/v1/webhooks", dict({"url": self.crowd.url(h), "event_types": h.types(), "retry": [1]}, **h.members),
                     expect=(201,), idem=True)
        h.id = a.json["id"]
        self.dooms += 1
        self.crowd.say("secret", h.index, a.json["secret"])

    def recover(self):
        for h in self.of("f"):
            self.ask("POST", "/v1/webhooks/%s/recover" % h.id, {"since": "2020-01-01T00:00:00Z"}, expect=(202,))

    def gone(self):
        for h in self.of("f"):
            if self.ask("GET", "/v1/webhooks/" + h.id).json["state"] == "disabled":
                self.enable(h, True)

    def replay(self):
        target = self.of("R")[0]
        for number, id in self.crowd.ask("sample", 3).items():
            if number not in self.replayed:
                a = self.ask("POST", "/v1/events/%s/replay" % id, {"webhook": target.id}, expect=(202,), idem=True)
                assert a.json["deliveries"] == 1, a
                self.replayed[number] = a.json["id"]

    def small_change(self):
        a = self.ask("POST", "/v1/servers", {"name": self.unique()}, expect=(201,), idem=True)
        self.ask("DELETE", "/v1/servers/" + a.json["id"], expect=(204, 404))
        h = self.dice.choice(self.of("s"))
        if h.dialect == "hookline":
            self.ask("PATCH", "/v1/webhooks/" + h.id, {"metadata": {"v": self.unique()}})

    def read(self):
        self.ask("GET", "/v1/deliveries?status=pending&limit=50")
        self.ask("GET", "/v1/undelivered")


class Market(Worker):
    """Prices only rise; each rule waits above the price of its item, so each fires once."""

    def __init__(self, host, crowd, seed):
        Worker.__init__(self, host, crowd, seed)
        self.name = "market"
        self.account = {"Hookline-Account": "market"}
        self.price, self.acknowledged = 1000, None
        self.rules = set()
        self.pace_s = 0.04
        self.flooding = False        # long links, so that the log of ticks grows until a checkpoint begins; no new rules

    def begin(self):
        self.ask("PUT", "/v1/market/items", lines([item(i) for i in range(1, ITEMS + 1)]), content_type=NDJSON)
        self.tick()

    def asks(self, link=""):
        return lines([ask(i, self.price, link=link + str(self.price)) for i in range(1, ITEMS + 1)])

    def tick(self, asks=None):
        a = self.ask("POST", "/v1/market/asks", asks or self.asks(), content_type=NDJSON)
        assert a.json["rejected"] == 0, a
        self.acknowledged = self.price

    def look(self):
        """Nobody else ticks: the price is the one acknowledged last, however often the server has died meanwhile."""
        a = self.ask("GET", "/v1/market/items/%d" % self.dice.randrange(1, ITEMS + 1))
        if a.json["best_ask"] != self.acknowledged:
            raise AssertionError("the price acknowledged last is %s, but it is %s" % (self.acknowledged, a.json["best_ask"]))

    def flood(self):
        long = self.asks(LINK)
        while self.flooding:
            self.tick(long)
            self.rest(0)

    def step(self):
        self.flood()
        self.look()
        rules = [{"item_id": self.dice.randrange(1, ITEMS + 1), "kind": "price_above", "currency": "USD",
                  "threshold": "%d.%02d" % divmod(self.price + self.dice.randrange(1, 30), 100)} for _ in range(4)]
        a = self.ask("POST", "/v1/alerts", rules.pop(), expect=(201,), idem=True, headers=self.account)
        self.rules.add(a.json["id"])
        a = self.ask("POST", "/v1/alerts/batch", {"alerts": rules}, idem=True, headers=self.account).json
        assert a["failed"] == 0, a
        self.rules |= {r["alert"]["id"] for r in a["results"]}
        self.price += 3
        self.tick()
        self.rest(self.pace_s)

    def finish(self):
        self.price += 100
        self.tick()
