#!/usr/bin/env python3
"""All four dialects at once on one server: by four accounts, and by one account with keys of all four, while the same events
flow to all. Nobody sees, finds or touches what another account or another dialect made; the operator sees it all."""
import concurrent.futures
import json
import os
import shutil
import socket
import tempfile

import harness
import market
from harness import Client, Receiver, until

TYPE = "alert.triggered"        # the one event cs2cap knows; here it is in every catalogue
NOBODY = "0199d2c4-0000-7000-8000-000000000000"
EVENTS = 3


class Dialect:
    """name; root of its routes; header its key goes in; members of a new webhook besides the URL; a change; the routes that have
    the id of a webhook ({w}) and of a delivery ({d}) in their path."""

    def __init__(self, name, root, header, new, change, webhook_routes, delivery_routes):
        self.name, self.root, self.header, self.new, self.change = name, root, header, new, change
        self.webhook_routes, self.delivery_routes = webhook_routes, delivery_routes

    def client(self, server, account):
        key = server.make_key("read,manage", account, "--dialect", self.name)
        return self.speaking(server, key)

    def speaking(self, server, key):
        c = Client(server, None)
        c.headers = {"X-API-Key": key} if self.header == "X-API-Key" else {"Authorization": "Bearer " + key}
        c.secret_key = key
        return c

    def list_webhooks(self, c):
        a = c.get(self.root)
        if a.status != 200:
            raise AssertionError("%s: %r" % (self.name, a))
        v = a.json
        return v if isinstance(v, list) else v.get("webhooks", v.get("data"))

    def list_deliveries(self, c, webhook):
        """None: this dialect tells nothing of deliveries."""
        if self.name == "cs2cap":
            return c.get(self.root + "/deliveries?limit=100").json["deliveries"]
        if self.name == "bitnob":
            return c.get(self.root + "/events?limit=100").json["data"]
        if self.name == "stellarstack":
            return c.get("%s/%s/deliveries?limit=100" % (self.root, webhook)).json["deliveries"]
        return None


DIALECTS = [
    Dialect("cs2cap", "/account/webhooks", "Bearer", {"label": "hook"}, {"label": "mine now"},
            [("PATCH", "/{w}"), ("DELETE", "/{w}"), ("POST", "/{w}/rotate-secret")], [("GET", "/deliveries/{d}")]),
    Dialect("aboutyou", "/api/v1/webhooks/", "X-API-Key", {}, {"enabled": False},
            [("GET", "{w}"), ("PATCH", "{w}"), ("DELETE", "{w}")], []),
    Dialect("stellarstack", "/webhooks", "Bearer", {"events": [TYPE]}, {"enabled": False},
            [("GET", "/{w}"), ("PATCH", "/{w}"), ("DELETE", "/{w}"), ("GET", "/{w}/deliveries"), ("POST", "/{w}/test")],
            [("GET", "/{w}/deliveries/{d}"), ("POST", "/{w}/deliveries/{d}/retry")]),
    Dialect("bitnob", "/webhooks", "X-API-Key", {"name": "hook"}, {"name": "mine now"},
            [("GET", "/{w}"), ("PATCH", "/{w}"), ("DELETE", "/{w}"), ("POST", "/{w}/rotate-secret")],
            [("GET", "/events/{d}"), ("POST", "/events/{d}/retry")]),
]


class Tenant:
    """One dialect in one account: a key, a webhook made with it, and what the operator says of them (after look())."""

    def __init__(self, case, dialect, account):
        self.case, self.dialect, self.account = case, dialect, account
        self.client = dialect.client(case.server, account)
        self.native = Client(case.server, case.api.key)
        self.native.headers["Hookline-Account"] = account
        self.url = case.target()
        a = self.client.post(dialect.root, dict(dialect.new, url=self.url))
        case.assertIn(a.status, (200, 201), a)
        self.id = a.json.get("webhook", a.json)["id"]

    def look(self):
        mine = [w for w in self.native.get("/v1/webhooks?limit=250").json["data"]
                if w["dialect"] == self.dialect.name and self.id in (w["id"], w["number"])]
        self.case.assertEqual(len(mine), 1)
        self.uuid, self.number = mine[0]["id"], mine[0]["number"]
        self.deliveries = [d["id"] for d in self.native.deliveries(webhook=self.uuid)]
        self.events = [d["event_id"] for d in self.native.deliveries(webhook=self.uuid)]
        return self

    def requests(self):
        return self.case.receiver.of("/" + self.url.split("/", 3)[3])

    def shape(self, record):
        """Does the body look as this dialect's do?"""
        body, h = json.loads(record["body"]), record["headers"]
        if self.dialect.name == "cs2cap":
            return body["event_type"] == TYPE and "x-cs2c-signature" in h
        if self.dialect.name == "aboutyou":
            return body["subscription_id"] == self.number and body["event"] == TYPE and "x-signature" in h
        if self.dialect.name == "stellarstack":
            return "embeds" in body and not any(name.startswith(("x-", "webhook-")) for name in h)
        return body["object"] == "event" and "x-bitnob-signature" in h


class AllFour(harness.Case, market.Market):
    settings = {"egress.allow_hosts": "localhost", "delivery.retry_dialects": "hourly"}
    n = 0

    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.mkdtemp(prefix="hl-tls-")
        cls.addClassCleanup(shutil.rmtree, cls.folder)
        certs = harness.make_certs(cls.folder)
        cls.settings = dict(cls.settings, **{"tls.ca_file": certs["ca"]})
        super().setUpClass()
        cls.receiver = Receiver(tls=certs["good"]).start()          # bitnob delivers over TLS only; so do all here
        cls.addClassCleanup(cls.receiver.stop)
        a = cls.api.put("/v1/event-types", [{"name": TYPE, "dialects": {"cs2cap": "alert", "aboutyou": "order", "stellarstack": "server",
                                                                          "bitnob": "wallet"}}])
        assert a.status == 200, a

    def target(self):
        AllFour.n += 1
        return "https://localhost:%d/ok/t%d" % (self.receiver.port, AllFour.n)

    def account(self):
        AllFour.n += 1
        id = "all-%d" % AllFour.n
        self.assertEqual(self.api.post("/v1/accounts", {"id": id}).status, 201)
        return id

    def together(self, *calls):
        """All at once, each on a thread of its own; their results."""
        with concurrent.futures.ThreadPoolExecutor(len(calls)) as pool:
            return [f.result(timeout=harness.PATIENCE * 3) for f in [pool.submit(c) for c in calls]]

    def publish(self, account):
        native = Client(self.server, self.api.key)
        native.headers["Hookline-Account"] = account
        return [native.publish(TYPE, {"n": i}) for i in range(EVENTS)]

    def snapshot(self, tenants):
        """All that is there, as the operator sees it, less what time moves."""
        every = {}
        for t in tenants:
            for kind in ("webhooks", "deliveries"):
                every[t.account, kind] = t.native.get("/v1/%s?limit=250" % kind).json["data"]
        return every

    # ---- the fences ----

    def sees_only_its_own(self, t):
        listed = t.dialect.list_webhooks(t.client)
        self.assertEqual([w["id"] for w in listed], [t.id], t.dialect.name)
        deliveries = t.dialect.list_deliveries(t.client, t.id)
        if deliveries is not None:
            self.assertEqual({d["id"] for d in deliveries}, set(t.deliveries), t.dialect.name)
            self.assertEqual(len(t.deliveries), EVENTS)
        for method, route in t.dialect.webhook_routes:
            if method == "GET":
                self.assertEqual(t.client.get(t.dialect.root + route.format(w=t.id)).status, 200)
        for method, route in t.dialect.delivery_routes:
            for d in t.deliveries if method == "GET" else []:
                self.assertEqual(t.client.get(t.dialect.root + route.format(w=t.id, d=d)).status, 200)

    def ask(self, client, dialect, method, route):
        return client.request(method, dialect.root + route, dialect.change if method == "PATCH" else None)

    def finds_nothing_of(self, t, other):
        """Every route of t's dialect with every id of the other's: exactly as for an id nobody has."""
        d, client = t.dialect, t.dialect.client(self.server, t.account)     # a new key: limits are per key
        numbers = d.name == "aboutyou"
        for method, route in d.webhook_routes:
            unknown = self.ask(client, d, method, route.format(w="999999" if numbers else NOBODY))
            self.assertEqual(unknown.status, 404, (d.name, method, route, unknown))
            a = self.ask(client, d, method, route.format(w=other.number if numbers else other.uuid))
            self.assertEqual((a.status, a.body), (404, unknown.body), (d.name, other.dialect.name, method, route))
            a = self.ask(client, d, method, route.format(w=other.uuid if numbers else other.number))    # the other kind of id
            self.assertEqual(a.status, {"aboutyou": 400, "cs2cap": 422}.get(d.name, 404), (d.name, method, route))
        for method, route in d.delivery_routes:
            unknown = self.ask(client, d, method, route.format(w=t.id, d=NOBODY))
            self.assertEqual(unknown.status, 404, (d.name, method, route, unknown))
            for id in other.deliveries[:1] + other.events[:1]:
                a = self.ask(client, d, method, route.format(w=t.id, d=id))
                self.assertEqual((a.status, a.body), (404, unknown.body), (d.name, other.dialect.name, method, route))
                if "{w}" in route:                                           # its webhook with its delivery
                    self.assertEqual(self.ask(client, d, method, route.format(w=other.uuid, d=id)).status, 404)
        if d.name == "bitnob":
            a = client.get("%s/events?webhook_id=%s" % (d.root, other.uuid))
            self.assertEqual((a.status, a.json["data"]), (200, []))

    def is_locked_out(self, t, other):
        """t's key is worth nothing in another dialect, natively, or as the other credential."""
        if t.dialect is other.dialect:
            return
        prefixed = {"stellarstack": "/stellarstack/webhooks", "bitnob": "/bitnob/webhooks"}
        root = prefixed.get(other.dialect.name, other.dialect.root)
        for speaker in (other.dialect.speaking(self.server, t.client.secret_key), t.client):
            a = speaker.get(root)
            self.assertEqual(a.status, 401, (t.dialect.name, other.dialect.name, a))
        for path in ("/v1/webhooks", "/v1/deliveries", "/v1/events", "/v1/event-types", "/v1/accounts", "/v1/webhooks/" + other.uuid):
            self.assertEqual(t.client.get(path).status, 401, path)

    def fenced(self, tenants):
        for t in tenants:
            t.look()
        before = self.snapshot(tenants)
        requests = len(self.receiver.records)
        self.together(*[lambda t=t: self.sees_only_its_own(t) for t in tenants])
        pairs = [(t, o) for t in tenants for o in tenants if t is not o]
        for t, o in pairs:
            self.is_locked_out(t, o)
        self.together(*[lambda t=t: [self.finds_nothing_of(t, o) for o in tenants if o is not t] for t in tenants])
        self.assertEqual(self.snapshot(tenants), before, "nothing was touched")
        self.assertEqual(len(self.receiver.records), requests, "nothing was sent")

    def receive(self, t):
        """The events, each once, in this dialect's shape."""
        until(lambda: len(t.requests()) >= EVENTS, t.dialect.name)
        for r in t.requests():
            self.assertTrue(t.shape(r), (t.dialect.name, r["body"]))
        t.native.wait_deliveries("succeeded", EVENTS, webhook=t.uuid)
        self.assertEqual(len(t.requests()), EVENTS)

    # ---- the two ways of using it ----

    def test_four_accounts(self):
        """Two accounts of each dialect, so that a neighbour may also speak the same one."""
        plan = [(d, self.account()) for d in DIALECTS + DIALECTS]
        tenants = self.together(*[lambda d=d, a=a: Tenant(self, d, a) for d, a in plan])
        for published in self.together(*[lambda t=t: self.publish(t.account) for t in tenants]):
            self.assertEqual([p["deliveries"] for p in published], [1] * EVENTS)
        self.together(*[lambda t=t: self.receive(t.look()) for t in tenants])
        self.fenced(tenants)
        # a key of an account's own sees the account and nobody else's; the operator sees each
        for t in tenants:
            own = self.server.client("read,manage", t.account)
            self.assertEqual([w["id"] for w in own.get("/v1/webhooks").json["data"]], [t.uuid])
            self.assertEqual({d["id"] for d in own.deliveries()}, set(t.deliveries))
            o = tenants[tenants.index(t) - 1]
            for path in ("/v1/webhooks/" + o.uuid, "/v1/webhooks/%s/stats" % o.uuid, "/v1/deliveries/" + o.deliveries[0],
                         "/v1/events/" + o.events[0]):
                self.assertEqual(own.get(path).status, 404, path)
            self.assertEqual(own.get("/v1/webhooks", headers={"Hookline-Account": o.account}).status, 403)
            self.assertEqual([(w["id"], w["dialect"]) for w in t.native.get("/v1/webhooks").json["data"]], [(t.uuid, t.dialect.name)])

    def test_one_account(self):
        """Every event goes to all of them, and to a native webhook beside them; the operator's view holds all five."""
        account = self.account()
        tenants = self.together(*[lambda d=d: Tenant(self, d, account) for d in DIALECTS])
        native = tenants[0].native
        own = native.webhook(self.target())
        for p in self.publish(account):
            self.assertEqual(p["deliveries"], 5)
        self.together(*[lambda t=t: self.receive(t.look()) for t in tenants])
        native.wait_deliveries("succeeded", EVENTS, webhook=own["id"])
        self.fenced(tenants)
        webhooks = {w["id"]: w["dialect"] for w in native.get("/v1/webhooks").json["data"]}
        self.assertEqual(webhooks, dict({t.uuid: t.dialect.name for t in tenants}, **{own["id"]: "hookline"}))
        deliveries = native.deliveries()
        self.assertEqual(len(deliveries), 5 * EVENTS)
        for t in tenants:
            self.assertEqual([w["id"] for w in native.get("/v1/webhooks?dialect=" + t.dialect.name).json["data"]], [t.uuid])
            self.assertEqual(native.get("/v1/webhooks/" + t.uuid).json["dialect"], t.dialect.name)
            for d in t.deliveries:
                self.assertEqual(native.delivery(d)["dialect"], t.dialect.name)
            self.assertEqual(len({d["event_id"] for d in deliveries if d["webhook_id"] == t.uuid}), EVENTS)
        self.assertEqual({d["dialect"] for d in deliveries}, {"hookline", "cs2cap", "aboutyou", "stellarstack", "bitnob"})
        totals = self.api.get("/v1/accounts/" + account).json["totals"]
        self.assertEqual((totals["webhooks"], totals["events"], set(totals["deliveries"].values())), (5, EVENTS, {EVENTS}))
        # what one dialect deletes is gone for it and the others go on
        for t in tenants:
            gone = t.client.delete("%s/%s" % (t.dialect.root.rstrip("/"), t.id))
            self.assertIn(gone.status, (200, 204), gone)
            self.assertEqual(t.dialect.list_webhooks(t.client), [])
            left = [o for o in tenants[tenants.index(t) + 1:]]
            self.assertEqual(native.publish(TYPE)["deliveries"], len(left) + 1)
            for o in left:
                self.assertEqual([w["id"] for w in o.dialect.list_webhooks(o.client)], [o.id])

    def test_alerts(self):
        """An alert made in one dialect, and one made natively: what it triggers reaches webhooks of all four; the alert itself
        is seen where it was made, and by the operator."""
        self.put_items()
        here, there = self.account(), self.account()
        tenants = self.together(*[lambda d=d: Tenant(self, d, here) for d in DIALECTS])
        neighbour = Tenant(self, DIALECTS[0], there)
        body = {"item_id": market.AK, "kind": "price_below", "threshold_value": "20.00", "threshold_currency": "USD"}
        made = {}
        for t in (tenants[0], neighbour):
            a = t.client.post("/account/alerts", body)
            self.assertEqual(a.status, 201, a)
            made[t] = a.json["id"]
        native = tenants[0].native.post("/v1/alerts", {"item_id": market.AK, "kind": "price_below", "threshold": "20.00", "currency": "USD"})
        self.assertEqual(native.status, 201, native)
        before = [t.client.get("/account/alerts").json["alerts"] for t in made]
        for t, foreign in ((tenants[0], made[neighbour]), (tenants[0], native.json["id"]), (neighbour, made[tenants[0]])):
            for method, change in (("PATCH", {"is_enabled": False}), ("DELETE", None)):
                unknown = t.client.request(method, "/account/alerts/" + NOBODY, change)
                a = t.client.request(method, "/account/alerts/" + foreign, change)
                self.assertEqual((a.status, a.body), (404, unknown.body), (method, a))
        self.assertEqual([t.client.get("/account/alerts").json["alerts"] for t in made], before)
        for t in made:
            self.assertEqual([a["id"] for a in t.client.get("/account/alerts").json["alerts"]], [made[t]])
        for t in tenants[1:]:
            self.assertEqual(t.client.get("/account/alerts").status, 401)
        self.asks(market.ask(market.AK, 1950))
        for t in tenants:                                   # from the dialect's rule and from the native one
            until(lambda: len(t.requests()) >= 2, t.dialect.name)
            self.assertTrue(all(t.look().shape(r) for r in t.requests()), t.dialect.name)
        until(lambda: neighbour.requests(), "the neighbour's")
        for t in made:
            events = t.client.get("/account/alerts/events").json["events"]
            self.assertEqual([e["alert_id"] for e in events], [made[t]])
        seen = {a["id"] for a in tenants[0].native.get("/v1/alerts").json["data"]}
        self.assertEqual(seen, {made[tenants[0]], native.json["id"]}, "the operator sees both")
        self.assertEqual([len(t.requests()) for t in tenants] + [len(neighbour.requests())], [2, 2, 2, 2, 1])

    def test_one_url_for_all(self):
        """The same receiver registered in every dialect gets each event once for each, told apart by shape and headers."""
        account = self.account()
        url = self.target()
        self.target = lambda: url
        try:
            tenants = [Tenant(self, d, account).look() for d in DIALECTS]
        finally:
            del self.target
        self.publish(account)
        until(lambda: len(tenants[0].requests()) >= 4 * EVENTS)
        for t in tenants:
            def fits(r, t=t):
                try:
                    return t.shape(r)
                except KeyError:
                    return False
            self.assertEqual(sum(map(fits, t.requests())), EVENTS, t.dialect.name)

    def test_the_shared_root(self):
        """At /webhooks the key decides, request by request, also on one connection."""
        account = self.account()
        stella, bit = (Tenant(self, d, account) for d in DIALECTS[2:])
        one = Client(self.server, None)
        for _ in range(3):
            a = one.get("/webhooks", headers=stella.client.headers)
            self.assertEqual([w["id"] for w in a.json], [stella.id])
            a = one.get("/webhooks", headers=bit.client.headers)
            self.assertEqual([w["id"] for w in a.json["data"]], [bit.id])
            a = one.get("/webhooks/events", headers=stella.client.headers)
            self.assertIn("categorized", a.json)
            a = one.get("/webhooks/events", headers=bit.client.headers)
            self.assertEqual((a.json["object"], a.json["data"]), ("list", []))

    def test_cursors_do_not_travel(self):
        tenants = [Tenant(self, DIALECTS[3], self.account()) for _ in range(2)]
        for t in tenants:
            self.publish(t.account)
            until(lambda: len(t.dialect.list_deliveries(t.client, t.id)) == EVENTS)
        cursor = tenants[0].client.get("/webhooks/events?limit=1").json["next_cursor"]
        self.assertEqual(tenants[0].client.get("/webhooks/events?limit=1&starting_after=" + cursor).status, 200)
        self.assertEqual(tenants[1].client.get("/webhooks/events?limit=1&starting_after=" + cursor).status, 400)


class OwnWords(harness.Case):
    """What goes wrong outside the handlers is told in the words of the dialect that was asked, too."""
    settings = {"server.body_timeout": "300ms", "store.max_size": "64MiB", "egress.allow_hosts": "localhost"}

    def clients(self):
        return [(d, d.client(self.server, "default")) for d in DIALECTS]

    def worded(self, dialect, body):
        self.assertEqual({
            "cs2cap": lambda: sorted(body) == ["code", "detail"] and body["code"].isupper() and isinstance(body["detail"], str),
            "aboutyou": lambda: list(body) == ["message"],
            "stellarstack": lambda: list(body) == ["error"] and isinstance(body["error"], str),
            "bitnob": lambda: sorted(body) == ["error", "message", "object"] and body["error"]["message"] == body["message"],
        }[dialect.name](), True, body)

    def test_a_body_that_does_not_come(self):
        for dialect, client in self.clients():
            with socket.create_connection(("127.0.0.1", self.server.port), timeout=harness.PATIENCE) as s:
                head = "POST %s HTTP/1.1\r\nHost: x\r\n%s: %s\r\nContent-Length: 100\r\n\r\n{" % (
                    (dialect.root,) + next(iter(client.headers.items())))
                s.sendall(head.encode())
                got = b"".join(iter(lambda: s.recv(65536), b""))
            head, _, body = got.partition(b"\r\n\r\n")
            self.assertTrue(head.startswith(b"HTTP/1.1 408 "), got)
            self.worded(dialect, json.loads(body))

    def test_no_room(self):
        clients = self.clients()
        n = 0
        while self.api.post("/v1/events", {"type": "fill", "data": "x" * 500000}).status == 202:
            n += 1
            self.assertLess(n, 400)
        for dialect, client in clients:
            new = {"events": ["server.started"]} if dialect.name == "stellarstack" else dialect.new
            a = client.post(dialect.root, dict(new, url="https://localhost:9443/"))
            self.assertEqual(a.status, 503 if dialect.name == "cs2cap" else 507, a)
            self.assertGreater(int(a.headers["retry-after"]), 0)
            self.worded(dialect, a.json)
            self.assertEqual(client.get(dialect.root).status, 200)


if __name__ == "__main__":
    harness.main()
