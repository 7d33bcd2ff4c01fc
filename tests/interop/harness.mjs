// What the two Node scripts share: checks, and the process under test.
import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";

const TIMEOUT = 15_000;
const children = new Set();
process.on("exit", () => children.forEach((child) => child.kill()));
for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => process.exit(1));

let failed = 0;

/** Runs one check, bounded in time, and prints its line. */
export async function check(name, body) {
  try {
    await within(body(), "the check");
    console.log(`ok    ${name}`);
  } catch (error) {
    failed += 1;
    console.log(`FAIL  ${name}\n      ${String(error.message).slice(0, 500).replaceAll("\n", "\n      ")}`);
  }
}

export function finish() {
  process.exit(failed ? 1 : 0);
}

export async function within(promise, what) {
  const stop = new AbortController();
  const late = sleep(TIMEOUT, undefined, { signal: stop.signal }).then(
    () => { throw new Error(`${what} took more than ${TIMEOUT} ms`); }, () => {});
  try {
    return await Promise.race([promise, late]);
  } finally {
    stop.abort();
  }
}

/** A process whose lines are collected and which ends with this one. */
export class Process {
  constructor(path, args) {
    this.out = [];
    this.err = [];
    this.child = spawn(path, args, { stdio: ["pipe", "pipe", "pipe"] });
    children.add(this.child);
    this.child.stdin.on("error", () => {});
    createInterface({ input: this.child.stdout }).on("line", (line) => this.out.push(line));
    createInterface({ input: this.child.stderr }).on("line", (line) => this.err.push(line));
    this.ended = new Promise((resolve, reject) => {
      this.child.on("error", reject);
      this.child.on("close", (code) => { children.delete(this.child); resolve(code); });
    });
    this.ended.catch(() => {});
  }

  /** Sends lines to its standard input, without an end. */
  type(...lines) {
    for (const line of lines) this.child.stdin.write(line + "\n");
  }

  /** Ends its standard input, as Ctrl-D does. */
  endInput() {
    this.child.stdin.end();
  }

  /** Its exit status. */
  status() {
    return within(this.ended, "the end of the process");
  }

  /** Waits for a line of its output or log and answers its match. */
  async line(pattern) {
    for (let until = Date.now() + TIMEOUT - 5_000; Date.now() < until; await sleep(10)) {
      for (const line of [...this.out, ...this.err]) {
        const match = pattern.exec(line);
        if (match) return match;
      }
    }
    throw new Error(`no line matches ${pattern} in ${JSON.stringify([...this.out, ...this.err].slice(-5))}`);
  }
}
