#!/usr/bin/env python3
"""The API of dialect bitnob against the real program: every route, its objects, cursors and idempotency keys, the deliveries its
receivers get over TLS, and everything a client can do wrong, answered in this API's own shape."""
import base64
import datetime
import hashlib
import hmac
import json
import os
import re
import shutil
import tempfile
import threading
import unittest

import harness
from harness import Client, Receiver, until

ANY = "0199d2c4-0000-7000-8000-000000000000"
UUID = r"^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$"
TIME = r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$"
TYPES = {"wallet": ["wallet.created", "address.created", "transaction.created", "transaction.pending", "transaction.confirmed",
                    "transaction.completed", "transaction.failed"],
         "security": ["api_key.created", "api_key.revoked", "webhook.secret_rotated", "policy.updated", "approval.required"],
         "compliance": ["screening.flagged", "screening.cleared", "transaction.held"]}
WEBHOOK = ["id", "object", "name", "url", "status", "event_types", "has_signing_secret", "signing_secret_last4", "created_at", "updated_at"]
TRIGGERED = WEBHOOK[:8] + ["last_triggered_at"] + WEBHOOK[8:]
EVENT = ["object", "id", "webhook_id", "event_type", "type", "status", "delivery_status", "attempts", "delivery_attempts", "max_attempts",
         "http_status_code", "error_message", "payload", "created_at", "updated_at"]
SCHEDULED, DELIVERED, ENDED = (EVENT[:13] + x + EVENT[13:] for x in (["next_attempt_at"], ["delivered_at"], []))
BASES = ("/bitnob/webhooks", "/webhooks")


class Bitnob(Client):
    """Presents its key as this API documents it. root: where it is mounted."""

    def __init__(self, server, key, root="/bitnob/webhooks"):
        Client.__init__(self, server, None)
        self.key, self.root = key, root
        self.headers = {"X-API-Key": key} if key else {}

    def request(self, method, path, body=None, headers=None, content_type="application/json"):
        return Client.request(self, method, path if path.startswith("//") else self.root + path, body, headers, content_type)

    def other_mount(self):
        return Bitnob(self.server, self.key, BASES[1 - BASES.index(self.root)])


class Base(harness.Case):
    n = 0
    settings = {"delivery.timeout": "3s", "egress.allow_hosts": "localhost",
                "limits.tiers": "quant: webhooks, batch; slow: webhooks, rpm=3; none: batch; two: webhooks, max_webhooks=2"}

    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.mkdtemp(prefix="hl-tls-")
        cls.addClassCleanup(shutil.rmtree, cls.folder)
        certs = harness.make_certs(cls.folder)
        cls.settings = dict(cls.settings, **{"tls.ca_file": certs["ca"]})
        super().setUpClass()
        cls.tls = Receiver(tls=certs["good"]).start()
        cls.addClassCleanup(cls.tls.stop)

    def account(self, **members):
        """A native client and one of this API, of a new account."""
        Base.n += 1
        id = "b%d" % Base.n
        self.expect(self.api.post("/v1/accounts", dict({"id": id}, **members)), 201)
        native, own = self.server.client(account=id, scope="publish,manage,read"), self.bitnob(id)
        native.account = own.account = id
        return native, own

    def key(self, account, *more, scope="manage,read", dialect="bitnob"):
        return self.server.make_key(scope, account, "--dialect", dialect, *more)

    def bitnob(self, account, **kw):
        return Bitnob(self.server, self.key(account, **kw))

    def target(self, behaviour="ok"):
        Base.n += 1
        return "https://localhost:%d/%s/t%d" % (self.tls.port, behaviour, Base.n)

    def sent(self, url, n=1):
        """The first n requests to that URL."""
        path = "/" + url.split("/", 3)[3]
        self.tls.wait_for(lambda records: sum(r["target"] == path for r in records) >= n, harness.PATIENCE)
        return self.tls.of(path)

    def create(self, client, url=None, **members):
        a = client.post("", dict({"name": "hook", "url": url or self.target()}, **members))
        self.assertEqual(a.status, 201, a)
        return a.json

    def ok(self, answer, status=200):
        self.assertEqual(answer.status, status, answer)
        if status != 204:
            self.assertEqual(answer.headers["content-type"], "application/json")
        return answer.json if status != 204 else None

    def refused(self, answer, status, code=None):
        """The one error shape."""
        self.assertEqual(answer.status, status, answer)
        self.assertEqual(answer.headers["content-type"], "application/json", answer)
        e = answer.json
        self.assertEqual((set(e), e["object"], set(e["error"])), ({"object", "error", "message"}, "error", {"code", "message"}), answer)
        self.assertEqual(e["error"]["message"], e["message"])
        self.assertTrue(e["message"])
        if code:
            self.assertEqual(e["error"]["code"], code, answer)
        return answer

    def events(self, client, n, status=None, **query):
        """Until the list of deliveries has exactly n with that status (None: any)."""
        text = "&".join("%s=%s" % kv for kv in dict(query, limit=100, **({"status": status} if status else {})).items())
        rows = []

        def exactly():
            rows[:] = self.ok(client.get("/events?" + text))["data"]
            return len(rows) == n
        until(exactly, "%d %s deliveries" % (n, status))
        return rows


class Webhooks(Base):
    def test_life_of_a_webhook(self):
        """Create, get, list, update, rotate, delete on either mount: each object member by member."""
        api, b = self.account()
        for client in (b, b.other_mount()):
            url = self.target()
            made = self.ok(client.post("", {"name": "Orders", "url": url, "event_types": ["transaction.confirmed", "wallet.created"]}), 201)
            self.assertEqual(list(made), WEBHOOK + ["signing_secret"])
            self.assertRegex(made["id"], UUID)
            self.assertRegex(made["created_at"], TIME)
            self.assertRegex(made["signing_secret"], r"^whsec_[A-Za-z0-9+/]{43}=$")
            self.assertEqual((made["object"], made["name"], made["url"], made["status"], made["event_types"], made["has_signing_secret"]),
                             ("webhook", "Orders", url, "active", ["transaction.confirmed", "wallet.created"], True))
            self.assertEqual(made["updated_at"], made["created_at"])
            self.assertEqual(made["signing_secret_last4"], made["signing_secret"][-4:])
            path = "/" + made["id"]
            got = self.ok(client.get(path))
            self.assertEqual(got, {k: v for k, v in made.items() if k != "signing_secret"})
            self.assertEqual(list(got), WEBHOOK)
            self.assertEqual(self.ok(client.get(""))["data"][0], got)
            self.assertEqual(self.ok(client.other_mount().get(path)), got)

            patched = self.ok(client.patch(path, {"name": "Renamed"}))
            self.assertEqual(list(patched), WEBHOOK)
            self.assertEqual((patched["name"], patched["url"], patched["event_types"], patched["created_at"]),
                             ("Renamed", url, made["event_types"], made["created_at"]))
            self.assertGreater(patched["updated_at"], made["updated_at"])
            other = self.target()
            patched = self.ok(client.patch(path, {"url": other, "event_types": ["screening.flagged"]}))
            self.assertEqual((patched["name"], patched["url"], patched["event_types"]), ("Renamed", other, ["screening.flagged"]))
            self.assertEqual(self.ok(client.patch(path, {"event_types": []}))["event_types"], [])
            before = self.ok(client.get(path))
            for nothing in ({}, {"unknown": 1}, {"name": None, "url": None, "event_types": None}, {"status": "inactive"}):
                self.assertEqual(self.ok(client.patch(path, nothing)), before, nothing)
            self.assertEqual(self.ok(client.request("PATCH", path)), before)

            rotated = self.ok(client.post(path + "/rotate-secret"))
            self.assertEqual(list(rotated), ["object", "signing_secret"])
            self.assertEqual(rotated["object"], "signing_secret")
            self.assertRegex(rotated["signing_secret"], r"^whsec_[A-Za-z0-9+/]{43}=$")
            self.assertNotEqual(rotated["signing_secret"], made["signing_secret"])
            after = self.ok(client.get(path))
            self.assertGreater(after["updated_at"], before["updated_at"])
            self.assertEqual(after["signing_secret_last4"], rotated["signing_secret"][-4:])
            self.assertNotIn(rotated["signing_secret"], client.get(path).body.decode())
            self.assertEqual(self.ok(client.post(path + "/rotate-secret", {"anything": 1}))["object"], "signing_secret")

            gone = client.delete(path)
            self.assertEqual((gone.status, gone.body), (204, b""))
            for a in (client.get(path), client.patch(path, {"name": "x"}), client.delete(path), client.post(path + "/rotate-secret"),
                      client.patch(path, {})):
                self.refused(a, 404, "not_found")
            self.assertEqual(self.ok(client.get(""))["data"], [])

    def test_every_event_unless_asked(self):
        """event_types left out, null and []: every event; the answer is a list in each case."""
        api, b = self.account()
        urls = {}
        for i, more in enumerate(({}, {"event_types": None}, {"event_types": []}, {"event_types": ["wallet.created"]})):
            urls[i] = self.target()
            self.assertEqual(self.create(b, urls[i], **more)["event_types"], more.get("event_types") or [])
        api.publish("transaction.confirmed", {"n": 1})
        api.publish("wallet.created", {"n": 2})
        api.publish("not.in.catalogue", {"n": 3})
        self.events(b, 7, "delivered")
        for i in range(3):
            self.assertEqual({r["headers"]["x-bitnob-event"] for r in self.sent(urls[i], 2)}, {"transaction.confirmed", "wallet.created"})
        self.assertEqual([json.loads(r["body"])["data"] for r in self.sent(urls[3])], [{"n": 2}])

    def test_last_triggered_and_updated(self):
        """last_triggered_at comes with the first attempt, a failed one too; deliveries leave updated_at alone."""
        api, b = self.account()
        for behaviour in ("ok", "status/500"):
            url = self.target(behaviour)
            w = self.create(b, url)
            self.assertNotIn("last_triggered_at", self.ok(b.get("/" + w["id"])))
            api.publish("wallet.created")
            got = until(lambda: [x for x in [self.ok(b.get("/" + w["id"]))] if "last_triggered_at" in x])[0]
            self.assertEqual(list(got), TRIGGERED)
            self.assertRegex(got["last_triggered_at"], TIME)
            self.assertGreaterEqual(got["last_triggered_at"], w["created_at"])
            self.assertEqual(got["updated_at"], w["updated_at"])
            self.assertEqual(b.delete("/" + w["id"]).status, 204)

    def test_status_inactive(self):
        """Whatever keeps it from delivering shows as inactive: a receiver that is gone, an operator's pause."""
        api, b = self.account()
        w = self.create(b, self.target("gone"))
        api.publish("wallet.created")
        until(lambda: self.ok(b.get("/" + w["id"]))["status"] == "inactive", "a webhook whose receiver said 410")
        moved = self.ok(b.patch("/" + w["id"], {"url": self.target()}))
        self.assertEqual(moved["status"], "active")
        self.assertEqual(api.patch("/v1/webhooks/" + w["id"], {"enabled": False}).status, 200)
        self.assertEqual(self.ok(b.get("/" + w["id"]))["status"], "inactive")
        self.assertEqual(self.ok(b.get(""))["data"][0]["status"], "inactive")

    def test_bad_members(self):
        api, b = self.account()
        good = {"name": "n", "url": self.target()}
        w = self.create(b)
        long_url = "https://localhost/" + "x" * 2048
        wrong = [("name", v) for v in (5, True, [], {}, "", "   ", "x" * 121, "line\nbreak", "a\u0000b")] + \
                [("url", v) for v in (5, [], "", "x", "localhost", "http://localhost:%d/ok" % self.tls.port, "HTTP://localhost/", "ftp://x.example/",
                                      "https://", "https:///x", "https://user:pw@localhost/", "https://localhost/#f", "//localhost/x",
                                      "https://10.0.0.1/", "https://169.254.169.254/", "https://[::1]/", "https://localhost:22/",
                                      long_url[:2049])] + \
                [("event_types", v) for v in (5, "wallet.created", {}, [5], [None], ["nothing.known"], ["wallet.created", "x"], [""],
                                              ["wallet created"], ["x" * 129], ["wallet.created"] * 257)]
        for name, value in wrong:
            self.refused(b.post("", dict(good, **{name: value})), 400)
            self.refused(b.patch("/" + w["id"], {name: value}), 400)
        for missing in ("name", "url"):
            body = {k: v for k, v in good.items() if k != missing}
            self.assertIn(missing, self.refused(b.post("", body), 400).json["message"])
            self.assertIn(missing, self.refused(b.post("", dict(body, **{missing: None})), 400).json["message"])
        for body in (b"", b"{", b"[]", b"5", b'"x"', b"null", b"not json", b'{"name":"n","url":"\xff"}', b'{"name":"n","name":"m"}', b"{}",
                     b'{"name":"\\ud800","url":"https://localhost/"}', b"[" * 5000):
            self.refused(b.post("", body), 400)
        for body in (b"{", b"[]", b"5", b"null", b'{"name":"\xff"}'):
            self.refused(b.patch("/" + w["id"], body), 400)
        self.refused(b.post("", b'{"name":"%s"}' % (b"x" * (1 << 20))), 413)
        # at the edges
        for edge in ({"name": "x" * 120}, {"name": "\u00e9" * 120}, {"url": long_url[:2048]}, {"url": "https://no-such-host.invalid/"},
                     {"event_types": sum(TYPES.values(), [])}, {"event_types": ["wallet.created"] * 2}, {"more": {"members": [1]}}):
            self.ok(b.post("", dict(good, **edge)), 201)
        # whatever Content-Type says, or none
        for kind in ("text/plain", None, "application/x-www-form-urlencoded", "application/json; charset=latin1"):
            self.ok(b.post("", good, content_type=kind), 201)
        self.assertEqual(self.ok(b.get("/" + w["id"])), {k: v for k, v in w.items() if k != "signing_secret"})
        self.assertEqual(self.ok(b.get("/" + w["id"], headers={"X-API-VERSION": "v1"}))["id"], w["id"])

    def test_unknown_and_foreign_ids(self):
        api, b = self.account()
        other_api, other = self.account()
        w, native = self.create(other), api.webhook(self.url("ok"), event_types=["none"])
        for id in (ANY, "x", "0", "%20", w["id"], w["id"][:-1], w["id"].upper(), native["id"], "event-type", "5"):
            for a in (b.get("/" + id), b.patch("/" + id, {"name": "x"}), b.delete("/" + id), b.post("/" + id + "/rotate-secret"),
                      b.patch("/" + id, {})):
                self.refused(a, 404, "not_found")
        self.ok(other.get("/" + w["id"]))
        self.assertEqual(self.ok(b.get(""))["data"], [])

    def test_paths_and_methods(self):
        api, b = self.account()
        w = self.create(b)
        for client in (b, b.other_mount()):
            for path in ("/" + w["id"] + "/nothing", "/" + w["id"] + "/rotate-secret/x", "/events/x/y/z", "/event-types/x"):
                self.refused(client.get(path), 404)
            for method, path, allow in (("PUT", "", {"GET", "HEAD", "POST", "OPTIONS"}), ("DELETE", "", {"GET", "HEAD", "POST", "OPTIONS"}),
                                        ("POST", "/" + w["id"], {"GET", "HEAD", "PATCH", "DELETE", "OPTIONS"}),
                                        ("GET", "/" + w["id"] + "/rotate-secret", {"POST", "OPTIONS"}),
                                        ("POST", "/event-types", {"GET", "HEAD", "OPTIONS"}), ("POST", "/events", {"GET", "HEAD", "OPTIONS"}),
                                        ("DELETE", "/events/" + ANY, {"GET", "HEAD", "OPTIONS"}),
                                        ("GET", "/events/" + ANY + "/retry", {"POST", "OPTIONS"})):
                a = self.refused(client.request(method, path), 405)
                self.assertEqual(set(a.headers["allow"].split(", ")), allow, (method, path))
            head = client.request("HEAD", "/" + w["id"])
            self.assertEqual((head.status, head.body, int(head.headers["content-length"])), (200, b"", len(client.get("/" + w["id"]).body)))
        self.refused(b.request("GET", "/x/y/z"), 404)

    def test_tier(self):
        self.refused(self.account(tier="none")[1].post("", {"name": "n", "url": self.target()}), 403)
        api, b = self.account(tier="two")
        first = self.create(b)
        self.create(b)
        self.refused(b.post("", {"name": "n", "url": self.target()}), 403, "limit_reached")
        b.delete("/" + first["id"])
        self.create(b)


class Idempotency(Base):
    def body(self, **more):
        return json.dumps(dict({"name": "once", "url": self.target()}, **more)).encode()

    def test_replay_is_byte_equal(self):
        """Also after a restart, with the secret, and after the webhook has gone."""
        api, b = self.account()
        body, key = self.body(), {"Idempotency-Key": "create 1 ~!"}
        first = b.post("", body, headers=key)
        self.assertEqual(first.status, 201)
        self.assertNotIn("idempotent-replayed", first.headers)
        self.assertIn("signing_secret", first.json)
        for client in (b, b.other_mount(), Bitnob(self.server, self.key(b.account))):
            again = client.post("", body, headers=key)
            self.assertEqual((again.status, again.body, again.headers["idempotent-replayed"]), (201, first.body, "true"))
        self.assertEqual(len(self.ok(b.get(""))["data"]), 1)
        for other in (body + b" ", body.replace(b"once", b"more"), self.body()):
            self.refused(b.post("", other, headers=key), 409, "idempotency_mismatch")
        self.server.restart()
        self.assertEqual(b.post("", body, headers=key).body, first.body)
        self.assertEqual(b.delete("/" + first.json["id"]).status, 204)
        self.assertEqual(b.post("", body, headers=key).body, first.body)
        self.assertEqual(self.ok(b.get(""))["data"], [])

    def test_forms_of_a_key(self):
        api, b = self.account()
        for good in ("a", " ", "x" * 255, "~", "!" + "\x7e" * 10):
            if good.strip():
                self.ok(b.post("", self.body(), headers={"Idempotency-Key": good}), 201)
        n = len(self.ok(b.get(""))["data"])
        for bad in ("", "x" * 256, "tab\there", "caf\u00e9"):
            self.refused(b.post("", self.body(), headers={"Idempotency-Key": bad}), 400)
        self.assertEqual(len(self.ok(b.get(""))["data"]), n)

    def test_only_good_answers_are_kept(self):
        api, b = self.account()
        key = {"Idempotency-Key": "k"}
        self.refused(b.post("", b'{"name":"x"}', headers=key), 400)
        self.ok(b.post("", self.body(), headers=key), 201)
        other_api, other = self.account()
        body = self.body()
        theirs = self.ok(other.post("", body, headers=key), 201)["id"]   # the same key of another account is another key
        self.assertNotIn(theirs, [w["id"] for w in self.ok(b.get(""))["data"]])
        # without the header each request makes one
        self.assertNotEqual(self.ok(b.post("", body), 201)["id"], self.ok(b.post("", body), 201)["id"])

    def test_at_once(self):
        """Whoever comes second gets the first one's answer."""
        api, b = self.account()
        body, key, answers = self.body(), {"Idempotency-Key": "race"}, []
        clients = [Bitnob(self.server, b.key, BASES[i % 2]) for i in range(12)]
        threads = [threading.Thread(target=lambda c=c: answers.append(c.post("", body, headers=key))) for c in clients]
        [t.start() for t in threads]
        [t.join() for t in threads]
        self.assertEqual({a.status for a in answers}, {201})
        self.assertEqual(len({a.body for a in answers}), 1)
        self.assertEqual(sum("idempotent-replayed" not in a.headers for a in answers), 1)
        self.assertEqual(len(self.ok(b.get(""))["data"]), 1)


class Pages(Base):
    def page(self, client, path, **query):
        text = "&".join("%s=%s" % kv for kv in query.items())
        p = self.ok(client.get(path + ("?" + text if text else "")))
        self.assertEqual(list(p), ["object", "data", "has_more", "next_cursor", "prev_cursor"])
        self.assertEqual(p["object"], "list")
        return p

    def walk(self, client, path, add, **query):
        """Forward over more than three pages and back again; add() makes one more at the newest end between the pages.
        The rows that were there at the beginning come in their order, each once, both ways."""
        first = self.page(client, path, limit=100, **query)
        ids = [x["id"] for x in first["data"]]
        self.assertEqual((first["has_more"], first["next_cursor"], first["prev_cursor"]), (False, None, None))
        self.assertGreater(len(ids), 12)
        pages, cursor = [], {}
        while True:
            p = self.page(client, path, limit=4, **dict(query, **cursor))
            pages.append(p)
            self.assertEqual(p["has_more"], p["next_cursor"] is not None)
            self.assertEqual(p["prev_cursor"] is None, len(pages) == 1)
            add()
            if not p["has_more"]:
                break
            cursor = {"starting_after": p["next_cursor"]}
        self.assertGreater(len(pages), 3)
        self.assertEqual([x["id"] for p in pages for x in p["data"]], ids)
        back, p = [pages[-1]], pages[-1]
        while p["prev_cursor"]:
            add()
            p = self.page(client, path, limit=4, ending_before=p["prev_cursor"], **query)
            self.assertEqual(p["has_more"], p["prev_cursor"] is not None)
            self.assertIsNotNone(p["next_cursor"])
            back.append(p)
        rows = [x["id"] for p in reversed(back) for x in p["data"]]
        self.assertEqual(rows[-len(ids):], ids)
        whole = [x["id"] for x in self.page(client, path, limit=100, **query)["data"]]
        self.assertEqual(rows, whole)
        self.assertGreater(len(whole), len(ids) + 3)
        return pages

    def refuses_cursors(self, client, path, p, other_path):
        for name in ("starting_after", "ending_before"):
            for bad in ("", "x", ANY, p["next_cursor"][:-1], p["next_cursor"] + "A", p["next_cursor"].swapcase(), "%00", "A" * 28,
                        "A" * 5000):
                self.refused(client.get("%s?%s=%s" % (path, name, bad)), 400)
            self.refused(client.get("%s?%s=%s" % (other_path, name, p["next_cursor"])), 400)
        self.refused(client.get("%s?starting_after=%s&ending_before=%s" % (path, p["next_cursor"], p["next_cursor"])), 400)

    def limits(self, client, path, most):
        for limit, n in (("1", 1), ("0", 1), ("-5", 1), (str(most), most), (str(most + 1), most), ("1000", most), ("99999999999999999999", most)):
            self.assertEqual(len(self.page(client, path, limit=limit)["data"]), n, limit)
        self.assertEqual(len(self.page(client, path)["data"]), 20)
        for bad in ("x", "", "1.5", "1e3", "0x10", "%20"):
            self.refused(client.get("%s?limit=%s" % (path, bad)), 400)
        self.assertEqual(len(self.page(client, path, limit=3, unknown="ignored")["data"]), 3)

    def test_webhooks(self):
        api, b = self.account()
        empty = self.page(b, "")
        self.assertEqual(empty, {"object": "list", "data": [], "has_more": False, "next_cursor": None, "prev_cursor": None})
        ids = [self.create(b)["id"] for i in range(17)]
        api.webhook(self.url("ok"), event_types=["none"])
        self.assertEqual([w["id"] for w in self.page(b, "", limit=100)["data"]], ids[::-1])
        pages = self.walk(b, "", lambda: self.create(b))
        self.refuses_cursors(b, "", pages[0], "/events")
        for p in pages:     # a row that goes does not move the others
            for row in p["data"][:1]:
                b.delete("/" + row["id"])
        left = [w["id"] for w in self.page(b, "", limit=100)["data"]]
        got = [w["id"] for w in self.page(b, "", limit=100, starting_after=pages[0]["next_cursor"])["data"]]
        self.assertEqual(got, left[-len(got):])
        foreign = self.account()[1]
        self.refused(foreign.get("?starting_after=" + pages[0]["next_cursor"]), 400)

    def test_events(self):
        api, b = self.account()
        urls = [self.target(), self.target("status/400")]
        hooks = [self.create(b, u) for u in urls]
        for i in range(17):
            api.publish("wallet.created", {"n": i})
        self.events(b, 17, "delivered")
        self.events(b, 17, "failed")
        api.webhook(self.url("ok"))   # natively made: its deliveries are not shown here
        # between the pages come deliveries that have not ended too, so the walk that holds states still looks at one state
        pages = self.walk(b, "/events", lambda: None if self.add_failed(api, b) else None, status="failed", webhook_id=hooks[1]["id"])
        self.walk(b, "/events", lambda: api.publish("wallet.created"), webhook_id=hooks[0]["id"])
        newest = self.page(b, "/events", limit=100)["data"]
        self.assertEqual(newest, sorted(newest, key=lambda e: e["created_at"], reverse=True))
        self.refuses_cursors(b, "/events", pages[0], "")
        for other in ("status=delivered", "status=failed&webhook_id=" + hooks[0]["id"], "webhook_id=" + hooks[1]["id"]):
            self.refused(b.get("/events?%s&starting_after=%s" % (other, pages[0]["next_cursor"])), 400)
        same = "/events?webhook_id=%s&status=failed&limit=2&starting_after=%s" % (hooks[1]["id"], pages[0]["next_cursor"])
        self.assertEqual(self.ok(b.get(same))["data"], pages[1]["data"][:2])
        self.refused(b.get(same + "&ending_before=" + pages[1]["prev_cursor"]), 400)

    def add_failed(self, api, b):
        n = len(self.ok(b.get("/events?status=failed&limit=100"))["data"])
        api.publish("transaction.confirmed")
        until(lambda: len(self.ok(b.get("/events?status=failed&limit=100"))["data"]) > n, "one more failed")

    def test_limits(self):
        api, b = self.account()
        self.create(b, event_types=["wallet.created"])
        lines = b'{"type":"wallet.created","data":{}}\n' * 120
        self.assertEqual(api.post("/v1/events/batch", lines, content_type="application/x-ndjson").status, 202)
        self.limits(b, "/events", 100)
        for i in range(101):
            self.create(b, event_types=["api_key.created"])
        self.limits(b, "", 100)

    def test_large_payloads_make_short_pages(self):
        """A page of large bodies is cut, and the cursors go on where it was."""
        api, b = self.account()
        self.create(b)
        for i in range(20):
            api.publish("wallet.created", {"n": i, "x": "x" * 900000})

        def numbers(name, member, cursor):
            got = []
            while cursor is not None:
                a = b.get("/events?limit=100" + ("&%s=%s" % (name, cursor) if cursor else ""))
                self.assertLess(len(a.body), 6 << 20)
                page = [e["payload"]["data"]["n"] for e in self.ok(a)["data"]]
                self.assertGreater(len(page), 1)
                self.assertEqual(page, sorted(page, reverse=True))
                got = got + page if name == "starting_after" else page + got
                self.assertEqual(a.json["has_more"], a.json[member] is not None)
                cursor = a.json[member]
            return got
        self.assertEqual(numbers("starting_after", "next_cursor", ""), list(range(19, -1, -1)))
        p, places = self.page(b, "/events", limit=1), []
        while p["has_more"]:
            places.append(p["next_cursor"])
            p = self.page(b, "/events", limit=1, starting_after=places[-1])
        self.assertEqual(numbers("ending_before", "prev_cursor", p["prev_cursor"]), list(range(19, 0, -1)))


class Events(Base):
    def test_event_types(self):
        api, b = self.account()
        listed = self.ok(b.get("/event-types"))
        self.assertEqual(list(listed)[:2], ["object", "data"])
        self.assertEqual(listed["object"], "list")
        by_type = {t["type"]: t for t in listed["data"]}
        self.assertEqual(len(by_type), len(listed["data"]))
        for t in listed["data"]:
            self.assertEqual(list(t), ["object", "type", "value", "category", "name", "label", "description"])
            self.assertEqual((t["object"], t["value"], t["label"]), ("event_type", t["type"], t["name"]))
            self.assertTrue(t["name"] and t["description"], t)
        self.assertEqual({t: by_type[t]["category"] for t in by_type}, {t: category for category, list in TYPES.items() for t in list})
        self.assertEqual(by_type["wallet.created"]["name"], "Wallet created")
        self.assertEqual(self.ok(b.get("/event-types?limit=1&anything=x")), listed)
        self.expect(self.api.put("/v1/event-types/only.native", {"title": "x", "category": "wallet"}), 201)
        self.expect(self.api.put("/v1/event-types/only.other", {"title": "x", "dialects": {"aboutyou": "x"}}), 201)
        self.assertEqual(self.ok(b.get("/event-types")), listed)
        for name in ("only.native", "only.other"):
            self.refused(b.post("", {"name": "n", "url": self.target(), "event_types": [name]}), 400)

    def test_delivered(self):
        api, b = self.account()
        url = self.target()
        w = self.create(b, url)
        data = {"amount": "1.50", "big": 12345678901234567890}
        e = api.publish("transaction.confirmed", data, occurred_at="2026-01-02T03:04:05.678Z")
        row = self.events(b, 1, "delivered")[0]
        self.assertEqual(list(row), DELIVERED)
        self.assertRegex(row["id"], UUID)
        self.assertEqual((row["object"], row["webhook_id"], row["event_type"], row["type"], row["status"], row["delivery_status"]),
                         ("webhook_event", w["id"], "transaction.confirmed", "transaction.confirmed", "delivered", "delivered"))
        self.assertEqual((row["attempts"], row["delivery_attempts"], row["max_attempts"], row["http_status_code"], row["error_message"]),
                         (1, 1, 49, 204, ""))
        for member in ("delivered_at", "created_at", "updated_at"):
            self.assertRegex(row[member], TIME)
        self.assertEqual(row["updated_at"], row["delivered_at"])
        record = self.sent(url)[0]
        self.assertEqual(json.loads(record["body"]), row["payload"])
        self.assertEqual(list(row["payload"]), ["id", "object", "type", "event", "created_at", "data"])
        self.assertEqual(row["payload"], {"id": e["id"], "object": "event", "type": "transaction.confirmed", "event": "transaction.confirmed",
                                          "created_at": "2026-01-02T03:04:05.678Z", "data": data})
        self.assertIn(b'"big": 12345678901234567890', record["body"])
        self.assertEqual(self.ok(b.get("/events/" + row["id"])), row)
        self.assertEqual(self.ok(b.other_mount().get("/events/" + row["id"])), row)

    def test_pending_and_failed(self):
        api, b = self.account()
        hooks = {s: self.create(b, self.target(s), event_types=["wallet.created"]) for s in ("status/500", "status/400", "ok", "hang")}
        api.publish("wallet.created")
        pending = {r["webhook_id"]: r for r in until(lambda: [r for r in [self.events(b, 2, "pending")] if all(x["attempts"] for x in r)])[0]}
        row = pending[hooks["status/500"]["id"]]
        self.assertEqual(list(row), SCHEDULED)
        self.assertEqual((row["status"], row["http_status_code"], row["attempts"]), ("pending", 500, 1))
        self.assertIn("500", row["error_message"])
        self.assertRegex(row["next_attempt_at"], TIME)
        self.assertGreaterEqual(row["updated_at"], row["created_at"])
        row = pending[hooks["hang"]["id"]]
        self.assertEqual(row["http_status_code"], 0)
        self.assertGreater(row["updated_at"], row["created_at"])
        self.assertIn("timed out", row["error_message"])
        row = self.events(b, 1, "failed")[0]
        self.assertEqual(list(row), ENDED)
        self.assertEqual((row["webhook_id"], row["http_status_code"]), (hooks["status/400"]["id"], 400))
        for status, n in (("pending", 2), ("failed", 1), ("delivered", 1)):
            self.events(b, n, status)
            for hook in hooks.values():
                for r in self.ok(b.get("/events?status=%s&webhook_id=%s" % (status, hook["id"])))["data"]:
                    self.assertEqual((r["status"], r["webhook_id"]), (status, hook["id"]))
        for hook in hooks.values():
            self.events(b, 1, webhook_id=hook["id"])
        for unknown in (ANY, "x", "5", api.webhook(self.url("ok"), event_types=["none"])["id"]):
            self.assertEqual(self.ok(b.get("/events?webhook_id=" + unknown))["data"], [])
        for bad in ("succeeded", "cancelled", "queued", "PENDING", "", "x", "pending,failed"):
            self.refused(b.get("/events?status=" + bad), 400)
        # held: nothing is scheduled
        id = hooks["status/500"]["id"]
        self.assertEqual(api.patch("/v1/webhooks/" + id, {"enabled": False}).status, 200)
        self.assertEqual(list(self.events(b, 1, webhook_id=id)[0]), ENDED)

    def test_retry(self):
        """The same delivery again, whatever became of it: queued, then delivered on the same id."""
        api, b = self.account()
        url = self.target("status/400")
        path = "/" + url.split("/", 3)[3]
        w = self.create(b, url)
        api.publish("wallet.created", {"n": 1})
        row = self.events(b, 1, "failed")[0]
        self.tls.script[path] = "ok"
        queued = self.ok(b.post("/events/%s/retry" % row["id"]))
        self.assertEqual(queued, {"object": "webhook_event", "id": row["id"], "status": "queued"})
        again = self.events(b, 1, "delivered")[0]
        self.assertEqual((again["id"], again["attempts"], again["error_message"], again["http_status_code"]), (row["id"], 2, "", 204))
        self.assertEqual(again["payload"], row["payload"])
        self.assertEqual(again["created_at"], row["created_at"])
        self.assertGreater(again["updated_at"], row["updated_at"])
        # a delivered one too, from the other mount, with a body nobody reads
        self.assertEqual(self.ok(b.other_mount().post("/events/%s/retry" % row["id"], {"x": 1}))["status"], "queued")
        until(lambda: self.ok(b.get("/events/" + row["id"]))["attempts"] == 3)
        first, second, third = self.sent(url, 3)
        self.assertEqual(len({r["headers"]["webhook-id"] for r in (first, second, third)}), 1)
        self.assertEqual([r["headers"]["hookline-attempt"] for r in (first, second, third)], ["1", "2", "3"])
        # a pending one is due at once, and stays one delivery
        self.tls.script[path] = "status/500"
        api.publish("wallet.created", {"n": 2})
        waiting = until(lambda: [r for r in self.events(b, 1, "pending") if r["attempts"] == 1])[0]
        self.tls.script[path] = "ok"
        self.assertEqual(self.ok(b.post("/events/%s/retry" % waiting["id"]))["id"], waiting["id"])
        until(lambda: self.ok(b.get("/events/" + waiting["id"]))["status"] == "delivered")
        self.assertEqual(len(self.events(b, 2)), 2)
        self.assertEqual(self.ok(b.get("/events/" + waiting["id"]))["attempts"], 2)

    def test_a_retry_has_the_whole_schedule_again(self):
        """What had failed for good is tried hourly for 48 hours once more when the retry fails too."""
        api, b = self.account()
        url = self.target("status/400")
        self.create(b, url)
        api.publish("wallet.created")
        row = self.events(b, 1, "failed")[0]
        self.tls.script["/" + url.split("/", 3)[3]] = "status/500"
        self.ok(b.post("/events/%s/retry" % row["id"]))
        row = until(lambda: [r for r in self.events(b, 1, "pending") if r["attempts"] == 2])[0]
        at = {k: datetime.datetime.fromisoformat(row[k]).timestamp() for k in ("updated_at", "next_attempt_at")}
        self.assertAlmostEqual(at["next_attempt_at"] - at["updated_at"], 3600, delta=2)
        window = api.delivery(row["id"])
        ends = datetime.datetime.fromisoformat(window["window_until"]).timestamp()
        self.assertAlmostEqual(ends - at["updated_at"], 48 * 3600, delta=2)

    def test_more_attempts_than_the_schedule_has(self):
        """Retries by hand count: max_attempts is never less than what was made."""
        api, b = self.account()
        self.create(b)
        api.publish("wallet.created")
        id = self.events(b, 1, "delivered")[0]["id"]
        for n in range(2, 52):
            self.ok(b.post("/events/%s/retry" % id))
            row = until(lambda: [r for r in [self.ok(b.get("/events/" + id))] if r["attempts"] == n and r["status"] == "delivered"])[0]
            self.assertEqual(row["max_attempts"], max(49, n))

    def test_unknown_and_foreign_events(self):
        api, b = self.account()
        other_api, other = self.account()
        self.create(other)
        other_api.publish("wallet.created")
        theirs = self.events(other, 1, "delivered")[0]
        native = api.webhook(self.url("ok"), event_types=["wallet.created"])
        event = api.publish("wallet.created")
        own = api.wait_deliveries("succeeded", webhook=native["id"])[0]
        for id in (ANY, "x", "5", theirs["id"], theirs["id"][:-1], own["id"], event["id"], native["id"]):
            self.refused(b.get("/events/" + id), 404, "not_found")
            self.refused(b.post("/events/%s/retry" % id), 404, "not_found")
        self.assertEqual(self.ok(b.get("/events"))["data"], [])

    def test_delete(self):
        """Nothing more is sent; what was pending has failed; the story stays readable."""
        api, b = self.account()
        urls = {s: self.target(s) for s in ("ok", "status/500", "status/400")}
        hooks = {s: self.create(b, u) for s, u in urls.items()}
        e = api.publish("wallet.created", {"n": 1})
        self.events(b, 1, "delivered")
        until(lambda: self.events(b, 1, "pending")[0]["attempts"] == 1)
        before = {r["webhook_id"]: r for r in self.events(b, 3)}
        for w in hooks.values():
            self.assertEqual(b.delete("/" + w["id"]).status, 204)
        self.assertEqual(self.ok(b.get(""))["data"], [])
        after = {r["webhook_id"]: r for r in self.events(b, 3)}
        for s in ("ok", "status/400"):
            self.assertEqual(after[hooks[s]["id"]], before[hooks[s]["id"]])
        gone = after[hooks["status/500"]["id"]]
        self.assertEqual(list(gone), ENDED)
        self.assertEqual((gone["status"], gone["delivery_status"], gone["payload"]["id"]), ("failed", "failed", e["id"]))
        self.assertIn("deleted", gone["error_message"])
        self.events(b, 2, "failed")
        self.events(b, 0, "pending")
        self.events(b, 1, webhook_id=hooks["ok"]["id"])
        for row in after.values():
            self.assertEqual(self.ok(b.get("/events/" + row["id"])), row)
            self.refused(b.post("/events/%s/retry" % row["id"]), 409, "conflict")
        api.publish("wallet.created", {"n": 2})
        marker = self.target()
        self.create(b, marker)
        api.publish("wallet.created", {"n": 3})
        self.sent(marker)
        self.assertEqual({s: len(self.sent(u)) for s, u in urls.items()}, {s: 1 for s in urls})

    def test_survives_kill(self):
        api, b = self.account()
        w = self.create(b, self.target("status/500"))
        api.publish("wallet.created")
        before = until(lambda: [r for r in self.events(b, 1, "pending") if r["attempts"] == 1])[0]
        self.server.kill()
        self.server.start()
        after = self.events(b, 1, "pending")[0]
        self.assertEqual((after["id"], after["attempts"], after["payload"]), (before["id"], 1, before["payload"]))
        self.assertEqual(self.ok(b.get("/" + w["id"]))["id"], w["id"])


def bitnob_signature(secret, record):
    signed = record["headers"]["x-bitnob-timestamp"].encode() + b"." + record["body"]
    return hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()


def standard_signatures(secrets, record):
    h = record["headers"]
    signed = ("%s.%s." % (h["webhook-id"], h["webhook-timestamp"])).encode() + record["body"]
    return ["v1," + base64.b64encode(hmac.new(base64.b64decode(s[6:]), signed, hashlib.sha256).digest()).decode() for s in secrets]


class Signatures(Base):
    settings = dict(Base.settings, **{"delivery.rotation_overlap": "1h"})

    def test_headers(self):
        api, b = self.account()
        url = self.target()
        w = self.create(b, url)
        e = api.publish("transaction.confirmed", {"a": "\u00e9"})
        r = self.sent(url)[0]
        h = r["headers"]
        self.assertEqual((h["content-type"], h["x-bitnob-event"], h["webhook-id"], r["method"]), ("application/json", "transaction.confirmed",
                                                                                             e["id"], "POST"))
        self.assertRegex(h["x-bitnob-timestamp"], r"^\d{10}$")
        self.assertEqual(h["x-bitnob-timestamp"], h["webhook-timestamp"])
        self.assertRegex(h["x-bitnob-signature"], r"^[0-9a-f]{64}$")
        self.assertEqual(h["x-bitnob-signature"], bitnob_signature(w["signing_secret"], r))
        self.assertEqual(h["webhook-signature"], standard_signatures([w["signing_secret"]], r)[0])
        self.assertTrue(r["tls"].startswith("TLS"))
        self.assertEqual(h["hookline-delivery-id"], self.events(b, 1, "delivered")[0]["id"])
        self.assertFalse([name for name in h if re.match("x-cs2c|x-signature", name)])
        self.assert_verified(w["signing_secret"], r)

    def test_rotation(self):
        """X-Bitnob-Signature: the new secret at once. webhook-signature: both, and a second rotation drops the oldest."""
        api, b = self.account()
        url = self.target()
        w = self.create(b, url)
        secrets = [w["signing_secret"]]
        for n in (1, 2):
            secrets.append(self.ok(b.post("/%s/rotate-secret" % w["id"]))["signing_secret"])
            api.publish("wallet.created", {"n": n})
            r = self.sent(url, n)[-1]
            self.assertEqual(r["headers"]["x-bitnob-signature"], bitnob_signature(secrets[-1], r))
            self.assertEqual(r["headers"]["webhook-signature"].split(" "), standard_signatures(secrets[:-3:-1], r))
            self.assert_verified(secrets[-1], r)
            self.assert_verified(secrets[-2], r)
        # a delivery that waited is signed with what holds now
        api.publish("wallet.created", {"n": 3})
        self.sent(url, 3)
        id = self.events(b, 3, "delivered")[0]["id"]
        new = self.ok(b.post("/%s/rotate-secret" % w["id"]))["signing_secret"]
        self.ok(b.post("/events/%s/retry" % id))
        r = self.sent(url, 4)[-1]
        self.assertEqual(r["headers"]["x-bitnob-signature"], bitnob_signature(new, r))


class Access(Base):
    def test_ways_to_show_a_key(self):
        api, b = self.account()
        w = self.create(b)
        for base in BASES:
            c = Bitnob(self.server, None, base)
            for headers in ({"X-API-Key": b.key}, {"x-api-key": b.key}, {"Authorization": "Bearer " + b.key},
                            {"X-API-Key": b.key, "X-API-VERSION": "v1"}):
                self.assertEqual(self.ok(c.get("/" + w["id"], headers=headers))["id"], w["id"], (base, headers))

    def test_keys_that_do_not_open(self):
        api, b = self.account()
        account = b.account
        revoked, expiring = self.key(account), self.key(account)
        keys = {k["last4"]: k["id"] for k in self.api.get("/v1/keys?limit=250&account=" + account).json["data"]}
        self.expect(self.api.delete("/v1/keys/" + keys[revoked[-4:]]), 204)
        others = [self.key(account, dialect=d) for d in ("hookline", "cs2cap", "aboutyou", "stellarstack")]
        w = self.create(b)
        for method, path in (("GET", ""), ("POST", ""), ("GET", "/" + w["id"]), ("PATCH", "/" + w["id"]), ("DELETE", "/" + w["id"]),
                             ("POST", "/%s/rotate-secret" % w["id"]), ("GET", "/event-types"), ("GET", "/events"), ("GET", "/events/" + ANY),
                             ("POST", "/events/%s/retry" % ANY)):
            for headers in [{}] + [{"X-API-Key": k} for k in ["", "x", b.key[:-1], b.key + "x", revoked] + others] + \
                    [{"Authorization": "Basic " + b.key}, {"Authorization": b.key}, {"Authorization": "Bearer "},
                     {"Authorization": "Bearer " + revoked}, {"Authorization": "Bearer " + others[3]}, {"Cookie": "key=" + b.key}]:
                a = self.refused(Bitnob(self.server, None).request(method, path, {} if method in ("POST", "PATCH") else None, headers=headers), 401)
                self.assertNotIn(b.key, a.body.decode())
        # on the shared root: no credential or X-API-Key speak this API
        root = Bitnob(self.server, None, "/webhooks")
        for headers in ({}, {"X-API-Key": "x"}, {"X-API-Key": revoked}, {"X-API-Key": ""}):
            for path in ("", "/events", "/event-types", "/" + w["id"]):
                self.refused(root.get(path, headers=headers), 401)
        self.ok(b.get("/" + w["id"]))

    def test_foreign_accounts_see_nothing(self):
        api, b = self.account()
        other_api, other = self.account()
        w = self.create(b)
        api.publish("wallet.created")
        self.events(b, 1, "delivered")
        self.assertEqual((self.ok(other.get(""))["data"], self.ok(other.get("/events"))["data"]), ([], []))
        self.refused(other.get("/" + w["id"]), 404)
        self.assertEqual(self.ok(other.get("/events?webhook_id=" + w["id"]))["data"], [])

    def test_disabled_account(self):
        api, b = self.account()
        account = b.account
        self.expect(self.api.patch("/v1/accounts/" + account, {"disabled": True}), 200)
        self.refused(b.get(""), 403)
        self.expect(self.api.patch("/v1/accounts/" + account, {"disabled": False}), 200)
        self.ok(b.get(""))

    def test_scopes(self):
        api, b = self.account()
        account = b.account
        reader = Bitnob(self.server, self.key(account, scope="read"))
        w = self.create(b)
        for path in ("", "/" + w["id"], "/event-types", "/events"):
            self.ok(reader.get(path))
        for a in (reader.post("", {"name": "n", "url": self.target()}), reader.patch("/" + w["id"], {"name": "x"}), reader.delete("/" + w["id"]),
                  reader.post("/%s/rotate-secret" % w["id"]), reader.post("/events/%s/retry" % ANY)):
            self.refused(a, 403)

    def test_rate_limit(self):
        """None unless the tier has one; then per key, over both mounts and all routes."""
        api, b = self.account()
        for i in range(70):
            a = b.get("/event-types")
            self.ok(a)
        api, b = self.account(tier="slow")
        for path, client in (("", b), ("/events", b.other_mount()), ("/" + ANY, b)):
            self.assertIn(client.get(path).status, (200, 404))
        for path, client in (("", b), ("/event-types", b.other_mount()), ("/events", b)):
            a = self.refused(client.get(path), 429, "rate_limited")
            self.assertTrue(1 <= int(a.headers["retry-after"]) <= 60, a.headers)
        self.ok(Bitnob(self.server, self.key(b.account)).get(""))

    def test_no_secret_in_the_log(self):
        api, b = self.account()
        url = self.target()
        w = self.create(b, url)
        rotated = self.ok(b.post("/%s/rotate-secret" % w["id"]))
        log = self.server.log(True)
        for secret in (w["signing_secret"], rotated["signing_secret"], b.key, url):
            self.assertNotIn(secret, log)


if __name__ == "__main__":
    harness.main()
