#!/usr/bin/env python3
"""Runs the Autobahn|Testsuite against a WebSocket server or client under test.

Called by run.sh; the options are those of --help.
"""
import argparse
import fcntl
import fnmatch
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import summarize  # noqa: E402

HERE = os.path.dirname(os.path.abspath(__file__))
LOOPBACK = "127.0.0.1"
MARKER = ".autobahn-report"  # in a directory that may be emptied

# Exit statuses
PASSED, NOT_ALLOWED, USAGE, TESTEE, TIME_LIMIT, INTERRUPTED = 0, 1, 2, 3, 124, 130

GROUPS = {
    "all": ["*"],
    "core": ["1.*", "2.*", "3.*", "4.*", "5.*", "6.*", "7.*", "10.*"],
    "limits": ["9.*"],
    "deflate": ["12.*", "13.*"],
}


# All cases there are, so that none goes missing with another suite.
SUITE = 517


class Stop(Exception):
    def __init__(self, status, message):
        super().__init__(message)
        self.status = status


class Child:
    """A program in a process group of its own. Only groups started here are
    ever signalled."""

    def __init__(self, name, argv, log, env=None):
        self.name, self.log = name, log
        with open(log, "wb") as f:
            try:
                self.proc = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=f,
                                             stderr=subprocess.STDOUT, env=env,
                                             start_new_session=True)
            except OSError as e:
                raise Stop(TESTEE, "cannot start %s: %s" % (name, e))

    def status(self):
        return self.proc.poll()

    def _signal_group(self, sig):
        try:
            os.killpg(self.proc.pid, sig)
        except (ProcessLookupError, PermissionError):
            pass

    def stop(self, grace):
        """SIGTERM, then SIGKILL for what is left of the group."""
        if self.proc.poll() is None:
            self._signal_group(signal.SIGTERM)
            try:
                self.proc.wait(grace)
            except subprocess.TimeoutExpired:
                pass
        self._signal_group(signal.SIGKILL)
        self.proc.wait()

    def tail(self, lines=15):
        with open(self.log, "rb") as f:
            text = f.read()[-8000:].decode("utf-8", "replace")
        return "\n".join("    " + l for l in text.splitlines()[-lines:])


def listening(port):
    """Whether something listens on the port. Read from the kernel's table: a
    connection made only to find out would be a first, broken client for the
    server under test."""
    found, readable = False, False
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            with open(table) as f:
                rows = f.read().splitlines()[1:]
        except OSError:
            continue
        readable = True
        for row in rows:
            cols = row.split()
            if cols[3] == "0A" and int(cols[1].rsplit(":", 1)[1], 16) == port:
                found = True
    if not readable:
        with socket.socket() as s:
            found = s.connect_ex((LOOPBACK, port)) == 0
    return found


def wait_listening(child, port, seconds):
    end = time.monotonic() + seconds
    while not listening(port):
        if child.status() is not None:
            raise Stop(TESTEE, "%s ended with status %s before it listened on port %d:\n%s"
                       % (child.name, child.status(), port, child.tail()))
        if time.monotonic() > end:
            raise Stop(TESTEE, "%s does not listen on port %d after %g s:\n%s"
                       % (child.name, port, seconds, child.tail()))
        time.sleep(0.05)


def patterns(text):
    out = []
    for item in text.replace(",", " ").split():
        out += GROUPS.get(item, [item])
    return out


def count_lines(path):
    try:
        with open(path, "rb") as f:
            return sum(1 for _ in f)
    except OSError:
        return 0


class Run:
    def __init__(self, args):
        self.a = args
        self.out = os.path.abspath(args.out)
        self.python = os.path.join(os.path.abspath(args.suite), "python")
        self.children = []
        self.end = time.monotonic() + args.time_limit

    def path(self, name):
        return os.path.join(self.out, name)

    def start(self, *args, **kw):
        child = Child(*args, **kw)
        self.children.append(child)
        return child

    def left(self):
        return self.end - time.monotonic()

    def select(self):
        """The cases selected. Not left to the suite, where 1.1* is 1.1 and all that
        starts so, and an unknown case is an error in the midst of the run."""
        with open(os.path.join(self.a.suite, "cases.json")) as f:
            full = json.load(f)
        if len(full["cases"]) != SUITE:
            raise Stop(USAGE, "the suite has %d cases, not %d" % (len(full["cases"]), SUITE))
        chosen = set()
        for take, items in (True, patterns(self.a.cases)), (False, patterns(self.a.exclude)):
            for item in items:
                matching = fnmatch.filter(full["cases"], item)
                if not matching:
                    raise Stop(USAGE, "no such case: " + item)
                chosen = chosen.union(matching) if take else chosen.difference(matching)
        if not chosen:
            raise Stop(USAGE, "no case is selected")
        cases = [c for c in full["cases"] if c in chosen]
        self.selection = {"suite": full["suite"], "cases": cases,
                          "descriptions": {c: full["descriptions"][c] for c in cases}}

    def prepare(self):
        a = self.a
        try:  # install.sh waits for this lock
            self.lock = open(os.path.join(a.suite, ".lock"), "a")
            fcntl.flock(self.lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Stop(USAGE, "the suite in %s is just being installed" % a.suite)
        except OSError:
            pass  # a directory that cannot be written to is not being installed into
        if not os.path.isfile(os.path.join(a.suite, "stamp")):
            raise Stop(USAGE, "the suite is not installed in %s: run install.sh first" % a.suite)
        if listening(a.port):
            raise Stop(USAGE, "port %d is already in use; choose another with --port" % a.port)
        self.select()
        # A report from before must not be taken for this run's.
        if os.path.isdir(self.out):
            if os.listdir(self.out) and not os.path.exists(self.path(MARKER)):
                raise Stop(USAGE, "%s holds something that is no report; choose another --out" % a.out)
            shutil.rmtree(self.out)
        os.makedirs(self.out)
        open(self.path(MARKER), "w").close()

        spec = {
            "outdir": self.out, "html": a.html,
            "cases": self.selection["cases"], "exclude-cases": [],
            "exclude-agent-cases": {}, "options": a.options,
        }
        if a.mode == "server":
            spec["servers"] = [{"agent": a.agent, "url": self.url(a.path)}]
        else:
            spec["url"] = self.url("")
        with open(self.path("spec.json"), "w") as f:
            json.dump(spec, f, indent=1)

        with open(self.path("selection.json"), "w") as f:
            json.dump(self.selection, f)

    def url(self, path):
        return "ws://%s:%d%s" % (LOOPBACK, self.a.port, path)

    def command(self):
        fill = {"{port}": str(self.a.port), "{url}": self.url(""), "{agent}": self.a.agent}
        out = []
        for word in self.a.command:
            for k, v in fill.items():
                word = word.replace(k, v)
            out.append(word)
        return out

    def environment(self):
        return dict(os.environ, AUTOBAHN_PORT=str(self.a.port), AUTOBAHN_URL=self.url(""),
                    AUTOBAHN_AGENT=self.a.agent)

    def driver(self):
        return self.start("the suite", [self.python, os.path.join(HERE, "driver.py"),
                                        "client" if self.a.mode == "server" else "server",
                                        self.path("spec.json")], self.path("suite.log"))

    def done(self):
        return count_lines(self.path("progress.jsonl"))

    def follow(self, child, other):
        """Wait for child to end; say now and then how far it is."""
        total, said, told = len(self.selection["cases"]), time.monotonic(), 0
        while child.status() is None:
            if self.left() <= 0:
                raise Stop(TIME_LIMIT, "stopped at the time limit of %g s, after %d of %d cases"
                           % (self.a.time_limit, self.done(), total))
            if other.status() is not None:
                break
            if time.monotonic() - said > 20:
                said, n = time.monotonic(), self.done()
                if n != told:
                    told = n
                    print("  %d of %d cases" % (n, total), flush=True)
            time.sleep(0.05)

    def run(self):
        self.prepare()
        testee_log = self.path("testee.log")
        if self.a.mode == "server":
            testee = self.start("the server under test", self.command(), testee_log,
                                env=self.environment())
            wait_listening(testee, self.a.port, self.a.start_limit)
            suite = self.driver()
            self.follow(suite, testee)
            if testee.status() is not None:
                raise Stop(TESTEE, "the server under test ended with status %s during the run:\n%s"
                           % (testee.status(), testee.tail()))
            if suite.status():
                raise Stop(TESTEE, "the suite ended with status %s:\n%s" % (suite.status(), suite.tail()))
        else:
            suite = self.driver()
            wait_listening(suite, self.a.port, 60)
            testee = self.start("the client under test", self.command(), testee_log,
                                env=self.environment())
            self.follow(testee, suite)
            if suite.status() is not None:
                raise Stop(TESTEE, "the suite ended with status %s:\n%s" % (suite.status(), suite.tail()))
            if testee.status():
                raise Stop(TESTEE, "the client under test ended with status %s:\n%s"
                           % (testee.status(), testee.tail()))
            # The last connection may still be closing when the client is done.
            grace = time.monotonic() + 5
            while self.done() < len(self.selection["cases"]) and time.monotonic() < grace:
                time.sleep(0.05)

    def cleanup(self):
        # The suite last started is asked first, so that it can write its report.
        for child in sorted(self.children, key=lambda c: c.name != "the suite"):
            child.stop(60 if child.name == "the suite" else 3)


def main():
    prog = os.environ.get("AUTOBAHN_PROG", "harness.py server|client")
    p = argparse.ArgumentParser(
        prog=prog, usage=prog + " [OPTIONS] -- COMMAND [ARGS]",
        description="Runs the Autobahn|Testsuite against COMMAND, a WebSocket server or client. In the "
                    "command, {port}, {url} and {agent} are filled in.")
    p.add_argument("mode", choices=["server", "client"], help=argparse.SUPPRESS)
    p.add_argument("--suite", default=os.environ.get("AUTOBAHN_SUITE", os.path.join(HERE, ".suite")),
                   help="where install.sh put the suite")
    p.add_argument("--out", help="report directory, emptied first (default: autobahn-report/MODE-AGENT)")
    p.add_argument("--port", type=int, default=9001, help="port on the loopback address (default %(default)s)")
    p.add_argument("--path", default="/", help="path of the server's URL (default %(default)s)")
    p.add_argument("--agent", default="testee", help="name of the testee in the report")
    p.add_argument("--cases", default="all",
                   help="case patterns or groups (all, core, limits, deflate), separated by commas or spaces")
    p.add_argument("--exclude", default="", help="the same, to leave out")
    p.add_argument("--allow", default=summarize.DEFAULT_ALLOW,
                   help="behaviors that pass; PATTERN=BEHAVIOR for some cases only (default %(default)s)")
    p.add_argument("--allow-close", default=summarize.DEFAULT_ALLOW_CLOSE,
                   help="close behaviors that pass, likewise (default %(default)s)")
    p.add_argument("--time-limit", type=float, default=3600, metavar="S",
                   help="seconds for the whole run (default %(default)s)")
    p.add_argument("--start-limit", type=float, default=30, metavar="S",
                   help="seconds for the server to start listening (default %(default)s)")
    p.add_argument("--html", action="store_true", help="write the suite's HTML report too")
    p.add_argument("--options", type=json.loads, default={}, help="protocol options for the suite's side, as JSON")
    # Split by hand: argparse lets a trailing list swallow the options.
    argv = sys.argv[1:]
    split = argv.index("--") if "--" in argv else len(argv)
    a = p.parse_args(argv[:split])
    a.command = argv[split + 1:]
    if not a.command:
        p.error("the command to test is missing, after --")
    if a.out is None:
        a.out = os.path.join("autobahn-report", "%s-%s" % (a.mode, a.agent))

    def interrupted(*_):
        raise Stop(INTERRUPTED, "interrupted")

    for sig in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(sig, interrupted)

    run, status, trouble, began = Run(a), PASSED, None, time.monotonic()
    try:
        try:
            run.run()
        finally:
            for sig in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
                signal.signal(sig, signal.SIG_IGN)
            run.cleanup()
    except Stop as e:
        status, trouble = e.status, str(e)
        if status == USAGE:
            print("%s: %s" % (prog, e), file=sys.stderr)
            sys.exit(status)

    allow, allow_close = summarize.Allowed(a.allow), summarize.Allowed(a.allow_close)
    _, results = summarize.load(run.out, a.agent)
    summary = summarize.judge(results, run.selection["cases"], allow, allow_close,
                              run.selection["descriptions"])
    passed = summarize.report("%s %s" % (a.mode, a.agent), summary, allow, allow_close, trouble)
    wall = time.monotonic() - began
    with open(run.path("summary.json"), "w") as f:
        json.dump(dict(summary, mode=a.mode, agent=a.agent, passed=passed, status=status,
                       trouble=trouble, wall_seconds=round(wall, 1), suite=run.selection["suite"],
                       allow=str(allow), allow_close=str(allow_close)), f, indent=1, sort_keys=True)
    print("%.1f s in all; report in %s" % (wall, os.path.relpath(run.out)))
    sys.exit(status or (PASSED if passed else NOT_ALLOWED))


if __name__ == "__main__":
    main()
