#!/usr/bin/env python3
"""What an operator does with webhooks and deliveries: rotate, retry, recover, replay, test, verify, look at what waits."""
import base64
import datetime
import json
import os
import threading
import time

import harness
from harness import GOOD, Verifier, until


def timestamp(text):
    return datetime.datetime.fromisoformat(text).timestamp()


class Operate(harness.Case):
    def hook(self, behaviour, **members):
        url = self.url(behaviour)
        type = "t" + url.rsplit("/n", 1)[1]
        return type, url, self.api.webhook(url, event_types=[type], **members)

    def script(self, url, behaviour):
        self.receiver.script[url[len(self.receiver.url):]] = behaviour

    # ---- secrets ----

    def test_rotate_with_overlap(self):
        type, url, w = self.hook("ok")
        a = self.expect(self.api.post("/v1/webhooks/%s/rotate-secret" % w["id"], {"overlap": 3600}), 200).json
        self.assertNotEqual(a["secret"], w["secret"])
        self.assertEqual(a["secret"][-4:], a["secret_last4"])
        self.assertTrue(3500 < timestamp(a["previous_secret_until"]) - time.time() < 3601)
        self.api.publish(type)
        record = self.got(url)[0]
        self.assertEqual(len(record["headers"]["webhook-signature"].split(" ")), 2)
        self.assertEqual(Verifier.verdicts(a["secret"], record), GOOD)
        self.assertEqual(Verifier.verdicts(w["secret"], record), GOOD)

    def test_rotate_without_overlap(self):
        type, url, w = self.hook("ok")
        mine = "whsec_" + base64.b64encode(os.urandom(40)).decode()
        a = self.api.post("/v1/webhooks/%s/rotate-secret" % w["id"], {"overlap": 0, "secret": mine}).json
        self.assertEqual((a["secret"], a["previous_secret_until"]), (mine, None))
        self.api.publish(type)
        record = self.got(url)[0]
        self.assertEqual(Verifier.verdicts(mine, record), GOOD)
        self.assertTrue(all(v != "ok" for v in Verifier.verdicts(w["secret"], record).values()))

    def test_overlap_ends(self):
        type, url, w = self.hook("ok")
        a = self.api.post("/v1/webhooks/%s/rotate-secret" % w["id"], {"overlap": 1}).json
        until(lambda: time.time() > timestamp(a["previous_secret_until"]) + 0.05)
        self.api.publish(type)
        self.assertEqual(len(self.got(url)[0]["headers"]["webhook-signature"].split(" ")), 1)

    def test_overlap_defaults_to_a_day_and_survives_a_restart(self):
        type, url, w = self.hook("ok")
        a = self.expect(self.api.post("/v1/webhooks/%s/rotate-secret" % w["id"]), 200).json
        self.assertTrue(86300 < timestamp(a["previous_secret_until"]) - time.time() < 86401)
        self.server.restart()
        self.api.publish(type)
        record = self.got(url)[0]
        for secret in (a["secret"], w["secret"]):
            self.assertEqual(Verifier.verdicts(secret, record), GOOD)

    # ---- deliveries once more ----

    def test_retry_of_a_failed_one(self):
        type, url, w = self.hook("status/400")
        self.api.publish(type)
        d = self.api.wait_deliveries("failed", webhook=w["id"])[0]
        self.script(url, "ok")
        a = self.expect(self.api.post("/v1/deliveries/%s/retry" % d["id"], {}), 200).json
        self.assertEqual((a["id"], a["status"]), (d["id"], "pending"))
        d = self.api.delivery(self.api.wait_deliveries("succeeded", webhook=w["id"])[0]["id"])
        self.assertEqual([x["trigger"] for x in d["attempts"]], ["publish", "manual"])
        self.assertGreater(timestamp(d["window_from"]), timestamp(d["created_at"]) - 0.001)

    def test_retry_of_a_waiting_one_is_at_once(self):
        type, url, w = self.hook("status/500", retry=[3600])
        self.api.publish(type)
        d = until(lambda: [d for d in self.api.deliveries(webhook=w["id"]) if d["attempt_count"]])[0]
        self.script(url, "ok")
        self.expect(self.api.post("/v1/deliveries/%s/retry" % d["id"]), 200)
        self.api.wait_deliveries("succeeded", webhook=w["id"])

    def test_retry_of_a_succeeded_one_sends_again(self):
        type, url, w = self.hook("ok")
        self.api.publish(type)
        d = self.api.wait_deliveries("succeeded", webhook=w["id"])[0]
        self.expect(self.api.post("/v1/deliveries/%s/retry" % d["id"]), 200)
        records = self.got(url, 2)
        self.assertEqual(records[0]["headers"]["webhook-id"], records[1]["headers"]["webhook-id"])

    def test_retry_new_and_wait(self):
        """A new single-shot delivery, answered with its outcome; it passes pause and parking."""
        type, url, w = self.hook("status/500", retry=[3600])
        self.api.publish(type)
        d = until(lambda: [d for d in self.api.deliveries(webhook=w["id"]) if d["attempt_count"]])[0]
        self.api.patch("/v1/webhooks/" + w["id"], {"enabled": False})
        path = "/v1/deliveries/%s/retry" % d["id"]
        a = self.expect(self.api.post(path, {"new": True, "wait": True}), 200).json
        self.assertEqual((a["success"], a["http_status"], a["delivery"]["status"]), (False, 500, "failed"))
        self.script(url, "ok")
        a = self.expect(self.api.post(path, {"new": True, "wait": True}), 200).json
        self.assertEqual((a["success"], a["http_status"], a["attempt"]["trigger"]), (True, 204, "manual"))
        self.assertEqual((a["delivery"]["single_shot"], a["delivery"]["status"]), (True, "succeeded"))
        self.assertEqual(a["delivery"]["retry_of"], d["id"])
        self.assertNotEqual(a["delivery"]["id"], d["id"])
        self.assertEqual(a["delivery"]["event_id"], d["event_id"])
        self.assertEqual(self.api.delivery(d["id"])["status"], "pending")
        self.expect(self.api.post(path, {"new": True}), 422, "invalid")
        self.expect(self.api.post(path, {"wait": True}), 422, "invalid")

    def test_retry_new_with_idempotency_key(self):
        type, url, w = self.hook("slow/300")
        self.api.publish(type)
        d = self.api.wait_deliveries("succeeded", webhook=w["id"])[0]
        path, headers = "/v1/deliveries/%s/retry" % d["id"], {"Idempotency-Key": "once-" + type}
        answers = []
        threads = [threading.Thread(target=lambda: answers.append(
            self.api.post(path, {"new": True, "wait": True}, headers=headers))) for _ in range(2)]
        [t.start() for t in threads]
        [t.join() for t in threads]
        self.assertEqual(sorted(a.status for a in answers), [200, 409], answers)
        good, = [a for a in answers if a.status == 200]
        self.expect([a for a in answers if a.status == 409][0], 409, "idempotency_in_progress")
        again = self.expect(self.api.post(path, {"new": True, "wait": True}, headers=headers), 200)
        self.assertEqual((again.body, again.headers["idempotent-replayed"]), (good.body, "true"))
        self.assertEqual(len(self.got(url, 2)), 2)

    def test_retry_for_a_deleted_webhook(self):
        type, url, w = self.hook("ok")
        event = self.api.publish(type)
        d = self.api.wait_deliveries("succeeded", webhook=w["id"])[0]
        self.api.delete("/v1/webhooks/" + w["id"])
        self.expect(self.api.post("/v1/deliveries/%s/retry" % d["id"]), 409, "conflict")
        self.expect(self.api.post("/v1/deliveries/%s/retry" % d["id"], {"new": True, "wait": True}), 409, "conflict")
        self.assertEqual(self.api.post("/v1/events/%s/replay" % event["id"]).json["deliveries"], 0)

    def test_recover(self):
        type, url, w = self.hook("status/400")
        for i in range(12):
            self.api.publish(type, i)
        failed = self.api.wait_deliveries("failed", 12, webhook=w["id"])
        middle = sorted(d["created_at"] for d in failed)[6]
        path = "/v1/webhooks/%s/recover" % w["id"]
        self.script(url, "ok")
        for body, n in (({"dry_run": True}, 12), ({"dry_run": True, "type": "nothing"}, 0), ({"dry_run": True, "type": type}, 12),
                        ({"dry_run": True, "error_class": "http_status"}, 12), ({"dry_run": True, "error_class": "timeout"}, 0),
                        ({"dry_run": True, "until": "2020-01-01T00:00:00Z"}, 0)):
            a = self.expect(self.api.post(path, body), 202).json
            self.assertEqual(a, {"matching": n, "dry_run": True}, body)
        later = self.api.post(path, {"dry_run": True, "since": middle}).json["matching"]
        earlier = self.api.post(path, {"dry_run": True, "until": middle}).json["matching"]
        self.assertEqual(later + earlier, 12)
        self.assertTrue(0 < later < 12)
        self.assertEqual(len(self.api.deliveries(webhook=w["id"], status="failed")), 12)
        a = self.expect(self.api.post(path, {"since": middle}), 202).json
        self.assertEqual(a, {"matching": later, "dry_run": False})
        self.api.wait_deliveries("succeeded", later, webhook=w["id"])
        self.assertEqual(len(self.api.deliveries(webhook=w["id"], status="failed")), earlier)
        self.assertEqual(self.expect(self.api.post(path), 202).json["matching"], earlier)
        self.api.wait_deliveries("succeeded", 12, webhook=w["id"])

    def test_replay(self):
        type, url, w = self.hook("ok")
        event = self.api.publish(type, {"n": 1.0})
        other = self.url("ok")
        w2 = self.api.webhook(other, event_types=[type])
        path = "/v1/events/%s/replay" % event["id"]
        a = self.expect(self.api.post(path, {"webhook": w2["id"]}), 202).json
        self.assertEqual((a["id"], a["deliveries"], a["replayed"]), (event["id"], 1, False))
        record = self.got(other)[0]
        self.assertEqual(record["headers"]["webhook-id"], event["id"])
        a = self.expect(self.api.post(path, headers={"Idempotency-Key": "replay-" + type}), 202)
        self.assertEqual(a.json["deliveries"], 2)
        again = self.expect(self.api.post(path, headers={"Idempotency-Key": "replay-" + type}), 202)
        self.assertEqual((again.body, again.headers["idempotent-replayed"]), (a.body, "true"))
        self.assertEqual(len(self.got(other, 2)), 2)
        self.assertEqual(len(self.got(url, 2)), 2)
        self.assertEqual(len(self.api.deliveries(event=event["id"])), 4)

    # ---- test and verify ----

    def test_test(self):
        type, url, w = self.hook("status/202", enabled=False)
        path = "/v1/webhooks/%s/test" % w["id"]
        a = self.expect(self.api.post(path, b'{"type":"hello","data":{"a":1.0}}'), 200).json
        self.assertEqual((a["success"], a["http_status"], a["attempt"]["trigger"]), (True, 202, "test"))
        record = self.got(url)[0]
        self.assertEqual(Verifier.verdicts(w["secret"], record), GOOD)
        self.assertIn(b'"type":"hello"', record["body"])
        self.assertIn(b'{"a":1.0}', record["body"])
        self.assertTrue(self.expect(self.api.post(path), 200).json["success"])
        self.script(url, "status/418")
        a = self.expect(self.api.post(path, {}), 200).json
        self.assertEqual((a["success"], a["http_status"], a["attempt"]["error"]["class"]), (False, 418, "http_status"))
        self.assertEqual(a["attempt"]["response_body"], "status 418\n")
        self.assertEqual(self.api.deliveries(webhook=w["id"]), [])

    def test_verify(self):
        type, url, w = self.hook("ok")
        path = "/v1/webhooks/%s/verify" % w["id"]
        a = self.expect(self.api.post(path), 200).json
        self.assertEqual((a["success"], a["url_allowed"], a["address"]),
                         (True, True, "127.0.0.1:%d" % self.receiver.port))
        self.assertEqual(json.loads(self.got(url)[0]["body"])["type"], "hookline.ping")
        self.assertEqual(Verifier.verdicts(w["secret"], self.got(url)[0]), GOOD)
        nobody = self.api.webhook("http://127.0.0.1:%d/" % harness_port(), event_types=["nobody"])
        a = self.expect(self.api.post("/v1/webhooks/%s/verify" % nobody["id"]), 200).json
        self.assertEqual((a["success"], a["url_allowed"], a["attempt"]["error"]["class"]), (False, True, "connect"))

    def test_more_tests_than_may_run_at_once(self):
        type, url, w = self.hook("hang", timeout=3)
        answers, lock = [], threading.Lock()

        def one():
            a = self.api.post("/v1/webhooks/%s/test" % w["id"])
            with lock:
                answers.append(a)
        threads = [threading.Thread(target=one) for _ in range(80)]
        [t.start() for t in threads]
        [t.join() for t in threads]
        busy = [a for a in answers if a.status == 503]
        self.assertEqual(len(busy), 16, [a.status for a in answers])
        self.expect(busy[0], 503, "busy")
        self.assertTrue(int(busy[0].headers["retry-after"]) >= 1)
        for a in answers:
            if a.status == 200:
                self.assertEqual(a.json["attempt"]["error"]["class"], "timeout")

    # ---- what is undelivered and why ----

    def test_stats(self):
        type, url, w = self.hook("ok")
        for i in range(3):
            self.api.publish(type, i)
        self.api.wait_deliveries("succeeded", 3, webhook=w["id"])
        self.script(url, "status/500")
        self.api.publish(type)
        until(lambda: self.api.get("/v1/webhooks/%s/stats" % w["id"]).json["pending_by_error"].get("http_status"))
        s = self.api.get("/v1/webhooks/%s/stats" % w["id"]).json
        self.assertEqual(s["deliveries"], {"pending": 1, "succeeded": 3, "failed": 0, "cancelled": 0})
        self.assertEqual(s["pending_by_error"], {"http_status": 1})
        self.assertEqual((s["parked"], s["in_flight"], s["last_http_status"]), (False, 0, 500))
        self.assertEqual(s["last_error"]["class"], "http_status")
        self.assertTrue(0 <= s["oldest_pending_age"] < 60)
        self.assertTrue(3 < timestamp(s["next_attempt_at"]) - time.time() < 7)
        self.assertTrue(s["last_success_at"] <= s["last_failure_at"] == s["last_attempt_at"])
        v = self.api.get("/v1/webhooks/" + w["id"]).json
        self.assertEqual((v["last_success_at"], v["last_failure_at"]), (s["last_success_at"], s["last_failure_at"]))
        self.assertIn("500", v["last_failure_message"])

    def test_undelivered(self):
        type, url, w = self.hook("hang", timeout=0.3, retry=[3600])
        self.api.publish(type)
        until(lambda: self.api.deliveries(webhook=w["id"])[0]["attempt_count"])
        rows = {r["webhook_id"]: r for r in self.api.get("/v1/undelivered").json["data"]}
        row = rows[w["id"]]
        self.assertEqual((row["pending"], row["pending_by_error"], row["state"]), (1, {"timeout": 1}, "enabled"))
        self.assertEqual(row["last_error"]["class"], "timeout")
        d = self.api.deliveries(webhook=w["id"])[0]
        self.assertEqual(row["next_attempt_at"], d["next_attempt_at"])
        self.assertEqual(row["oldest_pending_at"], d["created_at"])
        self.api.post("/v1/deliveries/%s/cancel" % d["id"])
        self.assertNotIn(w["id"], [r["webhook_id"] for r in self.api.get("/v1/undelivered").json["data"]])


def harness_port():
    """A port nobody listens on."""
    import socket
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


if __name__ == "__main__":
    harness.main()
