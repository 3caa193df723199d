#!/usr/bin/env python3
"""Dialect cs2cap, deliveries: what receivers get and how it is signed, the history, what pausing, deleting and rotating do
to what waits."""
import hashlib
import hmac
import json
import unittest

import cs2cap
import harness
from cs2cap import ALERT, ANY
from harness import until

OWN = ("x-cs2c-event-type", "x-cs2c-delivery-id", "x-cs2c-timestamp", "x-cs2c-signature", "x-cs2cap-signature")


def hex_of(secret, record):
    signed = record["headers"]["x-cs2c-timestamp"].encode() + b"." + record["body"]
    return hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()


class Deliveries(cs2cap.Case):
    settings = {"delivery.retry_dialects": "1s"}

    # ---- what is sent ----

    def test_the_recipe(self):
        """What the requests are compared with, against vectors computed elsewhere."""
        self.assertEqual(hex_of("k", {"headers": {"x-cs2c-timestamp": "0"}, "body": b"{}"}),
                         "c847cd2c51e393092098d6126ed5aeb9ddbe946df3a0b7cb9e9a8a34fadb2cc7")

    def test_custom(self):
        url = self.url("ok")
        w, secret = self.created(url)
        event = self.alert()
        r = self.got(url)[0]
        h = r["headers"]
        self.assertEqual((r["method"], h["content-type"]), ("POST", "application/json"))
        self.assertTrue(h["user-agent"])
        d = self.first(w, lambda d: d["status"] == "succeeded")
        self.assertEqual((h["x-cs2c-event-type"], h["x-cs2c-delivery-id"]), ("alert.triggered", d["id"]))
        self.assertRegex(h["x-cs2c-timestamp"], r"^\d{10}$")
        self.assertLess(abs(int(h["x-cs2c-timestamp"]) - r["at"]), 5)
        self.assertEqual(h["x-cs2c-signature"], hex_of(secret, r))
        self.assertEqual(h["x-cs2cap-signature"], h["x-cs2c-signature"])
        self.assertNotIn("x-cs2c-signature-previous", h)
        self.assertEqual((h["hookline-delivery-id"], h["hookline-attempt"], h["webhook-id"]), (d["id"], "1", event))
        self.assert_verified(secret, r)
        # one body for both kinds of reader
        body = json.loads(r["body"])
        self.assertEqual((body["id"], body["type"], body["event_type"]), (event, "alert.triggered", "alert.triggered"))
        self.assertTrue(cs2cap.time(body["created_at"]))
        self.assertEqual({k: body[k] for k in ("alert_id", "item_id", "market_hash_name")},
                         {k: ALERT[k] for k in ("alert_id", "item_id", "market_hash_name")})
        self.assertEqual(body["data"], ALERT)
        self.assertNotIn(d["id"].encode(), r["body"])
        self.assertEqual(self.detail(d["id"])["payload"], body)
        self.assertEqual(d["event_id"], event)

    def test_google_sheets(self):
        url = self.url("apps-script")
        w, secret = self.created(url, platform="google_sheets")
        self.alert()
        r = self.got(url)[0]
        self.assertEqual(r["headers"]["x-cs2c-signature"], hex_of(secret, r))
        self.assertEqual(json.loads(r["body"])["data"]["kind"], "price_below")
        d = self.first(w, lambda d: d["status"] == "succeeded")
        self.assertEqual((d["last_http_status"], d["error"], d["platform"]), (302, None, "google_sheets"))
        # for nobody else, and to nowhere else
        for url, members in ((self.url("apps-script"), {}), (self.url("redirect"), {"platform": "google_sheets"})):
            w, _ = self.created(url, **members)
            self.alert()
            d = self.first(w, lambda d: d["attempt_count"])
            self.assertEqual((d["status"], d["last_http_status"]), ("pending", 302), d)
            self.cs.delete("/account/webhooks/" + w["id"])

    def test_discord_and_telegram(self):
        """Messages of the platform's own, without any header of ours that signs."""
        messages = []
        for platform, url in (("discord", self.url("ok")), ("telegram", self.url("telegram-ok") + "?chat_id=-1001&x=y")):
            w, _ = self.created(url, platform=platform)
            for data in ({}, {"observed_link": "", "observed_provider": ""}, {"kind": "spread_exceeds", "threshold_currency": None,
                         "triggered_currency": None, "threshold_value": "3.5", "triggered_value": "12.34"},
                         {"market_hash_name": "★ " + "ä*|_`" * 900, "reason": "x" * 9000}):
                self.alert(**data)
            for r in self.got(url, 4):
                self.assertEqual([n for n in r["headers"] if n.startswith(("x-cs2c", "webhook-"))], [])
                self.assertEqual(r["headers"]["content-type"], "application/json")
                self.assertIn("hookline-delivery-id", r["headers"])
                messages.append((platform, json.loads(r["body"])))
            until(lambda: {d["status"] for d in self.of(w)} == {"succeeded"}, "success of " + platform)
            d = self.of(w)[-1]
            self.assertEqual((d["platform"], d["endpoint_url"]), (platform, url))
            sent = [r["body"] for r in self.got(url) if r["headers"]["hookline-delivery-id"] == d["id"]]
            self.assertEqual(self.detail(d["id"])["payload"], json.loads(sent[0]))
            self.cs.delete("/account/webhooks/" + w["id"])
        self.assertEqual(harness.message_complaints(messages), [])
        embed = [m["embeds"][0] for p, m in messages if p == "discord"]
        e = next(e for e in embed if e.get("url") == ALERT["observed_link"] and "★" not in e["title"])
        self.assertEqual((e["title"], e["description"], e["color"]),
                         ("Price alert: " + ALERT["market_hash_name"], ALERT["reason"], 3066993))
        self.assertEqual([(f["name"], f["value"], f["inline"]) for f in e["fields"]],
                         [("Condition", "price_below 20.00 USD", True), ("Observed", "19.50 USD", True), ("Market", "buff163", True)])
        self.assertTrue(e["footer"]["text"] and cs2cap.time(e["timestamp"]))
        for e in embed:
            self.assertLessEqual(len(e["title"].encode("utf-16-le")) // 2, 256)
            self.assertLessEqual(len(e.get("description", "")), 4096)
        for p, m in messages:
            if p == "discord":
                self.assertEqual(m["allowed_mentions"], {"parse": []})
            else:
                self.assertEqual(sorted(m), ["link_preview_options", "text"])
                self.assertTrue(1 <= len(m["text"].encode("utf-16-le")) // 2 <= 4096)

    def test_telegram_must_say_ok(self):
        w, _ = self.created(self.url("telegram-no") + "?chat_id=1", platform="telegram")
        self.alert()
        d = self.first(w, lambda d: d["attempt_count"] >= 2)
        self.assertEqual((d["status"], d["last_http_status"]), ("pending", 200))
        self.assertIn("ok", d["error"])
        self.cs.delete("/account/webhooks/" + w["id"])

    def test_hints(self):
        """A receiver says when; hourly or not, that moves the attempt."""
        for platform, url, wait in (("custom", self.url("retry-after/40"), 40), ("discord", self.url("discord-limit/40"), 40.5),
                                    ("telegram", self.url("telegram-limit/40") + "?chat_id=1", 40)):
            w, _ = self.created(url, platform=platform)
            self.alert()
            d = self.first(w, lambda d: d["attempt_count"])
            self.assertEqual((d["status"], d["last_http_status"]), ("pending", 429))
            at = self.detail(d["id"])["attempts"][0]
            due, began = (harness.program.time.mktime(harness.program.time.strptime(t[:19], "%Y-%m-%dT%H:%M:%S"))
                          for t in (d["next_attempt_at"], at["created_at"]))
            self.assertTrue(wait - 2 <= due - began <= wait * 1.25 + 5, (platform, at, d))
            self.cs.delete("/account/webhooks/" + w["id"])

    # ---- the history ----

    def test_pages(self):
        cs = self.account("pages")
        w, _ = self.created(self.url("ok"), client=cs)
        events = [self.alert("pages") for _ in range(27)]
        until(lambda: [d["status"] for d in self.of(w, cs)] == ["succeeded"] * 27, "27 deliveries")
        self.assertEqual([d["event_id"] for d in self.of(w, cs)], events[::-1])

        def page(query):
            a = cs.get("/account/webhooks/deliveries" + query)
            self.assertEqual(a.status, 200, a)
            p = self.shaped(a.json["pagination"], cs2cap.PAGINATION)
            return [events.index(d["event_id"]) for d in a.json["deliveries"]], [p[k] for k in ("limit", "offset", "total", "has_next",
                                                                                             "has_prev")]
        down = list(range(26, -1, -1))
        for query, rows, paging in (
                ("", down[:25], [25, 0, 27, True, False]), ("?limit=10", down[:10], [10, 0, 27, True, False]),
                ("?limit=10&offset=20", down[20:], [10, 20, 27, False, True]), ("?limit=27", down, [27, 0, 27, False, False]),
                ("?limit=1&offset=26", down[26:], [1, 26, 27, False, True]), ("?offset=27", [], [25, 27, 27, False, True]),
                ("?offset=99999999999999999999", [], [25, 4294967295, 27, False, True]),
                ("?limit=0", down[:1], [1, 0, 27, True, False]), ("?limit=-5", down[:1], [1, 0, 27, True, False]),
                ("?limit=1", down[:1], [1, 0, 27, True, False]), ("?limit=100", down, [100, 0, 27, False, False]),
                ("?limit=101", down, [100, 0, 27, False, False]), ("?limit=1000", down, [100, 0, 27, False, False]),
                ("?limit=99999999999999999999", down, [100, 0, 27, False, False]), ("?unknown=1&flag&limit=2&limit=3", down[:3],
                                                                                   [3, 0, 27, True, False])):
            self.assertEqual(page(query), (rows, paging), query)
        for query, name in (("limit=x", "limit"), ("limit=", "limit"), ("limit", "limit"), ("limit=1.5", "limit"),
                            ("limit=1e1", "limit"), ("offset=x", "offset"), ("offset=-1", "offset"), ("offset=+1", "offset"), ("offset=-99999999999999999999", "offset")):
            self.refused(cs.get("/account/webhooks/deliveries?" + query), 422, "VALIDATION_ERROR", ["query", name])

    def test_ids(self):
        w, _ = self.created(self.url("ok"))
        self.alert()
        d = self.first(w)
        for id in ("x", "deliv_01HV", ANY + "0"):
            self.refused(self.cs.get("/account/webhooks/deliveries/" + id), 422, "VALIDATION_ERROR", ["path", "delivery_id"])
        for id in (ANY, w["id"], d["event_id"]):
            self.refused(self.cs.get("/account/webhooks/deliveries/" + id), 404, "ACCOUNT_WEBHOOK_DELIVERY_NOT_FOUND")
        other = self.account("curious")
        self.refused(other.get("/account/webhooks/deliveries/" + d["id"]), 404, "ACCOUNT_WEBHOOK_DELIVERY_NOT_FOUND")
        self.assertEqual(self.deliveries(other), [])
        self.assertEqual(self.detail(d["id"].upper())["id"], d["id"])

    def test_other_dialects_are_not_shown(self):
        native = self.api.webhook(self.url("ok"), event_types=["alert.triggered"])
        event = self.alert()
        shown = until(lambda: self.api.deliveries(webhook=native["id"], event=event), "the native delivery")[0]
        self.refused(self.cs.get("/account/webhooks/deliveries/" + shown["id"]), 404, "ACCOUNT_WEBHOOK_DELIVERY_NOT_FOUND")
        self.assertNotIn(native["id"], [d["endpoint_id"] for d in self.deliveries()])
        self.api.delete("/v1/webhooks/" + native["id"])
        # only the one event type goes out
        url = self.url("ok")
        w, _ = self.created(url)
        self.api.publish("order.created")
        self.alert()
        self.assertEqual([r["headers"]["x-cs2c-event-type"] for r in self.got(url)], ["alert.triggered"])
        self.assertEqual(len(self.of(w)), 1)

    def test_attempts_and_activity(self):
        url = self.url("flaky/2")
        w, secret = self.created(url)
        self.assertIsNone(w["last_failure_at"])
        self.alert()
        d = self.first(w, lambda d: d["status"] == "succeeded")
        self.assertEqual((d["attempt_count"], d["last_http_status"], d["error"], d["next_attempt_at"]), (3, 204, None, None))
        self.assertGreaterEqual(d["completed_at"], d["created_at"])
        at = self.detail(d["id"])["attempts"]
        self.assertEqual([(a["status"], a["http_status"]) for a in at], [("failed", 500), ("failed", 500), ("succeeded", 204)])
        self.assertEqual([a["response_body_excerpt"] for a in at], ["not yet\n", "not yet\n", ""])
        self.assertEqual([bool(a["error"]) for a in at], [True, True, False])
        self.assertEqual(sorted(a["created_at"] for a in at), [a["created_at"] for a in at])
        rs = self.got(url, 3)
        self.assertEqual({r["headers"]["x-cs2c-delivery-id"] for r in rs}, {d["id"]})
        self.assertEqual([r["headers"]["hookline-attempt"] for r in rs], ["1", "2", "3"])
        self.assertEqual(len({r["headers"]["x-cs2c-timestamp"] for r in rs}), 3)
        for r in rs:
            self.assertEqual(r["headers"]["x-cs2c-signature"], hex_of(secret, r))
        now = self.webhook(w["id"])
        self.assertTrue(now["last_success_at"] and now["last_failure_at"] and now["last_failure_message"])
        self.assertIn("500", now["last_failure_message"])
        self.assertEqual(now["updated_at"], max(w["updated_at"], now["last_success_at"], now["last_failure_at"]))

    def test_excerpt(self):
        for n in (999, 1000, 1001, 4999, 20000):
            w, _ = self.created(self.url("euros/%d" % n))
            self.alert()
            d = self.first(w, lambda d: d["status"] == "succeeded")
            self.assertEqual(self.detail(d["id"])["attempts"][0]["response_body_excerpt"], "€" * min(n, 1000))
            self.cs.delete("/account/webhooks/" + w["id"])

    def test_no_answer(self):
        w, _ = self.created(self.url("close"))
        self.alert()
        d = self.first(w, lambda d: d["attempt_count"])
        self.assertEqual((d["status"], d["last_http_status"], d["completed_at"]), ("pending", None, None))
        self.assertTrue(d["error"] and d["next_attempt_at"])
        at = self.detail(d["id"])["attempts"][0]
        self.assertEqual((at["http_status"], at["response_body_excerpt"]), (None, None))
        self.cs.delete("/account/webhooks/" + w["id"])

    def test_final(self):
        """A status that no retry would change."""
        w, _ = self.created(self.url("status/422"))
        self.alert()
        d = self.first(w, lambda d: d["status"] == "failed")
        self.assertEqual((d["attempt_count"], d["last_http_status"], d["next_attempt_at"]), (1, 422, None))
        self.assertTrue(d["error"] and d["completed_at"])

    # ---- changes while something waits ----

    def test_snapshot(self):
        """Shown is what the latest attempt used; the next one uses what is right now."""
        bad, good = self.url("status/500"), self.url("ok")
        w, _ = self.created(bad, label="before")
        path = "/account/webhooks/" + w["id"]
        self.alert()
        d = self.first(w, lambda d: d["attempt_count"])
        self.assertEqual((d["endpoint_label"], d["endpoint_url"], d["platform"]), ("before", bad, "custom"))
        self.assertEqual(self.cs.patch(path, {"is_active": False, "label": "after", "url": good, "platform": "discord"}).status, 200)
        d = self.first(w)
        self.assertEqual((d["endpoint_label"], d["endpoint_url"], d["platform"]), ("before", bad, "custom"))
        self.assertIn("data", self.detail(d["id"])["payload"])
        self.assertEqual(self.cs.patch(path, {"is_active": True}).status, 200)
        d = self.first(w, lambda d: d["status"] == "succeeded")
        self.assertEqual((d["endpoint_label"], d["endpoint_url"], d["platform"]), ("after", good, "discord"))
        self.assertIn("embeds", self.detail(d["id"])["payload"])
        self.assertEqual(self.cs.delete(path).status, 200)
        d = self.detail(d["id"])
        self.assertEqual((d["endpoint_label"], d["endpoint_url"], d["platform"], d["status"]), ("after", good, "discord", "succeeded"))
        self.assertEqual(len(d["attempts"]), d["attempt_count"])

    def test_pause_and_resume(self):
        url = self.url("status/503")
        w, _ = self.created(url)
        path = "/account/webhooks/" + w["id"]
        first = self.alert()
        self.first(w, lambda d: d["attempt_count"])
        self.assertFalse(self.cs.patch(path, {"is_active": False}).json["is_active"])
        d = self.first(w)
        self.assertEqual((d["status"], d["next_attempt_at"], d["completed_at"]), ("pending", None, None))
        self.alert()                                                    # while paused: not for this one
        self.receiver.script[url[len(self.receiver.url):]] = "ok"
        self.assertTrue(self.cs.patch(path, {"is_active": True}).json["is_active"])
        d = self.first(w, lambda d: d["status"] == "succeeded")
        self.assertEqual([d["event_id"] for d in self.of(w)], [first])

    def test_registered_paused(self):
        url = self.url("ok")
        w, _ = self.created(url, is_active=False)
        self.alert()
        self.assertEqual(self.of(w), [])
        self.cs.patch("/account/webhooks/" + w["id"], {"is_active": True})
        event = self.alert()
        self.got(url)
        self.assertEqual([d["event_id"] for d in self.of(w)], [event])

    def test_delete_cancels(self):
        w, _ = self.created(self.url("retry-after/500/503"))
        ids = [self.alert(), self.alert()]
        until(lambda: any(d["attempt_count"] for d in self.of(w)), "an attempt")
        self.assertEqual(self.cs.delete("/account/webhooks/" + w["id"]).json, {"ok": True})
        found = self.of(w)
        self.assertEqual([d["event_id"] for d in found], ids[::-1])
        for d in found:
            self.assertEqual((d["status"], d["error"], d["next_attempt_at"]), ("failed", "cancelled: webhook deleted", None))
            self.assertTrue(d["completed_at"])
            self.assertEqual(d["endpoint_label"], "Production alerts")
        late = self.alert()
        self.assertEqual(len(self.of(w)), 2)
        self.assertNotIn(late, [r["headers"]["webhook-id"] for r in self.receiver.records if w["url"].endswith(r["target"])])
        # cancelled natively: the same three words
        w, _ = self.created(self.url("retry-after/500/503"))
        self.alert()
        d = self.first(w, lambda d: d["attempt_count"])
        self.assertEqual(self.api.post("/v1/deliveries/%s/cancel" % d["id"]).status, 200)
        d = self.first(w)
        self.assertEqual((d["status"], d["next_attempt_at"]), ("failed", None))
        self.assertTrue(d["error"].startswith("cancelled: "))

    def test_rotation(self):
        """The new secret signs at once, retries of older deliveries too; the old one beside it while the overlap lasts."""
        url = self.url("flaky/1")
        w, old = self.created(url)
        self.receiver.script[url[len(self.receiver.url):]] = "retry-after/2/503"
        self.alert()
        r = self.got(url)[0]
        self.assertEqual(r["headers"]["x-cs2c-signature"], hex_of(old, r))
        new = self.cs.post("/account/webhooks/%s/rotate-secret" % w["id"]).json["secret"]
        self.receiver.script[url[len(self.receiver.url):]] = "ok"
        r = self.got(url, 2)[1]
        h = r["headers"]
        self.assertEqual(h["x-cs2c-delivery-id"], self.got(url)[0]["headers"]["x-cs2c-delivery-id"])
        self.assertEqual((h["x-cs2c-signature"], h["x-cs2cap-signature"]), (hex_of(new, r),) * 2)
        self.assertEqual(h["x-cs2c-signature-previous"], hex_of(old, r))
        self.assertEqual(len(h["webhook-signature"].split(" ")), 2)
        self.assert_verified(new, r)
        self.assert_verified(old, r)


class Overlap(cs2cap.Case):
    settings = {"delivery.rotation_overlap": "0s", "delivery.retry_dialects": "1h", "delivery.park_after": "1"}

    def test_no_overlap(self):
        url = self.url("ok")
        w, old = self.created(url)
        new = self.cs.post("/account/webhooks/%s/rotate-secret" % w["id"]).json["secret"]
        self.alert()
        r = self.got(url)[0]
        self.assertNotIn("x-cs2c-signature-previous", r["headers"])
        self.assertEqual(r["headers"]["x-cs2c-signature"], hex_of(new, r))
        self.assertEqual(len(r["headers"]["webhook-signature"].split(" ")), 1)

    def test_parked(self):
        """While a queue is parked nothing is due before its probe."""
        w, _ = self.created(self.url("status/503"))
        for _ in range(3):
            self.alert()
        stats = until(lambda: [s for s in [self.api.get("/v1/webhooks/%s/stats" % w["id"]).json] if s["parked"]], "the queue to park")[0]
        for d in self.of(w):
            self.assertEqual(d["status"], "pending")
            self.assertGreaterEqual(d["next_attempt_at"][:19], stats["next_attempt_at"][:19])

    def test_hourly(self):
        w, _ = self.created(self.url("status/500"))
        self.alert()
        d = self.first(w, lambda d: d["attempt_count"] == 1)
        mktime, strptime = harness.program.time.mktime, harness.program.time.strptime
        due, made = (mktime(strptime(d[k][:19], "%Y-%m-%dT%H:%M:%S")) for k in ("next_attempt_at", "created_at"))
        self.assertTrue(3500 <= due - made <= 3700, d)


if __name__ == "__main__":
    harness.main()
