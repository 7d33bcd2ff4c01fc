// Node `ws` as a peer: its connections keep what comes.
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import { createServer as createSecureServer } from "node:https";
import { isDeepStrictEqual } from "node:util";
import { WebSocket, WebSocketServer } from "ws";
import { listen, within } from "./harness.mjs";

export { WebSocket };

function keep(ws) {
  ws.inbox = [];
  ws.on("message", (data, isBinary) => ws.inbox.push(isBinary ? data : data.toString()));
  ws.on("error", () => {});
  ws.over = new Promise((resolve) => ws.on("close", (code, reason) => resolve([code, reason.toString()])));
}

/** A client that is connected. */
export async function open(url, protocols = [], options = {}) {
  const ws = new WebSocket(url, protocols, { perMessageDeflate: false, ...options });
  keep(ws);
  await within(once(ws, "open"), "opening");
  return ws;
}

/** A server's end of a connection; the other is that of the client that `connect` makes of a URL. */
export async function meet(connect, { tls, ...options } = {}) {
  const http = tls ? createSecureServer(tls) : createServer();
  const port = await listen(http);
  const server = new WebSocketServer({ server: http, perMessageDeflate: false, ...options });
  server.on("connection", keep);
  const connected = once(server, "connection");
  const client = await connect(`${tls ? "wss://localhost" : "ws://127.0.0.1"}:${port}/path?query`);
  const gone = client.ended.then((status) => { throw new Error(`status ${status}: ${client.err?.join("\n")}`); });
  const [ws, request] = await within(Promise.race([connected, gone]), "the connection");
  http.close();
  return { ws, request, client };
}

/** The next message: a string if it is text, otherwise a Buffer. */
export async function next(ws) {
  if (!ws.inbox.length) await within(once(ws, "message"), "a message");
  return ws.inbox.shift();
}

/** This is the next message. */
export async function comes(ws, data) {
  const got = await next(ws);
  assert(isDeepStrictEqual(got, data), `${typeof data} of ${data.length}, got ${typeof got} of ${got.length}`);
}

/** It comes back. */
export async function echoes(ws, data) {
  ws.send(data);
  await comes(ws, data);
}

/** Sends back what comes. */
export function echo(ws) {
  ws.on("message", (data, isBinary) => ws.send(data, { binary: isBinary }));
}

/** A ping is answered with its payload. */
export async function pings(ws, payload) {
  const pong = once(ws, "pong");
  ws.ping(payload);
  assert.deepEqual((await within(pong, "the pong"))[0], Buffer.from(payload));
}

/** The code and the reason that it is closed with. */
export function closed(ws) {
  return within(ws.over, "the close");
}

/** Closes it, and answers the same. */
export function close(ws, ...args) {
  ws.close(...args);
  return closed(ws);
}
