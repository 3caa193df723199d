"""The program from outside: commands, exit codes, configuration, signals, sockets, the service manager's protocol.

    test_program.py HOOKLINE"""
import http.client
import os
import re
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "lib"))
from program import Server, clean_env, run  # noqa: E402
from receiver import Receiver, verify  # noqa: E402

HOOKLINE = sys.argv.pop(1)
SANITIZED = os.environ.get("HOOKLINE_SANITIZED") == "yes"
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYo="


def hookline(*args, **kw):
    return run(HOOKLINE, *args, **kw)


class Commands(unittest.TestCase):
    def test_usage(self):
        code, out, err = hookline()
        self.assertEqual((code, out), (2, ""))
        self.assertIn("hookline serve", err)
        self.assertEqual(hookline("nonsense")[0], 2)
        for args in (["serve", "a", "b"], ["serve", "a", "--data", "b"], ["serve", "--nonsense"], ["key"], ["key", "make"], ["key", "revoke"], ["key", "revoke", "x"],
                     ["key", "create", "--scope", "all"], ["key", "create", "--dialect", "klingon"],
                     ["key", "create", "--expires", "2001-01-01T00:00:00Z"], ["publish"], ["publish", "a", "b", "c"], ["check"],
                     ["backup", "a"], ["backup"], ["migrate"], ["check", "a", "--data", "b"],
                     ["backup", "--data", "a"], ["backup", "--data", "a", "b", "c"], ["key", "list", "a", "b"], ["listen", "a", "b"], ["listen", "--answer", "99"], ["listen", "--secret", "x"],
                     ["version", "x"],
                     ["help", "nonsense"]):
            with self.subTest(args=args):
                code, out, err = hookline(*args)
                self.assertEqual((code, out), (2, ""))
                self.assertIn("hookline", err)

    def test_help(self):
        for args in (["help"], ["--help"], ["help", "options"], ["help", "exit"], ["version"], ["--version"]):
            self.assertEqual(hookline(*args)[0], 0)
        for command in ("serve", "key", "publish", "listen", "check", "backup", "migrate", "version", "help"):
            code, out, _ = hookline("help", command)
            self.assertEqual(code, 0)
            self.assertTrue(out.startswith("hookline " + command))
            self.assertEqual(run(HOOKLINE, command, "--help", allow_root=False)[1], out)
        self.assertIn("delivery.max_in_flight_per_webhook = 20", hookline("help", "options")[1])

    def test_the_manual_page_is_well_formed(self):
        if not shutil.which("mandoc"):
            self.skipTest("no mandoc")
        p = subprocess.run(["mandoc", "-Tlint", "-Wwarning"], input=hookline("help", "--man")[1], capture_output=True, text=True)
        self.assertEqual((p.returncode, p.stdout + p.stderr), (0, ""))

    def test_configuration(self):
        with tempfile.TemporaryDirectory() as d:
            path = os.path.join(d, "h.conf")
            with open(path, "w", encoding="utf-8") as f:
                f.write("[delivery]\ntimeout = 7s\nmax_slow = 10\n")
            env = clean_env(HOOKLINE_DELIVERY_MAX_SLOW="11", HOOKLINE_STORE_MAX_SIZE="1GiB")
            args = ["serve", "--config", path, "--set", "store.max_size=2GiB"]
            self.assertEqual(hookline(*args, "--check-config", env=env)[:2], (0, "the configuration is right\n"))
            out = hookline(*args, "--print-config", env=env)[1]
            self.assertRegex(out, r"\(.*h\.conf:2\)\ntimeout = 7s\n")
            self.assertIn("(HOOKLINE_DELIVERY_MAX_SLOW)\nmax_slow = 11\n", out)
            self.assertIn("(--set)\nmax_size = 2GiB\n", out)
            with open(path, "w", encoding="utf-8") as f:
                f.write("[delivery]\n\ntimout = 7s\n")
            code, _, err = hookline("serve", "--config", path, "--check-config")
            self.assertEqual(code, 3)
            self.assertIn("h.conf:3: unknown option \"delivery.timout\"; did you mean delivery.timeout?", err)
            self.assertEqual(hookline("serve", "--config", os.path.join(d, "none"), "--check-config")[0], 3)
            self.assertEqual(hookline("serve", "--listen", "localhost:80", "--check-config")[0], 3)

    def test_publish_without_a_server(self):
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))  # bound, not listening: refused
            url = "http://127.0.0.1:%d" % s.getsockname()[1]
            code, _, err = hookline("publish", "a", "--url", url, "--key", "k")
        self.assertEqual(code, 1)
        self.assertIn("Connection refused", err)
        self.assertIn("https", hookline("publish", "a", "--url", "https://x")[2])
        self.assertIn("not JSON", hookline("publish", "a", "{", "--url", url)[2])
        self.assertEqual(hookline("publish", "a", "--url", "unix:/nonexistent/s")[0], 1)


    def test_publish_to_something_else(self):
        with Receiver() as r:
            for behaviour, message in (("garbage", "is not HTTP"), ("close", "hung up"), ("reset", "reset"),
                                       ("status/503", "the server answered 503"), ("status/204", "the server answered 204"),
                                       ("endless-head", "is not HTTP")):
                with self.subTest(behaviour):
                    r.script["/v1/events"] = behaviour
                    code, out, err = hookline("publish", "a", "--url", r.url, "--key", "k")
                    self.assertEqual((code, out), (1, ""))
                    self.assertIn(message, err)
                    self.assertEqual("may be stored" in err, "answered" not in message, err)
            r.script["/v1/events"] = "status/401"
            self.assertIn("HOOKLINE_KEY", hookline("publish", "a", "--url", r.url)[2])
            self.assertNotIn("HOOKLINE_KEY", hookline("publish", "a", "--url", r.url, "--key", "k")[2])


class Listen(unittest.TestCase):
    def setUp(self):
        self.p = None

    def tearDown(self):
        if self.p and self.p.poll() is None:
            self.p.kill()
        if self.p:
            self.p.wait()
            self.p.stdout.close()

    def listen(self, *args):
        self.p = subprocess.Popen([HOOKLINE, "listen", "127.0.0.1:0"] + list(args), stdout=subprocess.PIPE, text=True, env=clean_env())
        port = int(re.match(r"listening on http://127\.0\.0\.1:(\d+)", self.p.stdout.readline()).group(1))
        self.p.stdout.readline()
        return port

    def post(self, port, body, headers=None):
        c = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        c.request("POST", "/x", body, headers or {})
        a = c.getresponse()
        a.read()
        status = a.status
        c.close()
        return status

    def signed(self, body, at=None, secret=SECRET):
        import base64
        import hashlib
        import hmac
        at = str(int(time.time() if at is None else at))
        mac = hmac.new(base64.b64decode(secret[6:]), b"evt_1.%s.%s" % (at.encode(), body), hashlib.sha256).digest()
        return {"webhook-id": "evt_1", "webhook-timestamp": at, "webhook-signature": "v1,AAAA v1," + base64.b64encode(mac).decode()}

    def test_signatures(self):
        body = b'{"a": "\xc3\xa9"}'
        port = self.listen("--secret", SECRET, "--count", "5")
        self.assertEqual(self.post(port, body, self.signed(body)), 204)
        self.assertEqual(self.post(port, body + b" ", self.signed(body)), 204)
        self.post(port, body, self.signed(body, at=time.time() - 600))
        self.post(port, body, self.signed(body, secret="whsec_" + "A" * 43 + "="))
        self.post(port, b"\x1b[31mred")
        out = self.p.stdout.read()
        self.assertEqual(self.p.wait(10), 1)
        self.assertEqual(re.findall(r"signature (ok|BAD: [^\n]*)", out), [
            "ok", "BAD: no signature fits", "BAD: webhook-timestamp is 600 s away from now", "BAD: no signature fits",
            "BAD: webhook-id, webhook-timestamp or webhook-signature is missing"])
        self.assertNotIn("\x1b", out)

    def test_all_good_exits_0(self):
        port = self.listen("--secret", SECRET, "--count", "1", "--answer", "202", "--delay", "50")
        start = time.monotonic()
        self.assertEqual(self.post(port, b"{}", self.signed(b"{}")), 202)
        self.assertGreater(time.monotonic() - start, 0.045)
        self.assertEqual(self.p.wait(10), 0)

    def test_sigterm_and_a_client_that_leaves(self):
        port = self.listen("--delay", "100000")
        s = socket.create_connection(("127.0.0.1", port))
        s.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
        self.assertIn("not checked", self.p.stdout.readline())
        s.close()  # its answer is still to come; nobody waits for it now
        self.p.terminate()
        self.assertEqual(self.p.wait(10), 0)


class Serve(unittest.TestCase):
    def test_a_life(self):
        with Receiver() as r, Server(HOOKLINE) as s:
            self.assertEqual(s.request("GET", "/livez")[0], 200)
            self.assertEqual(s.request("GET", "/readyz")[0], 200)
            self.assertEqual(stat.S_IMODE(os.stat(s.data).st_mode), 0o700)
            self.assertEqual(stat.S_IMODE(os.stat(s.control).st_mode), 0o600)
            _, hook = s.api("POST", "/v1/webhooks", {"url": r.url + "/ok", "secret": SECRET}, want=201)
            code, out, err = s.hookline("publish", "order.created", '{"n": 1.0}')
            self.assertEqual(code, 0, err)
            r.wait(1)
            self.assertTrue(verify(SECRET, r.records[0]))
            self.assertIn(b'{"n": 1.0}', r.records[0]["body"])
            self.assertEqual(s.hookline("publish", "order.created", "@/nonexistent")[0], 1)
            self.assertEqual(s.hookline("publish", "order.created", "-", stdin='{"from": "stdin"}')[0], 0)
            r.wait(2)
            code, _, err = s.hookline("publish", "bad type")
            self.assertEqual(code, 1)
            self.assertIn("422", err)
            self.assertEqual(s.stop(), 0)
            self.assertFalse(os.path.exists(s.control))
            self.assertIn("ev=serve.ended exit=0", s.log())
            self.assertNotIn(SECRET[6:], s.log())
            self.assertNotIn(s.key, s.log())
            self.assertEqual(hookline("check", s.data)[0], 0)

    def test_keys_beside_a_server_and_without_one(self):
        with Server(HOOKLINE) as s:
            data = ["--data", s.data]
            beside = hookline("key", "create", *data, "--scope", "read", "--name", "beside")[1].strip()
            self.assertRegex(beside, r"^hlk_\w{55}$")
            self.assertEqual(s.api("GET", "/v1/webhooks", key=beside)[0], 200)
            self.assertEqual(s.api("GET", "/v1/keys", key=beside)[0], 403)
            listed = hookline("key", "list", *data)[1]
            self.assertRegex(listed, r"(?m)^%s…%s  default +hookline +read +active +never +beside$" % (beside[:10], beside[-4:]))
            self.assertEqual(hookline("key", "revoke", *data, beside)[0], 0)
            self.assertEqual(s.api("GET", "/v1/webhooks", key=beside)[0], 401)
            self.assertIn(" revoked ", hookline("key", "list", *data)[1])
            self.assertEqual(hookline("key", "revoke", *data, "hlk_0000zz")[0], 1)
            self.assertEqual(hookline("key", "create", *data, "--account", "nobody")[0], 1)
            self.assertEqual(s.stop(), 0)
            alone = hookline("key", "create", *data, "--name", "alone")[1].strip()
            self.assertRegex(alone, r"^hlk_\w{55}$")
            self.assertEqual(len(hookline("key", "list", *data)[1].splitlines()), 2)
            self.assertEqual(hookline("key", "list", *data)[1].splitlines()[0].split("…")[0], beside[:10])
            s.start()
            self.assertEqual(s.api("GET", "/v1/webhooks", key=alone)[0], 200)
            self.assertEqual(hookline("key", "revoke", *data, alone[:10])[0], 0)
            self.assertEqual(s.api("GET", "/v1/webhooks", key=alone)[0], 401)

    @unittest.skipUnless(os.geteuid() == 0, "needs root to become somebody else")
    def test_the_control_socket_is_for_its_own_user(self):
        with Server(HOOKLINE) as s:
            # even with every permission in the way removed
            for path, mode in ((s.own, 0o755), (s.data, 0o755), (s.control, 0o666)):
                os.chmod(path, mode)
            code = ("import socket,os; os.setuid(65534); s=socket.socket(socket.AF_UNIX); s.connect(%r);"
                    "s.sendall(b'GET /v1/keys HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n'); print(len(s.recv(100)))" % s.control)
            p = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
            self.assertNotRegex(p.stdout, r"[1-9]", p.stderr)
            s.wait_log("ev=serve.control_refused uid=65534")
            self.assertEqual(s.request("GET", "/v1/keys", unix=s.control)[0], 200)

    def test_a_second_server_on_the_directory(self):
        with Server(HOOKLINE) as s:
            code, _, err = hookline("serve", "--data", s.data, "--listen", "127.0.0.1:0")
            self.assertEqual(code, 4)
            self.assertRegex(err, r"in use.*%d" % s.process.pid)
            second = Server(HOOKLINE, "--takeover", data=s.data)
            second.logfile = s.logfile + ".2"
            with second.start(wait=False):
                second.wait_log("ev=serve.waiting")
                self.assertIn("in use by process %d" % s.process.pid, second.log())
                self.assertIsNone(second.process.poll())
                self.assertEqual(s.stop(), 0)
                second.wait_log("ev=serve.ready")
                self.assertEqual(second.stop(), 0)

    def test_an_address_in_use(self):
        with Server(HOOKLINE) as s:
            code, _, err = hookline("serve", "--data", os.path.join(s.own, "other"), "--listen", "127.0.0.1:%d" % s.port)
            self.assertEqual(code, 1)
            self.assertIn("serve.start_failed", err)
            self.assertNotIn("drain", err)
            self.assertIn("exit=1", err)

    def test_bad_directories(self):
        with tempfile.TemporaryDirectory() as d:
            file = os.path.join(d, "file")
            open(file, "w").close()
            none = os.path.join(d, "none")
            for data, why in ((file, "not a directory|File exists"), (os.path.join(none, "none"), "No such file"),
                              (os.path.join(file, "x"), "Not a directory")):
                code, _, err = hookline("serve", "--data", data, "--listen", "127.0.0.1:0")
                self.assertEqual(code, 4, err)
                self.assertRegex(err, why)
                self.assertNotIn("ev=serve.ready", err)
            for data in (none, file):
                for command in (["check", data], ["migrate", data], ["backup", data, os.path.join(d, "copy")], ["key", "list", data],
                                ["key", "revoke", "hlk_000001", data]):
                    code, _, err = hookline(*command)
                    self.assertEqual((command, code), (command, 4), err)
                    self.assertIn(data, err)
            self.assertEqual(hookline("key", "create", os.path.join(none, "none"))[0], 4)
            self.assertFalse(os.path.exists(none))
            os.mkdir(os.path.join(d, "foreign"))
            with open(os.path.join(d, "foreign", "data.mdb"), "wb") as f:
                f.write(b"not a store" * 1000)
            self.assertEqual(hookline("check", os.path.join(d, "foreign"))[0], 4)
            self.assertEqual(hookline("serve", "--data", os.path.join(d, "foreign"), "--listen", "127.0.0.1:0")[0], 4)

    def test_the_sealing_key(self):
        with Server(HOOKLINE) as s:
            key = os.path.join(s.data, "key")
            self.assertEqual(s.stop(), 0)
            self.assertEqual(stat.S_IMODE(os.stat(key).st_mode), 0o600)
            serve = ["serve", "--data", s.data, "--listen", "127.0.0.1:0"]
            os.chmod(key, 0o644)
            self.assertEqual(hookline(*serve)[0], 4)
            os.chmod(key, 0o600)
            os.rename(key, key + ".away")
            code, _, err = hookline(*serve)
            self.assertEqual(code, 4)
            self.assertIn("--rekey", err)
            os.rename(key + ".away", key)
            code, _, err = hookline("serve", "--data", os.path.join(s.own, "fresh"), "--listen", "127.0.0.1:0",
                                    "--set", "store.key_file=" + os.path.join(s.own, "nowhere", "key"))
            self.assertEqual(code, 4)
            self.assertIn("nowhere", err)
            new = os.path.join(s.own, "newkey")
            self.assertEqual(hookline("migrate", s.data, "--rekey", new)[0], 0)
            self.assertEqual(hookline("migrate", s.data)[0], 4)
            self.assertEqual(hookline("migrate", s.data, "--key-file", new)[0], 0)
            os.replace(new, key)
            s.start()
            self.assertEqual(s.stop(), 0)

    def test_a_key_from_the_service_manager(self):
        with tempfile.TemporaryDirectory(dir="/tmp") as d:
            credentials, data = os.path.join(d, "credentials"), os.path.join(d, "data")
            os.mkdir(credentials)
            key = os.path.join(credentials, "hookline.key")
            with open(key, "w", encoding="ascii") as f:
                f.write(os.urandom(32).hex() + "\n")
            os.chmod(key, 0o400)
            env = clean_env(CREDENTIALS_DIRECTORY=credentials)
            s = Server(HOOKLINE, data=data, env=env)
            s.logfile = os.path.join(d, "log")
            with s:
                self.assertEqual(s.stop(), 0)
            self.assertNotIn("key", os.listdir(data))
            self.assertEqual(hookline("check", data)[0], 4)
            self.assertEqual(hookline("check", data, "--key-file", key)[0], 0)
            self.assertEqual(hookline("check", data, env=env)[0], 0)
            self.assertIn("($CREDENTIALS_DIRECTORY)\nkey_file = %s\n" % key, hookline("serve", "--print-config", env=env)[1])
            # a key that is named comes first; and a manager that hands over another credential changes nothing
            self.assertIn("\nkey_file = /x\n", hookline("serve", "--print-config", "--key-file", "/x", env=env)[1])
            os.rename(key, os.path.join(credentials, "other"))
            self.assertIn("\nkey_file = \n", hookline("serve", "--print-config", env=env)[1])

    @unittest.skipUnless(os.geteuid() == 0, "needs root to become somebody else")
    def test_who_may_see_the_key(self):
        with tempfile.TemporaryDirectory(dir="/tmp") as d:
            os.chmod(d, 0o711)
            program, key, data = (os.path.join(d, n) for n in ("hookline", "key", "data"))
            shutil.copy(HOOKLINE, program)
            os.mkdir(data)
            os.chown(data, 65534, 65534)
            with open(key, "w", encoding="ascii") as f:
                f.write("a5" * 32)
            # (owner, mode): root may hand a key to the service's group, and nobody may show it to all
            for owner, mode, code in ((0, 0o640, 0), (0, 0o644, 4), (0, 0o660, 4), (65534, 0o640, 4), (65534, 0o600, 0)):
                os.chown(key, owner, 65534)
                os.chmod(key, mode)
                p = subprocess.run([program, "key", "create", data, "--key-file", key], user=65534, group=65534, extra_groups=[],
                                   env=clean_env(), capture_output=True, text=True)
                self.assertEqual(p.returncode, code, (owner, oct(mode), p.stderr))

    def test_one_directory_named_either_way(self):
        with Server(HOOKLINE) as s:
            env = clean_env(HOOKLINE_STORE_DIR=s.data)
            conf = os.path.join(s.own, "h.conf")
            with open(conf, "w", encoding="utf-8") as f:
                f.write("[store]\ndir = %s\n" % s.data)
            self.assertEqual(hookline("key", "create", s.data)[0], 0)
            for how, e in (([s.data], None), (["--data", s.data], None), (["--config", conf], None), ([], env),
                           (["--set", "store.dir=" + s.data], None)):
                with self.subTest(how=how):
                    self.assertEqual(hookline("check", *how, env=e)[0], 0)
                    self.assertEqual(hookline("key", "list", *how, env=e)[1].count("\n"), 1)
                    dest = os.path.join(s.own, "copy")
                    words = how + [dest] if how[:1] != ["--set"] else [dest] + how
                    self.assertEqual(hookline("backup", *words, env=e)[0], 0)
                    self.assertEqual(hookline("check", dest, "--key-file", os.path.join(s.data, "key"), env=e)[0], 0)
                    shutil.rmtree(dest)
                    self.assertEqual(hookline("migrate", *how, env=e)[0], 4)         # the server has it
                    code, _, err = hookline("serve", *how, "--listen", "127.0.0.1:0", env=e)
                    self.assertEqual(code, 4, err)
                    self.assertIn("in use", err)
            # what is wrong with the copy's directory says nothing about the data directory
            self.assertEqual(hookline("backup", s.data, os.path.join(s.own, "none", "copy"))[0], 1)
            self.assertEqual(s.stop(), 0)

    def test_backup(self):
        with Receiver() as r, Server(HOOKLINE) as s:
            s.api("POST", "/v1/webhooks", {"url": r.url + "/ok"}, want=201)
            for i in range(20):
                s.api("POST", "/v1/events", {"type": "a", "data": i}, want=202)
            r.wait(20)
            for name, args in (("plain", []), ("compact", ["--compact"]), ("whole", ["--with-key"])):
                dest = os.path.join(s.own, name)
                code, _, err = hookline("backup", s.data, dest, *args)
                self.assertEqual(code, 0, err)
                self.assertEqual(os.path.exists(os.path.join(dest, "key")), name == "whole")
                check = [] if name == "whole" else ["--key-file", os.path.join(s.data, "key")]
                code, out, err = hookline("check", dest, *check)
                self.assertEqual(code, 0, out + err)
                self.assertIn("events 20,", out)
            self.assertNotEqual(hookline("backup", s.data, os.path.join(s.own, "plain"))[0], 0)
            self.assertEqual(hookline("check", s.data)[0], 0)

    def test_sighup(self):
        with tempfile.TemporaryDirectory() as d:
            conf = os.path.join(d, "h.conf")

            def write(text):
                with open(conf, "w", encoding="utf-8") as f:
                    f.write(text)
            write("[log]\nlevel = info\n")
            with Server(HOOKLINE, "--config", conf) as s:
                write("[log]\nlevel = debugg\n")
                s.process.send_signal(signal.SIGHUP)
                s.wait_log("ev=serve.reload_failed")
                self.assertIn("nothing was changed", s.log())
                write("[log]\nlevel = debug\n")
                s.process.send_signal(signal.SIGHUP)
                s.wait_log("ev=serve.reloaded log_level=debug")
                self.assertEqual(s.request("GET", "/livez")[0], 200)
                self.assertEqual(s.stop(signal.SIGINT), 0)

    def test_a_second_signal_ends_at_once(self):
        with Receiver() as r, Server(HOOKLINE, "--set", "delivery.timeout=60s", "--set", "server.drain_timeout=60s") as s:
            s.api("POST", "/v1/webhooks", {"url": r.url + "/hang"}, want=201)
            s.api("POST", "/v1/events", {"type": "a", "data": 1}, want=202)
            r.wait(1)
            s.process.send_signal(signal.SIGTERM)
            s.wait_log("ev=serve.stopping")
            with self.assertRaises(subprocess.TimeoutExpired):
                s.process.wait(0.3)
            self.assertEqual(s.stop(), 1)
            s.start()
            r.wait(2)
            self.assertEqual(r.records[0]["headers"]["webhook-id"], r.records[1]["headers"]["webhook-id"])
            s.kill()

    def test_drain_lets_an_attempt_end(self):
        with Receiver() as r, Server(HOOKLINE) as s:
            s.api("POST", "/v1/webhooks", {"url": r.url + "/slow/700"}, want=201)
            s.api("POST", "/v1/events", {"type": "a", "data": 1}, want=202)
            r.wait(1)
            self.assertEqual(s.stop(), 0)
            s.start()
            _, rows = s.api("GET", "/v1/deliveries", want=200)
            self.assertEqual([d["status"] for d in rows["data"]], ["succeeded"])
            self.assertEqual(r.n_requests, 1)

    @unittest.skipIf(SANITIZED, "a sanitizer wants to be loaded first")
    def test_a_failing_disk(self):
        """fdatasync says EIO: no 202, exit code 5, and the store is whole when the disk is."""
        with Receiver() as r, tempfile.TemporaryDirectory(dir="/tmp") as d:
            shim, switch = os.path.join(d, "shim.so"), os.path.join(d, "fail")
            code = """#define _GNU_SOURCE
                #include <dlfcn.h>
                #include <errno.h>
                #include <unistd.h>
                int fdatasync(int fd)
                {
                    if (access("%s", F_OK) == 0) { errno = EIO; return -1; }
                    return ((int (*)(int))dlsym(RTLD_NEXT, "fdatasync"))(fd);
                }""" % switch
            subprocess.run(["cc", "-shared", "-fPIC", "-o", shim, "-x", "c", "-", "-ldl"], input=code, text=True, check=True)
            with Server(HOOKLINE, env=clean_env(LD_PRELOAD=shim)) as s:
                s.api("POST", "/v1/webhooks", {"url": r.url + "/ok"}, want=201)
                s.api("POST", "/v1/events", {"type": "a", "data": 1}, want=202)
                r.wait(1)
                open(switch, "w").close()
                try:
                    self.assertEqual(s.api("POST", "/v1/events", {"type": "a", "data": 2})[0], 503)
                except (OSError, http.client.HTTPException):
                    pass  # the process was gone first
                self.assertEqual(s.process.wait(30), 5)
                self.assertIn("ev=serve.fatal", s.log())
                os.unlink(switch)
                code, out, err = hookline("check", s.data)
                self.assertEqual(code, 0, out + err)
                s.start()
                _, events = s.api("GET", "/v1/events", want=200)
                self.assertIn(len(events["data"]), (1, 2))
                s.api("POST", "/v1/events", {"type": "a", "data": 3}, want=202)
                self.assertEqual(s.stop(), 0)

    def test_listeners(self):
        with tempfile.TemporaryDirectory(dir="/tmp") as d:
            path = os.path.join(d, "s")
            s = Server(HOOKLINE, "--set", "server.socket_mode=0600")
            with s.start(listen=("127.0.0.1:0", "[::1]:0", "unix:" + path)):
                self.assertEqual(s.request("GET", "/livez", unix=path)[0], 200)
                self.assertEqual(stat.S_IMODE(os.stat(path).st_mode), 0o600)
                self.assertEqual(s.request("GET", "/v1/webhooks", unix=path)[0], 401)
                port = int(re.search(r"address=\[::1\]:(\d+)", s.log()).group(1))
                socket.create_connection(("::1", port)).close()
                # a killed server's socket file does not stand in its successor's way
                s.kill()
                self.assertTrue(os.path.exists(path))
                s.start(listen=("unix:" + path,))
                self.assertEqual(s.request("GET", "/livez", unix=path)[0], 200)
                self.assertEqual(s.stop(), 0)
                self.assertFalse(os.path.exists(path))

    def test_own_listeners_are_out_of_reach(self):
        with Server(HOOKLINE) as s:
            status, answer = s.api("POST", "/v1/webhooks", {"url": s.url + "/v1/events"})
            self.assertEqual(status, 422, answer)

    def test_service_manager(self):
        with tempfile.TemporaryDirectory(dir="/tmp") as d:
            notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            notify.bind(os.path.join(d, "n"))
            notify.settimeout(20)
            listener = socket.create_server(("127.0.0.1", 0))
            # LISTEN_PID must be the process itself: a shell that says so and then becomes it
            env = clean_env(NOTIFY_SOCKET=os.path.join(d, "n"), WATCHDOG_USEC="200000")
            script = "export LISTEN_PID=$$ LISTEN_FDS=1; exec \"$@\" 3<&%d" % listener.fileno()
            data = os.path.join(d, "data")
            with open(os.path.join(d, "log"), "wb") as log:
                p = subprocess.Popen(["sh", "-c", script, "sh", HOOKLINE, "serve", "--allow-root", "--data", data, "--set", "server.listen="],
                                     env=env, pass_fds=[listener.fileno()], stderr=log)
            try:
                self.assertEqual(notify.recv(1000), b"READY=1\nSTATUS=Serving on 127.0.0.1:%d" % listener.getsockname()[1])
                c = http.client.HTTPConnection("127.0.0.1", listener.getsockname()[1], timeout=10)
                c.request("GET", "/livez")
                self.assertEqual(c.getresponse().status, 200)
                c.close()
                self.assertEqual(notify.recv(1000), b"WATCHDOG=1")
                p.send_signal(signal.SIGHUP)
                seen = [notify.recv(1000) for _ in range(2)]
                seen = [m for m in seen if m != b"WATCHDOG=1"] or [notify.recv(1000)]
                self.assertRegex(seen[0], rb"^RELOADING=1\nMONOTONIC_USEC=\d+$")
                p.terminate()
                while not notify.recv(1000).startswith(b"STOPPING=1\nSTATUS=Ending with code 0;"):
                    pass
                self.assertEqual(p.wait(30), 0)
            finally:
                if p.poll() is None:
                    p.kill()
                p.wait()
                notify.close()
                listener.close()

    def test_sockets_handed_over(self):
        """They take the default address's place, and stand beside an address that is named."""
        for args, n in (([], 1), (["--listen", "127.0.0.1:0"], 2)):
            with tempfile.TemporaryDirectory(dir="/tmp") as d, socket.create_server(("127.0.0.1", 0)) as listener, \
                    open(os.path.join(d, "log"), "wb") as log:
                script = "export LISTEN_PID=$$ LISTEN_FDS=1; exec \"$@\" 3<&%d" % listener.fileno()
                p = subprocess.Popen(["sh", "-c", script, "sh", HOOKLINE, "serve", os.path.join(d, "data"), "--allow-root"] + args,
                                     env=clean_env(), pass_fds=[listener.fileno()], stderr=log)
                try:
                    c = http.client.HTTPConnection("127.0.0.1", listener.getsockname()[1], timeout=30)
                    c.request("GET", "/livez")     # queues in the socket until somebody takes it
                    self.assertEqual(c.getresponse().status, 200)
                    c.close()
                    p.terminate()
                    self.assertEqual(p.wait(30), 0)
                finally:
                    if p.poll() is None:
                        p.kill()
                        p.wait()
                with open(os.path.join(d, "log"), encoding="utf-8") as f:
                    listening = re.findall(r"ev=serve.listening address=(\S+)", f.read())
                self.assertEqual(len(listening), n, listening)
                self.assertIn("127.0.0.1:%d" % listener.getsockname()[1], listening)

    def test_a_stuck_log_reader_stops_nothing(self):
        with tempfile.TemporaryDirectory(dir="/tmp") as d:
            reader, writer = os.pipe()
            p = subprocess.Popen([HOOKLINE, "serve", "--allow-root", "--data", os.path.join(d, "d"), "--listen",
                                  "unix:" + os.path.join(d, "s"), "--set", "log.level=debug", "--set", "log.format=json"], stderr=writer, env=clean_env())
            os.close(writer)
            try:
                s = Server(HOOKLINE, data=os.path.join(d, "d"))
                end = time.monotonic() + 20
                while not os.path.exists(os.path.join(d, "s")) and time.monotonic() < end:
                    time.sleep(0.02)
                for _ in range(3000):  # more lines than pipe and buffer hold, if every request logs one
                    self.assertEqual(s.request("GET", "/livez", unix=os.path.join(d, "s"))[0], 200)
                p.terminate()
                self.assertEqual(p.wait(30), 0)
            finally:
                if p.poll() is None:
                    p.kill()
                p.wait()
                os.close(reader)


if __name__ == "__main__":
    unittest.main()
