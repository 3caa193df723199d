#!/usr/bin/env python3
"""Dialect stellarstack: synchronous retry and test, and every wrong request in the dialect's own shape."""
import concurrent.futures
import json
import socket
import threading
import time

import harness
from stellarstack import EVENTS, MOUNTS, NOBODY, TIME, UUID, Case


class Retry(Case):
    settings = {"delivery.timeout_dialects": "3s", "delivery.connect_timeout": "1s"}

    def test_success(self):
        url = self.url("status/500")
        w = self.hook(url)
        d = self.sent(w)
        self.receiver.script[url[len(self.receiver.url):]] = "ok"
        for mount in MOUNTS:
            a = self.want(self.stella.post("%s/%s/deliveries/%s/retry" % (mount, w["id"], d["id"])), 200).json
            self.assertRegex(a["deliveryId"], UUID)
            self.assertNotEqual(a["deliveryId"], d["id"])
            self.assertEqual(a, {"success": True, "deliveryId": a["deliveryId"], "statusCode": 204})
            new = self.delivery(w, a["deliveryId"])
            self.assertEqual((new["attempts"], new["statusCode"], new["response"], new["event"], new["payload"]),
                             (1, 204, "", d["event"], d["payload"]))
            self.assertRegex(new["deliveredAt"], TIME)
            native = self.native.delivery(a["deliveryId"])
            self.assertEqual((native["retry_of"], native["single_shot"]), (d["id"], True))
            self.assertEqual(native["attempts"][0]["trigger"], "manual")
        self.assertEqual(self.delivery(w, d["id"]), d)      # the old one is left alone
        self.assertEqual(self.history(w)["total"], 4)
        bodies = {r["body"] for r in self.receiver.of(url[len(self.receiver.url):])}
        self.assertEqual(len(bodies), 1)                    # the same message, an embed like the first
        self.assertIn(b'{"embeds":', bodies.pop())

    def test_whatever_became_of_the_old_one(self):
        w = self.hook(self.url("ok"))
        d = self.sent(w)
        self.stella.patch("/webhooks/" + w["id"], {"enabled": False})
        a = self.want(self.retry(w, d["id"]), 200).json     # delivered already, and the webhook is off
        self.assertTrue(a["success"])
        self.assertTrue(self.retry(w, a["deliveryId"]).json["success"])     # a retry of a retry

    def test_http_error(self):
        w = self.hook(self.url("status/500"))
        d = self.sent(w)
        a = self.want(self.retry(w, d["id"]), 200).json
        self.assertEqual(a, {"success": False, "deliveryId": a["deliveryId"], "statusCode": 500, "error": "HTTP 500"})
        self.assertNotEqual(a["deliveryId"], d["id"])
        new = self.delivery(w, a["deliveryId"])
        self.assertEqual((new["attempts"], new["statusCode"], new["response"], new["deliveredAt"]),
                         (1, 500, "status 500\n", None))
        native = self.native.delivery(a["deliveryId"])
        self.assertEqual((native["status"], native["next_attempt_at"]), ("failed", None))       # single shot

    def test_transport_errors(self):
        s, dead = self.dead_port()
        self.addCleanup(s.close)
        for url in (dead, self.url("close"), self.url("reset"), self.url("garbage"), self.url("hang")):
            w = self.hook(self.url("ok"), ["file.created"])
            self.native.publish("file.created", {})
            d = self.settled(w)[0]
            self.stella.patch("/webhooks/" + w["id"], {"url": url})
            a = self.want(self.retry(w, d["id"]), 500).json
            self.assertEqual(set(a), {"success", "deliveryId", "error"})
            self.assertIs(a["success"], False)
            self.assertTrue(a["error"])
            new = self.delivery(w, a["deliveryId"])
            self.assertEqual((new["attempts"], new["statusCode"], new["response"], new["deliveredAt"]),
                             (1, None, a["error"], None))
            self.assertEqual(self.native.delivery(a["deliveryId"])["status"], "failed")
            self.stella.delete("/webhooks/" + w["id"])

    def test_nothing_waits_for_a_slow_receiver(self):
        slow, quick = self.hook(self.url("ok")), self.hook(self.url("ok"), ["file.created"])
        d = self.sent(slow)
        self.stella.patch("/webhooks/" + slow["id"], {"url": self.url("slow/1000")})
        with concurrent.futures.ThreadPoolExecutor(20) as pool:
            began = time.monotonic()
            waiting = [pool.submit(self.retry, slow, d["id"]) for _ in range(20)]
            answered = 0
            while not any(f.done() for f in waiting):
                self.assertEqual(self.stella.get("/webhooks/" + quick["id"]).status, 200)
                self.native.publish("file.created", {})
                answered += 1
            self.assertGreater(time.monotonic() - began, 0.9)
            got = [f.result().json for f in waiting]
        self.assertGreater(answered, 20)
        self.assertTrue(all(a["success"] for a in got), got)
        self.assertEqual(len({a["deliveryId"] for a in got}), 20)
        self.settled(quick, 50)
        self.assertEqual(self.history(quick)["total"], answered)

    def test_at_most_64_at_once(self):
        w = self.hook(self.url("ok"))
        d = self.sent(w)
        url = self.url("hang")
        self.stella.patch("/webhooks/" + w["id"], {"url": url})
        path = "/webhooks/%s/deliveries/%s/retry" % (w["id"], d["id"])
        with concurrent.futures.ThreadPoolExecutor(65) as pool:
            # tests and retries share the room
            waiting = [pool.submit(self.stella.post, path if i % 2 else "/webhooks/%s/test" % w["id"]) for i in range(64)]
            self.got(url, 64)
            for a in (self.stella.post(path), self.stella.post("/webhooks/%s/test" % w["id"])):
                self.want(a, 503)
                self.assertEqual(set(a.json), {"error"})
                self.assertRegex(a.headers["retry-after"], r"^\d+$")
            self.want(self.stella.get("/webhooks/" + w["id"]), 200)
            got = [f.result() for f in waiting]
        self.assertEqual(sorted(a.status for a in got), [200] * 32 + [500] * 32)
        self.assertEqual(self.history(w)["total"], 33)      # what was refused left nothing
        self.stella.patch("/webhooks/" + w["id"], {"url": self.url("ok")})
        self.want(self.stella.post(path), 200)

    def test_the_client_goes_away(self):
        w = self.hook(self.url("ok"))
        d = self.sent(w)
        url = self.url("slow/300")
        self.stella.patch("/webhooks/" + w["id"], {"url": url})
        for _ in range(5):
            with socket.create_connection(("127.0.0.1", self.server.port)) as s:
                s.sendall(("POST /webhooks/%s/deliveries/%s/retry HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n"
                           "Content-Length: 0\r\n\r\n" % (w["id"], d["id"], self.stella.key)).encode())
                n = len(self.receiver.of(url[len(self.receiver.url):]))
                self.got(url, n + 1)
            with socket.create_connection(("127.0.0.1", self.server.port)) as s:
                s.sendall(("POST /webhooks/%s/test HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n"
                           "Content-Length: 0\r\n\r\n" % (w["id"], self.stella.key)).encode())
                self.got(url, n + 2)
        v = self.settled(w, 6)
        self.assertTrue(all(x["deliveredAt"] for x in v), v)
        self.assertEqual(self.history(w)["total"], 6)

    def test_the_webhook_is_deleted_meanwhile(self):
        w = self.hook(self.url("ok"))
        d = self.sent(w)
        url = self.url("slow/300")
        self.stella.patch("/webhooks/" + w["id"], {"url": url})
        answer = []
        t = threading.Thread(target=lambda: answer.append(self.retry(w, d["id"])))
        t.start()
        self.got(url)
        self.want(self.stella.delete("/webhooks/" + w["id"]), 200)
        t.join()
        self.want(answer[0], 404, {"error": "Webhook not found"})      # and so is the new delivery: nothing to tell of


class Tests(Case):
    settings = {"delivery.timeout_dialects": "1500ms"}

    def test_message(self):
        url = self.url("ok")
        w = self.hook(url, serverId=self.game())
        for mount in MOUNTS:
            self.want(self.stella.post("%s/%s/test" % (mount, w["id"])), 200, {"success": True, "statusCode": 204})
        for body in ({}, {"anything": 1}):
            self.want(self.stella.post("/webhooks/%s/test" % w["id"], body), 200, {"success": True, "statusCode": 204})
        records = self.got(url, 5)
        self.assertEqual(harness.message_complaints([("discord", json.loads(records[0]["body"]))]), [])
        for r in records:
            embed = json.loads(r["body"])["embeds"][0]
            self.assertRegex(embed.pop("timestamp"), TIME)
            self.assertEqual(embed, {"title": "\U0001f514 Test", "description": "Webhook connected", "color": 39423,
                                     "footer": {"text": "Hookline"}})
            self.assertFalse([n for n in r["headers"] if "signature" in n or n.startswith("webhook-")])

    def test_leaves_nothing(self):
        w = self.hook(self.url("ok"))
        self.stella.post("/webhooks/%s/test" % w["id"])
        self.assertEqual(self.history(w)["total"], 0)
        self.assertEqual(self.stella.get("/webhooks").json[0]["_count"], {"deliveries": 0})
        self.assertEqual(self.native.get("/v1/events").json["data"], [])

    def test_bad_receivers(self):
        s, dead = self.dead_port()
        self.addCleanup(s.close)
        for url, status in ((self.url("status/500"), 500), (self.url("status/401"), 401), (self.url("redirect"), 302),
                            (self.url("gone"), 410), (dead, None), (self.url("close"), None), (self.url("hang"), None),
                            (self.url("garbage"), None)):
            w = self.hook(url)
            a = self.want(self.stella.post("/webhooks/%s/test" % w["id"]), 200).json
            if status:
                self.assertEqual(a, {"success": False, "statusCode": status, "error": "HTTP %d" % status})
            else:
                self.assertEqual(set(a), {"success", "error"})
                self.assertIs(a["success"], False)
                self.assertTrue(a["error"])
            self.assertTrue(self.stella.get("/webhooks/" + w["id"]).json["enabled"], url)     # a test changes nothing

    def test_past_a_pause(self):
        w = self.hook(self.url("ok"))
        self.stella.patch("/webhooks/" + w["id"], {"enabled": False})
        self.want(self.stella.post("/webhooks/%s/test" % w["id"]), 200, {"success": True, "statusCode": 204})


class BadInput(Case):
    settings = {"limits.tiers": "quant: webhooks, batch; slow: webhooks, rpm=3; few: webhooks, max_webhooks=2; none: rpm=0"}

    def issues(self, answer, *paths):
        self.want(answer, 400)
        body = answer.json
        self.assertEqual((set(body), body["error"]), ({"error", "details"}, "Validation failed"))
        for entry in body["details"]:
            self.assertTrue({"code", "path", "message"} <= set(entry), entry)
            self.assertTrue(entry["code"] and entry["message"], entry)
        self.assertEqual([e["path"] for e in body["details"]], [list(p) for p in paths], answer)
        return body["details"]

    def test_validation(self):
        url, events = self.url("ok"), ["server.started"]
        w = self.hook(url)
        create = lambda body: self.stella.post("/webhooks", body)  # noqa: E731
        patch = lambda body: self.stella.patch("/webhooks/" + w["id"], body)  # noqa: E731
        # what is missing is missing only at creation
        self.assertEqual(self.issues(create({}), ["url"], ["events"]), [
            {"code": "invalid_type", "path": ["url"], "message": "Required"},
            {"code": "invalid_type", "path": ["events"], "message": "Required"}])
        self.issues(create({"url": url}), ["events"])
        self.issues(create({"events": events}), ["url"])
        for send in (create, patch):
            for wrong in (None, 5, True, [], {}):
                got = self.issues(send({"url": wrong, "events": events}), ["url"])
                self.assertEqual(got[0]["code"], "invalid_type")
            self.assertEqual(self.issues(send({"url": 5, "events": events}), ["url"])[0]["message"],
                             "Expected string, received number")
            for wrong in ("", "not a url", "example.com/x", "/relative", "http://", "ftp://example.com/", "javascript:alert(1)",
                          "http://user:pw@example.com/", "http://exa mple.com/", "http://127.1/", "http://10.0.0.1/",
                          "http://localhost/", "http://example.com:22/", "http://example.com/" + "x" * 2030):
                self.issues(send({"url": wrong, "events": events}), ["url"])
            got = self.issues(send({"url": "not a url", "events": events}), ["url"])
            self.assertEqual(got, [{"code": "invalid_string", "path": ["url"], "message": "Invalid url"}])
            for wrong in (None, "server.started", 5, {}):
                self.issues(send({"url": url, "events": wrong}), ["events"])
            got = self.issues(send({"url": url, "events": []}), ["events"])
            self.assertEqual(got[0]["code"], "too_small")
            self.issues(send({"url": url, "events": ["server.started", 5, None, "x"]}), ["events", 1], ["events", 2])
            self.issues(send({"url": 5, "events": []}), ["url"], ["events"])
            for body in (b"[]", b'"text"', b"5", b"null", b"true"):
                self.issues(send(body), [])
        self.issues(create({"url": url, "events": events, "serverId": 5}), ["serverId"])
        self.issues(create({"url": url, "events": events, "serverId": None}), ["serverId"])
        for wrong in (None, "true", 1):
            self.issues(patch({"enabled": wrong}), ["enabled"])
        self.assertEqual(self.stella.get("/webhooks").json, [dict(w, _count={"deliveries": 0})])

    def test_edges(self):
        base = self.receiver.url + "/ok/"
        self.want(self.stella.post("/webhooks", {"url": base + "x" * (2048 - len(base)), "events": ["file.created"]}), 201)
        a = self.stella.post("/webhooks", {"url": base + "x" * (2049 - len(base)), "events": ["file.created"]})
        self.issues(a, ["url"])
        many = ["file.created"] * 256
        self.want(self.stella.post("/webhooks", {"url": base, "events": many}), 201)
        self.issues(self.stella.post("/webhooks", {"url": base, "events": many + ["file.created"]}), ["events"])

    def test_invalid_events(self):
        w = self.hook(self.url("ok"))
        for wrong in (["nope"], ["server.started", "server.exploded", "Server.Started"], [""], ["server_started"],
                      ["SERVER.STARTED"], ["alert.triggered"], ["transaction.confirmed"], ["x" * 300, "\u00e9"]):
            bad = [e for e in wrong if e not in EVENTS]
            for a in (self.stella.post("/webhooks", {"url": self.url("ok"), "events": wrong}),
                      self.stella.patch("/webhooks/" + w["id"], {"events": wrong})):
                self.want(a, 400, {"error": "Invalid events", "invalidEvents": bad})

    def test_servers_of_others(self):
        other = self.game(native=self.tenant(self.account + "-other")[1])
        gone = self.game()
        self.assertEqual(self.native.delete("/v1/servers/" + gone).status, 204)
        for id in (other, gone, NOBODY, "nonsense", ""):
            a = self.stella.post("/webhooks", {"url": self.url("ok"), "events": ["file.created"], "serverId": id})
            self.want(a, 404, {"error": "Server not found or not owned by you"})
        game = self.game()
        w = self.hook(self.url("ok"), serverId=game)
        self.native.delete("/v1/servers/" + game)
        shown = self.want(self.stella.get("/webhooks/" + w["id"]), 200).json
        self.assertIsNone(shown["server"])

    def test_malformed_json(self):
        w = self.hook(self.url("ok"))
        for body in (b"{", b"{'a':1}", b'{"url":"\xff"}', b'{"url":"x"}}', b'{"url":"\\ud800","events":["file.created"]}'):
            for method, path in (("POST", "/webhooks"), ("PATCH", "/webhooks/" + w["id"])):
                a = self.want(self.stella.request(method, path, body), 400)
                self.assertIsInstance(a.json["error"], str)

        self.want(self.stella.post("/webhooks"), 400)
        self.assertEqual(self.want(self.stella.request("PATCH", "/webhooks/" + w["id"]), 200).json, w)

    def test_any_content_type(self):
        body = json.dumps({"url": self.url("ok"), "events": ["file.created"]}).encode()
        for type in (None, "text/plain", "application/json; charset=latin-1", "application/x-www-form-urlencoded"):
            self.want(self.stella.post("/webhooks", body, content_type=type), 201)

    def test_ids(self):
        w = self.hook(self.url("ok"))
        d = self.sent(w)
        other = self.tenant(self.account + "-other")[0]
        native = self.native.webhook(self.url("ok"), event_types=["x"])["id"]
        no_webhook, no_delivery = {"error": "Webhook not found"}, {"error": "Delivery not found"}
        routes = [("GET", ""), ("PATCH", ""), ("DELETE", ""), ("GET", "/deliveries"), ("POST", "/test"),
                  ("GET", "/deliveries/" + d["id"]), ("POST", "/deliveries/%s/retry" % d["id"])]
        for mount in MOUNTS:
            for client, id in ((self.stella, NOBODY), (self.stella, "nonsense"), (self.stella, "17"), (self.stella, "%20"),
                               (self.stella, d["id"]), (self.stella, native), (self.stella, w["id"].upper() + "0"),
                               (other, w["id"])):
                for method, rest in routes:
                    body = {"enabled": False} if method == "PATCH" else None
                    self.want(client.request(method, "%s/%s%s" % (mount, id, rest), body), 404, no_webhook)
            for id in (NOBODY, "nonsense", "17", w["id"]):
                for method, rest in (("GET", ""), ("POST", "/retry")):
                    a = self.stella.request(method, "%s/%s/deliveries/%s%s" % (mount, w["id"], id, rest))
                    self.want(a, 404, no_delivery)
        self.assertTrue(self.stella.get("/webhooks/" + w["id"]).json["enabled"])
        # wrong values are told before a wrong id, unknown events after it
        self.issues(self.stella.patch("/webhooks/" + NOBODY, {"events": []}), ["events"])
        self.want(self.stella.patch("/webhooks/" + NOBODY, {"events": ["nope"]}), 404, no_webhook)

    def test_paths_and_methods(self):
        w = self.hook(self.url("ok"))
        for mount in MOUNTS:
            self.assertEqual(self.stella.get(mount + "/").body, self.stella.get(mount).body)
            self.want(self.stella.get("%s/%s/" % (mount, w["id"])), 200)
            for path in ("/%s/nothing" % w["id"], "/%s/rotate-secret" % w["id"], "/events/" + NOBODY + "/retry/x", "//"):
                a = self.want(self.stella.get(mount + path), 404)
                self.assertIsInstance(a.json["error"], str)
            for method, path, allow in (("PUT", "", "GET"), ("PUT", "/" + w["id"], "PATCH"), ("POST", "/events", "GET"),
                                        ("GET", "/%s/test" % w["id"], "POST")):
                a = self.want(self.stella.request(method, mount + path), 405)
                self.assertIn(allow, a.headers["allow"])
                self.assertIsInstance(a.json["error"], str)

    def test_keys(self):
        bad = {"error": "Unauthorized"}
        nobody = self.server.client(key="")
        key = self.stella.key
        foreign = self.client("hookline", self.account).key, self.client("bitnob", self.account).key
        revoked = self.native.post("/v1/keys", {"account": self.account, "dialect": "stellarstack", "scopes": ["read", "manage"]})
        self.assertEqual(revoked.status, 201, revoked)
        mine = {"Authorization": "Bearer " + revoked.json["key"]}
        self.want(nobody.get("/webhooks", headers=mine), 200)
        self.assertEqual(self.native.delete("/v1/keys/" + revoked.json["id"]).status, 204)
        wrong = [{"Authorization": "Bearer " + k} for k in foreign + (key[:-1], key + "x", "nonsense", "")]
        wrong += [{"Authorization": key}, {"Authorization": "Basic " + key}, {"Authorization": "bearer"}, mine]
        for mount in MOUNTS[:2]:
            for h in wrong + [{}, {"X-API-Key": key}]:
                for method, path in (("GET", ""), ("POST", ""), ("GET", "/" + NOBODY), ("GET", "/events")):
                    self.want(nobody.request(method, mount + path, headers=h), 401, bad)
        # on the shared root a Bearer key that is nobody's answers in this dialect
        for h in wrong[2:6] + [mine, {"Authorization": "Bearer " + foreign[0]}]:
            self.want(nobody.get("/webhooks", headers=h), 401, bad)
        self.assertEqual(nobody.get("/webhooks", headers={"X-API-Key": key}).status, 401)
        self.assertEqual(nobody.get("/webhooks").status, 401)
        for path in ("/v1/webhooks", "/api/v1/webhooks", "/bitnob/webhooks", "/account/webhooks"):
            self.assertEqual(self.stella.get(path).status, 401, path)

    def test_scopes(self):
        reader, writer = self.client("stellarstack", self.account, "read"), self.client("stellarstack", self.account, "manage")
        w = self.hook(self.url("ok"))
        self.want(reader.get("/webhooks"), 200)
        for a in (reader.post("/webhooks", {"url": self.url("ok"), "events": ["file.created"]}),
                  reader.delete("/webhooks/" + w["id"]), reader.post("/webhooks/%s/test" % w["id"])):
            self.want(a, 403)
            self.assertEqual(set(a.json), {"error"})
        self.want(writer.patch("/webhooks/" + w["id"], {"enabled": False}), 200)

    def test_disabled_account(self):
        self.want(self.api.patch("/v1/accounts/" + self.account, {"disabled": True}), 200)
        a = self.want(self.stella.get("/webhooks"), 403)
        self.assertEqual(set(a.json), {"error"})

    def test_tiers(self):
        self.want(self.api.patch("/v1/accounts/" + self.account, {"tier": "few"}), 200)
        for _ in range(2):
            self.hook(self.url("ok"))
        body = {"url": self.url("ok"), "events": ["file.created"]}
        self.assertEqual(set(self.want(self.stella.post("/webhooks", body), 409).json), {"error"})
        self.want(self.api.patch("/v1/accounts/" + self.account, {"tier": "none"}), 200)
        self.assertEqual(set(self.want(self.stella.post("/webhooks", body), 403).json), {"error"})

    def test_rate_limit(self):
        self.want(self.api.patch("/v1/accounts/" + self.account, {"tier": "slow"}), 200)
        for mount in MOUNTS:
            self.want(self.stella.get(mount), 200)
        for mount in MOUNTS:
            a = self.want(self.stella.get(mount + "/events"), 429)
            self.assertEqual(set(a.json), {"error"})
            self.assertRegex(a.headers["retry-after"], r"^[1-9]\d?$")
        other = self.client("stellarstack", self.account)
        self.want(other.get("/webhooks"), 200)

    def test_too_large(self):
        a = self.want(self.stella.post("/webhooks", b'{"url":"' + b"x" * (1 << 20) + b'"}'), 413)
        self.assertEqual(set(a.json), {"error"})


if __name__ == "__main__":
    harness.main()
