"""Python `websockets` as a client of compio_echo. Usage: client.py <compio_echo>; see run.sh."""

import asyncio
import os
import signal

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from harness import Process, check, equal, main


async def body(compio_echo):
    async def run(what, test):
        await check(f"python websockets -> compio_echo: {what}", test)

    async with Process(compio_echo, "127.0.0.1:0") as server:
        address = (await server.line(r"ws:(//\S+)")).group(1)
        driver = (await server.line(r"I/O by (\S+)")).group(1)
        print(f"      I/O by {driver}", flush=True)

        def open(**options):
            options = {"compression": None, "max_size": None, "proxy": None, **options}
            return connect(f"ws:{address}", **options)

        async def echoes(ws, data):
            await ws.send(data)
            equal(await ws.recv(), data)

        async def sizes():
            async with open() as ws:
                for size in [0, 1, 125, 126, 65_535, 65_536, 70_000]:
                    await echoes(ws, os.urandom(size))
                    await echoes(ws, "x" * size)

        await run("at each boundary of the length's form", sizes)

        async def large():
            async with open() as ws:
                await echoes(ws, os.urandom(2 << 20))

        await run("2 MiB", large)

        async def fragments():
            data = os.urandom(262_145)
            parts = [data[at : at + 131_072] for at in range(0, len(data), 131_072)]
            async with open() as ws:
                await ws.send(parts)
                equal(await ws.recv(), data)

        await run("262,145 bytes in fragments of 131,072", fragments)

        async def many():
            messages = [os.urandom(1 + i * 37 % 3000) for i in range(2000)]
            async with open() as ws:

                async def send():
                    for message in messages:
                        await ws.send(message)

                sending = asyncio.create_task(send())
                for message in messages:
                    equal(await ws.recv(), message)
                await sending

        await run("2,000 messages without waiting", many)

        async def ping():
            async with open() as ws:
                for payload in [b"", b"ping", os.urandom(125)]:
                    await (await ws.ping(payload))

        await run("pings", ping)

        async def close():
            async with open() as ws:
                await ws.close(4000, "enough")
            equal((ws.close_code, ws.protocol.close_rcvd.code), (4000, 4000))

        await run("a close with a reason", close)

        async def reset():
            for _ in range(20):
                ws = await open()
                await ws.send(os.urandom(1 << 20))
                ws.transport.abort()
            async with open() as ws:
                await echoes(ws, "still there")

        await run("clients that go without a word", reset)

        async def parallel():
            async def one(i):
                async with open() as ws:
                    for size in [10, 5_000, 100_000]:
                        await echoes(ws, bytes([i % 256]) * size)

            await asyncio.gather(*(one(i) for i in range(200)))

        await run("200 clients at once", parallel)

    async def ends(how):
        async with Process(compio_echo, "127.0.0.1:0") as server:
            address = (await server.line(r"ws:(//\S+)")).group(1)
            ws = await connect(f"ws:{address}", compression=None, proxy=None)
            server.process.send_signal(how)
            try:
                await ws.recv()
            except ConnectionClosed:
                pass
            equal(ws.close_code, 1001)
            equal(await server.status(), 0)

    await run("SIGINT closes with 1001 and ends it", lambda: ends(signal.SIGINT))
    await run("SIGTERM closes with 1001 and ends it", lambda: ends(signal.SIGTERM))


main(body)
