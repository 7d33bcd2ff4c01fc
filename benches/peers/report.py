#!/usr/bin/env python3
"""Writes the tables and charts of a run: report.py RESULTS DOCS. See run.sh."""
import csv
import datetime
import pathlib
import platform
import subprocess
import sys
from html import escape

RESULTS, DOCS = map(pathlib.Path, sys.argv[1:3])
OURS, BAR = "sockless", "ideal"
# Prototypes of this benchmark, and crates that lack UTF-8 checks, pongs or limits.
NO_PEERS = {"(floor)", "ideal", "ideal-safe", "ideal-owned", "sockless, by reference"}
INCOMPLETE = {"websocket-sans-io", "web-socket", "ratchet_core", "soketto"}
RECEIVE = ["text20", "text125", "text1k", "cjk1k", "bin64k", "bin1m", "frag1m", "pings", "random"]
LABELS = {
    "text20": "20 B text", "text125": "125 B text", "text1k": "1 KiB text", "cjk1k": "1 KiB CJK",
    "bin64k": "64 KiB binary", "bin1m": "1 MiB binary", "frag1m": "1 MiB text in 4 KiB frames",
    "pings": "mixed, with pings", "random": "2 B to 4 KiB, mixed",
}


def rows(section):
    """Title, peer and numbers of each line; a name may hold a comma, so the numbers are counted from the end."""
    for line in (RESULTS / f"{section}.csv").read_text().splitlines():
        fields = line.split(",")
        cut = len(fields) - 8
        numbers = [float(field) for field in fields[cut:]]
        text = ",".join(fields[1:cut])
        for name in ("sockless, by reference",):
            if text.endswith("," + name):
                yield text[: -len(name) - 1], name, numbers
                break
        else:
            title, name = text.rsplit(",", 1)
            yield title, name, numbers


def table(section, *wanted):
    """Nanoseconds a message by workload and peer, of the measurements whose title has all the wanted words."""
    found = {}
    for title, name, numbers in rows(section):
        words = title.replace(";", " ").replace(":", " ").split()
        if all(word in words for word in wanted):
            found.setdefault(words[0], {})[name] = numbers[0]
    return found


def figure(value):
    if value is None:
        return "–"
    if value >= 1e6:
        return f"{value / 1e6:.2f}m"
    if value >= 1e4:
        return f"{value / 1e3:.1f}k"
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}"


def markdown(head, body):
    lines = ["| " + " | ".join(head) + " |", "|---|" + "---:|" * (len(head) - 1)]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in body]) + "\n"


def comparison(found, loads):
    """Peers down, workloads across, the fastest first; then what the bar is about."""
    loads = [load for load in loads if load in found]
    names = {name for load in loads for name in found[load]}
    order = sorted(names, key=lambda name: found[loads[0]].get(name, 1e18))
    body = []
    for name in order:
        shown = f"**{name}**" if name.startswith(OURS) else f"*{name}*" if name in NO_PEERS | INCOMPLETE else name
        body.append([shown] + [figure(found[load].get(name)) for load in loads])

    def ratio(load, top, bottom):
        values = found[load]
        return f"{top(values) / bottom(values):.2f}" if OURS in values else "–"

    ours = lambda values: values[OURS]
    best = lambda values: min(v for n, v in values.items() if n not in NO_PEERS | INCOMPLETE | {OURS})
    body.append(["sockless, × *ideal*"] + [ratio(load, ours, lambda v: v[BAR]) for load in loads])
    body.append(["best complete peer, × sockless"] + [ratio(load, best, ours) for load in loads])
    return markdown(["ns a message"] + [LABELS.get(load, load) for load in loads], body)


STYLE = """<style>
text{font:12px system-ui,sans-serif;fill:#24292f}.t{font-weight:600}.m{fill:#57606a}
.b{fill:#a9b4c0}.o{fill:#c2410c}.g{stroke:#d0d7de;fill:none}.l{fill:none;stroke-width:2}
@media(prefers-color-scheme:dark){text{fill:#e6edf3}.m{fill:#8d96a0}.b{fill:#4b5563}.o{fill:#fb923c}.g{stroke:#30363d}}
</style>"""


def svg(width, height, title, body):
    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" '
            f'aria-label="{escape(title)}">{STYLE}\n' + "\n".join(body) + "\n</svg>\n")


def bars(found, loads, names, title):
    """A panel of horizontal bars for each workload."""
    columns, panel, left, line = 2, 350, 124, 18
    height = 34 + line * len(names)
    body = [f'<text class="t" x="8" y="18">{escape(title)}</text>']
    for i, load in enumerate(loads):
        x, y = (i % columns) * (panel + 20) + 8, 34 + (i // columns) * (height + 8)
        values = {name: found[load][name] for name in names if name in found[load]}
        most = max(values.values())
        body.append(f'<text class="t" x="{x}" y="{y + 14}">{escape(LABELS[load])}</text>')
        for j, name in enumerate(sorted(values, key=values.get)):
            top = y + 22 + j * line
            width = max(1.0, values[name] / most * (panel - left - 50))
            kind = "o" if name == OURS else "b"
            body += [
                f'<text x="{x + left - 6}" y="{top + 12}" text-anchor="end">{escape(name)}</text>',
                f'<rect class="{kind}" x="{x + left}" y="{top + 2}" width="{width:.1f}" height="13" rx="2"/>',
                f'<text class="m" x="{x + left + width + 5:.1f}" y="{top + 12}">{figure(values[name])}</text>',
            ]
    rows_of_panels = -(-len(loads) // columns)
    return svg(columns * (panel + 20), 40 + rows_of_panels * (height + 8), title, body)


def growth(series, title, unit):
    """Lines over the number of connections, both axes logarithmic."""
    from math import log10
    width, height, left, top, right, bottom = 740, 330, 60, 34, 130, 40
    points = [(x, y) for line in series.values() for x, y in line]
    x0, x1 = (log10(f(x for x, _ in points)) for f in (min, max))
    # Above the highest line there has to be room for the names.
    y0, y1 = int(log10(min(y for _, y in points))), log10(2 * max(y for _, y in points))
    across = lambda x: left + (log10(x) - x0) / (x1 - x0) * (width - left - right)
    up = lambda y: height - bottom - (log10(y) - y0) / (y1 - y0) * (height - top - bottom)
    body = [f'<text class="t" x="8" y="18">{escape(title)}</text>']
    for power in range(y0, int(y1) + 1):
        y = up(10**power)
        body.append(f'<path class="g" d="M{left} {y:.1f}H{width - right}"/>'
                    f'<text class="m" x="{left - 6}" y="{y + 4:.1f}" text-anchor="end">{10**power:,}</text>')
    for power in range(round(x0), round(x1) + 1):
        body.append(f'<text class="m" x="{across(10**power):.1f}" y="{height - 20}" text-anchor="middle">'
                    f'{10**power:,}</text>')
    body.append(f'<text class="m" x="{left}" y="{height - 4}">connections; {escape(unit)}</text>')
    ends = []
    for name, line in sorted(series.items(), key=lambda item: item[1][-1][1]):
        colour = "#c2410c" if name == OURS else "#7d8590"
        path = " ".join(f"{across(x):.1f},{up(y):.1f}" for x, y in line)
        body.append(f'<polyline class="l" stroke="{colour}" points="{path}"/>')
        y = up(line[-1][1]) + 4
        y = min([y] + [end - 14 for end in ends[-1:]])
        ends.append(y)
        body.append(f'<text class="{"o" if name == OURS else ""}" x="{width - right + 6}" y="{y:.1f}">{escape(name)}</text>')
    return svg(width, height, title, body)


def command(*words):
    return subprocess.run(words, capture_output=True, text=True, check=True, cwd=pathlib.Path(__file__).parent).stdout


def machine():
    lines = pathlib.Path("/proc/cpuinfo").read_text().splitlines()
    model = next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    cores = sum(line.startswith("processor") for line in lines)
    return f"{model}, {cores} cores, {platform.system()} {platform.release().split('-')[0]}"


def versions():
    tree = command("cargo", "tree", "--locked", "--depth", "1", "-e", "normal", "--prefix", "none")
    peers = "tungstenite fastwebsockets tokio-websockets soketto web-socket yawc sockudo-ws wtx websocket-sans-io ratchet_core"
    found = dict(line.split()[:2] for line in tree.splitlines() if line)
    return ", ".join(f"{name} {found[name][1:]}" for name in peers.split() if name in found)


def section(path):
    """The tables of a command that writes Markdown itself."""
    return (RESULTS / path).read_text().strip() + "\n"


def main():
    DOCS.mkdir(parents=True, exist_ok=True)
    receive = {role: table("recv", role, "64k") for role in ("server", "client")}
    send = {role: table("send", role) for role in ("server", "client")}
    echo = table("echo", "server", "64k")
    loads = ["text20", "text125", "text1k", "bin64k"]
    shown = [OURS, "tungstenite", "fastwebsockets", "tokio-websockets", "yawc", "sockudo-ws", "wtx"]
    (DOCS / "receive.svg").write_text(bars(
        receive["server"], ["text20", "text1k", "pings", "bin64k"], shown,
        "Receive as a server: nanoseconds of CPU a message, less is better"))
    scale = {}
    heap = {}
    for line in csv.reader((RESULTS / "scale.csv").open()):
        _, name, count, each, _, turn = line
        scale.setdefault(name, []).append((int(count), float(turn)))
        heap.setdefault(name, []).append((int(count), float(each)))
    (DOCS / "scale.svg").write_text(growth(
        scale, "Echo of 125 B, connections taking turns in one thread: less is better", "nanoseconds an echo"))
    head = f"""# Measured in memory

Made by `benches/peers/run.sh` on {datetime.date.today()}: {machine()}, rustc {command("rustc", "--version").split()[1]} (fat LTO).
Peers: {versions()}.

One process, one thread, no sockets; all take turns in each round, and the figures are medians of CPU time. Figures
of another machine, or of another run, do not compare: the ratios within this one do. [How it
measures](../../benches/peers/README.md). *ideal* is a prototype without hardening or a closing handshake, the bar;
*(floor)* is the harness with no WebSocket in it. Crates in italics are no complete endpoints: a prototype, or without
UTF-8 checks, pongs or limits of their own, which their adapters add.

![bars](receive.svg)
"""
    parts = [
        head,
        "## Receive, server, reads of up to 64 KiB\n\n" + comparison(receive["server"], RECEIVE),
        "## Receive, client\n\n" + comparison(receive["client"], RECEIVE),
        "## Receive, reads of 1 to 7 bytes, server\n\n"
        + comparison(table("tiny", "server"), ["text20", "text125", "text1k"]),
        "## Send, server\n\n`by reference` is `send_prepared` and vectored writes.\n\n" + comparison(send["server"], loads),
        "## Send, client\n\nThe keys of sockless come from the operating system, those of tungstenite and fastwebsockets from "
        "a cryptographic generator, those of the others from a weak one.\n\n" + comparison(send["client"], loads),
        "## Echo, server\n\n" + comparison(echo, loads),
        "## Handshake\n\n" + section("handshake.md"),
        "## Memory\n\n" + section("memory.md"),
        "## Compression\n\n" + section("deflate.md"),
        "## Sizes of messages and of reads\n\n" + section("linear.md"),
        "## Number of connections\n\n![lines](scale.svg)\n\n" + section("scale.md"),
    ]
    (DOCS / "in-memory.md").write_text("\n".join(parts))


main()
