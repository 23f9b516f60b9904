/** The element types of GGUF tensors: `enum ggml_type` of ggml.h, with the block sizes of ggml-common.h. */

export interface GgmlType {
  readonly name: string;
  /** Elements and bytes of a block. */
  readonly elements: number;
  readonly bytes: number;
}

const K = 256; // QK_K: elements of a K-quant's super-block

/** [name, elements, bytes] by type id. Retired types are kept, so that an old file is refused by the right name. */
const TYPES: Readonly<Record<number, readonly [name: string, elements: number, bytes: number]>> = {
  0: ["F32", 1, 4],
  1: ["F16", 1, 2],
  2: ["Q4_0", 32, 18],
  3: ["Q4_1", 32, 20],
  4: ["Q4_2", 16, 10],
  5: ["Q4_3", 16, 12],
  6: ["Q5_0", 32, 22],
  7: ["Q5_1", 32, 24],
  8: ["Q8_0", 32, 34],
  9: ["Q8_1", 32, 36],
  10: ["Q2_K", K, 84],
  11: ["Q3_K", K, 110],
  12: ["Q4_K", K, 144],
  13: ["Q5_K", K, 176],
  14: ["Q6_K", K, 210],
  15: ["Q8_K", K, 292],
  16: ["IQ2_XXS", K, 66],
  17: ["IQ2_XS", K, 74],
  18: ["IQ3_XXS", K, 98],
  19: ["IQ1_S", K, 50],
  20: ["IQ4_NL", 32, 18],
  21: ["IQ3_S", K, 110],
  22: ["IQ2_S", K, 82],
  23: ["IQ4_XS", K, 136],
  24: ["I8", 1, 1],
  25: ["I16", 1, 2],
  26: ["I32", 1, 4],
  27: ["I64", 1, 8],
  28: ["F64", 1, 8],
  29: ["IQ1_M", K, 56],
  30: ["BF16", 1, 2],
  31: ["Q4_0_4_4", 32, 18],
  32: ["Q4_0_4_8", 32, 18],
  33: ["Q4_0_8_8", 32, 18],
  34: ["TQ1_0", K, 54],
  35: ["TQ2_0", K, 66],
  36: ["IQ4_NL_4_4", 32, 18],
  37: ["IQ4_NL_4_8", 32, 18],
  38: ["IQ4_NL_8_8", 32, 18],
  39: ["MXFP4", 32, 17],
  40: ["NVFP4", 64, 36],
  41: ["Q1_0", 128, 18],
  42: ["Q2_0", 64, 18],
};

/** A type by its id in the file, null for an id that ggml has not given out. */
export function ggmlType(id: number): GgmlType | null {
  const type = Object.hasOwn(TYPES, id) ? TYPES[id] : undefined;
  return type === undefined ? null : { name: type[0], elements: type[1], bytes: type[2] };
}
