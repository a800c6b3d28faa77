# mypy: ignore-errors
"""Optional xet support for minihub: the real hf_xet client with `local://` directories as its CAS (no CAS server needed).

hf_xet locks a local CAS directory to one process at a time, so every token hands out a directory of its own: an empty one
to write, a copy of the store to read. The commit API only carries a file's sha256, so the xet hash is read from the shard
files hf_xet wrote, and the bytes are fetched once into <root>/lfs with hf_xet itself: plain HTTP reads then work too.
"""
import shutil, struct, threading, time, uuid
import minihub


def hexhash(b):  # a MerkleHash prints as four little-endian u64
    return "".join(f"{x:016x}" for x in struct.unpack("<4Q", b))


def shard_files(path):
    """Yield (sha256, xet_hash, size) from a MDB shard: 48-byte header, then per file a header, entries, verification, metadata."""
    d = path.read_bytes(); pos = 48
    while d[pos:pos + 32] not in (b"\xff" * 32, b""):
        h = d[pos:pos + 32]; flags, n = struct.unpack("<II", d[pos + 32:pos + 40]); pos += 48
        size = sum(struct.unpack("<I", d[pos + 48 * i + 36:pos + 48 * i + 40])[0] for i in range(n)); pos += 48 * n
        if flags & 0x80000000: pos += 48 * n  # verification entries
        sha = None
        if flags & 0x40000000: sha = hexhash(d[pos:pos + 32]); pos += 48
        yield sha, hexhash(h), size


class XetStore:
    def __init__(self, root):
        self.cas, self.lfs, self.store = root / "xet-cas", root / "lfs", root / "xet-cas" / "store"
        self.store.mkdir(parents=True, exist_ok=True)
        self.index, self.done, self.lock = {}, set(), threading.RLock()
        self.index.update({s: (x, n) for p in self.store.glob("xet/xorbs/shards/*.mdb") for s, x, n in shard_files(p) if s})

    def group(self, d, kind):
        import hf_xet
        return getattr(hf_xet.XetSession(), kind)(endpoint=f"local://{d}", token="t", token_expiry_unix_secs=int(time.time()) + 3600)

    def new_dir(self, read):
        d = self.cas / f"{'read' if read else 'write'}-{uuid.uuid4().hex}"
        with self.lock:
            shutil.copytree(self.store, d) if read else d.mkdir()
        return d

    def collect(self):
        """Fetch what clients have uploaded since (from copies of their directories) and add it to the store."""
        import hf_xet
        new = {}
        for d in self.cas.glob("write-*"):
            shards = {p for p in d.glob("xet/xorbs/shards/*.mdb")} - self.done
            files = {s: (x, n) for p in shards for s, x, n in shard_files(p) if s and s not in self.index}
            if files:
                copy = self.cas / f"copy-{uuid.uuid4().hex}"; shutil.copytree(d, copy)
                with self.group(copy, "new_file_download_group") as g:
                    for s, f in files.items(): g.start_download_file(hf_xet.XetFileInfo(*f), str(self.lfs / s))
                shutil.rmtree(copy)
            new.update(files); self.done |= shards
        if new:
            with self.group(self.store, "new_upload_commit") as c:
                for s in new: c.start_upload_file(str(self.lfs / s), sha256=s)
            self.index.update(new)

    def find(self, sha256):
        return self.index.get(sha256)

    def materialise(self, sha256, dest):
        with self.lock: self.collect()
        return dest.exists()


@minihub.route("GET", "/api/{repo}/xet-(?P<what>write|read)-token/{rev}")
def xet_token(self, kind, rid, what, rev):
    if self.hub.xet is None: raise minihub.HubError(404, "xet is not enabled")
    if what == "write": self.writable(kind, rid, rev, "create_pr" in self.q)
    else: self.hub.repo(kind, rid, self.user)
    url, exp = f"local://{self.hub.xet.new_dir(what == 'read')}", int(time.time()) + 3600
    self.reply(200, {"casUrl": url, "exp": exp, "accessToken": "xet"}, {"X-Xet-Cas-Url": url, "X-Xet-Access-Token": "xet", "X-Xet-Token-Expiration": str(exp)})
