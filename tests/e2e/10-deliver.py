#!/usr/bin/env python3
"""Publish, and the signed delivery arrives: the same bytes, signatures both npm packages accept, every format, every
outcome of an attempt recorded."""
import json
import time

import harness
from harness import GOOD, Verifier

# what a re-serialising sender would change: big and fractional numbers, order, escapes, spaces, duplicate members
AWKWARD = ('{"z":12345678901234567890123456789,"a":1.0,"e":1E+2,"neg":-0,"small":0.1e-7 , "text":"\\u00e9 \u00e9 \\/ \\n",'
           '"emoji":"\U0001f600","nested":{"b":[1, 2,\t3],"a":null},"z":"again","":"","nul":"\\u0000"}').encode()


def data_of(body):
    """The bytes of data in a native standard body."""
    assert body.endswith(b"}")
    return body[body.index(b'"data":') + len(b'"data":'):-1]


class Deliver(harness.Case):
    def test_signed_and_byte_for_byte(self):
        url = self.url("ok")
        webhook = self.api.webhook(url, name="orders", event_types=["order.created"])
        self.assertRegex(webhook["secret"], r"^whsec_[A-Za-z0-9+/]{43}=$")
        self.assertEqual(webhook["secret"][-4:], webhook["secret_last4"])
        answer = self.api.post("/v1/events", b'{"type":"order.created","data":' + AWKWARD + b"}")
        self.expect(answer, 202)
        record = self.got(url)[0]
        self.assertEqual(record["method"], "POST")
        self.assertEqual(data_of(record["body"]), AWKWARD)
        h = record["headers"]
        self.assertEqual(h["webhook-id"], answer.json["id"])
        self.assertEqual(h["content-type"], "application/json")
        self.assertEqual(h["hookline-attempt"], "1")
        self.assertTrue(h["user-agent"].startswith("Hookline/"))
        self.assertEqual(h["host"], "127.0.0.1:%d" % self.receiver.port)
        self.assertLess(abs(time.time() - int(h["webhook-timestamp"])), 5)
        envelope = json.loads(record["body"])
        self.assertEqual(list(envelope), ["id", "type", "timestamp", "data"])
        self.assertEqual((envelope["id"], envelope["type"]), (answer.json["id"], "order.created"))
        self.assertEqual(Verifier.verdicts(webhook["secret"], record), GOOD)
        bad = dict(record, body=record["body"].replace(b"1.0", b"1.1"))
        self.assertTrue(all(v != "ok" for v in Verifier.verdicts(webhook["secret"], bad).values()))

    def test_any_json_as_data(self):
        url = self.url("ok")
        self.api.webhook(url, event_types=["any.json"])
        values = [b"null", b"true", b"0", b"-1.5e300", b'""', b"[]", b"{}", b'[ {"a" : 1 } ]', "\"\u2028\u20ac\"".encode(),
                  b"[" * 62 + b"]" * 62, b'{"k":"' + b"x" * 200000 + b'"}']
        sent = {}
        for v in values:
            sent[self.expect(self.api.post("/v1/events", b'{"data":' + v + b',"type":"any.json"}'), 202).json["id"]] = v
        for record in self.got(url, len(values)):
            self.assertEqual(data_of(record["body"]), sent.pop(record["headers"]["webhook-id"]))
        self.assertEqual(sent, {})

    def test_chosen_secret_headers_and_timestamp(self):
        secret = "whsec_" + "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
        url = self.url("ok") + "?a=1&b=%20"
        webhook = self.api.webhook(url, event_types=["custom"], secret=secret,
                                   headers={"X-Env": "prod", "authorization": "Basic abc"})
        self.assertEqual(webhook["secret"], secret)
        self.api.publish("custom", {"n": 1}, occurred_at="2026-04-12T20:20:11.5+02:00")
        record = self.got(url.split("?")[0] + "?a=1&b=%20")[0]
        self.assertTrue(record["target"].endswith("?a=1&b=%20"))
        self.assertEqual((record["headers"]["x-env"], record["headers"]["authorization"]), ("prod", "Basic abc"))
        self.assertEqual(json.loads(record["body"])["timestamp"], "2026-04-12T18:20:11.500Z")
        self.assertEqual(Verifier.verdicts(secret, record), GOOD)

    def got(self, url, n=1, timeout=harness.PATIENCE):
        target = url[len(self.receiver.url):]
        self.receiver.wait_for(lambda records: sum(r["target"] == target for r in records) >= n, timeout)
        return [r for r in list(self.receiver.records) if r["target"] == target]

    def test_fan_out_follows_filters_and_servers(self):
        server = self.expect(self.api.post("/v1/servers", {"name": "eu-1"}), 201).json["id"]
        other = self.expect(self.api.post("/v1/servers", {"name": "eu-2"}), 201).json["id"]
        urls = {name: self.url("ok") for name in ("all", "one", "two", "server", "paused", "elsewhere")}
        hooks = {"all": self.api.webhook(urls["all"], event_types=["fan.a", "fan.b", "fan.end"]),
                 "one": self.api.webhook(urls["one"], event_types=["fan.a", "fan.end"]),
                 "two": self.api.webhook(urls["two"], event_types=["fan.b", "fan.end"]),
                 "server": self.api.webhook(urls["server"], event_types=["fan.a", "fan.end"], server=server),
                 "paused": self.api.webhook(urls["paused"], event_types=["fan.a", "fan.end"], enabled=False)}
        self.assertEqual(hooks["paused"]["state"], "paused")
        self.expect(self.api.post("/v1/accounts", {"id": "elsewhere"}), 201)
        self.server.client(account="elsewhere", scope="manage,publish").webhook(urls["elsewhere"])
        for members, n in (({"type": "fan.a"}, 2), ({"type": "fan.b"}, 2), ({"type": "fan.c"}, 0),
                           ({"type": "fan.a", "server": server}, 3), ({"type": "fan.a", "server": other}, 2),
                           ({"type": "Fan.a"}, 0), ({"type": "fan.end", "server": server}, 4)):
            self.assertEqual(self.api.publish(**members)["deliveries"], n, members)
        for name, types in (("all", ["fan.a"] * 3 + ["fan.b", "fan.end"]), ("one", ["fan.a"] * 3 + ["fan.end"]),
                            ("two", ["fan.b", "fan.end"]), ("server", ["fan.a", "fan.end"])):
            got = [json.loads(r["body"])["type"] for r in self.got(urls[name], len(types))]
            self.assertEqual(sorted(got), sorted(types), name)
        self.assertEqual(self.receiver.of(urls["paused"][len(self.receiver.url):]), [])
        self.assertEqual(self.receiver.of(urls["elsewhere"][len(self.receiver.url):]), [])

    def test_attempt_is_recorded(self):
        url = self.url("body/20000")
        webhook = self.api.webhook(url, event_types=["recorded"])
        event = self.api.publish("recorded", {"n": 1})
        listed = self.api.wait_deliveries("succeeded", webhook=webhook["id"])[0]
        d = self.api.delivery(listed["id"])
        self.assertEqual({k: d[k] for k in listed}, listed)
        self.assertEqual((d["event_id"], d["webhook_id"], d["attempt_count"], d["last_http_status"], d["last_error"]),
                         (event["id"], webhook["id"], 1, 200, None))
        self.assertEqual(d["payload"], json.loads(self.got(url)[0]["body"]))
        self.assertIsNotNone(d["completed_at"])
        self.assertIsNone(d["next_attempt_at"])
        a, = d["attempts"]
        self.assertEqual((a["number"], a["trigger"], a["outcome"], a["http_status"], a["error"], a["tls"]),
                         (1, "publish", "succeeded", 200, None, None))
        self.assertEqual(a["response_body"], "x" * 5000)
        self.assertEqual(a["address"], "127.0.0.1:%d" % self.receiver.port)
        t = a["times_ms"]
        self.assertLessEqual(t["first_byte"], t["total"])
        self.assertIsNone(t["tls"])
        self.assertEqual(list(t), ["dns", "connect", "tls", "first_byte", "total"])
        self.assertEqual(self.got(url)[0]["headers"]["hookline-delivery-id"], d["id"])
        e = self.api.get("/v1/events/" + event["id"]).json
        self.assertEqual(e["summary"], {"pending": 0, "succeeded": 1, "failed": 0, "cancelled": 0})
        self.assertEqual(e["data"], {"n": 1})

    def test_connections_are_kept(self):
        url = self.url("ok")
        self.api.webhook(url, event_types=["kept"], max_in_flight=1)
        before = self.receiver.n_connections
        for i in range(20):
            self.api.publish("kept", i)
            self.got(url, i + 1)
        self.assertLessEqual(self.receiver.n_connections - before, 2)
        times = [self.api.delivery(d["id"])["attempts"][0]["times_ms"]["connect"]
                 for d in self.api.wait_deliveries("succeeded", 20, type="kept")]
        self.assertIn(None, times)

    # ---- formats ----

    def formatted(self, format, behaviour, data=AWKWARD, type="format"):
        path, _, query = behaviour.partition("?")
        url = self.url(path) + ("?" + query if query else "")
        webhook = self.api.webhook(url, format=format, event_types=[type])
        event = self.expect(self.api.post("/v1/events", b'{"type":"%s","data":%s}' % (type.encode(), data)), 202).json
        record = self.got(url)[0]
        if format in ("discord", "telegram"):        # nobody there could check a signature
            self.assertNotIn("webhook-signature", record["headers"])
        else:
            self.assertEqual(Verifier.verdicts(webhook["secret"], record), GOOD)
        self.assertEqual(record["headers"]["content-type"], "application/json")
        return webhook, event, record

    def test_discord(self):
        data = json.dumps(dict({"field%d" % i: "v" * 1500 for i in range(30)}, order=17)).encode()
        webhook, event, record = self.formatted("discord", "ok", data, "order.discord")
        embed, = json.loads(record["body"])["embeds"]
        self.assertIn("order.discord", embed["title"])
        self.assertLessEqual(len(embed["fields"]), 25)
        total = len(embed["title"]) + len(embed.get("description", "")) + len(embed.get("footer", {}).get("text", ""))
        for f in embed["fields"]:
            self.assertTrue(1 <= len(f["name"]) <= 256 and 1 <= len(f["value"]) <= 1024)
            total += len(f["name"]) + len(f["value"])
        self.assertLessEqual(total, 6000)

    def test_telegram(self):
        webhook, event, record = self.formatted("telegram", "telegram-ok?chat_id=-100123", b'{"order":17,"note":"<b>*_`[x"}', "order.telegram")
        message = json.loads(record["body"])
        self.assertTrue(record["target"].endswith("?chat_id=-100123"))
        self.assertNotIn("parse_mode", message)
        self.assertIn("order.telegram", message["text"])
        self.assertIn("<b>*_`[x", message["text"])
        self.assertLessEqual(len(message["text"]), 4096)
        self.api.wait_deliveries("succeeded", webhook=webhook["id"])

    def test_telegram_without_ok_is_no_success(self):
        webhook, event, record = self.formatted("telegram", "status/200?chat_id=1", b"{}", "order.telegram.no")
        d = harness.until(lambda: [d for d in self.api.deliveries(webhook=webhook["id"]) if d["attempt_count"]])[0]
        self.assertEqual((d["status"], d["last_error"]["class"]), ("pending", "receiver_said_no"))

    def test_google_sheets(self):
        webhook, event, record = self.formatted("google_sheets", "ok", AWKWARD, "order.sheets")
        self.assertIn(AWKWARD, record["body"])
        self.assertEqual(json.loads(record["body"])["type"], "order.sheets")


if __name__ == "__main__":
    harness.main()
