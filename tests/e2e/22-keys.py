#!/usr/bin/env python3
"""Who may do what: keys, scopes, accounts, tiers, rate limits, the control socket; health and metrics."""
import datetime
import os
import shutil
import subprocess
import time
import unittest

import harness
from harness import until

ANY = "0199d2c4-0000-7000-8000-000000000000"

# (method, path, body, scope that opens it); a call with the right scope may fail later, but not with 403 missing_scope
ROUTES = [
    ("POST", "/v1/events", {"type": "x", "data": 1}, "publish"), ("POST", "/v1/events/batch", None, "publish"),
    ("GET", "/v1/events", None, "read"), ("GET", "/v1/events/" + ANY, None, "read"),
    ("POST", "/v1/events/%s/replay" % ANY, {}, "manage"),
    ("GET", "/v1/webhooks", None, "read"), ("POST", "/v1/webhooks", {}, "manage"), ("GET", "/v1/webhooks/" + ANY, None, "read"),
    ("PATCH", "/v1/webhooks/" + ANY, {}, "manage"), ("DELETE", "/v1/webhooks/" + ANY, None, "manage"),
    ("POST", "/v1/webhooks/%s/rotate-secret" % ANY, {}, "manage"), ("POST", "/v1/webhooks/%s/test" % ANY, {}, "manage"),
    ("POST", "/v1/webhooks/%s/verify" % ANY, {}, "manage"), ("POST", "/v1/webhooks/%s/recover" % ANY, {}, "manage"),
    ("GET", "/v1/webhooks/%s/stats" % ANY, None, "read"), ("GET", "/v1/undelivered", None, "read"),
    ("GET", "/v1/deliveries", None, "read"), ("GET", "/v1/deliveries/" + ANY, None, "read"),
    ("POST", "/v1/deliveries/%s/retry" % ANY, {}, "manage"), ("POST", "/v1/deliveries/%s/cancel" % ANY, {}, "manage"),
    ("GET", "/v1/event-types", None, "read"), ("GET", "/v1/event-types/x", None, "read"),
    ("PUT", "/v1/event-types/x", {}, "admin"), ("DELETE", "/v1/event-types/x", None, "admin"),
    ("GET", "/v1/accounts", None, "admin"), ("POST", "/v1/accounts", {}, "admin"), ("GET", "/v1/accounts/default", None, "admin"),
    ("PATCH", "/v1/accounts/default", {}, "admin"),
    ("GET", "/v1/keys", None, "admin"), ("POST", "/v1/keys", {}, "admin"), ("GET", "/v1/keys/" + ANY, None, "admin"),
    ("DELETE", "/v1/keys/" + ANY, None, "admin"),
    ("GET", "/v1/servers", None, "read"), ("POST", "/v1/servers", {}, "admin"), ("GET", "/v1/servers/" + ANY, None, "read"),
    ("PATCH", "/v1/servers/" + ANY, {}, "admin"), ("DELETE", "/v1/servers/" + ANY, None, "admin"),
]


class Keys(harness.Case):
    settings = {"limits.tiers": "quant: webhooks, batch, max_webhooks=40; slow: webhooks, rpm=5; none: rpm=1000"}

    def account(self, id, **members):
        return self.expect(self.api.post("/v1/accounts", dict({"id": id}, **members)), 201).json

    def test_every_route_wants_its_scope(self):
        clients = {s: self.server.client(scope=s) for s in ("publish", "manage", "read", "admin")}
        nobody = harness.Client(self.server, None)
        for method, path, body, scope in ROUTES:
            self.expect(nobody.request(method, path, body), 401, "missing_key")
            for has, client in clients.items():
                a = client.request(method, path, body)
                if has in (scope, "admin"):
                    self.assertNotIn(a.status, (401, 403, 405, 500), (method, path, has, a))
                    self.assertFalse(a.status == 404 and a.json["code"] == "no_route", (method, path))
                else:
                    self.assertEqual(self.expect(a, 403, "missing_scope").json["scope"], scope, (method, path, has))

    def test_ways_to_show_a_key(self):
        key = self.server.make_key("read")
        for headers in ({"Authorization": "Bearer " + key}, {"authorization": "bearer " + key}, {"X-API-Key": key}):
            a = harness.Client(self.server, None).get("/v1/webhooks", headers=headers)
            self.assertEqual(a.status, 200, headers)
        for headers, status, code in (
                ({"Authorization": "Bearer " + key, "X-API-Key": key}, 400, "bad_request"),
                ({"Authorization": "Basic " + key}, 401, "invalid_key"), ({"Authorization": key}, 401, "invalid_key"),
                ({"Authorization": "Bearer "}, 401, "invalid_key"), ({"X-API-Key": ""}, 401, "invalid_key"),
                ({"X-API-Key": key[:-1]}, 401, "invalid_key"), ({"X-API-Key": key + "x"}, 401, "invalid_key"),
                ({"X-API-Key": key.swapcase()}, 401, "invalid_key"), ({"X-API-Key": "hlk_" + "0" * 60}, 401, "invalid_key"),
                ({"X-API-Key": "x" * 5000}, 401, "invalid_key")):
            a = self.expect(harness.Client(self.server, None).get("/v1/webhooks", headers=headers), status, code)
            self.assertEqual("www-authenticate" in a.headers, status == 401)

    def test_life_of_a_key(self):
        a = self.expect(self.api.post("/v1/keys", {"scopes": ["read", "publish"], "name": "ci"}), 201).json
        key = a.pop("key")
        self.assertRegex(key, r"^hlk_[0-9A-Za-z]{40,}$")
        self.assertTrue(key.startswith(a["prefix"]) and key.endswith(a["last4"]))
        self.assertEqual((a["account"], a["name"], a["dialect"], set(a["scopes"])), ("default", "ci", "hookline", {"read", "publish"}))
        got = self.expect(self.api.get("/v1/keys/" + a["id"]), 200).json
        self.assertEqual(got["id"], self.expect(self.api.get("/v1/keys/" + a["prefix"]), 200).json["id"])
        self.assertNotIn("key", got)
        self.assertNotIn(key, self.api.get("/v1/keys?limit=250").body.decode())
        client = self.server.client(key=key)
        self.expect(client.get("/v1/webhooks"), 200)
        used = until(lambda: self.api.get("/v1/keys/" + a["id"]).json["last_used_at"], "last_used_at")
        self.assertLess(abs(datetime.datetime.fromisoformat(used).timestamp() - time.time()), 70)
        self.expect(self.api.delete("/v1/keys/" + a["id"]), 204)
        self.expect(client.get("/v1/webhooks"), 401, "key_revoked")
        self.assertIsNotNone(self.api.get("/v1/keys/" + a["id"]).json["revoked_at"])
        self.server.restart()
        self.expect(client.get("/v1/webhooks"), 401, "key_revoked")

    def test_expiry(self):
        soon = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=1)
        a = self.expect(self.api.post("/v1/keys", {"scopes": ["read"], "expires_at": soon.isoformat()}), 201).json
        client = self.server.client(key=a["key"])
        self.expect(client.get("/v1/webhooks"), 200)
        until(lambda: client.get("/v1/webhooks").status != 200)
        self.expect(client.get("/v1/webhooks"), 401, "key_expired")
        for bad in ("2020-01-01T00:00:00Z", "tomorrow", 5):
            self.expect(self.api.post("/v1/keys", {"scopes": ["read"], "expires_at": bad}), 422, "invalid", "/expires_at")

    def test_listing_shows_when_keys_end(self):
        """With a server and without: the same lines."""
        with harness.Server() as server:
            self.assertTrue(server.client().key)
            for name, more in (("ends", ("--expires", "2099-12-31T23:59:59Z")), ("stays", ())):
                server.make_key("read", None, "--name", name, *more)
            running = harness.run("key", "list", "--data", server.data)[1]
            server.stop()
            self.assertEqual(harness.run("key", "list", "--data", server.data)[1], running)
        for name, ends in (("ends", "2099-12-31T23:59:59.000Z"), ("stays", "never")):
            self.assertRegex(running, r"(?m)^hlk_\S+ +default +hookline +read +active +%s +%s$" % (ends, name))

    def test_bad_keys_are_not_made(self):
        for body, pointer in (({}, "/scopes"), ({"scopes": []}, "/scopes"), ({"scopes": ["root"]}, "/scopes"),
                              ({"scopes": "read"}, "/scopes"), ({"scopes": ["read"], "dialect": "x"}, "/dialect"),
                              ({"scopes": ["read"], "account": "nobody"}, "/account"), ({"scopes": ["read"], "name": "x" * 121}, "/name"),
                              ({"scopes": ["read"], "prefix": "hlk_1"}, "/prefix")):
            self.expect(self.api.post("/v1/keys", body), 422, "invalid", pointer)
        code, out, err = harness.run("key", "create", "--data", self.server.data, "--scope", "root")
        self.assertEqual((code, out), (2, ""))

    def test_key_of_another_dialect(self):
        key = self.expect(self.api.post("/v1/keys", {"scopes": ["read"], "dialect": "bitnob"}), 201).json["key"]
        self.expect(self.server.client(key=key).get("/v1/webhooks"), 401, "invalid_key")

    # ---- accounts ----

    def test_accounts(self):
        a = self.account("shop", name="Shop", email="a@b.example", preferred_currency="EUR", alert_emails=True)
        self.assertEqual((a["id"], a["name"], a["disabled"], a["tier"], a["email_verified"]), ("shop", "Shop", False, None, False))
        self.expect(self.api.post("/v1/accounts", {"id": "shop"}), 409, "already_exists")
        made = self.expect(self.api.post("/v1/accounts", {"name": "no id"}), 201).json
        self.assertTrue(made["id"])
        shop = self.server.client(account="shop", scope="publish,manage,read")
        shop.webhook(self.url("ok"))
        shop.publish("x")
        until(lambda: self.api.get("/v1/accounts/shop").json["totals"]["deliveries"]["hookline"] == 1)
        self.assertEqual(self.api.get("/v1/accounts/shop").json["totals"]["webhooks"], 1)
        self.assertEqual(self.api.get("/v1/accounts/shop").json["totals"]["events"], 1)
        self.assertIn("default", [x["id"] for x in self.api.get("/v1/accounts?limit=250").json["data"]])
        self.assertEqual(self.expect(self.api.patch("/v1/accounts/shop", {"email": None, "tier": "slow"}), 200).json["tier"], "slow")
        for body, pointer in (({"tier": "gold"}, "/tier"), ({"preferred_currency": "eur"}, "/preferred_currency"),
                              ({"id": "x"}, "/id"), ({"email": "x" * 255}, "/email"), ({"disabled": None}, "/disabled")):
            self.expect(self.api.patch("/v1/accounts/shop", body), 422, "invalid", pointer)
        self.expect(self.api.post("/v1/accounts", {"id": "a b"}), 422, "invalid", "/id")

    def test_foreign_ids_are_unknown_ids(self):
        self.account("mine")
        self.account("theirs")
        mine, theirs = (self.server.client(account=a, scope="publish,manage,read") for a in ("mine", "theirs"))
        w = theirs.webhook(self.url("ok"))
        e = theirs.publish("x")
        d = theirs.wait_deliveries("succeeded")[0]
        for method, path in (("GET", "/v1/webhooks/" + w["id"]), ("PATCH", "/v1/webhooks/" + w["id"]),
                             ("DELETE", "/v1/webhooks/" + w["id"]), ("GET", "/v1/webhooks/%s/stats" % w["id"]),
                             ("POST", "/v1/webhooks/%s/rotate-secret" % w["id"]), ("POST", "/v1/webhooks/%s/test" % w["id"]),
                             ("POST", "/v1/webhooks/%s/verify" % w["id"]), ("POST", "/v1/webhooks/%s/recover" % w["id"]),
                             ("GET", "/v1/events/" + e["id"]), ("POST", "/v1/events/%s/replay" % e["id"]),
                             ("GET", "/v1/deliveries/" + d["id"]), ("POST", "/v1/deliveries/%s/retry" % d["id"]),
                             ("POST", "/v1/deliveries/%s/cancel" % d["id"])):
            body = {} if method in ("POST", "PATCH") else None
            foreign = self.expect(mine.request(method, path, body), 404, "not_found")
            unknown = mine.request(method, path.replace(path.split("/")[3], ANY), body)
            self.assertEqual((foreign.status, foreign.body), (unknown.status, unknown.body), (method, path))
        self.assertEqual(mine.get("/v1/deliveries?webhook=" + w["id"]).json["data"], [])
        self.expect(mine.get("/v1/webhooks", headers={"Hookline-Account": "theirs"}), 403, "foreign_account")
        self.expect(mine.get("/v1/webhooks", headers={"Hookline-Account": "nobody"}), 403, "foreign_account")
        self.expect(mine.get("/v1/webhooks", headers={"Hookline-Account": "mine"}), 200)
        self.assertEqual(len(self.api.get("/v1/webhooks", headers={"Hookline-Account": "theirs"}).json["data"]), 1)
        self.expect(self.api.get("/v1/webhooks", headers={"Hookline-Account": "nobody"}), 404, "not_found")
        self.assertEqual(theirs.get("/v1/webhooks/" + w["id"]).json["state"], "enabled")

    def test_a_disabled_account(self):
        self.account("off")
        client = self.server.client(account="off", scope="publish,read")
        self.expect(client.get("/v1/events"), 200)
        self.api.patch("/v1/accounts/off", {"disabled": True})
        self.expect(client.get("/v1/events"), 403, "account_disabled")
        self.expect(client.post("/v1/events", {"type": "x", "data": 1}), 403, "account_disabled")
        self.expect(self.api.get("/v1/events", headers={"Hookline-Account": "off"}), 200)
        self.api.patch("/v1/accounts/off", {"disabled": False})
        self.expect(client.get("/v1/events"), 200)

    # ---- tiers and limits ----

    def test_tiers(self):
        self.account("poor", tier="none")
        poor = self.server.client(account="poor", scope="publish,manage,read")
        self.expect(poor.post("/v1/webhooks", {"url": self.url("ok")}), 403, "not_in_tier")
        self.expect(poor.post("/v1/events/batch", b"", content_type="application/x-ndjson"), 403, "not_in_tier")
        self.account("many")
        many = self.server.client(account="many", scope="manage")
        for i in range(40):
            many.webhook(self.url("ok"))
        self.expect(many.post("/v1/webhooks", {"url": self.url("ok")}), 409, "limit_reached")

    def test_rate_limit(self):
        self.account("limited", tier="slow")
        client, other = (self.server.client(account="limited", scope="read") for _ in range(2))
        for i in range(5):
            a = self.expect(client.get("/v1/events"), 200)
            self.assertEqual(a.headers["ratelimit-policy"], '"default";q=5;w=60')
            self.assertRegex(a.headers["ratelimit"], r'^"default";r=%d;t=(60|5\d)$' % (4 - i))
            self.assertEqual((a.headers["x-ratelimit-limit"], a.headers["x-ratelimit-remaining"]), ("5", str(4 - i)))
        a = self.expect(client.get("/v1/events"), 429, "rate_limited")
        self.assertEqual(a.headers["retry-after"], a.headers["x-ratelimit-reset"])
        self.assertTrue(1 <= int(a.headers["retry-after"]) <= 60)
        self.expect(other.get("/v1/events"), 200)
        self.assertNotIn("ratelimit", self.api.get("/v1/events").headers)

    # ---- other doors ----

    def test_control_socket_needs_no_key(self):
        client = harness.Client(self.server, None, unix=os.path.join(self.server.data, "control.sock"))
        self.expect(client.get("/v1/keys"), 200)
        self.assertEqual(os.stat(self.server.data + "/control.sock").st_mode & 0o777, 0o600)
        self.expect(harness.Client(self.server, None, unix=self.server.unix).get("/v1/keys"), 401, "missing_key")
        self.expect(self.server.client(unix=self.server.unix).get("/v1/keys"), 200)

    def test_health(self):
        nobody = harness.Client(self.server, None)
        for path in ("/livez", "/readyz", "/healthz"):
            a = self.expect(nobody.get(path), 200)
            self.assertEqual(a.json, {"status": "ok"})
            self.assertEqual(a.headers["cache-control"], "no-store")

    def test_metrics(self):
        w = self.api.webhook(self.url("ok"), event_types=["metrics"])
        for i in range(5):
            self.api.publish("metrics", i)
        self.api.wait_deliveries("succeeded", 5, webhook=w["id"])
        a = harness.Client(self.server, None).get("/metrics")
        self.assertEqual((a.status, a.headers["content-type"].split(";")[0]), (200, "text/plain"))
        self.assertIn("version=0.0.4", a.headers["content-type"])
        values = {}
        for line in a.body.decode().splitlines():
            if not line.startswith("#"):
                name, value = line.rsplit(" ", 1)
                self.assertNotIn(name, values)
                values[name] = float(value)
        self.assertGreaterEqual(values["hookline_events_accepted_total"], 5)
        self.assertGreaterEqual(values['hookline_attempts_total{class="none",status="2xx"}'], 5)
        self.assertGreaterEqual(values["hookline_delivery_latency_seconds_count"], 5)
        self.assertGreaterEqual(values['hookline_deliveries_total{result="succeeded"}'], 5)
        self.assertGreater(values['hookline_store_bytes{kind="used"}'], 0)
        self.assertGreaterEqual(values['hookline_webhooks{state="enabled"}'], 1)
        names = {n.split("{")[0] for n in values}
        histograms = ("attempt_duration", "delivery_latency", "dns_duration", "store_commit_duration", "loop_lag",
                      "http_request_duration")
        for name in ["hookline_pending_deliveries", "hookline_due_deliveries", "hookline_inflight_attempts",
                     "hookline_oldest_pending_age_seconds", "hookline_webhooks", "hookline_store_bytes",
                     "hookline_tls_handshakes_total", "hookline_http_requests_total", "hookline_build_info",
                     "process_resident_memory_bytes", "process_open_fds", "process_cpu_seconds_total",
                     "process_start_time_seconds"] + ["hookline_%s_seconds_%s" % (h, part) for h in histograms
                                                      for part in ("bucket", "sum", "count")]:
            self.assertIn(name, names)
        for secret in (w["id"], w["url"], self.api.key):
            self.assertNotIn(secret, a.body.decode())
        if shutil.which("promtool"):
            done = subprocess.run(["promtool", "check", "metrics"], input=a.body, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
            self.assertEqual((done.returncode, done.stdout.decode()), (0, ""))

    def test_logs_hold_no_secret(self):
        """Neither key, secret, signature, payload nor the path of a destination."""
        url = self.url("ok/very-secret-path")
        w = self.api.webhook(url, event_types=["logged"])
        self.api.publish("logged", {"payload": "very-secret-payload"})
        record = self.got(url)[0]
        self.api.wait_deliveries("succeeded", webhook=w["id"])
        text = self.server.log(all_runs=True)
        for secret in (self.api.key, w["secret"], record["headers"]["webhook-signature"], "very-secret-payload", "very-secret-path"):
            self.assertNotIn(secret, text)
        self.assertEqual([line for line in text.splitlines() if "level=error" in line], [])


    def test_a_line_per_decision(self):
        """What was changed and by whom it was made to change is told with ids, at level info; each attempt at debug."""
        key = self.api.post("/v1/keys", {"scopes": ["read"], "name": "told"}).json
        self.expect(self.api.delete("/v1/keys/" + key["id"]), 204)
        url = self.url("gone")
        w = self.api.webhook(url, event_types=["told"])
        event = self.api.publish("told")
        d = self.api.wait_deliveries("failed", webhook=w["id"])[0]
        self.expect(self.api.post("/v1/webhooks/%s/rotate-secret" % w["id"], {}), 200)
        self.expect(self.api.patch("/v1/webhooks/" + w["id"], {"enabled": True}), 200)
        self.expect(self.api.delete("/v1/webhooks/" + w["id"]), 204)
        lines = ["key.created key=" + key["prefix"], "key.revoked key=" + key["prefix"],
                 "webhook.disabled webhook=%s status=410" % w["id"], "job.done"]
        lines += ["webhook.%s webhook=%s" % (what, w["id"]) for what in ("created", "changed", "rotated", "deleted")]
        if self.settings.get("log.level") == "debug":
            lines += ["event.accepted event=" + event["id"],
                      "attempt.ended delivery=%s event=%s webhook=%s number=1" % (d["id"], event["id"], w["id"])]
        for line in lines:
            until(lambda: "ev=" + line in self.server.log(all_runs=True), line)


class KeysWhileDebugging(Keys):
    """The same secrets at the chattiest level; only the tests about the log are run again."""
    settings = dict(Keys.settings, **{"log.level": "debug"})


def load_tests(loader, tests, pattern):
    suite = unittest.TestSuite(loader.loadTestsFromTestCase(Keys))
    suite.addTest(KeysWhileDebugging("test_logs_hold_no_secret"))
    suite.addTest(KeysWhileDebugging("test_a_line_per_decision"))
    return suite


if __name__ == "__main__":
    harness.main()
