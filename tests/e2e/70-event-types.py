#!/usr/bin/env python3
"""The catalogue of event types: what a new store begins with, which store is new, files that are missing or wrong, and a
catalogue put by an operator."""
import json
import os
import shutil
import tempfile
import unittest

import harness
from harness import Server, run

FILE = os.path.join(harness.ROOT, "share", "event-types.json")
# written from the documents, not from the file
WANTED = {
    "cs2cap": {"alert": "alert.triggered"},
    "aboutyou": {"order": "order.created order.updated order.shipped order.cancelled order.returned",
                 "order_items": "order_items.shipped order_items.cancelled order_items.returned",
                 "stock": "stock.updated", "product": "product_master.status_updated"},
    "stellarstack": {"server": "server.started server.stopped server.crashed server.restarted server.auto_shutdown "
                               "server.created server.deleted server.updated server.suspended server.unsuspended",
                     "backup": "backup.created backup.failed backup.restored backup.deleted",
                     "transfer": "transfer.started transfer.completed transfer.failed",
                     "file": "file.created file.deleted file.modified", "resource": "resource.warning resource.critical"},
    "bitnob": {"wallet": "wallet.created address.created transaction.created transaction.pending transaction.confirmed "
                         "transaction.completed transaction.failed",
               "security": "api_key.created api_key.revoked webhook.secret_rotated policy.updated approval.required",
               "compliance": "screening.flagged screening.cleared transaction.held"},
}
COUNTS = {"cs2cap": 1, "aboutyou": 10, "stellarstack": 22, "bitnob": 15}


class EventTypes(unittest.TestCase):
    maxDiff = None

    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="hl-types-")
        self.addCleanup(shutil.rmtree, self.folder)

    def file(self, content):
        path = os.path.join(self.folder, "types.json")
        with open(path, "w", encoding="utf-8") as f:
            f.write(content if isinstance(content, str) else json.dumps(content))
        return path

    def types(self, server, dialect=None):
        a = server.client().get("/v1/event-types" + ("?dialect=" + dialect if dialect else ""))
        self.assertEqual(a.status, 200, a)
        return a.json["data"]

    def names(self, server):
        return [t["name"] for t in self.types(server)]

    def test_exact_sets(self):
        with Server().start() as server:
            for dialect, categories in WANTED.items():
                got = {t["name"]: t["dialects"] for t in self.types(server, dialect)}
                want = {name: {dialect: category} for category, names in categories.items() for name in names.split()}
                self.assertEqual(got, want)
                self.assertEqual(len(got), COUNTS[dialect])
            everything = self.types(server)
            self.assertEqual(len(everything), sum(COUNTS.values()))
            for t in everything:
                self.assertTrue(t["title"] and t["description"] and t["category"], t)
            self.assertEqual(len({t["description"] for t in everything}), len(everything))
            self.assertIn("ev=serve.catalogue event_types=48 from=built-in", server.log())
            self.assertEqual(server.stop(), 0)
            self.assertIn("clean", server.check()[1])

    def test_the_file_is_what_put_takes(self):
        """Putting the very file into an empty catalogue makes the built-in one."""
        with Server().start() as seeded, Server(settings={"store.event_types": "none"}).start() as empty:
            self.assertEqual(self.types(empty), [])
            with open(FILE, "rb") as f:
                a = empty.client().put("/v1/event-types", f.read())
            self.assertEqual(a.status, 200, a)

            def timeless(server):
                return [{k: v for k, v in t.items() if not k.endswith("_at")} for t in self.types(server)]
            self.assertEqual(timeless(empty), timeless(seeded))
            self.assertEqual([t["name"] for t in a.json["data"]], self.names(seeded))

    def test_only_a_new_store(self):
        path = self.file([{"name": "my.type"}])
        with Server().start() as server:
            api = server.client()
            for t in self.types(server):
                self.assertEqual(api.delete("/v1/event-types/" + t["name"]).status, 204)
            server.restart()
            self.assertEqual(self.types(server), [], "what was emptied stays empty")
            server.args += ["--set", "store.event_types=" + path]
            server.restart()
            self.assertEqual(self.types(server), [])
            self.assertNotIn("ev=serve.catalogue", server.log())
            api.put("/v1/event-types/order.created", {"title": "Mine"})
            server.kill()
            server.start()
            self.assertEqual([(t["name"], t["title"], t["dialects"]) for t in self.types(server)], [("order.created", "Mine", {})])

    def test_none_is_a_first_catalogue_too(self):
        with Server(settings={"store.event_types": "none"}).start() as server:
            self.assertEqual(self.types(server), [])
            self.assertEqual(server.client().publish("any.type")["deliveries"], 0)
            server.args += ["--set", "store.event_types="]
            server.restart()
            self.assertEqual(self.types(server), [])

    def test_a_store_with_only_a_key_is_new(self):
        """A key may be made before the server's first start."""
        server = Server()
        self.addCleanup(server.__exit__)
        key = server.make_key()
        with server.start():
            self.assertEqual(len(server.client(key=key).get("/v1/event-types").json["data"]), 48)

    def test_file_of_the_operator(self):
        own = [{"name": "a.b", "title": "A \u00e9", "description": None, "category": "x", "dialects": {"bitnob": "wallet", "aboutyou": "y"}},
               {"name": "c", "dialects": None}]
        with Server(settings={"store.event_types": self.file(own)}).start() as server:
            self.assertIn("event_types=2 from=" + self.folder, server.log())
            got = [(t["name"], t["title"], t["description"], t["category"], t["dialects"]) for t in self.types(server)]
            self.assertEqual(got, [("a.b", "A \u00e9", "", "x", {"aboutyou": "y", "bitnob": "wallet"}), ("c", "", "", "", {})])

    def test_wrong_files(self):
        """Told at every start and by --check-config, with option, file, entry and member; and nothing is made of the store."""
        long = "x" * 129
        for content, words in (
                ("", ["missing"]), ("[", []), ("{}", ["array"]), ("7", ["array"]), ("[1]", ["/0", "object"]), ([{}], ["/0/name"]),
                ([{"name": "a"}, {"name": "a b"}], ["/1/name"]), ([{"name": long}], ["/0/name"]), ([{"name": 1}], ["/0/name"]),
                ([{"name": "a"}, {"name": "b"}, {"name": "a"}], ["/2/name", "earlier"]), ([{"name": "a", "titel": ""}], ["/0/titel"]),
                ([{"name": "a", "title": "x" * 121}], ["/0/title"]), ([{"name": "a", "description": "x" * 1001}], ["/0/description"]),
                ([{"name": "a", "dialects": {"klingon": "x"}}], ["/0/dialects"]), ([{"name": "a", "dialects": {"bitnob": ""}}], ["/0/dialects"]),
                ([{"name": "a", "dialects": []}], ["/0/dialects"]), ('[{"name":"a","name":"b"}]', ["/0/name"])):
            path = self.file(content)
            code, out, err = run("serve", "--data", os.path.join(self.folder, "d"), "--check-config", "--set", "store.event_types=" + path)
            self.assertEqual(code, 3, (content, out, err))
            for word in ["store.event_types", path] + words:
                self.assertIn(word, err, content)
            code, out, err = run("serve", "--data", os.path.join(self.folder, "d"), "--listen", "127.0.0.1:0", "--set",
                                 "store.event_types=" + path)
            self.assertEqual(code, 3)
        self.assertFalse(os.path.exists(os.path.join(self.folder, "d")))
        missing = os.path.join(self.folder, "none.json")
        code, out, err = run("serve", "--data", os.path.join(self.folder, "d"), "--check-config", "--set", "store.event_types=" + missing)
        self.assertEqual(code, 3)
        self.assertIn(missing + ": No such file", err)
        # what only the library judges shows when the store is made, and the next start is a first one again
        path = self.file([{"name": "a", "title": "b\u0007"}])
        code, out, err = run("serve", "--data", os.path.join(self.folder, "d"), "--listen", "127.0.0.1:0", "--set",
                             "store.event_types=" + path)
        self.assertEqual(code, 3)
        self.assertIn("/0/title", err)
        with Server(data=os.path.join(self.folder, "d")).start() as server:
            self.assertEqual(len(self.types(server)), 48)

    def test_put_of_many(self):
        with Server().start() as server:
            api = server.client()
            a = api.put("/v1/event-types", [{"name": "alert.triggered", "title": "Mine"}, {"name": "new.one", "dialects": {"cs2cap": "x"}}])
            self.assertEqual(a.status, 200, a)
            self.assertEqual(len(a.json["data"]), 49)
            got = {t["name"]: t for t in self.types(server)}
            self.assertEqual((got["alert.triggered"]["title"], got["alert.triggered"]["dialects"]), ("Mine", {}))
            self.assertEqual([t["name"] for t in self.types(server, "cs2cap")], ["new.one"])
            before = self.types(server)
            for body, pointer in (([{"name": "fine"}, {"name": "a b"}], "/1/name"), ([{"name": "fine"}, {"title": "x"}], "/1/name"),
                                  ([{"name": "fine"}, {"name": "fine"}], "/1/name"), ([{"name": "fine", "title": "\u0007"}], "/0/title"),
                                  ([{"name": "fine", "colour": 1}], "/0/colour"), ([5], "/0")):
                a = api.put("/v1/event-types", body)
                self.assertEqual((a.status, a.json["errors"][0]["pointer"]), (422, pointer), a)
            for body, status in (({"name": "x"}, 422), (b"[", 400), (b"", 400)):
                self.assertEqual(api.put("/v1/event-types", body).status, status)
            a = api.put("/v1/event-types", [{"name": "t%d" % i} for i in range(10001)])
            self.assertEqual(a.status, 422, a)
            self.assertEqual(self.types(server), before, "all or none")
            self.assertEqual(api.put("/v1/event-types", []).status, 200)
            full = api.put("/v1/event-types", [{"name": "t%d" % i} for i in range(10000)])
            self.assertEqual((full.status, full.json["code"]), (409, "limit_reached"), full)
            self.assertEqual(self.types(server), before)
            for client, status in ((server.client("read"), 403), (harness.Client(server, None), 401)):
                self.assertEqual(client.put("/v1/event-types", []).status, status)
            server.restart()
            self.assertEqual(self.types(server), before)
            self.assertEqual(server.stop(), 0)
            self.assertIn("clean", server.check()[1])


if __name__ == "__main__":
    harness.main()
