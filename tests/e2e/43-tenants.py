#!/usr/bin/env python3
"""Every route of every API, as the program itself lists them, tried by somebody who may not: without a key, with one that is
malformed, unknown, revoked, expired, of another dialect, of a disabled account, or without the scope; and by a tenant with the ids,
cursors and idempotency keys of another. Foreign things answer byte for byte like things that do not exist, and nothing changes.

A new route, parameter or body that this file does not know fails it: then teach it below."""
import datetime
import json
import os
import re
import shutil
import socket
import subprocess
import tempfile

import harness
import market
from harness import PROGRAM, Client, until

ROUTES = os.environ.get("HOOKLINE_ROUTES") or os.path.join(os.path.dirname(PROGRAM), "..", "..", "tests", "e2e", "routes")
TYPE, ITEM = "alert.triggered", 777
NOBODY = "0199d2c4-0000-7000-8000-000000000000"
DIALECTS = ("hookline", "cs2cap", "aboutyou", "stellarstack", "bitnob")
SCOPES = ("admin", "publish", "manage", "read")
GLOBAL = ("type", "item")     # what all accounts share: these names are nobody's

# What a parameter of a pattern stands for, per dialect; "id" of bitnob and stellarstack depends on the pattern.
PARAMS = {
    "hookline": {"event": "event", "webhook": "webhook", "delivery": "delivery", "name": "type", "item": "item", "alert": "alert",
                 "account": "account", "key": "key", "server": "server"},
    "cs2cap": {"webhook_id": "webhook", "delivery_id": "delivery", "alert_id": "alert"},
    "aboutyou": {"subscription_id": "webhook"},
    "stellarstack": {"id": "webhook", "deliveryId": "delivery"},
    "bitnob": {"id": "webhook", "/events/{id}": "delivery", "/events/{id}/retry": "delivery"},
}
UNKNOWN = {"account": "nobody", "type": "no.such.type", "item": "424242", ("aboutyou", "webhook"): "999999999"}

# The body of each route that wants one; t is the tenant who asks.
BODIES = {
    ("hookline", "POST", "/events"): lambda t: {"type": TYPE, "data": {}},
    ("hookline", "POST", "/events/batch"): lambda t: market.lines([{"type": TYPE, "data": {}}]),
    ("hookline", "POST", "/webhooks"): lambda t: {"url": t.target()},
    ("hookline", "PATCH", "/webhooks/{webhook}"): lambda t: {"description": "changed"},
    ("hookline", "PUT", "/event-types"): lambda t: [{"name": TYPE, "dialects": {d: "x" for d in DIALECTS[1:]}}],
    ("hookline", "PUT", "/event-types/{name}"): lambda t: {"title": "changed", "dialects": {d: "x" for d in DIALECTS[1:]}},
    ("hookline", "PUT", "/market/items"): lambda t: market.lines([market.item(ITEM)]),
    ("hookline", "POST", "/market/asks"): lambda t: market.lines([market.ask(ITEM, 99)]),
    ("hookline", "POST", "/market/bids"): lambda t: market.lines([market.bid(ITEM, 98)]),
    ("hookline", "PUT", "/market/fx"): lambda t: {"timestamp": "2026-04-12T18:00:00Z", "rates": {"EUR": 0.9}},
    ("hookline", "POST", "/alerts"): lambda t: {"item_id": ITEM, "kind": "price_below", "threshold": "0.02"},
    ("hookline", "POST", "/alerts/batch"): lambda t: {"alerts": [{"item_id": ITEM, "kind": "price_below", "threshold": "0.03"}]},
    ("hookline", "PATCH", "/alerts/{alert}"): lambda t: {"enabled": False},
    ("hookline", "POST", "/accounts"): lambda t: {"name": "made"},
    ("hookline", "PATCH", "/accounts/{account}"): lambda t: {"name": "changed"},
    ("hookline", "POST", "/keys"): lambda t: {"scopes": ["read"]},
    ("hookline", "POST", "/servers"): lambda t: {"name": "made"},
    ("hookline", "PATCH", "/servers/{server}"): lambda t: {"name": "changed"},
    ("cs2cap", "POST", "/webhooks"): lambda t: {"url": t.target(), "label": "made"},
    ("cs2cap", "PATCH", "/webhooks/{webhook_id}"): lambda t: {"label": "changed"},
    ("cs2cap", "POST", "/alerts"): lambda t: {"item_id": ITEM, "kind": "price_below", "threshold_value": "0.02"},
    ("cs2cap", "POST", "/alerts/batch"): lambda t: {"alerts": [{"item_id": ITEM, "kind": "price_below", "threshold_value": "0.03"}]},
    ("cs2cap", "PATCH", "/alerts/{alert_id}"): lambda t: {"is_enabled": False},
    ("aboutyou", "POST", ""): lambda t: {"url": t.target()},
    ("aboutyou", "PATCH", "/{subscription_id}"): lambda t: {"enabled": False},
    ("stellarstack", "POST", ""): lambda t: {"url": t.target(), "events": [TYPE]},
    ("stellarstack", "PATCH", "/{id}"): lambda t: {"enabled": False},
    ("bitnob", "POST", ""): lambda t: {"url": t.target("https"), "name": "made"},
    ("bitnob", "PATCH", "/{id}"): lambda t: {"name": "changed"},
}
NOT_JSON = {"/events/batch", "/market/items", "/market/asks", "/market/bids"}

# Places in bodies and queries that take an id: route, how the request is made with one.
IN_BODY = [
    ("hookline", "POST", "/v1/events", "server", lambda id: {"type": TYPE, "data": {}, "server": id}),
    ("hookline", "POST", "/v1/webhooks", "server", lambda id: {"url": "http://127.0.0.1:8081/", "server": id}),
    ("hookline", "PATCH", "/v1/webhooks/{webhook}", "server", lambda id: {"server": id}),
    ("hookline", "POST", "/v1/events/{event}/replay", "webhook", lambda id: {"webhook": id}),
    ("stellarstack", "POST", "/stellarstack/webhooks", "server", lambda id: {"url": "http://127.0.0.1:8081/", "events": [TYPE], "serverId": id}),
    ("stellarstack", "PATCH", "/stellarstack/webhooks/{webhook}", "server", lambda id: {"serverId": id}),
]
IN_QUERY = [
    ("hookline", "/v1/deliveries", "webhook", "webhook"), ("hookline", "/v1/deliveries", "event", "event"),
    ("hookline", "/v1/alerts/events", "alert", "alert"), ("bitnob", "/bitnob/webhooks/events", "webhook_id", "webhook"),
]
CURSORS = {"hookline": "cursor", "bitnob": "starting_after"}


def program_routes():
    out = subprocess.run([ROUTES], capture_output=True, check=True, timeout=60).stdout
    return [json.loads(line) for line in out.splitlines()]


def plain(answer, *ids):
    """What an answer tells: status, body, headers, without the clock, the counters of limits, and the ids that were asked for."""
    body = answer.body.decode()
    for id in ids:
        body = body.replace(str(id), "ID")
    skip = ("date", "ratelimit", "retry-after", "x-ratelimit-remaining", "x-ratelimit-reset")
    return answer.status, body, {k: v for k, v in answer.headers.items() if k not in skip}


class Tenant:
    """An account with everything an account can have: a webhook, deliveries and alerts of each dialect, an event, a server, a key."""

    def __init__(self, case, account):
        self.case, self.account, self.ids, self.n = case, account, {}, 0
        case.expect(case.api.post("/v1/accounts", {"id": account}), 201)
        self.operator = case.server.client(key=case.api.key)
        self.operator.headers["Hookline-Account"] = account
        key = case.expect(case.api.post("/v1/keys", {"account": account, "scopes": ["read"], "name": self.mark("key")}), 201).json
        self.ids["hookline", "key"] = key["id"]
        self.ids["hookline", "account"] = account
        self.ids["hookline", "server"] = self.ids["stellarstack", "server"] = self.operator.post(
            "/v1/servers", {"name": self.mark("server")}).json["id"]
        self.client = {d: self.speak(d) for d in DIALECTS}
        self.make_webhooks()
        self.make_alerts()
        for i in range(3):
            event = self.client["hookline"].publish(TYPE, {"i": self.mark("data")}, id=self.mark("event-%d" % i))
        self.ids["hookline", "event"] = event["id"]
        until(lambda: all(d["attempt_count"] for d in self.operator.deliveries()) and len(self.operator.deliveries()) == 15, "attempts")
        for d in self.operator.deliveries():
            self.ids[d["dialect"], "delivery"] = d["id"]

    def mark(self, what):
        """A text that is this tenant's alone."""
        return "only-%s-%s" % (self.account, what)

    def target(self, scheme="http"):
        self.n += 1
        port = self.case.receiver.port if scheme == "http" else self.case.refusing.getsockname()[1]
        return "%s://127.0.0.1:%d/status/500/%s" % (scheme, port, self.mark(self.n))

    def speak(self, dialect, scopes=("publish", "manage", "read")):
        a = self.case.api.post("/v1/keys", {"account": self.account, "scopes": list(scopes), "dialect": dialect})
        return self.case.speaking(dialect, self.case.expect(a, 201).json["key"])

    def make_webhooks(self):
        for dialect, members in (("hookline", {"name": self.mark("hook"), "retry": [172800]}), ("cs2cap", {"label": self.mark("hook")}),
                                 ("aboutyou", {}), ("stellarstack", {"events": [TYPE]}), ("bitnob", {"name": self.mark("hook")})):
            url = self.target("https" if dialect == "bitnob" else "http")
            a = self.client[dialect].post(self.case.root(dialect, "/webhooks"), dict(members, url=url))
            self.case.assertIn(a.status, (200, 201), (dialect, a))
            self.ids[dialect, "webhook"] = str(a.json.get("webhook", a.json)["id"])

    def make_alerts(self):
        a = self.client["hookline"].post("/v1/alerts", {"item_id": ITEM, "kind": "price_below", "threshold": "0.01"})
        self.ids["hookline", "alert"] = self.case.expect(a, 201).json["id"]
        a = self.client["cs2cap"].post("/account/alerts", {"item_id": ITEM, "kind": "price_below", "threshold_value": "0.01"})
        self.ids["cs2cap", "alert"] = a.json["id"]

    def id(self, dialect, kind):
        return {"type": TYPE, "item": str(ITEM)}.get(kind) or self.ids[dialect, kind]

    def snapshot(self):
        """All that others could have changed."""
        volatile = ("last_used_at", "last_attempt_at", "last_failure_at", "in_flight", "oldest_pending_age", "expected_bytes")
        out = {}
        for path in ("webhooks", "events", "alerts", "servers", "deliveries", "keys?account=" + self.account, "undelivered",
                     "accounts/" + self.account):
            v = self.operator.get("/v1/%s%s" % (path, "" if "/" in path else "%slimit=250" % ("&" if "?" in path else "?"))).json
            for row in v.get("data", [v]):
                for k in volatile:
                    row.pop(k, None)
            out[path] = v
        return out


class Tenants(harness.Case, market.Market):
    settings = {"delivery.park_after": "1000", "limits.body_max": "65536"}

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.case = cls("run")
        cls.refusing = socket.socket()      # bound, but nobody listens
        cls.refusing.bind(("127.0.0.1", 0))
        cls.addClassCleanup(cls.refusing.close)
        cls.routes = program_routes()
        cls.case.put_items(ITEM)
        cls.case.fx(EUR=0.92)
        a = cls.api.put("/v1/event-types", BODIES["hookline", "PUT", "/event-types"](None))
        assert a.status in (200, 204), a
        cls.victim, cls.thief = Tenant(cls.case, "victim"), Tenant(cls.case, "thief")
        cls.keys = {}

    def setUp(self):
        for d in DIALECTS:
            self.bad_keys(d)    # some are the victim's
        self.before = self.victim.snapshot()

    def tearDown(self):
        now = self.victim.snapshot()
        for what, v in self.before.items():
            self.assertEqual(now[what], v, "the victim's things were touched")

    # ---- asking ----

    @classmethod
    def root(cls, dialect, pattern):
        """Where a dialect's resource lives; its own prefix, not one it shares."""
        r = next(r for r in cls.routes if r["dialect"] == dialect)
        return r["prefixes"][0] + (pattern if dialect in ("hookline", "cs2cap") else "")

    @classmethod
    def speaking(cls, dialect, key):
        c = Client(cls.server, None)
        header = next(r["credential"] for r in cls.routes if r["dialect"] == dialect)
        c.headers = {header: key if header == "X-API-Key" else "Bearer " + key}
        return c

    def mine(self):
        """Routes that want a key, each at each of its places: (route, prefix)."""
        return [(r, p) for r in self.routes if "public" not in r["flags"] for p in r["prefixes"]]

    def kinds(self, route):
        """[(parameter, what it stands for)] of a pattern."""
        table = PARAMS[route["dialect"]]
        out = []
        for p in re.findall(r"{(\w+)}", route["pattern"]):
            if p not in table:
                self.fail("teach this test what {%s} of %s is" % (p, route["pattern"]))
            out.append((p, table.get(route["pattern"], table[p])))
        return out

    def path(self, route, prefix, ids):
        it = iter(ids)
        return prefix + re.sub(r"{\w+}", lambda m: str(next(it)), route["pattern"])

    def body(self, route, tenant):
        make = BODIES.get((route["dialect"], route["method"], route["pattern"]))
        if make is None and set(route["flags"]) & {"body", "stream"}:
            self.fail("teach this test a body for %s %s of %s" % (route["method"], route["pattern"], route["dialect"]))
        return make(tenant) if make else {} if "body_may" in route["flags"] else None

    def ask(self, client, route, prefix, ids, headers=None):
        content_type = "application/x-ndjson" if route["pattern"] in NOT_JSON else "application/json"
        return client.request(route["method"], self.path(route, prefix, ids), self.body(route, self.thief), headers=headers,
                              content_type=content_type)

    def own(self, route, tenant):
        return [tenant.id(route["dialect"], k) for _, k in self.kinds(route)]

    def unknown(self, route):
        return [UNKNOWN.get((route["dialect"], k)) or UNKNOWN.get(k, NOBODY) for _, k in self.kinds(route)]

    def shared(self, prefix):
        """The dialects that live at a prefix."""
        return {r["dialect"] for r in self.routes if prefix in r["prefixes"]}

    def also(self, dialect, route, prefix):
        """Has another dialect at the same prefix a route for the same request?"""
        shape = re.sub(r"{\w+}", "{}", route["pattern"]).split("/")
        for r in self.routes:
            if r["dialect"] == dialect and prefix in r["prefixes"] and r["method"] == route["method"]:
                other = re.sub(r"{\w+}", "{}", r["pattern"]).split("/")
                if len(other) == len(shape) and all("{}" in (a, b) or a == b for a, b in zip(other, shape)):
                    return True
        return False

    # ---- who may not ----

    def test_the_list_is_whole(self):
        """Every route of the sources is in the program's list, and every id in a query or body in this test's tables."""
        folder = os.path.join(harness.ROOT, "src", "api")
        texts = []
        for at, _, names in os.walk(folder):
            for name in names:
                if name.endswith(".c"):
                    with open(os.path.join(at, name), encoding="utf-8") as f:
                        texts.append(f.read())
        text = "\n".join(texts)
        written = re.findall(r'{ HL_METHOD_(\w+), "([^"]*)"', text)
        listed = [(r["method"], r["pattern"]) for r in self.routes]
        self.assertEqual(sorted(written), sorted(listed))
        self.assertEqual(len(re.findall(r"!hl_query_id\(c, ", text)), 3, "a new id in a query: add it to IN_QUERY")
        self.assertEqual(len(re.findall(r"hl_id_parse\(", text)), 9, "a new place that reads an id: add it to IN_BODY or IN_QUERY")
        for r in self.routes:
            self.kinds(r)
            self.body(r, self.thief)

    def bad_keys(self, dialect):
        """{what is wrong: headers}; made once per dialect."""
        if dialect in self.keys:
            return self.keys[dialect]
        make = lambda **m: self.expect(self.api.post("/v1/keys", dict({"account": "victim", "scopes": list(SCOPES[1:]), "dialect": dialect}, **m)), 201).json
        revoked = make()
        self.expect(self.api.delete("/v1/keys/" + revoked["id"]), 204)
        soon = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(milliseconds=600)
        expired = make(expires_at=soon.isoformat())
        elsewhere = tempfile.mkdtemp(prefix="hl-other-")
        self.addCleanup(shutil.rmtree, elsewhere)
        code, stranger, err = harness.run("key", "create", "--data", elsewhere + "/d", "--scope", ",".join(SCOPES), "--dialect", dialect)
        self.assertEqual(code, 0, err)
        if self.api.get("/v1/accounts/closed").status == 404:
            self.api.post("/v1/accounts", {"id": "closed"})
            self.api.patch("/v1/accounts/closed", {"disabled": True})
        closed = make(account="closed")["key"]
        good = make()["key"]
        spoilt = good[:-7] + ("0" if good[-7] != "0" else "1") + good[-6:]
        texts = {"malformed": "x", "empty": "", "unknown": stranger.strip(), "spoilt": spoilt, "revoked": revoked["key"],
                 "expired": expired["key"], "of a disabled account": closed}
        for other in DIALECTS:
            if other != dialect:
                texts["of dialect " + other] = self.expect(self.api.post("/v1/keys", {
                    "account": "victim", "scopes": list(SCOPES), "dialect": other}), 201).json["key"]
        probe = self.speaking(dialect, expired["key"])
        until(lambda: probe.get(self.root(dialect, "/webhooks")).status == 401, "the key to expire")
        out = {what: self.speaking(dialect, text).headers for what, text in texts.items()}
        out["absent"] = {}
        self.keys[dialect] = out
        return out

    def test_without_a_good_key(self):
        """401 before anything is looked at; at a place two dialects share, the other one may answer for itself."""
        n = 0
        nobody = Client(self.server, None)
        for route, prefix in self.mine():
            for what, headers in self.bad_keys(route["dialect"]).items():
                other = what[len("of dialect "):] if what.startswith("of dialect ") else None
                neighbours = self.shared(prefix) - {route["dialect"]}
                if other in neighbours and self.also(other, route, prefix):
                    continue
                for ids in {tuple(self.own(route, self.victim)), tuple(self.unknown(route))}:
                    nobody.headers = headers
                    a = self.ask(nobody, route, prefix, ids)
                    want = (403,) if what == "of a disabled account" else (401, 404, 405) if neighbours else (401,)
                    self.assertIn(a.status, want, (route["dialect"], route["method"], prefix, route["pattern"], what, a))
                    if a.status == 401:
                        self.assertIn("www-authenticate", a.headers)
                    n += 1
        self.assertGreater(n, 1000)

    def test_public_routes_say_nothing_of_tenants(self):
        public = [r for r in self.routes if "public" in r["flags"]]
        self.assertEqual({r["pattern"] for r in public}, {"/livez", "/readyz", "/healthz", "/metrics"})
        for r in public:
            text = Client(self.server, None).get(r["pattern"]).body.decode()
            for mark in self.marks():
                self.assertNotIn(mark, text, r["pattern"])

    def test_without_the_scope(self):
        """403, whether the thing is one's own, somebody else's or nobody's; and of all scopes together but the one that counts."""
        clients = {}
        for route, prefix in self.mine():
            if not route["scopes"]:
                continue
            lacking = [s for s in SCOPES if s not in route["scopes"] and s != "admin"]
            for scopes in [(s,) for s in lacking] + [tuple(lacking)]:
                if not scopes:
                    continue
                if (route["dialect"], scopes) not in clients or route["dialect"] == "aboutyou":
                    clients[route["dialect"], scopes] = self.thief.speak(route["dialect"], scopes)
                client = clients[route["dialect"], scopes]
                answers = set()
                for ids in (self.own(route, self.thief), self.own(route, self.victim), self.unknown(route)):
                    a = self.ask(client, route, prefix, ids)
                    self.assertEqual(a.status, 403, (route, prefix, scopes, a))
                    answers.add(json.dumps(plain(a, *ids)))
                self.assertEqual(len(answers), 1, (route, answers))

    # ---- another's things ----

    def test_foreign_ids_in_paths(self):
        n = 0
        for route, prefix in self.mine():
            kinds = [k for _, k in self.kinds(route)]
            if not kinds or all(k in GLOBAL for k in kinds):
                continue
            client = self.thief.speak(route["dialect"])     # a new one: dialect aboutyou limits requests per key
            own, foreign, unknown = self.own(route, self.thief), self.own(route, self.victim), self.unknown(route)
            for mask in range(1, 2 ** len(kinds)):
                pick = lambda theirs: [theirs[i] if mask >> i & 1 else own[i] for i in range(len(kinds))]
                a, b = self.ask(client, route, prefix, pick(foreign)), self.ask(client, route, prefix, pick(unknown))
                self.assertEqual(plain(a, *pick(foreign)), plain(b, *pick(unknown)), (route, prefix))
                self.assertIn(a.status, (403,) if route["scopes"] == ["admin"] else (404,), (route, prefix, a))
                n += 1
        self.assertGreater(n, 80)

    def test_foreign_ids_in_bodies_and_queries(self):
        for dialect, method, path, kind, make in IN_BODY:
            c = self.thief.client[dialect]
            path = re.sub(r"{(\w+)}", lambda m: self.thief.ids[dialect, m.group(1)], path)
            foreign, unknown = self.victim.ids[dialect, kind], NOBODY
            a, b = c.request(method, path, make(foreign)), c.request(method, path, make(unknown))
            self.assertEqual(plain(a, foreign), plain(b, unknown), (method, path))
            # dialect stellarstack ignores what cannot be changed
            self.assertIn(a.status, (200,) if method == "PATCH" and dialect == "stellarstack" else (400, 404, 422), (method, path, a))
            own = c.request(method, path, make(self.thief.ids[dialect, kind]))
            self.assertIn(own.status, (200, 201, 202), (method, path, own))
        for dialect, path, name, kind in IN_QUERY:
            c = self.thief.client[dialect]
            a, b = (c.get("%s?%s=%s" % (path, name, id)) for id in (self.victim.ids[dialect, kind], NOBODY))
            self.assertEqual(plain(a, self.victim.ids[dialect, kind]), plain(b, NOBODY), (path, name))
            if a.status == 200:
                self.assertEqual(a.json["data"], [], (path, name))
            self.assertNotEqual(self.victim.client[dialect].get("%s?%s=%s" % (path, name, self.victim.ids[dialect, kind])).json["data"]
                                if kind != "alert" else [1], [])

    def test_foreign_cursors(self):
        """A cursor is good for the list, the filters and the account it was made for, and for nothing else."""
        n = 0
        for route, prefix in self.mine():
            name = CURSORS.get(route["dialect"])
            if route["method"] != "GET" or self.kinds(route) or not name or route["scopes"] == ["admin"]:
                continue
            path = prefix + route["pattern"]
            victim, thief = self.victim.client[route["dialect"]], self.thief.client[route["dialect"]]
            a = victim.get(path + "?limit=1")
            if a.status != 200 or not isinstance(a.json, dict) or not a.json.get("next_cursor"):
                continue
            cursor = a.json["next_cursor"]
            good = victim.get("%s?limit=1&%s=%s" % (path, name, cursor))
            self.assertEqual(good.status, 200, path)
            back = good.json.get("prev_cursor") or cursor
            for c in (cursor, back, cursor[:-1] + ("A" if cursor[-1] != "A" else "B"), cursor[::-1]):
                a = thief.get("%s?limit=1&%s=%s" % (path, name, c))
                self.assertEqual(a.status, 400, (path, a))
                for mark in self.marks():
                    self.assertNotIn(mark, a.body.decode())
            n += 1
        self.assertGreaterEqual(n, 4)

    def marks(self):
        """What only the victim has. (Numbers of dialect aboutyou are short: looked for as whole members elsewhere.)"""
        return ["only-victim"] + [v for (d, k), v in self.victim.ids.items() if len(v) > 20]

    def test_lists_show_ones_own(self):
        """Every GET, by the thief with own ids: nothing of the victim's. And the numbers are the thief's own."""
        seen = 0
        for route, prefix in self.mine():
            if route["method"] != "GET" or route["scopes"] == ["admin"]:
                continue
            client = self.thief.speak(route["dialect"])
            path = self.path(route, prefix, self.own(route, self.thief))
            for query in ("", "?limit=100"):
                a = client.get(path + query)
                if query and a.status == 400:
                    continue        # a route without parameters
                self.assertEqual(a.status, 200, (path, a))
                text = a.body.decode() + json.dumps(a.headers)
                for mark in self.marks():
                    self.assertNotIn(mark, text, path)
                seen += "only-thief" in text
        self.assertGreater(seen, 10)
        listed = self.thief.speak("aboutyou").get(self.root("aboutyou", "")).json
        self.assertNotIn(self.victim.ids["aboutyou", "webhook"], re.findall(r'"id": "?(\d+)', json.dumps(listed)))

    def test_the_account_header(self):
        """Only an operator acts for others; whether the other exists is not told."""
        for route, prefix in self.mine():
            client = self.thief.speak(route["dialect"])
            ids = self.own(route, self.victim)
            answers = set()
            for account in ("victim", "nobody", "", "default"):
                a = self.ask(client, route, prefix, ids, {"Hookline-Account": account})
                self.assertEqual(a.status, 403, (route, prefix, account, a))
                answers.add(json.dumps(plain(a)))
            self.assertEqual(len(answers), 1, (route, answers))

    def test_idempotency_keys_are_ones_own(self):
        """The same key and body by two accounts: two things, and no answer of the other's."""
        n = 0
        for route, prefix in self.mine():
            if "idempotent" not in route["flags"] or route["scopes"] == ["admin"] or self.kinds(route):
                continue
            victim, thief = self.control(), self.thief
            body = self.body(route, victim)
            headers = {"Idempotency-Key": "shared-%s%s" % (prefix, route["pattern"])}
            answers = []
            for t in (victim, thief):
                answers.append([t.client[route["dialect"]].post(prefix + route["pattern"], body, headers=headers) for _ in range(2)])
            for first, second in answers:
                self.assertIn(first.status, (200, 201, 202), (route, first))
                self.assertEqual((first.body, second.headers.get("idempotent-replayed")), (second.body, "true"), route)
                self.assertNotIn("idempotent-replayed", first.headers)
            self.assertNotEqual(answers[0][0].body, answers[1][0].body, route)
            n += 1
        self.assertGreaterEqual(n, 3)
        a, b = (t.client["hookline"].publish(TYPE, 1, id="an-id-of-my-own")["id"] for t in (self.control(), self.thief))
        self.assertNotEqual(a, b)

    # ---- the requests are real ones ----

    def control(self):
        if "control" not in self.keys:
            self.keys["control"] = Tenant(self.case, "control")
        return self.keys["control"]

    def test_the_same_requests_by_who_may(self):
        """Each request this file makes succeeds when the right one makes it: so the refusals above are refusals of the asker."""
        tenant = Tenant(self.case, "right")
        order = {"GET": 0, "POST": 1, "PUT": 1, "PATCH": 2, "DELETE": 4}
        for route, prefix in sorted(self.mine(), key=lambda x: order[x[0]["method"]] + ("rotate" in x[0]["pattern"]) + 2 * ("cancel" in x[0]["pattern"])):
            if route["method"] == "DELETE" and prefix != route["prefixes"][0]:
                continue
            client = tenant.operator if route["scopes"] == ["admin"] else tenant.speak(route["dialect"])
            if route["method"] == "POST" and route["pattern"] == "/accounts":
                client = self.api
            ids = self.own(route, tenant)
            a = self.ask(client, route, prefix, ids)
            self.assertIn(a.status, (200, 201, 202, 204, 409), (route, prefix, a))
        a = self.api.put("/v1/event-types", BODIES["hookline", "PUT", "/event-types"](None))
        self.assertIn(a.status, (200, 204))


if __name__ == "__main__":
    harness.main()
