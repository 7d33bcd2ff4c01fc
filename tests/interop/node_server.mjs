// Node `ws` as a server of client_std. Usage: node node_server.mjs <client_std>; see run.sh.
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { createServer } from "node:http";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { Process, check, finish, freePort, listen, scratch } from "../node/harness.mjs";
import { closed, comes, echo, meet as meetWs, pings } from "../node/ws.mjs";

const clientStd = process.argv[2];
const folder = scratch();
const run = (what, body) => check(`client_std -> node ws: ${what}`, body);
const meet = (args, options) => meetWs((url) => new Process(clientStd, [...args, url]), options);

await run("lines go out as text, the end of input closes with 1000", async () => {
  const { ws, request, client } = await meet([]);
  assert.equal(request.url, "/path?query");
  const lines = ["hello", "", "发送数据 🦀", "x".repeat(70_000)];
  client.type(...lines);
  for (const line of lines) await comes(ws, line);
  client.endInput();
  assert.deepEqual(await closed(ws), [1000, ""]);
  assert.equal(await client.status(), 0);
  await client.line(/^closed: 1000/);
});
await run("text comes in as lines, at each boundary of the length's form", async () => {
  const { ws, client } = await meet([]);
  const texts = ["hello", "", "发送数据 🦀", ...[125, 126, 127, 65_535, 65_536, 65_537, 1 << 20].map((n) => randomBytes(n).toString("hex").slice(0, n))];
  texts.forEach((text) => ws.send(text));
  client.endInput();
  assert.equal(await client.status(), 0);
  assert.deepEqual(client.out, texts);
});
await run("fragments come in whole", async () => {
  const { ws, client } = await meet([]);
  const text = Buffer.from("fragments: 发送数据");
  ws.send(text.subarray(0, 12), { fin: false, binary: false });
  ws.ping("between");
  ws.send(text.subarray(12), { fin: true });
  ws.close(1000);
  assert.equal(await client.status(), 0);
  assert.deepEqual(client.out, [text.toString()]);
});
await run("a message cannot forge a line", async () => {
  const { ws, client } = await meet([]);
  ws.send("one\ntwo\u001b[2J\tthree");
  ws.close(1000);
  assert.equal(await client.status(), 0);
  assert.deepEqual(client.out, ["one\\ntwo\\u{1b}[2J\tthree"]);
});
await run("1 MiB binary goes out and comes back", async () => {
  const data = randomBytes(1 << 20), file = join(folder, "binary");
  writeFileSync(file, data);
  const { ws, client } = await meet(["--binary", file]);
  await comes(ws, data);
  ws.send(data);
  await client.line(/^binary, 1048576 bytes/);
  client.endInput();
  assert.deepEqual(await closed(ws), [1000, ""]);
  assert.equal(await client.status(), 0);
});
await run("long lines go out while their echoes come in", async () => {
  const { ws, client } = await meet([]);
  echo(ws);
  const lines = [..."abcdefgh"].map((letter) => letter.repeat(4 << 20));
  client.type(...lines);
  client.endInput();
  assert.equal(await client.status(), 0);
  assert(lines.every((line, i) => line === client.out[i]) && client.out.length === lines.length);
});
await run("ping from the server is answered with its payload", async () => {
  const { ws, client } = await meet([]);
  for (const payload of ["", randomBytes(125), "are you there"]) await pings(ws, payload);
  await client.line(/^ping "are you there"$/);
  client.endInput();
  assert.equal(await client.status(), 0);
});
await run("ping from the client is answered", async () => {
  const { client } = await meet(["--ping", "hey"]);
  await client.line(/^pong "hey"$/);
  client.endInput();
  assert.equal(await client.status(), 0);
});
await run("the server closes with a code and a reason", async () => {
  for (const [code, reason] of [[1000, ""], [1001, "leaving"], [3001, "理由"], [4999, "r".repeat(123)]]) {
    const { ws, client } = await meet([]);
    ws.close(code, reason);
    assert.equal((await closed(ws))[0], code);
    assert.equal(await client.status(), 0);
    await client.line(new RegExp(`^closed: ${code}.*${reason}`));
  }
});
await run("the server closes without a code", async () => {
  const { ws, client } = await meet([]);
  ws.close();
  assert.equal((await closed(ws))[0], 1005);
  assert.equal(await client.status(), 0);
  await client.line(/^closed: 1005/);
});
await run("a server that goes without a Close is told of, with status 1", async () => {
  const { ws, client } = await meet([]);
  ws._socket.end();
  assert.equal(await client.status(), 1);
  await client.line(/^transport ended without a closing handshake: 1006/);
});
await run("a violation by the server is answered with its code", async () => {
  const tries = [
    [1007, Buffer.from([0x81, 0x01, 0xff])],
    [1002, Buffer.from([0x81, 0x81, 1, 2, 3, 4, 5])],
    [1002, Buffer.from([0xc1, 0x00])],
    [1009, Buffer.from([0x82, 127, 0, 0, 0, 0, 1, 0, 0, 1])],
  ];
  for (const [code, bytes] of tries) {
    const { ws, client } = await meet([]);
    ws._socket.write(bytes);
    assert.equal((await closed(ws))[0], code);
    assert.equal(await client.status(), 1);
    await client.line(/^connection failed: /);
  }
});
await run("a subprotocol is agreed", async () => {
  const { request, client } = await meet(["--subprotocol", "chat.v2", "--subprotocol", "chat.v1"],
    { handleProtocols: (offered) => [...offered].at(-1) });
  assert.deepEqual(request.headers["sec-websocket-protocol"].split(/, */), ["chat.v2", "chat.v1"]);
  await client.line(/^open, subprotocol "chat.v1"$/);
  client.endInput();
  assert.equal(await client.status(), 0);
});
await run("a server that would compress is not asked to", async () => {
  const { ws, request, client } = await meet([], { perMessageDeflate: true });
  assert.equal(request.headers["sec-websocket-extensions"], undefined);
  ws.send("a".repeat(10_000));
  ws.close(1000);
  assert.equal(await client.status(), 0);
  assert.equal(client.out[0].length, 10_000);
});
await run("a refusal is told of, with status 1", async () => {
  const server = createServer((_, response) => response.writeHead(403).end("no"));
  const client = new Process(clientStd, [`ws://127.0.0.1:${await listen(server)}/`]);
  assert.equal(await client.status(), 1);
  await client.line(/403/);
  server.close();
});
await run("a port where nobody listens, wss:// and no URL are told of, with status 1", async () => {
  const port = await freePort();
  for (const [url, line] of [[`ws://127.0.0.1:${port}/`, /refused/], ["wss://127.0.0.1/", /TLS/], ["http//nothing", /./]]) {
    const client = new Process(clientStd, [url]);
    assert.equal(await client.status(), 1);
    await client.line(line);
  }
});
finish();
