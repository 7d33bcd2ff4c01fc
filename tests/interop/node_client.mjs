// Node `ws` as a client of echo_std. Usage: node node_client.mjs <echo_std>; see run.sh.
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { check, finish, serve } from "../node/harness.mjs";
import { close, closed, comes, echoes, next, open as openWs, pings } from "../node/ws.mjs";

const server = await serve(process.argv[2]);
const open = (path = "echo", ...rest) => openWs(server.url + path, ...rest);

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
  for (let i = 0; i < 1000; i += 1) await comes(ws, `${i}`);
  await close(ws, 1000);
});
await run("fragments, cut inside a character and with a ping between", async () => {
  const ws = await open();
  const text = Buffer.from("fragments: 发送数据");
  ws.send(text.subarray(0, 12), { fin: false, binary: false });
  await pings(ws, "between");
  ws.send(Buffer.alloc(0), { fin: false });
  ws.send(text.subarray(12), { fin: true });
  await comes(ws, text.toString());
  await close(ws, 1000);
});
await run("ping is answered with its payload", async () => {
  const ws = await open();
  for (const payload of ["", "ping", randomBytes(125)]) await pings(ws, payload);
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
    violate(ws);
    assert.equal((await closed(ws))[0], code);
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
  const lines = [await next(ticker), await next(ticker)];
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
