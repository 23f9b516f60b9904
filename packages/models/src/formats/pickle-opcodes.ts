/** Pickle's opcodes, by what pickle.ts does with them. Their names and meanings are in CPython's `pickletools.py`. */

/** The opcodes that are read. */
export const OP = {
  PROTO: 0x80,
  FRAME: 0x95,
  STOP: 0x2e,
  MARK: 0x28,
  NONE: 0x4e,
  NEWTRUE: 0x88,
  NEWFALSE: 0x89,
  BININT: 0x4a,
  BININT1: 0x4b,
  BININT2: 0x4d,
  LONG1: 0x8a,
  BINFLOAT: 0x47,
  BINUNICODE: 0x58,
  SHORT_BINUNICODE: 0x8c,
  EMPTY_TUPLE: 0x29,
  TUPLE: 0x74,
  TUPLE1: 0x85,
  TUPLE2: 0x86,
  TUPLE3: 0x87,
  EMPTY_LIST: 0x5d,
  APPEND: 0x61,
  APPENDS: 0x65,
  EMPTY_DICT: 0x7d,
  SETITEM: 0x73,
  SETITEMS: 0x75,
  BINGET: 0x68,
  LONG_BINGET: 0x6a,
  BINPUT: 0x71,
  LONG_BINPUT: 0x72,
  MEMOIZE: 0x94,
  GLOBAL: 0x63,
  STACK_GLOBAL: 0x93,
  REDUCE: 0x52,
  BUILD: 0x62,
  BINPERSID: 0x51,
} as const;

/** Not read: it names a global in its own way, which is refused first. */
export const INST = 0x69;

/** The rest, for messages: other ways to name and to build, other forms of what is above, and bytes and sets. */
export const REFUSED = new Map(
  (
    "69 INST, 6f OBJ, 81 NEWOBJ, 92 NEWOBJ_EX, 82 EXT1, 83 EXT2, 84 EXT4, 50 PERSID, 30 POP, 31 POP_MARK, 32 DUP, " +
    "67 GET, 70 PUT, 49 INT, 4c LONG, 8b LONG4, 46 FLOAT, 53 STRING, 54 BINSTRING, 55 SHORT_BINSTRING, 56 UNICODE, " +
    "8d BINUNICODE8, 42 BINBYTES, 43 SHORT_BINBYTES, 8e BINBYTES8, 96 BYTEARRAY8, 97 NEXT_BUFFER, " +
    "98 READONLY_BUFFER, 6c LIST, 64 DICT, 8f EMPTY_SET, 90 ADDITEMS, 91 FROZENSET"
  )
    .split(", ")
    .map((line) => [Number.parseInt(line.slice(0, 2), 16), line.slice(3)] as const),
);
