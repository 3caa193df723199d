"""tools/quickstart in a copy of the sources: a build from nothing, a verified delivery, a second run that takes up what is
there, the way to stop it; for root, the server runs as somebody else who can run it."""
import os
import pwd
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tests", "lib"))
from program import clean_env  # noqa: E402

WANTED = ["include", "src", "subprojects", "tools", "meson.build", "meson_options.txt", "docs", "share", "packaging"]


class Quickstart(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="hlq-", dir="/tmp")
        for name in WANTED:
            source, dest = os.path.join(ROOT, name), os.path.join(self.folder, name)
            if os.path.isdir(source):
                shutil.copytree(source, dest, symlinks=True)
            else:
                shutil.copy(source, dest)

    def tearDown(self):
        self.run_it("stop")
        shutil.rmtree(self.folder)

    def run_it(self, *args):
        env = clean_env(HOOKLINE_PORT="28420")
        p = subprocess.run([os.path.join(self.folder, "tools", "quickstart")] + list(args), capture_output=True, text=True,
                           env=env, cwd="/", timeout=900)
        return p.returncode, p.stdout + p.stderr

    def test_twice(self):
        for n in (1, 2):
            code, out = self.run_it()
            self.assertEqual(code, 0, out)
            self.assertIn("signature ok", out)
            self.assertIn('"data":{"order": 17, "total": 19.90, "note": "delivered byte for byte"}', out)
            self.assertIn("export HOOKLINE_URL=http://127.0.0.1:", out)
            self.assertEqual("registered before" in out, n == 2)
            out_of_first = out
        data = os.path.join(self.folder, "data")
        hookline = os.path.join(self.folder, "build", "release", "src", "main", "hookline")
        p = subprocess.run([hookline, "check", data], capture_output=True, text=True, env=clean_env())
        self.assertIn("events 2, deliveries 2 (pending 0)", p.stdout)
        code, out = self.run_it("stop")
        self.assertEqual((code, out.count("stopped the")), (0, 2), out)
        self.assertFalse(os.path.exists(os.path.join(data, "control.sock")))
        if os.geteuid() == 0:
            # so far nobody else got at the folder; now somebody does
            self.assertIn("the server runs as root (--allow-root)", out_of_first)
            os.chmod(self.folder, 0o755)
            code, out = self.run_it()
            self.assertEqual((code, out.count("signature ok")), (0, 1), out)
            user = re.search(r"the server runs as (\w+), and", out).group(1)
            for what in ("server", "receiver"):
                with open(os.path.join(data, "quickstart", what + ".pid"), encoding="ascii") as f, \
                        open("/proc/%s/status" % f.read().strip(), encoding="ascii") as status:
                    uid = re.search(r"Uid:\t(\d+)", status.read()).group(1)
                self.assertEqual(int(uid), pwd.getpwnam(user).pw_uid, what)
            self.assertEqual(self.run_it("stop")[0], 0)
        p = subprocess.run([hookline, "check", data], capture_output=True, text=True, env=clean_env())
        self.assertIn("\nclean\n", p.stdout)


if __name__ == "__main__":
    unittest.main()
