"""How fast answers are asked for, and in how much memory: against a server that takes 20 ms for each.

    python benchmarks/asking.py [--concurrency N] [--images N]

The server is a process of its own that does nothing else, and its clock knows microseconds: asyncio's usual
one rounds 20 ms up to 21. On a machine that others use, ``chrt --rr 10 python benchmarks/asking.py`` goes
first. Printed: answers a second, the share of concurrency x rate that this is, and what a bare client reaches
that sends the same bytes on sockets and looks at nothing: what is missing there is the machine's and the
server's; milliseconds of CPU for an answer; the load of the machine; and the memory of this process after
1,000 images and in the end.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import os
import selectors
import socket
import tempfile
import threading
import time
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image
from record import record

from imagenet_hard import evaluate
from imagenet_hard.dataset.benchmark import Benchmark, Source

SECONDS = 0.02
BODY = json.dumps(
    {
        "model": "toy",
        "choices": [{"message": {"role": "assistant", "content": "tench"}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 100, "completion_tokens": 2},
    }
).encode()
REPLY = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(BODY) + BODY


def serve(port: multiprocessing.Queue[int]) -> None:
    """Answer every request on the loopback after ``SECONDS``."""

    class Answering(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            assert isinstance(transport, asyncio.Transport)
            self.transport, self.came = transport, b""

        def data_received(self, data: bytes) -> None:
            self.came += data
            head, end, body = self.came.partition(b"\r\n\r\n")
            length = head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0]
            if end and len(body) >= int(length):
                self.came = b""
                asyncio.get_running_loop().call_later(SECONDS, self.transport.write, REPLY)

    async def run() -> None:
        server = await asyncio.get_running_loop().create_server(Answering, "127.0.0.1", 0, backlog=1024)
        port.put(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    asyncio.SelectorEventLoop(selectors.SelectSelector()).run_until_complete(run())


def images(n: int) -> Benchmark:
    """``n`` tiny images that take no time to read; no two are the same."""
    file = BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (16, 16, 3), np.uint8)).save(file, "PNG")
    png = file.getvalue()

    def read(i: int) -> bytes:
        return png + i.to_bytes(4, "big")  # what follows a PNG's end is no part of it

    ids = [f"{i:06}.png" for i in range(n)]
    return Benchmark(Source("tiny", "object"), ids, [(i % 1000,) for i in range(n)], [""] * n, read)


def bare(port: int, concurrency: int, n: int) -> float:
    """Replies a second to ``n`` requests by threads that send and receive bytes, and nothing else."""
    body = b"x" * 1500
    request = b"POST / HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % len(body) + body

    def ask() -> None:
        with socket.create_connection(("127.0.0.1", port)) as connection:
            for _ in range(n // concurrency):
                connection.sendall(request)
                left = len(REPLY)
                while left:
                    left -= len(connection.recv(left))

    began = time.monotonic()
    threads = [threading.Thread(target=ask) for _ in range(concurrency)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return n // concurrency * concurrency / (time.monotonic() - began)


def memory() -> int:
    """Bytes of this process that are in memory now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--concurrency", type=int, default=4)
    parser.add_argument("--images", type=int, default=11_000)
    asked = parser.parse_args()
    port: multiprocessing.Queue[int] = multiprocessing.Queue()
    server = multiprocessing.Process(target=serve, args=(port,), daemon=True)
    server.start()
    at = port.get(timeout=60)
    url = f"http://127.0.0.1:{at}/v1"
    most = bare(at, asked.concurrency, asked.concurrency * 100)
    seen, memories, spent = 0, list[int](), list[float]()

    def told(n: int, resumed: int = 0) -> None:
        nonlocal seen
        seen += n
        if seen in (1000, asked.images):
            memories.append(memory())
            spent.append(time.process_time())

    with tempfile.TemporaryDirectory() as out:
        result = evaluate(
            "api:toy",
            images(asked.images),
            base_url=url,
            out=out,
            concurrency=asked.concurrency,
            on_progress=told,
        )
    server.kill()
    rate, limit = result.runtime.images_per_second, asked.concurrency / SECONDS
    cpu = 1000 * (spent[-1] - spent[0]) / (asked.images - 1000)
    print(
        f"{rate:.1f} answers a second, {100 * rate / limit:.1f} % of {limit:g} (a bare client: "
        f"{100 * most / limit:.1f} %); {cpu:.2f} ms of CPU each; load {os.getloadavg()[0]:.1f}"
    )
    said = ", ".join(f"{each / 2**20:.0f} MiB" for each in memories)
    print(f"memory after 1,000 answers and after the last: {said}")
    name = f"one answer, {asked.concurrency} calls of 20 ms at once"
    record(name, [1000 / rate], limit=[1000 / limit], unit="ms")
    record(f"CPU of one answer, {asked.concurrency} calls at once", [cpu], unit="ms")
    record("memory from 1,000 answers to 11,000", [(memories[-1] - memories[0]) / 2**20], unit="MiB")


if __name__ == "__main__":
    main()
