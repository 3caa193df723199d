#!/usr/bin/env python3
"""A webhook receiver that behaves as its path says and remembers what came. Standard library only.

In a test:

    with Receiver() as r:                         # own thread, port of the kernel's choice
        url = r.url + "/ok/orders"                # http://127.0.0.1:PORT/ok/orders
        ...
        r.wait(1)                                 # until 1 request has come (raises after 10 s)
        print(r.records[0]["headers"]["webhook-id"], verify(secret, r.records[0]))

On the command line (tests/lib/receiver.py --help): prints one JSON line {"url": …} when it is ready, then, with --print,
one per request; --record FILE appends them to a file. SIGTERM ends it.

Behaviours, the first part of the path; what follows is free ("/ok/anything"):

    /ok                      204
    /keep/S                  204, and the connection may lie idle for that long
    /status/CODE             that status
    /slow/MS                 204 after that time
    /flaky/N                 500 for the first N requests of each webhook-id, then 204
    /sometimes/PERCENT       500 for that share, chosen by the webhook-id and the count of requests for it
    /retry-after/S[/CODE]    CODE (default 429) with Retry-After: S
    /retry-after-date/S      503 with an HTTP-date S seconds from now
    /discord-limit/S         429 with {"retry_after": S}
    /telegram-limit/S        429 with {"ok":false,"parameters":{"retry_after":S}}
    /telegram-ok             200 {"ok":true}
    /telegram-no             200 {"ok":false}
    /apps-script             302 to where a Google Apps Script sends its callers
    /body/BYTES              200 with a body of that many bytes
    /euros/N                 200 with that many characters of three bytes each
    /redirect                302 to /ok
    /redirect-to/CODE/…      CODE to http://…
    /gone                    410
    /hang                    reads the request and never answers
    /hang-head, /hang-body   stops in the middle of the answer's head, of its body
    /trickle/MS              one byte of the answer every MS
    /close                   closes without an answer
    /reset                   RST instead of an answer
    /garbage                 an answer that is not HTTP
    /endless-head            header fields without end
    /endless-body            a chunked body without end
    /interim/N               N times 102 before the 204
    /nobody/CODE             204 or 304 announcing a body it does not send
    /http10                  an HTTP/1.0 answer that ends with the connection
    /close-after             204 with Connection: close
    /close-idle              204 as if it would keep the connection, then closes it

A behaviour may be changed while the receiver runs: r.script["/ok/orders"] = "status/503" (None: back to the path's own),
or over HTTP: PUT /_script {"/ok/orders": "status/503"}; GET /_records answers what came, DELETE /_records forgets it."""
import argparse
import asyncio
import base64
import email.utils
import hashlib
import hmac
import json
import os
import signal
import socket
import ssl
import struct
import subprocess
import sys
import threading
import time

PHRASES = {200: "OK", 204: "No Content", 302: "Found", 410: "Gone", 429: "Too Many Requests", 500: "Internal Server Error"}


def answer(status, body=b"", *fields):
    head = "HTTP/1.1 %d %s\r\n" % (status, PHRASES.get(status, "Status"))
    for f in fields:
        head += f + "\r\n"
    if status not in (204, 304) and status >= 200:
        head += "Content-Length: %d\r\n" % len(body)
    return head.encode() + b"\r\n" + body


class Connection(asyncio.Protocol):
    """Reads requests one after the other; an answer is given before the next one is looked at."""

    def __init__(self, receiver):
        self.receiver = receiver
        self.data = b""
        self.busy = False
        self.closed = False
        self.timers = []

    def connection_made(self, transport):
        self.transport = transport
        self.receiver.connections.add(self)
        self.receiver.n_connections += 1

    def connection_lost(self, exc):
        self.closed = True
        self.receiver.connections.discard(self)
        for t in self.timers:
            t.cancel()

    def data_received(self, data):
        self.data += data
        self.work()

    def work(self):
        while not self.busy and not self.closed:
            end = self.data.find(b"\r\n\r\n")
            if end < 0:
                return
            lines = self.data[:end].decode("latin-1").split("\r\n")
            headers = {}
            for l in lines[1:]:
                name, _, value = l.partition(":")
                headers[name.strip().lower()] = value.strip()
            if headers.get("transfer-encoding", "").lower() == "chunked":
                body, used = self.dechunk(end + 4)
                if body is None:
                    return
            else:
                length = int(headers.get("content-length", "0"))
                used = end + 4 + length
                if len(self.data) < used:
                    return
                body = self.data[end + 4:used]
            self.data = self.data[used:]
            method, target = lines[0].split(" ")[:2]
            self.request(method, target, headers, body)

    def dechunk(self, at):
        body = b""
        while True:
            eol = self.data.find(b"\r\n", at)
            if eol < 0:
                return None, 0
            size = int(self.data[at:eol].split(b";")[0], 16)
            if len(self.data) < eol + 2 + size + 2:
                return None, 0
            body += self.data[eol + 2:eol + 2 + size]
            at = eol + 2 + size + 2
            if size == 0:
                return body, at

    def send(self, data):
        if not self.closed:
            self.transport.write(data)

    def later(self, ms, call, *args):
        self.timers = [t for t in self.timers if not t.cancelled() and t.when() > self.receiver.loop.time() - 1]
        self.timers.append(self.receiver.loop.call_later(ms / 1000.0, call, *args))

    def done(self):
        self.busy = False
        self.work()

    def send_done(self, data):
        self.send(data)
        self.done()

    def request(self, method, target, headers, body):
        path = target.split("?")[0]
        if path.startswith("/_"):
            self.send(self.receiver.control(method, path, body))
            return
        self.busy = True
        behaviour = self.receiver.note(method, target, headers, body, self.transport)
        parts = behaviour.strip("/").split("/")
        act = getattr(self, "do_" + parts[0].replace("-", "_"), None)
        if parts[0] == "redirect-to":
            self.send_done(answer(int(parts[1]), b"", "Location: http://" + "/".join(parts[2:])))
        elif act is None:
            self.send_done(answer(404, b"no such behaviour\n"))
        else:
            act(headers, [int(p) for p in parts[1:] if p.isdigit()])

    # ---- one function per behaviour; n is the numbers in its path ----

    def do_ok(self, h, n):
        self.send_done(answer(204))

    def do_keep(self, h, n):
        self.send_done(answer(204, b"", "Keep-Alive: timeout=%d" % n[0]))

    def do_status(self, h, n):
        self.send_done(answer(n[0], b"status %d\n" % n[0]))

    def do_slow(self, h, n):
        self.later(n[0], self.send_done, answer(204))

    def do_flaky(self, h, n):
        self.send_done(answer(500, b"not yet\n") if self.receiver.seen(h) <= n[0] else answer(204))

    def do_sometimes(self, h, n):
        key = "%s/%d" % (h.get("webhook-id", ""), self.receiver.seen(h))
        bad = hashlib.sha256(key.encode()).digest()[0] * 100 < n[0] * 256
        self.send_done(answer(500, b"unlucky\n") if bad else answer(204))

    def do_retry_after(self, h, n):
        self.send_done(answer(n[1] if len(n) > 1 else 429, b"", "Retry-After: %d" % n[0]))

    def do_retry_after_date(self, h, n):
        self.send_done(answer(503, b"", "Retry-After: " + email.utils.formatdate(time.time() + n[0], usegmt=True)))

    def do_discord_limit(self, h, n):
        self.send_done(answer(429, b'{"message":"You are being rate limited.","retry_after":%d.5,"global":false}' % n[0],
                              "Content-Type: application/json"))

    def do_telegram_limit(self, h, n):
        self.send_done(answer(429, b'{"ok":false,"error_code":429,"parameters":{"retry_after":%d}}' % n[0],
                              "Content-Type: application/json"))

    def do_telegram_ok(self, h, n):
        self.send_done(answer(200, b'{"ok":true,"result":{}}', "Content-Type: application/json"))

    def do_telegram_no(self, h, n):
        self.send_done(answer(200, b'{"ok":false,"description":"not today"}', "Content-Type: application/json"))

    def do_apps_script(self, h, n):
        self.send_done(answer(302, b"", "Location: https://script.googleusercontent.com/macros/echo?user_content_key=x"))

    def do_body(self, h, n):
        self.send_done(answer(200, b"x" * n[0]))

    def do_euros(self, h, n):
        self.send_done(answer(200, b"\xe2\x82\xac" * n[0]))

    def do_redirect(self, h, n):
        self.send_done(answer(302, b"", "Location: /ok"))

    def do_gone(self, h, n):
        self.send_done(answer(410, b"gone\n"))

    def do_hang(self, h, n):
        pass

    def do_hang_head(self, h, n):
        self.send(b"HTTP/1.1 200 OK\r\nContent-Le")

    def do_hang_body(self, h, n):
        self.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")

    def do_trickle(self, h, n):
        self.trickle(answer(200, b"slowly\n"), 0, n[0])

    def trickle(self, data, at, ms):
        self.send(data[at:at + 1])
        if at + 1 < len(data):
            self.later(ms, self.trickle, data, at + 1, ms)
        else:
            self.done()

    def do_close(self, h, n):
        self.transport.close()

    def do_reset(self, h, n):
        sock = self.transport.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.abort()

    def do_garbage(self, h, n):
        self.send(b"\x00\x01\x02 this is not HTTP \r\n\r\n")

    def endless(self, start, piece):
        if start:
            self.send(start)
        if self.closed:
            return
        if self.transport.get_write_buffer_size() < 1 << 20:
            self.send(piece * 64)
        self.later(1, self.endless, b"", piece)

    def do_endless_head(self, h, n):
        self.endless(b"HTTP/1.1 200 OK\r\n", b"X-Padding: " + b"x" * 100 + b"\r\n")

    def do_endless_body(self, h, n):
        self.endless(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"64\r\n" + b"x" * 100 + b"\r\n")

    def do_interim(self, h, n):
        self.send_done(b"HTTP/1.1 102 Processing\r\n\r\n" * n[0] + answer(204))

    def do_nobody(self, h, n):
        self.send_done(answer(n[0], b"", "Content-Length: 5"))

    def do_http10(self, h, n):
        self.send(b"HTTP/1.0 200 OK\r\n\r\nuntil the end\n")
        self.transport.close()

    def do_close_after(self, h, n):
        self.send(answer(204, b"", "Connection: close"))
        self.transport.close()

    def do_close_idle(self, h, n):
        self.send(answer(204))
        self.transport.close()


class Receiver:
    def __init__(self, host="127.0.0.1", port=0, tls=None, keep=True, record=None, on_request=None):
        """tls: an ssl.SSLContext, or (certificate file, key file). keep: remember requests in .records. record: a file
        to append them to. on_request: called with each record, on the receiver's thread."""
        self.host, self.port, self.keep, self.on_request = host, port, keep, on_request
        self.file = open(record, "a", encoding="utf-8") if record else None
        self.context = tls
        if isinstance(tls, tuple):
            self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.context.load_cert_chain(*tls)
        self.records = []      # of struct: at, method, target, behaviour, headers, body (bytes), tls, nth
        self.counts = {}       # (behaviour, webhook-id) → requests
        self.script = {}       # path → behaviour instead of its own
        self.n_requests = 0
        self.n_connections = 0
        self.connections = set()
        self.ready = threading.Event()
        self.changed = threading.Condition()

    # ---- on the receiver's thread ----

    def note(self, method, target, headers, body, transport):
        path = target.split("?")[0]
        behaviour = self.script.get(path) or path
        tls = transport.get_extra_info("ssl_object")
        key = (path, headers.get("webhook-id", ""))
        self.counts[key] = nth = self.counts.get(key, 0) + 1
        self.now = nth
        record = {"at": time.time(), "method": method, "target": target, "behaviour": behaviour, "headers": headers,
                  "body": body, "tls": tls.version() if tls else "", "nth": nth}
        if self.file:
            self.file.write(line_of(record) + "\n")
            self.file.flush()
        if self.on_request:
            self.on_request(record)
        with self.changed:
            self.n_requests += 1
            if self.keep:
                self.records.append(record)
            self.changed.notify_all()
        return behaviour

    def seen(self, headers):
        return self.now

    def control(self, method, path, body):
        if path == "/_script" and method == "PUT":
            for k, v in json.loads(body).items():
                self.script[k] = v
            return answer(204)
        if path == "/_records" and method == "GET":
            text = "".join(line_of(r) + "\n" for r in list(self.records)).encode()
            return answer(200, text, "Content-Type: application/x-ndjson")
        if path == "/_records" and method == "DELETE":
            self.forget()
            return answer(204)
        return answer(404, b"no such control\n")

    def run(self):
        self.loop = asyncio.new_event_loop()
        asyncio.set_event_loop(self.loop)
        listener = socket.socket(socket.AF_INET6 if ":" in self.host else socket.AF_INET)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((self.host, self.port))
        listener.listen(1024)
        self.port = listener.getsockname()[1]
        server = self.loop.run_until_complete(
            self.loop.create_server(lambda: Connection(self), sock=listener, ssl=self.context))
        self.ready.set()
        self.loop.run_forever()
        server.close()
        for c in list(self.connections):
            c.transport.abort()
        self.loop.run_until_complete(asyncio.sleep(0))
        self.loop.close()

    # ---- on anybody's thread ----

    @property
    def url(self):
        host = "[%s]" % self.host if ":" in self.host else self.host
        return "%s://%s:%d" % ("https" if self.context else "http", host, self.port)

    def start(self):
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()
        if not self.ready.wait(10):
            raise RuntimeError("the receiver did not start")
        return self

    def stop(self):
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(10)
        if self.file:
            self.file.close()

    __enter__ = start

    def __exit__(self, *exc):
        self.stop()

    def wait(self, n, timeout=10):
        """Until n requests have come in all."""
        with self.changed:
            if not self.changed.wait_for(lambda: self.n_requests >= n, timeout):
                raise TimeoutError("%d of %d requests after %d s" % (self.n_requests, n, timeout))

    def wait_for(self, test, timeout=10):
        """Until test(records) holds."""
        with self.changed:
            if not self.changed.wait_for(lambda: test(self.records), timeout):
                raise TimeoutError("not seen among %d requests after %d s" % (len(self.records), timeout))

    def of(self, path):
        return [r for r in list(self.records) if r["target"].split("?")[0] == path]

    def forget(self):
        with self.changed:
            self.records.clear()
            self.counts.clear()
            self.n_requests = 0


def line_of(record):
    r = dict(record)
    body = r.pop("body")
    try:
        r["body"] = body.decode("utf-8")
    except UnicodeDecodeError:
        r["body_base64"] = base64.b64encode(body).decode()
    return json.dumps(r, ensure_ascii=False)


def verify(secret, record):
    """Does one of the record's v1 signatures fit the secret ("whsec_…")?"""
    h = record["headers"]
    key = base64.b64decode(secret[len("whsec_"):])
    message = ("%s.%s." % (h["webhook-id"], h["webhook-timestamp"])).encode() + record["body"]
    want = base64.b64encode(hmac.new(key, message, hashlib.sha256).digest()).decode()
    return any(hmac.compare_digest(s, "v1," + want) for s in h["webhook-signature"].split(" "))


def make_certs(folder):
    """A CA and server certificates made by openssl: returns {"ca": file, "good": (cert, key), "expired": …,
    "wrong_host": …, "self_signed": …}. good is for localhost, receiver.test, 127.0.0.1 and ::1."""
    def openssl(*args):
        subprocess.run(["openssl"] + list(args), check=True, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)

    def new_key(name):
        openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", name + ".key")

    with open(os.path.join(folder, "ca.conf"), "w", encoding="utf-8") as f:
        f.write("[ca]\ndefault_ca=d\n[d]\nnew_certs_dir=.\ndatabase=index.txt\nrand_serial=yes\ndefault_md=sha256\n"
                "policy=p\ncopy_extensions=copy\nunique_subject=no\n[p]\ncommonName=supplied\n")
    open(os.path.join(folder, "index.txt"), "w").close()
    new_key("ca")
    openssl("req", "-x509", "-new", "-key", "ca.key", "-subj", "/CN=Hookline test CA", "-days", "3650", "-out", "ca.crt",
            "-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign")
    out = {"ca": os.path.join(folder, "ca.crt")}
    here = "subjectAltName=DNS:localhost,DNS:receiver.test,IP:127.0.0.1,IP:::1"
    for name, san, start, end in (("good", here, "20200101000000Z", "20450101000000Z"),
                                  ("expired", here, "20200101000000Z", "20210101000000Z"),
                                  ("wrong_host", "subjectAltName=DNS:elsewhere.test", "20200101000000Z", "20450101000000Z")):
        new_key(name)
        openssl("req", "-new", "-key", name + ".key", "-subj", "/CN=" + name, "-addext", san, "-out", name + ".csr")
        openssl("ca", "-batch", "-config", "ca.conf", "-cert", "ca.crt", "-keyfile", "ca.key", "-startdate", start,
                "-enddate", end, "-notext", "-in", name + ".csr", "-out", name + ".crt")
        out[name] = (os.path.join(folder, name + ".crt"), os.path.join(folder, name + ".key"))
    new_key("self_signed")
    openssl("req", "-x509", "-new", "-key", "self_signed.key", "-subj", "/CN=localhost", "-days", "3650", "-addext", here,
            "-out", "self_signed.crt")
    out["self_signed"] = (os.path.join(folder, "self_signed.crt"), os.path.join(folder, "self_signed.key"))
    return out


def main():
    parser = argparse.ArgumentParser(description="a webhook receiver that behaves as its path says")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--tls", nargs=2, metavar=("CERT", "KEY"))
    parser.add_argument("--record", metavar="FILE", help="append a JSON line per request")
    parser.add_argument("--print", action="store_true", help="print a JSON line per request")
    args = parser.parse_args()
    printer = (lambda r: print(line_of(r), flush=True)) if args.print else None
    r = Receiver(args.host, args.port, tuple(args.tls) if args.tls else None, keep=not args.record, record=args.record,
                 on_request=printer)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with r:
        print(json.dumps({"url": r.url}), flush=True)
        try:
            while True:
                time.sleep(3600)
        except (KeyboardInterrupt, SystemExit):
            pass


if __name__ == "__main__":
    main()
