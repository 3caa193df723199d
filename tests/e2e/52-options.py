#!/usr/bin/env python3
"""Options that no other test sets: each changes what a receiver or a client sees."""
import datetime

import harness
from harness import until


class Options(harness.Case):
    settings = {"delivery.user_agent": "Shop/2 (hooks)", "delivery.rotation_overlap": "0", "delivery.idle_timeout": "1ms",
                "delivery.park_after": "1", "delivery.window": "90s", "delivery.retry": "1s, 3s", "egress.allow_http": "yes",
                "server.socket_mode": "0600"}

    def test_attempts(self):
        url = self.url("flaky/1/options")
        w = self.api.webhook(url, event_types=["options"])
        self.api.publish("options")
        first, second = self.got(url, 2, timeout=15)
        self.assertEqual(first["headers"]["user-agent"], "Shop/2 (hooks)")
        # the connection was not kept for a second
        api = self.api
        api.wait_deliveries("succeeded", webhook=w["id"])
        d = api.get("/v1/deliveries/" + api.deliveries(webhook=w["id"])[0]["id"]).json
        self.assertEqual([a["times_ms"]["connect"] is not None for a in d["attempts"]], [True, True])
        made, window = (datetime.datetime.strptime(d[k], "%Y-%m-%dT%H:%M:%S.%fZ").timestamp() for k in ("window_from", "window_until"))
        self.assertEqual(window - made, 90)

    def test_rotation_without_overlap(self):
        w = self.api.webhook(self.url("ok"), event_types=["never"])
        self.assertIsNone(self.api.post("/v1/webhooks/%s/rotate-secret" % w["id"], {}).json["previous_secret_until"])

    def test_one_failure_parks(self):
        url = self.url("status/503")
        w = self.api.webhook(url, event_types=["parks"])
        self.api.publish("parks")
        until(lambda: self.api.get("/v1/webhooks/%s/stats" % w["id"]).json["parked"], "parked")


class Https(harness.Case):
    settings = {"egress.allow_http": "no"}

    def test_http_is_refused(self):
        a = self.api.post("/v1/webhooks", {"url": self.url("ok")})
        self.expect(a, 422, "url_not_allowed")
        self.expect(self.api.post("/v1/webhooks", {"url": "https://receiver.example/hook"}), 201)


if __name__ == "__main__":
    harness.main()
