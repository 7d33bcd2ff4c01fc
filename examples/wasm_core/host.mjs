// A host of wasm_core in Node: it has the sockets, the clock and the random numbers, the module has the
// protocol. Run by itself it is an echo server: node host.mjs <wasm_core.wasm> [port].
import { randomBytes } from "node:crypto";
import { readFile } from "node:fs/promises";
import { createServer } from "node:net";
import { fileURLToPath } from "node:url";

const [SHUT_WRITE, DROP] = [1, 2];

export async function load(path) {
  const host = { random: () => randomBytes(4).readUInt32LE() };
  const { instance } = await WebAssembly.instantiate(await readFile(path), { host });
  return instance.exports;
}

/** The server's end of a connection, on a socket. */
export function serve(core, socket) {
  return drive(core, socket, core.server());
}

/** The client's end, for a place such as "127.0.0.1:80/chat", on a socket that is connected to it. */
export function connect(core, socket, place) {
  const bytes = Buffer.from(place);
  new Uint8Array(core.memory.buffer, core.input(), bytes.length).set(bytes);
  return drive(core, socket, core.client(bytes.length));
}

/** The loop of every adapter, as events: answers with how it ended. */
function drive(core, socket, id) {
  const start = performance.now();
  let timer, over = false;
  let resolve;
  const ended = new Promise((r) => { resolve = r; });

  function turn() {
    if (over) return;
    clearTimeout(timer);
    const now = Math.floor(performance.now() - start);
    const due = Number(core.told_time(id, BigInt(now)));
    for (let size; (size = core.output_size(id)) > 0; core.sent(id, size)) {
      // Copied, for the socket keeps it until it is written.
      const bytes = Buffer.from(new Uint8Array(core.memory.buffer, core.output(id), size));
      // While the socket is backed up, nothing is read.
      if (!socket.write(bytes)) socket.pause();
    }
    const what = core.transport(id);
    if (what === SHUT_WRITE) socket.end();
    if (what === DROP) return finish();
    if (due >= 0) timer = setTimeout(turn, Math.max(due - now, 1));
  }

  function finish() {
    if (over) return;
    over = true;
    clearTimeout(timer);
    socket.destroy();
    resolve(core.ended(id));
  }

  socket.setNoDelay(true);
  socket.on("drain", () => socket.resume());
  socket.on("data", (bytes) => {
    const most = core.input_size();
    for (let at = 0; at < bytes.length && !over; at += most) {
      const piece = bytes.subarray(at, at + most);
      new Uint8Array(core.memory.buffer, core.input(), piece.length).set(piece);
      if (!core.received(id, piece.length)) return finish();
      turn();
    }
  });
  socket.on("end", finish);
  socket.on("error", finish);
  socket.on("close", finish);
  turn();
  return { ended, close: () => { core.close(id); turn(); } };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [, , path, port = 8080] = process.argv;
  const core = await load(path);
  const server = createServer({ allowHalfOpen: true }, (socket) => serve(core, socket));
  server.listen(Number(port), "127.0.0.1", () => console.log(`listening on ws://127.0.0.1:${server.address().port}/`));
}
