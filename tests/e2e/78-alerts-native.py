#!/usr/bin/env python3
"""Alerts by the native API: rules, batches, lists, what fired, and what an operator sees of those other dialects made."""
import re

import harness
from harness import until
from market import AK, CASE, KNIFE, Market, NAMES, ask, bid

UUID = r"^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$"
NOBODY = "0199d2c4-0000-7000-8000-000000000000"
MEMBERS = ["id", "dialect", "kind", "item", "threshold", "currency", "enabled", "last_triggered_at", "created_at", "updated_at"]


class Alerts(Market, harness.Case):
    """own: a client of this test's account, which has a webhook."""
    settings = {"limits.tiers": "quant: webhooks, batch; few: webhooks, batch, max_enabled_alerts=2; single: webhooks"}
    n = 0

    def setUp(self):
        Alerts.n += 1
        self.id, self.mine = "native-%d" % Alerts.n, 1000 * Alerts.n
        self.expect(self.api.post("/v1/accounts", {"id": self.id}), 201)
        self.own = self.server.client(account=self.id, scope="manage,read")
        self.hook = self.own.webhook(self.url("ok"), event_types=["alert.triggered"])
        self.put_items(AK, KNIFE, CASE, self.mine)
        self.fx(EUR=0.92)

    def rule(self, threshold="20", kind="price_below", **members):
        a = self.own.post("/v1/alerts", dict({"item_id": self.mine, "kind": kind, "threshold": threshold}, **members))
        return self.expect(a, 201).json

    def fired(self, *rules):
        until(lambda: not any(self.own.get("/v1/alerts/" + r["id"]).json["enabled"] for r in rules), "alerts to fire")

    def test_object_and_defaults(self):
        a = self.own.post("/v1/alerts", {"item_id": KNIFE, "kind": "price_below", "threshold": "0020.50"})
        v = self.expect(a, 201).json
        self.assertEqual(list(v), MEMBERS)
        self.assertRegex(v["id"], UUID)
        self.assertEqual(v["created_at"], v["updated_at"])
        for k in ("id", "created_at", "updated_at"):
            v.pop(k)
        self.assertEqual(v, {"dialect": "hookline", "kind": "price_below", "threshold": "20.50", "currency": "USD", "enabled": True,
                             "item": {"item_id": KNIFE, "market_hash_name": NAMES[KNIFE][0], "phase": "Phase 2"}, "last_triggered_at": None})
        spread = self.rule(1.125, "spread_exceeds", enabled=False, currency=None)
        self.assertEqual([spread[k] for k in ("threshold", "currency", "enabled")], ["1.125", None, False])
        self.expect(self.api.patch("/v1/accounts/" + self.id, {"preferred_currency": "EUR"}), 200)
        self.assertEqual(self.rule()["currency"], "EUR")
        self.assertEqual(self.rule(currency=None)["currency"], "EUR")
        self.assertEqual(self.rule(currency="USD")["currency"], "USD")
        self.assertEqual(self.own.get("/v1/alerts/" + spread["id"]).json, spread)

    def test_bad_members(self):
        good = {"item_id": self.mine, "kind": "price_below", "threshold": "20", "currency": "USD", "enabled": False}
        v = self.rule(enabled=False)
        for member, values in (
                ("item_id", (None, "x", 1.5, 0, -1, 424242, 10 ** 30, True)), ("kind", (None, "x", "", 1, "PRICE_BELOW")),
                ("threshold", (None, True, "", "x", "1e3", "1,5", "0", "-1", 0, "0.0000001", "1000000000000.000001", "9" * 70)),
                ("currency", (5, "usd", "CHF", "EURO", "")), ("enabled", (None, "true", 1)), ("name", ("unknown",)), ("id", (NOBODY,))):
            for value in values:
                a = self.expect(self.own.post("/v1/alerts", dict(good, **{member: value})), 422, "invalid", "/" + member)
                if member not in ("item_id", "kind"):
                    self.assertEqual(self.own.patch("/v1/alerts/" + v["id"], {member: value}).json, a.json)
        for member in ("item_id", "kind", "threshold"):
            self.expect(self.own.post("/v1/alerts", {k: x for k, x in good.items() if k != member}), 422, "invalid", "/" + member)
        for member in ("item_id", "kind"):
            self.expect(self.own.patch("/v1/alerts/" + v["id"], {member: good[member]}), 422, "invalid", "/" + member)
        self.expect(self.own.post("/v1/alerts", dict(good, kind="spread_exceeds")), 422, "invalid", "/currency")
        spread = self.rule("5", "spread_exceeds", enabled=False)
        self.expect(self.own.patch("/v1/alerts/" + spread["id"], {"currency": "EUR"}), 422, "invalid", "/currency")
        for body in (b"", b"{", b"nonsense"):
            self.expect(self.own.post("/v1/alerts", body), 400, "bad_json")
        self.expect(self.own.post("/v1/alerts", b"[]"), 422, "invalid")
        self.expect(self.own.post("/v1/alerts", b"{}", content_type="text/plain"), 415)
        self.assertEqual(len(self.own.get("/v1/alerts").json["data"]), 2)

    def test_change(self):
        v = self.rule(enabled=False)
        path = "/v1/alerts/" + v["id"]
        self.assertEqual(self.expect(self.own.patch(path, {}), 200).json, v)
        got = self.expect(self.own.patch(path, {"threshold": "3.5", "currency": "EUR", "enabled": True}), 200).json
        self.assertEqual([got[k] for k in ("threshold", "currency", "enabled", "kind")], ["3.50", "EUR", True, "price_below"])
        self.assertEqual(self.own.get(path).json, got)
        self.assertEqual(self.expect(self.own.patch(path, {"currency": None}), 200).json["currency"], "USD")
        self.assertEqual(self.expect(self.own.delete(path), 204).body, b"")
        for method, body in (("GET", None), ("PATCH", {}), ("DELETE", None)):
            for id in (v["id"], NOBODY, "x", self.hook["id"]):
                self.expect(self.own.request(method, "/v1/alerts/" + id, body), 404, "not_found")
        other = self.rule()
        stranger = self.server.client("read,manage")
        for method, body in (("GET", None), ("PATCH", {"enabled": False}), ("DELETE", None)):
            self.expect(stranger.request(method, "/v1/alerts/" + other["id"], body), 404, "not_found")

    def test_who_may(self):
        v = self.rule()
        for scope, may in (("read", ("GET",)), ("publish", ()), ("manage", ("POST", "PATCH"))):
            c = self.server.client(scope, self.id)
            for method, path, body in (("GET", "", None), ("GET", "/events", None), ("GET", "/" + v["id"], None), ("POST", "", {}),
                                       ("POST", "/batch", {}), ("PATCH", "/" + v["id"], {})):
                a = c.request(method, "/v1/alerts" + path, body)
                if method in may:
                    self.assertIn(a.status, (200, 422))
                else:
                    self.expect(a, 403, "missing_scope")
        for method, path in (("PUT", ""), ("DELETE", ""), ("GET", "/batch"), ("POST", "/events"), ("POST", "/" + v["id"])):
            if (method, path) != ("GET", "/batch"):
                self.expect(self.own.request(method, "/v1/alerts" + path), 405, "method_not_allowed")

    def test_channels_and_limits(self):
        self.expect(self.own.delete("/v1/webhooks/" + self.hook["id"]), 204)
        body = {"item_id": self.mine, "kind": "price_below", "threshold": 1}
        off = self.rule(enabled=False)
        for a in (self.own.post("/v1/alerts", body), self.own.patch("/v1/alerts/" + off["id"], {"enabled": True}),
                  self.own.post("/v1/alerts/batch", {"alerts": [body, dict(body, enabled=False)]})):
            self.expect(a, 409, "conflict")
        # a webhook that does not take the event is no channel
        self.own.webhook(self.url("ok"), event_types=["other"])
        self.expect(self.own.post("/v1/alerts", body), 409, "conflict")
        self.own.webhook(self.url("ok"))
        self.rule()
        self.expect(self.api.patch("/v1/accounts/" + self.id, {"tier": "few"}), 200)
        self.rule()
        for a in (self.own.post("/v1/alerts", body), self.own.patch("/v1/alerts/" + off["id"], {"enabled": True}),
                  self.own.post("/v1/alerts/batch", {"alerts": [dict(body, enabled=False), body]})):
            self.expect(a, 409, "limit_reached")
        self.assertEqual(len(self.own.get("/v1/alerts").json["data"]), 3)

    def test_idempotency_key(self):
        body = {"item_id": self.mine, "kind": "price_below", "threshold": 1}
        for path, body, other, status in (("/v1/alerts", body, dict(body, threshold=2), 201),
                                          ("/v1/alerts/batch", {"alerts": [body, {}]}, {"alerts": [body]}, 200)):
            headers = {"Idempotency-Key": "k" + path}
            first, again = (self.own.post(path, body, headers=headers) for _ in range(2))
            self.assertEqual((first.status, again.status, again.body), (status, status, first.body))
            self.assertEqual(again.headers.get("idempotent-replayed"), "true")
            self.expect(self.own.post(path, other, headers=headers), 409, "idempotency_mismatch")
            bad = {"Idempotency-Key": "bad" + path}
            self.expect(self.own.post(path, {"x": 1}, headers=bad), 422)
            self.assertEqual(self.own.post(path, body, headers=bad).status, status)
        self.assertEqual(len(self.own.get("/v1/alerts").json["data"]), 4)

    def test_batch(self):
        one = {"item_id": self.mine, "kind": "price_below", "threshold": "20"}
        rows = [one, one, dict(one, item_id=424242), dict(one, kind="spread_exceeds"), dict(one, threshold="0"), 7, {}, dict(one, x=1)]
        a = self.expect(self.own.post("/v1/alerts/batch", {"alerts": rows}), 200).json
        self.assertEqual((list(a), a["created"], a["failed"]), (["created", "failed", "results"], 3, 5))
        self.assertEqual([(r["index"], r["status"], r.get("code"), r["errors"][0]["pointer"] if "errors" in r else None) for r in a["results"]],
                         [(0, 201, None, None), (1, 201, None, None), (2, 422, "invalid", "/item_id"), (3, 201, None, None),
                          (4, 422, "invalid", "/threshold"), (5, 422, "invalid", None), (6, 422, "invalid", "/threshold"),
                          (7, 422, "invalid", "/x")])
        listed = self.own.get("/v1/alerts").json["data"]
        self.assertEqual([r["alert"] for r in a["results"] if "alert" in r][::-1], listed)
        for body, pointer in (({}, "/alerts"), ({"alerts": []}, "/alerts"), ({"alerts": [one] * 101}, "/alerts"), ({"alerts": {}}, "/alerts"),
                              ({"alerts": [one], "x": 1}, "/x")):
            self.expect(self.own.post("/v1/alerts/batch", body), 422, "invalid", pointer)
        self.assertEqual(self.expect(self.own.post("/v1/alerts/batch", {"alerts": [one] * 100}), 200).json["created"], 100)
        self.expect(self.api.patch("/v1/accounts/" + self.id, {"tier": "single"}), 200)
        self.expect(self.own.post("/v1/alerts/batch", {"alerts": [one]}), 403, "not_in_tier")

    def walk(self, path, way="next"):
        rows, url, pages = [], path, []
        while url:
            a = self.expect(self.own.get(url), 200)
            pages.append(a.json)
            rows += a.json["data"]
            links = dict((rel, u) for u, rel in re.findall(r'<([^>]*)>; rel="(\w+)"', a.headers.get("link", "")))
            self.assertEqual(set(links), {w for w in ("next", "prev") if a.json[w + "_cursor"]})
            url = links.get(way)
        return [r["id"] for r in rows], pages

    def test_list(self):
        ids = [self.rule(i + 1, item_id=(self.mine, AK, CASE)[i % 3], enabled=False)["id"] for i in range(11)]
        for limit in (1, 4, 250):
            self.assertEqual(self.walk("/v1/alerts?limit=%d" % limit)[0], ids[::-1])
        last = self.walk("/v1/alerts?limit=4")[1][-1]
        self.assertEqual(self.walk("/v1/alerts?limit=4&cursor=" + last["prev_cursor"], "prev")[0], ids[::-1][4:8] + ids[::-1][:4])
        for query, want in (("search=redline", ids[1::3]), ("search=%d" % CASE, ids[2::3]), ("search=no+such", []), ("search=", ids),
                            ("dialect=hookline", ids), ("dialect=cs2cap", []), ("search=case&dialect=hookline", ids[2::3])):
            self.assertEqual(self.walk("/v1/alerts?limit=2&" + query)[0], want[::-1], query)
        for query in ("limit=0", "limit=251", "limit=x", "cursor=x", "dialect=x", "unknown=1", "search=a&search=b",
                      "search=redline&cursor=" + last["prev_cursor"]):
            self.expect(self.own.get("/v1/alerts?" + query), 400, "bad_parameter")

    def test_what_fired(self):
        self.expect(self.api.patch("/v1/accounts/" + self.id, {"email": "a@example.com", "email_verified": True, "alert_emails": True}), 200)
        self.bids(bid(self.mine, 800))
        rules = [self.rule("20"), self.rule("5", "price_above", currency="EUR"), self.rule("12.5", "spread_exceeds")]
        self.asks(ask(self.mine, 1950))
        self.fired(*rules)
        self.own.wait_deliveries("succeeded", 3, webhook=self.hook["id"])
        rows = {e["alert_id"]: e for e in self.own.get("/v1/alerts/events").json["data"]}
        e = rows[rules[0]["id"]]
        self.assertEqual(list(e), ["id", "alert_id", "dialect", "kind", "item", "threshold", "currency", "triggered", "best_ask", "best_bid",
                                   "reason", "created_at", "deliveries"])
        d = self.own.deliveries(event=e["id"])[0]
        self.assertEqual({k: e[k] for k in e if k not in ("id", "created_at")}, {
            "alert_id": rules[0]["id"], "dialect": "hookline", "kind": "price_below",
            "item": {"item_id": self.mine, "market_hash_name": "Item %d" % self.mine, "phase": None}, "threshold": "20.00",
            "currency": "USD", "triggered": "19.50", "best_ask": 1950, "best_bid": 800,
            "reason": "Best ask 19.50 USD is at or below 20.00 USD", "deliveries": [
                {"channel": "webhook", "status": "succeeded", "delivery_id": d["id"], "webhook_id": self.hook["id"], "attempt_count": 1,
                 "last_http_status": 204, "last_error": None, "next_attempt_at": None, "created_at": d["created_at"]},
                {"channel": "email", "status": "skipped", "delivery_id": None, "webhook_id": None, "attempt_count": None,
                 "last_http_status": None, "last_error": None, "next_attempt_at": None, "created_at": e["created_at"]}]})
        self.assertEqual([rows[rules[1]["id"]][k] for k in ("threshold", "currency", "triggered")], ["5.00", "EUR", "17.94"])
        self.assertEqual([rows[rules[2]["id"]][k] for k in ("threshold", "currency", "triggered")], ["12.50", None, "58.97"])
        shown = self.own.get("/v1/events/" + e["id"]).json
        self.assertEqual((shown["type"], shown["data"]["alert_id"]), ("alert.triggered", rules[0]["id"]))
        self.assertEqual(self.own.get("/v1/alerts/" + rules[0]["id"]).json["last_triggered_at"], e["created_at"])

    def test_pages_of_events(self):
        self.asks(ask(self.mine, 1000))
        rules = [self.rule(20 + i) for i in range(9)]
        self.fired(*rules)
        order = self.walk("/v1/alerts/events")[0]
        self.assertEqual(len(order), 9)
        for limit in (1, 2, 250):
            self.assertEqual(self.walk("/v1/alerts/events?limit=%d" % limit)[0], order)
        pages = self.walk("/v1/alerts/events?limit=4")[1]
        self.assertEqual(self.walk("/v1/alerts/events?limit=4&cursor=" + pages[-1]["prev_cursor"], "prev")[0], order[4:8] + order[:4])
        for r in rules[:2]:
            found = self.own.get("/v1/alerts/events?alert=" + r["id"]).json["data"]
            self.assertEqual([e["alert_id"] for e in found], [r["id"]])
        for query, n in (("alert=" + NOBODY, 0), ("dialect=cs2cap", 0), ("dialect=hookline", 9)):
            self.assertEqual(len(self.own.get("/v1/alerts/events?" + query).json["data"]), n)
        for query in ("alert=x", "dialect=x", "limit=0", "cursor=x", "x=1"):
            self.expect(self.own.get("/v1/alerts/events?" + query), 400, "bad_parameter")
        self.assertEqual(self.server.client("read").get("/v1/alerts/events?alert=" + rules[0]["id"]).json["data"], [])

    def test_many_deliveries_of_one_event(self):
        """More than one page of deliveries, all of them shown."""
        n = 20 if harness.SANITIZED else 300
        url = self.url("ok")
        for i in range(n):
            self.own.webhook(url, event_types=["alert.triggered"])
        self.asks(ask(self.mine, 1000))
        self.fired(self.rule(20))
        e = self.own.get("/v1/alerts/events").json["data"][0]
        self.assertEqual(len({d["delivery_id"] for d in e["deliveries"]}), n + 1)

    def test_operators_see_every_dialect(self):
        cs = harness.Client(self.server, self.server.make_key("read,manage", self.id, "--dialect", "cs2cap"))
        made = cs.post("/account/alerts", {"item_id": self.mine, "kind": "price_below", "threshold_value": "20", "is_enabled": False})
        self.assertEqual(made.status, 201, made)
        native = self.rule("1")
        for c, headers in ((self.own, {}), (self.api, {"Hookline-Account": self.id})):
            rows = c.get("/v1/alerts", headers=headers).json["data"]
            self.assertEqual([(r["id"], r["dialect"]) for r in rows], [(native["id"], "hookline"), (made.json["id"], "cs2cap")])
            self.assertEqual(len(c.get("/v1/alerts?dialect=cs2cap", headers=headers).json["data"]), 1)
        self.assertEqual([a["id"] for a in cs.get("/account/alerts").json["alerts"]], [made.json["id"]])
        # enabled by the operator; a native webhook is what makes it possible, and gets it
        got = self.expect(self.own.patch("/v1/alerts/" + made.json["id"], {"enabled": True}), 200).json
        self.assertEqual((got["dialect"], got["enabled"]), ("cs2cap", True))
        self.asks(ask(self.mine, 1500))
        self.fired(made.json)
        e = self.own.get("/v1/alerts/events?dialect=cs2cap").json["data"]
        self.assertEqual([(x["alert_id"], x["dialect"], len(x["deliveries"])) for x in e], [(made.json["id"], "cs2cap", 1)])
        self.assertEqual(self.own.get("/v1/alerts/events?dialect=hookline").json["data"], [])
        shown = cs.get("/account/alerts/events").json["events"]
        self.assertEqual([(x["id"], x["deliveries"]) for x in shown], [(e[0]["id"], [])])      # no webhook of its own
        self.expect(self.own.delete("/v1/alerts/" + made.json["id"]), 204)
        self.assertEqual(cs.get("/account/alerts").json["alerts"], [])


if __name__ == "__main__":
    harness.main()
