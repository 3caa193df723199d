#!/usr/bin/env python3
"""What happens after an attempt: retries, hints, final answers, windows, pause, resume, delete, cancel, delays, expiry."""
import datetime
import time

import harness
from harness import until


def rfc3339(at):
    return datetime.datetime.fromtimestamp(at, datetime.timezone.utc).isoformat(timespec="milliseconds")


class Retry(harness.Case):
    settings = {"delivery.final_statuses": "400,405,411,413,414,415,422,431"}

    def hook(self, behaviour, **members):
        """A webhook of its own type; returns (type, url, webhook)."""
        url = self.url(behaviour)
        type = "t" + url.rsplit("/n", 1)[1]
        if members.get("format") == "telegram":
            url += "?chat_id=1"
        return type, url, self.api.webhook(url, event_types=[type], **members)

    def first(self, webhook, test=lambda d: d["attempt_count"] > 0):
        return until(lambda: [d for d in self.api.deliveries(webhook=webhook["id"]) if test(d)], "a first attempt")[0]

    def test_500_then_success(self):
        type, url, w = self.hook("flaky/2", retry=[1])
        event = self.api.publish(type)
        records = self.got(url, 3)
        self.assertEqual({r["headers"]["webhook-id"] for r in records}, {event["id"]})
        self.assertEqual([r["headers"]["hookline-attempt"] for r in records], ["1", "2", "3"])
        for r in records:
            self.assert_verified(w["secret"], r)
        self.assertGreater(int(records[2]["headers"]["webhook-timestamp"]), int(records[0]["headers"]["webhook-timestamp"]))
        for a, b in zip(records, records[1:]):
            self.assertTrue(0.9 < b["at"] - a["at"] < 5, b["at"] - a["at"])
        d = self.api.delivery(self.api.wait_deliveries("succeeded", webhook=w["id"])[0]["id"])
        self.assertEqual([(a["number"], a["trigger"], a["outcome"], a["http_status"]) for a in d["attempts"]],
                         [(1, "publish", "failed", 500), (2, "retry", "failed", 500), (3, "retry", "succeeded", 204)])
        self.assertEqual(d["attempts"][0]["error"]["class"], "http_status")
        self.assertEqual(d["attempts"][0]["response_body"], "not yet\n")
        self.assertIsNotNone(d["attempts"][0]["next_attempt_at"])
        self.assertIsNone(d["attempts"][2]["next_attempt_at"])

    def test_exponential_is_the_default(self):
        type, url, w = self.hook("status/500")
        self.assertIsNone(w["retry"])
        self.api.publish(type)
        d = self.first(w)
        due = datetime.datetime.fromisoformat(d["next_attempt_at"]) - datetime.datetime.fromisoformat(d["created_at"])
        self.assertTrue(5 <= due.total_seconds() < 7, due)

    def test_hourly(self):
        type, url, w = self.hook("status/401", retry="hourly")
        self.api.publish(type)
        d = self.first(w)
        due = datetime.datetime.fromisoformat(d["next_attempt_at"]) - datetime.datetime.fromisoformat(d["window_from"])
        self.assertEqual(due.total_seconds(), 3600)
        window = datetime.datetime.fromisoformat(d["window_until"]) - datetime.datetime.fromisoformat(d["window_from"])
        self.assertEqual(window.total_seconds(), 48 * 3600)

    def test_statuses_that_retry(self):
        for status in (302, 401, 403, 404, 408, 409, 425, 429, 500, 502, 503, 504, 599):
            type, url, w = self.hook("redirect" if status == 302 else "status/%d" % status)
            self.api.publish(type)
            d = self.first(w)
            self.assertEqual((d["status"], d["last_http_status"]), ("pending", status))

    def test_redirects_are_not_followed(self):
        type, url, w = self.hook("redirect")
        before = len(self.receiver.of("/ok"))
        self.api.publish(type)
        self.first(w)
        self.assertEqual(len(self.receiver.of("/ok")), before)

    def test_final_statuses(self):
        for status in (400, 405, 411, 413, 414, 415, 422, 431):
            type, url, w = self.hook("status/%d" % status)
            self.api.publish(type)
            d = self.api.wait_deliveries("failed", webhook=w["id"])[0]
            self.assertEqual((d["attempt_count"], d["last_http_status"], d["next_attempt_at"]), (1, status, None))
            self.assertEqual(self.api.get("/v1/webhooks/" + w["id"]).json["state"], "enabled")

    def test_hints(self):
        """Retry-After as seconds and as a date, Discord's and Telegram's body: the next attempt waits for them."""
        for behaviour, format, low, high in (("retry-after/100", "standard", 99, 102), ("retry-after/100/503", "standard", 99, 102),
                                             ("retry-after-date/100", "standard", 97, 102), ("discord-limit/40", "discord", 40, 43),
                                             ("telegram-limit/50", "telegram", 49, 52)):
            type, url, w = self.hook(behaviour, format=format, retry=[1])
            self.api.publish(type)
            d = self.first(w)
            at = self.api.delivery(d["id"])["attempts"][0]
            wait = datetime.datetime.fromisoformat(d["next_attempt_at"]) - datetime.datetime.fromisoformat(at["started_at"])
            self.assertTrue(low <= wait.total_seconds() <= high, (behaviour, wait))

    def test_short_hint_is_obeyed_once(self):
        type, url, w = self.hook("retry-after/1", retry=[600])
        self.receiver.script[url[len(self.receiver.url):]] = None
        self.api.publish(type)
        self.got(url, 2, timeout=10)

    def test_410_disables_and_holds(self):
        type, url, w = self.hook("status/500", retry=[3600])
        self.api.publish(type)
        self.first(w)
        path = url[len(self.receiver.url):]
        self.receiver.script[path] = "gone"
        self.api.publish(type)
        self.api.wait_deliveries("failed", webhook=w["id"])
        after = self.api.get("/v1/webhooks/" + w["id"]).json
        self.assertEqual((after["state"], after["enabled"]), ("disabled", False))
        self.assertIn("410", after["reason"])
        self.assertEqual(len(self.api.deliveries(webhook=w["id"], status="pending")), 1)
        self.assertEqual(self.api.publish(type)["deliveries"], 0)
        self.receiver.script[path] = "ok"
        self.assertEqual(self.api.patch("/v1/webhooks/" + w["id"], {"enabled": True}).json["state"], "enabled")
        self.api.wait_deliveries("succeeded", webhook=w["id"])

    def test_pause_and_resume(self):
        type, url, w = self.hook("status/503", retry=[3600])
        self.api.publish(type)
        self.first(w)
        self.assertEqual(self.api.patch("/v1/webhooks/" + w["id"], {"enabled": False}).json["state"], "paused")
        self.assertEqual(self.api.publish(type)["deliveries"], 0)
        self.assertEqual(len(self.api.deliveries(webhook=w["id"], status="pending")), 1)
        self.receiver.script[url[len(self.receiver.url):]] = "ok"
        self.assertEqual(self.api.patch("/v1/webhooks/" + w["id"], {"enabled": True}).json["state"], "enabled")
        self.api.wait_deliveries("succeeded", webhook=w["id"])
        self.assertEqual(len(self.got(url, 2)), 2)

    def test_paused_deliveries_survive_a_restart(self):
        type, url, w = self.hook("ok")
        at = rfc3339(time.time() + 2)
        self.api.publish(type, deliver_after=at)
        self.api.patch("/v1/webhooks/" + w["id"], {"enabled": False})
        self.server.restart()
        self.assertEqual(len(self.api.deliveries(webhook=w["id"], status="pending")), 1)
        self.api.patch("/v1/webhooks/" + w["id"], {"enabled": True})
        self.api.wait_deliveries("succeeded", webhook=w["id"])

    def test_delete_cancels(self):
        for drop in (False, True):
            type, url, w = self.hook("status/503", retry=[3600])
            events = [self.api.publish(type) for _ in range(3)]
            until(lambda: all(d["attempt_count"] for d in self.api.deliveries(webhook=w["id"])), "first attempts")
            self.expect(self.api.delete("/v1/webhooks/" + w["id"] + ("?drop_history=true" if drop else "")), 204)
            self.expect(self.api.get("/v1/webhooks/" + w["id"]), 404, "not_found")
            self.expect(self.api.delete("/v1/webhooks/" + w["id"]), 404)
            self.assertEqual(self.api.publish(type)["deliveries"], 0)
            if drop:
                until(lambda: self.api.deliveries(webhook=w["id"]) == [] and
                      self.api.deliveries(event=events[0]["id"]) == [], "the history to go")
            else:
                got = until(lambda: [d for d in self.api.deliveries(event=events[0]["id"]) if d["status"] == "cancelled"])
                self.assertEqual(got[0]["last_error"]["class"], "deleted")

    def test_cancel(self):
        type, url, w = self.hook("status/503", retry=[3600])
        self.api.publish(type)
        d = self.first(w)
        a = self.expect(self.api.post("/v1/deliveries/%s/cancel" % d["id"]), 200)
        self.assertEqual((a.json["status"], a.json["last_error"]["class"]), ("cancelled", "cancelled"))
        self.assertIsNotNone(a.json["completed_at"])
        self.expect(self.api.post("/v1/deliveries/%s/cancel" % d["id"]), 409, "conflict")
        self.expect(self.api.post("/v1/deliveries/%s/retry" % d["id"]), 200)

    def test_window_ends_in_failure(self):
        type, url, w = self.hook("status/500", retry=[1], window=2)
        self.api.publish(type)
        d = self.api.delivery(self.api.wait_deliveries("failed", webhook=w["id"], timeout=15)[0]["id"])
        self.assertEqual([a["number"] for a in d["attempts"]], [1, 2, 3])
        self.assertEqual(d["last_error"]["class"], "http_status")

    def test_deliver_after(self):
        type, url, w = self.hook("ok")
        at = time.time() + 1.5
        self.api.publish(type, deliver_after=rfc3339(at))
        d = self.api.deliveries(webhook=w["id"])[0]
        self.assertEqual((d["status"], d["attempt_count"]), ("pending", 0))
        self.assertEqual(d["window_from"], d["next_attempt_at"])
        record = self.got(url)[0]
        self.assertTrue(at - 0.01 <= record["at"] < at + 2, record["at"] - at)

    def test_expires_at(self):
        type, url, w = self.hook("status/500", retry=[1])
        self.api.publish(type, expires_at=rfc3339(time.time() + 2.2))
        d = self.api.wait_deliveries("failed", webhook=w["id"], timeout=15)[0]
        self.assertLessEqual(datetime.datetime.fromisoformat(d["window_until"]),
                             datetime.datetime.fromisoformat(d["created_at"]) + datetime.timedelta(seconds=2.3))
        late = [r for r in self.receiver.of(url[len(self.receiver.url):])
                if r["at"] > datetime.datetime.fromisoformat(d["window_until"]).timestamp() + 0.3]
        self.assertEqual(late, [])

    def test_expires_while_the_server_is_down(self):
        type, url, w = self.hook("status/500", retry=[2])
        self.api.publish(type, expires_at=rfc3339(time.time() + 1.2))
        d = self.first(w)
        self.server.stop()
        until(lambda: time.time() > datetime.datetime.fromisoformat(d["window_until"]).timestamp() + 0.1)
        self.server.start()
        d = self.api.delivery(self.api.wait_deliveries("failed", webhook=w["id"])[0]["id"])
        self.assertEqual((d["last_error"]["class"], d["attempt_count"]), ("expired", 1))

    def test_one_more_attempt_after_downtime(self):
        """The window ended while the server was down (a minute later it would be marked late)."""
        type, url, w = self.hook("status/500", retry=[3600], window=2)
        self.api.publish(type)
        d = self.first(w)
        self.server.stop()
        until(lambda: time.time() > datetime.datetime.fromisoformat(d["window_until"]).timestamp() + 0.1)
        self.server.start()
        d = self.api.delivery(self.api.wait_deliveries("failed", webhook=w["id"])[0]["id"])
        self.assertEqual([a["trigger"] for a in d["attempts"]], ["publish", "retry"])

    def test_park_probe_drain(self):
        """A dead receiver costs probes, not an attempt per delivery; its return drains everything."""
        type, url, w = self.hook("close")
        for i in range(60):
            self.api.publish(type, i)
        stats = until(lambda: (lambda s: s if s["parked"] else None)(self.api.get("/v1/webhooks/%s/stats" % w["id"]).json))
        self.assertEqual(stats["deliveries"]["pending"], 60)
        self.assertEqual(stats["pending_by_error"].get("reset", 0) + stats["pending_by_error"].get("none", 0), 60)
        self.assertLess(len(self.receiver.of(url[len(self.receiver.url):])), 40)
        row = [r for r in self.api.get("/v1/undelivered").json["data"] if r["webhook_id"] == w["id"]][0]
        self.assertEqual((row["pending"], row["parked"], row["last_error"]["class"]), (60, True, "reset"))
        self.receiver.script[url[len(self.receiver.url):]] = "ok"
        self.api.wait_deliveries("succeeded", 60, webhook=w["id"], timeout=20)
        triggers = {a["trigger"] for d in self.api.deliveries(webhook=w["id"])
                    for a in self.api.delivery(d["id"])["attempts"]}
        self.assertIn("probe", triggers)

    def test_rate_and_concurrency_of_a_webhook(self):
        type, url, w = self.hook("ok", rate_limit=10)
        for i in range(25):
            self.api.publish(type, i)
        records = self.got(url, 25)
        self.assertGreater(records[24]["at"] - records[0]["at"], 1.0)
        type, url, w = self.hook("slow/100", max_in_flight=1)
        for i in range(8):
            self.api.publish(type, i)
        records = self.got(url, 8)
        self.assertGreater(min(b["at"] - a["at"] for a, b in zip(records, records[1:])), 0.09)

    def test_one_hung_receiver_does_not_slow_the_others(self):
        hung = self.api.webhook(self.url("hang"), event_types=["mixed"], timeout=2)
        fine = self.url("ok")
        self.api.webhook(fine, event_types=["mixed"])
        for i in range(50):
            self.api.publish("mixed", i)
        start = time.monotonic()
        self.got(fine, 50)
        self.assertLess(time.monotonic() - start, 2)
        self.api.delete("/v1/webhooks/" + hung["id"])


if __name__ == "__main__":
    harness.main()
