#!/usr/bin/env python3
"""Stores that cannot be used say why; damage is found; a backup made while events come in is a whole store; SIGTERM while
they come in loses nothing; options come from the right place."""
import json
import os
import re
import shutil
import subprocess
import tempfile
import threading
import time
import unittest

import harness
from harness import Receiver, Server, clean_env, run, until


def read(path):
    with open(path, "rb") as f:
        return f.read()


def write(path, data):
    with open(path, "wb") as f:
        f.write(data)


class Store(unittest.TestCase):
    maxDiff = None

    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="hl-store-")
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)

    def made(self, n=30):
        """A directory with a stopped store of a few events."""
        with Receiver() as r, Server() as s:
            api = s.client()
            w = api.webhook(r.url + "/ok", metadata={"a": 1})
            api.webhook(r.url + "/status/500", retry=[3600])
            for i in range(n):
                api.publish("made", {"n": i, "pad": "x" * 100})
            api.wait_deliveries("succeeded", n, webhook=w["id"])
            self.assertEqual(s.stop(), 0)
            data = os.path.join(self.folder, "data")
            shutil.copytree(s.data, data, ignore=shutil.ignore_patterns("*.sock"))
        code, out, err = run("check", data)
        self.assertEqual((code, "clean" in out), (0, True), out + err)
        return data

    def refused(self, data, code, *words):
        """serve, check and migrate all refuse, with these words."""
        for command in (["serve", "--data", data, "--listen", "127.0.0.1:0"], ["check", data], ["migrate", data]):
            got, out, err = run(*command)
            self.assertEqual(got, code, (command, out, err))
            for word in words:
                self.assertRegex(err, word, command)

    def test_a_newer_format(self):
        data = self.made(3)
        path = os.path.join(data, "data.mdb")
        text = read(path)
        # the record "format": its magic, then the version; LMDB keeps no checksums
        text, n = re.subn(rb"(formathookline)[\x01-\x0f]", lambda m: m.group(1) + b"\x63", text)
        self.assertGreater(n, 0)
        write(path, text)
        self.refused(data, 4, "format 99", "newer")

    @unittest.skipIf(harness.SANITIZED, "the sanitizer dies of what LMDB does with such pages")
    def test_damage_is_found(self):
        """Each page of the file overwritten in turn: check says damage or refuses, unless the page is a free one; it never
        just dies."""
        data = self.made()
        path = os.path.join(data, "data.mdb")
        whole, found, free = read(path), 0, 0
        for at in range(2 * 4096, len(whole), 4096):
            page = whole[at:at + 4096]
            for spoilt in (bytes(4096), page[:16] + bytes(c ^ 0x55 for c in page[16:])):
                write(path, whole[:at] + spoilt + whole[at + 4096:])
                code, out, err = run("check", data)
                self.assertIn(code, (0, 1, 4), (at, out, err))
                self.assertTrue(code == 0 or out or err)
                found, free = found + (code != 0), free + (code == 0)
        write(path, whole)
        self.assertEqual(run("check", data)[0], 0)
        self.assertGreater(found, free / 2)
        for keep in (0, 4096, len(whole) // 2):        # a truncated file
            write(path, whole[:keep])
            code, out, err = run("check", data)
            self.assertNotEqual(code, 0, (keep, out, err))

    def test_a_foreign_file(self):
        data = os.path.join(self.folder, "foreign")
        os.mkdir(data, 0o700)
        write(os.path.join(data, "data.mdb"), os.urandom(65536))
        self.refused(data, 4, "data")

    @unittest.skipUnless(os.geteuid() == 0, "becoming another user needs root")
    def test_a_directory_that_may_only_be_read(self):
        """Root may write everywhere, so the program runs as nobody."""
        data = self.made(3)
        os.chmod(self.folder, 0o755)
        os.chmod(data, 0o755)
        for name in os.listdir(data):
            os.chmod(os.path.join(data, name), 0o644 if name != "key" else 0o600)
        os.chown(os.path.join(data, "key"), 65534, 65534)
        program = os.path.join(self.folder, "hookline")
        shutil.copy(harness.PROGRAM, program)
        done = subprocess.run([program, "serve", "--data", data, "--listen", "127.0.0.1:0"], env=clean_env(), capture_output=True,
                              text=True, timeout=60, user=65534, group=65534, extra_groups=[])
        self.assertEqual(done.returncode, 4, done.stderr)
        self.assertRegex(done.stderr, "(?i)permission|read-only")
        self.assertNotIn("ev=serve.ready", done.stderr)

    @unittest.skipIf(harness.WRAPPED, "backup maps what the default quota needs, and valgrind has no room for that")
    def test_backup_while_publishing(self):
        """Hot copies are whole: clean, and everything acknowledged before they began is in them; one is served."""
        with Receiver() as r, Server() as s:
            api = s.client()
            w = api.webhook(r.url + "/ok/live")
            acked, stop = [], threading.Event()

            def publish():
                client = s.client()
                while not stop.is_set():
                    acked.append(client.publish("live", {"n": len(acked), "pad": "y" * 500})["id"])
            threads = [threading.Thread(target=publish) for _ in range(2)]
            [t.start() for t in threads]
            copies = []
            for name, args in (("plain", []), ("compact", ["--compact"]), ("whole", ["--with-key"])):
                until(lambda: len(acked) > 200 * (len(copies) + 1), "events")
                before = list(acked)
                dest = os.path.join(self.folder, name)
                code, out, err = run("backup", s.data, dest, *args)
                self.assertEqual(code, 0, err)
                copies.append((dest, before))
            stop.set()
            [t.join() for t in threads]
            self.assertGreater(len(acked), len(copies[-1][1]))
            for dest, before in copies:
                key = [] if os.path.exists(dest + "/key") else ["--key-file", s.data + "/key"]
                code, out, err = run("check", dest, *key)
                self.assertEqual((code, "clean" in out), (0, True), out + err)
                self.assertGreaterEqual(int(re.search(r"events (\d+)", out).group(1)), len(before))
            key, acked_before = s.key, copies[-1][1]
            self.assertEqual(s.stop(), 0)
            with Server(data=copies[-1][0]) as restored:
                client = restored.client(key=key)
                for id in acked_before[::50] + acked_before[-1:]:
                    self.assertEqual(client.get("/v1/events/" + id).status, 200)
                self.assertEqual(client.get("/v1/webhooks/" + w["id"]).status, 200)
                until(lambda: client.get("/v1/webhooks/%s/stats" % w["id"]).json["deliveries"]["pending"] == 0)
                n = r.n_requests
                client.publish("live", "restored")
                r.wait(n + 1)
                harness.Verifier.stop()
                self.assertEqual(restored.stop(), 0)
            code, out, err = run("backup", s.data, copies[0][0])
            self.assertNotEqual(code, 0, "a backup must not write over another one")

    def test_publish_from_the_command_line(self):
        """Over a port and over a unix socket, for another account, with an id of its own, and what goes wrong."""
        with Receiver() as r, Server() as s:
            api = s.client()
            w = api.webhook(r.url + "/ok")
            for url in ("http://127.0.0.1:%d" % s.port, "http://127.0.0.1:%d/" % s.port, "unix:" + s.unix):
                env = clean_env(HOOKLINE_URL=url, HOOKLINE_KEY=s.key)
                code, out, err = run("publish", "cli.event", '{"n": 1.0, "big": 123456789012345678901}', env=env)
                self.assertEqual(code, 0, err)
                self.assertEqual(api.get("/v1/events/" + json.loads(out)["id"]).status, 200)
                r.wait_for(lambda records: any(x["headers"]["webhook-id"] == json.loads(out)["id"] for x in records))
                self.assertIn(b'"data":{"n": 1.0, "big": 123456789012345678901}}', r.records[-1]["body"])
            self.assertEqual(harness.Verifier.verdicts(w["secret"], r.records[-1]), harness.GOOD)
            harness.Verifier.stop()
            env = clean_env(HOOKLINE_URL="http://127.0.0.1:%d" % s.port, HOOKLINE_KEY=s.key)
            ids = [json.loads(run("publish", "cli.once", "1", "--id", "mine", env=env)[1]) for _ in range(2)]
            self.assertEqual([x["replayed"] for x in ids], [False, True])
            api.post("/v1/accounts", {"id": "shop"})
            self.assertEqual(run("publish", "cli.shop", "--account", "shop", env=env)[0], 0)
            self.assertEqual(len(api.get("/v1/events", headers={"Hookline-Account": "shop"}).json["data"]), 1)
            for args, environment, word in ((["cli.bad", "{"], env, "JSON"), (["cli bad"], env, "422"), (["cli.x"], dict(env, HOOKLINE_KEY="x"), "401"),
                                            (["cli.x"], dict(env, HOOKLINE_URL="http://127.0.0.1:1"), "refused"),
                                            (["cli.x"], dict(env, HOOKLINE_URL="https://127.0.0.1"), "http://"),
                                            (["cli.x"], dict(env, HOOKLINE_URL="unix:/nonexistent"), "nobody")):
                code, out, err = run("publish", *args, env=environment)
                self.assertEqual((code, out), (1, ""), err)
                self.assertIn(word, err)
            self.assertEqual(run("publish", env=env)[0], 2)
            self.assertEqual(s.stop(), 0)

    def test_check_beside_a_running_server(self):
        with Receiver() as r, Server() as s:
            api = s.client()
            api.webhook(r.url + "/ok")
            stop = threading.Event()
            t = threading.Thread(target=lambda: [api.publish("x", i) for i in iter(lambda: stop.is_set(), True)])
            t.start()
            for _ in range(5):
                code, out, err = s.check()
                self.assertEqual((code, "clean" in out), (0, True), out + err)
            stop.set()
            t.join()
            self.assertEqual(s.stop(), 0)

    def test_sigterm_while_publishing(self):
        """Stopped in order five times while events come in: exit 0, and nothing acknowledged is lost or sent twice."""
        with Receiver() as r, Server() as s:
            api = s.client()
            api.webhook(r.url + "/slow/20/drain")
            acked, stop = set(), threading.Event()

            def publish(n):
                client, i = s.client(), 0
                while not stop.is_set():
                    i += 1
                    body = {"type": "drain", "data": i, "id": "%d-%d" % (n, i)}
                    while True:
                        try:
                            a = client.post("/v1/events", body)
                        except Exception:  # noqa: BLE001
                            a = None
                        if a and a.status == 202:
                            acked.add(a.json["id"])
                            break
                        time.sleep(0.01)
            threads = [threading.Thread(target=publish, args=(n,)) for n in range(3)]
            [t.start() for t in threads]
            for life in range(5):
                n = len(acked)
                until(lambda: len(acked) > n + 50, "events")
                self.assertEqual(s.stop(), 0, s.log()[-2000:])
                code, out, err = s.check()
                self.assertEqual((code, "clean" in out), (0, True), out + err)
                s.start()
            stop.set()
            [t.join() for t in threads]
            received = lambda: [x["headers"]["webhook-id"] for x in list(r.records)]  # noqa: E731
            until(lambda: acked <= set(received()), "all events")
            until(lambda: api.get("/v1/undelivered").json["data"] == [])
            self.assertEqual(len(received()), len(set(received())), "an orderly stop repeats nothing")
            self.assertEqual(s.stop(), 0)

    def test_where_options_come_from(self):
        """default < file < environment < flags; names and values that are wrong are named with their place."""
        conf = os.path.join(self.folder, "h.conf")
        write(conf, b"# mine\n[delivery]\ntimeout = 7s\nmax_slow = 33\n\n[log]\nlevel = warn\n")

        def printed(*args, **env):
            code, out, err = run("serve", "--config", conf, "--print-config", *args, env=clean_env(**env))
            self.assertEqual(code, 0, err)
            return dict(re.findall(r"^(\w+) = (.*)$", out, re.M)), out
        self.assertEqual(printed()[0]["timeout"], "7s")
        self.assertEqual(printed(HOOKLINE_DELIVERY_TIMEOUT="8s")[0]["timeout"], "8s")
        self.assertEqual(printed("--set", "delivery.timeout=9s", HOOKLINE_DELIVERY_TIMEOUT="8s")[0]["timeout"], "9s")
        self.assertEqual(printed()[0]["connect_timeout"], "5s")
        text = printed("--set", "delivery.timeout=9s", HOOKLINE_LOG_LEVEL="debug")[1]
        for place in (r"\(--set\)\ntimeout = 9s", r"\(HOOKLINE_LOG_LEVEL\)\nlevel = debug", r"h\.conf:4\)\nmax_slow = 33",
                      r"\(default\)\nconnect_timeout = 5s"):
            self.assertRegex(text, place)
        write(os.path.join(self.folder, "printed.conf"), text.encode())
        code, out, err = run("serve", "--config", os.path.join(self.folder, "printed.conf"), "--print-config")
        self.assertEqual(re.sub(r"\(.*\)", "", out), re.sub(r"\(.*\)", "", text), "what is printed can be read")
        for wrong, words in ((b"[delivery]\ntimeuot = 5s\n", r"h\.conf:2.*timeuot.*delivery\.timeout"), (b"[delivery]\ntimeout = 5\n", r"h\.conf:2.*timeout"),
                             (b"[log]\nlevel = loud\n", r"h\.conf:2.*debug"), (b"[delivery]\ntimeout = 5s\ntimeout = 6s\n", "twice"),
                             (b"nonsense\n", r"h\.conf:1"), (b"[nosuch]\nx = 1\n", "nosuch"),
                             (b"[egress]\nallow_networks = 10.0.0.0/33\n", "allow_networks"), (b"[server]\nlisten = nowhere\n", "listen")):
            write(conf, wrong)
            for how in (["--check-config"], ["--data", os.path.join(self.folder, "never")]):
                code, out, err = run("serve", "--config", conf, *how)
                self.assertEqual(code, 3, (wrong, out, err))
                self.assertRegex(err, words)
        self.assertFalse(os.path.exists(os.path.join(self.folder, "never")))
        for args in (["--set", "log.levle=info"], ["--set", "x"], ["--set", "log.level"]):
            self.assertEqual(run("serve", *args, "--check-config")[0], 3, args)
        self.assertRegex(run("serve", "--set", "log.levle=info", "--check-config")[2], "log.level")
        self.assertEqual(run("serve", "--nonsense")[0], 2)
        self.assertEqual(run("nonsense")[0], 2)
        code, out, err = run("serve", "--check-config", env=clean_env(HOOKLINE_STORE_MAXSIZE="1GiB"))
        self.assertEqual(code, 3)
        self.assertRegex(err, "HOOKLINE_STORE_MAXSIZE.*store.max_size")


if __name__ == "__main__":
    unittest.main(verbosity=1, warnings="ignore")
