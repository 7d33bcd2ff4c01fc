"""Symbolic execution of the compiled codecs against specifications written here.

    prove.py LIBRARY [WORD...]      all, or those with one of the words in the title

Each proof runs a wrapper of src/lib.rs in angr with symbols for its inputs, and asks z3, for every path
through the machine code, whether any input that takes it gives anything but what the specification says.
A proof holds if no such input exists, the paths together cover all inputs that the proof is about, and no
path was given up. The controls at the end have a wrong specification or wrong code, and have to fail.

What is trusted: angr's model of the processor, z3, and the specifications below. Data and keys are symbols,
the lengths of payloads and close bodies are the ones listed; headers are proven for input of any length. The
library is built without `std`: the copy of the mask loop for AVX2, which runs from 128 bytes on, is outside of
this, and tested against a naive loop in src/mask.rs and tests/masking.rs.
"""

import logging
import sys
import time

import angr
import claripy
from claripy import And, BVS, BVV, Concat, If, Not, Or, Solver, UGE, UGT, ULE, ULT, ZeroExt

# It complains about an optional accelerator; a path that goes wrong is seen in other ways.
logging.getLogger("angr").setLevel(logging.CRITICAL)
logging.getLogger("cle").setLevel(logging.ERROR)

# Where the arguments lie. Nothing else does.
INPUT, OUTPUT, KEY = 0x7000_0000, 0x7100_0000, 0x7200_0000
MOST_STEPS = 3000

# The numbers of src/lib.rs.
INCOMPLETE, COMPLETE, REFUSED_BY_ENCODER = 0, 1, 2
RESERVED_BITS, RESERVED_OPCODE, FRAGMENTED_CONTROL, CONTROL_TOO_LONG = 0x1_0000, 0x2_0000, 0x3_0000, 0x4_0000
MISSING_MASK, UNEXPECTED_MASK, NON_MINIMAL, OVERFLOW, TOO_LARGE = 0x5_0000, 0x6_0000, 0x7_0000, 0x8_0000, 0x9_0000
CLOSE_TOO_SHORT, CLOSE_CODE, CLOSE_REASON = 0xA_0000, 0xB_0000, 0xC_0000

CONTROL = (8, 9, 10)
OPCODES = (0, 1, 2, *CONTROL)


class Broken(Exception):
    """What was to be proven is not so."""


class Program:
    def __init__(self, path):
        self.project = angr.Project(path, auto_load_libs=False)

    def prove(self, function, arguments, memory, given, holds):
        """Every path of `function` under `given` meets `holds(state)`; the number of paths."""
        # A caller widens what is narrower than a register.
        arguments = [ZeroExt(64 - len(argument), argument) for argument in arguments]
        address = self.project.loader.find_symbol(function).rebased_addr
        state = self.project.factory.call_state(
            address,
            *arguments,
            add_options={
                angr.options.SYMBOL_FILL_UNCONSTRAINED_MEMORY,
                angr.options.SYMBOL_FILL_UNCONSTRAINED_REGISTERS,
            },
        )
        for where, what in memory:
            state.memory.store(where, what)
        for condition in given:
            state.solver.add(condition)
        run = self.project.factory.simulation_manager(state, save_unconstrained=True)
        run.run(n=MOST_STEPS)
        if run.errored:
            raise Broken(f"{function}: a path was given up: {run.errored[0]}")
        for stash in ("active", "unconstrained", "pruned"):
            if run.stashes[stash]:
                raise Broken(f"{function}: a path does not return ({stash})")
        paths = run.deadended
        for path in paths:
            wrong = Not(holds(path))
            if path.solver.satisfiable(extra_constraints=[wrong]):
                path.solver.add(wrong)
                values = ", ".join(
                    f"{name.split('_')[0]} {path.solver.eval(symbol):#x}"
                    for name, symbol in symbols(arguments, memory)
                )
                raise Broken(f"{function}: differs from the specification for {values}")
        uncovered = Solver()
        uncovered.add(list(given))
        uncovered.add([Not(And(*path.solver.constraints)) for path in paths if path.solver.constraints])
        if any(not path.solver.constraints for path in paths):
            uncovered.add(claripy.false())
        if uncovered.satisfiable():
            raise Broken(f"{function}: the paths leave inputs out")
        return len(paths)


def symbols(arguments, memory):
    found = {}
    for value in [*arguments, *(what for _, what in memory)]:
        if isinstance(value, claripy.ast.Base):
            for leaf in value.leaf_asts():
                if leaf.op == "BVS":
                    found[leaf.args[0]] = leaf
    return found.items()


def any_of(value, numbers):
    return Or(*[value == number for number in numbers])


def first_match(*cases):
    """The result of the first case whose condition is true; the last one has none."""
    *cases, result = cases
    for condition, earlier in reversed(cases):
        result = If(condition, earlier, result)
    return result


def status(number):
    return BVV(number, 32)


def fields(length, size, mask, masked, fin, rsv1, opcode):
    """`Fields` of src/lib.rs as it lies in memory."""
    return Concat(length.reversed, size.reversed, mask, masked, fin, rsv1, opcode)


def bit(condition):
    return If(condition, BVV(1, 8), BVV(0, 8))


# RFC 6455 section 5.2, with the order of the checks that src/frame.rs documents.


def decode(program, function="decode", smallest_16_bit=126):
    byte = [BVS(f"byte{i}", 8) for i in range(14)]
    n, most = BVS("len", 64), BVS("max", 64)
    server, rsv1_defined = BVS("server", 8), BVS("rsv1", 8)

    first, second, *rest = byte
    opcode, short = first & 15, second & 0x7F
    control = UGE(opcode, 8)
    masked = second & 0x80 != 0
    length = first_match(
        (short == 126, ZeroExt(48, Concat(*rest[:2]))),
        (short == 127, Concat(*rest[:8])),
        ZeroExt(56, short),
    )
    before_mask = first_match((short == 126, BVV(4, 64)), (short == 127, BVV(10, 64)), BVV(2, 64))
    size = If(masked, before_mask + 4, before_mask)
    mask = If(
        masked,
        first_match(
            (short == 126, Concat(*byte[4:8])),
            (short == 127, Concat(*byte[10:14])),
            Concat(*byte[2:6]),
        ),
        BVV(0, 32),
    )
    rsv1_allowed = And(rsv1_defined != 0, any_of(opcode, (1, 2)))
    expected = first_match(
        (n == 0, status(INCOMPLETE)),
        (first & 0x30 != 0, status(RESERVED_BITS)),
        (And(first & 0x40 != 0, Not(rsv1_allowed)), status(RESERVED_BITS)),
        (Not(any_of(opcode, OPCODES)), status(RESERVED_OPCODE) | ZeroExt(24, opcode)),
        (And(control, first & 0x80 == 0), status(FRAGMENTED_CONTROL)),
        (n == 1, status(INCOMPLETE)),
        (And(control, UGT(short, 125)), status(CONTROL_TOO_LONG)),
        (And(server != 0, Not(masked)), status(MISSING_MASK)),
        (And(server == 0, masked), status(UNEXPECTED_MASK)),
        # The first byte of a long length decides, if it is there.
        (And(short == 127, UGT(n, 2), UGE(rest[0], 0x80)), status(OVERFLOW)),
        (ULT(n, before_mask), status(INCOMPLETE)),
        (And(short == 126, ULT(length, smallest_16_bit)), status(NON_MINIMAL)),
        (And(short == 127, ULT(length, 1 << 16)), status(NON_MINIMAL)),
        (And(Not(control), UGT(length, most)), status(TOO_LARGE)),
        (ULT(n, size), status(INCOMPLETE)),
        status(COMPLETE),
    )
    value = fields(
        length, size, mask, bit(masked), bit(first & 0x80 != 0), bit(first & 0x40 != 0), opcode
    )

    def holds(state):
        same = state.memory.load(OUTPUT, 24) == value
        return And(state.regs.eax == expected, Or(expected != COMPLETE, same))

    return program.prove(
        function,
        [BVV(INPUT, 64), n, server, rsv1_defined, most, BVV(OUTPUT, 64)],
        # Behind these lies memory that nothing is known of: a result that it changed would differ.
        [(INPUT, Concat(*byte))],
        [ULT(n, 1 << 63)],
        holds,
    )


class AnyHeader:
    """Any value of `Header`."""

    def __init__(self):
        self.length, self.mask = BVS("length", 64), BVS("mask", 32)
        self.masked, self.fin, self.rsv1 = BVS("masked", 8), BVS("fin", 8), BVS("rsv1", 8)
        self.opcode = BVS("opcode", 8)
        self.control = UGE(self.opcode, 8)
        self.given = [
            any_of(self.opcode, OPCODES),
            *[ULE(flag, 1) for flag in (self.masked, self.fin, self.rsv1)],
        ]

    def stored(self, size, mask):
        return fields(self.length, size, mask, self.masked, self.fin, self.rsv1, self.opcode)


def encode(program, shortest_16_bit=126):
    header = AnyHeader()
    masked = header.masked != 0
    first = header.fin << 7 | header.rsv1 << 6 | header.opcode
    mask_bit = header.masked << 7
    short = ULT(header.length, shortest_16_bit)
    medium = ULT(header.length, 1 << 16)
    low = header.length[7:0]
    # As wide as the longest; what lies behind the size is not compared.
    before_mask = first_match((short, BVV(2, 64)), (medium, BVV(4, 64)), BVV(10, 64))
    size = If(masked, before_mask + 4, before_mask)
    written = first_match(
        (short, Concat(first, mask_bit | low, header.mask, BVV(0, 64))),
        (medium, Concat(first, mask_bit | 126, header.length[15:0], header.mask, BVV(0, 48))),
        Concat(first, mask_bit | 127, header.length, header.mask),
    )

    def holds(state):
        got = state.memory.load(OUTPUT, 14)
        same = And(
            state.regs.rax == size,
            *[
                Or(ULE(size, i), got.get_byte(i) == written.get_byte(i))
                for i in range(14)
            ],
        )
        return If(UGE(header.length, 1 << 63), state.regs.rax == 0, same)

    return program.prove(
        "encode",
        [BVV(INPUT, 64), BVV(OUTPUT, 64)],
        [(INPUT, header.stored(BVV(0, 64), header.mask))],
        header.given,
        holds,
    )


def round_trip(program, fewest_refused=1 << 63):
    header = AnyHeader()
    rsv1_defined = BVS("defined", 8)
    size = BVS("size", 64)
    given = [
        *header.given,
        # What a sender may send.
        Or(Not(header.control), And(ULE(header.length, 125), header.fin == 1)),
        Or(header.rsv1 == 0, And(rsv1_defined != 0, any_of(header.opcode, (1, 2)))),
    ]

    def holds(state):
        back = state.memory.load(OUTPUT, 24)
        mask = If(header.masked != 0, header.mask, BVV(0, 32))
        value = header.stored(back.get_bytes(8, 8).reversed, mask)
        return If(
            UGE(header.length, fewest_refused),
            state.regs.eax == REFUSED_BY_ENCODER,
            And(state.regs.eax == COMPLETE, back == value),
        )

    return program.prove(
        "round_trip",
        [BVV(INPUT, 64), rsv1_defined, BVV(OUTPUT, 64)],
        [(INPUT, header.stored(size, header.mask))],
        given,
        holds,
    )


# RFC 6455 section 5.3.


def unmask(program, length, shift=0):
    key = [BVS(f"key{i}", 8) for i in range(4)]
    phase = BVS("phase", 64)
    data = [BVS(f"data{i}", 8) for i in range(length)]
    # Behind the data: not to be touched.
    guard = BVS("guard", 64)
    # Odd addresses too.
    where = INPUT + length % 16

    def key_at(i):
        """Octet (phase + i) modulo 4 of the key."""
        at = (phase + i + shift) & 3
        return first_match(*[(at == j, key[j]) for j in range(3)], key[3])

    def holds(state):
        got = state.memory.load(where, length + 8)
        right = [got.get_byte(i) == data[i] ^ key_at(i) for i in range(length)]
        return And(*right, got.get_bytes(length, 8) == guard)

    return program.prove(
        "unmask",
        [BVV(KEY, 64), phase, BVV(where, 64), BVV(length, 64)],
        [(KEY, Concat(*key)), (where, Concat(*data, guard))],
        [],
        holds,
    )


# RFC 6455 sections 5.5.1 and 7.4, and RFC 3629 section 4.


def is_utf8(text):
    """The grammar of RFC 3629, section 4, read from the front."""
    if not text:
        return claripy.true()

    def between(byte, low, high):
        return And(UGE(byte, low), ULE(byte, high))

    tail = (0x80, 0xBF)
    rows = [
        [(0x00, 0x7F)],
        [(0xC2, 0xDF), tail],
        [(0xE0, 0xE0), (0xA0, 0xBF), tail],
        [(0xE1, 0xEC), tail, tail],
        [(0xED, 0xED), (0x80, 0x9F), tail],
        [(0xEE, 0xEF), tail, tail],
        [(0xF0, 0xF0), (0x90, 0xBF), tail, tail],
        [(0xF1, 0xF3), tail, tail, tail],
        [(0xF4, 0xF4), (0x80, 0x8F), tail, tail],
    ]
    return Or(
        *[
            And(*[between(byte, *range_) for byte, range_ in zip(text, row)], is_utf8(text[len(row) :]))
            for row in rows
            if len(row) <= len(text)
        ]
    )


def parse_close(program, length, last_low_code=1003, code_known=False):
    body = [BVS(f"body{i}", 8) for i in range(length)]
    accepted = claripy.false()
    if length == 0:
        expected = status(INCOMPLETE)
    elif length == 1:
        expected = status(CLOSE_TOO_SHORT)
    else:
        code = Concat(*body[:2])
        may_be_sent = Or(
            *[
                And(UGE(code, low), ULE(code, high))
                for low, high in ((1000, last_low_code), (1007, 1014), (3000, 4999))
            ]
        )
        accepted = And(may_be_sent, is_utf8(body[2:]))
        expected = first_match(
            (Not(may_be_sent), status(CLOSE_CODE) | ZeroExt(16, code)),
            (Not(accepted), status(CLOSE_REASON)),
            Concat(code, BVV(COMPLETE, 16)),
        )

    def holds(state):
        whole = state.memory.load(OUTPUT, 8).reversed == max(length - 2, 0)
        return And(state.regs.eax == expected, Or(Not(accepted), whole))

    return program.prove(
        "parse_close",
        [BVV(INPUT, 64), BVV(length, 64), BVV(OUTPUT, 64)],
        [(INPUT, Concat(*body))] if body else [],
        [Concat(*body[:2]) == 1000] if code_known else [],
        holds,
    )


UNMASKED = (*range(9), 11, 12, 15, 16, 17, 20, 23, 24, 31, 32, 33, 47, 48, 63, 64, 65, 70)
CLOSES = range(6)

PROOFS = [
    ("decode, input of any length, either role, any limit", lambda p: decode(p)),
    ("encode, any header", lambda p: encode(p)),
    ("decode(encode(header)) = header, any length", lambda p: round_trip(p)),
    (
        f"unmask, any data, key and phase, {len(UNMASKED)} lengths up to {max(UNMASKED)}",
        lambda p: sum(unmask(p, length) for length in UNMASKED),
    ),
    (
        f"close body, any of up to {max(CLOSES)} bytes",
        lambda p: sum(parse_close(p, length) for length in CLOSES),
    ),
    (
        "close body of code 1000, any reason of 4 bytes",
        lambda p: parse_close(p, 6, code_known=True),
    ),
]

CONTROLS = [
    ("decode with the limit off by one in the code", lambda p: decode(p, "decode_wrongly")),
    ("decode against `< 125` for `< 126`", lambda p: decode(p, smallest_16_bit=125)),
    ("encode against `< 127` for `< 126`", lambda p: encode(p, shortest_16_bit=127)),
    ("round trip against one length less", lambda p: round_trip(p, (1 << 63) - 1)),
    ("unmask against a key turned by one", lambda p: unmask(p, 21, shift=1)),
    ("close body against a valid 1004", lambda p: parse_close(p, 2, last_low_code=1004)),
]


def main():
    program = Program(sys.argv[1])
    words = sys.argv[2:] or [""]

    def wanted(proofs):
        return [(title, proof) for title, proof in proofs if any(word in title for word in words)]

    if not wanted(PROOFS):
        raise SystemExit(f"no proof has {' or '.join(words)} in its title")
    failed = 0
    for title, proof in wanted(PROOFS):
        start = time.monotonic()
        try:
            print(f"ok    {title}: {proof(program)} paths, {time.monotonic() - start:.1f} s", flush=True)
        except Broken as broken:
            failed += 1
            print(f"FAIL  {title}: {broken}", flush=True)
    for title, proof in wanted(CONTROLS):
        try:
            proof(program)
        except Broken as broken:
            if "differs from the specification" in str(broken):
                print(f"ok    control: {title}", flush=True)
                continue
        failed += 1
        print(f"FAIL  control: {title}: was not noticed", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
