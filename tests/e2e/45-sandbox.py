#!/usr/bin/env python3
"""The server's sandbox (Landlock) from inside: a library loaded into the real program tries what an intruder would, in the
loop's thread and in the storage thread; what the program needs goes on working; and a start as root is refused.

Without Landlock in the kernel the tests of what it refuses are skipped."""
import ctypes
import os
import re
import shutil
import signal
import socket
import stat
import subprocess
import tempfile
import time
import unittest

import harness
from harness import Receiver, Server, run, until
from program import clean_env

ABI = ctypes.CDLL(None, use_errno=True).syscall(444, None, 0, 1) if not harness.WRAPPED else 0
NEEDS_LANDLOCK = unittest.skipUnless(ABI >= 1, "this kernel (or valgrind) has no Landlock (errno %d)" % ctypes.get_errno())
NO_PRELOAD = unittest.skipIf(harness.SANITIZED, "the sanitizer wants to be loaded first")
SINCE = {"truncate": 3, "bind": 4, "abstract": 6, "signal": 6}     # Landlock's version that can refuse it; the rest: 1
REFUSED = ["read", "write", "truncate", "list", "create", "mkdir", "symlink", "rename", "link", "unlink", "rmdir", "run", "bind",
           "abstract", "signal"]
OWN = ["own_read", "own_write", "own_make", "own_remove"]


def read(path):
    with open(path, encoding="utf-8") as f:
        return f.read()


def write(path, text):
    """By a new file under the old name, as editors and package managers do."""
    with open(path + ".new", "w", encoding="utf-8") as f:
        f.write(text)
    os.rename(path + ".new", path)


class Folder(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="hl-sandbox-")
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)

    def path(self, *names):
        return os.path.join(self.folder, *names)

    def server(self, **kw):
        """On self.folder/d, which is still to be made."""
        kw.setdefault("data", self.path("d"))
        s = Server(**kw)
        s.logfile = self.path("server.log")
        return s

    def probe(self):
        """The library, and the environment that tells it what to try."""
        library = self.path("probe.so")
        subprocess.run(["cc", "-shared", "-fPIC", "-o", library, os.path.join(harness.HERE, "probe.c"), "-ldl"], check=True)
        outside = self.path("outside")
        os.makedirs(os.path.join(outside, "list"))
        write(os.path.join(outside, "secret"), "of somebody else")
        s = socket.socket(socket.AF_UNIX)
        s.bind("\0" + os.path.join(outside, "abstract"))
        s.listen()
        self.addCleanup(s.close)
        return {"LD_PRELOAD": library, "PROBE_OUTSIDE": outside, "PROBE_PEER": str(os.getpid())}

    def verdicts(self, log, thread):
        words = re.search(r"probe thread=%s (.*)" % thread, log).group(1).split()
        return {k: int(v) for k, v in (w.split("=") for w in words)}

    def assert_closed(self, verdicts, allowed):
        for what in REFUSED:
            if ABI >= SINCE.get(what, 1):
                self.assertIn(verdicts[what], (1, 13, 18), what)        # EPERM, EACCES, EXDEV
        for what in allowed:
            self.assertEqual(verdicts[what], 0, what)
        self.assertEqual(read(self.path("outside", "secret")), "of somebody else")


@NO_PRELOAD
class Inside(Folder):
    def both_threads(self, settings):
        env = self.probe()
        with Receiver() as r:
            data = self.path("d")
            s = self.server(settings=settings, env=clean_env(PROBE_INSIDE=data, **env))
            with s.start(listen=("127.0.0.1:0",)):      # a unix socket's directory would be open to removals
                api = s.client()
                api.webhook(r.url + "/ok")
                write(self.path("outside", "go"), "")

                def asked():
                    api.close()                  # a new connection is accepted
                    api.publish()
                    return "probe thread=loop" in s.log() and "probe thread=storage" in s.log()
                until(asked, "both threads")
                self.assertTrue(api.wait_deliveries("succeeded"))
                self.assertEqual(s.stop(), 0)
                return s.log()

    @NEEDS_LANDLOCK
    def test_nothing_outside_is_open(self):
        log = self.both_threads({"server.sandbox": "require"})
        self.assertIn("ev=serve.sandbox landlock=%d" % ABI, log)
        for thread in ("loop", "storage"):
            self.assert_closed(self.verdicts(log, thread), OWN + ["hosts"])

    def test_off_is_off(self):
        """And the probe is right: all of this works without."""
        log = self.both_threads({"server.sandbox": "off"})
        self.assertNotIn("ev=serve.sandbox", log)
        v = self.verdicts(log, "loop")
        for what in ("read", "write", "truncate", "list", "create", "mkdir", "rename", "run", "bind", "abstract", "signal"):
            self.assertEqual(v[what], 0, what)

    @NEEDS_LANDLOCK
    def test_commands_on_a_store(self):
        """check, backup and migrate have a sandbox too: a damaged store is read by a library that trusts it."""
        env = self.probe()
        data = self.path("d")
        self.assertEqual(run("key", "create", data)[0], 0)
        os.mkdir(self.path("empty"))
        for command in (["check", data], ["backup", data, self.path("copies", "new")], ["backup", data, self.path("empty")],
                        ["migrate", data, "--rekey", self.path("keys", "new")]):
            os.makedirs(os.path.dirname(command[-1]), exist_ok=True)
            code, out, err = run(*command, env=clean_env(PROBE_AT_END="1", PROBE_INSIDE=data, **env))
            self.assertEqual(code, 0, err)
            verdicts = self.verdicts(err, "end")
            self.assert_closed(verdicts, OWN)
            self.assertEqual(verdicts["hosts"], 13)
        self.assertEqual(run("check", data, "--key-file", self.path("keys", "new"))[0], 0)
        self.assertEqual(run("check", self.path("copies", "new"), "--key-file", self.path("d", "key"))[0], 0)

    def test_a_kernel_without_landlock(self):
        env = clean_env(LD_PRELOAD=self.probe()["LD_PRELOAD"], PROBE_NO_LANDLOCK="1")
        with Server(env=env) as s:
            self.assertIn("level=warn ev=serve.no_sandbox", s.log())
            self.assertEqual(s.client().get("/readyz").status, 200)
        data = self.path("never")
        for command in (["serve", data, "--listen", "127.0.0.1:0"], ["check", data]):
            code, out, err = run(*command, "--set", "server.sandbox=require", env=env)
            self.assertEqual((code, out), (6, ""), err)
            self.assertRegex(err, r"server\.sandbox = require.*no Landlock \(Function not implemented\)")
        self.assertFalse(os.path.exists(data))


class Working(Folder):
    """What the server needs, at unusual places."""
    settings = {"server.sandbox": "require" if ABI >= 1 else "auto"}

    def test_places(self):
        """A key, sockets and a data directory, none of which is there at the first start; a link, a relative path."""
        os.mkdir(self.path("keys"))
        os.mkdir(self.path("run"))
        os.mkdir(self.path("real"))
        os.symlink("real", self.path("link"))
        sock, data = self.path("run", "s"), self.path("link", "d")
        s = self.server(data=data, settings=dict(self.settings, **{"store.key_file": self.path("keys", "key")}))
        for again in (False, True):
            with s.start(listen=("unix:" + sock, "unix:" + os.path.join(data, "t"), "127.0.0.1:0")):
                self.assertEqual(s.client(unix=sock).get("/readyz").status, 200)
                self.assertEqual(s.client(unix=os.path.join(data, "t")).get("/readyz").status, 200)
                self.assertEqual(stat.S_IMODE(os.stat(self.path("keys", "key")).st_mode), 0o600)
                self.assertNotIn("key", os.listdir(data))
                self.assertIn("process_start_time_seconds 1", s.client().get("/metrics").body.decode())
                if not again:
                    s.kill()                     # leaves its sockets; the next start replaces them
                else:
                    self.assertEqual(s.stop(), 0)
                    self.assertEqual(os.listdir(self.path("run")), [])
        os.chdir(self.folder)
        self.addCleanup(os.chdir, harness.HERE)
        with self.server(data="relative", settings=self.settings) as s:
            self.assertEqual(s.client().get("/readyz").status, 200)

    def test_a_fixed_port(self):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        s = self.server(settings=self.settings)
        with s.start(listen=("127.0.0.1:%d" % port,)):
            self.assertEqual(s.client().get("/readyz").status, 200)

    def reload(self, s, want):
        seen = len(s.log())
        s.process.send_signal(signal.SIGHUP)
        until(lambda: "ev=serve.reload" in s.log()[seen:], "the reload")
        self.assertIn(want, s.log()[seen:])
        return s.log()[seen:]

    def test_replaced_files_are_read_again(self):
        """CA file and configuration come back as other files of their name; the rules know directories, so both are read."""
        os.mkdir(self.path("etc"))
        os.mkdir(self.path("tls"))
        os.mkdir(self.path("store"))
        first, second = (harness.make_certs(tempfile.mkdtemp(dir=self.folder)) for _ in range(2))
        ca, conf = self.path("tls", "ca.pem"), self.path("etc", "h.conf")
        write(self.path("store", "ca.pem"), read(first["ca"]))
        os.symlink("../store/ca.pem", ca)
        text = "[tls]\nca_file = %s\n[egress]\nallow_hosts = localhost\n[log]\nlevel = " % ca
        write(conf, text + "info\n")
        with Receiver(tls=second["good"]) as r, self.server(settings=self.settings, args=("--config", conf)) as s:
            api = s.client()
            w = api.webhook("https://localhost:%d/ok" % r.port, retry=[1, 1, 1])
            api.publish()
            until(lambda: api.get("/v1/webhooks/" + w["id"]).json["last_failure_at"], "a failure")
            write(self.path("store", "ca.pem"), read(second["ca"]))     # where the link leads
            write(conf, text + "debug\n")
            self.reload(s, "ev=serve.reloaded log_level=debug")
            api.publish()
            api.wait_deliveries("succeeded")
            write(ca, read(second["ca"]))                               # in place of the link
            self.reload(s, "ev=serve.reloaded log_level=debug")
            # a link into a place no rule names
            os.mkdir(self.path("elsewhere"))
            write(self.path("elsewhere", "ca.pem"), read(first["ca"]))
            os.unlink(ca)
            os.symlink(self.path("elsewhere", "ca.pem"), ca)
            if ABI >= 1:
                log = self.reload(s, "ev=serve.reload_failed")
                self.assertIn("%s: Permission denied\"; the old ones stay; server.sandbox" % ca, log)
                api.publish()
                api.wait_deliveries("succeeded", 2)
            self.assertEqual(s.stop(), 0)


@unittest.skipUnless(os.geteuid() == 0, "needs root")
class Root(Folder):
    def test_refused(self):
        data = self.path("d")
        code, out, err = harness.program.run(harness.PROGRAM, "serve", data, "--listen", "127.0.0.1:0", allow_root=False)
        self.assertEqual((code, out), (6, ""))
        self.assertIn("--allow-root", err)
        self.assertFalse(os.path.exists(data))
        for how in ("--check-config", "--print-config"):     # these start nothing
            self.assertEqual(harness.program.run(harness.PROGRAM, "serve", data, how, allow_root=False)[0], 0)

    def nobody(self, *args, **kw):
        os.chmod(self.folder, 0o755)
        program = self.path("hookline")
        if not os.path.exists(program):
            shutil.copy(harness.PROGRAM, program)
        return subprocess.Popen([program, *args], env=clean_env(), user=65534, group=65534, extra_groups=[], **kw)

    def test_others_need_no_flag_and_root_leaves_their_files_theirs(self):
        """Commands run by root on a directory of the server's user must not leave files the server cannot open."""
        home = self.path("home")
        os.mkdir(home, 0o700)
        os.chown(home, 65534, 65534)
        data = os.path.join(home, "d")
        os.mkdir(data, 0o700)
        os.chown(data, 65534, 65534)
        self.assertEqual(run("key", "create", data)[0], 0)          # makes the store
        self.assertEqual(run("check", data)[0], 0)
        os.unlink(os.path.join(data, "lock.mdb"))
        self.assertEqual(run("check", data)[0], 0)                  # makes that file again
        self.assertEqual({os.stat(os.path.join(data, n)).st_uid for n in os.listdir(data)}, {65534})
        with open(self.path("log"), "wb") as log:
            p = self.nobody("serve", data, "--listen", "127.0.0.1:0", stderr=log)
        try:
            until(lambda: "ev=serve.ready" in read(self.path("log")) or p.poll() is not None, "ready")
            self.assertIsNone(p.poll(), read(self.path("log")))
            code, out, err = run("key", "list", data)               # root may give orders over the socket
            self.assertEqual((code, out.count("\n")), (0, 1), err)
            self.assertEqual(run("check", data)[0], 0)
        finally:
            p.terminate()
            self.assertEqual(p.wait(30), 0)
        # a link somebody put there is left alone
        victim = self.path("victim")
        write(victim, "")
        os.chmod(victim, 0o600)
        os.symlink(victim, os.path.join(data, "x"))
        os.link(victim, os.path.join(data, "y"))
        self.assertEqual(run("check", data)[0], 0)
        self.assertEqual(os.stat(victim).st_uid, 0)


@NO_PRELOAD
class Watchdog(Folder):
    def serve(self, **env):
        notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        notify.bind(self.path("n"))
        notify.settimeout(harness.PATIENCE)
        self.addCleanup(notify.close)
        library = self.probe()["LD_PRELOAD"]
        s = self.server(env=clean_env(LD_PRELOAD=library, NOTIFY_SOCKET=self.path("n"), **env))
        self.addCleanup(s.__exit__)
        s.start()
        return s, notify

    def beats(self, notify, seconds):
        """Messages of that long."""
        end, seen = time.monotonic() + seconds, []
        while time.monotonic() < end:
            notify.settimeout(max(0.001, end - time.monotonic()))
            try:
                seen.append(notify.recv(1000))
            except TimeoutError:
                break
        return seen

    def test_a_loop_that_hangs_stops_the_beat(self):
        s, notify = self.serve(WATCHDOG_USEC="100000", PROBE_HANG=self.path("hang"))
        self.assertIn(b"WATCHDOG=1", self.beats(notify, 0.5))
        write(self.path("hang"), "")
        self.beats(notify, 0.2)                                     # what was under way
        self.assertEqual(self.beats(notify, 0.5), [])
        os.unlink(self.path("hang"))
        until(lambda: b"WATCHDOG=1" in self.beats(notify, 0.1), "the beat again")

    def test_a_failed_store_stops_the_beat(self):
        """…so that an end which hangs is ended."""
        s, notify = self.serve(WATCHDOG_USEC="20000", PROBE_EIO=self.path("eio"))
        with Receiver() as r:
            api = s.client()
            api.webhook(r.url + "/hang")
            api.publish()                                           # keeps the end waiting
            r.wait(1)
            write(self.path("eio"), "")
            try:
                api.publish()
            except (AssertionError, OSError):
                pass
            until(lambda: any(m.startswith(b"STOPPING=1\nSTATUS=Ending with code 5") for m in self.beats(notify, 0.05)), "the end")
            self.assertNotIn(b"WATCHDOG=1", self.beats(notify, 0.5))
            self.assertEqual(s.process.wait(30), 5)

    def test_without_a_watchdog_nothing_beats(self):
        s, notify = self.serve()
        self.beats(notify, 0.2)
        time.sleep(1)                                               # what a start still has to do

        def switches():
            with open("/proc/%d/task/%d/status" % (s.process.pid, s.process.pid), encoding="ascii") as f:
                return int(re.search(r"\nvoluntary_ctxt_switches:\s*(\d+)", f.read()).group(1))
        before = switches()
        self.assertEqual(self.beats(notify, 3), [])
        self.assertLessEqual(switches() - before, 3, "an idle loop wakes more than once a second")


if __name__ == "__main__":
    harness.main()
