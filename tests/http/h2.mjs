// Node's http2 as a raw client of h2_server. Usage: node h2.mjs <h2_server>; see run.sh.
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { connect, constants } from "node:http2";
import { check, finish, serve, within } from "../node/harness.mjs";
import { DATA, HEADERS, RST_STREAM, request } from "./raw_h2.mjs";

const server = await serve(process.argv[2]);
const run = (what, body) => check(`h2_server: ${what}`, body);

async function session() {
  const http = connect(server.url, { rejectUnauthorized: false });
  http.on("error", () => {});
  await within(once(http, "remoteSettings"), "the settings");
  return http;
}
const http = await session();

const FIELDS = {
  ":method": "CONNECT", ":protocol": "websocket", ":scheme": "https", ":authority": "localhost",
  ":path": "/echo", "sec-websocket-version": "13",
};

/** A stream with its response's headers, and what has come on it. */
async function ask(headers, over = http) {
  const fields = Object.entries({ ...FIELDS, ...headers }).filter(([, value]) => value !== null);
  const stream = over.request(Object.fromEntries(fields), { endStream: false });
  stream.on("error", () => {});
  stream.pieces = [];
  stream.size = 0;
  stream.on("data", (piece) => { stream.pieces.push(piece); stream.size += piece.length; });
  stream.ended = once(stream, "end").catch(() => {});
  stream.closed_ = new Promise((resolve) => stream.on("close", () => resolve(stream.rstCode)));
  const response = new Promise((resolve) => stream.once("response", resolve));
  stream.head = await within(Promise.race([response, stream.closed_.then(() => null)]), "the response");
  return stream;
}

/** The same on a connection of its own. */
function bare(headers) {
  return request(server.url, Object.entries({ ...FIELDS, ...headers }).filter(([, value]) => value !== null));
}

async function received(stream, size) {
  const all = async () => { while (stream.size < size) await once(stream, "data"); };
  await within(all(), `${size} bytes`);
  // Joined once, not at each piece.
  const bytes = Buffer.concat(stream.pieces);
  stream.pieces = [bytes.subarray(size)];
  stream.size -= size;
  return bytes.subarray(0, size);
}

/** A frame as a client sends it, masked with zeros, and as a server does. */
function frame(first, payload, masked = true) {
  payload = Buffer.from(payload);
  const mask = masked ? 0x80 : 0, key = Buffer.alloc(masked ? 4 : 0);
  const length = Buffer.alloc(payload.length < 126 ? 1 : payload.length < 65_536 ? 3 : 9, 127 | mask);
  if (length.length === 1) length[0] = mask | payload.length;
  if (length.length === 3) { length[0] = mask | 126; length.writeUInt16BE(payload.length, 1); }
  if (length.length === 9) length.writeBigUInt64BE(BigInt(payload.length), 1);
  return Buffer.concat([Buffer.from([first]), length, key, payload]);
}

async function echoes(stream, payload) {
  const echo = frame(0x82, payload, false);
  stream.write(frame(0x82, payload));
  assert(echo.equals(await received(stream, echo.length)), `${payload.length} bytes came back equal`);
}

await run("the settings allow extended CONNECT", async () => {
  assert.equal(http.remoteSettings.enableConnectProtocol, true);
});
await run("200 without an accept, and an echo of each size", async () => {
  const stream = await ask({});
  assert.equal(stream.head[":status"], 200);
  assert.deepEqual(Object.keys(stream.head).filter((name) => /^sec-|upgrade|connection/.test(name)), []);
  for (const size of [0, 1, 125, 126, 65_535, 65_536, 262_145]) await echoes(stream, randomBytes(size));
  stream.write(frame(0x88, Buffer.from([0x0b, 0xb9])));
  assert.deepEqual([...await received(stream, 4)], [0x88, 2, 0x0b, 0xb9]);
  await within(stream.ended, "END_STREAM");
  stream.end();
  assert.equal(await within(stream.closed_, "the stream's end"), constants.NGHTTP2_NO_ERROR);
  await server.line(/stream \d+ "\/echo" closed: 3001/);
});
await run("compression is agreed on", async () => {
  const stream = await ask({ "sec-websocket-extensions": "permessage-deflate; client_max_window_bits" });
  assert.match(stream.head["sec-websocket-extensions"], /^permessage-deflate/);
  stream.close(constants.NGHTTP2_CANCEL);
});

for (const [what, headers, status, header] of [
  ["an unknown :protocol", { ":protocol": "webtransport" }, 501],
  ["no version", { "sec-websocket-version": null }, 400, "sec-websocket-version"],
  ["version 8", { "sec-websocket-version": "8" }, 400, "sec-websocket-version"],
  ["another host", { host: "other" }, 400],
  ["a malformed subprotocol", { "sec-websocket-protocol": "a b" }, 400],
  ["a malformed extension", { "sec-websocket-extensions": "a;;" }, 400],
  ["a tunnel to elsewhere", { ":protocol": null, ":scheme": null, ":path": null, ":authority": "localhost:22" }, 400],
  ["a path that cannot be", { ":path": "*" }, 400],
  ["another page", { ":method": "GET", ":protocol": null, ":path": "/none" }, 404],
  ["the page", { ":method": "GET", ":protocol": null, ":path": "/" }, 200],
]) {
  await run(`${what} is answered with ${status}`, async () => {
    const stream = await ask(headers);
    assert.equal(stream.head?.[":status"], status);
    if (header) assert.equal(stream.head[header], "13");
    await within(stream.ended, "END_STREAM");
    stream.close(constants.NGHTTP2_CANCEL);
  });
}
// What Node does not send. h2 itself resets what is malformed, and judges most of it.
for (const [what, headers] of [
  ["no :protocol, but a :path", { ":protocol": null }],
  ["no :path", { ":path": null }],
  ["an empty :path", { ":path": "" }],
  ["no :scheme", { ":scheme": null }],
  [":protocol with GET", { ":method": "GET" }],
  ["an Upgrade", { upgrade: "websocket" }],
  ["a Connection", { connection: "Upgrade" }],
]) {
  await run(`${what} is malformed: RST_STREAM`, async () => {
    const raw = await bare(headers);
    const { type, payload } = await raw.expect(HEADERS, RST_STREAM);
    assert.deepEqual([type, payload.readUInt32BE()], [RST_STREAM, constants.NGHTTP2_PROTOCOL_ERROR]);
    raw.destroy();
  });
}
await run("no :authority is answered with 400", async () => {
  const raw = await bare({ ":authority": null });
  const { type, payload } = await raw.expect(HEADERS, RST_STREAM);
  // 400 has an index of its own (RFC 7541, appendix A).
  assert.deepEqual([type, payload[0]], [HEADERS, 0x80 | 12]);
  raw.destroy();
});
await run("RST_STREAM in mid-message is a reset, 1006", async () => {
  const raw = await bare({ ":path": "/reset" });
  await raw.expect(HEADERS);
  raw.send(Buffer.concat([frame(0x82, "first"), frame(0x82, Buffer.alloc(1000)).subarray(0, 500)]));
  const echo = await raw.expect(DATA);
  assert.deepEqual(echo.payload, frame(0x82, "first", false));
  raw.reset(constants.NGHTTP2_CANCEL);
  await server.line(/stream 1 "\/reset" transport was reset: 1006/);
  raw.destroy();
});
await run("a connection that is lost is a reset for its streams", async () => {
  const raw = await bare({ ":path": "/lost" });
  await raw.expect(HEADERS);
  raw.destroy();
  await server.line(/stream 1 "\/lost" transport was reset: 1006/);
});
await run("END_STREAM in mid-message is an end, 1006", async () => {
  const stream = await ask({ ":path": "/cut" });
  stream.end(frame(0x82, Buffer.alloc(1000)).subarray(0, 500));
  await within(stream.ended, "END_STREAM");
  await server.line(/stream \d+ "\/cut" transport ended in mid-message: 1006/);
});
await run("END_STREAM without a Close is an end, 1006", async () => {
  const stream = await ask({ ":path": "/quiet" });
  stream.end();
  await within(stream.ended, "END_STREAM");
  await server.line(/stream \d+ "\/quiet" transport ended without a closing handshake: 1006/);
});
await run("a violation is answered with its code, and END_STREAM", async () => {
  const stream = await ask({ ":path": "/unmasked" });
  stream.write(Buffer.from([0x81, 0x01, 0x61]));
  const close = await received(stream, 4);
  assert.deepEqual([close[0], close.readUInt16BE(2)], [0x88, 1002]);
  await within(stream.ended, "END_STREAM");
  stream.end();
  await server.line(/stream \d+ "\/unmasked" connection failed: /);
});
await run("fifty streams of one connection, all open at once", async () => {
  const all = await Promise.all(Array.from({ length: 50 }, () => ask({})));
  await Promise.all(all.map((stream) => echoes(stream, randomBytes(20_000))));
  for (const stream of all) stream.close(constants.NGHTTP2_CANCEL);
});
await run("a stream that is not read holds up neither itself for ever nor the others", async () => {
  const other = await session();
  const [deaf, stream] = [await ask({}, other), await ask({}, other)];
  deaf.pause();
  const message = frame(0x82, randomBytes(1 << 19));
  let written = 0;
  // What is not taken stays here: the server reads no further than it could answer.
  for (let i = 0; i < 4; i += 1) deaf.write(message, () => (written += 1));
  // Twice as much, there and back: time enough to take all of it.
  for (let i = 0; i < 16; i += 1) await echoes(stream, randomBytes(262_145));
  assert(written < 4, "all was taken of a client that reads nothing");
  // And it goes on where it stopped.
  const read = received(deaf, 4 * ((1 << 19) + 10));
  deaf.resume();
  await read;
  other.destroy();
});
await run("Ctrl-C closes what is open with 1001, and ends the server", async () => {
  const stream = await ask({});
  await echoes(stream, "still here");
  server.child.kill("SIGINT");
  const close = await received(stream, 4);
  assert.deepEqual([...close], [0x88, 2, 0x03, 0xe9]);
  stream.end(frame(0x88, close.subarray(2)));
  await within(stream.ended, "END_STREAM");
  http.close();
  assert.equal(await server.status(), 0);
});
finish();
