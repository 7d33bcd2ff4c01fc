// Node `ws` and raw sockets against hyper_upgrade. Usage: node hyper.mjs <hyper_upgrade>; see run.sh.
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { connect } from "node:net";
import { check, finish, serve, within } from "../node/harness.mjs";
import { close, closed, echoes, open as openWs } from "../node/ws.mjs";

const server = await serve(process.argv[2]);
const run = (what, body) => check(`hyper_upgrade: ${what}`, body);
const open = (...rest) => openWs(server.url + "echo", ...rest);

await run("text and binary of all lengths' forms", async () => {
  const ws = await open();
  assert.deepEqual([ws.protocol, ws.extensions], ["", ""]);
  for (const text of ["hello", "", "发送数据 🦀", "x".repeat(70_000)]) await echoes(ws, text);
  for (const size of [0, 1, 125, 126, 65_535, 65_536, 262_145]) await echoes(ws, randomBytes(size));
  assert.deepEqual(await close(ws, 3001, "bye"), [3001, ""]);
  await server.line(/"\/echo" closed: 3001 "bye"/);
});
await run("a subprotocol, the first that both speak", async () => {
  const ws = await open(["unknown", "echo.v2", "echo"]);
  assert.equal(ws.protocol, "echo.v2");
  await close(ws, 1000);
});
await run("compressed, as agreed", async () => {
  const ws = await open([], { perMessageDeflate: { threshold: 0 } });
  assert.match(ws.extensions, /^permessage-deflate/);
  for (const text of ["", "a", "well, ".repeat(20_000), "发送数据".repeat(500)]) await echoes(ws, text);
  await echoes(ws, randomBytes(100_000));
  assert.deepEqual(await close(ws, 1000), [1000, ""]);
});
await run("a hundred connections at once", async () => {
  const all = await Promise.all(Array.from({ length: 100 }, () => open()));
  await Promise.all(all.map((ws, i) => echoes(ws, `connection ${i}`)));
  await Promise.all(all.map((ws) => close(ws, 1000)));
});

const FIELDS = {
  Host: "127.0.0.1", Upgrade: "websocket", Connection: "keep-alive, Upgrade",
  "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Version": "13",
};

/** A socket that has sent a request with these fields, and then these bytes, in one write. */
function ask(fields, { line = "GET /echo HTTP/1.1", after = Buffer.alloc(0) } = {}) {
  const lines = Object.entries({ ...FIELDS, ...fields }).filter(([, value]) => value !== null);
  const head = [line, ...lines.map((pair) => pair.join(": ")), "", ""].join("\r\n");
  const socket = connect({ port: new URL(server.url).port, host: "127.0.0.1" });
  socket.on("error", () => {});
  socket.write(Buffer.concat([Buffer.from(head), after]));
  return socket;
}

/** What comes on it up to its end, or until it is enough. */
async function answer(socket, enough = () => false) {
  let bytes = Buffer.alloc(0);
  const read = async () => {
    for await (const piece of socket) if (enough((bytes = Buffer.concat([bytes, piece])))) break;
  };
  await within(read(), "the answer");
  socket.destroy();
  return bytes.toString("latin1");
}
const hasHead = (bytes) => bytes.includes("\r\n\r\n");

for (const [what, fields, status, header, line] of [
  ["no key", { "Sec-WebSocket-Key": null }, 400],
  ["a bad key", { "Sec-WebSocket-Key": "c2hvcnQ=" }, 400],
  ["no version", { "Sec-WebSocket-Version": null }, 400, /sec-websocket-version: 13\r\n/i],
  ["version 8", { "Sec-WebSocket-Version": "8" }, 426, /sec-websocket-version: 13\r\n/i],
  ["no Upgrade", { Upgrade: null }, 426, /upgrade: websocket\r\n/i],
  ["no Connection", { Connection: "keep-alive" }, 400],
  ["a malformed subprotocol", { "Sec-WebSocket-Protocol": "a b" }, 400],
  ["POST", {}, 405, /allow: GET\r\n/i, "POST /echo HTTP/1.1"],
  ["HTTP/1.0", {}, 505, undefined, "GET /echo HTTP/1.0"],
]) {
  await run(`${what} is answered with ${status}`, async () => {
    const text = await answer(ask(fields, { line }), hasHead);
    assert.match(text, new RegExp(`^HTTP/1.[01] ${status} `));
    if (header) assert.match(text, header);
  });
}
await run("the page is 200, other paths 404", async () => {
  const status = async (path) => (await fetch(server.url + path, { signal: AbortSignal.timeout(10_000) })).status;
  assert.deepEqual([await status(""), await status("none")], [200, 404]);
});

const frame = (first, payload) => Buffer.concat([Buffer.from([first, 0x80 | payload.length, 0, 0, 0, 0]), Buffer.from(payload)]);
await run("frames in the same write as the request are not lost", async () => {
  const after = Buffer.concat([frame(0x81, "early"), frame(0x81, "data"), frame(0x88, [0x03, 0xe8])]);
  const text = await answer(ask({}, { after }));
  assert.match(text, /^HTTP\/1.1 101 /);
  assert.match(text, /sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK\+xOo=\r\n/i);
  assert.equal(text.split("\r\n\r\n")[1], "\x81\x05early\x81\x04data\x88\x02\x03\xe8");
});
await run("a violation is answered with its code", async () => {
  const text = await answer(ask({}, { after: Buffer.from([0x81, 0x01, 0x61]) }));
  assert.match(text.split("\r\n\r\n")[1], /^\x88.\x03\xea/s);
  await server.line(/"\/echo" connection failed: /);
});
await run("Ctrl-C closes what is open with 1001, and ends the server", async () => {
  const ws = await open();
  await echoes(ws, "still here");
  assert.equal(await server.kill("SIGINT"), 0);
  assert.equal((await closed(ws))[0], 1001);
});
finish();
