// wasm_core under Node `ws`, as a server and as a client. Usage: node check.mjs <wasm_core.wasm>; see run.sh.
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { connect as connectTcp, createServer } from "node:net";
import { setTimeout } from "node:timers/promises";
import { connect, load, serve } from "../../examples/wasm_core/host.mjs";
import { check, finish, listen, within } from "../node/harness.mjs";
import { close, closed, comes, echoes, meet as meetWs, open as openWs, pings } from "../node/ws.mjs";

const [, , path] = process.argv;
const core = await load(path);

const ends = [];
const port = await listen(createServer({ allowHalfOpen: true }, (socket) => ends.push(serve(core, socket))));
const open = () => openWs(`ws://127.0.0.1:${port}/`);

await check("the module imports random numbers and nothing else", async () => {
  const module = await WebAssembly.compile(await readFile(path));
  assert.deepEqual(WebAssembly.Module.imports(module), [{ module: "host", name: "random", kind: "function" }]);
});

let run = (what, body) => check(`node ws -> wasm_core: ${what}`, body);

await run("text and binary come back, at each boundary of the length's form", async () => {
  const ws = await open();
  for (const text of ["hello", "", "发送数据 🦀"]) await echoes(ws, text);
  for (const size of [0, 125, 126, 65_535, 65_536, 65_537, 3 << 20]) await echoes(ws, randomBytes(size));
  assert.deepEqual(await close(ws, 3001, "bye"), [3001, ""]);
  assert.equal(await within(ends.at(-1).ended, "the end"), 3001);
});
await run("many messages at once, faster than they are read", async () => {
  const ws = await open();
  const messages = Array.from({ length: 200 }, (_, i) => randomBytes(i * 500));
  for (const data of messages) ws.send(data);
  for (const data of messages) await comes(ws, data);
  assert.deepEqual(await close(ws, 1000), [1000, ""]);
});
await run("50 connections share the module", async () => {
  const all = await Promise.all(Array.from({ length: 50 }, open));
  await Promise.all(all.map((ws, i) => echoes(ws, `connection ${i} `.repeat(500))));
  assert.deepEqual(await Promise.all(all.map((ws) => close(ws, 1000))), all.map(() => [1000, ""]));
});
await run("a ping is answered", async () => {
  const ws = await open();
  await pings(ws, "are you there");
  assert.deepEqual(await close(ws), [1005, ""]);
});
await run("a violation is answered with its code", async () => {
  const ws = await open();
  ws._socket.write(Buffer.from([0x81, 0x81, 0, 0, 0, 0, 0xff]));
  assert.equal((await closed(ws))[0], 1007);
  assert.equal(await within(ends.at(-1).ended, "the end"), -1006);
});
await run("who does not read is not read from, and then loses nothing", async () => {
  const ws = await open();
  const messages = Array.from({ length: 64 }, () => randomBytes(1 << 20));
  ws._socket.pause();
  for (const data of messages) ws.send(data);
  const stuck = async () => {
    let before;
    do {
      before = ws.bufferedAmount;
      await setTimeout(500);
    } while (ws.bufferedAmount !== before);
    return before;
  };
  assert(await within(stuck(), "the module stops reading") > 16 << 20);
  assert(core.memory.buffer.byteLength < 32 << 20, `${core.memory.buffer.byteLength} bytes of memory`);
  ws._socket.resume();
  for (const data of messages) await comes(ws, data);
  assert.deepEqual(await close(ws, 1000), [1000, ""]);
  assert.equal(await within(ends.at(-1).ended, "the end"), 1000);
});
await run("a client that shuts its side behind its Close still gets the answer", async () => {
  const ws = await open();
  ws.send("hello");
  ws._sender.close(1000, "", true, () => ws._socket.end());
  await comes(ws, "hello");
  assert.deepEqual(await closed(ws), [1000, ""]);
  assert.equal(await within(ends.at(-1).ended, "the end"), 1000);
});
await run("a client that is gone leaves nothing behind", async () => {
  const ws = await open();
  ws.terminate();
  assert.equal(await within(ends.at(-1).ended, "the end"), -1006);
});

run = (what, body) => check(`wasm_core -> node ws: ${what}`, body);

/** A server, and the module connected to it as a client. */
async function meet() {
  const { ws, request, client } = await meetWs(async (url) => {
    const { host, port, pathname, search } = new URL(url);
    const socket = connectTcp({ port, host: "127.0.0.1", allowHalfOpen: true });
    await once(socket, "connect");
    return connect(core, socket, host + pathname + search);
  });
  assert.equal(request.url, "/path?query");
  return { ws, client };
}

await run("echoes what the server sends, under masks from the host", async () => {
  const { ws, client } = await meet();
  for (const data of ["hello", "发送数据 🦀", randomBytes(1 << 20)]) await echoes(ws, data);
  assert.deepEqual(await close(ws, 1001), [1001, ""]);
  assert.equal(await within(client.ended, "the end"), 1001);
});
await run("closes when the host says so", async () => {
  const { ws, client } = await meet();
  await echoes(ws, "hello");
  client.close();
  assert.deepEqual(await closed(ws), [1000, ""]);
  assert.equal(await within(client.ended, "the end"), 1000);
});
finish();
