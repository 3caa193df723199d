"""What README says under "Ten minutes" works as it stands there, apart from port numbers and ids left open.

    test_readme.py HOOKLINE"""
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tests", "lib"))
from program import clean_env  # noqa: E402

HOOKLINE = os.path.abspath(sys.argv.pop(1))


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Readme(unittest.TestCase):
    def test_ten_minutes(self):
        with open(os.path.join(ROOT, "README.md"), encoding="utf-8") as f:
            section = f.read().split("## Ten minutes")[1].split("\n## ")[0]
        blocks = re.findall(r"```sh\n(.*?)```", section, re.S)
        self.assertGreaterEqual(len(blocks), 3)
        server, receiver = free_port(), free_port()
        between = 'until curl -sf -o /dev/null "$HOOKLINE_URL/readyz" && grep -q listening out; do sleep 0.05; done\n'
        script = "shopt -s expand_aliases\n" + between.join(b + "\n" for b in blocks)
        script = script.replace("build/release/src/main/hookline", HOOKLINE)
        script = script.replace("8420", str(server)).replace("9000", str(receiver))
        script = script.replace("hookline serve --data data", "hookline serve --allow-root --listen 127.0.0.1:%d --data data" % server)
        lines = [l for l in script.split("\n") if "/ID/" not in l]
        folder = tempfile.mkdtemp(prefix="hlr-", dir="/tmp")
        with open(os.path.join(folder, "out"), "wb") as out:
            p = subprocess.Popen(["bash", "-c", "\n".join(lines) + "\nsleep 0.5\nkill $(jobs -p)\nwait\n"], cwd=folder, stdout=out,
                                 stderr=subprocess.STDOUT, env=clean_env(no_proxy="*"), start_new_session=True)
            try:
                p.wait(60)
            except subprocess.TimeoutExpired:
                pass
            finally:
                if p.poll() is None:
                    os.killpg(p.pid, signal.SIGKILL)
                    p.wait()
        with open(os.path.join(folder, "out"), encoding="utf-8", errors="replace") as f:
            out = f.read()
        shutil.rmtree(folder)
        self.assertEqual(out.count("signature ok"), 2, out)
        self.assertIn('"data":{"order": 17, "total": 19.90}', out)
        self.assertIn('"event_types":["order.created"]', out)
        self.assertIn("\nclean", out)
        self.assertIn("hookline_events_accepted_total 2", out)
        self.assertNotIn("problem+json", out)
        self.assertNotIn('"status":4', out)


if __name__ == "__main__":
    unittest.main()
