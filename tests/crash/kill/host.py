"""The server under test through its many lives: starting it with a wish to die, ending it, asking it."""
import os
import re
import signal
import time

import harness
from harness import Server, clean_env

# Small bounds, so that a server which forgets more than it may is found out by some hundred deliveries.
MAX_IN_FLIGHT, MAX_SLOW, MAX_CONNECTIONS, MAX_UNCOMMITTED = 64, 16, 96, 128
BOUND = MAX_CONNECTIONS + MAX_UNCOMMITTED + 64     # docs/delivery.md


class Died(Exception):
    """The server ended although nobody wanted it to."""


class Host(Server):
    """One data directory; start() may be called again and again."""

    def __init__(self, folder, ca):
        settings = {"delivery.max_in_flight": MAX_IN_FLIGHT, "delivery.max_slow": MAX_SLOW, "delivery.max_uncommitted": MAX_UNCOMMITTED,
                    "delivery.max_connections": MAX_CONNECTIONS,
                    "delivery.retry_dialects": "1s", "egress.allow_hosts": "localhost", "tls.ca_file": ca}
        os.makedirs(folder, exist_ok=True)
        Server.__init__(self, data=os.path.join(folder, "d"), settings=settings)
        self.logfile = os.path.join(folder, "server.log")
        self.unix = os.path.join(folder, "http.sock")
        self.folder = folder

    def launch(self, crash_at=None, takeover=False, more_env=None):
        """Does not wait. Returns the process."""
        env = dict(more_env or {})
        if crash_at:
            env["HOOKLINE_CRASH_AT"] = crash_at
        self.env = clean_env(**env)
        args, self.args = self.args, self.args + (["--takeover"] if takeover else [])
        try:
            self.start(wait=False)
        finally:
            self.args = args
        return self.process

    def came_up(self, timeout=30):
        """True when it is ready, False when it died before."""
        end = time.monotonic() + timeout
        while True:
            log = self.log()
            if "ev=serve.ready" in log:
                at = log.find("ev=serve.listening address=127.0.0.1:")
                self.port = int(log[at + 37:at + 43].split()[0])
                return True
            if self.process.poll() is not None:
                return False
            if time.monotonic() > end:
                raise Died("not ready within %d s:\n%s" % (timeout, log[-2000:]))
            time.sleep(0.003)

    def gone(self, timeout):
        """Waits for its end; None: it still lives."""
        try:
            return self.process.wait(timeout)
        except Exception:  # noqa: BLE001  (subprocess.TimeoutExpired)
            return None

    def signal(self, number):
        self.process.send_signal(number)

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
        return self.process.wait()

    def end(self, timeout=60):
        """SIGTERM; the exit code."""
        self.signal(signal.SIGTERM)
        code = self.gone(timeout)
        if code is None:
            raise Died("no end within %d s of SIGTERM:\n%s" % (timeout, self.log()[-2000:]))
        return code

    def sound(self, why):
        """hookline check, on a store nobody writes to; a successor that stands still may hold its lock."""
        code, out, err = harness.run("check", self.data)
        if code or not re.match("clean($| .a server writes meanwhile)", out.splitlines()[-1]):
            raise AssertionError("hookline check, %s: exit %s\n%s%s" % (why, code, out[-3000:], err[-1000:]))

    def errors(self):
        with open(self.logfile, encoding="utf-8", errors="replace") as f:
            return [line.strip() for line in f if "level=error" in line or "panic" in line or "Sanitizer" in line]
