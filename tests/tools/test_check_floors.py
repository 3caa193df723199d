"""tools/check-floors finds every kind of breach that is planted in a small tree, and nothing in the clean one."""
import os
import subprocess
import sys
import tempfile
import unittest

TOOL = sys.argv.pop(1) if len(sys.argv) > 1 and os.path.exists(sys.argv[1]) else os.path.join(
    os.path.dirname(os.path.abspath(__file__)), "..", "..", "tools", "check-floors")

CLEAN = {
    "include/hookline/thing.h": "#ifndef T_H\n#define T_H\nint hl_thing(void);\n#endif\n",
    "src/base/meson.build": "lib_base = static_library('hl_base', 'str.c', 'buf.c')\n",
    "src/base/str.h": "#ifndef S_H\n#define S_H\nint hl_str(void);\n#endif\n",
    "src/base/str.c": '#include "base/str.h"\nint hl_str(void)\n{\n\treturn 1;\n}\n',
    "src/base/buf.h": '#ifndef B_H\n#define B_H\n#include "base/str.h"\n#endif\n',
    "src/base/buf.c": '#include "base/buf.h"\n/* strcpy( in a comment, "sprintf(" in a string */\n',
    "src/store/meson.build": "'store.c'\n",
    "src/store/store.c": '#include "base/buf.h"\n#include <lmdb.h>\n',
    "src/net/meson.build": "'conn.c'\n",
    "src/net/conn.c": '#include "base/buf.h"\n#include <hookline/thing.h>\n',
    "src/api/meson.build": "'api.c'\n",
    "src/api/api.c": '#include "base/buf.h"\n',
}


def body(lines):
    return "int f(void);\nint f(void)\n{\n" + "\tf();\n" * lines + "}\n"


# what is planted where, and the rule that must name it
PLANTED = [
    ("src/base/str.c", '#include "store/store.h"\n', "floors"),
    ("src/net/conn.c", '#include "store/store.h"\n', "floors"),
    ("src/store/store.c", '#include "net/conn.h"\n', "floors"),
    ("src/api/api.c", '#include "dispatch/queue.h"\n', "floors"),
    ("src/base/str.c", '#include "base/buf.h"\n', "floors"),
    ("src/base/str.c", '#include "str.h"\n', "floors"),
    ("include/hookline/thing.h", '#include "base/str.h"\n', "floors"),
    ("src/net/conn.c", "#include <lmdb.h>\n", "borders"),
    ("src/net/conn.c", "#include <openssl/ssl.h>\n", "borders"),
    ("src/api/api.c", "#include <llhttp.h>\n", "borders"),
    ("src/base/buf.c", "#include <uv.h>\n", "borders"),
    ("src/base/buf.c", "/* */\n" * 501, "length"),
    ("src/base/buf.c", body(81), "length"),
    ("src/base/buf.c", "/* " + "x" * 140 + " */\n", "length"),
    ("src/base/buf.c", "void f(void) { strcpy(a, b); }\n", "banned"),
    ("src/base/buf.c", "void f(void) { strtok (a, b); }\n", "banned"),
    ("src/net/conn.c", "void f(void) { llhttp_set_lenient_headers(p, 1); }\n", "lenient"),
    ("src/base/lone.h", "#ifndef L_H\n#define L_H\nuint8_t hl_lone(void);\n#endif\n", "headers"),
    ("src/base/unguarded.h", "struct hl_unguarded { int a; };\n", "headers"),
    ("docs/x.md", "see /home/" + "somebody/hookline\n", "traces"),
    ("tests/e2e/package-lock.json", '"resolved": "https:/' + '/registry.npm' + 'js.org/x"\n', "traces"),
]


class CheckFloors(unittest.TestCase):
    def run_on(self, files):
        with tempfile.TemporaryDirectory() as root:
            for path, text in files.items():
                full = os.path.join(root, path)
                os.makedirs(os.path.dirname(full), exist_ok=True)
                with open(full, "w", encoding="utf-8") as f:
                    f.write(text)
            out = subprocess.run([sys.executable, TOOL, "--root", root], capture_output=True, text=True)
            return out.returncode, out.stdout + out.stderr

    def test_clean_tree_passes(self):
        code, text = self.run_on(CLEAN)
        self.assertEqual(code, 0, text)
        self.assertIn("0 breaches", text)

    def test_long_function_at_the_limit_passes(self):
        files = dict(CLEAN)
        files["src/base/buf.c"] += body(80)
        code, text = self.run_on(files)
        self.assertEqual(code, 0, text)

    def test_each_planted_breach_is_named(self):
        for path, extra, rule in PLANTED:
            with self.subTest(path=path, rule=rule, planted=extra[:60]):
                files = dict(CLEAN)
                files[path] = files.get(path, "") + extra
                if path.startswith("include/"):
                    files[path] = extra + CLEAN[path]
                code, text = self.run_on(files)
                self.assertEqual(code, 1, text)
                self.assertRegex(text, r"(?m)^%s:\d+: %s: " % (path.replace(".", r"\."), rule))


if __name__ == "__main__":
    unittest.main()
