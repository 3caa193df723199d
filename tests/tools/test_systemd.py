"""The units for systemd: what systemd-analyze says of them, and the service under a real systemd, booted in namespaces.

    test_systemd.py HOOKLINE UNITS_DIR SOURCE_DIR"""
import os
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

HOOKLINE, UNITS, SOURCE = (os.path.abspath(a) for a in sys.argv[1:4])
del sys.argv[1:4]
HERE = os.path.dirname(os.path.abspath(__file__))
SANITIZED = os.environ.get("HOOKLINE_SANITIZED") == "yes"
EXPOSURE_MAX = 1.5

# What is done inside. Every line "## name" begins the section of the output that the test looks at.
INSIDE = r"""
exec >/out/said 2>&1
ip link set lo up
fetch() { curl -s --noproxy '*' --retry 20 --retry-delay 1 --retry-connrefused --max-time 20 "$@"; }
url=http://127.0.0.1:8420
data=/var/lib/hookline
main() { systemctl show -p MainPID --value hookline; }
echo "## socket"; systemctl show -p ActiveState --value hookline
fetch $url/readyz
systemctl show -p StatusText --value hookline
echo "## process"
grep -E '^(Uid|CapBnd|NoNewPrivs|Seccomp):' /proc/$(main)/status
echo "## key"
ls -A $data
key=$($HOOKLINE key create $data --scope admin,publish,manage,read)
echo "## delivery"
$HOOKLINE listen 127.0.0.1:9000 --count 1 >/out/received &
sleep 0.3
fetch $url/v1/webhooks -H "Authorization: Bearer $key" -H 'Content-Type: application/json' -d '{"url": "http://127.0.0.1:9000/x"}' >/dev/null
HOOKLINE_KEY=$key $HOOKLINE publish order.created '{"a": 1}'
wait
fetch $url/metrics | grep -E '^process_(open_fds|resident_memory_bytes|start_time_seconds) [1-9]' | wc -l
echo "## reload"
echo '[log]
level = debug' >>/usr/local/etc/hookline/hookline.conf
mv /usr/local/etc/hookline/hookline.conf /tmp/c; cp /tmp/c /usr/local/etc/hookline/hookline.conf
systemctl reload hookline; sleep 0.3
grep -c 'ev=serve.reloaded log_level=debug' /out/server.log
echo "## restart"
before=$(main); systemctl restart hookline; fetch $url/readyz; [ "$(main)" != "$before" ] && echo changed
echo "## watchdog"
sleep 3; systemctl show -p NRestarts --value hookline
kill -STOP $(main)
n=0; while [ "$(systemctl show -p NRestarts --value hookline)" = 0 ] && [ $n -lt 150 ]; do sleep 0.1; n=$((n + 1)); done
systemctl show -p NRestarts --value hookline
fetch $url/readyz
echo "## stop"
systemctl stop hookline.socket hookline
systemctl show -p Result,ExecMainStatus hookline
echo "## offline"
$HOOKLINE check $data --key-file /etc/credstore/hookline.key | tail -n 1
$HOOKLINE key create $data --key-file /etc/credstore/hookline.key >/dev/null
stat -c '%u' $data/* | sort -u | wc -l
echo "## alone"
systemctl start hookline; fetch $url/readyz
systemctl stop hookline
echo "## refused"
echo '[nonsense]' >>/usr/local/etc/hookline/hookline.conf
echo 'x = y' >>/usr/local/etc/hookline/hookline.conf
systemctl start hookline 2>/dev/null
systemctl show -p NRestarts,ExecMainStatus hookline
echo "## end"
: >/out/done
"""


def analyze(*args):
    return subprocess.run(["systemd-analyze", "--no-pager", *args], capture_output=True, text=True)


class Units(unittest.TestCase):
    def setUp(self):
        if not shutil.which("systemd-analyze"):
            self.fail("systemd-analyze is missing: tools/deps install test")
        self.folder = tempfile.mkdtemp(prefix="hlu-")
        self.addCleanup(shutil.rmtree, self.folder)
        with open(os.path.join(SOURCE, "hookline.socket"), encoding="utf-8") as f, \
                open(os.path.join(self.folder, "hookline.socket"), "w", encoding="utf-8") as g:
            g.write(f.read().replace("man:hookline(8)", "https://hookline.example"))  # the page is not installed here
        with open(os.path.join(UNITS, "hookline.service"), encoding="utf-8") as f:
            self.text = f.read()
        self.service = os.path.join(self.folder, "hookline.service")
        with open(self.service, "w", encoding="utf-8") as f:
            f.write(re.sub(r"(?m)^ExecStart=\S+", "ExecStart=" + HOOKLINE, self.text).replace("man:hookline(8)", "https://hookline.example"))

    def test_exposure(self):
        p = analyze("security", "--offline=yes", "--threshold=%d" % (EXPOSURE_MAX * 10), self.service)
        level = re.search(r"Overall exposure level for hookline\.service: ([\d.]+) ", p.stdout)
        self.assertEqual(p.returncode, 0, p.stdout + p.stderr)
        self.assertLessEqual(float(level.group(1)), EXPOSURE_MAX, p.stdout)
        print("exposure %s, at most %s" % (level.group(1), EXPOSURE_MAX))

    def test_well_formed(self):
        p = analyze("verify", self.service, os.path.join(self.folder, "hookline.socket"))
        ours = [l for l in p.stderr.splitlines() if "hookline" in l]
        self.assertEqual(ours, [])

    def test_the_program_knows_what_the_unit_says(self):
        start = re.search(r"(?m)^ExecStart=\S+ (.*)$", self.text).group(1)
        start = start.replace("%S", self.folder).replace(re.search(r"--config (\S+)", start).group(1), os.path.join(SOURCE, "hookline.conf"))
        p = subprocess.run([HOOKLINE, *start.split(), "--check-config"], capture_output=True, text=True)
        self.assertEqual((p.returncode, p.stderr), (0, ""))
        # a code that starting again cannot mend must not be tried again
        self.assertIn("RestartPreventExitStatus=2 3 4 6", self.text)


class Booted(unittest.TestCase):
    maxDiff = None

    def lay_out(self):
        def put(path, text, mode=0o644):
            path = os.path.join(self.files, path)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "w", encoding="utf-8") as f:
                f.write(text)
            os.chmod(path, mode)
        with open(os.path.join(UNITS, "hookline.service"), encoding="utf-8") as f:
            text = f.read()
        program = re.search(r"(?m)^ExecStart=(\S+)", text).group(1)
        config = re.search(r"--config (\S+)", text).group(1)
        with open(os.path.join(SOURCE, "hookline.socket"), encoding="utf-8") as f:
            put("etc/systemd/system/hookline.socket", f.read())
        put("etc/systemd/system/hookline.service", text)
        put("etc/systemd/system/hookline.service.d/test.conf", "[Service]\nStandardError=append:/out/server.log\nWatchdogSec=2\n")
        put("etc/systemd/system/inside.service", "[Unit]\nAfter=hookline.socket\n[Service]\nType=oneshot\n"
            "ExecStart=/bin/sh /etc/systemd/system/inside.sh\n")
        put("etc/systemd/system/inside.sh", "HOOKLINE=%s\n" % program + INSIDE.replace("/usr/local/etc/hookline/hookline.conf", config))
        put(config[1:], "[egress]\nallow_networks = 127.0.0.0/8\n")
        put("etc/credstore/hookline.key", os.urandom(32).hex() + "\n", 0o600)
        os.makedirs(os.path.dirname(os.path.join(self.files, program[1:])), exist_ok=True)
        shutil.copy(HOOKLINE, os.path.join(self.files, program[1:]))

    def test_a_life(self):
        if os.geteuid() != 0:
            self.skipTest("needs root")
        if SANITIZED:
            self.skipTest("a sanitizer does what the unit forbids")
        if not os.path.exists("/lib/systemd/systemd"):
            self.skipTest("no systemd here")
        self.files, self.out = (tempfile.mkdtemp(prefix="hlb-", dir="/tmp") for _ in range(2))
        for folder in (self.files, self.out):
            os.chmod(folder, 0o755)
            self.addCleanup(shutil.rmtree, folder)
        self.lay_out()
        p = subprocess.run([os.path.join(HERE, "boot-systemd"), self.files, self.out, "hookline.socket", "inside.service"],
                           capture_output=True, text=True, timeout=120)
        if p.returncode == 77:
            self.skipTest("no namespaces, overlay or cgroup2 to boot a systemd in: " + p.stderr.strip())
        logs = {}
        for name in ("said", "server.log", "systemd.log"):
            path = os.path.join(self.out, name)
            if os.path.exists(path):
                with open(path, encoding="utf-8", errors="replace") as f:
                    logs[name] = f.read()
        everything = "\n".join("=== %s\n%s" % (k, v[-6000:]) for k, v in logs.items()) + p.stderr
        self.assertEqual(p.returncode, 0, everything)
        said = dict(re.findall(r"## (\w+)\n(.*?)(?=## |\Z)", logs["said"], re.S))
        expected = {
            "socket": 'inactive\n{"status":"ok"}Serving on 127.0.0.1:8420\n',
            # lock.mdb and lock are of the store; no key: it came as a credential
            "key": "control.sock\ndata.mdb\nlock\nlock.mdb\n",
            "reload": "1\n", "restart": '{"status":"ok"}changed\n', "watchdog": '0\n1\n{"status":"ok"}',
            "stop": "Result=success\nExecMainStatus=0\n", "offline": "clean\n1\n", "alone": '{"status":"ok"}',
            "refused": "NRestarts=0\nExecMainStatus=3\n",
        }
        for name, text in expected.items():
            self.assertEqual(said.get(name), text, name + "\n" + everything)
        self.assertRegex(said["process"], r"Uid:(\t6\d{4}){4}\nCapBnd:\t0+\nNoNewPrivs:\t1\nSeccomp:\t2\n", everything)
        self.assertRegex(said["delivery"], r'"deliveries":1.*\n3\n', everything)
        self.assertRegex(logs["server.log"], "ev=serve.(no_)?sandbox")
        self.assertIn("Failed with result 'watchdog'", logs["systemd.log"], everything)


if __name__ == "__main__":
    unittest.main()
