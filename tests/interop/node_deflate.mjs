// Node `ws` and compressed messages, as a client of echo_std and as a server of client_std.
// Usage: node node_deflate.mjs <echo_std> <client_std>; see run.sh.
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import WebSocket, { WebSocketServer } from "ws";
import { Process, check, finish, within } from "./harness.mjs";

const [, , echoStd, clientStd] = process.argv;
const folder = mkdtempSync(join(tmpdir(), "sockless-"));
process.on("exit", () => rmSync(folder, { recursive: true, force: true }));

// Our options, those of `ws`, and what has to be agreed on.
const both = "server_no_context_takeover; client_no_context_takeover";
const CASES = [
  [[], {}, both],
  [["--takeover"], {}, ""],
  [["--takeover"], { serverNoContextTakeover: true }, "server_no_context_takeover"],
  [["--takeover"], { clientNoContextTakeover: true }, "client_no_context_takeover"],
  [["--takeover", "--window-bits", "9"], {}, "server_max_window_bits=9; client_max_window_bits=9"],
  [["--takeover", "--window-bits", "12"], {}, "server_max_window_bits=12; client_max_window_bits=12"],
  [["--takeover"], { serverMaxWindowBits: 10, clientMaxWindowBits: 11 }, "server_max_window_bits=10; client_max_window_bits=11"],
  [["--window-bits", "10"], {}, `${both}; server_max_window_bits=10; client_max_window_bits=10`],
];
const json = (n) => JSON.stringify(Array.from({ length: n }, (_, i) => ({ id: i, name: `user${i % 7}`, ok: i % 2 === 0 })));
const MESSAGES = [
  "", "a", "hello ".repeat(100), json(20), json(21), json(3000), "发送数据 🦀 ".repeat(500), json(3000),
  Buffer.alloc(0), randomBytes(70_000), Buffer.alloc(1 << 20), Buffer.from(json(2000)), randomBytes(300),
];
// Lines of the client's input have no line ends, and only text.
const LINES = MESSAGES.filter((message) => typeof message === "string");

function sorted(extensions) {
  return extensions.split(/; */).filter((name) => name !== "permessage-deflate" && name).sort();
}

async function next(ws) {
  if (!ws.inbox.length) await within(once(ws, "message"), "a message");
  return ws.inbox.shift();
}

function collect(ws) {
  ws.inbox = [];
  ws.on("message", (data, isBinary) => ws.inbox.push([data, isBinary]));
  ws.on("error", () => {});
}

async function same(ws, message) {
  const [got, isBinary] = await next(ws);
  assert.equal(isBinary, typeof message !== "string");
  assert(Buffer.from(message).equals(got), `sent ${message.length}, got ${got.length}`);
}

for (const [ours, theirs, agreed] of CASES) {
  const what = `${["--deflate", ...ours].join(" ")}, ${JSON.stringify(theirs)}`;
  await check(`node ws -> echo_std, compressed: ${what}`, async () => {
    const server = new Process(echoStd, ["--deflate", ...ours, "127.0.0.1:0"]);
    const [, base] = await server.line(/http:(\/\/\S+)/);
    const ws = new WebSocket(`ws:${base}echo`, [], { perMessageDeflate: { threshold: 0, ...theirs } });
    collect(ws);
    await within(once(ws, "open"), "opening");
    assert.deepEqual(sorted(reply(ws)), sorted(agreed));
    const before = ws._socket.bytesRead;
    for (const message of MESSAGES) {
      ws.send(message);
      await same(ws, message);
    }
    // In one go, and in fragments.
    for (const message of MESSAGES) ws.send(message);
    for (const message of MESSAGES) await same(ws, message);
    const text = Buffer.from(json(300));
    for (let at = 0; at < text.length; at += 1000)
      ws.send(text.subarray(at, at + 1000), { fin: at + 1000 >= text.length, binary: false, compress: true });
    await same(ws, text.toString());
    const plain = MESSAGES.reduce((sum, message) => sum + message.length, text.length);
    assert(ws._socket.bytesRead - before < plain, "it was compressed");
    const closed = once(ws, "close");
    ws.close(1000);
    assert.equal((await within(closed, "the close"))[0], 1000);
    server.child.kill();
  });
  await check(`client_std -> node ws, compressed: ${what}`, async () => {
    const server = new WebSocketServer({ host: "127.0.0.1", port: 0, perMessageDeflate: { threshold: 0, ...theirs } });
    await once(server, "listening");
    const connected = once(server, "connection");
    const binary = Buffer.from(json(5000)), file = join(folder, "binary");
    writeFileSync(file, binary);
    const client = new Process(clientStd, ["--deflate", ...ours, "--binary", file, `ws://127.0.0.1:${server.address().port}/`]);
    const [ws] = await within(connected, "the connection");
    server.close();
    collect(ws);
    assert.deepEqual(sorted(reply(ws)), sorted(agreed));
    await same(ws, binary);
    assert(ws._socket.bytesRead < binary.length / 2, "it was compressed");
    ws.send(binary);
    await client.line(new RegExp(`^binary, ${binary.length} bytes`));
    for (let round = 0; round < 2; round += 1)
      for (const line of LINES) {
        client.type(line);
        await same(ws, line);
        ws.send(line);
      }
    const closed = once(ws, "close");
    client.endInput();
    assert.equal((await within(closed, "the close"))[0], 1000);
    assert.equal(await client.status(), 0);
    assert.deepEqual(client.out, [...LINES, ...LINES]);
  });
}

/** The parameters that `ws` has come to, in the words of the header. */
function reply(ws) {
  const { params } = ws._extensions["permessage-deflate"];
  return Object.entries(params).map(([name, value]) => (value === true ? name : `${name}=${value}`)).join("; ");
}

await check("echo_std --deflate -> a client that does not compress", async () => {
  const server = new Process(echoStd, ["--deflate", "127.0.0.1:0"]);
  const [, base] = await server.line(/http:(\/\/\S+)/);
  const ws = new WebSocket(`ws:${base}echo`, [], { perMessageDeflate: false });
  collect(ws);
  await within(once(ws, "open"), "opening");
  assert.equal(ws.extensions, "");
  ws.send("a".repeat(10_000));
  await same(ws, "a".repeat(10_000));
  server.child.kill();
});
finish();
