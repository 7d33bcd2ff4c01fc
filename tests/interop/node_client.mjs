// Node `ws` as a client of echo_std. Usage: node node_client.mjs <echo_std>; see run.sh.
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import WebSocket from "ws";
import { Process, check, finish, within } from "./harness.mjs";

const server = new Process(process.argv[2], ["127.0.0.1:0"]);
const [, base] = (await server.line(/http:(\/\/\S+)/));

async function open(path = "echo", protocols = [], options = {}) {
  const ws = new WebSocket("ws:" + base + path, protocols, { perMessageDeflate: false, handshakeTimeout: 10_000, ...options });
  ws.inbox = [];
  ws.on("message", (data, isBinary) => ws.inbox.push([data, isBinary]));
  ws.on("error", () => {});
  await within(new Promise((resolve, reject) => { ws.once("open", resolve); ws.once("error", reject); }), "opening");
  return ws;
}

async function next(ws) {
  if (!ws.inbox.length) await within(once(ws, "message"), "a message");
  return ws.inbox.shift();
}

async function close(ws, ...args) {
  const closed = once(ws, "close");
  ws.close(...args);
  const [code, reason] = await within(closed, "the close");
  return [code, reason.toString()];
}

async function echoes(ws, data) {
  ws.send(data);
  const [got, isBinary] = await next(ws);
  assert.equal(isBinary, typeof data !== "string");
  assert(Buffer.from(data).equals(got), `sent ${data.length}, got ${got.length}`);
}

const run = (what, body) => check(`node ws -> echo_std: ${what}`, body);

await run("text, empty text, unicode", async () => {
  const ws = await open();
  for (const text of ["hello", "", "发送数据", "🦀 ünïcödé \u0000\n", "x".repeat(70_000)]) await echoes(ws, text);
  assert.deepEqual(await close(ws, 1000), [1000, ""]);
});
await run("binary, at each boundary of the length's form", async () => {
  const ws = await open();
  for (const size of [0, 1, 125, 126, 127, 65_535, 65_536, 65_537]) await echoes(ws, randomBytes(size));
  for (const size of [125, 126, 65_535, 65_536]) await echoes(ws, "a".repeat(size));
  await close(ws, 1000);
});
await run("1 MiB binary, and the largest message", async () => {
  const ws = await open();
  await echoes(ws, randomBytes(1 << 20));
  await echoes(ws, randomBytes(16 << 20));
  await close(ws, 1000);
});
await run("many messages at once come back in order", async () => {
  const ws = await open();
  for (let i = 0; i < 1000; i += 1) ws.send(`${i}`);
  for (let i = 0; i < 1000; i += 1) assert.equal((await next(ws))[0].toString(), `${i}`);
  await close(ws, 1000);
});
await run("fragments, cut inside a character and with a ping between", async () => {
  const ws = await open();
  const text = Buffer.from("fragments: 发送数据");
  ws.send(text.subarray(0, 12), { fin: false, binary: false });
  const pong = once(ws, "pong");
  ws.ping("between");
  assert.equal((await within(pong, "the pong"))[0].toString(), "between");
  ws.send(Buffer.alloc(0), { fin: false });
  ws.send(text.subarray(12), { fin: true });
  const [got, isBinary] = await next(ws);
  assert.deepEqual([got.toString(), isBinary], [text.toString(), false]);
  await close(ws, 1000);
});
await run("ping is answered with its payload", async () => {
  const ws = await open();
  for (const payload of [Buffer.alloc(0), Buffer.from("ping"), randomBytes(125)]) {
    const pong = once(ws, "pong");
    ws.ping(payload);
    assert((await within(pong, "the pong"))[0].equals(payload));
  }
  ws.pong("unasked");
  await echoes(ws, "still there");
  await close(ws, 1000);
});
await run("close: each code and reason comes back", async () => {
  for (const [code, reason] of [[1000, ""], [1001, "leaving"], [3001, "理由"], [4999, "r".repeat(123)]]) {
    const [gotCode] = await close(await open(), code, reason);
    assert.equal(gotCode, code);
  }
  assert.deepEqual(await close(await open()), [1005, ""]);
  await server.line(/"\/echo" closed: 3001 "理由"/);
});
await run("a violation is answered with its code", async () => {
  const tries = [
    [1007, (ws) => ws.send(Buffer.from([0xff]), { binary: false })],
    [1002, (ws) => ws._socket.write(Buffer.from([0x81, 0x01, 0x61]))],
    [1002, (ws) => ws._socket.write(Buffer.from([0xf1, 0x80, 0, 0, 0, 0]))],
    [1009, (ws) => ws.send(Buffer.alloc((16 << 20) + 1))],
  ];
  for (const [code, violate] of tries) {
    const ws = await open();
    const closed = once(ws, "close");
    violate(ws);
    assert.equal((await within(closed, "the close"))[0], code);
  }
});
await run("a subprotocol that is offered is agreed", async () => {
  const ws = await open("echo", ["chat.v2", "chat.v1"]);
  assert.equal(ws.protocol, "chat.v2");
  await echoes(ws, "hello");
  await close(ws, 1000);
});
await run("compression that is offered is declined", async () => {
  const ws = await open("echo", [], { perMessageDeflate: true });
  assert.equal(ws.extensions, "");
  await echoes(ws, "a".repeat(10_000));
  await close(ws, 1000);
});
await run("lines are pushed on /ticker only", async () => {
  const [quiet, ticker] = [await open("echo?token=x"), await open("ticker")];
  const lines = [(await next(ticker))[0].toString(), (await next(ticker))[0].toString()];
  assert.match(lines.join("; "), /^connected for \d+ s; connected for \d+ s$/);
  await echoes(ticker, "and an echo");
  assert.equal(quiet.inbox.length, 0);
  await close(quiet, 1000);
  await close(ticker, 1000);
});
await run("two hundred connections at once", async () => {
  const all = await Promise.all(Array.from({ length: 200 }, () => open()));
  await Promise.all(all.map((ws, i) => echoes(ws, `connection ${i}`)));
  await Promise.all(all.map((ws) => close(ws, 1000)));
});
await run("a peer that is gone in the middle is told of in the log", async () => {
  const ws = await open("gone");
  ws._socket.write(Buffer.from([0x81, 0xfe, 0x10, 0x00, 1, 2, 3, 4, 5]));
  ws._socket.end();
  await server.line(/"\/gone" transport ended in mid-message/);
});
finish();
