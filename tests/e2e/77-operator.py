#!/usr/bin/env python3
"""The operator's view: what the native API sees and does with webhooks and deliveries of all four dialects. Every test walks
over the four; what a dialect's rules forbid is refused natively too."""
import json
import os
import shutil
import tempfile

import harness
from harness import Client, Receiver, until

TYPE = "alert.triggered"


class Dialect:
    """How one of the APIs makes and shows a webhook. name_member: what it calls the name; None = it has none."""

    def __init__(self, dialect, root, header, body, name_member):
        self.dialect, self.root, self.header, self.body, self.name_member = dialect, root, header, body, name_member

    def client(self, server, account):
        key = server.make_key("read,manage", account, "--dialect", self.dialect)
        c = Client(server, None)
        c.headers = {"X-API-Key": key} if self.header == "X-API-Key" else {"Authorization": "Bearer " + key}
        return c

    def create(self, client, url):
        """What this API answers, without the secret, and the secret (None: it shows none)."""
        a = client.post(self.root, dict(self.body, url=url))
        if a.status not in (200, 201):
            raise AssertionError("%s: %r" % (self.dialect, a))
        made = dict(a.json)
        secret = next((made.pop(k) for k in ("secret", "client_secret", "signing_secret") if k in made), None)
        return made.get("webhook", made), secret

    def show(self, client, id):
        """The webhook in this API; None: 404, or not in the list."""
        if self.dialect == "cs2cap":
            return next((w for w in client.get(self.root).json["webhooks"] if w["id"] == id), None)
        a = client.get("%s/%s" % (self.root.rstrip("/"), id))
        return a.json.get("webhook", a.json) if a.status == 200 else None

    def active(self, shown):
        return shown["status"] == "active" if "status" in shown else shown.get("is_active", shown.get("enabled"))


DIALECTS = [Dialect("cs2cap", "/v1/account/webhooks", "Bearer", {"label": "hook"}, "label"),
            Dialect("aboutyou", "/api/v1/webhooks/", "X-API-Key", {"events": [TYPE]}, None),
            Dialect("stellarstack", "/stellarstack/webhooks", "Bearer", {"events": [TYPE]}, None),
            Dialect("bitnob", "/bitnob/webhooks", "X-API-Key", {"name": "hook", "event_types": [TYPE]}, "name")]


class Hook:
    """One webhook, made through its dialect: .id is the dialect's, .native what the native API says, .url where it goes."""

    def __init__(self, dialect, client, url, native):
        self.dialect, self.client, self.url = dialect, client, url
        self.made, self.secret = dialect.create(client, url)
        self.id = self.made["id"]
        listed = native.get("/v1/webhooks?dialect=" + dialect.dialect).json["data"]
        self.native = next(w for w in listed if self.id in (w["id"], w["number"]))
        self.path = "/v1/webhooks/" + self.native["id"]

    def show(self):
        return self.dialect.show(self.client, self.id)

    def active(self):
        return self.dialect.active(self.show())


class Operator(harness.Case):
    settings = {"delivery.timeout": "3s", "egress.allow_hosts": "localhost"}

    @classmethod
    def setUpClass(cls):
        folder = tempfile.mkdtemp(prefix="hl-tls-")
        cls.addClassCleanup(shutil.rmtree, folder)
        certs = harness.make_certs(folder)
        cls.settings = dict(cls.settings, **{"tls.ca_file": certs["ca"]})
        super().setUpClass()
        cls.tls = Receiver(tls=certs["good"]).start()
        cls.addClassCleanup(cls.tls.stop)
        a = cls.api.put("/v1/event-types/" + TYPE, {"title": "Alert", "dialects": {d.dialect: "server" for d in DIALECTS}})
        assert a.status == 200, a
        cls.n = 0

    def setUp(self):
        Operator.n += 1
        self.account = "op-%d" % Operator.n
        self.expect(self.api.post("/v1/accounts", {"id": self.account}), 201)
        self.native = self.server.client()
        self.native.headers["Hookline-Account"] = self.account

    def target(self, behaviour="ok"):
        Operator.n += 1
        return "https://localhost:%d/%s/o%d" % (self.tls.port, behaviour, Operator.n)

    def hooks(self, behaviour="ok"):
        return [Hook(d, d.client(self.server, self.account), self.target(behaviour), self.native) for d in DIALECTS]

    def path_of(self, url):
        return "/" + url.split("/", 3)[3]

    def sent(self, url, n=1):
        path = self.path_of(url)
        self.tls.wait_for(lambda records: sum(r["target"] == path for r in records) >= n, harness.PATIENCE)
        return self.tls.of(path)

    def script(self, hook, behaviour):
        self.tls.script[self.path_of(hook.url)] = behaviour

    def deliveries(self, hook, n, **filters):
        rows = []

        def exactly():
            rows[:] = self.native.deliveries(webhook=hook.native["id"], **filters)
            return len(rows) == n
        until(exactly, "%d deliveries %s of %s" % (n, filters, hook.dialect.dialect))
        return rows

    # ---- looking ----

    def test_list_and_get(self):
        hooks = self.hooks()
        own = self.native.webhook(self.target(), event_types=["none"])
        listed = {w["id"]: w for w in self.native.get("/v1/webhooks").json["data"]}
        self.assertEqual({w["dialect"] for w in listed.values()}, {"hookline"} | {d.dialect for d in DIALECTS})
        self.assertEqual(len(listed), 5)
        for h in hooks:
            w = self.expect(self.native.get(h.path), 200).json
            self.assertEqual(w, listed[w["id"]])
            self.assertEqual((w["dialect"], w["url"], w["state"], w["enabled"]), (h.dialect.dialect, h.url, "enabled", True))
            self.assertEqual(w["format"], "discord" if h.dialect.dialect == "stellarstack" else "standard")
            self.assertEqual(w["event_types"], [TYPE])
            self.assertNotIn("secret", w)
            if h.secret:
                self.assertEqual(w["secret_last4"], h.secret[-4:])
            only = self.native.get("/v1/webhooks?dialect=" + h.dialect.dialect).json["data"]
            self.assertEqual([x["id"] for x in only], [w["id"]])
            for other in (x for x in hooks if x is not h):   # not over the fences
                self.assertIsNone(other.dialect.show(other.client, h.id))
            self.assertIsNone(h.dialect.show(h.client, own["id"]))
        stranger = self.server.client(scope="read,manage")   # of another account
        for h in hooks:
            self.expect(stranger.get(h.path), 404, "not_found")

    # ---- changing ----

    def test_patch(self):
        for h in self.hooks():
            new = self.target()
            change = {"name": "By the operator", "url": new, "description": "d", "metadata": {"team": 7}, "headers": {"X-Team": "7"},
                      "timeout": 2, "rate_limit": 50, "max_in_flight": 3}
            w = self.expect(self.native.patch(h.path, change), 200).json
            self.assertEqual({k: w[k] for k in change}, change)
            self.assertEqual((w["dialect"], w["number"]), (h.dialect.dialect, h.native["number"]))
            shown = h.show()
            self.assertEqual(shown["url"], new)
            if h.dialect.name_member:
                self.assertEqual(shown[h.dialect.name_member], "By the operator")
            self.native.publish(TYPE, {"alert_id": "a"})
            r = self.sent(new)[0]
            self.assertEqual(r["headers"]["x-team"], "7")
            self.assertEqual(self.native.delete(h.path).status, 204)

    def test_what_may_not_be_changed(self):
        hooks = {h.dialect.dialect: h for h in self.hooks()}
        http = self.url("ok")
        for d, member, values in (
                ("bitnob", "url", [http, "http://localhost/x"]),
                ("aboutyou", "retry", ["exponential", [1, 2, 3]]), ("aboutyou", "window", [1, 172799, 172801]),
                ("aboutyou", "format", ["discord", "telegram", "google_sheets"]), ("bitnob", "format", ["discord", "google_sheets"]),
                ("stellarstack", "format", ["standard", "telegram"]), ("stellarstack", "event_types", [[], None]),
                ("cs2cap", "headers", [{"X-CS2C-Signature": "x"}, {"x-cs2cap-signature": "x"}]),
                ("aboutyou", "headers", [{"X-Signature": "x"}]), ("bitnob", "headers", [{"X-Bitnob-Event": "x"}]),
                ("cs2cap", "dialect", ["hookline"]), ("bitnob", "number", [1]), ("bitnob", "https_only", [False]), ("aboutyou", "strict", [False])):
            h = hooks[d]
            before = self.native.get(h.path).json
            for value in values:
                a = self.native.patch(h.path, {member: value})
                self.assertEqual(a.status, 422, (d, member, value, a))
                self.assertTrue(a.json["errors"][0]["pointer"].startswith("/" + member), a)
            self.assertEqual(self.native.get(h.path).json, before)
        # and what may
        for d, change in (("aboutyou", {"retry": "hourly"}), ("aboutyou", {"window": 172800}), ("aboutyou", {"url": http}),
                          ("stellarstack", {"url": http}), ("stellarstack", {"format": "discord"}), ("cs2cap", {"format": "google_sheets"}),
                          ("bitnob", {"retry": [5, 60]}), ("bitnob", {"event_types": []}), ("cs2cap", {"url": http})):
            self.expect(self.native.patch(hooks[d].path, change), 200)
        self.assertEqual(hooks["cs2cap"].show()["platform"], "google_sheets")
        self.assertEqual(hooks["bitnob"].show()["event_types"], [])
        self.assertEqual(hooks["stellarstack"].show()["provider"], "discord")

    def test_pause_and_resume(self):
        hooks = self.hooks("status/500")
        self.native.publish(TYPE, {"alert_id": 1})
        for h in hooks:
            until(lambda: self.deliveries(h, 1)[0]["attempt_count"] == 1)
            self.assertTrue(h.active())
            self.assertEqual(self.expect(self.native.patch(h.path, {"enabled": False}), 200).json["state"], "paused")
            self.assertFalse(h.active())
        self.assertEqual(self.native.publish(TYPE, {"alert_id": 2})["deliveries"], 0)
        for h in hooks:
            self.assertEqual(self.deliveries(h, 1)[0]["status"], "pending")
            self.script(h, "ok")
            due = self.deliveries(h, 1)[0]["next_attempt_at"]
            self.expect(self.native.patch(h.path, {"enabled": True}), 200)
            self.assertTrue(h.active())
            if h.dialect.dialect == "aboutyou":     # strictly hourly: its hour has not come
                self.assertEqual([(d["status"], d["next_attempt_at"]) for d in self.deliveries(h, 1)], [("pending", due)])
                self.expect(self.native.post("/v1/deliveries/%s/retry" % self.deliveries(h, 1)[0]["id"], {}), 200)
            self.assertEqual(self.deliveries(h, 1, status="succeeded")[0]["attempt_count"], 2)

    def test_a_dialects_pause_is_seen_and_ended(self):
        hooks = {h.dialect.dialect: h for h in self.hooks()}
        for d, body in (("cs2cap", {"is_active": False}), ("aboutyou", {"enabled": False}), ("stellarstack", {"enabled": False})):
            h = hooks[d]
            self.assertEqual(h.client.patch("%s/%s" % (h.dialect.root.rstrip("/"), h.id), body).status, 200)
            self.assertEqual(self.native.get(h.path).json["state"], "paused")
            self.expect(self.native.patch(h.path, {"enabled": True}), 200)
            self.assertTrue(h.active())

    def test_rotate(self):
        for n, h in enumerate(self.hooks()):
            a = self.expect(self.native.post(h.path + "/rotate-secret", {"overlap": 600}), 200).json
            self.assertNotEqual(a["secret"], h.secret)
            self.assertEqual(self.native.get(h.path).json["secret_last4"], a["secret"][-4:])
            self.native.publish(TYPE, {"alert_id": 1})
            r = self.sent(h.url, n + 1)[-1]
            if h.dialect.dialect == "stellarstack":     # Discord cannot check a signature
                self.assertNotIn("webhook-signature", r["headers"])
                continue
            self.assertEqual(len(r["headers"]["webhook-signature"].split(" ")), 2)
            self.assert_verified(a["secret"], r)
            self.assert_verified(h.secret, r)

    def test_delete(self):
        for drop in (False, True):
            hooks = self.hooks()
            self.native.publish(TYPE, {"alert_id": 1})
            for h in hooks:
                d = self.deliveries(h, 1, status="succeeded")[0]
                self.assertEqual(self.native.delete(h.path + ("?drop_history=true" if drop else "")).status, 204)
                self.assertIsNone(h.show())
                self.expect(self.native.get(h.path), 404)
                self.expect(self.native.delete(h.path), 404)
                a = self.native.get("/v1/deliveries/" + d["id"])
                if drop:
                    self.expect(a, 404)
                else:
                    self.assertEqual((a.json["status"], a.json["dialect"]), ("succeeded", h.dialect.dialect))
                    self.expect(self.native.post("/v1/deliveries/%s/retry" % d["id"], {}), 409, "conflict")
        self.assertEqual(self.native.get("/v1/webhooks").json["data"], [])

    def test_what_a_dialect_deletes_is_gone(self):
        for h in self.hooks():
            self.assertIn(h.client.delete("%s/%s" % (h.dialect.root.rstrip("/"), h.id)).status, (200, 204))
            self.expect(self.native.get(h.path), 404)

    # ---- deliveries ----

    def test_deliveries(self):
        hooks = self.hooks()
        e = self.native.publish(TYPE, {"alert_id": "a-1", "market_hash_name": "X"})
        self.assertEqual(e["deliveries"], 4)
        for h in hooks:
            row = self.deliveries(h, 1, status="succeeded")[0]
            self.assertEqual((row["dialect"], row["event_id"], row["event_type"], row["webhook_id"]),
                             (h.dialect.dialect, e["id"], TYPE, h.native["id"]))
            d = self.native.delivery(row["id"])
            record = self.sent(h.url)[0]
            self.assertEqual(d["payload"], json.loads(record["body"]))
            self.assertEqual(record["headers"]["hookline-delivery-id"], d["id"])
            at = d["attempts"][0]
            self.assertEqual((at["trigger"], at["outcome"], at["http_status"], at["tls"]), ("publish", "succeeded", 204, record["tls"]))
        self.assertEqual({d["dialect"] for d in self.native.deliveries(event=e["id"])}, {d.dialect for d in DIALECTS})
        self.assertEqual(self.native.get("/v1/events/" + e["id"]).json["summary"]["succeeded"], 4)
        self.assertEqual(self.api.get("/v1/accounts/" + self.account).json["totals"]["deliveries"],
                         dict({"hookline": 0}, **{d.dialect: 1 for d in DIALECTS}))

    def test_retry_and_cancel(self):
        hooks = self.hooks("status/500")
        self.native.publish(TYPE, {"alert_id": 1})
        for h in hooks:
            waiting = until(lambda: [d for d in self.deliveries(h, 1) if d["attempt_count"] == 1])[0]
            path = "/v1/deliveries/" + waiting["id"]
            tried = self.expect(self.native.post(path + "/retry", {"new": True, "wait": True}), 200).json
            self.assertEqual((tried["success"], tried["http_status"]), (False, 500))
            self.assertEqual((tried["delivery"]["retry_of"], tried["delivery"]["dialect"]), (waiting["id"], h.dialect.dialect))
            self.assertEqual(self.expect(self.native.post(path + "/cancel"), 200).json["status"], "cancelled")
            self.expect(self.native.post(path + "/cancel"), 409)
            self.script(h, "ok")
            self.assertEqual(self.expect(self.native.post(path + "/retry", {}), 200).json["status"], "pending")
            done = self.deliveries(h, 1, status="succeeded")[0]
            self.assertEqual((done["id"], done["attempt_count"]), (waiting["id"], 2))
            self.assertEqual(self.native.delivery(done["id"])["attempts"][1]["trigger"], "manual")

    def test_recover(self):
        hooks = self.hooks("status/400")
        for i in range(3):
            self.native.publish(TYPE, {"alert_id": i})
        for h in hooks:
            self.deliveries(h, 3, status="failed")
            a = self.expect(self.native.post(h.path + "/recover", {"dry_run": True, "error_class": "http_status", "type": TYPE}), 202).json
            self.assertEqual(a, {"matching": 3, "dry_run": True})
            self.script(h, "ok")
            self.assertEqual(self.expect(self.native.post(h.path + "/recover"), 202).json["matching"], 3)
            self.assertEqual({d["attempt_count"] for d in self.deliveries(h, 3, status="succeeded")}, {2})

    def test_replay(self):
        hooks = self.hooks()
        e = self.native.publish(TYPE, {"alert_id": 1})
        path = "/v1/events/%s/replay" % e["id"]
        self.assertEqual(self.expect(self.native.post(path), 202).json["deliveries"], 4)
        for h in hooks:
            self.assertEqual(self.expect(self.native.post(path, {"webhook": h.native["id"]}), 202).json["deliveries"], 1)
            self.deliveries(h, 3, status="succeeded")
            self.assertEqual(len(self.sent(h.url, 3)), 3)

    # ---- what waits ----

    def test_stats_and_undelivered(self):
        hooks = self.hooks("status/500") + [Hook(d, d.client(self.server, self.account), self.target(), self.native) for d in DIALECTS]
        self.native.publish(TYPE, {"alert_id": 1})
        for h in hooks[:4]:
            until(lambda: self.deliveries(h, 1)[0]["attempt_count"] == 1)
            s = self.expect(self.native.get(h.path + "/stats"), 200).json
            self.assertEqual((s["deliveries"], s["pending_by_error"]),
                             ({"pending": 1, "succeeded": 0, "failed": 0, "cancelled": 0}, {"http_status": 1}))
            self.assertEqual((s["last_error"]["class"], s["last_http_status"]), ("http_status", 500))
            self.assertIsNotNone(s["next_attempt_at"])
        for h in hooks[4:]:
            self.deliveries(h, 1, status="succeeded")
            self.assertEqual(self.native.get(h.path + "/stats").json["deliveries"]["succeeded"], 1)
        waiting = self.expect(self.native.get("/v1/undelivered"), 200).json["data"]
        self.assertEqual({w["webhook_id"] for w in waiting}, {h.native["id"] for h in hooks[:4]})
        self.assertEqual({w["pending"] for w in waiting}, {1})

    def test_test_and_verify(self):
        for h in self.hooks():
            a = self.expect(self.native.post(h.path + "/test", {"type": TYPE, "data": {"x": 1}}), 200).json
            self.assertEqual((a["success"], a["http_status"]), (True, 204))
            a = self.expect(self.native.post(h.path + "/verify"), 200).json
            self.assertEqual((a["success"], a["url_allowed"]), (True, True))
            first, second = self.sent(h.url, 2)
            for r in (first, second):
                self.assertEqual("x-bitnob-signature" in r["headers"], h.dialect.dialect == "bitnob")
                self.assertEqual("x-cs2c-signature" in r["headers"], h.dialect.dialect == "cs2cap")
                self.assertEqual("x-signature" in r["headers"], h.dialect.dialect == "aboutyou")
                self.assertEqual("embeds" in json.loads(r["body"]), h.dialect.dialect == "stellarstack")
            self.deliveries(h, 0)


if __name__ == "__main__":
    harness.main()
