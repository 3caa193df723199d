"""Certificates for tests, good and bad, made by openssl. Standard library only.

    pki = Authority(folder)
    pki.root("ca")                                              # self-signed, may sign
    pki.make("inter", "ca", ca=True)
    cert, key = pki.make("leaf", "inter", san="DNS:a.test")     # (chain file with the intermediates, key file)
"""
import os
import subprocess

CONF = """[ca]
default_ca=d
[d]
new_certs_dir=.
database=%(name)s.index
rand_serial=yes
default_md=sha256
policy=p
unique_subject=no
[p]
commonName=optional
"""
ALWAYS = ("20200101000000Z", "20450101000000Z")


class Authority:
    def __init__(self, folder):
        self.folder = folder
        self.issuers = {}       # name → name of its issuer

    def openssl(self, *args):
        p = subprocess.run(["openssl"] + list(args), cwd=self.folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        if p.returncode:
            raise RuntimeError("openssl %s: %s" % (" ".join(args), p.stderr.decode()))

    def path(self, name):
        return os.path.join(self.folder, name)

    def write(self, name, text):
        with open(self.path(name), "w", encoding="ascii") as f:
            f.write(text)

    def read(self, name):
        with open(self.path(name), encoding="ascii") as f:
            return f.read()

    def key(self, name, kind):
        """kind: "ec" (P-256), another curve's name, or "rsa2048"."""
        if kind.startswith("rsa"):
            self.openssl("genrsa", "-out", name + ".key", kind[3:])
        else:
            self.openssl("ecparam", "-name", "prime256v1" if kind == "ec" else kind, "-genkey", "-noout", "-out", name + ".key")

    def root(self, name, kind="ec"):
        return self.make(name, None, kind=kind, ca=True)

    def make(self, name, issuer, san="", cn=None, kind="ec", ca=False, dates=ALWAYS, digest="sha256", extensions=(), chain=True):
        """issuer None: self-signed. chain: the file holds the intermediates too, as a server should send them."""
        self.key(name, kind)
        self.issuers[name] = issuer
        lines = ["basicConstraints=critical,CA:%s" % ("TRUE" if ca else "FALSE")]
        lines += ["keyUsage=critical,keyCertSign"] if ca else []
        lines += ["subjectAltName=" + san] if san else []
        self.write(name + ".ext", "\n".join(lines + list(extensions)) + "\n")
        self.openssl("req", "-new", "-key", name + ".key", "-subj", "/CN=" + (cn or name)[:64], "-out", name + ".csr")
        signer = issuer or name
        self.write(signer + ".conf", CONF % {"name": signer})
        open(self.path(signer + ".index"), "w", encoding="ascii").close()
        by = ["-selfsign"] if issuer is None else ["-cert", issuer + ".crt"]
        self.openssl("ca", "-batch", "-config", signer + ".conf", *by, "-keyfile", signer + ".key", "-startdate", dates[0], "-enddate",
                     dates[1], "-md", digest, "-notext", "-extfile", name + ".ext", "-in", name + ".csr", "-out", name + ".crt")
        text, up = self.read(name + ".crt"), issuer
        while chain and up and self.issuers[up]:
            text += self.read(up + ".crt")
            up = self.issuers[up]
        self.write(name + ".pem", text)
        return self.path(name + ".pem"), self.path(name + ".key")
