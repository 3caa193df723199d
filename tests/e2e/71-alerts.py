#!/usr/bin/env python3
"""Alerts of dialect cs2cap, request by request: rules, batches, what makes them fire, what receivers get, what is listed."""
import hashlib
import hmac
import json

import cs2cap
import harness
from cs2cap import ANY, flag, number, one_of, or_null, text, time, uuid
from harness import until
from market import AK, KNIFE, Market, NAMES, ask, bid, item

KIND = one_of("price_below", "price_above", "spread_exceeds")


def decimal(v):
    return text(v) and v.replace(".", "", 1).isdigit()


ITEM = {"item_id": number, "market_hash_name": text, "phase": or_null(text)}
ALERT = {"id": uuid, "kind": KIND, "threshold_value": decimal, "threshold_currency": or_null(text), "is_enabled": flag,
         "last_triggered_at": or_null(time), "created_at": time, "updated_at": time, "item": lambda v: isinstance(v, dict)}
EVENT = {"id": uuid, "alert_id": uuid, "kind": KIND, "item": lambda v: isinstance(v, dict), "triggered_value": decimal,
         "triggered_currency": or_null(text), "reason": or_null(text), "created_at": time, "deliveries": lambda v: isinstance(v, list)}
ROW = {"channel": one_of("webhook", "email"), "status": one_of("pending", "succeeded", "failed", "skipped"), "delivery_id": or_null(uuid),
       "endpoint_id": or_null(uuid), "endpoint_label": or_null(text), "platform": or_null(cs2cap.PLATFORM),
       "attempt_count": or_null(number), "last_http_status": or_null(number), "next_attempt_at": or_null(time),
       "error": or_null(text), "created_at": time}
RESULT = {"index": number, "status": one_of("created", "error"), "alert_id": or_null(uuid), "code": or_null(text), "message": or_null(text)}


class Alerts(Market, cs2cap.Case):
    """Every test has an account of its own: cs speaks the dialect, native the native API, for the same account."""
    settings = {"limits.tiers": "quant: webhooks, batch; plain: batch; few: webhooks, batch, max_enabled_alerts=3; single: webhooks"}
    n = 0

    def setUp(self):
        Alerts.n += 1
        self.id = "alerts-%d" % Alerts.n
        self.cs = self.account(self.id, name="a")
        self.native = self.server.client(account=self.id, scope="manage,read")
        self.mine = 1000 * Alerts.n
        self.put_items(AK, KNIFE, self.mine, self.mine + 1)
        self.fx(EUR=0.92, JPY=149.5)

    def member(self, **members):
        a = self.api.patch("/v1/accounts/" + self.id, members)
        self.assertEqual(a.status, 200, a)

    def rule(self, threshold="20.00", kind="price_below", **members):
        """A new alert of this test's item."""
        body = dict({"item_id": self.mine, "kind": kind, "threshold_value": threshold}, **members)
        a = self.cs.post("/account/alerts", body)
        self.assertEqual(a.status, 201, a)
        return self.shape_alert(a.json)

    def shape_alert(self, v):
        self.shaped(v, ALERT)
        self.shaped(v["item"], ITEM)
        return v

    def listed(self, query="limit=200"):
        a = self.cs.get("/account/alerts?" + query)
        self.assertEqual((a.status, sorted(a.json)), (200, ["alerts", "pagination"]), a)
        self.shaped(a.json["pagination"], cs2cap.PAGINATION)
        return [self.shape_alert(v) for v in a.json["alerts"]]

    def alert_of(self, id):
        return [v for v in self.listed() if v["id"] == id][0]

    def events(self, query="limit=100"):
        a = self.cs.get("/account/alerts/events?" + query)
        self.assertEqual((a.status, sorted(a.json)), (200, ["events", "pagination"]), a)
        self.shaped(a.json["pagination"], cs2cap.PAGINATION)
        for e in a.json["events"]:
            self.shaped(e, EVENT)
            self.shaped(e["item"], ITEM)
            for d in e["deliveries"]:
                self.shaped(d, ROW)
        return a.json["events"]

    def fired(self, rule, n=1):
        """The rule's events, newest first, once there are n and it is off."""
        def test():
            found = [e for e in self.events() if e["alert_id"] == rule["id"]]
            return found if len(found) == n and not self.alert_of(rule["id"])["is_enabled"] else None
        return until(test, "event %d of an alert" % n)

    def quiet(self, *rules):
        """None of them has fired: a probe made now, and true, has."""
        w = not self.cs.get("/account/webhooks").json["webhooks"]
        self.assertFalse(w, "a probe needs a channel")
        probe = self.rule("0.01", "price_above")
        self.fired(probe)
        self.cs.delete("/account/alerts/" + probe["id"])
        for r in rules:
            self.assertTrue(self.alert_of(r["id"])["is_enabled"], r)
            self.assertEqual([e for e in self.events() if e["alert_id"] == r["id"]], [])

    # ---- create ----

    def test_create(self):
        self.created(platform="custom")
        for mount in ("/account", "/v1/account"):
            for body, want in (
                    ({"threshold_value": "20.00"}, ("20.00", "USD", True)),
                    ({"threshold_value": "20.00", "threshold_currency": "EUR", "is_enabled": False}, ("20.00", "EUR", False)),
                    ({"threshold_value": 20.5, "threshold_currency": None}, ("20.50", "USD", True)),
                    ({"threshold_value": 7, "kind": "price_above", "threshold_currency": "jpy"}, ("7.00", "JPY", True)),
                    ({"threshold_value": "+003.1250", "kind": "spread_exceeds"}, ("3.125", None, True)),
                    ({"threshold_value": "12", "kind": "spread_exceeds", "threshold_currency": "XXX"}, ("12.00", None, True)),
                    ({"threshold_value": "0.000001", "whatever": {"is": "ignored"}}, ("0.000001", "USD", True)),
                    ({"threshold_value": "1000000000000", "is_enabled": False}, ("1000000000000.00", "USD", False))):
                a = self.cs.post(mount + "/alerts", dict({"item_id": KNIFE, "kind": "price_below"}, **body))
                self.assertEqual((a.status, a.headers["content-type"]), (201, "application/json"), a)
                v = self.shape_alert(a.json)
                self.assertEqual((v["threshold_value"], v["threshold_currency"], v["is_enabled"]), want)
                self.assertEqual(v["kind"], body.get("kind", "price_below"))
                self.assertEqual(v["item"], {"item_id": KNIFE, "market_hash_name": NAMES[KNIFE][0], "phase": "Phase 2"})
                self.assertIsNone(v["last_triggered_at"])
                self.assertEqual(v["created_at"], v["updated_at"])
        self.assertEqual(len(self.listed()), 16)

    def test_the_accounts_currency(self):
        self.member(preferred_currency="EUR")
        self.assertEqual(self.rule(is_enabled=False)["threshold_currency"], "EUR")
        self.assertEqual(self.rule(is_enabled=False, threshold_currency="USD")["threshold_currency"], "USD")
        self.member(preferred_currency="CHF")
        self.refused(self.cs.post("/account/alerts", {"item_id": AK, "kind": "price_below", "threshold_value": "1"}), 400, "BAD_REQUEST")

    def test_create_refused(self):
        self.created()
        good = {"item_id": AK, "kind": "price_below", "threshold_value": "20", "threshold_currency": "USD", "is_enabled": False}

        def post(**change):
            return self.cs.post("/account/alerts", {k: v for k, v in dict(good, **change).items() if v != "absent"})
        for member, values in (
                ("item_id", ("absent", None, "156", 1.5, True, [], {})), ("kind", ("absent", None, 5, [])),
                ("threshold_value", ("absent", None, True, [], "", "x", "1e3", "1,5", "0x10", ".", "-", "--1", "1.2.3", "NaN")),
                ("threshold_currency", (5, [], {})), ("is_enabled", ("true", 1, None, [])), ):
            for v in values:
                self.refused(post(**{member: v}), 422, "VALIDATION_ERROR", ["body", member])
        self.refused(self.cs.post("/account/alerts", b'{"item_id":156,"kind":"price_below","threshold_value":1e3}'), 422,
                     "VALIDATION_ERROR", ["body", "threshold_value"])
        for change in ({"kind": "price_equals"}, {"kind": ""}, {"kind": "PRICE_BELOW"}, {"threshold_value": "0"}, {"threshold_value": 0},
                       {"threshold_value": "-1"}, {"threshold_value": "0.0000001"}, {"threshold_value": "1000000000000.000001"},
                       {"threshold_value": "9" * 40}, {"threshold_currency": "CHF"}, {"threshold_currency": "EURO"},
                       {"threshold_currency": ""}, {"kind": "spread_exceeds", "threshold_value": "0"}):
            self.refused(post(**change), 400, "BAD_REQUEST")
        for id in (999999, 0, -5):
            self.refused(post(item_id=id), 404, "ITEM_NOT_FOUND", "Item not found: %d" % id)
        for body in (b"", b"{", b"nonsense", b"[]", b'"x"', b"\xff"):
            self.refused(self.cs.post("/account/alerts", body), 422, "VALIDATION_ERROR")
        self.assertEqual(self.listed(), [])

    def test_who_may(self):
        nobody = harness.Client(self.server, None)
        routes = (("GET", "/account/alerts"), ("POST", "/account/alerts"), ("POST", "/account/alerts/batch"),
                  ("PATCH", "/account/alerts/" + ANY), ("DELETE", "/account/alerts/" + ANY), ("GET", "/account/alerts/events"))
        for method, path in routes:
            body = {} if method in ("POST", "PATCH") else None
            self.refused(nobody.request(method, path, body), 401, "UNAUTHORIZED", "Missing Authorization header")
            for key in ("sk_live_nonsense", self.native.key):
                self.refused(harness.Client(self.server, key).request(method, path, body), 401, "AUTH_INVALID_API_KEY")
        gone = self.client("read,manage", self.id)
        self.assertEqual(self.api.delete("/v1/keys/" + gone.key[:10]).status, 204)
        elsewhere = harness.Client(self.server, None)
        elsewhere.headers = {"X-API-Key": self.cs.key}
        for method, path in routes:
            body = {} if method in ("POST", "PATCH") else None
            self.refused(gone.request(method, path, body), 401, "AUTH_API_KEY_REVOKED")
            self.refused(elsewhere.request(method, path, body), 401, "UNAUTHORIZED")
        reader = self.client("read", self.id)
        for method, path in routes:
            if method == "GET":
                self.assertEqual(reader.get(path).status, 200)
            else:
                self.refused(reader.request(method, path, {}), 403, "FORBIDDEN")
        for method, path in (("PUT", "/account/alerts"), ("GET", "/account/alerts/" + ANY), ("POST", "/account/alerts/events")):
            self.refused(self.cs.request(method, path), 405, "METHOD_NOT_ALLOWED")

    # ---- channels, tiers, caps ----

    def test_a_channel_is_needed(self):
        code = "ACCOUNT_ALERT_DELIVERY_CHANNEL_REQUIRED"
        body = {"item_id": self.mine, "kind": "price_below", "threshold_value": "20"}
        off = self.rule(is_enabled=False)
        on = {"is_enabled": True}

        def refused():
            self.refused(self.cs.post("/account/alerts", body), 409, code)
            self.refused(self.cs.post("/account/alerts/batch", {"alerts": [dict(body, is_enabled=False), body]}), 409, code)
            self.refused(self.cs.patch("/account/alerts/" + off["id"], on), 409, code)
            self.assertEqual(len(self.listed()), 1)
        refused()
        for members in ({"email": "a@example.com"}, {"email": "a@example.com", "email_verified": True}, {"email_verified": False, "alert_emails": True},
                        {"email": None, "email_verified": True}):
            self.member(**members)
            refused()
        w, _ = self.created(is_active=False)
        refused()
        hook = "/account/webhooks/" + w["id"]
        self.assertEqual(self.cs.patch(hook, {"is_active": True}).status, 200)
        self.assertTrue(self.cs.patch("/account/alerts/" + off["id"], on).json["is_enabled"])
        # losing the last channel leaves the alert on; without one it cannot be enabled again
        self.assertEqual(self.cs.delete(hook).status, 200)
        self.assertTrue(self.alert_of(off["id"])["is_enabled"])
        self.assertEqual(self.cs.patch("/account/alerts/" + off["id"], {"is_enabled": False, "threshold_value": "21"}).status, 200)
        refused()
        # an e-mail address is a channel as well, and the only one of tiers without webhooks
        self.member(email="a@example.com", email_verified=True, alert_emails=True)
        self.assertTrue(self.cs.patch("/account/alerts/" + off["id"], on).json["is_enabled"])

    def test_webhooks_count_only_where_the_tier_has_them(self):
        self.created()
        self.member(tier="plain")
        body = {"item_id": self.mine, "kind": "price_below", "threshold_value": "20"}
        self.refused(self.cs.post("/account/alerts", body), 409, "ACCOUNT_ALERT_DELIVERY_CHANNEL_REQUIRED")
        self.member(email="a@example.com", email_verified=True, alert_emails=True)
        self.assertEqual(self.cs.post("/account/alerts", body).status, 201)

    def test_the_cap(self):
        self.created()
        self.member(tier="few")
        code = "ACCOUNT_ALERT_LIMIT_REACHED"
        body = {"item_id": self.mine, "kind": "price_below", "threshold_value": "20"}
        off = self.rule(is_enabled=False)
        on = [self.rule() for _ in range(3)]
        self.refused(self.cs.post("/account/alerts", body), 402, code)
        self.refused(self.cs.patch("/account/alerts/" + off["id"], {"is_enabled": True}), 402, code)
        self.assertEqual(self.cs.patch("/account/alerts/" + on[0]["id"], {"is_enabled": True, "threshold_value": "3"}).status, 200)
        self.rule(is_enabled=False)
        self.cs.patch("/account/alerts/" + on[0]["id"], {"is_enabled": False})
        self.refused(self.cs.post("/account/alerts/batch", {"alerts": [body, dict(body, threshold_value="21"), dict(body, threshold_value="22",
                                                                       is_enabled=False)]}), 402, code)
        self.assertEqual(len(self.listed()), 5)
        a = self.cs.post("/account/alerts/batch", {"alerts": [body, dict(body, threshold_value="22", is_enabled=False)]})
        self.assertEqual((a.status, a.json["created"]), (200, 2), a)
        self.cs.delete("/account/alerts/" + on[1]["id"])
        self.rule()

    # ---- batch ----

    def batch(self, alerts, status=200):
        a = self.cs.post("/v1/account/alerts/batch", {"alerts": alerts})
        self.assertEqual((a.status, sorted(a.json)), (200, ["created", "failed", "results"]), a)
        for i, r in enumerate(a.json["results"]):
            self.shaped(r, RESULT)
            self.assertEqual(r["index"], i)
            self.assertEqual((r["alert_id"] is None, r["code"] is None, r["message"] is None),
                             (False, True, True) if r["status"] == "created" else (True, False, False))
        self.assertEqual([a.json["created"], a.json["failed"]],
                         [sum(r["status"] == s for r in a.json["results"]) for s in ("created", "error")])
        return a.json["results"]

    def test_batch(self):
        self.created()
        one = {"item_id": self.mine, "kind": "price_below", "threshold_value": "20"}
        rows = [one, dict(one, threshold_value="20.000", threshold_currency="USD", is_enabled=True), dict(one, item_id=999999),
                dict(one, kind="price_above"), dict(one, threshold_value="21"), dict(one, is_enabled=False), dict(one, kind="nope"),
                dict(one, threshold_value="0"), dict(one, threshold_currency="CHF"), dict(one, threshold_currency="EUR"), one,
                dict(one, item_id=self.mine + 1), dict(one, kind="spread_exceeds", threshold_currency="EUR"),
                dict(one, kind="spread_exceeds"), dict(one, item_id=999999)]
        got = self.batch(rows)
        want = [None, "DUPLICATE_ALERT", "ITEM_NOT_FOUND", None, None, None, "BAD_REQUEST", "BAD_REQUEST", "BAD_REQUEST", None,
                "DUPLICATE_ALERT", None, None, "DUPLICATE_ALERT", "ITEM_NOT_FOUND"]
        self.assertEqual([r["code"] for r in got], want)
        self.assertEqual(got[2]["message"], "Item not found: 999999")
        made = [r["alert_id"] for r in got if r["alert_id"]]
        self.assertEqual([v["id"] for v in self.listed()], made[::-1])
        self.assertEqual(len(self.batch([one])), 1)         # a duplicate of a stored one is none
        self.assertEqual([r["code"] for r in self.batch([dict(one, kind="x"), dict(one, item_id=5)])], ["BAD_REQUEST", "ITEM_NOT_FOUND"])

    def test_batch_sizes(self):
        self.created()
        rows = [{"item_id": self.mine, "kind": "price_below", "threshold_value": "%d.5" % i} for i in range(101)]
        self.refused(self.cs.post("/account/alerts/batch", {"alerts": rows}), 400, "BAD_REQUEST")
        self.refused(self.cs.post("/account/alerts/batch", {"alerts": []}), 422, "VALIDATION_ERROR", ["body", "alerts"])
        self.assertEqual(self.listed(), [])
        self.assertEqual({r["status"] for r in self.batch(rows[:100])}, {"created"})
        self.assertEqual(len(self.listed()), 100)

    def test_batch_refused_whole(self):
        self.created()
        good = {"item_id": self.mine, "kind": "price_below", "threshold_value": "20"}
        for bad, loc in ((dict(good, item_id="x"), ["item_id"]), ({"item_id": 1, "kind": "price_below"}, ["threshold_value"]),
                         (dict(good, is_enabled="no"), ["is_enabled"]), (dict(good, threshold_value="x"), ["threshold_value"]),
                         (7, []), ([], []), (None, [])):
            self.refused(self.cs.post("/account/alerts/batch", {"alerts": [good, bad]}), 422, "VALIDATION_ERROR",
                         ["body", "alerts", 1] + loc)
        for body in ({}, [good], {"alerts": {}}, {"alerts": None}, {"alerts": "x"}):
            self.refused(self.cs.post("/account/alerts/batch", body), 422, "VALIDATION_ERROR")
        self.member(tier="single")
        self.refused(self.cs.post("/account/alerts/batch", {"alerts": [good]}), 403, "FORBIDDEN")
        self.assertEqual(self.listed(), [])

    # ---- list, change, delete ----

    def test_list(self):
        self.stream("items", [item(self.mine, "Sticker | ÄÖÜ Ж"), item(self.mine + 1, "Sticker | %d" % self.mine)], "PUT")
        ids = [self.rule(str(i + 1), is_enabled=False, item_id=self.mine + i % 2)["id"] for i in range(7)][::-1]
        self.assertEqual([v["id"] for v in self.listed("")], ids)

        def page(query):
            a = self.cs.get("/account/alerts?" + query)
            p = a.json["pagination"]
            return [v["id"] for v in a.json["alerts"]], [p[k] for k in ("limit", "offset", "total", "has_next", "has_prev", "next_cursor")]
        self.assertEqual(page("limit=3"), (ids[:3], [3, 0, 7, True, False, None]))
        self.assertEqual(page("limit=3&offset=3"), (ids[3:6], [3, 3, 7, True, True, None]))
        self.assertEqual(page("limit=3&offset=6"), (ids[6:], [3, 6, 7, False, True, None]))
        self.assertEqual(page("offset=50"), ([], [50, 50, 7, False, True, None]))
        for query, limit in (("", 50), ("limit=0", 1), ("limit=-5", 1), ("limit=200", 200), ("limit=201", 200), ("limit=99999999999999999999", 200)):
            self.assertEqual(page(query)[1][0], limit, query)
        odd = [id for i, id in enumerate(ids) if (6 - i) % 2]
        even = [id for id in ids if id not in odd]
        for search, want in (("sticker", ids), ("STICKER%20%7C", ids), ("%C3%A4%C3%B6", even), ("%D0%B6", even), (str(self.mine + 1), odd),
                             ("nothing", []), ("", ids), (str(self.mine), ids)):
            got = page("search=" + search)
            self.assertEqual((got[0], got[1][2]), (want, len(want)), search)
        self.assertEqual(page("search=sticker&limit=2&offset=1"), (ids[1:3], [2, 1, 7, True, True, None]))
        for query, name in (("limit=x", "limit"), ("limit=1.5", "limit"), ("offset=-1", "offset"), ("offset=x", "offset"), ("limit=", "limit")):
            self.refused(self.cs.get("/account/alerts?" + query), 422, "VALIDATION_ERROR", ["query", name])
        self.assertEqual(len(self.listed("unknown=1")), 7)

    def test_patch(self):
        self.created()
        v = self.rule("20", is_enabled=False)
        path = "/account/alerts/" + v["id"]

        def change(**members):
            a = self.cs.patch(path, members)
            self.assertEqual(a.status, 200, a)
            got = self.shape_alert(a.json)
            self.assertEqual(self.alert_of(v["id"]), got)
            return [got[k] for k in ("threshold_value", "threshold_currency", "is_enabled", "kind")]
        self.assertEqual(change(threshold_value="19.999"), ["19.999", "USD", False, "price_below"])
        self.assertEqual(change(threshold_currency="eur"), ["19.999", "EUR", False, "price_below"])
        self.assertEqual(change(is_enabled=True), ["19.999", "EUR", True, "price_below"])
        self.assertEqual(change(threshold_value=None, threshold_currency=None, is_enabled=False), ["19.999", "EUR", False, "price_below"])
        self.assertEqual(change(threshold_value=5, kind="price_above", item_id=AK), ["5.00", "EUR", False, "price_below"])
        self.assertEqual(self.alert_of(v["id"])["item"]["item_id"], self.mine)
        self.assertGreaterEqual(self.alert_of(v["id"])["updated_at"], v["updated_at"])
        for body in ({}, {"threshold_value": None}, {"threshold_value": None, "threshold_currency": None, "is_enabled": None}, {"kind": "price_above"}):
            self.refused(self.cs.patch(path, body), 400, "BAD_REQUEST")
        for body in ({"threshold_value": "0"}, {"threshold_value": "-3"}, {"threshold_currency": "CHF"}, {"threshold_value": "1.0000001"}):
            self.refused(self.cs.patch(path, body), 400, "BAD_REQUEST")
        for body, member in (({"threshold_value": "x"}, "threshold_value"), ({"threshold_value": True}, "threshold_value"),
                             ({"is_enabled": "yes"}, "is_enabled"), ({"threshold_currency": 5}, "threshold_currency")):
            self.refused(self.cs.patch(path, body), 422, "VALIDATION_ERROR", ["body", member])
        for body in (b"", b"{", b"[]"):
            self.refused(self.cs.patch(path, body), 422, "VALIDATION_ERROR")
        spread = self.rule("5", "spread_exceeds", is_enabled=False)
        for body, want in (({"threshold_currency": "EUR"}, "5.00"), ({"threshold_currency": "XXX", "threshold_value": "6"}, "6.00")):
            a = self.cs.patch("/account/alerts/" + spread["id"], body)
            self.assertEqual((a.status, a.json["threshold_value"], a.json["threshold_currency"]), (200, want, None), a)
        self.assertEqual(change(is_enabled=False)[0], "5.00")

    def test_ids(self):
        self.created()
        v = self.rule()
        stranger = self.account(self.id + "-stranger")
        native = self.native.post("/v1/alerts", {"item_id": AK, "kind": "price_below", "threshold": 1}).json
        for method, body in (("PATCH", {"is_enabled": False}), ("DELETE", None)):
            for id in (ANY, native["id"], self.created()[0]["id"]):
                self.refused(self.cs.request(method, "/account/alerts/" + id, body), 404, "ACCOUNT_ALERT_NOT_FOUND")
            self.refused(stranger.request(method, "/account/alerts/" + v["id"], body), 404, "ACCOUNT_ALERT_NOT_FOUND")
            for id in ("x", "1", v["id"][:-1], v["id"] + "0", v["id"].replace("-", "x")):
                self.refused(self.cs.request(method, "/account/alerts/" + id, body), 422, "VALIDATION_ERROR", ["path", "alert_id"])
        self.assertEqual(stranger.get("/account/alerts").json["alerts"], [])
        self.assertEqual([a["id"] for a in self.listed()], [v["id"]])

    def test_delete(self):
        url = self.url("ok")
        self.created(url)
        v, other = self.rule(), self.rule("30")
        a = self.cs.delete("/account/alerts/" + v["id"])
        self.assertEqual((a.status, a.body), (200, b'{"ok":true}'))
        self.refused(self.cs.delete("/account/alerts/" + v["id"]), 404, "ACCOUNT_ALERT_NOT_FOUND")
        self.asks(ask(self.mine, 1000))
        self.fired(other)
        self.assertEqual(self.cs.delete("/account/alerts/" + other["id"]).status, 200)
        self.assertEqual([e["alert_id"] for e in self.events()], [other["id"]])      # what fired stays listed
        self.assertEqual(self.listed(), [])

    # ---- firing ----

    def test_at_the_boundary(self):
        """Equality fires, one cent beside it does not, for all three kinds and in a foreign currency."""
        self.created()
        self.bids(bid(self.mine, 1500))
        for kind, threshold, currency, misses, hits, shown in (
                ("price_below", "19.50", "USD", (1951,), 1950, "19.50"), ("price_above", "19.50", "USD", (1949,), 1950, "19.50"),
                ("spread_exceeds", "25", None, (1999, 1600), 2000, "25.00"), ("price_below", "17.94", "EUR", (1951,), 1950, "17.94"),
                ("price_above", "17.94", "EUR", (1949,), 1950, "17.94"), ("price_above", "2915.25", "JPY", (1949,), 1950, "2915.25"),
                ("price_below", "20", "USD", (2001,), 1, "0.01"), ("price_above", "20", "USD", (1999,), 12345678, "123456.78"),
                ("price_below", "17.939999", "EUR", (1950,), 1949, "17.93")):
            self.asks(ask(self.mine, None))
            v = self.rule(threshold, kind, **({"threshold_currency": currency} if currency else {}))
            for cents in misses:
                self.asks(ask(self.mine, cents))
                self.quiet(v)
            self.asks(ask(self.mine, hits))
            e = self.fired(v)[0]
            self.assertEqual((e["kind"], e["triggered_value"], e["triggered_currency"]), (kind, shown, currency), (kind, threshold))
            self.assertEqual(e["item"]["item_id"], self.mine)
            self.assertTrue(e["reason"])

    def test_spreads(self):
        self.created()
        v = self.rule("0.01", "spread_exceeds")
        self.asks(ask(self.mine, 1000))
        self.quiet(v)                                       # no bid: no spread
        self.bids(bid(self.mine, 1100))
        self.quiet(v)                                       # a bid above the ask never fires
        self.bids(bid(self.mine, 1000))
        self.quiet(v)
        self.bids(bid(self.mine, 1100), bid(self.mine, None), bid(self.mine, 877, "only_bids"))
        e = self.fired(v)[0]
        self.assertEqual((e["triggered_value"], e["triggered_currency"]), ("12.30", None))

    def test_no_ask(self):
        self.created()
        self.bids(bid(self.mine, 500))
        rules = [self.rule("1000000", "price_below"), self.rule("0.01", "price_above"), self.rule("0.01", "spread_exceeds")]
        self.asks(ask(self.mine, 0), ask(self.mine, None), ask(self.mine, 1000, quantity=0))
        self.asks(ask(self.mine + 1, 1000))
        probe = self.rule("1000000", item_id=self.mine + 1)
        self.fired(probe)
        for r in rules:
            self.assertTrue(self.alert_of(r["id"])["is_enabled"])
        self.asks(ask(self.mine, 1000))
        for r in rules:
            self.fired(r)

    def test_rates_move(self):
        self.created()
        self.asks(ask(self.mine, 1000))
        v = self.rule("9.00", threshold_currency="EUR")
        self.quiet(v)
        self.fx(EUR=0.90, JPY=149.5)
        self.assertEqual(self.fired(v)[0]["triggered_value"], "9.00")

    def test_on_create_and_on_enable(self):
        """A condition that holds already fires at once; enabled again, it fires again; changed while off, nothing."""
        w, _ = self.created()
        self.asks(ask(self.mine, 1000))
        v = self.rule("10")
        first = self.fired(v)[0]
        stamp = self.alert_of(v["id"])
        self.assertEqual(stamp["last_triggered_at"], first["created_at"])
        self.assertFalse(stamp["is_enabled"])
        self.assertEqual(self.cs.patch("/account/alerts/" + v["id"], {"threshold_value": "11"}).json["is_enabled"], False)
        for n in (2, 3):
            a = self.cs.patch("/account/alerts/" + v["id"], {"is_enabled": True})
            self.assertEqual(a.status, 200)
            self.fired(v, n)
        self.assertEqual(len(set(e["id"] for e in self.events())), 3)
        other = self.rule("9")
        self.quiet(other)
        self.cs.patch("/account/alerts/" + other["id"], {"threshold_value": "10"})       # a changed threshold is judged as well
        self.fired(other)
        batch = self.batch([{"item_id": self.mine, "kind": "price_below", "threshold_value": t} for t in ("10", "9")])
        self.fired({"id": batch[0]["alert_id"]})
        self.assertTrue(self.alert_of(batch[1]["alert_id"])["is_enabled"])
        self.assertEqual(len(self.of(w)), 3 + 1 + 1 + 1)

    def test_one_trigger(self):
        """One event, a job for every active destination, the alert off, and nothing more from later updates."""
        urls = [self.url("ok") for _ in range(3)]
        hooks = [self.created(u)[0] for u in urls]
        paused, _ = self.created(self.url("ok"), is_active=False)
        native = self.native.webhook(self.url("ok"))        # of another dialect: gets it too, but is not shown here
        v = self.rule("20")
        self.asks(ask(self.mine, 2001))
        self.asks(ask(self.mine, 1950), ask(self.mine, 1900), ask(self.mine, 1800))
        e = self.fired(v)[0]
        self.asks(ask(self.mine, 1000), ask(self.mine, 3000), ask(self.mine, 1500))
        for w, url in zip(hooks, urls):
            self.got(url)
            d = self.first(w, lambda d: d["status"] == "succeeded")
            self.assertEqual((d["event_id"], d["event_type"]), (e["id"], "alert.triggered"))
            self.assertEqual(len(self.of(w)), 1)
        self.assertEqual(self.of(paused), [])
        rows = self.events()[0]["deliveries"]
        self.assertEqual({r["endpoint_id"] for r in rows}, {w["id"] for w in hooks})
        self.assertEqual(e["triggered_value"], "19.50")
        self.assertEqual(self.alert_of(v["id"])["is_enabled"], False)
        self.assertEqual(len(self.events()), 1)
        shown = self.native.get("/v1/alerts/events").json["data"][0]
        self.assertEqual(({d["webhook_id"] for d in shown["deliveries"]}), {w["id"] for w in hooks} | {native["id"]})

    def test_disabled_accounts_are_skipped(self):
        self.created()
        v = self.rule("20")
        self.member(disabled=True)
        self.refused(self.cs.get("/account/alerts"), 403, "FORBIDDEN", "Account is disabled")
        self.asks(ask(self.mine, 1000))
        other = self.account(self.id + "-other")
        hook = other.post("/account/webhooks", {"label": "x", "url": self.url("ok")})
        self.assertEqual(hook.status, 201)
        probe = other.post("/account/alerts", {"item_id": self.mine, "kind": "price_below", "threshold_value": "20"}).json
        until(lambda: not [a for a in other.get("/account/alerts").json["alerts"] if a["id"] == probe["id"]][0]["is_enabled"])
        self.member(disabled=False)
        self.assertEqual(len(self.fired(v)), 1)             # it held all the time

    # ---- what receivers get ----

    def test_the_body(self):
        url, sheet = self.url("ok"), self.url("apps-script")
        w, secret = self.created(url)
        self.created(sheet, platform="google_sheets")
        self.bids(bid(AK, 1710))
        self.asks(ask(AK, 3000, "steam"))
        v = self.rule("20", item_id=AK)
        self.asks(ask(AK, 1950, link="https://example.com/ak?x=1&y=\u00e9"))
        e = self.fired(v)[0]
        r = self.got(url)[0]
        body = json.loads(r["body"])
        name = NAMES[AK][0]
        reason = "Best ask 19.50 USD is at or below 20.00 USD"
        self.assertEqual(body, {
            "id": e["id"], "type": "alert.triggered", "event_type": "alert.triggered", "created_at": e["created_at"],
            "alert_id": v["id"], "item_id": AK, "market_hash_name": name,
            "data": {"event_id": e["id"], "alert_id": v["id"], "kind": "price_below", "item_id": AK, "market_hash_name": name,
                     "item": {"item_id": AK, "market_hash_name": name, "phase": None}, "threshold_value": "20.00",
                     "threshold_currency": "USD", "triggered_value": "19.50", "triggered_currency": "USD", "best_ask": "19.50",
                     "best_bid": "17.10", "observed_provider": "buff163", "observed_link": "https://example.com/ak?x=1&y=\u00e9",
                     "reason": reason}})
        self.assertEqual((e["reason"], e["triggered_value"]), (reason, "19.50"))
        h = r["headers"]
        signed = hmac.new(secret.encode(), h["x-cs2c-timestamp"].encode() + b"." + r["body"], hashlib.sha256).hexdigest()
        self.assertEqual((h["x-cs2c-signature"], h["x-cs2cap-signature"], h["x-cs2c-event-type"]), (signed, signed, "alert.triggered"))
        self.assert_verified(secret, r)
        self.assertEqual(self.got(sheet)[0]["body"], r["body"])
        d = self.first(w, lambda d: d["status"] == "succeeded")
        self.assertEqual((h["x-cs2c-delivery-id"], self.detail(d["id"])["payload"]), (d["id"], body))
        self.asks(ask(AK, None), ask(AK, None, "steam"))
        self.bids(bid(AK, None))

    def test_the_body_of_a_spread(self):
        url = self.url("ok")
        self.created(url)
        self.stream("items", [item(self.mine, "★ Knife | \"x\" \\ é", "Phase 4")], "PUT")
        v = self.rule("10", "spread_exceeds")
        self.asks(ask(self.mine, 1000, link=None))
        self.bids(bid(self.mine, 877))
        e = self.fired(v)[0]
        data = json.loads(self.got(url)[0]["body"])["data"]
        self.assertEqual({k: data[k] for k in ("threshold_value", "threshold_currency", "triggered_value", "triggered_currency", "best_ask",
                                               "best_bid", "observed_link", "item")},
                         {"threshold_value": "10.00", "threshold_currency": None, "triggered_value": "12.30", "triggered_currency": None,
                          "best_ask": "10.00", "best_bid": "8.77", "observed_link": "",
                          "item": {"item_id": self.mine, "market_hash_name": "★ Knife | \"x\" \\ é", "phase": "Phase 4"}})
        self.assertEqual(e["item"], data["item"])

    def test_discord_and_telegram(self):
        """A Discord-like and a Telegram-like receiver get messages of their own kind, without signing headers."""
        urls = {"discord": self.url("ok"), "telegram": self.url("telegram-ok") + "?chat_id=-1001"}
        hooks = {p: self.created(u, platform=p)[0] for p, u in urls.items()}
        self.bids(bid(self.mine, 800))
        rules = [self.rule("20"), self.rule("5", "price_above", threshold_currency="EUR"), self.rule("1", "spread_exceeds")]
        self.asks(ask(self.mine, 1950))
        for r in rules:
            self.fired(r)
        messages = []
        for platform, url in urls.items():
            for r in self.got(url, 3):
                self.assertEqual([n for n in r["headers"] if n.startswith(("x-cs2c", "webhook-"))], [])
                messages.append((platform, json.loads(r["body"])))
        self.assertEqual(harness.message_complaints(messages), [])
        embed = next(m["embeds"][0] for p, m in messages if p == "discord" and "below" in m["embeds"][0]["description"])
        self.assertEqual((embed["title"], embed["description"], embed["url"]),
                         ("Price alert: Item %d" % self.mine, "Best ask 19.50 USD is at or below 20.00 USD", ask(self.mine, 1)["link"]))
        self.assertEqual([(f["name"], f["value"]) for f in embed["fields"]],
                         [("Condition", "price_below 20.00 USD"), ("Observed", "19.50 USD"), ("Market", "buff163")])
        self.assertIn("Item %d" % self.mine, messages[-1][1]["text"])
        for p, w in hooks.items():
            until(lambda: [d["status"] for d in self.of(w)] == ["succeeded"] * 3, p)
            self.assertEqual({r["platform"] for e in self.events() for r in e["deliveries"] if r["endpoint_id"] == w["id"]}, {p})

    # ---- events ----

    def test_delivery_summaries(self):
        good, bad = self.url("ok"), self.url("status/500")
        w, _ = self.created(good, label="Good one")
        b, _ = self.created(bad, label="Bad one")
        self.member(email="a@example.com", email_verified=True, alert_emails=True)
        v = self.rule("20")
        self.asks(ask(self.mine, 1000))
        self.fired(v)
        self.first(w, lambda d: d["status"] == "succeeded")
        self.first(b, lambda d: d["attempt_count"])
        e = self.events()[0]
        rows = {r["endpoint_id"]: r for r in e["deliveries"]}
        self.assertEqual(set(rows), {w["id"], b["id"], None})
        d = self.of(w)[0]
        self.assertEqual({k: rows[w["id"]][k] for k in ("channel", "status", "delivery_id", "endpoint_label", "platform", "attempt_count",
                                                        "last_http_status", "next_attempt_at", "error", "created_at")},
                         {"channel": "webhook", "status": "succeeded", "delivery_id": d["id"], "endpoint_label": "Good one", "platform": "custom",
                          "attempt_count": 1, "last_http_status": 204, "next_attempt_at": None, "error": None, "created_at": d["created_at"]})
        row = rows[b["id"]]
        self.assertEqual((row["status"], row["last_http_status"], row["endpoint_label"]), ("pending", 500, "Bad one"))
        self.assertTrue(row["error"] and row["next_attempt_at"])
        self.assertEqual(rows[None], dict(dict.fromkeys(ROW), channel="email", status="skipped", created_at=e["created_at"]))
        # cancelled ones have failed; the label is the one of the time
        self.assertEqual(self.cs.delete("/account/webhooks/" + b["id"]).status, 200)
        self.cs.patch("/account/webhooks/" + w["id"], {"label": "Renamed"})
        row = until(lambda: [r for r in self.events()[0]["deliveries"] if r["endpoint_id"] == b["id"] and r["status"] == "failed"])[0]
        self.assertEqual((row["error"], row["next_attempt_at"], row["endpoint_label"]), ("cancelled: webhook deleted", None, "Bad one"))
        self.assertEqual([r["endpoint_label"] for r in self.events()[0]["deliveries"] if r["endpoint_id"] == w["id"]], ["Good one"])

    def test_only_mail(self):
        self.member(tier="plain", email="a@example.com", email_verified=True, alert_emails=True)
        v = self.rule("20")
        self.asks(ask(self.mine, 1000))
        e = self.fired(v)[0]
        self.assertEqual([(r["channel"], r["status"]) for r in e["deliveries"]], [("email", "skipped")])

    def test_no_channel_left(self):
        w, _ = self.created()
        v = self.rule("20")
        self.cs.delete("/account/webhooks/" + w["id"])
        self.asks(ask(self.mine, 1000))
        e = self.fired(v)[0]
        self.assertEqual(e["deliveries"], [])

    def test_pages_of_events(self):
        w, _ = self.created()
        self.asks(ask(self.mine, 1000))
        ids = []
        for i in range(7):
            v = self.rule("%d" % (20 + i))
            ids.insert(0, self.fired(v)[0]["id"])
        self.assertEqual([e["id"] for e in self.events()], ids)

        def page(query):
            a = self.cs.get("/account/alerts/events?" + query)
            p = a.json["pagination"]
            return [v["id"] for v in a.json["events"]], [p[k] for k in ("limit", "offset", "total", "has_next", "has_prev", "next_cursor")]
        self.assertEqual(page("limit=3"), (ids[:3], [3, 0, 7, True, False, None]))
        self.assertEqual(page("limit=3&offset=5"), (ids[5:], [3, 5, 7, False, True, None]))
        self.assertEqual(page("offset=9"), ([], [50, 9, 7, False, True, None]))
        for query, limit in (("", 50), ("limit=0", 1), ("limit=100", 100), ("limit=101", 100), ("limit=-1", 1)):
            self.assertEqual(page(query)[1][0], limit, query)
        for query, name in (("limit=x", "limit"), ("offset=-1", "offset"), ("offset=1.5", "offset")):
            self.refused(self.cs.get("/account/alerts/events?" + query), 422, "VALIDATION_ERROR", ["query", name])
        self.assertEqual(self.account(self.id + "-x").get("/account/alerts/events").json["events"], [])


if __name__ == "__main__":
    harness.main()
