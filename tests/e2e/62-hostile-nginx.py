#!/usr/bin/env python3
"""The hostile requests of hostile/*.txt through a real nginx with docs/nginx.conf. nginx refuses, or repairs, or passes on
and Hookline judges; but never do the two read one thing in two ways: Hookline acts on exactly as many requests as nginx
sent it, the hidden ones are never stored, and the next client on the same upstream connections gets its own answer.

    62-hostile-nginx.py --show        what nginx answers where the files say nothing about it"""
import collections
import importlib
import re
import shutil
import sys
import unittest

import harness
import hostile
from harness import until

nginx = importlib.import_module("60-nginx")
SHOW = "--show" in sys.argv


@unittest.skipUnless(shutil.which("nginx"), "nginx is not installed")
class HostileBehindNginx(harness.Case):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.nginx = nginx.Nginx(cls.server.unix, [(r"rate=200r/s", "rate=100000r/s")], "access.log upstream")
        cls.addClassCleanup(cls.nginx.stop)
        cls.through = nginx.Client(cls.nginx, cls.server, cls.server.key)
        cls.cases = hostile.cases(cls.server.key)

    def stored(self):
        found, cursor = collections.Counter(), ""
        while cursor is not None:
            a = self.api.get("/v1/events?limit=250" + (cursor and "&cursor=" + cursor)).json
            found.update(e["type"] for e in a["data"])
            cursor = a["next_cursor"]
        return found

    def sent_on(self):
        """How many requests nginx sent to Hookline so far."""
        with open(self.nginx.folder + "/access.log", encoding="latin-1") as f:
            return sum(line.split(" ", 2)[1] != "-" for line in f)

    def acted_on(self):
        """How many requests Hookline handled so far and how many it refused, those about metrics and listings left out."""
        text = self.api.get("/metrics").body.decode()
        handled = re.findall(r'hookline_http_requests_total{method="(\w+)",route="([^"]*)",code="\d+"} (\d+)', text)
        refused = re.search(r"^hookline_http_refused_total (\d+)", text, re.M)
        return sum(int(n) for method, route, n in handled if (method, route) not in (("GET", "/metrics"), ("GET", "/v1/events"))), int(refused[1])

    def send_all(self, way):
        wrong, before = [], self.stored()
        sent, (acted, refused) = self.sent_on(), self.acted_on()
        expected = collections.Counter(before)
        for number, case in self.cases:
            seen = hostile.verdict(hostile.exchange(hostile.connect(self.nginx.plain), way(case), half=case.alone))
            if not hostile.matches(seen, case.nginx):
                wrong.append("%s: %s instead of %s" % (case.name, " ".join(seen), " ".join(case.nginx)))
            elif SHOW and case.nginx == (hostile.SAFE,):
                print("%-12s %s" % (" ".join(seen), case.name))
            expected.update(hostile.stored_by(seen, case.nginx, number))
        stored = self.stored()
        self.assertEqual((wrong, stored - expected, expected - stored), ([], {}, {}))
        acted, refused = self.acted_on()[0] - acted, self.acted_on()[1] - refused
        until(lambda: acted <= self.sent_on() - sent <= acted + refused, "as many requests here (%d, %d refused) as there (%d)" %
              (acted, refused, self.sent_on() - sent))

    def test_whole(self):
        self.send_all(hostile.whole)

    def test_byte_by_byte(self):
        self.send_all(hostile.by_bytes)

    def test_metrics_stay_inside(self):
        """docs/nginx.conf keeps /metrics from everybody but this machine, and no spelling of it comes in by another door."""
        for path in ("/metrics", "//metrics", "/./metrics", "/x/../metrics", "/metrics/", "/metrics/.", "/metrics?", "/metrics?x", "/metrics;x",
                     "/%6detrics", "/metric%73", "/metrics%20", "/metrics%3f", "/metrics%23", "/metrics%2f", "/%2fmetrics", "/v1/..%2fmetrics",
                     "/v1/webhooks/..%2f..%2fmetrics", "/METRICS", "http://other/metrics", "//other/metrics", "/metrics\\", "/\\metrics",
                     "/v1/market/items/../../../metrics", "/v1/events/batch/../../../metrics"):
            for fields in ("", "X-Original-URL: /metrics\r\n", "X-Forwarded-For: 127.0.0.1\r\nX-Real-IP: 127.0.0.1\r\n"):
                data = "GET %s HTTP/1.1\r\nHost: x\r\n%sConnection: close\r\n\r\n" % (path, fields)
                got = hostile.exchange(hostile.connect(self.nginx.plain), [data.encode()])
                self.assertGreaterEqual(hostile.verdict(got), ("400",), (path, got[:200]))
                self.assertNotIn(b"hookline_", got, path)
        self.assertIn(b"hookline_", self.through.get("/metrics").body)


if __name__ == "__main__":
    sys.argv = [a for a in sys.argv if a != "--show"]
    harness.main()
