"""Python `websockets` as a server of client_std. Usage: python_server.py <client_std>; see run.sh."""

import asyncio
import contextlib
import os
import tempfile

from websockets.asyncio.server import serve

from harness import Process, check, equal, main


async def body(client_std):
    @contextlib.asynccontextmanager
    async def meet(*arguments, **options):
        """A server, and client_std connected to it."""
        connected, over = asyncio.Queue(), asyncio.Event()

        async def handler(ws):
            await connected.put(ws)
            await over.wait()

        options = {"compression": None, "max_size": None, **options}
        async with serve(handler, "127.0.0.1", 0, **options) as server:
            port = server.sockets[0].getsockname()[1]
            async with Process(client_std, *arguments, f"ws://127.0.0.1:{port}/path?query") as client:
                try:
                    yield await connected.get(), client
                finally:
                    over.set()

    async def run(what, test):
        await check(f"client_std -> python websockets: {what}", test)

    async def closed_by_client(ws, client):
        client.end_input()
        await ws.wait_closed()
        equal((ws.close_code, ws.close_reason), (1000, ""))
        equal(ws.protocol.close_rcvd_then_sent, True)
        equal(await client.status(), 0)
        await client.line("^closed: 1000")

    async def text_out():
        async with meet() as (ws, client):
            equal(ws.request.path, "/path?query")
            lines = ["hello", "", "发送数据 🦀", "x" * 70_000]
            client.type(*lines)
            for line in lines:
                equal(await ws.recv(), line)
            await closed_by_client(ws, client)

    await run("lines go out as text, the end of input closes with 1000", text_out)

    async def text_in():
        async with meet() as (ws, client):
            sizes = [125, 126, 127, 65_535, 65_536, 65_537, 1 << 20]
            texts = ["hello", "", "发送数据 🦀", *("é" * (size // 2) + "." * (size % 2) for size in sizes)]
            for text in texts:
                await ws.send(text)
            await closed_by_client(ws, client)
            equal(client.out, texts)

    await run("text comes in as lines, at each boundary of the length's form", text_in)

    async def fragments():
        async with meet() as (ws, client):
            await ws.send(["frag", "", "ments: 发送", "数据"])
            await closed_by_client(ws, client)
            equal(client.out, ["fragments: 发送数据"])

    await run("fragments come in whole", fragments)

    async def binary():
        data = os.urandom(1 << 20)
        with tempfile.NamedTemporaryFile() as file:
            file.write(data)
            file.flush()
            async with meet("--binary", file.name) as (ws, client):
                equal(await ws.recv() == data, True)
                await ws.send(data)
                await client.line("^binary, 1048576 bytes")
                await ws.send(b"\x00\x01\xfe\xff")
                await client.line(r"^binary, 4 bytes: \[00, 01, fe, ff\]$")
                await closed_by_client(ws, client)

    await run("1 MiB binary goes out and comes back", binary)

    async def ping():
        async with meet("--ping", "hey") as (ws, client):
            for payload in [b"", os.urandom(125), b"are you there"]:
                await (await ws.ping(payload))  # ends when a pong brings this payload
            await client.line('^ping "are you there"$')
            await client.line('^pong "hey"$')
            await closed_by_client(ws, client)

    await run("pings both ways are answered with their payload", ping)

    async def close():
        for code, reason in [(1000, ""), (1001, "leaving"), (3001, "理由"), (4999, "r" * 123)]:
            async with meet() as (ws, client):
                await ws.close(code, reason)
                equal((ws.protocol.close_rcvd.code, ws.protocol.close_rcvd_then_sent), (code, False))
                equal(await client.status(), 0)
                await client.line(f"^closed: {code}.*{reason}")

    await run("the server closes with a code and a reason", close)

    async def gone():
        async with meet() as (ws, client):
            ws.transport.abort()
            equal(await client.status(), 1)
            assert client.err[-1:], "nothing is told"

    await run("a server that is gone is told of, with status 1", gone)

    async def subprotocol():
        arguments = ["--subprotocol", "chat.v2", "--subprotocol", "chat.v1"]
        async with meet(*arguments, subprotocols=["chat.v1"]) as (ws, client):
            equal(ws.subprotocol, "chat.v1")
            await client.line('^open, subprotocol "chat.v1"$')
            await closed_by_client(ws, client)

    await run("a subprotocol is agreed", subprotocol)

    async def compression():
        async with meet(compression="deflate") as (ws, client):
            equal(ws.request.headers.get("Sec-WebSocket-Extensions"), None)
            await ws.send("a" * 10_000)
            await closed_by_client(ws, client)
            equal(client.out, ["a" * 10_000])

    await run("a server that would compress is not asked to", compression)


main(body)
