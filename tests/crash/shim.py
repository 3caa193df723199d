"""The server with shim.c between it and its disk: recording, or failing when it is told to."""
import ctypes
import errno
import mmap
import os
import struct
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "e2e"))
import harness  # noqa: E402

BUILD = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(harness.PROGRAM))))
SHIM = os.path.join(BUILD, "tests", "crash", "crash_shim.so")
CONTROLS = ("sync", "write", "meta", "meta_after", "allocate", "skip", "growth", "injected")


def environment(data, **more):
    """more: names of shim.c without HL_SHIM_, in small letters."""
    env = harness.clean_env(LD_PRELOAD=SHIM, HL_SHIM_DIR=os.path.realpath(data))
    env.update({"HL_SHIM_" + k.upper(): str(v) for k, v in more.items()})
    if harness.SANITIZED:       # whose library would like to be the first
        env["ASAN_OPTIONS"] = env.get("ASAN_OPTIONS", "") + ":verify_asan_link_order=0"
    return env


class Control:
    """The page of numbers: control.sync = errno.EIO makes flushes fail from now on."""

    def __init__(self, path):
        self.__dict__["path"] = path
        with open(path, "w+b") as f:
            f.write(bytes(4096))
            f.flush()
            self.__dict__["page"] = mmap.mmap(f.fileno(), 4096)
        self.__dict__["numbers"] = (ctypes.c_int32 * len(CONTROLS)).from_buffer(self.page)

    def __setattr__(self, name, value):
        self.numbers[CONTROLS.index(name)] = value

    def __getattr__(self, name):
        return self.numbers[CONTROLS.index(name)]

    def clear(self):
        for i in range(len(CONTROLS)):
            self.numbers[i] = 0


class Server(harness.Server):
    """Keys are made by a program without the shim."""

    def __init__(self, data, settings=None, control=None, trace=None, **more):
        shim = dict(more)
        if control:
            shim["control"] = control.path
        if trace:
            shim["trace"] = trace
        harness.Server.__init__(self, data=data, settings=settings, env=environment(data, **shim))
        self.logfile = data.rstrip("/") + ".log"

    @property
    def key(self):
        if not self._key:
            self._key = self.make_key()
        return self._key


# ---- reading a trace --------------------------------------------------------------------------------------------------

WRITE, FLUSH, FLUSH_RANGE, CREATE, RENAME, REMOVE, TRUNCATE, ANSWER, CLOSE, START = range(1, 11)
RECORD = struct.Struct("=IBBHIIQQQ")     # struct trace_record


def records(path):
    """(number, op, fd, path, at, length, data) of each; data only of answers."""
    with open(path, "rb") as f:
        n = 0
        while True:
            head = f.read(RECORD.size)
            if not head:
                return
            magic, op, _, path_len, fd, _, at, length, data_len = RECORD.unpack(head)
            assert magic == 0x484c5431, n
            name = f.read(path_len).decode()
            if op == ANSWER:
                data = f.read(data_len)
            else:
                data = None
                f.seek(data_len, 1)
            yield n, op, fd, name, at, length or data_len, data
            n += 1


class Stream:
    """What was sent on one connection: its bytes, and which record each came in."""

    def __init__(self):
        self.bytes, self.marks = b"", []     # marks: (offset, record)

    def add(self, n, data):
        self.marks.append((len(self.bytes), n))
        self.bytes += data

    def record_of(self, offset):
        return [n for at, n in self.marks if at <= offset][-1]

    def answers(self):
        """Of each whole answer: (record of its first byte, body, [record of the end of each line of the body])."""
        found, at = [], 0
        while True:
            end = self.bytes.find(b"\r\n\r\n", at)
            if end < 0:
                return found
            head = self.bytes[at:end].lower().split(b"\r\n")
            fields = dict(line.split(b": ", 1) for line in head[1:])
            start, body, ends = end + 4, b"", []
            if b"chunked" in fields.get(b"transfer-encoding", b""):
                while True:
                    line = self.bytes.find(b"\r\n", start)
                    size = int(self.bytes[start:line], 16) if line >= 0 else -1
                    if size < 0 or len(self.bytes) < line + 2 + size + 2:
                        return found
                    piece = self.bytes[line + 2:line + 2 + size]
                    ends += [self.record_of(line + 2 + i) for i, c in enumerate(piece) if c == 10]
                    body += piece
                    start = line + 2 + size + 2
                    if size == 0:
                        break
            else:
                size = int(fields.get(b"content-length", b"0"))
                if b" 204 " in head[0] or b" 304 " in head[0]:
                    size = 0
                if len(self.bytes) < start + size:
                    return found
                body = self.bytes[start:start + size]
                start += size
            found.append((self.record_of(at), body, ends))
            at = start


def streams(path):
    done, open_ = [], {}
    for n, op, fd, _, _, _, data in records(path):
        if op == ANSWER:
            open_.setdefault(fd, Stream()).add(n, data)
        elif op == CLOSE and fd in open_:
            done.append(open_.pop(fd))
        elif op == START:
            done += open_.values()
            open_ = {}
    return done + list(open_.values())


EIO, ENOSPC, EDQUOT = errno.EIO, errno.ENOSPC, errno.EDQUOT
