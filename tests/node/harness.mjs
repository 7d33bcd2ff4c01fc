// What every Node script here shares: checks, waiting, and the processes under test.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";

/** How long one step may take; a check may take twice that. */
export let TIMEOUT = 15_000;
export function patience(timeout) {
  TIMEOUT = timeout;
}

let failed = 0;
let processes = []; // that run, or ran when the last check began
process.on("exit", () => processes.forEach(({ child }) => child.kill("SIGKILL")));
for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => process.exit(1));

/** Runs one check and prints its line; where it fails, the error and what the processes said last. */
export async function check(name, body) {
  processes = processes.filter(({ child }) => child.exitCode === null && child.signalCode === null);
  try {
    await within(body(), "the check", 2 * TIMEOUT);
    console.log(`ok    ${name}`);
  } catch (error) {
    failed += 1;
    const said = processes.flatMap((one) => one.lines.slice(-12).map((line) => `${one.name}: ${line.slice(0, 200)}`));
    console.log([`FAIL  ${name}`, error.stack.slice(0, 2000), ...said].join("\n").replaceAll("\n", "\n      "));
  }
}

export function finish() {
  process.exit(failed ? 1 : 0);
}

export async function within(promise, what, timeout = TIMEOUT) {
  const stop = new AbortController();
  const late = sleep(timeout, undefined, { signal: stop.signal }).then(
    () => { throw new Error(`${what} took more than ${timeout} ms`); }, () => {});
  try {
    return await Promise.race([promise, late]);
  } finally {
    stop.abort();
  }
}

/** Waits until the condition is met and answers what it came to. `what` says what is missing. */
export async function until(what, condition) {
  for (const end = Date.now() + TIMEOUT; Date.now() < end; await sleep(10)) {
    const met = await condition();
    if (met) return met;
  }
  throw new Error(`not in time: ${typeof what === "function" ? what() : what}`);
}

/** A folder that goes when this process does. */
export function scratch() {
  const folder = mkdtempSync(join(tmpdir(), "sockless-"));
  process.on("exit", () => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** A process whose lines are collected and which ends with this one. */
export class Process {
  constructor(path, args) {
    this.out = [];
    this.err = [];
    this.lines = []; // both
    this.child = spawn(path, args);
    this.name = `${basename(path)} ${this.child.pid}`;
    processes.push(this);
    this.child.on("error", (error) => { console.error(error.message); process.exit(1); });
    this.child.stdin.on("error", () => {});
    for (const [stream, lines] of [[this.child.stdout, this.out], [this.child.stderr, this.err]])
      createInterface({ input: stream }).on("line", (line) => { lines.push(line); this.lines.push(line); });
    this.ended = new Promise((resolve) => this.child.on("close", resolve));
  }

  /** Sends lines to its standard input, without an end. */
  type(...lines) {
    for (const line of lines) this.child.stdin.write(line + "\n");
  }

  /** Ends its standard input, as Ctrl-D does. */
  endInput() {
    this.child.stdin.end();
  }

  /** Its exit status, which is null if a signal ended it. */
  status() {
    return within(this.ended, "the end of the process");
  }

  /** Sends it a signal and answers its exit status. */
  kill(signal) {
    this.child.kill(signal);
    return this.status();
  }

  /** Waits for a line of its output or log and answers its match. */
  line(pattern) {
    return until(() => `a line that matches ${pattern} in ${JSON.stringify(this.lines.slice(-5))}`,
      () => this.lines.map((line) => pattern.exec(line)).find(Boolean));
  }
}

/** A server that says where it listens: its process, with the `url`. */
export async function serve(path, args = [], address = "127.0.0.1:0") {
  const server = new Process(path, [...args, address]);
  [, server.url] = await server.line(/(\w+:\/\/\S+)/);
  return server;
}

/** Has a server listen, and answers its port. */
export async function listen(server) {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return server.address().port;
}

/** A port where nobody listens. */
export async function freePort() {
  const server = createServer();
  const port = await listen(server);
  server.close();
  await once(server, "close");
  return port;
}
