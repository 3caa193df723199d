#!/usr/bin/env python3
"""Two days of the real program in seconds of ours, by libfaketime: subscriptions of dialect aboutyou whose receiver is down
for good, and one whose receiver comes back after thirty hours.

The library reads the time from a file. Between two looks at it both clocks of the program (wall and monotonic) go at their
usual pace; then the file says a minute more, the program is woken by a request, and everything that fell due in that
minute happens. That is repeated three thousand times. Running the clock faster instead ("x3600") would also take a
minute, but every millisecond of ours between two readings of a clock would be 3.6 s of the program's, which no program
takes for one moment: it would test the library's clocks, not our schedule.

The receivers live in real time; what is checked are the times the program itself notes with each attempt."""
import datetime
import glob
import hashlib
import hmac
import http.server
import json
import os
import signal
import socket
import tempfile
import threading
import time
import unittest

import harness
from harness import Server, until

HOUR, STEP = 3600, 60
EPOLL = ("232", "281", "22")    # epoll_wait, epoll_pwait; the latter on arm64
SLACK = 60     # seconds of the program's time an attempt may come after its hour: the pace between steps is ours


def at(text):
    return datetime.datetime.strptime(text, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=datetime.timezone.utc).timestamp()


class Clock:
    """The program's: real time and what advance() added."""

    def __init__(self):
        found = glob.glob("/usr/lib/*/faketime/libfaketimeMT.so.1")
        if not found:
            raise AssertionError("the Debian package libfaketime is missing: tools/deps install test")
        self.folder = tempfile.TemporaryDirectory(prefix="hl-clock-")
        self.file = os.path.join(self.folder.name, "now")
        self.ahead_s = 0
        self.env = {"LD_PRELOAD": found[0], "FAKETIME_TIMESTAMP_FILE": self.file, "FAKETIME_NO_CACHE": "1"}
        self.advance(0)

    def advance(self, seconds):
        self.ahead_s += seconds
        with open(self.file + ".new", "w", encoding="ascii") as f:
            f.write("+%d\n" % self.ahead_s)
        os.rename(self.file + ".new", self.file)    # it is read at any moment


class Receiver:
    """Refuses connections at a port that is its own, until come_back()."""

    def __init__(self):
        self.socket = socket.socket()
        self.socket.bind(("127.0.0.1", 0))
        self.url = "http://127.0.0.1:%d/hook" % self.socket.getsockname()[1]
        self.requests = []
        self.server = None

    def come_back(self):
        requests = self.requests

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                requests.append((self.headers, self.rfile.read(int(self.headers["Content-Length"]))))
                self.send_response(204)
                self.end_headers()

            def log_message(self, *args):
                pass
        self.server = http.server.HTTPServer(self.socket.getsockname(), Handler, bind_and_activate=False)
        self.server.socket.close()
        self.server.socket = self.socket
        self.socket.listen(5)
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def stop(self):
        if self.server:
            self.server.shutdown()
        self.socket.close()


@unittest.skipIf(harness.SANITIZED, "the sanitizer and libfaketime both want to be loaded first")
class TwoDays(unittest.TestCase):
    maxDiff = None

    def setUp(self):
        self.clock = Clock()
        self.addCleanup(self.clock.folder.cleanup)
        self.server = Server(settings={"server.sandbox": "off"})  # the program reads the clock's file all the time
        self.addCleanup(self.server.__exit__)
        self.api = self.server.client()                     # keys are made before time begins to move
        self.shop = harness.Client(self.server, None)
        self.shop.headers = {"X-API-Key": self.server.make_key("manage", None, "--dialect", "aboutyou")}
        self.server.env = dict(self.server.env, **self.clock.env)
        self.server.start()

    def subscribe(self, event, url):
        a = self.shop.post("/api/v1/webhooks/", {"url": url, "events": [event]})
        self.assertEqual(a.status, 200, a)
        return a.json

    def publish(self, type):
        """The one delivery, after its first attempt."""
        event = self.api.publish(type, {"n": 1})
        return until(lambda: [d for d in self.api.deliveries(event=event["id"]) if d["attempt_count"] == 1], "a first attempt")[0]["id"]

    def proc(self, name):
        with open("/proc/%d/%s" % (self.server.process.pid, name), encoding="ascii") as f:
            return f.read()

    def status(self):
        lines = dict(line.split(":\t", 1) for line in self.proc("status").splitlines())
        return lines["State"][0], lines["voluntary_ctxt_switches"], lines["nonvoluntary_ctxt_switches"]

    def stopped_at_rest(self):
        """Stops the program, and lets it go on unless its loop is in epoll: only there it has no reading of one clock in its
        hands and the other one still to read. (Whether it is in epoll only root is told of a program that hides from
        debuggers; to others one that just slept for a moment is as good, nearly always.)"""
        before = self.status()
        time.sleep(0.0003)
        asleep = before[0] == "S" and self.status() == before
        self.server.process.send_signal(signal.SIGSTOP)
        until(lambda: self.status()[0] == "T", "the program to stop", every=0.0001)
        try:
            asleep = self.proc("syscall").split()[0] in EPOLL
        except PermissionError:
            pass
        if not asleep:
            self.server.process.send_signal(signal.SIGCONT)
        return asleep

    def advance(self):
        until(self.stopped_at_rest, "rest", every=0.0005)
        self.clock.advance(STEP)
        self.server.process.send_signal(signal.SIGCONT)
        self.wake()

    def wake(self):
        """Three turns of the program's loop at the new time: what fell due has been begun."""
        for _ in range(3):
            self.assertEqual(self.api.get("/livez").status, 200)

    def count(self, id):
        return self.api.delivery(id)["attempt_count"]

    def until_hour(self, hour, expected):
        """On to that hour since the first attempts, in steps. expected: {delivery: attempts there must be at each hour}, as a
        function of the hour; between the hours nothing may happen."""
        while self.clock.ahead_s < hour * HOUR:
            full_before = self.clock.ahead_s // HOUR
            self.advance()
            full = self.clock.ahead_s // HOUR
            for id, attempts in expected.items():
                if full > full_before:
                    until(lambda: self.count(id) >= attempts(full), "hour %d: attempt %d" % (full, attempts(full)))
                self.assertEqual(self.count(id), attempts(full), "after %d s" % self.clock.ahead_s)

    def check_hourly(self, d, n):
        """n attempts, one at each full hour of the window by the program's own clock."""
        begin = at(d["window_from"])
        self.assertEqual(at(d["window_until"]) - begin, 48 * HOUR)
        self.assertEqual([a["number"] for a in d["attempts"]], list(range(1, n + 1)))
        for hour, a in enumerate(d["attempts"]):
            late = at(a["started_at"]) - begin - hour * HOUR
            self.assertTrue(-2 <= late <= SLACK, "attempt %d came %.1f s after its hour" % (hour + 1, late))
        self.assertEqual(d["attempts"][0]["trigger"], "publish")
        self.assertLessEqual({a["trigger"] for a in d["attempts"][1:]}, {"retry", "probe"})
        self.assertGreaterEqual(at(d["completed_at"]), at(d["attempts"][-1]["started_at"]))

    def test_two_days(self):
        dead, late, native = Receiver(), Receiver(), Receiver()
        for r in (dead, late, native):
            self.addCleanup(r.stop)
        self.subscribe("order.created", dead.url)
        hook = self.subscribe("order.shipped", late.url)
        # beside them, the same schedule without strictness: it is probed between the hours, so the steps do reach the program
        self.api.webhook(native.url, event_types=["native"], retry="hourly")
        gone, back, loose = (self.publish(type) for type in ("order.created", "order.shipped", "native"))

        def each_hour(hour):
            return min(hour + 1, 49)

        def until_thirty_one(hour):
            return min(hour + 1, 32)
        both = {gone: each_hour, back: until_thirty_one}
        self.until_hour(20, both)
        self.server.kill()                                   # in between, a crash
        self.server.start()
        self.assertEqual((self.count(gone), self.count(back)), (21, 21))
        self.until_hour(30, both)
        self.assertGreater(self.count(loose), 100)
        late.come_back()
        native.come_back()
        self.until_hour(31, {gone: each_hour, back: lambda hour: until_thirty_one(hour) if hour > 30 else 31})
        until(lambda: self.api.delivery(back)["status"] == "succeeded", "the delivery at the next full hour")
        self.until_hour(48, both)
        until(lambda: self.api.delivery(gone)["status"] == "failed", "the end")
        self.until_hour(51, both)                            # and nothing after it

        d = self.api.delivery(gone)
        self.assertEqual((d["status"], d["attempt_count"], d["next_attempt_at"]), ("failed", 49, None))
        self.check_hourly(d, 49)
        self.assertEqual({a["error"]["class"] for a in d["attempts"]}, {"connect"})
        self.assertEqual(dead.requests, [])

        d = self.api.delivery(back)
        self.assertEqual((d["status"], d["attempt_count"]), ("succeeded", 32))
        self.check_hourly(d, 32)
        self.assertEqual([a["outcome"] for a in d["attempts"]], ["failed"] * 31 + ["succeeded"])
        (headers, body), = late.requests
        self.assertEqual((json.loads(body)["event"], json.loads(body)["subscription_id"]), ("order.shipped", hook["id"]))
        self.assertEqual(headers["X-Signature"], hmac.new(hook["client_secret"].encode(), body, hashlib.sha256).hexdigest())
        self.assertEqual(headers["hookline-attempt"], "32")
        # signed with the program's time of that attempt
        self.assertLessEqual(abs(int(headers["webhook-timestamp"]) - at(d["attempts"][-1]["started_at"])), 2)

        d = self.api.delivery(loose)
        self.assertEqual(d["status"], "succeeded")
        self.assertTrue(native.requests)                     # perhaps more than once: a minute may pass within an attempt of this one
        self.assertIn("probe", {a["trigger"] for a in d["attempts"]})
        self.assertLess(at(d["completed_at"]) - at(d["window_from"]), 31 * HOUR - STEP, "not only at the next hour")
        self.assertEqual(self.server.stop(), 0)
        code, out, err = self.server.check()
        self.assertEqual((code, "clean" in out), (0, True), out + err)
        self.assertNotIn("level=error", self.server.log(all_runs=True))


if __name__ == "__main__":
    harness.main()
