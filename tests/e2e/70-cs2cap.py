#!/usr/bin/env python3
"""Dialect cs2cap, destinations: every route with what it answers and refuses, keys, tiers, limits, fences."""
import json
import time
import unittest

import cs2cap
import harness
from cs2cap import ANY, WEBHOOK
from harness import until

LONG_URL = "https://example.com/" + "x" * 2028          # 2048 bytes


class Webhooks(cs2cap.Case):
    def test_create(self):
        before = time.time()
        w, secret = self.created("https://example.com/a?b=c", label="  Production alerts \n", unknown={"a": 1})
        self.assertRegex(secret, r"^whsec_[A-Za-z0-9+/]{43}=$")
        self.assertEqual((w["label"], w["url"], w["platform"], w["is_active"]),
                         ("Production alerts", "https://example.com/a?b=c", "custom", True))
        self.assertEqual(w["secret_last4"], secret[-4:])
        self.assertEqual((w["last_success_at"], w["last_failure_at"], w["last_failure_message"]), (None, None, None))
        self.assertEqual(w["created_at"], w["updated_at"])
        self.assertLess(abs(harness.time.time() - before), 60)
        for given, platform in (("discord", "discord"), (" Google_Sheets ", "google_sheets"), ("CUSTOM", "custom")):
            self.assertEqual(self.created(platform=given)[0]["platform"], platform)
        self.assertFalse(self.created(is_active=False)[0]["is_active"])
        self.assertEqual(self.created("http://example.com:8080/x")[0]["url"], "http://example.com:8080/x")
        self.assertEqual(self.created("https://no-such-host.invalid/x")[0]["url"], "https://no-such-host.invalid/x")
        self.assertEqual(self.created(label="ä" * 120)[0]["label"], "ä" * 120)
        self.assertEqual(self.created(LONG_URL)[0]["url"], LONG_URL)

    def test_bodies_are_json_whatever_the_type_says(self):
        body = b' {"label":"x","url":"https://example.com/","future":[1,{}]} '
        for type in (None, "text/plain", "application/x-www-form-urlencoded", "application/json; charset=utf-8"):
            self.assertEqual(self.cs.post("/account/webhooks?whatever=1", body, content_type=type).status, 201, type)

    def test_create_refuses(self):
        good = {"label": "x", "url": "https://example.com/"}
        post = lambda body: self.cs.post("/account/webhooks", body)
        for body in (b"", b"{", b"nonsense", b'{"label":"\xff","url":"https://e.com"}', b'{"label":"x",}', b"\xef\xbb\xbf{}"):
            self.assertEqual(self.refused(post(body), 422, "VALIDATION_ERROR", ["body"]).json["detail"][0]["type"], "json_invalid")
        for body in (b"[]", b"7", b'"x"', b"null"):
            self.refused(post(body), 422, "VALIDATION_ERROR", ["body"])
        for name in good:
            a = self.refused(post({k: v for k, v in good.items() if k != name}), 422, "VALIDATION_ERROR", ["body", name])
            self.assertEqual(a.json["detail"][0]["type"], "missing")
        for name, values in (("label", (None, 1, True, [], {}, "", "  ", "x" * 121, "a\u0000b", "a\tb")), ("url", (None, 1, [])),
                             ("platform", (None, 1, [])), ("is_active", (None, "true", 1, 0))):
            for v in values:
                self.refused(post(dict(good, **{name: v})), 422, "VALIDATION_ERROR", ["body", name])
        for url in ("", "x", "example.com", "ftp://example.com/", "https://", "http:///x", "//example.com/", LONG_URL + "y",
                    "https://user:pw@example.com/", "https://exa mple.com/", "javascript:alert(1)", "https://example.com:99999/",
                    "http://192.168.0.1/", "http://10.1.2.3/", "http://169.254.169.254/latest", "http://[::1]/", "http://0x7f000001/x",
                    "https://localhost/"):
            self.refused(post(dict(good, url=url)), 400, "BAD_REQUEST")
        for platform in ("slack", "", "discord2", "google-sheets"):
            self.refused(post(dict(good, platform=platform)), 400, "BAD_REQUEST", "platform")
        self.refused(self.cs.post("/account/webhooks", b" " * ((1 << 20) + 1)), 413, "PAYLOAD_TOO_LARGE")

    def test_telegram_needs_a_chat(self):
        base = "https://api.telegram.org/bot1:x/sendMessage"
        post = lambda url, **m: self.cs.post("/account/webhooks", dict({"label": "t", "url": url, "platform": "telegram"}, **m))
        for url in (base, base + "?chat_id=", base + "?other=1", base + "?xchat_id=1"):
            self.refused(post(url), 400, "BAD_REQUEST", "chat_id")
        a = post(base + "?disable_notification=1&chat_id=-100")
        self.assertEqual(a.status, 201, a)
        id = a.json["webhook"]["id"]
        # after merging: only the URL, only the platform, both
        patch = lambda id, **m: self.cs.patch("/account/webhooks/" + id, m)
        self.refused(patch(id, url=base), 400, "BAD_REQUEST", "chat_id")
        self.assertEqual(patch(id, url=base + "?chat_id=7").json["url"], base + "?chat_id=7")
        self.assertEqual(patch(id, url="https://example.com/", platform="custom").status, 200)
        self.refused(patch(id, platform="telegram"), 400, "BAD_REQUEST", "chat_id")
        self.assertEqual(self.webhook(id)["platform"], "custom")
        self.assertEqual(patch(id, platform="Telegram", url=base + "?chat_id=8").json["platform"], "telegram")

    def test_list(self):
        """All of them, newest first, never a secret; more than the library's page holds."""
        cs = self.account("list")
        made = [self.created("https://example.com/%d" % i, client=cs) for i in range(260)]
        listed = cs.get("/account/webhooks").json
        self.assertEqual(list(listed), ["webhooks"])
        self.assertEqual([w["id"] for w in listed["webhooks"]], [w["id"] for w, s in reversed(made)])
        for w in listed["webhooks"]:
            self.shaped(w, WEBHOOK)
        raw = cs.get("/account/webhooks").body
        self.assertFalse(any(s.encode() in raw for w, s in made))
        empty = self.account("empty").get("/account/webhooks")
        self.assertEqual((empty.status, empty.json), (200, {"webhooks": []}))

    def test_patch(self):
        w, secret = self.created("https://example.com/1")
        path = "/account/webhooks/" + w["id"]
        a = self.cs.patch(path, {"label": " New ", "url": None, "platform": None, "is_active": None})
        self.assertEqual(a.status, 200)
        now = self.shaped(a.json, WEBHOOK)
        self.assertEqual(dict(now, label=w["label"], updated_at=w["updated_at"]), w)
        self.assertEqual(now["label"], "New")
        self.assertGreaterEqual(now["updated_at"], w["updated_at"])
        self.assertNotIn(secret, a.body.decode())
        self.assertEqual(self.cs.patch(path, {"url": "http://example.com/2"}).json["url"], "http://example.com/2")
        self.assertEqual(self.cs.patch(path, {"platform": "discord"}).json["platform"], "discord")
        self.assertIs(self.cs.patch(path, {"is_active": False}).json["is_active"], False)
        self.assertIs(self.cs.patch(path, {"is_active": True}).json["is_active"], True)
        self.assertEqual(self.webhook(w["id"])["label"], "New")
        for body in ({}, {"label": None}, {"label": None, "url": None, "platform": None, "is_active": None}, {"unknown": 1}):
            self.refused(self.cs.patch(path, body), 400, "BAD_REQUEST")
        self.refused(self.cs.patch(path, b""), 422, "VALIDATION_ERROR", ["body"])
        self.refused(self.cs.patch(path, b"[]"), 422, "VALIDATION_ERROR", ["body"])
        for name, v, status in (("label", "", 422), ("label", 1, 422), ("label", "x" * 121, 422), ("url", 1, 422), ("url", "ftp://x/", 400),
                                ("url", LONG_URL + "y", 400), ("url", "http://10.0.0.1/", 400), ("platform", "slack", 400),
                                ("platform", 1, 422), ("is_active", "yes", 422), ("is_active", 1, 422)):
            a = self.cs.patch(path, {name: v})
            if status == 422:
                self.refused(a, 422, "VALIDATION_ERROR", ["body", name])
            else:
                self.refused(a, 400, "BAD_REQUEST")
        self.assertEqual(self.webhook(w["id"])["url"], "http://example.com/2")

    def test_delete(self):
        w, _ = self.created()
        path = "/account/webhooks/" + w["id"]
        a = self.cs.delete(path)
        self.assertEqual((a.status, a.json), (200, {"ok": True}))
        self.assertIsNone(self.webhook(w["id"]))
        self.refused(self.cs.delete(path), 404, "ACCOUNT_WEBHOOK_NOT_FOUND")
        self.refused(self.cs.patch(path, {"label": "x"}), 404, "ACCOUNT_WEBHOOK_NOT_FOUND")
        self.refused(self.cs.post(path + "/rotate-secret"), 404, "ACCOUNT_WEBHOOK_NOT_FOUND")

    def test_rotate(self):
        w, secret = self.created()
        path = "/account/webhooks/%s/rotate-secret" % w["id"]
        for body in (None, b"", b"{}", b"whatever"):
            a = self.cs.post(path, body)
            self.assertEqual((a.status, sorted(a.json)), (200, ["secret", "webhook"]), a)
            now = self.shaped(a.json["webhook"], WEBHOOK)
            self.assertRegex(a.json["secret"], r"^whsec_[A-Za-z0-9+/]{43}=$")
            self.assertNotEqual(a.json["secret"], secret)
            self.assertEqual((now["id"], now["secret_last4"], now["platform"]), (w["id"], a.json["secret"][-4:], "custom"))
            secret = a.json["secret"]

    def test_both_prefixes(self):
        w, _ = self.created()
        self.assertEqual(self.cs.get("/account/webhooks").body, self.cs.get("/v1/account/webhooks").body)
        self.assertEqual(self.cs.get("/v1/account/webhooks/deliveries").status, 200)
        self.assertEqual(self.cs.patch("/v1/account/webhooks/" + w["id"], {"label": "v1"}).json["label"], "v1")
        self.assertEqual(self.cs.post("/v1/account/webhooks", {"label": "x", "url": "https://example.com/"}).status, 201)
        self.assertEqual(self.cs.post("/v1/account/webhooks/%s/rotate-secret" % w["id"]).status, 200)
        self.assertEqual(self.cs.delete("/v1/account/webhooks/" + w["id"]).status, 200)
        # what only begins like them is not theirs
        self.assertEqual(self.api.get("/v1/accounts").status, 200)
        self.assertEqual(self.cs.get("/accounts").headers["content-type"], "application/problem+json")

    def test_ids(self):
        for id in ("x", "1", "deliv_01HV", ANY + "0", ANY[:-1], "%00", "..%2f", ANY.replace("-", "")):
            for method, path in (("PATCH", "/account/webhooks/%s"), ("DELETE", "/account/webhooks/%s"),
                                 ("POST", "/account/webhooks/%s/rotate-secret")):
                self.refused(self.cs.request(method, path % id, {"label": "x"}), 422, "VALIDATION_ERROR", ["path", "webhook_id"])
        self.refused(self.cs.patch("/account/webhooks/" + ANY, {"label": "x"}), 404, "ACCOUNT_WEBHOOK_NOT_FOUND")
        self.refused(self.cs.delete("/account/webhooks/" + ANY), 404, "ACCOUNT_WEBHOOK_NOT_FOUND")

    def test_paths_and_methods(self):
        for path in ("/account", "/account/", "/account/nothing", "/account/webhooks//", "/v1/account/x/y", "/account/webhooks/%s/x" % ANY):
            self.refused(self.cs.get(path), 404, "NOT_FOUND")
        for path in ("/account/webhooks/", "/v1/account/webhooks/deliveries/", "/account/alerts/?limit=1", "/account/alerts/events/"):
            self.assertEqual(self.cs.get(path).status, 200)
        for method, path, allow in (("PUT", "/account/webhooks", "GET, HEAD, POST, OPTIONS"),
                                    ("DELETE", "/account/webhooks", "GET, HEAD, POST, OPTIONS"),
                                    ("GET", "/account/webhooks/" + ANY, "PATCH, DELETE, OPTIONS"),
                                    ("POST", "/account/webhooks/deliveries", "GET, HEAD, OPTIONS"),
                                    ("GET", "/account/webhooks/%s/rotate-secret" % ANY, "POST, OPTIONS")):
            a = self.refused(self.cs.request(method, path), 405, "METHOD_NOT_ALLOWED")
            self.assertEqual(sorted(a.headers["allow"].split(", ")), sorted(allow.split(", ")))
        a = self.cs.request("HEAD", "/account/webhooks")
        self.assertEqual((a.status, a.body), (200, b""))
        self.assertEqual(self.cs.request("OPTIONS", "/account/webhooks").status, 204)

    def test_idempotency_key_means_nothing_here(self):
        h = {"Idempotency-Key": "same"}
        body = {"label": "x", "url": "https://example.com/"}
        a, b = (self.cs.post("/account/webhooks", body, headers=h) for _ in range(2))
        self.assertEqual((a.status, b.status), (201, 201))
        self.assertNotEqual(a.json["webhook"]["id"], b.json["webhook"]["id"])

    # ---- who gets in ----

    def test_keys(self):
        nobody = harness.Client(self.server, None)
        get = lambda **h: nobody.get("/account/webhooks", headers={k.replace("_", "-"): v for k, v in h.items()})
        self.refused(get(), 401, "UNAUTHORIZED", "Missing Authorization header")
        self.refused(get(X_API_Key=self.cs.key), 401, "UNAUTHORIZED")                 # the wrong header is no header
        for bad in ("Bearer x", "Bearer", "Bearer ", "Basic eDp5", self.cs.key, "Bearer " + self.cs.key[:-1] + "!",
                    "Bearer sk_live_123", "Bearer " + self.cs.key + "x", "Bearer " + "x" * 4000):
            self.refused(get(Authorization=bad), 401, "AUTH_INVALID_API_KEY", "Invalid API key")
        self.assertEqual(get(Authorization="bearer " + self.cs.key, X_API_Key="other").status, 200)
        for dialect in ("hookline", "aboutyou", "stellarstack", "bitnob"):
            other = self.client(dialect=dialect)
            self.refused(other.get("/account/webhooks"), 401, "AUTH_INVALID_API_KEY")
        for path in ("/v1/webhooks", "/api/v1/webhooks/", "/bitnob/webhooks", "/stellarstack/webhooks", "/webhooks"):
            self.assertEqual(self.cs.get(path).status, 401, path)
        a = self.api.post("/v1/keys", {"dialect": "cs2cap", "scopes": ["read"]})
        self.assertEqual((a.status, a.json["dialect"]), (201, "cs2cap"))
        gone = harness.Client(self.server, a.json["key"])
        self.assertEqual(gone.get("/account/webhooks").status, 200)
        self.api.delete("/v1/keys/" + a.json["id"])
        self.refused(gone.get("/account/webhooks"), 401, "AUTH_API_KEY_REVOKED")
        soon = harness.time.strftime("%Y-%m-%dT%H:%M:%SZ", harness.time.gmtime(harness.time.time() + 2))
        a = self.api.post("/v1/keys", {"dialect": "cs2cap", "scopes": ["read"], "expires_at": soon})
        late = harness.Client(self.server, a.json["key"])
        until(lambda: late.get("/account/webhooks").status == 401, "the key to expire")
        self.refused(late.get("/account/webhooks"), 401, "AUTH_INVALID_API_KEY", "expired")

    def test_scopes(self):
        w, _ = self.created()
        path = "/account/webhooks/" + w["id"]
        reader, manager, boss, publisher = (self.client(s) for s in ("read", "manage", "admin", "publish"))
        for c in (reader, manager, boss):
            self.assertEqual(c.get("/account/webhooks").status, 200)
            self.assertEqual(c.get("/account/webhooks/deliveries").status, 200)
        for c in (reader, publisher):
            self.refused(c.post("/account/webhooks", {"label": "x", "url": "https://e.com/"}), 403, "FORBIDDEN")
            self.refused(c.patch(path, {"label": "x"}), 403, "FORBIDDEN")
            self.refused(c.post(path + "/rotate-secret"), 403, "FORBIDDEN")
            self.refused(c.delete(path), 403, "FORBIDDEN")
        self.refused(publisher.get("/account/webhooks"), 403, "FORBIDDEN")
        self.assertEqual(manager.patch(path, {"label": "m"}).status, 200)
        self.assertEqual(boss.delete(path).status, 200)

    def test_fences(self):
        """Neither another account nor another dialect sees it; the native API sees all."""
        w, _ = self.created()
        path = "/account/webhooks/" + w["id"]
        other = self.account("neighbour")
        self.assertEqual(other.get("/account/webhooks").json, {"webhooks": []})
        native = self.api.webhook(self.url("ok"), event_types=["alert.triggered"])
        for c, id in ((other, w["id"]), (self.cs, native["id"])):
            self.refused(c.patch("/account/webhooks/" + id, {"label": "x"}), 404, "ACCOUNT_WEBHOOK_NOT_FOUND")
            self.refused(c.post("/account/webhooks/%s/rotate-secret" % id), 404, "ACCOUNT_WEBHOOK_NOT_FOUND")
            self.refused(c.delete("/account/webhooks/" + id), 404, "ACCOUNT_WEBHOOK_NOT_FOUND")
        self.assertNotIn(native["id"], self.cs.get("/account/webhooks").body.decode())
        seen = self.api.get("/v1/webhooks/" + w["id"]).json
        self.assertEqual((seen["dialect"], seen["name"], seen["event_types"]), ("cs2cap", w["label"], ["alert.triggered"]))
        self.assertEqual(self.cs.get("/account/webhooks", headers={"Hookline-Account": "neighbour"}).status, 403)
        # disabled by the operator, enabled again by a new URL
        self.api.delete("/v1/webhooks/" + native["id"])
        self.assertEqual(self.cs.patch(path, {"is_active": False}).status, 200)
        self.assertEqual(self.api.get("/v1/webhooks/" + w["id"]).json["state"], "paused")

    def test_disabled_account(self):
        cs = self.account("shut")
        self.assertEqual(self.api.patch("/v1/accounts/shut", {"disabled": True}).status, 200)
        self.refused(cs.get("/account/webhooks"), 403, "FORBIDDEN", "Account is disabled")

    def test_a_url_never_reaches_the_log(self):
        w, secret = self.created("https://example.com/hush-hush-%d" % 4711)
        self.refused(self.cs.post("/account/webhooks", {"label": "x", "url": "ftp://hush-hush/"}), 400, "BAD_REQUEST")
        self.assertNotIn("hush-hush", self.server.log())
        self.assertNotIn(secret, self.server.log())


class Tiers(cs2cap.Case):
    settings = {"limits.tiers": "quant: webhooks, batch; free: rpm=20; two: webhooks, max_webhooks=2; slow: webhooks, rpm=3"}

    def test_only_tiers_with_webhooks(self):
        cs = self.account("free", tier="free")
        for method, path in (("GET", "/account/webhooks"), ("POST", "/account/webhooks"), ("GET", "/account/webhooks/deliveries"),
                             ("GET", "/account/webhooks/deliveries/" + ANY), ("PATCH", "/account/webhooks/" + ANY),
                             ("DELETE", "/account/webhooks/" + ANY), ("POST", "/account/webhooks/%s/rotate-secret" % ANY)):
            body = {"label": "x", "url": "https://example.com/"} if method in ("POST", "PATCH") else None
            self.refused(cs.request(method, path, body), 403, "ACCOUNT_WEBHOOKS_NOT_AVAILABLE", "not available for this tier")
        # moved to a better tier, nothing else changes
        self.api.patch("/v1/accounts/free", {"tier": "quant"})
        self.created(client=cs)

    def test_too_many(self):
        cs = self.account("two", tier="two")
        first, _ = self.created(client=cs)
        self.created(client=cs)
        body = {"label": "x", "url": "https://example.com/"}
        self.refused(cs.post("/account/webhooks", body), 409, "ACCOUNT_WEBHOOK_LIMIT_REACHED")
        self.assertEqual(cs.delete("/account/webhooks/" + first["id"]).status, 200)
        self.assertEqual(cs.post("/account/webhooks", body).status, 201)

    def test_rate_limit(self):
        cs = self.account("slow", tier="slow")
        other = self.client(account="slow")
        for left, path in ((2, "/account/webhooks"), (1, "/v1/account/webhooks/deliveries"), (0, "/account/webhooks/" + ANY)):
            a = cs.request("GET" if left else "DELETE", path)
            self.assertEqual((a.headers["x-ratelimit-limit"], a.headers["x-ratelimit-remaining"], a.headers["x-ratelimit-tier"]),
                             ("3", str(left), "slow"), a)
        a = self.refused(cs.get("/account/webhooks"), 429, "RATE_LIMIT_EXCEEDED")
        wait = int(a.headers["retry-after"])
        self.assertTrue(1 <= wait <= 60)
        self.assertEqual((a.headers["x-ratelimit-reset"], a.headers["x-ratelimit-limit"], a.headers["x-ratelimit-remaining"],
                          a.headers["x-ratelimit-tier"]), (str(wait), "3", "0", "slow"))
        self.assertEqual(other.get("/account/webhooks").status, 200)       # per key
        self.assertEqual(self.client(account="slow", dialect="bitnob").get("/bitnob/webhooks").status, 200)


if __name__ == "__main__":
    harness.main()
