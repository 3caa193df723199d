"""A name server that answers as its script says: UDP and TCP on one port of the kernel's choice. Standard library only.

    with NameServer() as ns:
        ns["a.test"] = Answer(a=["192.0.2.1"], ttl=0)                        # the same for every question
        ns["b.test"] = [Answer(a=["192.0.2.1"]), Answer(a=["10.0.0.1"])]      # the n-th for the n-th question of a type,
                                                                             # the last one from then on
        …  --set egress.dns_servers=ns.address
        ns.asked("b.test", "A")                                              # how often; "" counts every type

An answer too long for UDP comes truncated, and whole over TCP. Names nobody scripted do not exist."""
import collections
import ipaddress
import socket
import struct
import threading

TYPES = {1: "A", 5: "CNAME", 28: "AAAA"}
NXDOMAIN, SERVFAIL, REFUSED = 3, 2, 5


class Answer:
    """a, aaaa: addresses. cname: names, each the alias of the one before; the addresses belong to the last. others: further
    records [(owner, type, data)] put before (True) or after the rest. lies: packets of other answers sent first, by UDP, as
    somebody would who guesses: "id" with another id, "question" about another name, each with the addresses in `lie`."""

    def __init__(self, a=(), aaaa=(), cname=(), ttl=60, rcode=0, others=(), others_first=False, silent=False, garbage=False,
                 lies=(), lie=()):
        self.a, self.aaaa, self.cname, self.ttl, self.rcode = list(a), list(aaaa), list(cname), ttl, rcode
        self.others, self.others_first, self.silent, self.garbage = list(others), others_first, silent, garbage
        self.lies, self.lie = list(lies), list(lie)


def encode_name(name):
    return b"".join(bytes([len(label)]) + label.encode() for label in name.rstrip(".").split(".") if label) + b"\0"


def record(owner, kind, data, ttl):
    number = {v: k for k, v in TYPES.items()}[kind]
    raw = encode_name(data) if kind == "CNAME" else ipaddress.ip_address(data).packed
    return encode_name(owner) + struct.pack("!HHIH", number, 1, ttl, len(raw)) + raw


class NameServer:
    def __init__(self):
        self.script, self.counts, self.lock = {}, collections.Counter(), threading.Lock()
        while True:
            self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            self.udp.bind(("127.0.0.1", 0))
            self.tcp = socket.socket()
            self.tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                self.tcp.bind(self.udp.getsockname())
                break
            except OSError:
                self.udp.close()
                self.tcp.close()
        self.tcp.listen(32)
        self.address = "127.0.0.1:%d" % self.udp.getsockname()[1]

    def __enter__(self):
        for loop in (self.serve_udp, self.serve_tcp):
            threading.Thread(target=loop, daemon=True).start()
        return self

    def __exit__(self, *exc):
        for s in (self.udp, self.tcp):
            try:
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            s.close()

    def __setitem__(self, name, answers):
        with self.lock:
            self.script[name.lower()] = answers if isinstance(answers, list) else [answers]
            for kind in TYPES.values():
                self.counts[name.lower(), kind] = 0

    def asked(self, name, kind=""):
        with self.lock:
            return sum(n for (owner, k), n in self.counts.items() if owner == name and kind in (k, ""))

    # ---- on the server's threads ----

    def serve_udp(self):
        while True:
            try:
                packet, peer = self.udp.recvfrom(4096)
                if len(packet) < 12:
                    return      # closed
                for answer in self.answers(packet, 512):
                    self.udp.sendto(answer, peer)
            except OSError:
                return

    def serve_tcp(self):
        while True:
            try:
                c, _ = self.tcp.accept()
            except OSError:
                return
            threading.Thread(target=self.serve_connection, args=(c,), daemon=True).start()

    def serve_connection(self, c):
        with c:
            f = c.makefile("rb")
            while True:
                head = f.read(2)
                if len(head) < 2:
                    return
                for answer in self.answers(f.read(struct.unpack("!H", head)[0]), 65535):
                    c.sendall(struct.pack("!H", len(answer)) + answer)

    def answers(self, packet, room):
        """The packets to send back: lies, then the truth."""
        (id,) = struct.unpack("!H", packet[:2])
        labels, at = [], 12
        while packet[at]:
            labels.append(packet[at + 1:at + 1 + packet[at]].decode("latin-1"))
            at += 1 + packet[at]
        question = packet[12:at + 5]
        name, kind = ".".join(labels).lower(), TYPES.get(struct.unpack("!H", packet[at + 1:at + 3])[0], "?")
        with self.lock:
            nth = self.counts[name, kind]
            if room < 65535:
                self.counts[name, kind] += 1
            else:
                nth -= 1    # asked by UDP before
            script = self.script.get(name, [Answer(rcode=NXDOMAIN)])
        answer = script[max(0, min(nth, len(script) - 1))]
        if answer.silent:
            return []
        if answer.garbage:
            return [packet[:2] + b"\x81\x80" + b"\xff" * 20]
        out = []
        for lie in answer.lies if room == 512 else ():
            other = Answer(a=answer.lie, ttl=300)
            if lie == "id":
                out.append(self.packet(id ^ 0x5555, question, name, kind, other, room))
            else:
                asked = encode_name("elsewhere." + name) + question[-4:]
                out.append(self.packet(id, asked, "elsewhere." + name, kind, other, room))
        return out + [self.packet(id, question, name, kind, answer, room)]

    @staticmethod
    def packet(id, question, name, kind, answer, room):
        owner, records = name, []
        for alias in answer.cname:
            records.append(record(owner, "CNAME", alias, answer.ttl))
            owner = alias
        records += [record(owner, kind, data, answer.ttl) for data in {"A": answer.a, "AAAA": answer.aaaa}.get(kind, [])]
        others = [record(o, k, data, answer.ttl) for o, k, data in answer.others]
        records = others + records if answer.others_first else records + others
        body = b"".join(records)
        whole = 12 + len(question) + len(body) <= room
        flags = 0x8180 | answer.rcode | (0 if whole else 0x0200)
        head = struct.pack("!HHHHHH", id, flags, 1, len(records) if whole else 0, 0, 0)
        return head + question + (body if whole else b"")
