# mypy: ignore-errors
"""minihub: a small Hub-compatible server for tests. Loopback only, stdlib + git.

Every repo is a real bare git repository; LFS content lives in <root>/lfs/<sha256>.
    with MiniHub(root) as hub: os.environ["HF_ENDPOINT"] = hub.url
    hub.faults.append(Fault("POST", r"/commit/", times=1, status=500))
    python minihub.py --root DIR --port N [--log FILE]
"""
import argparse, atexit, base64, hashlib, http.server, json, os, re, shutil, socket, struct, subprocess, sys, tempfile
import threading, time
from dataclasses import dataclass, field
from datetime import datetime, timezone
from fnmatch import fnmatch
from functools import cache
from pathlib import Path
from urllib.parse import parse_qs, quote, unquote, urlsplit

sys.modules.setdefault("minihub", sys.modules[__name__])  # so that minihub_xet registers its routes here when run as a script
LFS_GLOBS = "*.parquet *.arrow *.zip *.tar *.npy *.npz *.pt *.bin *.safetensors *.png *.jpg *.jpeg *.webp".split()
GITATTRIBUTES = "".join(f"{g} filter=lfs diff=lfs merge=lfs -text\n" for g in LFS_GLOBS).encode()
POINTER = re.compile(rb"^version https://git-lfs\S+\noid sha256:([0-9a-f]{64})\nsize (\d+)\n$")
SHA = re.compile(r"^[0-9a-f]{40}$")


class HubError(Exception):
    def __init__(self, status, message, code=None, headers=None, **body):
        self.status, self.body = status, {"error": message, **body}
        self.headers = {"X-Error-Message": message.replace("\n", " "), **({"X-Error-Code": code} if code else {}), **(headers or {})}


@dataclass
class Fault:
    """Injected once a request matches; `drop` closes the socket (after `after` body bytes for uploads/downloads)."""
    method: str
    path: str
    times: int = 1
    status: int = 0
    headers: dict = field(default_factory=dict)
    body: dict = field(default_factory=lambda: {"error": "injected"})
    drop: str = ""  # "request": mid request body; "lost": do the work, then drop; "response": mid response body
    after: int = 0
    rst: bool = False  # RST (httpx2.ReadError in the client) instead of an orderly FIN (RemoteProtocolError)
    delay: float = 0.0
    hits: int = 0


def now():
    return datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.000Z")


@cache
def empty_repository():
    """Made once, with no hooks: a copy of it costs less than a process."""
    folder = tempfile.mkdtemp(prefix="minihub-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    subprocess.run(["git", "init", "-q", "--bare", "--template=", "-b", "main", folder], check=True)
    return folder


class Repo:
    """One bare git repository plus a meta.json (type, id, private, discussions)."""

    def __init__(self, path, lfs_dir):
        self.path, self.lfs_dir, self.lock, self.objects = Path(path), lfs_dir, threading.RLock(), {}
        self.meta = json.loads((self.path / "meta.json").read_text()) if (self.path / "meta.json").exists() else {}

    @classmethod
    def create(cls, path, lfs_dir, user, **meta):
        shutil.copytree(empty_repository(), path, dirs_exist_ok=True)
        repo = cls(path, lfs_dir)
        repo.meta = {"discussions": [], "createdAt": now(), **meta}
        readme = f"---\nsdk: {meta['sdk']}\n---\n".encode() if meta.get("sdk") else None
        files = {".gitattributes": GITATTRIBUTES, **({"README.md": readme} if readme else {})}
        repo.commit("refs/heads/main", None, "initial commit", "", user, files, [])
        repo.save()
        return repo

    def save(self):
        (self.path / "meta.json").write_text(json.dumps(self.meta))

    def git(self, *args, stdin=None, check=True):
        if args[0] in ("ls-tree", "cat-file"):  # of what has a hash: always the same
            if args not in self.objects:
                self.objects[args] = self._git(*args, check=check)
            return self.objects[args]
        return self._git(*args, stdin=stdin, check=check)

    def _git(self, *args, stdin=None, check=True):
        env = {"PATH": os.environ["PATH"], "GIT_CONFIG_NOSYSTEM": "1", "HOME": str(self.path), "LC_ALL": "C"}
        p = subprocess.run(["git", "--git-dir", str(self.path), *args], input=stdin, capture_output=True, env=env)
        if check and p.returncode:
            raise RuntimeError(p.stderr.decode())
        return p.stdout if p.returncode == 0 else None

    def ref(self, rev):  # full ref name of a writable revision
        return rev if rev.startswith("refs/") else f"refs/heads/{rev}"

    def resolve(self, rev):
        for r in ([rev] if SHA.match(rev) or rev.startswith("refs/") else [f"refs/heads/{rev}", f"refs/tags/{rev}"]):
            out = self.git("rev-parse", "-q", "--verify", "--end-of-options", r + "^{commit}", check=False)
            if out:
                return out.decode().strip()
        raise HubError(404, f"Invalid rev id: {rev}", "RevisionNotFound")

    def tree(self, sha, path="", recursive=True):
        if path and recursive is None:  # exact path lookup
            out = self.git("ls-tree", "-t", "-l", "-z", sha, path)
        else:
            out = self.git("ls-tree", "-l", "-z", *(["-r", "-t"] if recursive else []), f"{sha}:{path}", check=False)
            if out is None:
                raise HubError(404, f"{path} does not exist on \"{sha}\"", "EntryNotFound")
        rows = []
        for line in out.decode().split("\0")[:-1]:
            head, name = line.split("\t", 1)
            _, kind, oid, size = head.split()
            full = name if not path or recursive is None else f"{path}/{name}"
            rows.append({"type": "directory" if kind == "tree" else "file", "oid": oid,
                         "size": 0 if size == "-" else int(size), "path": full})
        for row in rows:
            if row["type"] == "file" and 120 <= row["size"] <= 200:
                m = POINTER.match(self.git("cat-file", "blob", row["oid"]))
                if m:
                    row.update(lfs={"oid": m[1].decode(), "size": int(m[2]), "pointerSize": row["size"]}, size=int(m[2]))
        return rows

    def entry(self, sha, path):
        rows = [r for r in self.tree(sha, path, None) if r["path"] == path]
        return rows[0] if rows else None

    def commit(self, ref, parent, summary, description, user, files, deleted):
        """Atomic: git fast-import refuses a non-fast-forward; the caller holds the lock."""
        msg = (summary + ("\n\n" + description if description else "")).encode()
        buf = [f"commit {ref}\nmark :1\ncommitter {user} <{user}@minihub> {int(time.time())} +0000\n".encode(),
               b"data %d\n" % len(msg), msg, b"\n"]
        if parent:
            buf.append(f"from {parent}\n".encode())
        buf += [b"D %s\n" % json.dumps(p, ensure_ascii=False).encode() for p in deleted]
        for p, data in files.items():
            buf += [b"M 100644 inline %s\ndata %d\n" % (json.dumps(p, ensure_ascii=False).encode(), len(data)), data, b"\n"]
        self.git("fast-import", "--quiet", "--date-format=raw", stdin=b"".join(buf))
        return self.git("rev-parse", ref).decode().strip()

    def blob(self, row):
        return (self.lfs_dir / row["lfs"]["oid"]).read_bytes() if "lfs" in row else self.git("cat-file", "blob", row["oid"])


class MiniHub:
    def __init__(self, root, port=0, users=None, lfs="auto", cdn=False, log=None, xet=False):
        self.root, self.lfs_mode, self.cdn, self.xet = Path(root).resolve(), lfs, cdn, None
        self.users = users or {"hf_alice": {"name": "alice", "orgs": ["lab"]}, "hf_bob": {"name": "bob", "orgs": []},
                               "hf_reader": {"name": "alice", "orgs": ["lab"], "role": "read"}}
        (self.root / "lfs").mkdir(parents=True, exist_ok=True)
        self.faults, self.requests, self.repos, self.lock, self.log = [], [], {}, threading.RLock(), log
        for m in self.root.glob("repos/*/*/*/meta.json"):
            r = Repo(m.parent, self.root / "lfs")
            self.repos[r.meta["type"], r.meta["id"]] = r
        if xet:
            from minihub_xet import XetStore
            self.xet = XetStore(self.root)
        hub = self
        self.httpd = http.server.ThreadingHTTPServer(("127.0.0.1", port), type("H", (Handler,), {"hub": hub}))
        self.httpd.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.httpd.server_port}"

    def __enter__(self):
        threading.Thread(target=self.httpd.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def __exit__(self, *a):
        self.httpd.shutdown(); self.httpd.server_close()

    def repo(self, kind, rid, user=None, write=False):
        r = self.repos.get((kind, rid))
        if r is None or (r.meta["private"] and not self.can_write(r, user)):
            if user is None:
                raise HubError(401, "Invalid username or password.", "RepoNotFound")
            raise HubError(404, "Repository not found", "RepoNotFound")
        if write and user is None:
            raise HubError(401, "Invalid username or password.")
        if write and not self.can_write(r, user):
            raise HubError(403, f"Forbidden: you don't have write access to {rid}")
        return r

    def can_write(self, r, user):
        return bool(user) and user.get("role") != "read" and r.meta["id"].split("/")[0] in [user["name"], *user["orgs"]]


ROUTES = []


def route(method, pattern):
    kinds = r"(?P<kind>model|dataset|space)s"
    rx = pattern.replace("{repo}", kinds + r"/(?P<rid>[^/]+/[^/]+)").replace("{rev}", r"(?P<rev>[^/]+)")
    def deco(fn):
        ROUTES.append((method, re.compile("^" + rx + "$"), fn)); return fn
    return deco


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # else ~40 ms per response (headers and body are two writes)
    hub: MiniHub

    def log_message(self, *a): pass

    def raw_body(self):
        n, chunked = int(self.headers.get("Content-Length") or 0), "chunked" in self.headers.get("Transfer-Encoding", "")
        if self.fault and self.fault.drop == "request":
            self.rfile.read(min(self.fault.after, n) if not chunked else 1); raise ConnectionAbortedError
        if not chunked:
            return self.rfile.read(n)
        out = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            out.append(self.rfile.read(size)); self.rfile.readline()
        self.rfile.readline()
        return b"".join(out)

    @property
    def json(self):
        return json.loads(self.body or b"null")

    def handle_one(self):
        self.started, t0 = False, time.time()
        u = urlsplit(self.path)
        self.q = {k: v[-1] for k, v in parse_qs(u.query).items()}
        auth = self.headers.get("Authorization", "")
        self.fault, self.status = None, 0
        with self.hub.lock:
            for f in self.hub.faults:
                if f.hits < f.times and f.method in (self.command, "*") and re.search(f.path, self.path):
                    f.hits += 1; self.fault = f; break
        self.body = b""
        try:
            self.body = self.raw_body()
            if self.fault and self.fault.delay: time.sleep(self.fault.delay)
            if self.fault and self.fault.status:
                return self.reply(self.fault.status, self.fault.body, self.fault.headers)
            if auth and auth[7:] not in self.hub.users:
                raise HubError(401, "Invalid credentials in Authorization header")
            self.user = self.hub.users.get(auth[7:])
            for method, rx, fn in ROUTES:
                m = rx.match(u.path)
                if m and (method == self.command or (method == "GET" and self.command == "HEAD")):
                    args = {k: unquote(v) if v else v for k, v in m.groupdict().items()}
                    kind = args.pop("kind", None)
                    if kind is not None or "rid" in args:
                        args["kind"] = kind or "model"
                    return fn(self, **args)
            raise HubError(404, f"Cannot {self.command} {u.path}")
        except HubError as e:
            self.reply(e.status, e.body, e.headers)
        except (ConnectionError, BrokenPipeError):
            self.status = -1; self.abort()
        except Exception as e:  # noqa
            import traceback; traceback.print_exc()
            self.reply(500, {"error": f"{type(e).__name__}: {e}"})
        finally:
            rec = {"t": round(t0, 3), "ms": round(1000 * (time.time() - t0), 1), "method": self.command, "path": self.path, "status": self.status, "in": len(self.body),
                   "headers": {k.lower(): v for k, v in self.headers.items() if k.lower() in ("authorization", "range", "content-type", "accept-encoding", "transfer-encoding", "user-agent")},
                   "body": self.body[:2000].decode("utf8", "replace") if "json" in self.headers.get("Content-Type", "") or "form" in self.headers.get("Content-Type", "") else ""}
            if "authorization" in rec["headers"]:
                rec["headers"]["authorization"] = "Bearer ***"
            self.hub.requests.append(rec)
            if self.hub.log:
                print(json.dumps(rec), file=self.hub.log, flush=True)

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = handle_one

    def abort(self):
        self.close_connection = True
        if self.fault and self.fault.rst:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()
        else:
            try: self.connection.shutdown(socket.SHUT_WR)
            except OSError: pass

    def reply(self, status, payload=b"", headers=None):
        if self.fault and self.fault.drop == "lost": raise ConnectionAbortedError
        data = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
        self.status = status
        self.send_response_only(status)
        h = {"Content-Type": "application/json" if not isinstance(payload, bytes) else "application/octet-stream",
             "Content-Length": str(len(data)), "X-Request-Id": f"minihub-{len(self.hub.requests)}", **(headers or {})}
        for k, v in h.items(): self.send_header(k, v)
        self.end_headers()
        if self.command != "HEAD":
            if self.fault and self.fault.drop == "response":
                self.wfile.write(data[: self.fault.after]); self.wfile.flush(); time.sleep(0.05); raise ConnectionAbortedError
            self.wfile.write(data)

    # ------------------------------------------------------------- account, repos
    @route("GET", "/api/whoami-v2")
    def whoami(self):
        if not self.user: raise HubError(401, "Invalid username or password.")
        u = self.user
        self.reply(200, {"type": "user", "id": u["name"], "name": u["name"], "fullname": u["name"], "orgs": [{"type": "org", "name": o} for o in u["orgs"]],
                         "auth": {"type": "access_token", "accessToken": {"displayName": "t", "role": u.get("role", "write")}}})

    @route("POST", "/api/repos/create")
    def create_repo(self):
        b, u, hub = self.json, self.user, self.hub
        if not u: raise HubError(401, "Invalid username or password.")
        ns, kind = b.get("organization") or u["name"], b.get("type") or "model"
        rid, url = f"{ns}/{b['name']}", f"{hub.url}/{'' if kind == 'model' else kind + 's/'}{ns}/{b['name']}"
        if u.get("role") == "read" or ns not in [u["name"], *u["orgs"]]:
            raise HubError(403, f"You don't have the rights to create a {kind} under the namespace \"{ns}\"")
        with hub.lock:
            if (kind, rid) in hub.repos:
                raise HubError(409, f"You already created this {kind} repo", url=url)
            hub.repos[kind, rid] = Repo.create(hub.root / "repos" / kind / ns / b["name"], hub.root / "lfs", u["name"], type=kind, id=rid,
                                               sdk=b.get("sdk"), private=b.get("visibility") == "private" or bool(b.get("private")))
        self.reply(200, {"url": url, "name": rid, "id": rid})

    @route("DELETE", "/api/repos/delete")
    def delete_repo(self):
        b = self.json; key = (b.get("type") or "model", f"{b.get('organization') or self.user['name']}/{b['name']}")
        r = self.hub.repo(*key, self.user, write=True)
        del self.hub.repos[key]; (r.path / "meta.json").unlink()
        self.reply(200, {})

    @route("POST", "/api/validate-yaml")
    def validate_yaml(self):
        m = re.match(r"^---\r?\n(.*?)\r?\n---", self.json["content"], re.S)
        warn = [] if m else [{"message": "empty or missing yaml metadata in repo card"}]
        errors = []
        if m:
            try:
                import yaml; yaml.safe_load(m[1])
            except ImportError: pass
            except Exception as e: errors = [{"message": str(e)}]
        self.reply(400 if errors else 200, {"errors": errors, "warnings": warn})

    @route("GET", "/api/{repo}(?:/revision/{rev})?")
    def info(self, kind, rid, rev=None):
        r = self.hub.repo(kind, rid, self.user)
        sha = r.resolve(rev or "main"); files = [x for x in r.tree(sha) if x["type"] == "file"]
        sib = [{"rfilename": f["path"], **({"size": f["size"], "blobId": f["oid"], **({"lfs": {"sha256": f["lfs"]["oid"], "size": f["lfs"]["size"], "pointerSize": f["lfs"]["pointerSize"]}} if "lfs" in f else {})} if "blobs" in self.q else {})} for f in files]
        last = datetime.fromtimestamp(int(r.git("show", "-s", "--format=%ct", sha)), timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.000Z")
        self.reply(200, {"_id": hashlib.md5(rid.encode()).hexdigest()[:24], "id": rid, "author": rid.split("/")[0], "sha": sha, "lastModified": last, "createdAt": r.meta["createdAt"],
                         "private": r.meta["private"], "gated": False, "disabled": False, "downloads": 0, "likes": 0, "tags": [], "siblings": sib, **({"sdk": r.meta["sdk"]} if r.meta.get("sdk") else {})})

    # ------------------------------------------------------------- read
    @route("GET", "/api/{repo}/tree/{rev}(?:/(?P<path>.*))?")
    def tree(self, kind, rid, rev, path=None):
        r = self.hub.repo(kind, rid, self.user)
        rows = r.tree(r.resolve(rev), path or "", self.q.get("recursive", "").lower() in ("true", "1"))
        size, start = int(self.q.get("limit", 1000)), int(self.q.get("cursor", 0))
        nxt = urlsplit(self.path).path + f"?recursive={self.q.get('recursive', 'false')}&expand=false&limit={size}&cursor={start + size}"
        if self.hub.xet:
            for row in rows:
                if "lfs" in row and (x := self.hub.xet.find(row["lfs"]["oid"])): row["xetHash"] = x[0]
        self.reply(200, rows[start:start + size], {"Link": f'<{self.hub.url}{nxt}>; rel="next"'} if start + size < len(rows) else {})

    @route("POST", "/api/{repo}/paths-info/{rev}")
    def paths_info(self, kind, rid, rev):
        r = self.hub.repo(kind, rid, self.user); sha = r.resolve(rev)
        b = self.json if "json" in self.headers.get("Content-Type", "") else parse_qs(self.body.decode())
        self.reply(200, [e for p in b.get("paths", []) if (e := r.entry(sha, p.strip("/")))])

    @route("GET", "/(?:(?P<kind>dataset|space)s/)?(?P<rid>[^/]+/[^/]+)/(?:resolve|raw)/{rev}/(?P<path>.+)")
    def resolve(self, kind, rid, rev, path):
        r = self.hub.repo(kind, rid, self.user); sha = r.resolve(rev); e = r.entry(sha, path)
        if e is None or e["type"] != "file":
            raise HubError(404, "Entry not found", "EntryNotFound", {"X-Repo-Commit": sha})
        tag = f'"{e["lfs"]["oid"] if "lfs" in e else e["oid"]}"'
        h = {"X-Repo-Commit": sha, "ETag": tag, "Accept-Ranges": "bytes", "Content-Disposition": f"inline; filename=\"{Path(path).name}\""}
        if "lfs" in e:
            h.update({"X-Linked-ETag": tag, "X-Linked-Size": str(e["size"])})
            if self.hub.xet and (x := self.hub.xet.find(e["lfs"]["oid"])):
                h.update({"X-Xet-Hash": x[0], "Link": f'<{self.hub.url}/api/{kind}s/{rid}/xet-read-token/{sha}>; rel="xet-auth"'})
            if self.hub.cdn:  # another origin (localhost != 127.0.0.1), as the real Hub redirects LFS files to its CDN
                return self.reply(302, b"", {**h, "Location": f"http://localhost:{self.hub.httpd.server_port}/_lfs/{e['lfs']['oid']}"})
        self.send_bytes(r.blob(e), h)

    @route("GET", "/_lfs/(?P<oid>[0-9a-f]{64})")
    def cdn_get(self, oid):
        self.send_bytes((self.hub.root / "lfs" / oid).read_bytes(), {"ETag": f'"{oid}"', "Accept-Ranges": "bytes"})

    def send_bytes(self, data, h):
        m = re.match(r"bytes=(\d*)-(\d*)$", self.headers.get("Range", ""))
        if not m or (m[1], m[2]) == ("", ""):
            return self.reply(200, data, h)
        a, b = (max(0, len(data) - int(m[2])), len(data) - 1) if m[1] == "" else (int(m[1]), min(int(m[2] or len(data) - 1), len(data) - 1))
        if a > b:
            return self.reply(416, b"", {**h, "Content-Range": f"bytes */{len(data)}"})
        self.reply(206, data[a:b + 1], {**h, "Content-Range": f"bytes {a}-{b}/{len(data)}"})

    @route("GET", "/api/{repo}/refs")
    def refs(self, kind, rid):
        r = self.hub.repo(kind, rid, self.user); out = {"branches": [], "tags": [], "converts": [], "pullRequests": []}
        for line in r.git("for-each-ref", "--format=%(refname) %(objectname) %(*objectname)").decode().splitlines():
            ref, oid, *peeled = line.split()
            key = {"heads": "branches", "tags": "tags", "pr": "pullRequests", "convert": "converts"}[ref.split("/")[1]]
            out[key].append({"name": ref.split("/", 2)[2], "ref": ref, "targetCommit": (peeled or [oid])[0]})
        self.reply(200, out)

    @route("GET", "/api/{repo}/commits/{rev}")
    def commits(self, kind, rid, rev):
        r = self.hub.repo(kind, rid, self.user)
        raw = r.git("log", "--format=%H%x00%an%x00%ct%x00%s%x00%b%x01", r.resolve(rev)).decode().split("\x01\n")
        self.reply(200, [{"id": f[0], "authors": [{"user": f[1]}], "date": datetime.fromtimestamp(int(f[2]), timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
                          "title": f[3], "message": f[4]} for c in raw if c.strip() for f in [c.split("\0")]])

    # ------------------------------------------------------------- write
    def writable(self, kind, rid, rev, create_pr):  # anyone may open a PR, and its author may push to it
        r = self.hub.repo(kind, rid, self.user)
        if not self.user: raise HubError(401, "Invalid username or password.")
        mine = any(rev == f"refs/pr/{d['num']}" and d["author"]["name"] == self.user["name"] for d in r.meta["discussions"])
        return r if create_pr or mine else self.hub.repo(kind, rid, self.user, write=True)

    @route("POST", "/api/{repo}/preupload/{rev}")
    def preupload(self, kind, rid, rev):
        pr = "create_pr" in self.q
        r = self.writable(kind, rid, rev, pr)
        sha = r.resolve(rev); out = []
        ign = [l.strip() for l in (self.json.get("gitIgnore") or "").splitlines() if l.strip() and not l.startswith("#")]
        for f in self.json["files"]:
            big = f["size"] > 10 * 2**20 or any(fnmatch(f["path"].rsplit("/", 1)[-1], g) for g in LFS_GLOBS)
            e = r.entry(sha, f["path"])
            out.append({"path": f["path"], "uploadMode": "lfs" if big and self.hub.lfs_mode == "auto" else "regular",
                        "shouldIgnore": any(fnmatch(f["path"], g) or fnmatch(f["path"].rsplit("/", 1)[-1], g) for g in ign),
                        **({"oid": e["lfs"]["oid"] if "lfs" in e else e["oid"]} if e and e["type"] == "file" else {})})
        self.reply(200, {"files": out, "commitOid": sha})

    @route("POST", "/(?:(?P<kind>dataset|space)s/)?(?P<rid>[^/]+/[^/]+)\\.git/info/lfs/objects/batch")
    def lfs_batch(self, kind, rid):
        self.hub.repo(kind, rid, self.user)
        if not self.user: raise HubError(401, "Invalid username or password.")
        objs = []
        for o in self.json["objects"]:
            have = (self.hub.root / "lfs" / o["oid"]).exists()
            act = {} if have else {"actions": {"upload": {"href": f"{self.hub.url}/_lfs/{o['oid']}?size={o['size']}"}, "verify": {"href": f"{self.hub.url}/_lfs_verify"}}}
            objs.append({"oid": o["oid"], "size": o["size"], "authenticated": True, **act})
        self.reply(200, {"transfer": "basic", "objects": objs}, {"Content-Type": "application/vnd.git-lfs+json"})

    @route("PUT", "/_lfs/(?P<oid>[0-9a-f]{64})")
    def lfs_put(self, oid):
        if hashlib.sha256(self.body).hexdigest() != oid or str(len(self.body)) != self.q.get("size"):
            raise HubError(400, "sha256 or size mismatch")
        tmp = self.hub.root / "lfs" / f".{oid}.{threading.get_ident()}"
        tmp.write_bytes(self.body); os.replace(tmp, self.hub.root / "lfs" / oid)
        self.reply(200, b"", {"ETag": f'"{oid}"'})

    @route("POST", "/_lfs_verify")
    def lfs_verify(self):
        p = self.hub.root / "lfs" / self.json["oid"]
        if not p.exists() or p.stat().st_size != self.json["size"]: raise HubError(404, "LFS object not found")
        self.reply(200, {})

    @route("POST", "/api/{repo}/commit/{rev}")
    def commit(self, kind, rid, rev):
        pr = "create_pr" in self.q
        r = self.writable(kind, rid, rev, pr)
        lines = [json.loads(x) for x in self.body.splitlines() if x.strip()]
        head, files, deleted = lines[0]["value"], {}, []
        with r.lock:
            base = r.resolve(rev)
            if not pr and rev not in ("main",) and r.git("rev-parse", "-q", "--verify", r.ref(rev), check=False) is None:
                raise HubError(400, f"Cannot commit to {rev}: not a branch")
            if head.get("parentCommit") and head["parentCommit"] != base:
                raise HubError(412, "A commit has happened since. Please refresh and try again.")
            for op in lines[1:]:
                v = op["value"]; p = v["path"]
                if op["key"] == "file":
                    files[p] = base64.b64decode(v["content"]) if v.get("encoding") == "base64" else v["content"].encode()
                elif op["key"] == "lfsFile":
                    blob = self.hub.root / "lfs" / v["oid"]
                    if not blob.exists() and not (self.hub.xet and self.hub.xet.materialise(v["oid"], blob)): raise HubError(400, f"LFS pointer pointed to a file that does not exist: {p}")
                    files[p] = f"version https://git-lfs.github.com/spec/v1\noid sha256:{v['oid']}\nsize {blob.stat().st_size}\n".encode()
                elif op["key"] in ("deletedFile", "deletedFolder"):
                    if r.entry(base, p.rstrip("/")) is None: raise HubError(404, "A file with this name doesn't exist", "EntryNotFound")
                    deleted.append(p.rstrip("/"))
                else:
                    raise HubError(400, f"unknown operation {op['key']}")
            ref = r.ref(rev)
            if pr:
                d = self.new_discussion(r, head["summary"], head.get("description", ""), True, "open"); ref = f"refs/pr/{d['num']}"
            oid = r.commit(ref, base, head["summary"], head.get("description", ""), self.user["name"], files, deleted)
            if ref.startswith("refs/pr/"):
                d = next(d for d in r.meta["discussions"] if f"refs/pr/{d['num']}" == ref)
                d["events"].append(self.event("commit", subject=head["summary"], oid=oid))
            r.save()
        url = f"{self.hub.url}/{'' if kind == 'model' else kind + 's/'}{rid}"
        self.reply(200, {"success": True, "commitUrl": f"{url}/commit/{oid}", "commitOid": oid, "hookOutput": "", **({"pullRequestUrl": f"{url}/discussions/{d['num']}"} if pr else {})})

    @route("POST", "/api/{repo}/tag/{rev}")
    def tag(self, kind, rid, rev):
        r = self.hub.repo(kind, rid, self.user, write=True); b = self.json
        if r.git("rev-parse", "-q", "--verify", f"refs/tags/{b['tag']}", check=False): raise HubError(409, "Tag reference exists already")
        r.git("-c", f"user.name={self.user['name']}", "-c", "user.email=x@minihub", "tag", *(["-a", "-m", b["message"]] if b.get("message") else []), b["tag"], r.resolve(rev))
        self.reply(200, {})

    @route("POST", "/api/{repo}/branch/{rev}")
    def branch(self, kind, rid, rev):
        r = self.hub.repo(kind, rid, self.user, write=True); b = self.json or {}
        if rev.startswith("refs/"): raise HubError(400, "Invalid reference for a branch")
        if r.git("rev-parse", "-q", "--verify", f"refs/heads/{rev}", check=False): raise HubError(409, "Reference already exists")
        r.git("update-ref", f"refs/heads/{rev}", r.resolve(b.get("startingPoint") or "main")); self.reply(200, {})

    @route("DELETE", "/api/{repo}/(?P<what>tag|branch)/{rev}")
    def del_ref(self, kind, rid, what, rev):
        r = self.hub.repo(kind, rid, self.user, write=True); ref = f"refs/{'tags' if what == 'tag' else 'heads'}/{rev}"
        if r.git("rev-parse", "-q", "--verify", ref, check=False) is None: raise HubError(404, "Reference not found", "RevisionNotFound")
        r.git("update-ref", "-d", ref); self.reply(200, {})

    # ------------------------------------------------------------- discussions, pull requests
    def event(self, type_, **data):
        return {"id": os.urandom(8).hex(), "type": type_, "createdAt": now(), "author": {"name": self.user["name"]}, "data": data}

    def new_discussion(self, r, title, text, is_pr, status):
        d = {"num": len(r.meta["discussions"]) + 1, "title": title, "author": {"name": self.user["name"]}, "createdAt": now(), "status": status, "isPullRequest": is_pr,
             "repo": {"name": r.meta["id"], "type": r.meta["type"]}, "events": [self.event("comment", edited=False, hidden=False, latest={"raw": text, "html": text})], "base": "refs/heads/main"}
        if is_pr: r.git("update-ref", f"refs/pr/{d['num']}", r.resolve("main"))
        r.meta["discussions"].append(d); r.save()
        return d

    @route("GET", "/api/{repo}/discussions")
    def discussions(self, kind, rid):
        r = self.hub.repo(kind, rid, self.user); ty, st, au = self.q.get("type", "all"), self.q.get("status", "all"), self.q.get("author")
        ds = [{k: v for k, v in d.items() if k != "events"} for d in reversed(r.meta["discussions"]) if ty in ("all", "pull_request" if d["isPullRequest"] else "discussion")
              and (st == "all" or (st == "open") == (d["status"] in ("open", "draft"))) and au in (None, d["author"]["name"])]
        p = int(self.q.get("p", 0)); self.reply(200, {"discussions": ds[p * 10:p * 10 + 10], "count": len(ds), "start": p * 10})

    @route("POST", "/api/{repo}/discussions")
    def create_discussion(self, kind, rid):
        r = self.hub.repo(kind, rid, self.user); b = self.json
        if not self.user: raise HubError(401, "Invalid username or password.")
        with r.lock: d = self.new_discussion(r, b["title"], b["description"], b["pullRequest"], "draft" if b["pullRequest"] else "open")
        self.reply(200, {"num": d["num"], "pullRequest": b["pullRequest"]})

    def find(self, r, num):
        d = next((d for d in r.meta["discussions"] if d["num"] == int(num)), None)
        if d is None: raise HubError(404, "Discussion not found")
        return d

    @route("GET", r"/api/{repo}/discussions/(?P<num>\d+)")
    def discussion(self, kind, rid, num):
        r = self.hub.repo(kind, rid, self.user); d = dict(self.find(r, num))
        if d["isPullRequest"]:
            d["changes"] = {"base": d["base"], **({"mergeCommitId": d["merged"]} if "merged" in d else {})}
            head, base = r.resolve(f"refs/pr/{num}"), r.resolve("main")
            d["filesWithConflicts"] = [] if d["status"] == "merged" or r.git("merge-tree", "--write-tree", base, head, check=False) else True
            mb = d.get("mergeBase") or r.git("merge-base", base, head).decode().strip()
            d["diff"] = r.git("diff", mb, head).decode("utf8", "replace") if "diff" in self.q else None
        self.reply(200, d)

    @route("POST", r"/api/{repo}/discussions/(?P<num>\d+)/(?P<what>comment|status|title|merge)")
    def change(self, kind, rid, num, what):
        r = self.hub.repo(kind, rid, self.user); b = self.json or {}
        if not self.user: raise HubError(401, "Invalid username or password.")
        with r.lock:
            d = self.find(r, num)
            if what != "comment" and not (self.hub.can_write(r, self.user) or (what != "merge" and d["author"]["name"] == self.user["name"])):
                raise HubError(403, "You can't do that on this discussion")
            if what == "comment":
                e = self.event("comment", edited=False, hidden=False, latest={"raw": b["comment"], "html": b["comment"]})
            elif what == "title":
                e = self.event("title-change", **{"from": d["title"], "to": b["title"]}); d["title"] = b["title"]
            elif what == "status":
                e = self.event("status-change", status=b["status"]); d["status"] = b["status"]
            else:
                if not d["isPullRequest"] or d["status"] not in ("open", "draft"): raise HubError(400, f"PR is {d['status']}")
                head, base = r.resolve(f"refs/pr/{num}"), r.resolve("main")
                tree = r.git("merge-tree", "--write-tree", base, head, check=False)
                if tree is None: raise HubError(409, "This pull request has conflicts")
                d["mergeBase"] = r.git("merge-base", base, head).decode().strip()
                me = f"user.name={self.user['name']}"
                oid = r.git("-c", me, "-c", "user.email=x@minihub", "commit-tree", tree.decode().split()[0], "-p", base, "-m", f"{d['title']} (#{num})\n\n{b.get('comment') or ''}").decode().strip()
                r.git("update-ref", "refs/heads/main", oid, base)
                d.update(status="merged", merged=oid); e = self.event("status-change", status="merged")
            d["events"].append(e); r.save()
        self.reply(200, {{"comment": "newMessage", "status": "newStatus", "title": "newTitle", "merge": "merge"}[what]: e})

    @route("GET", "/api/agent-harnesses")
    def harnesses(self):
        self.reply(200, {"standardEnvVars": [], "harnesses": {}})


if __name__ == "__main__":
    ap = argparse.ArgumentParser()
    ap.add_argument("--root", required=True); ap.add_argument("--port", type=int, default=0); ap.add_argument("--log")
    ap.add_argument("--lfs", choices=["auto", "never"], default="auto"); ap.add_argument("--cdn", action="store_true"); ap.add_argument("--xet", action="store_true")
    a = ap.parse_args()
    with MiniHub(a.root, a.port, lfs=a.lfs, cdn=a.cdn, xet=a.xet, log=open(a.log, "a") if a.log else None) as hub:
        print(hub.url, flush=True)
        threading.Event().wait()
