#!/usr/bin/env python3
"""Dialect stellarstack: webhooks, their deliveries and the Discord messages, under the three mounts."""
import concurrent.futures
import json
import time

import harness
from stellarstack import CATALOGUE, DELIVERY, EVENTS, MOUNTS, SHORT, TIME, UUID, WEBHOOK, NOBODY, Case


class Webhooks(Case):
    def test_catalogue(self):
        for mount in MOUNTS:
            got = self.want(self.stella.get(mount + "/events"), 200).json
            self.assertEqual(set(got), {"events", "categorized"})
            self.assertEqual(sorted(got["events"]), sorted(EVENTS))
            self.assertEqual(list(got["categorized"]), list(CATALOGUE))
            for category, names in CATALOGUE.items():
                self.assertEqual(sorted(got["categorized"][category]), sorted(category + "." + n for n in names))

    def test_catalogue_is_the_instances(self):
        server = harness.Server()
        self.addCleanup(server.__exit__)
        server.start()
        admin = server.client()
        stella = server.client(key=server.make_key("manage,read", None, "--dialect", "stellarstack"))
        for name in CATALOGUE["file"]:
            self.assertEqual(admin.delete("/v1/event-types/file." + name).status, 204)
        self.assertIn(admin.put("/v1/event-types/mod.installed", {
            "title": "Mod installed", "category": "mod", "dialects": {"stellarstack": "mod"}}).status, (200, 201))
        got = stella.get("/webhooks/events").json
        self.assertEqual((got["categorized"]["file"], got["categorized"]["mod"]), ([], ["mod.installed"]))
        self.assertIn("mod.installed", got["events"])
        self.assertNotIn("file.created", got["events"])
        a = stella.post("/webhooks", {"url": self.url("ok"), "events": ["MOD_INSTALLED", "file.created"]})
        self.want(a, 400, {"error": "Invalid events", "invalidEvents": ["file.created"]})
        self.assertEqual(server.stop(), 0)

    def test_create(self):
        url = self.url("ok")
        for mount in MOUNTS:
            a = self.want(self.stella.post(mount, {"url": url, "events": ["server.started", "backup.failed"]}), 201).json
            self.assertEqual(set(a), WEBHOOK)
            self.assertRegex(a["id"], UUID)
            self.assertRegex(a["createdAt"], TIME)
            self.assertEqual(a["createdAt"], a["updatedAt"])
            self.assertEqual({k: a[k] for k in WEBHOOK - {"id", "createdAt", "updatedAt"}}, {
                "userId": self.account, "url": url, "events": ["server.started", "backup.failed"], "serverId": None,
                "enabled": True, "provider": "discord", "server": None})
            shown = self.want(self.stella.get(mount + "/" + a["id"]), 200).json
            self.assertEqual(shown.pop("deliveries"), [])
            self.assertEqual(shown, a)
        self.assertEqual(len(self.stella.get("/webhooks").json), 3)
        for w in self.native.get("/v1/webhooks").json["data"]:
            self.assertEqual((w["dialect"], w["format"], w["name"]), ("stellarstack", "discord", "127.0.0.1"))

    def test_create_for_a_server(self):
        game = self.game("Alpha \u00e9")
        w = self.hook(self.url("ok"), serverId=game)
        self.assertEqual((w["serverId"], w["server"]), (game, {"id": game, "name": "Alpha \u00e9"}))
        self.want(self.native.patch("/v1/servers/" + game, {"name": "Beta"}), 200)
        self.assertEqual(self.stella.get("/webhooks").json[0]["server"], {"id": game, "name": "Beta"})
        self.assertEqual(self.stella.get("/webhooks/" + w["id"]).json["server"], {"id": game, "name": "Beta"})

    def test_events_by_their_constant_names(self):
        names = [e.replace(".", "_").upper() for e in EVENTS]
        self.assertEqual(self.hook(self.url("ok"), names)["events"], EVENTS)
        w = self.hook(self.url("ok"), ["SERVER_AUTO_SHUTDOWN", "server.auto_shutdown", "server.started", "server.started"])
        self.assertEqual(w["events"], ["server.auto_shutdown", "server.started"])
        a = self.want(self.stella.patch("/webhooks/" + w["id"], {"events": ["FILE_MODIFIED"]}), 200)
        self.assertEqual(a.json["events"], ["file.modified"])

    def test_list(self):
        self.assertEqual(self.want(self.stella.get("/webhooks"), 200).json, [])
        made = [self.hook(self.url("ok")) for _ in range(3)]
        self.native.webhook(self.url("ok"))         # of another dialect: not listed here
        self.tenant(self.account + "-other")[0].post("/webhooks", {"url": self.url("ok"), "events": ["file.created"]})
        self.native.publish("server.started", {})
        self.settled(made[0])
        for mount in MOUNTS:
            got = self.want(self.stella.get(mount), 200).json
            self.assertEqual([w["id"] for w in got], [w["id"] for w in made[::-1]])
            for w in got:
                self.assertEqual(set(w), WEBHOOK | {"_count"})
                self.assertEqual(w["_count"], {"deliveries": 1})

    def test_a_long_list_is_whole(self):
        n = 260
        body = {"url": self.url("ok"), "events": ["file.created"]}
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            made = set(pool.map(lambda _: self.stella.post("/webhooks", body).json["id"], range(n)))
        got = self.stella.get("/webhooks").json
        self.assertEqual((len(got), {w["id"] for w in got}), (n, made))
        times = [w["createdAt"] for w in got]
        self.assertEqual(times, sorted(times, reverse=True))

    def test_details_show_the_last_ten(self):
        w = self.hook(self.url("ok"))
        for _ in range(12):
            self.native.publish("server.started", {})
        v = self.settled(w, 12)
        shown = self.want(self.stella.get("/webhooks/" + w["id"]), 200).json
        self.assertEqual(set(shown), WEBHOOK | {"deliveries"})
        self.assertEqual([d["id"] for d in shown["deliveries"]], [d["id"] for d in v[:10]])
        for d, full in zip(shown["deliveries"], v):
            self.assertEqual(list(d), SHORT)
            self.assertEqual(d, {k: full[k] for k in SHORT})

    def test_update(self):
        w = self.hook(self.url("ok"), serverId=self.game())
        path = "/webhooks/" + w["id"]
        self.assertEqual(self.want(self.stella.patch(path, {}), 200).json, w)
        self.assertEqual(self.want(self.stella.patch(path, {"serverId": NOBODY, "id": 7, "other": []}), 200).json, w)
        url = self.url("ok")
        for change in ({"url": url}, {"events": ["file.created", "file.deleted"]}, {"enabled": False}, {"enabled": True}):
            got = self.want(self.stella.patch(path, change), 200).json
            self.assertEqual(set(got), WEBHOOK)
            w.update(change, updatedAt=got["updatedAt"])
            self.assertEqual(got, w)
        for mount in MOUNTS:
            self.assertEqual(self.want(self.stella.patch(mount + "/" + w["id"], {"enabled": True}), 200).json["url"], url)

    def test_disabled_gets_nothing(self):
        url = self.url("ok")
        w = self.hook(url)
        self.stella.patch("/webhooks/" + w["id"], {"enabled": False})
        self.assertEqual(self.native.publish("server.started", {})["deliveries"], 0)
        self.stella.patch("/webhooks/" + w["id"], {"enabled": True})
        self.native.publish("server.started", {"n": 2})
        self.assertIn(b'"value":"2"', self.got(url)[0]["body"])
        self.assertEqual(self.history(w)["total"], 1)

    def test_a_receiver_that_left_disables(self):
        url = self.url("gone")
        w = self.hook(url)
        self.sent(w)
        path = "/webhooks/" + w["id"]
        harness.until(lambda: not self.stella.get(path).json["enabled"], "disabled")
        got = self.stella.patch(path, {"url": self.url("ok")}).json        # a new address is a new chance
        self.assertTrue(got["enabled"])
        self.assertEqual(self.native.get("/v1/webhooks/" + w["id"]).json["state"], "enabled")

    def test_delete_takes_the_history_along(self):
        for mount in MOUNTS:
            url = self.url("status/500")
            w = self.hook(url)
            d = self.sent(w)
            self.want(self.stella.delete(mount + "/" + w["id"]), 200, {"success": True})
            self.want(self.stella.delete(mount + "/" + w["id"]), 404, {"error": "Webhook not found"})
            for path in ("", "/deliveries", "/deliveries/" + d["id"]):
                self.want(self.stella.get("%s/%s%s" % (mount, w["id"], path)), 404, {"error": "Webhook not found"})
            self.assertEqual(self.native.get("/v1/deliveries/" + d["id"]).status, 404)
            self.assertEqual(self.native.deliveries(webhook=w["id"]), [])
        self.assertEqual(self.stella.get("/webhooks").json, [])
        self.assertEqual(self.native.publish("server.started", {})["deliveries"], 0)


class Deliveries(Case):
    settings = {"delivery.timeout_dialects": "1500ms"}

    def test_pages(self):
        w = self.hook(self.url("ok"))
        other = self.hook(self.url("ok"), ["file.created"])
        for i in range(105):
            self.native.publish("server.started", {"i": i})
        self.settled(w, 50)
        everything = self.history(w, "?limit=100")["deliveries"] + self.history(w, "?limit=100&offset=100")["deliveries"]
        self.assertEqual([d["payload"]["data"]["i"] for d in everything], list(range(104, -1, -1)))
        for query, limit, offset in (
                ("", 50, 0), ("?limit=1", 1, 0), ("?limit=100", 100, 0), ("?limit=101", 100, 0), ("?limit=500", 100, 0),
                ("?limit=0", 50, 0), ("?limit=-3", 50, 0), ("?limit=x", 50, 0), ("?limit=", 50, 0), ("?limit=2.5", None, 0),
                ("?limit=99999999999999999999", 100, 0),
                ("?limit=7&offset=3", 7, 3), ("?offset=104", 50, 104), ("?offset=105", 50, 105), ("?offset=5000", 50, 5000),
                ("?offset=-1", 50, 0), ("?offset=y", 50, 0), ("?limit=10&offset=20&page=3&limit=2", None, 20)):
            got = self.history(w, query)
            self.assertEqual(set(got), {"deliveries", "total", "limit", "offset"})
            if limit is not None:
                self.assertEqual(got["limit"], limit, query)
            self.assertEqual((got["total"], got["offset"]), (105, offset), query)
            ids = [d["id"] for d in everything][offset:offset + got["limit"]]
            self.assertEqual([d["id"] for d in got["deliveries"]], ids, query)
        self.assertEqual(self.history(other), {"deliveries": [], "total": 0, "limit": 50, "offset": 0})

    def test_a_page_of_large_events_is_cut(self):
        w = self.hook(self.url("ok"))
        for i in range(6):
            self.native.publish("server.started", {"i": i, "large": "x" * 1000000})
        seen, pages = [], []
        while len(seen) < 6:
            got = self.history(w, "?limit=6&offset=%d" % len(seen))
            self.assertEqual((got["total"], got["offset"]), (6, len(seen)))
            seen += [d["payload"]["data"]["i"] for d in got["deliveries"]]
            pages.append((got["limit"], len(got["deliveries"])))
        self.assertEqual((seen, pages), ([5, 4, 3, 2, 1, 0], [(5, 5), (6, 1)]))

    def test_object(self):
        game = self.game()
        w = self.hook(self.url("body/3"), ["server.crashed"])
        self.native.publish("server.crashed", {"reason": "oom", "code": 137, "deep": {"a": [1.0]}}, server=game,
                            occurred_at="2026-05-06T04:51:31Z")
        listed = self.settled(w)[0]
        d = self.delivery(w, listed["id"])
        self.assertEqual(set(d), DELIVERY)
        self.assertEqual(d, listed)
        self.assertRegex(d.pop("createdAt"), TIME)
        self.assertRegex(d.pop("deliveredAt"), TIME)
        self.assertEqual(d, {
            "id": listed["id"], "webhookId": w["id"], "event": "server.crashed", "statusCode": 200, "response": "xxx",
            "attempts": 1, "payload": {
                "event": "server.crashed", "timestamp": "2026-05-06T04:51:31.000Z",
                "server": {"id": game, "name": "Alpha", "status": "running"},
                "data": {"reason": "oom", "code": 137, "deep": {"a": [1.0]}}}})
        self.assertEqual(list(d["payload"]), ["event", "timestamp", "server", "data"])

    def test_payload_without_server_or_data(self):
        w = self.hook(self.url("ok"))
        for data in ([1], "text", 5, None):
            self.native.post("/v1/events", {"type": "server.started", "data": data})
        for d in self.settled(w, 4):
            self.assertEqual(list(d["payload"]), ["event", "timestamp"])
        self.assertEqual(self.settled(w)[0]["response"], "")

    def test_answers_that_are_no_success(self):
        s, dead = self.dead_port()
        self.addCleanup(s.close)
        for url, status, response in ((self.url("status/500"), 500, "status 500\n"), (self.url("status/404"), 404, "status 404\n"),
                                      (self.url("redirect"), 302, ""), (dead, None, None), (self.url("close"), None, None),
                                      (self.url("hang"), None, None)):
            w = self.hook(url, ["file.created"])
            self.native.publish("file.created", {})
            d = self.settled(w)[0]
            self.assertEqual((d["statusCode"], d["deliveredAt"], d["attempts"]), (status, None, 1), url)
            if response is None:
                self.assertTrue(d["response"] and isinstance(d["response"], str), d)
            else:
                self.assertEqual(d["response"], response)
            self.stella.delete("/webhooks/" + w["id"])

    def test_an_answer_is_kept_up_to_5000_characters(self):
        for size in (4999, 5000, 5001, 70000):
            w = self.hook(self.url("body/%d" % size), ["file.deleted"])
            self.native.publish("file.deleted", {})
            self.assertEqual(self.settled(w)[0]["response"], "x" * min(size, 5000))
            self.stella.delete("/webhooks/" + w["id"])
        w = self.hook(self.url("euros/6000"), ["file.deleted"])     # characters, not bytes
        self.native.publish("file.deleted", {})
        self.assertEqual(self.settled(w)[0]["response"], "\u20ac" * 5000)

    def test_waiting(self):
        """Not attempted yet: nothing to tell of an answer."""
        w = self.hook(self.url("ok"))
        when = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 3600))
        self.native.publish("server.started", {"a": 1}, deliver_after=when)
        d = self.history(w)["deliveries"][0]
        self.assertEqual((d["statusCode"], d["response"], d["attempts"], d["deliveredAt"]), (None, None, 0, None))
        self.assertEqual(d["payload"]["data"], {"a": 1})

    def test_only_of_this_webhook(self):
        a, b = self.hook(self.url("ok")), self.hook(self.url("ok"), ["file.created"])
        d = self.sent(a)
        for method, path in (("GET", ""), ("POST", "/retry")):
            self.want(self.stella.request(method, "/webhooks/%s/deliveries/%s%s" % (b["id"], d["id"], path)), 404,
                      {"error": "Delivery not found"})


class Dispatch(Case):
    def test_embed(self):
        game, url = self.game(), self.url("ok")
        self.hook(url, EVENTS)
        colours = {"started": 65280, "restarted": 65280, "created": 65280, "completed": 65280, "stopped": 16711680,
                   "deleted": 16711680, "failed": 16711680, "warning": 16776960}
        for name in EVENTS:
            self.native.publish(name, {"reason": "r" * 50, "count": 3, "ok": True, "o": {"a": 1}}, server=game,
                                occurred_at="2026-05-06T04:51:31Z")
        bodies = {}
        sent = [json.loads(r["body"]) for r in self.got(url, len(EVENTS))]
        self.assertEqual(harness.message_complaints([("discord", body) for body in sent]), [])
        for body in sent:
            self.assertEqual(body["allowed_mentions"], {"parse": []})
            self.assertEqual(len(body["embeds"]), 1)
            bodies[body["embeds"][0]["title"]] = body["embeds"][0]
        for name in EVENTS:
            title = "\U0001f514 " + " ".join(p[0].upper() + p[1:] for p in name.split("."))
            self.assertEqual(bodies[title], {
                "title": title, "color": colours.get(name.split(".")[1], 39423), "timestamp": "2026-05-06T04:51:31.000Z",
                "fields": [{"name": n, "value": v, "inline": True} for n, v in (
                    ("Server", "Alpha"), ("Status", "running"), ("Reason", "r" * 50), ("Count", "3"))],
                "footer": {"text": "Hookline"}})

    def test_status_is_the_servers(self):
        game, url = self.game("Mine", ""), self.url("ok")
        self.hook(url)
        for n, status in enumerate(("", "offline"), 1):
            self.want(self.native.patch("/v1/servers/" + game, {"status": status}), 200)
            self.native.publish("server.started", {}, server=game)
            fields = json.loads(self.got(url, n)[n - 1]["body"])["embeds"][0]["fields"]
            self.assertEqual([f["value"] for f in fields], ["Mine", status] if status else ["Mine"])

    def test_headers(self):
        url = self.url("ok")
        d = self.sent(self.hook(url))
        r = self.got(url)[0]
        h = r["headers"]
        self.assertEqual((r["method"], h["content-type"], h["hookline-delivery-id"], h["hookline-attempt"]),
                         ("POST", "application/json", d["id"], "1"))
        self.assertTrue(h["user-agent"].startswith("Hookline/"))
        for name in h:
            self.assertNotIn("signature", name)
            self.assertFalse(name.startswith(("webhook-", "x-")), name)

    def test_matching(self):
        mine, yours = self.game("mine"), self.game("yours")
        urls = {k: self.url("ok") for k in ("all", "mine", "yours", "other-event")}
        self.hook(urls["all"])
        self.hook(urls["mine"], serverId=mine)
        self.hook(urls["yours"], serverId=yours)
        self.hook(urls["other-event"], ["server.stopped"])
        self.native.webhook(self.url("ok"), event_types=["x"])
        self.assertEqual(self.native.publish("server.started", {"n": "one"}, server=mine)["deliveries"], 2)
        self.assertEqual(self.native.publish("server.started", {"n": "two"})["deliveries"], 1)
        self.assertEqual(self.native.publish("server.started", {"n": "three"}, server=yours)["deliveries"], 2)
        self.assertEqual(self.native.publish("server.stopped", {"n": "four"}, server=mine)["deliveries"], 1)
        self.assertEqual(self.native.publish("order.created", {}, server=mine)["deliveries"], 0)
        for name, n in (("all", 3), ("mine", 1), ("yours", 1), ("other-event", 1)):
            self.got(urls[name], n)
        self.assertIn(b'"one"', self.got(urls["mine"])[0]["body"])
        self.assertIn(b'"three"', self.got(urls["yours"])[0]["body"])

    def test_it_is_tried_again_hourly(self):
        w = self.hook(self.url("status/500"))
        d = self.native.delivery(self.sent(w)["id"])
        wait = d["attempts"][0]["next_attempt_at"]
        self.assertEqual(d["status"], "pending")
        self.assertEqual(wait[14:], d["created_at"][14:])       # the same minute of the next hour


if __name__ == "__main__":
    harness.main()
