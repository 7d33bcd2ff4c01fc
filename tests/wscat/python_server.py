"""Python `websockets` as a server of wscat. Usage: python_server.py <wscat>; see run.sh."""

import asyncio
import contextlib
import http
import os
import pathlib
import tempfile

from websockets.asyncio.server import serve

from harness import Process, check, equal, main


async def body(wscat):
    @contextlib.asynccontextmanager
    async def meet(*arguments, **options):
        """A server, and wscat connected to it."""
        connected, over = asyncio.Queue(), asyncio.Event()

        async def handler(ws):
            await connected.put(ws)
            await over.wait()

        options = {"compression": None, "max_size": None, **options}
        async with serve(handler, "127.0.0.1", 0, **options) as server:
            port = server.sockets[0].getsockname()[1]
            async with Process(wscat, *arguments, f"ws://127.0.0.1:{port}/path?query") as client:
                try:
                    yield await connected.get(), client
                finally:
                    over.set()

    async def run(what, test):
        await check(f"wscat -> python websockets: {what}", test)

    async def texts():
        async with meet() as (ws, client):
            equal(ws.request.path, "/path?query")
            lines = ["hello", "", "发送数据 🦀", "x" * 70_000]
            client.type(*lines)
            for line in lines:
                equal(await ws.recv(), line)
                await ws.send([line, "", "!"])
            client.end_input()
            await ws.wait_closed()
            equal((ws.close_code, ws.close_reason), (1000, ""))
            equal(await client.status(), 0)
            equal(client.out, [line + "!" for line in lines])

    await run("lines go out, fragments come in whole", texts)

    async def binary():
        with tempfile.TemporaryDirectory() as folder:
            data = os.urandom(1 << 20)
            file = pathlib.Path(folder, "in")
            file.write_bytes(data)
            arguments = ["--binary-in", file, "--binary-out", folder, "-n", "--count", "1"]
            async with meet(*arguments) as (ws, client):
                equal(await ws.recv() == data, True)
                await ws.send(data[::-1])
                equal(await client.status(), 0)
            equal(pathlib.Path(folder, "000001.bin").read_bytes() == data[::-1], True)

    await run("files go out and come in", binary)

    async def compression():
        for options in [[], ["--takeover"], ["--takeover", "--window-bits", "10"]]:
            async with meet("--compress", *options, compression="deflate") as (ws, client):
                lines = ["hello " * 1000, "发送数据 🦀" * 100, "hello " * 1000]
                client.type(*lines)
                for line in lines:
                    equal(await ws.recv(), line)
                    await ws.send(line)
                client.end_input()
                await ws.wait_closed()
                equal(await client.status(), 0)
                equal(client.out, lines)
                equal(len(ws.protocol.extensions), 1)

    await run("compression, in each way of agreeing on it", compression)

    async def control():
        async with meet("--ping", "1", "--subprotocol", "chat", subprotocols=["chat"]) as (ws, client):
            await client.line("^open, subprotocol chat$")
            await client.line(r"^pong after \d+\.\d+ ms$")
            for payload in [b"", os.urandom(125), b"are you there"]:
                await (await ws.ping(payload))
            await ws.close(4000, "理由")
            equal(await client.status(), 8)
            await client.line('^close: 4000 "理由", clean$')

    await run("pings, a subprotocol, a close with a code", control)

    async def refused():
        def refuse(connection, _):
            return connection.respond(http.HTTPStatus.FORBIDDEN, "not you\n")

        async def handler(_):
            pass

        async with serve(handler, "127.0.0.1", 0, process_request=refuse) as server:
            port = server.sockets[0].getsockname()[1]
            async with Process(wscat, f"ws://127.0.0.1:{port}/") as client:
                equal(await client.status(), 4)
                await client.line("^refused: HTTP status 403$")
                await client.line("^  not you$")

    await run("a refusal is told of", refused)


main(body)
