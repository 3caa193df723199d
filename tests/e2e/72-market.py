#!/usr/bin/env python3
"""The market by its native routes: items, asks, bids and exchange rates in every form, bad lines, long streams, and that what
was acknowledged is in force and survives."""
import json
import shutil
import socket
import subprocess
import threading

import harness
from harness import SANITIZED, until
from market import AK, CASE, KNIFE, NDJSON, Market, ask, bid, item, lines

NOTHING = {"best_ask": None, "best_ask_provider": None, "best_ask_link": None, "best_bid": None, "best_bid_provider": None}


class Feed:
    """A body written by hand, piece by piece."""

    def __init__(self, server, key, path, method="POST", content_type=NDJSON, length=None):
        self.sock = socket.create_connection(("127.0.0.1", server.port), timeout=harness.PATIENCE + 20)
        how = "Content-Length: %d" % length if length is not None else "Transfer-Encoding: chunked"
        self.sock.sendall(("%s /v1/market/%s HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer %s\r\n"
                           "Content-Type: %s\r\n%s\r\n\r\n" % (method, path, key, content_type, how)).encode())

    def send(self, data):
        self.sock.sendall(b"%x\r\n%s\r\n" % (len(data), data))

    def answer(self):
        """Status and JSON, after everything was sent."""
        data = b""
        while True:
            piece = self.sock.recv(65536)
            if not piece:
                break
            data += piece
        self.sock.close()
        head, _, body = data.partition(b"\r\n\r\n")
        return int(head.split()[1]), json.loads(body)

    def end(self):
        self.sock.sendall(b"0\r\n\r\n")
        return self.answer()


class Records(Market, harness.Case):
    def test_items(self):
        names = {901: ("★ Karambit | Doppler", "Phase 2"), 902: ('a"b\\c', None), CASE: ("Revolution Case", "")}
        self.expect(self.api.get("/v1/market/items/%d" % CASE), 404)
        self.stream("items", [item(i, *v) for i, v in names.items()], "PUT")
        for id, (name, phase) in names.items():
            self.assertEqual(self.item(id), dict(NOTHING, item_id=id, market_hash_name=name, phase=phase or None))
        self.stream("items", [item(901, "Renamed")], "PUT")
        self.assertEqual((self.item(901)["market_hash_name"], self.item(901)["phase"]), ("Renamed", None))
        for id in ("0", "2", "-1", "x", "9007199254740992", "99999999999999999999", "156.0", "0x9c"):
            self.expect(self.api.get("/v1/market/items/" + id), 404, "not_found")
        self.expect(self.api.get("/v1/market/items/%d?x=1" % AK), 400, "bad_parameter")

    def test_every_form(self):
        """NDJSON under its names, an array, an envelope with whatever else is in it."""
        good = {"accepted": 2, "rejected": 0, "errors": []}
        envelope = {"meta": {"currency": "USD", "items": [1], "x": "]}\"{"}, "items": None, "pagination": {"total": 2}}
        for method, path, make in (("PUT", "items", lambda i: item(i)), ("POST", "asks", lambda i: ask(i, 100)),
                                   ("POST", "bids", lambda i: bid(i, 90))):
            two = [make(40), make(41)]
            text = json.dumps(two).encode()
            pretty = json.dumps(dict(envelope, items=two), indent=1).encode()
            bodies = [(kind, lines(two)) for kind in (NDJSON, "application/ndjson", "application/jsonl")]
            bodies += [(NDJSON, b"\n\r\n" + lines(two).replace(b"\n", b"\r\n").rstrip()), ("application/json", text),
                       ("application/json; charset=utf-8", b" " + text + b"\n"), ("application/json", pretty)]
            for kind, body in bodies:
                a = self.api.request(method, "/v1/market/" + path, body, content_type=kind)
                self.assertEqual((a.status, a.headers["content-type"], a.json), (200, "application/json", good), (kind, body))
        self.assertEqual(self.best(40), (100, 90))
        nothing = {"accepted": 0, "rejected": 0, "errors": []}
        for kind, body in ((NDJSON, b""), (NDJSON, b"\n\n"), ("application/json", b"[]"), ("application/json", b'{"items":[]}')):
            a = self.api.request("POST", "/v1/market/asks", body, content_type=kind)
            self.assertEqual((a.status, a.json), (200, nothing), body)

    def test_the_best_of_all_providers(self):
        self.put_items(1)
        self.assertEqual(self.best(1), (None, None))
        self.asks(ask(1, 2000), ask(1, 1950, "csfloat"), ask(1, 2100, "steam"))
        self.bids(bid(1, 1700), bid(1, 1710, "only_bids"))
        want = {"best_ask": 1950, "best_ask_provider": "csfloat", "best_ask_link": "https://example.com/csfloat/1?a=1&b=2",
                "best_bid": 1710, "best_bid_provider": "only_bids"}
        self.assertEqual({k: self.item(1)[k] for k in want}, want)
        self.asks(ask(1, 2500, "csfloat"))                      # the best one leaves: the next is the best
        self.assertEqual(self.best(1), (2000, 1710))
        self.asks(ask(1, 1, "x", link=None))
        self.assertEqual((self.item(1)["best_ask"], self.item(1)["best_ask_link"]), (1, None))
        self.asks(ask(1, None, "x"))                            # no price: gone
        self.assertEqual(self.best(1), (2000, 1710))
        self.asks(ask(1, 1999, "y"), ask(1, 1999, "y", quantity=0))
        self.assertEqual(self.best(1), (2000, 1710))
        for gone in (ask(1, 0), ask(1, None, "csfloat"), ask(1, -5, "steam")):
            self.asks(gone)
        self.bids(bid(1, 1700, num_bids=0), bid(1, None, "only_bids"))
        self.assertEqual(self.best(1), (None, None))
        self.asks(ask(1, None, "never_seen"))
        self.asks({"item_id": 1, "provider": "bare", "lowest_ask": 5})
        self.assertEqual(self.best(1), (5, None))

    def test_the_last_of_a_body_counts(self):
        self.put_items(2)
        self.asks(*[ask(2, 1000 + i) for i in range(500)] + [ask(2, 777)])
        self.assertEqual(self.best(2), (777, None))

    # ---- bad ones ----

    def rejected(self, a, n_accepted):
        self.assertEqual(a.status, 200, a)
        self.assertEqual(a.json["accepted"], n_accepted, a)
        self.assertEqual(a.json["rejected"], len(a.json["errors"]), a)
        for e in a.json["errors"]:
            self.assertEqual(sorted(e), ["code", "detail", "line", "pointer"])
            self.assertTrue(e["detail"])
        return [(e["line"], e["code"], e["pointer"]) for e in a.json["errors"]]

    def test_bad_lines_spoil_only_themselves(self):
        self.put_items(3)
        good = ask(3, 5)

        def but(**change):
            return {k: v for k, v in dict(good, **change).items() if v != "absent"}
        bad = [
            (b"not json", "bad_json", None), (b'{"item_id":3', "bad_json", None), (b"[]", "invalid", None), (b"17", "invalid", None),
            (b'{"item_id":3,"provider":"a\xff","lowest_ask":1}', "bad_json", None), (b"{}", "invalid", "/item_id"),
            (but(item_id="absent"), "invalid", "/item_id"), (but(item_id="3"), "invalid", "/item_id"), (but(item_id=0), "invalid", "/item_id"),
            (but(item_id=3.0), "invalid", "/item_id"), (but(item_id=9007199254740992), "invalid", "/item_id"),
            (but(item_id=99999), "not_found", "/item_id"), (but(provider="absent"), "invalid", "/provider"),
            (but(provider=None), "invalid", "/provider"), (but(provider=""), "invalid", "/provider"),
            (but(provider="a b"), "invalid", "/provider"), (but(provider="x" * 65), "invalid", "/provider"),
            (but(lowest_ask="absent"), "invalid", "/lowest_ask"), (but(lowest_ask="19.50"), "invalid", "/lowest_ask"),
            (but(lowest_ask=19.5), "invalid", "/lowest_ask"), (but(lowest_ask=True), "invalid", "/lowest_ask"),
            (but(lowest_ask=1000000000001), "invalid", "/lowest_ask"), (but(lowest_ask=10 ** 30), "invalid", "/lowest_ask"),
            (but(quantity=-1), "invalid", "/quantity"), (but(quantity=1.5), "invalid", "/quantity"), (but(quantity="2"), "invalid", "/quantity"),
            (but(quantity=None), "invalid", "/quantity"), (but(link=7), "invalid", "/link"), (but(link="x" * 1025), "invalid", "/link"),
            (but(timestamp="yesterday"), "invalid", "/timestamp"), (but(timestamp=1776018011), "invalid", "/timestamp"),
            (b'{"item_id":3,"provider":"p","provider":"q","lowest_ask":1}', "invalid", "/provider"),
            (b'{"item_id":3,"provider":"p","lowest_ask":1,"link":"\\ud800"}', "bad_json", "/link"),
            (b'{"pad":"' + b"x" * 65536 + b'"}', "too_large", None),
        ]
        body, want, line = b"\n \n", [], 2
        for record, code, pointer in bad:
            text = record if isinstance(record, bytes) else json.dumps(record).encode()
            body += json.dumps(good).encode() + b"\n" + text + b"\n\n"
            want.append((line + 2, code, pointer))
            line += 3
        a = self.api.post("/v1/market/asks", body, content_type=NDJSON)
        self.assertEqual(self.rejected(a, len(bad)), want)
        self.assertEqual(self.best(3), (5, None))
        # the same in a list: elements are counted; what breaks the list itself ends it
        elements = [r if isinstance(r, bytes) else json.dumps(r).encode() for r, _, _ in bad[4:]]
        text = b"[" + b",".join(e for r in elements for e in (json.dumps(good).encode(), r)) + b"]"
        want = [(2 * i + 2, code, pointer) for i, (_, code, pointer) in enumerate(bad[4:])]
        self.assertEqual(self.rejected(self.api.post("/v1/market/asks", text), len(elements)), want)

    def test_bad_bids_and_items(self):
        self.put_items(33)
        a = self.api.post("/v1/market/bids", lines([bid(33, 5), bid(33, "5"), bid(33, 5, num_bids=-1), ask(33, 5), bid(33, 10 ** 12 + 1)]),
                          content_type=NDJSON)
        self.assertEqual(self.rejected(a, 1), [(2, "invalid", "/highest_bid"), (3, "invalid", "/num_bids"),
                                               (4, "invalid", "/highest_bid"), (5, "invalid", "/highest_bid")])
        rows = [item(50), {"item_id": 51}, {"market_hash_name": "x"}, item(52, "x" * 255), item(53, "x" * 256), item(54, "ok", "p" * 65),
                dict(item(55), market_hash_name=""), dict(item(56), phase=7), item(0), item(-1), dict(item(57), item_id="57"), item(58)]
        a = self.api.put("/v1/market/items", lines(rows), content_type=NDJSON)
        self.assertEqual(self.rejected(a, 3), [
            (2, "invalid", "/market_hash_name"), (3, "invalid", "/item_id"), (5, "invalid", "/market_hash_name"), (6, "invalid", "/phase"),
            (7, "invalid", "/market_hash_name"), (8, "invalid", "/phase"), (9, "invalid", "/item_id"), (10, "invalid", "/item_id"),
            (11, "invalid", "/item_id")])
        self.item(52)
        self.item(58)
        self.expect(self.api.get("/v1/market/items/53"), 404)

    def test_only_the_first_hundred_are_told(self):
        self.put_items(34)
        a = self.api.post("/v1/market/asks", b"x\n" * 250 + lines([ask(34, 4)]), content_type=NDJSON)
        self.assertEqual((a.status, a.json["accepted"], a.json["rejected"], len(a.json["errors"])), (200, 1, 250, 100))
        self.assertEqual([e["line"] for e in a.json["errors"]], list(range(1, 101)))
        self.assertEqual(self.best(34), (4, None))

    def test_lists_that_break(self):
        self.put_items(4)
        one = json.dumps(ask(4, 9)).encode()
        for body, n in ((b"[%s,", 1), (b"[%s", 0), (b"[%s,%s}", 1), (b"[%s] x", 1), (b'{"items":[%s]', 1), (b'{"items":[%s],}', 1),
                        (b"[%s,,%s]", 1)):
            text = body.replace(b"%s", one)
            a = self.api.post("/v1/market/asks", text)
            if n:
                line = a.json["errors"][-1]["line"]
                self.assertEqual((a.status, a.json["accepted"], a.json["errors"][-1]["code"], line), (200, n, "bad_json", n + 1), (text, a))
            else:
                self.expect(a, 400, "bad_json")
        for body in (b"", b"7", b"{}", b'{"items":{}}', b'{"meta":1}', b"nonsense", b'"x"', b"[1", b"{]"):
            self.expect(self.api.post("/v1/market/asks", body), 400, "bad_json")

    def test_too_many_providers(self):
        """Each of the market's 256 stays; lines of further ones are bad, and only they."""
        server = harness.Server()
        self.addCleanup(server.__exit__)
        server.start()
        api = server.client()
        api.put("/v1/market/items", [item(1)])
        rows = [ask(1, 1000 + i, "p%d" % i) for i in range(300)]
        a = api.post("/v1/market/asks", lines(rows), content_type=NDJSON)
        self.assertEqual((a.status, a.json["accepted"], a.json["rejected"]), (200, 256, 44), a)
        self.assertEqual({(e["code"], e["pointer"]) for e in a.json["errors"]}, {("limit_reached", "/provider")})
        self.assertEqual([e["line"] for e in a.json["errors"]], list(range(257, 301)))
        a = api.post("/v1/market/bids", lines([bid(1, 5, "p999"), bid(1, 6, "p255")]), content_type=NDJSON)
        self.assertEqual((a.json["accepted"], a.json["errors"][0]["line"]), (1, 1))
        self.assertEqual(server.stop(), 0)

    # ---- who may, and how ----

    def test_who_may(self):
        self.put_items(AK)
        writes = (("PUT", "items", lines([item(1)])), ("POST", "asks", lines([ask(AK, 1)])), ("POST", "bids", lines([bid(AK, 1)])),
                  ("PUT", "fx", {"rates": {}}))
        for scope in ("publish", "manage", "read"):
            c = self.server.client(scope)
            self.assertEqual(c.get("/v1/market/items/%d" % AK).status, 200)
            for method, path, body in writes:
                a = self.expect(c.request(method, "/v1/market/" + path, body, content_type=NDJSON), 403, "missing_scope")
                self.assertEqual(a.json["scope"], "admin")
        for key, code in ((None, "missing_key"), (self.server.make_key("read,manage", None, "--dialect", "cs2cap"), "invalid_key")):
            c = harness.Client(self.server, key)
            self.expect(c.get("/v1/market/items/%d" % AK), 401, code)
            for method, path, body in writes:
                self.expect(c.request(method, "/v1/market/" + path, body), 401, code)

    def test_requests(self):
        for method, path in (("PUT", "items"), ("POST", "asks"), ("POST", "bids")):
            for kind in (None, "text/plain", "application/xml"):
                a = self.expect(self.api.request(method, "/v1/market/" + path, b"[]", content_type=kind), 415, "unsupported_media_type")
                self.assertIn(NDJSON, a.headers["accept-post"])
            self.expect(self.api.request(method, "/v1/market/%s?x=1" % path, b"[]"), 400, "bad_parameter")
        for method, path in (("GET", "asks"), ("POST", "items"), ("PUT", "bids"), ("DELETE", "items/1"), ("POST", "fx")):
            self.expect(self.api.request(method, "/v1/market/" + path), 405, "method_not_allowed")
        self.expect(self.api.get("/v1/market"), 404, "no_route")

    # ---- exchange rates ----

    def test_fx_exact(self):
        """Rates stay decimals: a threshold met exactly fires where a float would miss, and one just missed does not."""
        self.put_items(AK)
        self.api.webhook(self.url("ok"), event_types=["alert.triggered"])
        for rate, cents, threshold, just_under in (
                ("1.1", 110, "1.21", "1.209999"), ("0.1", 300, "0.3", "0.299999"), ("0.92", 1950, "17.94", "17.939999"),
                ("9.2e-1", 1950, "17.94", "17.939999"), ("149.51", 7, "10.4657", "10.465699"), ("0.00000001", 10000, "0.000001", None),
                ("0.07", 100, "0.07", "0.069999"), ("1.005", 100, "1.005", "1.004999"), ("16384.12345678", 100000000, "16384123456.78", "16384123456.779999"),
                ("0.57", 100, "0.57", "0.569999"), ("33.33333333", 300, "99.999999", None)):
            a = self.api.put("/v1/market/fx", b'{"rates":{"EUR":%s}}' % rate.encode())
            self.assertEqual(a.status, 200, a)
            self.asks(ask(AK, None))
            below, above = (self.api.post("/v1/alerts", {"item_id": AK, "kind": kind, "threshold": threshold, "currency": "EUR"}).json
                            for kind in ("price_below", "price_above"))
            missed = just_under and self.api.post("/v1/alerts", {"item_id": AK, "kind": "price_below", "threshold": just_under,
                                                                 "currency": "EUR"}).json
            self.asks(ask(AK, cents))
            if just_under:
                self.assertFalse(self.settled(below), (rate, cents))
                self.assertTrue(self.settled(missed), (rate, cents))
            self.assertFalse(self.settled(above), (rate, cents))
            for alert in filter(None, (below, above, missed)):
                self.api.delete("/v1/alerts/" + alert["id"])

    def settled(self, alert):
        """Whether the alert is enabled once the next one of its item, made now and true for sure, has fired."""
        probe = self.api.post("/v1/alerts", {"item_id": AK, "kind": "price_above", "threshold": "0.000001", "currency": "USD"}).json
        until(lambda: not self.api.get("/v1/alerts/" + probe["id"]).json["enabled"], "the probe to fire")
        self.api.delete("/v1/alerts/" + probe["id"])
        return self.api.get("/v1/alerts/" + alert["id"]).json["enabled"]

    def test_fx_answers_what_it_took(self):
        a = self.api.put("/v1/market/fx", b'{"timestamp":"2026-04-12T20:00:00+02:00","rates":{"USD":1,"EUR":0.920,"JPY":1.495e2,"XAU":0.00000001}}')
        self.assertEqual((a.status, a.body), (200, b'{"timestamp":"2026-04-12T18:00:00.000Z","rates":{"USD":1,"EUR":0.92,"JPY":149.5,'
                                                   b'"XAU":0.00000001}}'))
        a = self.api.put("/v1/market/fx", {"rates": {}})
        self.assertEqual((a.status, a.json), (200, {"timestamp": None, "rates": {}}))

    def test_bad_fx(self):
        self.fx(EUR=0.92)
        for body, pointer in (
                ({}, "/rates"), ({"rates": None}, "/rates"), ({"rates": []}, "/rates"), ({"rates": {"eur": 1}}, "/rates/eur"),
                ({"rates": {"EURO": 1}}, "/rates/EURO"), ({"rates": {"": 1}}, "/rates/"), ({"rates": {"EUR": "0.92"}}, "/rates/EUR"),
                ({"rates": {"EUR": None}}, "/rates/EUR"), ({"rates": {"EUR": 0}}, "/rates/EUR"), ({"rates": {"EUR": -1}}, "/rates/EUR"),
                (b'{"rates":{"EUR":0.123456789}}', "/rates/EUR"), (b'{"rates":{"EUR":1e-9}}', "/rates/EUR"),
                (b'{"rates":{"EUR":0.1e400}}', "/rates/EUR"), (b'{"rates":{"EUR":1e11}}', "/rates/EUR"),
                (b'{"rates":{"EUR":1,"EUR":2}}', "/rates/EUR"), ({"rates": {"USD": 1.1}}, "/rates/USD"),
                ({"rates": {}, "base": "USD"}, "/base"), ({"rates": {}, "timestamp": "now"}, "/timestamp"),
                ({"rates": {"%s%s%s" % (a, b, c): 1 for a in "ABCDEFG" for b in "ABCDEFG" for c in "ABCDEFG"}}, "/rates")):
            self.expect(self.api.put("/v1/market/fx", body), 422, "invalid", pointer)
        for body, status in ((b"{", 400), (b"", 400), (b'{"rates":{"EUR":01}}', 400), (b'{"rates":{"EUR":NaN}}', 400)):
            self.expect(self.api.put("/v1/market/fx", body), status, "bad_json")
        self.expect(self.api.put("/v1/market/fx", b"{}", content_type="text/plain"), 415)
        # none of that changed anything, and a new table is the whole table
        self.put_items(AK)
        eur = {"item_id": AK, "kind": "price_below", "threshold": 1, "currency": "EUR", "enabled": False}
        self.assertEqual(self.api.post("/v1/alerts", eur).status, 201)
        self.fx(JPY=150)
        self.expect(self.api.post("/v1/alerts", eur), 422, "invalid", "/currency")
        self.assertEqual(self.api.post("/v1/alerts", dict(eur, currency="JPY")).status, 201)

    def test_metrics(self):
        self.put_items(AK, KNIFE)

        def values():
            text = harness.Client(self.server, None).get("/metrics").body
            if shutil.which("promtool"):
                done = subprocess.run(["promtool", "check", "metrics"], input=text, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
                self.assertEqual(done.returncode, 0, done.stdout)
            return {k: float(v) for k, v in (l.rsplit(" ", 1) for l in text.decode().splitlines() if l[0] != "#")}
        before = values()
        self.asks(ask(AK, 100, "metrics_a"), ask(AK, 101, "metrics_b"), ask(AK, None, "metrics_b"))
        after = values()
        self.assertEqual(after["hookline_market_ticks_total"] - before["hookline_market_ticks_total"], 3)
        self.assertEqual(after["hookline_market_quotes"] - before["hookline_market_quotes"], 1)
        self.assertGreaterEqual(after["hookline_market_items"], 2)
        self.assertGreater(after["hookline_alerts_memory_bytes"], 0)
        self.assertIn("hookline_alerts_fired_total", after)
        self.assertIn("hookline_alerts_enabled", after)
        self.assertGreater(after["hookline_market_log_bytes"], before["hookline_market_log_bytes"])
        self.assertIn("hookline_alerts_firing", after)


class Streams(Market, harness.Case):
    """Bodies of any length, and what survives."""

    def test_a_long_body_in_little_memory(self):
        n, chunk = (20000, 500) if SANITIZED else (300000, 5000)
        ids = list(range(1, 2001))
        self.stream("items", [item(i) for i in ids], "PUT")
        self.asks(*[ask(i, 1) for i in ids[:10]])
        before = self.server.status("RssAnon")
        feed = Feed(self.server, self.server.key, "asks")
        for start in range(0, n, chunk):
            rows = [ask(ids[i % 2000], 1000 + i, ("buff163", "csfloat", "steam")[i % 3]) for i in range(start, start + chunk)]
            text = lines(rows)
            if start == chunk:
                text += b"bad\n"
            feed.send(text)
        status, answer = feed.end()
        self.assertEqual((status, answer["accepted"], answer["rejected"]), (200, n, 1), answer)
        self.assertEqual(answer["errors"][0]["line"], 2 * chunk + 1)
        self.assertLess(self.server.status("RssAnon") - before, (40 if not SANITIZED else 200) * 1024)
        last = {}
        for i in range(n):
            last[(ids[i % 2000], i % 3)] = 1000 + i
        for id in (1, 2, 1999, 2000):
            self.assertEqual(self.best(id)[0], min(v for (k, _), v in last.items() if k == id))
        # the same length as one list in an envelope, whose head comes last
        feed = Feed(self.server, self.server.key, "bids", content_type="application/json")
        feed.send(b'{"items":[')
        for start in range(0, n // 4, chunk):
            rows = [json.dumps(bid(ids[i % 2000], 500 + i)) for i in range(start, start + chunk)]
            feed.send((("," if start else "") + ",".join(rows)).encode())
        feed.send(b'],"meta":{"x":1}}')
        status, answer = feed.end()
        self.assertEqual((status, answer["accepted"], answer["errors"]), (200, n // 4, []))

    def test_in_force_while_the_body_goes_on(self):
        self.put_items(5)
        feed = Feed(self.server, self.server.key, "asks")
        for cents in (300, 200, 100):
            feed.send(lines([ask(5, cents)]))
            until(lambda: self.best(5)[0] == cents, "the line in force")
        text = lines([ask(5, 50)])
        for i in range(len(text)):
            feed.send(text[i:i + 1])
        self.assertEqual(feed.end(), (200, {"accepted": 4, "rejected": 0, "errors": []}))
        self.assertEqual(self.best(5)[0], 50)

    def test_clients_that_vanish(self):
        self.put_items(6)
        for i in range(8):
            feed = Feed(self.server, self.server.key, "asks")
            feed.send(lines([ask(6, 1000 + i)] * 2000) + b'{"half')
            until(lambda: self.best(6)[0] == 1000 + i, "what had come")
            feed.sock.close()
        feed = Feed(self.server, self.server.key, "asks", length=10 ** 9)
        feed.sock.sendall(lines([ask(6, 5)]))
        until(lambda: self.best(6)[0] == 5)
        feed.sock.close()
        feed = Feed(self.server, self.server.key, "asks")       # a chunk that is none
        feed.sock.sendall(b"zz\r\n")
        status, answer = feed.answer()
        self.assertEqual((status, answer["code"]), (400, "bad_request"))
        self.assertEqual(self.best(6)[0], 5)

    def test_many_at_once(self):
        ids = list(range(3000, 3200))
        self.put_items(*ids)
        each = 500 if SANITIZED else 5000
        wrong = []

        def feed(k):
            c = self.server.client()
            rows = [ask(ids[(i * 7 + k) % 200], 1000 + i, "p%d" % k) for i in range(each)]
            a = c.post("/v1/market/asks", lines(rows), content_type=NDJSON)
            if (a.status, a.json["accepted"]) != (200, each):
                wrong.append(a)
        threads = [threading.Thread(target=feed, args=(k,)) for k in range(6)]
        [t.start() for t in threads]
        [t.join() for t in threads]
        self.assertEqual(wrong, [])

    def test_one_event_of_a_flood(self):
        """Thousands of ticks in one body, all of them true: one event; enabled again, one more."""
        self.put_items(7)
        self.fx(EUR=0.92)
        url = self.url("ok")
        w = self.api.webhook(url, event_types=["alert.triggered"])
        made = [self.api.post("/v1/alerts", dict(body, item_id=7)) for body in (
            {"kind": "price_below", "threshold": "20"}, {"kind": "price_above", "threshold": "5", "currency": "EUR"},
            {"kind": "spread_exceeds", "threshold": 1})]
        self.assertEqual({a.status for a in made}, {201}, made)
        ids = [a.json["id"] for a in made]
        self.bids(bid(7, 100))
        n = 1000 if SANITIZED else 8000
        flood = [ask(7, 1000 + i % 500, "p%d" % (i % 5)) for i in range(n)]
        for round in (1, 2):
            self.asks(*flood)
            until(lambda: not any(self.api.get("/v1/alerts/" + id).json["enabled"] for id in ids), "all three to fire")
            self.asks(*flood)
            for id in ids:
                events = self.api.get("/v1/alerts/events?alert=" + id).json["data"]
                self.assertEqual(len(events), round)
            for id in ids if round == 1 else ():
                self.assertEqual(self.api.patch("/v1/alerts/" + id, {"enabled": True}).status, 200)
        self.api.wait_deliveries("succeeded", 6, webhook=w["id"])
        self.assertEqual(len(self.got(url, 6)), 6)
        self.assertEqual(len(self.api.deliveries(webhook=w["id"])), 6)

    def test_restart_and_kill(self):
        """What was answered is there again, whatever ended the process."""
        ids = (AK, KNIFE, CASE)
        self.put_items(*ids)
        self.fx(EUR=0.92, JPY=149.5)
        self.asks(ask(AK, 1950), ask(AK, 2000, "csfloat"), ask(KNIFE, 99999999), ask(CASE, 3, link=None))
        self.bids(bid(AK, 1700), bid(KNIFE, 1))
        for how in ("kill", "restart", "kill"):
            before = [self.item(i) for i in ids]
            if how == "kill":
                self.server.kill()
                self.server.start()
            else:
                self.server.restart()
            self.assertEqual([self.item(i) for i in ids], before)
            self.asks(ask(AK, None if before[0]["best_ask"] == 1950 else 1950))
            self.assertEqual(self.best(AK)[0], 2000 if before[0]["best_ask"] == 1950 else 1950)
        a = self.api.post("/v1/alerts", {"item_id": AK, "kind": "price_above", "threshold": 1, "currency": "JPY", "enabled": False})
        self.assertEqual(a.status, 201, a)

    def test_killed_in_the_middle_of_a_flood(self):
        """Ticks acknowledged before are in force after; an alert they made true has fired exactly once."""
        self.put_items(8, 9)
        self.api.webhook(self.url("ok"), event_types=["alert.triggered"])
        alerts = [self.api.post("/v1/alerts", {"item_id": 8, "kind": "price_below", "threshold": "10.%02d" % i}).json["id"] for i in range(40)]
        feed = Feed(self.server, self.server.key, "asks")
        feed.send(lines([ask(9, 100 + i) for i in range(3000)]))
        self.asks(ask(8, 1020), ask(8, 1010))
        self.server.kill()
        feed.sock.close()
        self.server.start()
        self.assertEqual(self.best(8)[0], 1010)

        def fired():
            return {e["alert_id"]: e for e in self.api.get("/v1/alerts/events?limit=250").json["data"] if e["item"]["item_id"] == 8}
        until(lambda: len(fired()) == 30, "the thirty that were true")
        rows = [e["alert_id"] for e in self.api.get("/v1/alerts/events?limit=250").json["data"] if e["item"]["item_id"] == 8]
        self.assertEqual(len(rows), len(set(rows)))
        self.assertEqual(set(rows), set(alerts[10:]))
        for id in alerts:
            self.assertEqual(self.api.get("/v1/alerts/" + id).json["enabled"], id in alerts[:10])


if __name__ == "__main__":
    harness.main()
