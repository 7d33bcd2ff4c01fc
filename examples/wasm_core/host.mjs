// A host of wasm_core in Node: it has the sockets, the clock and the random numbers, the module has the
// protocol. Run by itself it is an echo server: node host.mjs <wasm_core.wasm> [port].
import { randomBytes } from "node:crypto";
import { readFile } from "node:fs/promises";
import { createServer } from "node:net";
import { fileURLToPath } from "node:url";

const [WRITE, SHUT_WRITE, READ, OVER] = [1, 2, 4, 8];

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
  put(core, bytes);
  return drive(core, socket, core.client(bytes.length));
}

/** To where the module takes its input from, which may have to be made first: only then is there a view of it. */
function put(core, bytes) {
  const at = core.input();
  new Uint8Array(core.memory.buffer, at, bytes.length).set(bytes);
}

/** The loop of every adapter, as events: answers with how it ended. */
function drive(core, socket, id) {
  const start = performance.now();
  let timer;

  /** Asks what to do next, after `received` bytes have come, and does it. */
  function turn(received = 0) {
    clearTimeout(timer);
    const now = Math.floor(performance.now() - start);
    const next = core.poll(id, received, BigInt(now));
    if (next & OVER) return socket.destroy();
    if (next & WRITE) write();
    if (next & SHUT_WRITE) shutWrite();
    if (next & READ) socket.resume();
    else socket.pause();
    const until = Number(core.until(id));
    if (until >= 0) timer = setTimeout(() => turn(), Math.min(Math.max(until - now, 1), 3_600_000));
  }

  function write() {
    const output = core.output(id);
    // Copied, for the socket keeps it until it is written, and the module's memory moves when it grows.
    const bytes = Buffer.from(new Uint8Array(core.memory.buffer, output, core.output_size(id)));
    socket.write(bytes, (error) => {
      if (error) core.write_failed(id);
      else core.sent(id);
      turn();
    });
  }

  function shutWrite() {
    core.shut(id);
    socket.end();
  }

  socket.setNoDelay(true);
  socket.on("data", (bytes) => {
    const most = core.input_size();
    for (let at = 0; at < bytes.length; at += most) {
      const piece = bytes.subarray(at, at + most);
      put(core, piece);
      turn(piece.length);
    }
  });
  socket.on("end", () => { core.read_ended(id); turn(); });
  socket.on("error", () => { core.transport_reset(id); turn(); });
  const ended = new Promise((resolve) => socket.on("close", () => {
    clearTimeout(timer);
    resolve(core.ended(id));
    id = -1; // another connection may get the number
  }));
  turn();
  return { ended, close: () => { core.close(id); turn(); } };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [, , path, port = 8080] = process.argv;
  const core = await load(path);
  const server = createServer({ allowHalfOpen: true }, (socket) => serve(core, socket));
  server.listen(Number(port), "127.0.0.1", () => console.log(`listening on ws://127.0.0.1:${server.address().port}/`));
}
