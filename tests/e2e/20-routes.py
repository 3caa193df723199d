#!/usr/bin/env python3
"""Every route of the native API: members, defaults, answers; lists and cursors; methods; idempotency keys."""
import re
import threading

import harness

UUID = r"^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$"
TIME = r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$"
NOBODY = "0199d2c4-0000-7000-8000-000000000000"


class Webhooks(harness.Case):
    def test_object_and_defaults(self):
        url = self.url("ok")
        w = self.api.webhook(url)
        secret = w.pop("secret")
        self.assertTrue(secret.startswith("whsec_"))
        self.assertRegex(w["id"], UUID)
        self.assertRegex(w["created_at"], TIME)
        self.assertEqual(w["created_at"], w["updated_at"])
        for k in ("id", "number", "created_at", "updated_at", "secret_last4"):
            w.pop(k)
        self.assertEqual(w, {
            "dialect": "hookline", "name": "127.0.0.1", "description": "", "url": url, "format": "standard", "event_types": [],
            "server": None, "enabled": True, "state": "enabled", "reason": None, "headers": {}, "timeout": None,
            "rate_limit": None, "max_in_flight": None, "retry": None, "window": None, "metadata": {},
            "previous_secret_until": None, "last_attempt_at": None, "last_success_at": None, "last_failure_at": None,
            "last_failure_message": None})

    def test_every_member_written_read_and_reset(self):
        server = self.api.post("/v1/servers", {"name": "s"}).json["id"]
        members = {"name": "n\u00e4me \U0001f600", "description": "d" * 1000, "format": "discord", "event_types": ["a.b", "c"],
                   "server": server, "headers": {"X-One": "1", "x-two": "t w o"}, "timeout": 12.345, "rate_limit": 7,
                   "max_in_flight": 3, "retry": [1, 60, 172800], "window": 604800,
                   "metadata": {"any": [1.0, {"deep": None}]}}
        w = self.api.webhook(self.url("ok"), **members)
        path = "/v1/webhooks/" + w["id"]
        for answer in (w, self.api.get(path).json):
            self.assertEqual({k: answer[k] for k in members}, members)
        self.assertEqual(self.expect(self.api.patch(path, {}), 200).json["updated_at"], w["updated_at"])
        nulls = dict.fromkeys(("name", "description", "event_types", "server", "headers", "timeout", "rate_limit",
                               "max_in_flight", "retry", "window", "metadata"))
        got = self.expect(self.api.patch(path, nulls), 200).json
        self.assertEqual({k: got[k] for k in nulls}, {
            "name": "127.0.0.1", "description": "", "event_types": [], "server": None, "headers": {}, "timeout": None,
            "rate_limit": None, "max_in_flight": None, "retry": None, "window": None, "metadata": {}})
        self.assertEqual(got["format"], "discord")
        for retry in ("exponential", "hourly"):
            self.assertEqual(self.api.patch(path, {"retry": retry}).json["retry"], retry)
        self.assertNotIn("secret", self.api.get(path).json)

    def test_metadata_keeps_its_bytes(self):
        text = b'{"n":12345678901234567890, "f":1.0}'
        a = self.expect(self.api.post("/v1/webhooks", b'{"url":"%s","metadata":%s}' % (self.url("ok").encode(), text)), 201)
        self.assertIn(text, a.body)
        self.assertIn(text, self.api.get("/v1/webhooks/" + a.json["id"]).body)

    def test_change_applies_to_the_next_attempt(self):
        first, second = self.url("status/500"), self.url("ok")
        w = self.api.webhook(first, event_types=["moved"], retry=[1])
        self.api.publish("moved")
        self.got(first)
        self.api.patch("/v1/webhooks/" + w["id"], {"url": second})
        self.got(second)
        d = self.api.wait_deliveries("succeeded", webhook=w["id"])[0]
        self.assertGreater(d["webhook_revision"], 1)

    def test_list_and_filters(self):
        api = self.fresh_account("webhooks-list")
        ids = [api.webhook(self.url("ok"), enabled=i % 2 == 0)["id"] for i in range(5)]
        self.assertEqual([w["id"] for w in api.get("/v1/webhooks").json["data"]], ids[::-1])
        self.assertEqual([w["id"] for w in api.get("/v1/webhooks?state=paused").json["data"]], [ids[3], ids[1]])
        self.assertEqual(api.get("/v1/webhooks?dialect=bitnob").json, {"data": [], "next_cursor": None, "prev_cursor": None})
        self.assertEqual(len(api.get("/v1/webhooks?dialect=hookline&state=enabled").json["data"]), 3)

    def fresh_account(self, id):
        self.expect(self.api.post("/v1/accounts", {"id": id}), 201)
        return self.server.client(account=id, scope="publish,manage,read")


class Events(harness.Case):
    fresh_account = Webhooks.fresh_account

    def test_publish_and_look(self):
        a = self.expect(self.api.post("/v1/events", {"type": "e.one", "data": [1], "id": "mine-1",
                                                     "occurred_at": "2026-01-02T03:04:05Z"}), 202)
        self.assertEqual(list(a.json), ["id", "deliveries", "replayed"])
        self.assertRegex(a.json["id"], UUID)
        e = self.expect(self.api.get("/v1/events/" + a.json["id"]), 200).json
        self.assertEqual((e["type"], e["external_id"], e["occurred_at"], e["data"], e["deliveries"], e["server"]),
                         ("e.one", "mine-1", "2026-01-02T03:04:05.000Z", [1], 0, None))
        self.assertEqual(e["summary"], {"pending": 0, "succeeded": 0, "failed": 0, "cancelled": 0})
        row = self.api.get("/v1/events?type=e.one").json["data"][0]
        self.assertEqual(row, {k: e[k] for k in row})
        self.assertNotIn("data", row)

    def test_the_largest_body(self):
        shell = b'{"type":"large","data":""}'
        for size, status in ((1 << 20, 202), ((1 << 20) + 1, 413)):
            body = shell.replace(b'""', b'"' + b"x" * (size - len(shell)) + b'"')
            self.assertEqual(len(body), size)
            self.expect(self.api.post("/v1/events", body), status)
        e = self.api.get("/v1/events?type=large").json["data"]
        self.assertEqual(len(self.api.get("/v1/events/" + e[0]["id"]).json["data"]), (1 << 20) - len(shell))

    def test_own_id_is_idempotent(self):
        url = self.url("ok")
        self.api.webhook(url, event_types=["once"])
        first = self.expect(self.api.post("/v1/events", {"type": "once", "data": {"n": 1}, "id": "order-17"}), 202)
        again = self.expect(self.api.post("/v1/events", {"data": {"n": 1}, "id": "order-17", "type": "once"}), 202)
        self.assertEqual((first.json["replayed"], again.json["replayed"]), (False, True))
        self.assertEqual((first.json["id"], first.json["deliveries"]), (again.json["id"], again.json["deliveries"]))
        for other in ({"type": "once", "data": {"n": 2}}, {"type": "twice", "data": {"n": 1}}):
            a = self.expect(self.api.post("/v1/events", dict(other, id="order-17")), 409, "idempotency_mismatch", "/id")
            self.assertNotIn("header", a.json)
        other = self.fresh_account("own-id").publish("once", {"n": 5}, id="order-17")
        self.assertEqual((other["replayed"], other["deliveries"]), (False, 0))
        self.server.restart()
        again = self.api.publish("once", {"n": 1}, id="order-17")
        self.assertEqual((again["id"], again["replayed"]), (first.json["id"], True))
        self.got(url)
        self.assertEqual(len(self.api.deliveries(type="once")), 1)

    def test_idempotency_key(self):
        url = self.url("ok")
        self.api.webhook(url, event_types=["keyed"])
        body, headers = b'{"type":"keyed","data":{"n":1}}', {"Idempotency-Key": "k-1"}
        first = self.expect(self.api.post("/v1/events", body, headers=headers), 202)
        again = self.expect(self.api.post("/v1/events", body, headers=headers), 202)
        self.assertEqual(first.body, again.body)
        self.assertNotIn("idempotent-replayed", first.headers)
        self.assertEqual(again.headers["idempotent-replayed"], "true")
        a = self.expect(self.api.post("/v1/events", b'{"type":"keyed","data":{"n":2}}', headers=headers), 409,
                        "idempotency_mismatch")
        self.assertEqual((a.json["header"], "Idempotency-Key" in a.json["detail"], "errors" in a.json), ("Idempotency-Key", True, False))
        both = b'{"type":"keyed","data":{"n":3},"id":"both"}'
        self.expect(self.api.post("/v1/events", both), 202)
        self.expect(self.api.post("/v1/events", both.replace(b"3", b"4"), headers={"Idempotency-Key": "both"}), 409,
                    "idempotency_mismatch", "/id")
        bad = {"Idempotency-Key": "k-2"}
        self.expect(self.api.post("/v1/events", b'{"type":"keyed"}', headers=bad), 422)
        self.expect(self.api.post("/v1/events", body, headers=bad), 202)     # only 2xx are kept
        for wrong in ("", "x" * 256, "a\u00e9b"):
            a = self.api.post("/v1/events", body, headers={"Idempotency-Key": wrong})
            self.assertEqual((a.status, a.json["code"]), (400, "bad_parameter"), (wrong, a))
        self.server.kill()
        self.server.start()
        self.assertEqual(self.api.post("/v1/events", body, headers=headers).body, first.body)
        self.assertEqual(len(self.api.deliveries(type="keyed")), 3)

    def test_idempotency_key_everywhere(self):
        """Every POST that creates; an answer with a secret too."""
        w = self.api.webhook(self.url("ok"), event_types=["none"])
        for n, (path, body) in enumerate((("/v1/webhooks", {"url": self.url("ok"), "event_types": ["none"]}), ("/v1/servers", {"name": "x"}),
                                          ("/v1/accounts", {"name": "x"}), ("/v1/keys", {"scopes": ["read"]}),
                                          ("/v1/webhooks/%s/rotate-secret" % w["id"], {}))):
            headers = {"Idempotency-Key": "every-%d" % n}
            first, again = (self.api.post(path, body, headers=headers) for _ in range(2))
            self.assertIn(first.status, (200, 201), first)
            self.assertEqual((again.status, again.body), (first.status, first.body))
            self.assertEqual(again.headers.get("idempotent-replayed"), "true", path)
            self.expect(self.api.post("/v1/events", {"type": "x", "data": 1}, headers=headers), 202)

    def test_same_key_at_once(self):
        answers = []
        body, headers = {"type": "race", "data": 1}, {"Idempotency-Key": "race"}
        threads = [threading.Thread(target=lambda: answers.append(self.api.post("/v1/events", body, headers=headers)))
                   for _ in range(16)]
        [t.start() for t in threads]
        [t.join() for t in threads]
        good = [a for a in answers if a.status == 202]
        self.assertEqual(len({a.body for a in good}), 1)
        for a in answers:
            if a.status != 202:
                self.expect(a, 409, "idempotency_in_progress")
        self.assertEqual(len(self.api.get("/v1/events?type=race").json["data"]), 1)

    # ---- lists ----

    def walk(self, api, path, way="next"):
        """Every page in one direction; Link says the same as the body."""
        rows, pages, url = [], [], path
        while url:
            a = self.expect(api.get(url), 200)
            pages.append(a.json)
            rows += a.json["data"]
            links = dict((rel, u) for u, rel in re.findall(r'<([^>]*)>; rel="(\w+)"', a.headers.get("link", "")))
            self.assertEqual(set(links), {w for w in ("next", "prev") if a.json[w + "_cursor"]})
            url = links.get(way)
            if url:
                self.assertIn(a.json[way + "_cursor"], url)
            self.assertLess(len(pages), 100)
        return rows, pages

    def test_cursors_hold_their_place(self):
        api = self.fresh_account("cursors")
        ids = [api.publish("c.%d" % (i % 2), i)["id"] for i in range(25)]
        first = api.get("/v1/events?limit=10").json
        self.assertEqual([e["id"] for e in first["data"]], ids[::-1][:10])
        self.assertIsNone(first["prev_cursor"])
        new = [api.publish("c.0", i)["id"] for i in range(5)]
        second = api.get("/v1/events?limit=10&cursor=" + first["next_cursor"]).json
        self.assertEqual([e["id"] for e in second["data"]], ids[::-1][10:20])
        third = api.get("/v1/events?limit=10&cursor=" + second["next_cursor"]).json
        self.assertEqual([e["id"] for e in third["data"]], ids[::-1][20:])
        self.assertIsNone(third["next_cursor"])
        back = api.get("/v1/events?limit=10&cursor=" + third["prev_cursor"]).json
        self.assertEqual([e["id"] for e in back["data"]], ids[::-1][10:20])
        newest = api.get("/v1/events?limit=250&cursor=" + back["prev_cursor"]).json
        self.assertEqual([e["id"] for e in newest["data"]], (ids + new)[::-1][:15])
        self.assertIsNone(newest["prev_cursor"])
        rows, pages = self.walk(api, "/v1/events?limit=3&type=c.0")
        self.assertEqual([r["id"] for r in rows], (ids[::2] + new)[::-1])

    def test_deliveries_filters_and_pages(self):
        api = self.fresh_account("delivery-list")
        hooks = [api.webhook(self.url("ok" if i else "status/400"), event_types=["d.a", "d.b"]) for i in range(3)]
        events = [api.publish("d.a" if i % 2 else "d.b", i) for i in range(20)]
        api.wait_deliveries("succeeded", 40)
        api.wait_deliveries("failed", 20)
        for query, n in (("", 60), ("webhook=" + hooks[0]["id"], 20), ("event=" + events[3]["id"], 3), ("type=d.a", 30),
                         ("status=failed", 20), ("status=failed&type=d.b", 10), ("status=succeeded&webhook=" + hooks[0]["id"], 0),
                         ("status=pending", 0), ("until=2020-01-01T00:00:00Z", 0), ("since=2020-01-01T00:00:00Z", 60),
                         ("type=d.a&webhook=%s&event=%s" % (hooks[1]["id"], events[1]["id"]), 1), ("webhook=" + NOBODY, 0)):
            for limit in (7, 250):
                rows, pages = self.walk(api, "/v1/deliveries?limit=%d&%s" % (limit, query))
                self.assertEqual(len(rows), n, query)
                self.assertEqual(len({r["id"] for r in rows}), n)
                self.assertTrue(all(len(p["data"]) <= limit for p in pages))
        rows, pages = self.walk(api, "/v1/deliveries?limit=13")
        middle = rows[30]["created_at"]
        after, before = (self.walk(api, "/v1/deliveries?%s=%s" % (k, middle))[0] for k in ("since", "until"))
        self.assertEqual(len(after) + len(before), 60)
        self.assertTrue(all(r["created_at"] >= middle for r in after) and all(r["created_at"] < middle for r in before))
        back, pages = self.walk(api, "/v1/deliveries?limit=13&cursor=" + pages[-1]["prev_cursor"], "prev")
        self.assertEqual(len(back), 60 - 60 % 13)
        self.assertEqual(self.server.client(account="default", scope="read").deliveries(event=events[0]["id"]), [])

    # ---- small resources ----

    def test_event_types(self):
        put = {"title": "Wallet", "description": "d", "category": "wallet", "dialects": {"bitnob": "wallet"}}
        self.expect(self.api.put("/v1/event-types/zz.wallet", put), 201)
        self.assertEqual(self.expect(self.api.put("/v1/event-types/zz.wallet", dict(put, title="W")), 200).json["title"], "W")
        got = self.expect(self.api.get("/v1/event-types/zz.wallet"), 200).json
        self.assertEqual((got["name"], got["title"], got["dialects"]), ("zz.wallet", "W", {"bitnob": "wallet"}))
        replaced = self.expect(self.api.put("/v1/event-types/zz.wallet", {}), 200).json
        self.assertEqual((replaced["title"], replaced["dialects"]), ("", {}))
        names = [t["name"] for t in self.expect(self.api.get("/v1/event-types"), 200).json["data"]]
        self.assertEqual(names, sorted(names))
        self.assertIn("zz.wallet", names)
        self.assertEqual(self.expect(self.api.delete("/v1/event-types/zz.wallet"), 204).body, b"")
        self.expect(self.api.get("/v1/event-types/zz.wallet"), 404, "not_found")
        self.expect(self.api.delete("/v1/event-types/zz.wallet"), 404)

    def test_servers(self):
        s = self.expect(self.api.post("/v1/servers", {"name": "eu", "status": "online"}), 201).json
        self.assertEqual((s["account"], s["name"], s["status"]), ("default", "eu", "online"))
        path = "/v1/servers/" + s["id"]
        self.assertEqual(self.expect(self.api.patch(path, {"status": None}), 200).json["status"], None)
        self.assertEqual(self.expect(self.api.get(path), 200).json["name"], "eu")
        self.assertIn(s["id"], [x["id"] for x in self.api.get("/v1/servers").json["data"]])
        event = self.api.publish("about.server", server=s["id"])
        self.assertEqual(self.api.get("/v1/events/" + event["id"]).json["server"], s["id"])
        self.expect(self.api.delete(path), 204)
        self.expect(self.api.get(path), 404)
        self.expect(self.api.post("/v1/events", {"type": "x", "data": 1, "server": s["id"]}), 422, "invalid", "/server")

    def test_methods(self):
        """HEAD, OPTIONS, 405 with Allow, 404 with and without route."""
        w = self.api.webhook(self.url("ok"), event_types=["none"])
        path = "/v1/webhooks/" + w["id"]
        get, head = self.api.get(path), self.api.request("HEAD", path)
        self.assertEqual((head.status, head.body, head.headers["content-length"]), (200, b"", get.headers["content-length"]))
        a = self.api.request("OPTIONS", path)
        self.assertEqual((a.status, set(a.headers["allow"].split(", "))), (204, {"GET", "HEAD", "PATCH", "DELETE", "OPTIONS"}))
        for method, where in (("PUT", path), ("DELETE", "/v1/events"), ("GET", "/v1/events/batch"), ("PATCH", "/livez"),
                              ("POST", "/metrics"), ("GET", path + "/test")):
            a = self.expect(self.api.request(method, where), 405, "method_not_allowed")
            self.assertNotIn(method, a.headers["allow"].split(", "))
        for where in ("/", "/v1", "/v2/events", "/v1/webhooks/", "/v1/webhooks//x", "/v1/nothing", path + "/nothing", "/v1/events/x/y/z"):
            self.expect(self.api.get(where), 404, "no_route")
        for where in ("/v1/webhooks/", "/v1/events/", "/v1/deliveries/", "/v1/servers/", "/v1/accounts/", "/v1/keys/"):
            for id in (NOBODY, "x", "0", w["id"][:-1]):
                self.expect(self.api.get(where + id), 404, "not_found")

    def test_ids_of_another_kind_find_nothing(self):
        w, e = self.api.webhook(self.url("ok"), event_types=["none"]), self.api.publish("kinds")
        self.expect(self.api.get("/v1/events/" + w["id"]), 404)
        self.expect(self.api.get("/v1/webhooks/" + e["id"]), 404)
        self.expect(self.api.get("/v1/deliveries/" + e["id"]), 404)


if __name__ == "__main__":
    harness.main()
