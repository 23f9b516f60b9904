/**
 * Characters that the reference's tables do not know yet. Hugging Face normalizes with unicode-normalization-alignments
 * 0.1.12 (Unicode 9) and finds accents with unicode_categories 0.1.1 (Unicode 8); what came later stays as it is there.
 * Checked against Unicode 17, over all code points; an engine with a later version may know marks that are not listed.
 * The ranges span gaps in which no character has marks, classes or decompositions in either version.
 */

const AFTER_9 =
  "\\u07fd\\u0897-\\u08d3\\u09fe\\u0afa-\\u0aff\\u0b55\\u0c04-\\u0c3c\\u0cf3-\\u0d00\\u0d3b\\u0d3c\\u0d81\\u0eba\\u0ece" +
  "\\u1715\\u180f\\u1abf-\\u1aeb\\u1cf7\\u1df6-\\u1dfa\\u32ff\\ua7f1-\\ua7f4\\ua82c\\ua8ff\\uab69\\u{105c9}-\\u{107ba}" +
  "\\u{10d24}-\\u{10f85}\\u{11070}-\\u{11074}\\u{110c2}\\u{11145}\\u{11146}\\u{111c9}\\u{111ce}\\u{111cf}\\u{11241}" +
  "\\u{1133b}\\u{11383}-\\u{113e2}\\u{1145e}\\u{1182c}-\\u{11b67}\\u{11d31}-\\u{1612f}\\u{16d68}-\\u{16f4f}" +
  "\\u{16f7f}-\\u{16f87}\\u{16fe4}-\\u{16ff1}\\u{1ccd6}-\\u{1cf46}\\u{1e030}-\\u{1e6f5}\\u{1f16c}\\u{1fbf0}-\\u{1fbf9}";
const IN_9 =
  "\\u08d4-\\u08e1\\u1885\\u1886\\u1dfb\\ua8c5\\ua9bd\\u{1123e}\\u{11438}-\\u{11446}\\u{11c30}-\\u{11cb6}\\u{1e000}-\\u{1e02a}\\u{1e944}-\\u{1e94a}";

/** Marks and decompositions that Unicode 9 does not have. */
export const afterUnicode9 = new RegExp(`[${AFTER_9}]`, "u");

/** Accents that Unicode 8 does not have. */
export const afterUnicode8 = new RegExp(`[${AFTER_9}${IN_9}]`, "u");
