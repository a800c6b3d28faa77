"""How fast answers are asked for, and in how much memory: against a server that takes 20 ms for each.

    python benchmarks/asking.py [--concurrency N] [--images N]

The server is a process of its own that does nothing else. Printed: answers a second, the share of concurrency
x rate that this is, and the memory of this process after 1,000 images and in the end.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import tempfile
import time
import zlib
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

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                began = time.monotonic()
                length = next(
                    int(line[15:])
                    for line in head.split(b"\r\n")
                    if line.lower().startswith(b"content-length:")
                )
                await reader.readexactly(length)
                await asyncio.sleep(max(0.0, SECONDS - (time.monotonic() - began)))
                writer.write(REPLY)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    async def run() -> None:
        server = await asyncio.start_server(answer, "127.0.0.1", 0, backlog=1024, limit=2**22)
        port.put(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    asyncio.run(run())


def images(n: int) -> Benchmark:
    """``n`` tiny images, made when they are read; no two are the same."""

    def read(i: int) -> bytes:
        file = BytesIO()
        rng = np.random.default_rng(zlib.crc32(str(i).encode()))
        Image.fromarray(rng.integers(0, 256, (16, 16, 3), np.uint8)).save(file, "PNG")
        return file.getvalue()

    ids = [f"{i:06}.png" for i in range(n)]
    return Benchmark(Source("tiny", "object"), ids, [(i % 1000,) for i in range(n)], [""] * n, read)


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
    url = f"http://127.0.0.1:{port.get(timeout=60)}/v1"
    seen, memories = 0, list[int]()

    def told(n: int, resumed: int = 0) -> None:
        nonlocal seen
        seen += n
        if seen in (1000, asked.images):
            memories.append(memory())

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
    print(f"{rate:.1f} answers a second, {100 * rate / limit:.1f} % of {limit:g}")
    said = ", ".join(f"{each / 2**20:.0f} MiB" for each in memories)
    print(f"memory after 1,000 answers and after the last: {said}")
    name = f"one answer, {asked.concurrency} calls of 20 ms at once"
    record(name, [1000 / rate], limit=[1000 / limit], unit="ms")
    record("memory from 1,000 answers to 11,000", [(memories[-1] - memories[0]) / 2**20], unit="MiB")


if __name__ == "__main__":
    main()
