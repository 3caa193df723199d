#!/usr/bin/env python3
"""When something runs out: the quota, the disk, descriptors. Publishers are told; what was acknowledged goes on, and
everything works again when there is room."""
import os
import resource
import shutil
import socket
import subprocess
import tempfile
import unittest

import harness
from harness import Receiver, Server, until

BIG = "x" * 500000


class Limits(unittest.TestCase):
    maxDiff = None

    def setUp(self):
        self.receiver = Receiver().start()

    def tearDown(self):
        self.receiver.stop()

    def fill(self, api, most):
        """Publishes until refused; the answers accepted and the refusal."""
        acked = []
        for i in range(most):
            a = api.post("/v1/events", {"type": "fill", "data": [i, BIG], "id": "fill-%d" % i})
            if a.status != 202:
                return acked, a
            acked.append(a.json["id"])
        self.fail("%d events and still room" % most)

    def full_and_back(self, server):
        """The same for quota and disk."""
        api = server.client()
        hook = api.webhook(self.receiver.url + "/status/500/fill", event_types=["fill"], retry=[3600])
        small = api.webhook(self.receiver.url + "/flaky/2/small", event_types=["small"], retry=[1])
        until(lambda: api.publish("small"))
        acked, refused = self.fill(api, 400)
        self.assertEqual((refused.status, refused.json["code"]), (507, "store_full"), refused)
        self.assertGreater(int(refused.headers["retry-after"]), 0)
        self.assertGreater(len(acked), 20)
        nobody = harness.Client(server, None)
        ready = nobody.get("/readyz")
        self.assertEqual((ready.status, ready.json), (503, {"status": "unavailable", "reason": "store_full"}))
        self.assertEqual(nobody.get("/livez").status, 200)
        # outcomes go on: the deliveries accepted are attempted, the small one succeeds at its third try
        api.wait_deliveries("succeeded", webhook=small["id"])
        until(lambda: api.get("/v1/webhooks/%s/stats" % hook["id"]).json["pending_by_error"].get("http_status") == len(acked))
        for id in acked[:3] + acked[-3:]:
            self.assertEqual(api.get("/v1/events/" + id).status, 200)
        batch = api.post("/v1/events/batch", b'{"type":"fill","data":1}\n' * 3, content_type="application/x-ndjson")
        self.assertEqual(batch.body.count(b'"status":507'), 3, batch)
        # it survives a crash while full
        server.kill()
        server.start()
        self.assertEqual(api.get("/v1/webhooks/%s/stats" % hook["id"]).json["deliveries"]["pending"], len(acked))
        # deleting makes room
        self.assertEqual(api.delete("/v1/webhooks/%s?drop_history=true" % hook["id"]).status, 204)
        return api, acked

    def finish(self, server):
        self.assertEqual(server.stop(), 0, server.log()[-2000:])
        code, out, err = server.check()
        self.assertEqual((code, "clean" in out), (0, True), out + err)
        errors = [line for line in server.log(all_runs=True).splitlines() if "level=error" in line and "ev=store.disk_full" not in line
                  and "ev=store.quota_full" not in line]
        self.assertEqual(errors, [])

    def test_quota(self):
        with Server(settings={"store.max_size": "64MiB", "store.retention_percent": "10"}) as server:
            api, acked = self.full_and_back(server)
            until(lambda: api.get("/readyz").status == 200, "room", timeout=harness.PATIENCE * 3)
            self.assertEqual(api.publish("after")["deliveries"], 0)
            self.finish(server)

    @unittest.skipUnless(os.geteuid() == 0, "mounting a small file system needs root")
    def test_full_disk(self):
        folder = tempfile.mkdtemp(prefix="hl-disk-")
        if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=160m", "tmpfs", folder], stderr=subprocess.DEVNULL).returncode:
            os.rmdir(folder)
            self.skipTest("mount is not allowed here")
        server = None
        try:
            server = Server(data=os.path.join(folder, "data"))
            os.mkdir(server.data)
            with server:
                self.full_and_back(server)
                # more room on the disk itself: accepted again
                subprocess.run(["mount", "-o", "remount,size=600m", folder], check=True)
                until(lambda: server.client().post("/v1/events", {"type": "after", "data": 1}).status == 202)
                until(lambda: server.client().get("/readyz").status == 200)
                self.finish(server)
        finally:
            subprocess.run(["umount", "-l", folder], check=False)
            shutil.rmtree(folder, ignore_errors=True)

    def test_large_events(self):
        """limits.body_max is the limit: what fits is stored and delivered whole, also beyond a batch of the store."""
        with Server(settings={"limits.body_max": "24MiB"}) as server:
            api = server.client()
            hook = api.webhook(self.receiver.url + "/ok/large", event_types=["large"])
            data = b'"%s"' % (b"x" * (20 << 20))
            self.assertEqual(api.post("/v1/events", b'{"type":"large","data":%s}' % data).status, 202)
            api.wait_deliveries("succeeded", webhook=hook["id"])
            self.assertTrue(self.receiver.records[-1]["body"].endswith(b',"data":' + data + b"}"))
            refused = api.post("/v1/events", b'{"type":"large","data":"%s"}' % (b"x" * (24 << 20)))
            self.assertEqual((refused.status, refused.json["code"]), (413, "too_large"))
            self.assertIn("%d bytes" % (24 << 20), refused.json["detail"])
            self.finish(server)

    def test_descriptors(self):
        """Few descriptors: fewer connections at once, and everything is still delivered and answered."""
        limit = lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (150, 150))  # noqa: E731
        with Server(settings={"server.max_connections": "64", "delivery.timeout": "1s"}, preexec_fn=limit) as server:
            api = server.client()
            hung = [api.webhook("%s/hang/%d" % (self.receiver.url, i), event_types=["crowd"], retry=[3600]) for i in range(30)]
            fine = api.webhook(self.receiver.url + "/ok/fine", event_types=["crowd"])
            for i in range(40):
                api.publish("crowd", i)
            crowd = []
            for i in range(150):
                s = socket.socket()
                s.settimeout(5)
                try:
                    s.connect(("127.0.0.1", server.port))
                    s.sendall(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
                except OSError:
                    pass
                crowd.append(s)
            for s in crowd:
                s.close()
            until(lambda: len(api.deliveries(webhook=fine["id"], status="succeeded")) == 40, "40 deliveries")
            self.assertIn("ev=serve.few_files", server.log())
            for w in hung:
                self.assertEqual(api.delete("/v1/webhooks/" + w["id"]).status, 204)
            self.assertEqual(server.stop(), 0, server.log()[-2000:])
            self.assertEqual(server.check()[0], 0)


if __name__ == "__main__":
    unittest.main(verbosity=1, warnings="ignore")
