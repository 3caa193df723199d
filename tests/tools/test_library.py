"""The library as somebody else sees it: what it exports, and the program of include/hookline.h built against an installed
copy by way of pkg-config, once with the shared and once with the static library.

    test_library.py BUILD_DIR SHARED_LIB FLOOR_ARCHIVE..."""
import os
import re
import subprocess
import sys
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.join(HERE, "..", "..")
sys.path.insert(0, os.path.join(HERE, "..", "lib"))
from receiver import Receiver  # noqa: E402

BUILD, SHARED, ARCHIVES = sys.argv[1], sys.argv[2], sys.argv[3:]
del sys.argv[1:]


def output(*command, **kw):
    return subprocess.run(command, check=True, capture_output=True, text=True, **kw).stdout


def tour():
    with open(os.path.join(ROOT, "include", "hookline.h"), encoding="utf-8") as f:
        comment = f.read().split("*/")[0]
    lines = [l[3:] if l.startswith(" * ") else l[2:] for l in comment.split("\n")]
    first = next(i for i, l in enumerate(lines) if l.startswith("#include <hookline.h>"))
    return "\n".join(lines[first:])


class Symbols(unittest.TestCase):
    def test_exported_are_those_of_the_headers(self):
        declared = set()
        for folder, _, names in os.walk(os.path.join(ROOT, "include")):
            for n in names:
                if n.endswith(".h"):
                    with open(os.path.join(folder, n), encoding="utf-8") as f:
                        text = re.sub(r"/\*.*?\*/|^#[^\n]*", " ", f.read(), flags=re.S | re.M)
                    for part in re.findall(r"HL_API\b([^;]*);", text):
                        declared.add(re.search(r"\b(hl_\w+)\s*(?:\(|$|\[)", part).group(1))
        exported = {l.split()[-1].split("@")[0] for l in output("nm", "-D", "--defined-only", SHARED).splitlines()}
        self.assertEqual(sorted(exported), sorted(declared))
        self.assertGreater(len(exported), 30)

    def test_every_linked_symbol_has_our_prefix(self):
        for archive in ARCHIVES:
            for line in output("nm", "-g", "--defined-only", archive).splitlines():
                parts = line.split()
                if len(parts) == 3:
                    self.assertTrue(parts[2].startswith(("hl_", "__odr_asan")), "%s in %s" % (parts[2], archive))

    def test_soname(self):
        self.assertIn("libhookline.so.0", output("objdump", "-p", SHARED))


class Tour(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.dest = cls.folder.name
        subprocess.run(["meson", "install", "-C", BUILD, "--no-rebuild", "--quiet", "--destdir", cls.dest], check=True,
                       stdout=subprocess.DEVNULL)
        for folder, _, names in os.walk(cls.dest):
            if "hookline.pc" in names:
                cls.pc = folder
            if "libhookline.a" in names:
                cls.lib = folder

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    def flags(self, *more):
        with open(os.path.join(self.pc, "hookline.pc"), encoding="utf-8") as f:
            prefix = re.search(r"^prefix=(.*)$", f.read(), re.M).group(1)
        env = dict(os.environ, PKG_CONFIG_PATH=self.pc)
        return output("pkg-config", "--define-variable=prefix=" + self.dest + prefix, *more, "hookline", env=env).split()

    def build_and_run(self, name, flags):
        source, program = os.path.join(self.dest, "tour.c"), os.path.join(self.dest, name)
        with open(source, "w", encoding="utf-8") as f:
            f.write(tour())
        subprocess.run(["cc", "-Wall", "-Wextra", "-Werror", "-o", program, source] + flags, check=True)
        with Receiver() as r:
            data = os.path.join(self.dest, name + "-data")
            out = subprocess.run([program, data, r.url + "/ok"], capture_output=True, text=True, timeout=30,
                                 env=dict(os.environ, LD_LIBRARY_PATH=self.lib))
            self.assertEqual(out.returncode, 0, out.stdout + out.stderr)
            self.assertEqual(out.stdout.splitlines(), [
                "webhook: no error, secret of 50 characters", "published: no error, 1 deliveries on disk",
                "order.created: attempt 1 succeeded, status 204", "closed"])
            self.assertEqual(len(r.records), 1)
            self.assertIn(b'"data":{"total": 9.90}', r.records[0]["body"])

    def test_shared(self):
        self.build_and_run("shared", self.flags("--cflags", "--libs"))

    def test_static(self):
        flags = [f for f in self.flags("--cflags", "--libs", "--static") if f != "-lhookline"]
        self.build_and_run("static", [f for f in flags if f.startswith("-I")] + [os.path.join(self.lib, "libhookline.a")] + flags)


if __name__ == "__main__":
    unittest.main()
