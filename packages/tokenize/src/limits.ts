/** Every limit on untrusted files, each with its reason. */

/** Most ids in a vocabulary: 16 times the largest we know of (Gemma, 262,144). Also keeps a merge's rank in 22 bits. */
export const MAX_VOCAB_SIZE = 1 << 22;

/** Most merges: at most one a token makes sense, and a few files list some tokens' merges twice or thrice. */
export const MAX_MERGES = 1 << 22;

/** Deepest JSON: tokenizer.json nests about seven levels; a parser or a walk must never run out of stack. */
export const MAX_JSON_DEPTH = 64;

/** Most values in a JSON text: eight times the largest tokenizer.json we know of; bounds the memory that commas alone can claim. */
export const MAX_JSON_VALUES = 20_000_000;

/** Longest piece of a file's text in an error message: enough to recognise a name. */
export const MAX_SHOWN_TEXT = 200;

/** Longest added token in UTF-16 units: matching may look this far ahead at each position (known ones stay below 64). */
export const MAX_ADDED_TOKEN_LENGTH = 256;

/** Characters of all added tokens together, normalized or not: bounds the search trie. Real files: a few thousand of < 50. */
export const MAX_ADDED_TOKENS_LENGTH = 2_000_000;

/** Most ids and pieces that the templates add around a text; known files add one or two. */
export const MAX_TEMPLATE_IDS = 1024;

/** Longest pattern or prefix in a normalizer or decoder; known ones are a character or two. */
export const MAX_PATTERN_LENGTH = 256;

/** Most steps of one stage, over all its nested Sequences; known files have at most a dozen. */
export const MAX_SEQUENCE_STEPS = 64;

/** Most times that a stage may lengthen a text, by replacements and prefixes: chained doublings would otherwise fill the memory. */
export const MAX_GROWTH = 64;

/** Most characters that a Strip decoder may take off an end; known files take one. */
export const MAX_STRIP = 1 << 20;

/** Most pairs that score merging remembers (16 bytes each, in a table half full): what is forgotten is looked up again. */
export const MAX_CACHED_PAIRS = 1 << 20;

/** Symbols of a word for which memory is kept from one call to the next (24 bytes each); longer words give it back. */
export const MAX_KEPT_SYMBOLS = 1 << 16;
