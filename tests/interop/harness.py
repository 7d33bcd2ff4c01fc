"""What the two Python scripts share: checks, and the process under test."""

import asyncio
import re
import signal
import sys

TIMEOUT = 15
failed = 0


async def check(name, body):
    """Runs one check, bounded in time, and prints its line."""
    global failed
    try:
        async with asyncio.timeout(TIMEOUT):
            await body()
        print(f"ok    {name}", flush=True)
    except Exception as error:  # a check may fail in any way
        failed += 1
        what = (str(error) or repr(error))[:500].replace("\n", "\n      ")
        print(f"FAIL  {name}\n      {what}", flush=True)


def equal(got, want):
    assert got == want, f"{got!r:.200} is not {want!r:.200}"


class Process:
    """A process whose lines are collected and which ends with the block."""

    def __init__(self, *command):
        self.command = command
        self.out, self.err = [], []

    async def __aenter__(self):
        pipe = asyncio.subprocess.PIPE
        self.process = await asyncio.create_subprocess_exec(
            *self.command, stdin=pipe, stdout=pipe, stderr=pipe, limit=1 << 26
        )
        self.readers = [
            asyncio.create_task(self._collect(self.process.stdout, self.out)),
            asyncio.create_task(self._collect(self.process.stderr, self.err)),
        ]
        return self

    async def __aexit__(self, *_):
        if self.process.returncode is None:
            self.process.terminate()
            await self.process.wait()
        for reader in self.readers:
            reader.cancel()

    @staticmethod
    async def _collect(stream, lines):
        while line := await stream.readline():
            lines.append(line.decode().removesuffix("\n"))

    def type(self, *lines):
        """Sends lines to its standard input, without an end."""
        for line in lines:
            self.process.stdin.write(line.encode() + b"\n")

    def end_input(self):
        """Ends its standard input, as Ctrl-D does."""
        self.process.stdin.close()

    async def status(self):
        """Its exit status, once its output is read to the end."""
        await asyncio.gather(*self.readers)
        return await self.process.wait()

    async def line(self, pattern):
        """Waits for a line of its output or log and answers its match."""
        for _ in range((TIMEOUT - 5) * 100):
            for line in self.out + self.err:
                if match := re.search(pattern, line):
                    return match
            await asyncio.sleep(0.01)
        raise AssertionError(f"no line matches {pattern} in {(self.out + self.err)[-5:]!r:.300}")


def main(body):
    # So that the processes under test end with this one.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    asyncio.run(body(*sys.argv[1:]))
    sys.exit(1 if failed else 0)
