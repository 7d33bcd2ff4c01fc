"""Python `websockets` and compressed messages, as a client of echo_std and as a server of client_std.

Usage: python_deflate.py <echo_std> <client_std>; see run.sh."""

import asyncio
import json
import os
import tempfile

from websockets.asyncio.client import connect
from websockets.asyncio.server import serve
from websockets.extensions.permessage_deflate import (
    ClientPerMessageDeflateFactory,
    ServerPerMessageDeflateFactory,
)

from harness import Process, check, equal, main

# Our options, those of `websockets`, and what has to be agreed on: takeover of the server's and of the
# client's side, and the windows.
CASES = [
    ([], {}, (False, False, 15, 15)),
    (["--takeover"], {}, (True, True, 15, 15)),
    (["--takeover"], {"server_no_context_takeover": True}, (False, True, 15, 15)),
    (["--takeover"], {"client_no_context_takeover": True}, (True, False, 15, 15)),
    (["--takeover", "--window-bits", "9"], {}, (True, True, 9, 9)),
    (["--takeover", "--window-bits", "13"], {}, (True, True, 13, 13)),
    (
        ["--takeover"],
        {"server_max_window_bits": 10, "client_max_window_bits": 11},
        (True, True, 10, 11),
    ),
]


def items(count):
    return json.dumps([{"id": i, "name": f"user{i % 7}", "ok": i % 2 == 0} for i in range(count)])


TEXTS = ["", "a", "hello " * 100, items(20), items(21), items(3000), "发送数据 🦀 " * 500, items(3000)]
MESSAGES = [*TEXTS, b"", os.urandom(70_000), bytes(1 << 20), items(2000).encode(), os.urandom(300)]


def agreed(ws, side):
    (extension,) = ws.protocol.extensions
    local = (not extension.local_no_context_takeover, extension.local_max_window_bits)
    remote = (not extension.remote_no_context_takeover, extension.remote_max_window_bits)
    server, client = (local, remote) if side == "server" else (remote, local)
    return (server[0], client[0], server[1], client[1])


async def body(echo_std, client_std):
    for ours, theirs, want in CASES:
        what = f"{' '.join(['--deflate', *ours])}, {theirs}"

        async def as_client():
            options = {"client_max_window_bits": True, **theirs}
            factory = ClientPerMessageDeflateFactory(**options)
            async with Process(echo_std, "--deflate", *ours, "127.0.0.1:0") as server:
                address = (await server.line(r"http:(//\S+)")).group(1)
                options = {"compression": None, "max_size": None, "proxy": None}
                async with connect(f"ws:{address}echo", extensions=[factory], **options) as ws:
                    equal(agreed(ws, "client"), want)
                    for message in MESSAGES:
                        await ws.send(message)
                        equal(await ws.recv(), message)
                    for message in MESSAGES:
                        await ws.send(message)
                    for message in MESSAGES:
                        equal(await ws.recv(), message)
                    parts = [items(50), "", items(50), "发送"]
                    await ws.send(parts)
                    equal(await ws.recv(), "".join(parts))
                equal(ws.close_code, 1000)

        await check(f"python websockets -> echo_std, compressed: {what}", as_client)

        async def as_server():
            factory = ServerPerMessageDeflateFactory(**theirs)
            connected, over = asyncio.Queue(), asyncio.Event()

            async def handler(ws):
                await connected.put(ws)
                await over.wait()

            data = items(5000).encode()
            options = {"compression": None, "max_size": None, "extensions": [factory]}
            with tempfile.NamedTemporaryFile() as file:
                file.write(data)
                file.flush()
                async with serve(handler, "127.0.0.1", 0, **options) as server:
                    port = server.sockets[0].getsockname()[1]
                    arguments = ["--deflate", *ours, "--binary", file.name]
                    async with Process(client_std, *arguments, f"ws://127.0.0.1:{port}/") as client:
                        ws = await connected.get()
                        equal(agreed(ws, "server"), want)
                        equal(await ws.recv(), data)
                        await ws.send(data)
                        await client.line(f"^binary, {len(data)} bytes")
                        for text in [*TEXTS, *TEXTS]:
                            client.type(text)
                            equal(await ws.recv(), text)
                            await ws.send(text)
                        client.end_input()
                        await ws.wait_closed()
                        over.set()
                        equal(await client.status(), 0)
                        equal(client.out, [*TEXTS, *TEXTS])

        await check(f"client_std -> python websockets, compressed: {what}", as_server)


main(body)
