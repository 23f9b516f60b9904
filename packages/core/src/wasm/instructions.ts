/**
 * The WebAssembly instructions that kernels use, as a table: code, operand types, result type.
 *
 * From the core specification (https://webassembly.github.io/spec/core/binary/instructions.html), its SIMD and relaxed
 * SIMD chapters, and the threads proposal. Memory instructions stand in a table of their own, since they carry an
 * alignment and an offset; instructions with a lane number in a third.
 */

/** What an operand or a local holds. `ptr` is an address: i32, or i64 where the memory has 64-bit addresses. */
export type ValueType = "i32" | "i64" | "f32" | "f64" | "v128" | "ptr";

/** Prefix bytes of the instruction families. */
export const SIMD = 0xfd;
export const MISC = 0xfc;
export const ATOMIC = 0xfe;

export interface Instruction<P extends readonly ValueType[] = readonly ValueType[], R extends ValueType = ValueType> {
  readonly prefix: number | null;
  readonly code: number;
  readonly takes: P;
  readonly gives: R;
}

export interface MemoryInstruction<T extends ValueType = ValueType> {
  readonly prefix: number | null;
  readonly code: number;
  /** log2 of the natural alignment; a hint to the engine, except for atomics, where it is required. */
  readonly align: number;
  readonly type: T;
}

const plain = <const P extends readonly ValueType[], const R extends ValueType>(
  code: number,
  takes: P,
  gives: R,
): Instruction<P, R> => ({ prefix: null, code, takes, gives });
const misc = <const P extends readonly ValueType[], const R extends ValueType>(
  code: number,
  takes: P,
  gives: R,
): Instruction<P, R> => ({ prefix: MISC, code, takes, gives });
const simd = <const P extends readonly ValueType[], const R extends ValueType>(
  code: number,
  takes: P,
  gives: R,
): Instruction<P, R> => ({ prefix: SIMD, code, takes, gives });

const unary = (code: number) => simd(code, ["v128"], "v128");
const binary = (code: number) => simd(code, ["v128", "v128"], "v128");
const ternary = (code: number) => simd(code, ["v128", "v128", "v128"], "v128");
const shift = (code: number) => simd(code, ["v128", "i32"], "v128");
const i32Binary = (code: number) => plain(code, ["i32", "i32"], "i32");
const f32Unary = (code: number) => plain(code, ["f32"], "f32");
const f32Binary = (code: number) => plain(code, ["f32", "f32"], "f32");
const f32Compare = (code: number) => plain(code, ["f32", "f32"], "i32");
const f64Binary = (code: number) => plain(code, ["f64", "f64"], "f64");

/** Instructions without immediates, by family. */
export const INSTRUCTIONS = {
  i32: {
    eqz: plain(0x45, ["i32"], "i32"),
    eq: i32Binary(0x46),
    ne: i32Binary(0x47),
    lt_s: i32Binary(0x48),
    lt_u: i32Binary(0x49),
    gt_s: i32Binary(0x4a),
    gt_u: i32Binary(0x4b),
    le_s: i32Binary(0x4c),
    le_u: i32Binary(0x4d),
    ge_s: i32Binary(0x4e),
    ge_u: i32Binary(0x4f),
    add: i32Binary(0x6a),
    sub: i32Binary(0x6b),
    mul: i32Binary(0x6c),
    div_s: i32Binary(0x6d),
    div_u: i32Binary(0x6e),
    rem_u: i32Binary(0x70),
    and: i32Binary(0x71),
    or: i32Binary(0x72),
    xor: i32Binary(0x73),
    shl: i32Binary(0x74),
    shr_s: i32Binary(0x75),
    shr_u: i32Binary(0x76),
    trunc_sat_f32_s: misc(0x00, ["f32"], "i32"),
    trunc_sat_f64_s: misc(0x02, ["f64"], "i32"),
    trunc_sat_f64_u: misc(0x03, ["f64"], "i32"),
    reinterpret_f32: plain(0xbc, ["f32"], "i32"),
    wrap_i64: plain(0xa7, ["i64"], "i32"),
  },
  i64: {
    add: plain(0x7c, ["i64", "i64"], "i64"),
    mul: plain(0x7e, ["i64", "i64"], "i64"),
    and: plain(0x83, ["i64", "i64"], "i64"),
    or: plain(0x84, ["i64", "i64"], "i64"),
    shl: plain(0x86, ["i64", "i64"], "i64"),
    shr_u: plain(0x88, ["i64", "i64"], "i64"),
    extend_i32_u: plain(0xad, ["i32"], "i64"),
    trunc_sat_f64_u: misc(0x07, ["f64"], "i64"),
  },
  f32: {
    eq: f32Compare(0x5b),
    ne: f32Compare(0x5c),
    lt: f32Compare(0x5d),
    gt: f32Compare(0x5e),
    le: f32Compare(0x5f),
    ge: f32Compare(0x60),
    abs: f32Unary(0x8b),
    neg: f32Unary(0x8c),
    nearest: f32Unary(0x90),
    sqrt: f32Unary(0x91),
    add: f32Binary(0x92),
    sub: f32Binary(0x93),
    mul: f32Binary(0x94),
    div: f32Binary(0x95),
    min: f32Binary(0x96),
    max: f32Binary(0x97),
    convert_i32_s: plain(0xb2, ["i32"], "f32"),
    demote_f64: plain(0xb6, ["f64"], "f32"),
    reinterpret_i32: plain(0xbe, ["i32"], "f32"),
  },
  f64: {
    sqrt: plain(0x9f, ["f64"], "f64"),
    add: f64Binary(0xa0),
    sub: f64Binary(0xa1),
    mul: f64Binary(0xa2),
    div: f64Binary(0xa3),
    convert_i32_s: plain(0xb7, ["i32"], "f64"),
    promote_f32: plain(0xbb, ["f32"], "f64"),
  },
  v128: {
    not: unary(0x4d),
    and: binary(0x4e),
    andnot: binary(0x4f),
    or: binary(0x50),
    xor: binary(0x51),
    bitselect: ternary(0x52),
    any_true: simd(0x53, ["v128"], "i32"),
  },
  i8x16: {
    swizzle: binary(0x0e),
    splat: simd(0x0f, ["i32"], "v128"),
    narrow_i16x8_s: binary(0x65),
    shl: shift(0x6b),
    shr_u: shift(0x6d),
    add: binary(0x6e),
    sub: binary(0x71),
  },
  i16x8: {
    splat: simd(0x10, ["i32"], "v128"),
    narrow_i32x4_s: binary(0x85),
    narrow_i32x4_u: binary(0x86),
    extend_low_i8x16_s: unary(0x87),
    extend_high_i8x16_s: unary(0x88),
    extend_low_i8x16_u: unary(0x89),
    extend_high_i8x16_u: unary(0x8a),
    shl: shift(0x8b),
    shr_s: shift(0x8c),
    shr_u: shift(0x8d),
    add: binary(0x8e),
    sub: binary(0x91),
    mul: binary(0x95),
  },
  i32x4: {
    splat: simd(0x11, ["i32"], "v128"),
    eq: binary(0x37),
    ne: binary(0x38),
    lt_s: binary(0x39),
    gt_s: binary(0x3b),
    extend_low_i16x8_s: unary(0xa7),
    extend_high_i16x8_s: unary(0xa8),
    extend_low_i16x8_u: unary(0xa9),
    extend_high_i16x8_u: unary(0xaa),
    shl: shift(0xab),
    shr_s: shift(0xac),
    shr_u: shift(0xad),
    add: binary(0xae),
    sub: binary(0xb1),
    mul: binary(0xb5),
    dot_i16x8_s: binary(0xba),
    trunc_sat_f32x4_s: unary(0xf8),
    relaxed_dot_i8x16_i7x16_add_s: ternary(0x113),
  },
  f32x4: {
    splat: simd(0x13, ["f32"], "v128"),
    eq: binary(0x41),
    ne: binary(0x42),
    lt: binary(0x43),
    gt: binary(0x44),
    le: binary(0x45),
    ge: binary(0x46),
    demote_f64x2_zero: unary(0x5e),
    ceil: unary(0x67),
    floor: unary(0x68),
    trunc: unary(0x69),
    nearest: unary(0x6a),
    abs: unary(0xe0),
    neg: unary(0xe1),
    sqrt: unary(0xe3),
    add: binary(0xe4),
    sub: binary(0xe5),
    mul: binary(0xe6),
    div: binary(0xe7),
    min: binary(0xe8),
    max: binary(0xe9),
    pmin: binary(0xea),
    pmax: binary(0xeb),
    convert_i32x4_s: unary(0xfa),
  },
  f64x2: {
    splat: simd(0x14, ["f64"], "v128"),
    promote_low_f32x4: unary(0x5f),
    add: binary(0xf0),
    sub: binary(0xf1),
    mul: binary(0xf2),
    div: binary(0xf3),
  },
} as const;

const memory = <const T extends ValueType>(
  prefix: number | null,
  code: number,
  align: number,
  type: T,
): MemoryInstruction<T> => ({ prefix, code, align, type });

/** Loads: an address and a constant offset in, a value out. */
export const LOADS = {
  i32: {
    load: memory(null, 0x28, 2, "i32"),
    load8_s: memory(null, 0x2c, 0, "i32"),
    load8_u: memory(null, 0x2d, 0, "i32"),
    load16_u: memory(null, 0x2f, 1, "i32"),
  },
  i64: { load: memory(null, 0x29, 3, "i64") },
  f32: { load: memory(null, 0x2a, 2, "f32") },
  f64: { load: memory(null, 0x2b, 3, "f64") },
  v128: {
    load: memory(SIMD, 0x00, 4, "v128"),
    load8x8_s: memory(SIMD, 0x01, 3, "v128"),
    load8x8_u: memory(SIMD, 0x02, 3, "v128"),
    load16x4_s: memory(SIMD, 0x03, 3, "v128"),
    load16x4_u: memory(SIMD, 0x04, 3, "v128"),
    load32_splat: memory(SIMD, 0x09, 2, "v128"),
    load64_splat: memory(SIMD, 0x0a, 3, "v128"),
    load32_zero: memory(SIMD, 0x5c, 2, "v128"),
    load64_zero: memory(SIMD, 0x5d, 3, "v128"),
  },
} as const;

/** Stores: an address, a constant offset and a value in, nothing out. */
export const STORES = {
  i32: {
    store: memory(null, 0x36, 2, "i32"),
    store8: memory(null, 0x3a, 0, "i32"),
    store16: memory(null, 0x3b, 1, "i32"),
  },
  f32: { store: memory(null, 0x38, 2, "f32") },
  f64: { store: memory(null, 0x39, 3, "f64") },
  v128: { store: memory(SIMD, 0x0b, 4, "v128") },
} as const;

/** Stores of one lane: lane 0 of a vector written as 4 or 8 bytes. */
export const LANE_STORES = {
  store8_lane: { code: 0x58, align: 0, lanes: 16 },
  store16_lane: { code: 0x59, align: 1, lanes: 8 },
  store32_lane: { code: 0x5a, align: 2, lanes: 4 },
  store64_lane: { code: 0x5b, align: 3, lanes: 2 },
} as const;

/** Reading a lane. */
export const EXTRACTS = {
  i32x4: { code: 0x1b, lanes: 4, type: "i32" },
  f32x4: { code: 0x1f, lanes: 4, type: "f32" },
  f64x2: { code: 0x21, lanes: 2, type: "f64" },
} as const;
