/**
 * Characters that the reference's tables do not know yet. Hugging Face normalizes with unicode-normalization-alignments
 * 0.1.12 (Unicode 9) and finds accents with unicode_categories 0.1.1 (Unicode 8); what came later stays as it is there.
 * Checked against Unicode 17, over all code points; an engine with a later version may know marks that are not listed.
 * The ranges span gaps in which no character has marks, classes or decompositions in either version.
 */

import { codeClass } from "./characters";

const AFTER_9 =
  "7fd 897-8d3 9fe afa-aff b55 c04-c3c cf3-d00 d3b d3c d81 eba ece 1715 180f 1abf-1aeb 1cf7 1df6-1dfa 32ff a7f1-a7f4 a82c a8ff ab69 105c9-107ba 10d24-10f85 11070-11074 110c2 11145 11146 111c9 111ce 111cf 11241 1133b 11383-113e2 1145e 1182c-11b67 11d31-1612f 16d68-16f4f 16f7f-16f87 16fe4-16ff1 1ccd6-1cf46 1e030-1e6f5 1f16c 1fbf0-1fbf9";
const IN_9 = "8d4-8e1 1885 1886 1dfb a8c5 a9bd 1123e 11438-11446 11c30-11cb6 1e000-1e02a 1e944-1e94a";

/** Marks and decompositions that Unicode 9 does not have. */
export const afterUnicode9 = codeClass(AFTER_9);

/** Accents that Unicode 8 does not have. */
export const afterUnicode8 = codeClass(`${AFTER_9} ${IN_9}`);
