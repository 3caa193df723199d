#!/usr/bin/env python3
"""Dialect aboutyou, request by request: its six routes in both slash forms, what null means, the limits per route and key,
the message a subscriber gets and its signature, and every wrong request in the dialect's own shape."""
import datetime
import hashlib
import hmac
import json
import time

import harness
from harness import until

ROOT = "/api/v1/webhooks"
TIME = r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$"
EVENTS = {"order.created", "order.updated", "order.shipped", "order.cancelled", "order.returned", "order_items.shipped",
          "order_items.cancelled", "order_items.returned", "stock.updated", "product_master.status_updated"}
MEMBERS = ["events", "url", "id", "description", "enabled", "created_at"]
OTHERS = ("hookline", "cs2cap", "stellarstack", "bitnob")


def seconds(text):
    return datetime.datetime.strptime(text, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=datetime.timezone.utc).timestamp()


def stamp(at):
    return datetime.datetime.fromtimestamp(at, datetime.timezone.utc).isoformat()


class Case(harness.Case):
    """self.shop and self.native speak for one account of the test's own. Each test has its own key, so its own limits."""
    settings = {"limits.tiers": "quant: webhooks, batch; free:; small: webhooks, max_webhooks=2",
                "delivery.retry_dialects": "1s, 1s", "delivery.window": "1h"}

    def setUp(self):
        self.account, self.shop, self.native = self.tenant()

    def tenant(self, **members):
        Case.n_accounts = getattr(Case, "n_accounts", 0) + 1
        account = "ay-%d" % Case.n_accounts
        a = self.api.post("/v1/accounts", dict({"id": account}, **members))
        self.assertEqual(a.status, 201, a)
        native = self.server.client()
        native = harness.Client(self.server, native.key)
        native.headers["Hookline-Account"] = account
        return account, self.client(account), native

    def client(self, account, scope="manage", dialect="aboutyou"):
        return self.speaking(self.server.make_key(scope, account, "--dialect", dialect))

    def speaking(self, key, header="X-API-Key"):
        c = harness.Client(self.server, None)
        if key is not None:
            c.headers = {header: key}
        return c

    def ok(self, answer, status=200):
        self.assertEqual(answer.status, status, answer)
        if status == 204:
            self.assertEqual(answer.body, b"")
            return None
        self.assertEqual(answer.headers["content-type"], "application/json")
        return answer.json

    def refused(self, answer, status, word=None):
        """{"message": …} and nothing else."""
        self.assertEqual(answer.status, status, answer)
        self.assertEqual(answer.headers["content-type"], "application/json")
        self.assertEqual(list(answer.json), ["message"], answer)
        self.assertIsInstance(answer.json["message"], str)
        self.assertTrue(answer.json["message"])
        if word:
            self.assertIn(word, answer.json["message"])
        return answer

    def subscribe(self, url=None, **members):
        return self.ok(self.shop.post(ROOT + "/", dict({"url": url or self.url("ok")}, **members)))

    def item(self, s, tail=""):
        return "%s/%d%s" % (ROOT, s["id"], tail)


class Subscriptions(Case):
    def test_types(self):
        for path in (ROOT + "/types", ROOT + "/types/"):
            types = self.ok(self.shop.get(path))
            self.assertIsInstance(types, list)
            self.assertEqual(len(types), len(EVENTS))
            self.assertEqual({t["event"] for t in types}, EVENTS)
            for t in types:
                self.assertEqual(list(t), ["event", "description"])
                self.assertTrue(0 < len(t["event"]) <= 255 and t["description"])

    def test_create(self):
        url = self.url("ok")
        s = self.ok(self.shop.post(ROOT + "/", {"events": ["order.created", "stock.updated"], "url": url, "description": "shop"}))
        self.assertEqual(list(s), MEMBERS + ["client_secret"])
        self.assertEqual((s["events"], s["url"], s["description"], s["enabled"]),
                         (["order.created", "stock.updated"], url, "shop", True))
        self.assertIs(type(s["id"]), int)
        self.assertGreaterEqual(s["id"], 1)
        self.assertRegex(s["created_at"], TIME)
        self.assertRegex(s["client_secret"], r"^whsec_[A-Za-z0-9+/]{43}=$")
        # without the slash too, and without a redirect
        other = self.shop.post(ROOT, {"url": url})
        self.assertNotIn("location", other.headers)
        other = self.ok(other)
        self.assertGreater(other["id"], s["id"])
        self.assertNotEqual(other["client_secret"], s["client_secret"])

    def test_all_events_and_no_description(self):
        url = self.url("ok")
        for body in ({}, {"events": None, "description": None}, {"events": []}):
            s = self.subscribe(url, **body)
            self.assertEqual((set(s["events"]), len(s["events"]), s["description"]), (EVENTS, len(EVENTS), None))
            self.assertEqual(set(self.ok(self.shop.get(self.item(s)))["events"]), EVENTS)
        self.assertEqual(self.subscribe(url, events=["order.created"] * 3)["events"], ["order.created"])

    def test_what_the_body_may_be(self):
        """Members nobody knows are ignored, "enabled" is none of POST's, and Content-Type does not matter."""
        s = self.subscribe(enabled=False, colour="blue", id=77, client_secret="mine")
        self.assertIs(s["enabled"], True)
        self.assertNotEqual(s["id"], 77)
        self.assertTrue(s["client_secret"].startswith("whsec_"))
        text = json.dumps({"url": self.url("ok")}).encode()
        for type in (None, "text/plain", "application/x-www-form-urlencoded", "application/json; charset=utf-8"):
            self.ok(self.shop.post(ROOT + "/", text, content_type=type))
        self.ok(self.shop.get(self.item(s) + "?fields=all&limit=x"))

    def test_list_and_get(self):
        self.assertEqual(self.ok(self.shop.get(ROOT + "/")), [])
        made = [self.subscribe(description="n%d" % i) for i in range(3)]
        shown = [{k: v for k, v in s.items() if k != "client_secret"} for s in made]
        for path in (ROOT, ROOT + "/"):
            listed = self.ok(self.shop.get(path))
            self.assertEqual(listed, shown)
            self.assertEqual([list(s) for s in listed], [MEMBERS] * 3)
        for s, want in zip(made, shown):
            for tail in ("", "/"):
                got = self.shop.get(self.item(s, tail))
                self.assertEqual(self.ok(got), want)
                self.assertNotIn(b"whsec_", got.body)

    def test_a_long_list_is_whole(self):
        n = 260
        for i in range(n):
            if i % 45 == 0:
                self.shop = self.client(self.account)
            self.subscribe("https://receiver.example/%d" % i, events=["order.created"])
        listed = self.ok(self.shop.get(ROOT + "/"))
        self.assertEqual([s["url"] for s in listed], ["https://receiver.example/%d" % i for i in range(n)])

    def test_patch(self):
        s = self.subscribe(events=["order.created"], description="first")
        want = {k: v for k, v in s.items() if k != "client_secret"}
        url = self.url("ok")
        for change, result in (
                ({}, {}),
                ({"events": ["order.shipped", "order.returned"]}, {"events": ["order.shipped", "order.returned"]}),
                ({"url": url}, {"url": url}),
                ({"description": "second"}, {"description": "second"}),
                ({"enabled": False}, {"enabled": False}),
                ({"events": None, "url": None, "enabled": None}, {}),
                ({"description": None}, {"description": None}),
                ({"enabled": True, "colour": 1}, {"enabled": True}),
                ({"description": "a\nb \u00e9\U0001f600", "events": ["stock.updated"]},
                 {"description": "a\nb \u00e9\U0001f600", "events": ["stock.updated"]}),
                ({"id": 1, "client_secret": "x", "created_at": "2020-01-01T00:00:00Z"}, {})):
            want.update(result)
            answer = self.shop.patch(self.item(s), change)
            got = self.ok(answer)
            self.assertEqual(got, want, change)
            self.assertEqual(list(got), MEMBERS)
            self.assertNotIn(b"whsec_", answer.body)
            self.assertEqual(self.ok(self.shop.get(self.item(s))), want)
        got = self.ok(self.shop.patch(self.item(s, "/"), {"events": []}))
        self.assertEqual(set(got["events"]), EVENTS)

    def test_delete(self):
        s, other = self.subscribe(), self.subscribe()
        self.ok(self.shop.delete(self.item(s)), 204)
        for again in (self.shop.get(self.item(s)), self.shop.patch(self.item(s), {"enabled": True}), self.shop.delete(self.item(s))):
            self.refused(again, 404)
        self.assertEqual([x["id"] for x in self.ok(self.shop.get(ROOT + "/"))], [other["id"]])
        self.ok(self.shop.delete(self.item(other, "/")), 204)
        self.assertGreater(self.subscribe()["id"], other["id"], "an id does not come back")

    def test_operator(self):
        """The native API sees and manages it; what it makes itself is not of this dialect."""
        s = self.subscribe(description="text", events=["order.created"])
        found = [w for w in self.native.get("/v1/webhooks?dialect=aboutyou").json["data"]]
        self.assertEqual([(w["number"], w["dialect"], w["description"], w["event_types"], w["name"]) for w in found],
                         [(s["id"], "aboutyou", "text", ["order.created"], "127.0.0.1")])
        self.native.patch("/v1/webhooks/" + found[0]["id"], {"enabled": False})
        self.assertIs(self.ok(self.shop.get(self.item(s)))["enabled"], False)
        mine = self.native.webhook(self.url("ok"))
        self.refused(self.shop.get("%s/%d" % (ROOT, mine["number"])), 404)
        self.assertEqual(len(self.ok(self.shop.get(ROOT + "/"))), 1)


class Refused(Case):
    ROUTES = (("GET", ROOT + "/types"), ("GET", ROOT + "/"), ("POST", ROOT + "/"), ("GET", ROOT + "/1"), ("PATCH", ROOT + "/1"),
              ("DELETE", ROOT + "/1"))

    def test_keys(self):
        key = self.shop.headers["X-API-Key"]
        revoked = self.server.make_key("manage", self.account, "--dialect", "aboutyou")
        number = [k for k in self.api.get("/v1/keys?limit=250").json["data"] if k["last4"] == revoked[-4:]][0]["id"]
        self.assertEqual(self.api.delete("/v1/keys/" + number).status, 204)
        soon = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 2))
        expired = self.server.make_key("manage", self.account, "--dialect", "aboutyou", "--expires", soon)
        until(lambda: self.speaking(expired).get(ROOT).status == 401, "the key to expire", every=0.1)
        callers = [self.speaking(None), self.speaking(key, "Authorization"), self.speaking("Bearer " + key, "Authorization"),
                   self.speaking("Bearer " + key), self.speaking(""), self.speaking("hlk_nonsense"), self.speaking(key[:-1]),
                   self.speaking(key[:-1] + ("x" if key[-1] != "x" else "y")), self.speaking(revoked), self.speaking(expired)]
        callers += [self.client(self.account, dialect=d) for d in OTHERS]
        for caller in callers:
            for method, path in self.ROUTES:
                body = {"url": self.url("ok")} if method in ("POST", "PATCH") else None
                self.refused(caller.request(method, path, body), 401)
        self.refused(callers[0].get(ROOT), 401, "X-API-Key")
        self.ok(self.shop.get(ROOT + "/"))

    def test_scopes(self):
        reader = self.client(self.account, "read")
        s = self.subscribe()
        for path in (ROOT + "/types", ROOT + "/", self.item(s)):
            self.ok(reader.get(path))
        self.refused(reader.post(ROOT + "/", {"url": self.url("ok")}), 403)
        self.refused(reader.patch(self.item(s), {}), 403)
        self.refused(reader.delete(self.item(s)), 403)
        publisher = self.client(self.account, "publish")
        self.refused(publisher.get(ROOT + "/"), 403)

    def test_disabled_account(self):
        self.assertEqual(self.api.patch("/v1/accounts/" + self.account, {"disabled": True}).status, 200)
        self.refused(self.shop.get(ROOT + "/"), 403)

    def test_tiers(self):
        account, shop, native = self.tenant(tier="free")
        self.refused(shop.post(ROOT + "/", {"url": self.url("ok")}), 403)
        self.assertEqual(self.ok(shop.get(ROOT + "/")), [])
        account, shop, native = self.tenant(tier="small")
        for i in range(2):
            self.ok(shop.post(ROOT + "/", {"url": self.url("ok")}))
        self.refused(shop.post(ROOT + "/", {"url": self.url("ok")}), 409)

    def test_ids(self):
        for id in ("abc", "1.0", "1e3", "+1", "%201", "0x1", "\u0661".encode().hex(), "1,2", "null", "018f3a5e-0000-7000-8000-000000000000"):
            for method in ("GET", "PATCH", "DELETE"):
                self.refused(self.shop.request(method, "%s/%s" % (ROOT, id), {} if method == "PATCH" else None), 400, "integer")
        for id in ("0", "-1", "999999", "4294967296", "99999999999999999999999999"):
            for method in ("GET", "PATCH", "DELETE"):
                self.refused(self.shop.request(method, "%s/%s" % (ROOT, id), {} if method == "PATCH" else None), 404)

    def test_foreign(self):
        _, stranger, _ = self.tenant()
        s = self.subscribe()
        unknown = self.refused(stranger.get(ROOT + "/999999"), 404)
        for answer in (stranger.get(self.item(s)), stranger.patch(self.item(s), {"enabled": False}), stranger.delete(self.item(s))):
            self.assertEqual((answer.status, answer.body), (404, unknown.body))
        self.assertEqual(self.ok(stranger.get(ROOT + "/")), [])
        self.assertIs(self.ok(self.shop.get(self.item(s)))["enabled"], True)

    def test_bodies(self):
        """What is wrong is wrong for POST and PATCH alike, and changes nothing."""
        s = self.subscribe()
        before = self.ok(self.shop.get(self.item(s)))
        good = self.url("ok")
        wrong = [{"url": 1}, {"url": []}, {"url": {}}, {"url": True}, {"events": "order.created"}, {"events": {}}, {"events": 1},
                 {"events": [1]}, {"events": [None]}, {"events": ["order.created", "no.such"]}, {"events": ["ORDER.CREATED"]},
                 {"events": [""]}, {"events": ["alert.triggered"]}, {"events": ["order.created"] * 257}, {"description": 1},
                 {"description": []}, {"description": "x" * 1001}, {"description": "\U0001f600" * 1001}, {"description": "a\u0000b"}]
        for body in wrong:
            name = next(iter(body))
            self.refused(self.shop.post(ROOT + "/", dict({"url": good}, **body)), 400, name)
            self.refused(self.shop.patch(self.item(s), body), 400, name)
        for enabled in ("true", 1, 0, [], {}):
            self.refused(self.shop.patch(self.item(s), {"enabled": enabled}), 400, "enabled")
        self.shop = self.client(self.account)
        for body in ({}, {"url": None}, {"events": []}):
            self.refused(self.shop.post(ROOT + "/", body), 400, "url")
        for text in (b"{", b"", b"[]", b"null", b"7", b'"x"', b"{'url':1}", b'{"url":"\xff"}', b'{"url":"a","url":"b"}', b"{}{}",
                     b'{"url":"\\ud800"}'):
            self.refused(self.shop.post(ROOT + "/", text), 400)
            self.refused(self.shop.patch(self.item(s), text), 400)
        self.assertEqual(self.ok(self.shop.get(self.item(s))), before)
        self.assertEqual(len(self.ok(self.shop.get(ROOT + "/"))), 1)

    def test_too_large(self):
        self.refused(self.shop.post(ROOT + "/", b'{"url":"' + b"x" * (2 << 20)), 413)

    def test_urls(self):
        s = self.subscribe()
        for url in ("", "/hook", "receiver.example/hook", "ftp://receiver.example/", "javascript:alert(1)", "http://", "http:///x",
                    "https://user:pass@receiver.example/", "https://receiver.example/#x", "https://receiver.example/a b",
                    "https://10.0.0.1/", "http://169.254.169.254/latest", "http://localhost/", "https://receiver.example:22/",
                    "https://2130706433/", "https://receiver/"):
            self.refused(self.shop.post(ROOT + "/", {"url": url}), 400, "url")
            self.refused(self.shop.patch(self.item(s), {"url": url}), 400, "url")
        for url in ("http://receiver.example/hook?x=1", "https://receiver.example:8443/hook"):
            self.assertEqual(self.subscribe(url)["url"], url)

    def test_lengths(self):
        base = "https://receiver.example/"
        longest = base + "x" * (2083 - len(base))
        s = self.subscribe(longest, description="\u00e9" * 1000)
        self.assertEqual((s["url"], len(s["description"])), (longest, 1000))
        self.assertEqual(self.ok(self.shop.patch(self.item(s), {"url": longest, "description": "\U0001f600" * 1000}))["url"], longest)
        self.refused(self.shop.post(ROOT + "/", {"url": longest + "x"}), 400, "url")
        self.refused(self.shop.patch(self.item(s), {"url": longest + "x"}), 400, "url")
        self.refused(self.shop.post(ROOT + "/", {"url": base, "description": "\u00e9" * 1001}), 400, "description")
        self.refused(self.shop.patch(self.item(s), {"description": "\U0001f600" * 1001}), 400, "description")

    def test_paths_and_methods(self):
        self.refused(self.shop.get(ROOT + "/1/deliveries"), 404)
        self.refused(self.shop.get(ROOT + "//"), 404)
        self.refused(self.shop.post(ROOT + "/order-created", {}), 405)
        for method, path, allow in (("PUT", ROOT + "/", {"GET", "HEAD", "POST", "OPTIONS"}),
                                    ("POST", ROOT + "/types", {"GET", "HEAD", "OPTIONS"}),
                                    ("PUT", ROOT + "/1", {"GET", "HEAD", "PATCH", "DELETE", "OPTIONS"})):
            a = self.refused(self.shop.request(method, path, {}), 405)
            self.assertEqual(set(a.headers["allow"].split(", ")), allow)


class Limits(Case):
    def spend(self, n, request):
        """n requests that pass and count down, then one that does not."""
        for i in range(n):
            a = request()
            self.assertNotEqual(a.status, 429, "request %d" % (i + 1))
            self.assertEqual((a.headers["x-ratelimit-limit"], a.headers["x-ratelimit-remaining"]), (str(n), str(n - 1 - i)))
        a = self.refused(request(), 429)
        self.assertEqual((a.headers["x-ratelimit-limit"], a.headers["x-ratelimit-remaining"]), (str(n), "0"))
        self.assertTrue(1 <= int(a.headers["retry-after"]) <= 60, a.headers)

    def test_each_route_and_key(self):
        s = self.subscribe()
        second = self.client(self.account)
        slash = ["", "/"] * 60
        self.spend(50, lambda: self.shop.get(ROOT + slash.pop()))           # both forms are one route
        self.spend(50, lambda: self.shop.get(ROOT + "/types"))
        self.spend(50, lambda: self.shop.get(self.item(s)))
        self.refused(self.shop.get(ROOT + "/999999"), 429)                   # whichever the id
        self.spend(100, lambda: self.shop.patch(self.item(s), {"enabled": True}))
        self.spend(50, lambda: self.shop.delete(ROOT + "/999999"))
        self.ok(second.get(ROOT))
        self.ok(second.patch(self.item(s), {"description": "still"}))
        account, stranger, _ = self.tenant()
        self.ok(stranger.get(ROOT))

    def test_create(self):
        self.spend(50, lambda: self.shop.post(ROOT + "/", {"url": "https://receiver.example/"}))
        self.assertEqual(len(self.ok(self.shop.get(ROOT))), 50)

    def test_a_bad_request_counts(self):
        self.spend(50, lambda: self.shop.post(ROOT + "/", {}))


class Deliveries(Case):
    def pushed(self, url, n=1):
        return self.got(url, n)

    def check(self, s, record):
        """Signed as the documents say and as Standard Webhooks says."""
        want = hmac.new(s["client_secret"].encode(), record["body"], hashlib.sha256).hexdigest()
        self.assertEqual(record["headers"]["x-signature"], want)
        self.assert_verified(s["client_secret"], record)
        self.assertEqual(record["headers"]["content-type"], "application/json")
        self.assertEqual([h for h in record["headers"] if h.startswith(("x-cs2", "x-bitnob", "x-webhook"))], [])
        for name in ("webhook-id", "webhook-timestamp", "webhook-signature", "hookline-delivery-id", "hookline-attempt"):
            self.assertIn(name, record["headers"])

    def test_message(self):
        one, two = self.url("ok"), self.url("ok")
        subs = [self.subscribe(one, events=["order.created"]), self.subscribe(two)]
        data = b'{"id": 12345678901234567890, "total": 1.10, "items": [ ]}'
        a = self.native.post("/v1/events", b'{"type":"order.created","occurred_at":"2026-04-12T18:20:11Z","data":' + data + b"}")
        self.assertEqual((a.status, a.json["deliveries"]), (202, 2))
        ids = set()
        for s, url in zip(subs, (one, two)):
            record = self.pushed(url)[0]
            body = json.loads(record["body"])
            self.assertEqual(list(body), ["id", "event", "timestamp", "message", "subscription_id"])
            self.assertIs(type(body["id"]), int)
            self.assertGreaterEqual(body["id"], 1)
            self.assertEqual((body["event"], body["timestamp"], body["subscription_id"]),
                             ("order.created", "2026-04-12T18:20:11.000Z", s["id"]))
            self.assertIn(b'"message":' + data + b",", record["body"])
            self.assertEqual(record["headers"]["webhook-id"], a.json["id"])
            self.check(s, record)
            ids.add(body["id"])
        self.assertEqual(len(ids), 1, "one message, one id")
        self.native.publish("order.updated")
        self.assertGreater(json.loads(self.pushed(two, 2)[1]["body"])["id"], ids.pop())

    def test_stock_is_an_array(self):
        url = self.url("ok")
        s = self.subscribe(url, events=["stock.updated"])
        self.native.publish("stock.updated", [{"sku": "a", "quantity": 1, "quantity_fbm": 0}])
        record = self.pushed(url)[0]
        self.assertEqual(json.loads(record["body"])["message"], [{"sku": "a", "quantity": 1, "quantity_fbm": 0}])
        self.check(s, record)

    def test_same_id_on_every_attempt(self):
        url = self.url("flaky/2")
        s = self.subscribe(url, events=["order.shipped"])
        self.native.publish("order.shipped", {"n": 1})
        for n in (1, 2):
            self.pushed(url, n)
            d = until(lambda: [d for d in self.native.deliveries() if d["attempt_count"] == n], "attempt %d" % n)[0]
            self.assertEqual(self.native.post("/v1/deliveries/%s/retry" % d["id"]).status, 200)
        records = self.pushed(url, 3)
        self.assertEqual(len({r["body"] for r in records}), 1)
        self.assertEqual(len({r["headers"]["webhook-id"] for r in records}), 1)
        self.assertEqual([r["headers"]["hookline-attempt"] for r in records], ["1", "2", "3"])
        for r in records:
            self.check(s, r)
        self.native.wait_deliveries("succeeded")

    def test_filter(self):
        url = self.url("ok")
        self.subscribe(url, events=["order.created", "order.returned"])
        for type in ("order.updated", "order.created", "stock.updated", "order.returned", "my.own"):
            self.native.publish(type)
        self.assertEqual({json.loads(r["body"])["event"] for r in self.pushed(url, 2)}, {"order.created", "order.returned"})
        everything = self.url("ok")
        self.subscribe(everything)
        # what is in another dialect's catalogue, or in none, is not for this one
        for type in ("alert.triggered", "server.started", "wallet.created", "my.own"):
            self.assertEqual(self.native.publish(type)["deliveries"], 0, type)
        for type in sorted(EVENTS):
            self.native.publish(type)
        self.assertEqual({json.loads(r["body"])["event"] for r in self.pushed(everything, len(EVENTS))}, EVENTS)
        self.assertEqual(len(self.receiver.of(url[len(self.receiver.url):])), 4)

    def test_changed_filter_and_url(self):
        first, second = self.url("ok"), self.url("ok")
        s = self.subscribe(first, events=["order.created"])
        self.ok(self.shop.patch(self.item(s), {"url": second, "events": ["order.updated"]}))
        self.assertEqual(self.native.publish("order.created")["deliveries"], 0)
        self.assertEqual(self.native.publish("order.updated")["deliveries"], 1)
        self.check(s, self.pushed(second)[0])
        self.assertEqual(self.receiver.of(first[len(self.receiver.url):]), [])

    def test_disable_holds_and_enable_releases(self):
        url = self.url("ok")
        s = self.subscribe(url, events=["order.created"])
        at = time.time() + 0.5
        self.native.publish("order.created", deliver_after=stamp(at))
        self.assertIs(self.ok(self.shop.patch(self.item(s), {"enabled": False}))["enabled"], False)
        self.assertEqual(self.native.publish("order.created")["deliveries"], 0, "no new ones")
        until(lambda: time.time() > at + 0.5)
        self.assertEqual(self.receiver.of(url[len(self.receiver.url):]), [])
        self.ok(self.shop.patch(self.item(s), {"enabled": True}))
        self.check(s, self.pushed(url)[0])
        self.native.wait_deliveries("succeeded")

    def test_enable_does_not_hurry_a_retry(self):
        """A retry comes on the hour, whoever was away in between."""
        url = self.url("status/503")
        s = self.subscribe(url, events=["order.created"])
        self.native.publish("order.created")
        d = until(lambda: [d for d in self.native.deliveries() if d["attempt_count"] == 1])[0]
        for enabled in (False, True):
            self.ok(self.shop.patch(self.item(s), {"enabled": enabled}))
        self.native.publish("order.created")
        self.pushed(url, 2)
        self.assertEqual(self.native.delivery(d["id"])["attempt_count"], 1)
        self.assertEqual(self.native.delivery(d["id"])["next_attempt_at"], d["next_attempt_at"])

    def test_delete_cancels(self):
        url = self.url("status/503")
        s = self.subscribe(url, events=["order.created"])
        self.native.publish("order.created")
        self.pushed(url)
        d = until(lambda: [d for d in self.native.deliveries() if d["attempt_count"] == 1])[0]
        self.ok(self.shop.delete(self.item(s)), 204)
        until(lambda: self.native.delivery(d["id"])["status"] == "cancelled", "cancelled")
        self.assertEqual(self.native.publish("order.created")["deliveries"], 0)

    def test_gone_disables(self):
        url = self.url("gone")
        s = self.subscribe(url, events=["order.created"])
        for change in ({"enabled": True}, {"url": self.url("ok")}):
            self.native.publish("order.created")
            until(lambda: self.ok(self.client(self.account, "read").get(self.item(s)))["enabled"] is False, "disabled", every=0.1)
            self.assertIs(self.ok(self.shop.patch(self.item(s), change))["enabled"], True, change)
            self.receiver.script[url[len(self.receiver.url):]] = "gone"

    def test_strictly_hourly(self):
        """Whatever the options and the receiver say: the next attempt comes a full hour after the first was due, for 48 h."""
        for behaviour in ("status/500", "status/404", "retry-after/1", "retry-after/1/503", "retry-after-date/2", "close", "status/302"):
            url = self.url(behaviour)
            s = self.subscribe(url, events=["order.created"])
            self.native.publish("order.created")
            self.pushed(url)
            number = s["id"]
            w = [w for w in self.native.get("/v1/webhooks?limit=250").json["data"] if w["number"] == number][0]
            d = until(lambda: [d for d in self.native.deliveries(webhook=w["id"]) if d["attempt_count"] == 1], behaviour)[0]
            d = self.native.delivery(d["id"])
            self.assertEqual(seconds(d["next_attempt_at"]) - seconds(d["window_from"]), 3600, behaviour)
            self.assertEqual(seconds(d["window_until"]) - seconds(d["window_from"]), 48 * 3600, behaviour)
            self.ok(self.shop.delete(self.item(s)), 204)

    def test_rotated_by_an_operator(self):
        """This dialect has no rotation; the operator's keeps the old secret in the standard signature, never in X-Signature."""
        url = self.url("ok")
        s = self.subscribe(url, events=["order.created"])
        w = self.native.get("/v1/webhooks").json["data"][0]
        new = self.native.post("/v1/webhooks/%s/rotate-secret" % w["id"], {}).json["secret"]
        self.native.publish("order.created")
        record = self.pushed(url)[0]
        self.check(dict(s, client_secret=new), record)
        self.assertEqual(len(record["headers"]["webhook-signature"].split()), 2)


if __name__ == "__main__":
    harness.main()
