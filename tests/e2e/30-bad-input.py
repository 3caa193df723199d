#!/usr/bin/env python3
"""Whatever a client sends that is wrong: refused with the right words, and nothing is stored, lost or half done."""
import json
import threading

import harness

ANY = "0199d2c4-0000-7000-8000-000000000000"


def event(**members):
    return json.dumps(dict({"type": "bad", "data": 1}, **members)).encode()


class BadInput(harness.Case):
    def setUp(self):
        self.events = self.count()

    def tearDown(self):
        self.assertEqual(self.count(), self.events, "something was stored")
        self.assertEqual(self.api.get("/v1/events?type=bad").json["data"], [])
        url = self.url("ok")
        w = self.api.webhook(url, event_types=["good"])
        self.api.publish("good", {"still": "alive"})
        self.assert_verified(w["secret"], self.got(url)[0])
        self.expect(self.api.delete("/v1/webhooks/" + w["id"]), 204)

    def count(self):
        return self.api.get("/v1/accounts/default").json["totals"]["events"]

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.w = cls.api.webhook(cls.receiver.url + "/ok/target", event_types=["none"], enabled=False)

    def test_malformed_json(self):
        good = b'{"type":"bad","data":{"a":[1,"x",true,null,1.5e3]}}'
        bodies = [good[:n] for n in range(1, len(good))]                     # truncated everywhere
        bodies += [b"", b" ", b"nul", b"{", b"}", b"[]]", b"{}{}", b"{} x", b"{,}", b"{\"a\"}", b"{\"a\":}", b"{\"a\":1,}", b"{'a':1}",
                   b"{a:1}", b"\xef\xbb\xbf" + good, good + b"\x00", good.replace(b"null", b"NaN"), good.replace(b"null", b"Infinity"),
                   good.replace(b"null", b"undefined"), good + b"//", good.replace(b"1.5e3", b"01"), good.replace(b"1.5e3", b"1."),
                   good.replace(b"1.5e3", b".5"), good.replace(b"1.5e3", b"+1"), good.replace(b"1.5e3", b"1e"),
                   good.replace(b"1.5e3", b"0x10"), good.replace(b"1.5e3", b"1_0"), good.replace(b'"x"', b'"\n"'),
                   good.replace(b'"x"', b'"\\x41"'), good.replace(b'"x"', b'"\\u12"'), good.replace(b'"x"', b'"\x1f"')]
        for body in bodies:
            a = self.api.post("/v1/events", body)
            self.assertEqual((a.status, a.json.get("code")), (400, "bad_json"), body)

    def test_not_utf8(self):
        for bad in (b"\xff", b"\xc3", b"\xc0\xaf", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\x80", b"\xe2\x82", b"\xf8\x88\x80\x80\x80"):
            self.expect(self.api.post("/v1/events", event(data="@").replace(b"@", bad)), 400, "bad_json")
            self.expect(self.api.post("/v1/events", b'{"type":"bad","data":1,"' + bad + b'":2}'), 400, "bad_json")

    def test_lone_surrogates(self):
        self.expect(self.api.post("/v1/events", b'{"type":"bad\\ud800","data":1}'), 400, "bad_json")
        self.expect(self.api.post("/v1/webhooks", b'{"url":"http://127.0.0.1:9999/","name":"\\udc00"}'), 400, "bad_json")

    def test_depth(self):
        for depth in (64, 65, 1000, 500000):
            a = self.api.post("/v1/events", b'{"type":"bad","data":' + b"[" * depth + b"]" * depth + b"}")
            self.expect(a, 400, "bad_json")
        self.expect(self.api.post("/v1/events", b"[" * 300000), 400, "bad_json")

    def test_oversized(self):
        for size, status in (((1 << 20) + 1, 413), (5 << 20, 413)):
            body = event(data="")
            body = body.replace(b'""', b'"' + b"x" * (size - len(body)) + b'"')
            a = self.expect(self.api.post("/v1/events", body), status, "too_large")
            self.assertIn("1048576 bytes", a.json["detail"])

    def test_duplicate_members(self):
        for body, pointer in ((b'{"type":"bad","data":1,"type":"bad"}', "/type"), (b'{"type":"bad","data":1,"data":2}', "/data"),
                              (b'{"type":"bad","data":1,"\\u0074ype":"x"}', "/type")):
            self.expect(self.api.post("/v1/events", body), 422, "invalid", pointer)
        self.expect(self.api.post("/v1/webhooks", b'{"url":"http://127.0.0.1:9999/","url":"http://127.0.0.1:9998/"}'), 422, "invalid", "/url")

    def test_wrong_types_and_values_of_events(self):
        for member, values in {
            "type": (None, 1, True, [], {}, "", "a b", "a/b", "\u00e9", "x" * 129, "a\n", "*"),
            "id": (1, True, [], {}, "", " ", "a b", "\u00e9", "x" * 256, "a\u0001"),
            "server": (1, "", "x", ANY, "0", {}),
            "occurred_at": (0, 1700000000, "", "now", "2026-13-01T00:00:00Z", "2026-01-01", "2026-01-01T00:00:00", "2026-02-30T00:00:00Z",
                            "2026-01-01T25:00:00Z", "2026-01-01 00:00", "2026-01-01T00:00:00.1234567890Z", []),
            "deliver_after": ("9999-01-01T00:00:00Z", "x", 5, {}),
            "expires_at": ("2020-01-01T00:00:00Z", "x", 5, False),
        }.items():
            for v in values:
                self.expect(self.api.post("/v1/events", event(**{member: v})), 422, "invalid", "/" + member)
        self.expect(self.api.post("/v1/events", event(deliver_after="2099-01-01T00:00:00Z")), 422, "invalid", "/deliver_after")
        self.expect(self.api.post("/v1/events", b'{"type":"bad"}'), 422, "invalid", "/data")
        self.expect(self.api.post("/v1/events", b'{"data":1}'), 422, "invalid", "/type")
        for body in (b"[]", b"1", b'"x"', b"null", b"true"):
            self.expect(self.api.post("/v1/events", body), 422, "invalid")

    def test_unknown_members_are_named(self):
        for path, body in (("/v1/events", {"type": "bad", "data": 1}), ("/v1/webhooks", {"url": "http://127.0.0.1:9999/"}),
                           ("/v1/webhooks/%s/rotate-secret" % self.w["id"], {}), ("/v1/webhooks/%s/test" % self.w["id"], {}),
                           ("/v1/webhooks/%s/verify" % self.w["id"], {}), ("/v1/webhooks/%s/recover" % self.w["id"], {}),
                           ("/v1/servers", {"name": "x"}), ("/v1/accounts", {}), ("/v1/keys", {"scopes": ["read"]})):
            a = self.expect(self.api.post(path, dict(body, tpye="x")), 422, "invalid", "/tpye")
            self.assertIn("tpye", a.json["detail"])
        self.expect(self.api.patch("/v1/webhooks/" + self.w["id"], {"a/b~c": 1}), 422, "invalid", "/a~1b~0c")
        for member in ("id", "number", "dialect", "state", "reason", "secret_last4", "created_at", "last_success_at", "secret"):
            self.expect(self.api.patch("/v1/webhooks/" + self.w["id"], {member: "x"}), 422, "invalid", "/" + member)

    def test_wrong_values_of_webhooks(self):
        before = self.api.get("/v1/webhooks/" + self.w["id"]).json
        for member, values in {
            "name": (1, [], "x" * 121), "description": (1, "x" * 1001), "url": (None, 1, "", [], "x" * 3000),
            "format": (None, "xml", 1, ""), "event_types": ("x", [1], [""], ["a b"], ["x"] * 257, {"a": 1}),
            "server": ("x", ANY, 1), "enabled": (None, 1, "yes"),
            "headers": ([], {"a": 1}, {"": "x"}, {"a b": "x"}, {"a": "x\r\ny"}, {"a:": "x"}, {"Host": "x"}, {"content-length": "1"},
                        {"Transfer-Encoding": "chunked"}, {"Connection": "close"}, {"webhook-id": "x"}, {"Webhook-Signature": "x"},
                        {"a": "x", "A": "y"}, {"h%d" % i: "x" for i in range(17)}, {"a": "x" * 4096}, {"a": "\u0000"}),
            "timeout": (0, -1, 61, "5", 0.0001, True), "rate_limit": (0, -1, 100001, 1.5, "1"), "max_in_flight": (0, 1001, "x"),
            "retry": ("never", [], [0], [172801], [1.5], ["1"], [1] * 61, {}, 5, "delays", "default"), "window": (0, 604801, "x", -5),
            "metadata": ([], "x", 1, {"a": "x" * 4096}),
        }.items():
            for v in values:
                a = self.api.patch("/v1/webhooks/" + self.w["id"], {member: v})
                self.assertIn(a.status, (400, 422) if v == {"a": "\u0000"} else (422,), (member, v, a))
                if a.json["code"] == "invalid":
                    self.assertTrue(a.json["errors"][0]["pointer"].startswith("/" + member), a)
                self.assertEqual(self.api.post("/v1/webhooks", {"url": "http://127.0.0.1:9999/", member: v}).status, a.status, (member, v))
        for secret in ("x", "whsec_", "whsec_x", "whsec_" + "A" * 28, "whsec_" + "A" * 104, "whsec_!" + "A" * 43, 5):
            for path, body in (("/v1/webhooks", {"url": "http://127.0.0.1:9999/"}), ("/v1/webhooks/%s/rotate-secret" % self.w["id"], {})):
                self.expect(self.api.post(path, dict(body, secret=secret)), 422, "invalid", "/secret")
        for overlap in (-1, 604801, "x", 1.5):
            self.expect(self.api.post("/v1/webhooks/%s/rotate-secret" % self.w["id"], {"overlap": overlap}), 422, "invalid", "/overlap")
        self.assertEqual(self.api.get("/v1/webhooks/" + self.w["id"]).json, before)

    def test_urls(self):
        """Each rule of what a webhook may reach, with its reason."""
        refused = ["ftp://example.com/", "unix:/run/x", "file:///etc/passwd", "example.com", "//example.com/", "http:/example.com", "http://",
                   "https:///x", "http://user@example.com/", "http://user:pw@example.com/", "http://example.com/#frag", "http://exa mple.com/",
                   "http://example.com/\\x", "http://example.com\\@127.0.0.1/", "http://example.com/\u00e9", "http://ex\u00e4mple.com/",
                   "http://example.com/\x7f", "http://example.com:0/", "http://example.com:65536/", "http://example.com:x/",
                   "http://example.com:22/", "http://example.com:25/", "http://example.com:6667/", "http://example.com:10080/",
                   "http://localhost/", "http://x.localhost/", "http://printer.local/", "http://db.internal/", "http://x.home.arpa/",
                   "http://intranet/", "http://kubernetes/", "http://127.1:9000/", "http://0x7f.1/", "http://2130706433/", "http://0177.0.0.1/",
                   "http://1.2.3/", "http://1.2.3.4.5/", "http://256.1.1.1/", "http://01.2.3.4/", "http://[::1]/", "http://[::ffff:127.0.0.1]/",
                   "http://[fe80::1%25eth0]/", "http://[fe80::1]/", "http://[::]/", "http://[x]/", "http://::1/", "http://[fd00:ec2::254]/",
                   "http://[64:ff9b::7f00:1]/", "http://[2002:7f00:1::]/", "http://[2001:db8::1]/", "http://[4000::1]/",
                   "http://[2600::5efe:7f00:1]/", "http://[3fff::1]/", "http://[2001::1]/",
                   "http://" + "a" * 64 + ".com/", "http://" + ".".join(["a" * 60] * 5) + "/", "http://a..com/", "http://-/", "http://exam_ple/"]
        for address in ("0.0.0.0", "10.0.0.1", "100.64.0.1", "169.254.169.254", "172.16.0.1", "172.31.255.255", "192.0.0.1", "192.0.2.1",
                        "192.88.99.1", "192.168.1.1", "198.18.0.1", "198.51.100.1", "203.0.113.1", "224.0.0.1", "240.0.0.1", "255.255.255.255",
                        "168.63.129.16", "100.100.100.200"):
            refused += ["http://%s/" % address, "https://%s:8443/x" % address]
        for url in refused:
            a = self.api.post("/v1/webhooks", {"url": url})
            self.assertEqual(a.status, 422, (url, a))
            self.assertIn(a.json["code"], ("url_not_allowed", "address_blocked"), (url, a))
            self.assertEqual(a.json["errors"][0]["pointer"], "/url", (url, a))
            self.assertGreater(len(a.json["detail"]), 10)
            self.assertEqual(self.api.patch("/v1/webhooks/" + self.w["id"], {"url": url}).status, 422, url)
        for url in ("http://%s:%d/" % ("127.0.0.1", self.server.port),):        # our own listener
            a = self.api.post("/v1/webhooks", {"url": url})
            self.assertEqual((a.status, a.json["code"]), (422, "address_blocked"), a)

    def test_queries(self):
        for path, name in (("/v1/events?limit=0", "limit"), ("/v1/events?limit=251", "limit"), ("/v1/events?limit=x", "limit"),
                           ("/v1/events?limit=-1", "limit"), ("/v1/events?limit=1.5", "limit"), ("/v1/events?limit=", "limit"),
                           ("/v1/events?limit=1&limit=2", "limit"), ("/v1/events?cursor=", "cursor"), ("/v1/events?cursor=x", "cursor"),
                           ("/v1/events?cursor=" + "A" * 40, "cursor"), ("/v1/events?nonsense=1", "nonsense"), ("/v1/events?Limit=1", "Limit"),
                           ("/v1/events?since=yesterday", "since"), ("/v1/events?until=2026-99-01T00:00:00Z", "until"),
                           ("/v1/events?since=2026-01-01", "since"), ("/v1/events?type=a%20b", "type"), ("/v1/events?type=", "type"),
                           ("/v1/deliveries?status=lost", "status"), ("/v1/deliveries?webhook=x", "webhook"), ("/v1/deliveries?event=1", "event"),
                           ("/v1/webhooks?state=x", "state"), ("/v1/webhooks?dialect=x", "dialect"),
                           ("/v1/webhooks/%s?x=1" % self.w["id"], "x"), ("/v1/webhooks/%s/stats?x=1" % self.w["id"], "x")):
            a = self.api.get(path)
            self.assertEqual((a.status, a.json.get("code"), a.json.get("parameter")), (400, "bad_parameter", name), path)
        self.assertEqual(self.expect(self.api.post("/v1/events?x=1", event()), 400, "bad_parameter").json["parameter"], "x")
        self.expect(self.api.delete("/v1/webhooks/%s?drop_history=maybe" % self.w["id"]), 400, "bad_parameter")

    def test_cursors_belong_to_one_list(self):
        for i in range(3):
            self.api.webhook("http://127.0.0.1:9999/%d" % i, event_types=["none"], enabled=False)
        cursor = self.api.get("/v1/webhooks?limit=1").json["next_cursor"]
        self.expect(self.api.get("/v1/webhooks?limit=2&cursor=" + cursor), 200)
        for path in ("/v1/events?cursor=", "/v1/webhooks?state=paused&cursor=", "/v1/servers?cursor="):
            self.assertEqual(self.expect(self.api.get(path + cursor), 400, "bad_parameter").json["parameter"], "cursor")
        for i in range(len(cursor)):
            bent = cursor[:i] + ("A" if cursor[i] != "A" else "B") + cursor[i + 1:]
            self.expect(self.api.get("/v1/webhooks?cursor=" + bent), 400, "bad_parameter")
        self.expect(self.api.get("/v1/webhooks?cursor=" + cursor + "A"), 400, "bad_parameter")
        self.api.post("/v1/accounts", {"id": "cursor-other"})
        a = self.api.get("/v1/webhooks?cursor=" + cursor, headers={"Hookline-Account": "cursor-other"})
        self.expect(a, 400, "bad_parameter")

    def test_content_types(self):
        for kind in (None, "", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "application/xml",
                     "application/json; charset=latin-1", "application/x-ndjson", "json", "application/jsonx"):
            headers = {"Content-Type": kind} if kind is not None else {}
            self.expect(self.api.post("/v1/events", event(), content_type=None, headers=headers), 415, "unsupported_media_type")
        self.expect(self.api.post("/v1/servers", b'{"name":"x"}', content_type='Application/JSON ; charset="UTF-8"'), 201)

    def test_publish_to_a_webhook_of_somebody_else_or_nobody(self):
        for id in (ANY, "x", ""):
            self.assertIn(self.api.post("/v1/webhooks/%s/test" % id, {}).status, (404,), id)
        e = self.api.get("/v1/events?limit=1").json["data"]
        if e:
            self.expect(self.api.post("/v1/events/%s/replay" % e[0]["id"], {"webhook": ANY}), 422, "invalid", "/webhook")

    def test_recover_filters(self):
        path = "/v1/webhooks/%s/recover" % self.w["id"]
        for member, values in {"since": ("x", 5), "until": ("x",), "type": (5, "a b"), "error_class": ("bad luck", 5), "dry_run": ("yes", None)}.items():
            for v in values:
                self.expect(self.api.post(path, {member: v}), 422, "invalid", "/" + member)
        for unknown in ("bad luck", "none"):
            detail = self.expect(self.api.post(path, {"error_class": unknown}), 422, "invalid", "/error_class").json["detail"]
            self.assertTrue(detail.endswith("must be one of http_status, dns, connect, tls, timeout, reset, protocol, blocked_address, "
                                            "receiver_said_no, paused, expired, deleted, cancelled, internal"), detail)

    def test_many_bad_ones_at_once(self):
        wrong = []

        def one(n):
            client = self.server.client()
            for i in range(100):
                a = client.post("/v1/events", event()[:-1 - (n + i) % 10])
                if a.status != 400:
                    wrong.append(a)
            client.close()
        threads = [threading.Thread(target=one, args=(n,)) for n in range(8)]
        [t.start() for t in threads]
        [t.join() for t in threads]
        self.assertEqual(wrong, [])


if __name__ == "__main__":
    harness.main()
