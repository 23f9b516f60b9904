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

/** Most words that a model remembers, and the longest of them in UTF-16 units: a few MB at worst. */
export const MAX_CACHED_WORDS = 16_384;
export const MAX_CACHED_WORD = 64;

/** Largest length in an option of truncation or padding, and most parts that truncation cuts a text into. */
export const MAX_LENGTH_OPTION = 2 ** 31 - 1;
export const MAX_OVERFLOWING = 1 << 20;

/** Longest piece of a Unigram vocabulary or sentencepiece model in UTF-16 units: sentencepiece trains at most 512 characters. */
export const MAX_PIECE_LENGTH = 1024;

/** Longest key or replacement of a charsmap in bytes (NFKC's longest has 33): bounds the look ahead and the growth. */
export const MAX_CHARSMAP_TEXT = 192;

/** Largest `max_input_chars_per_word` of a WordPiece model; known files say 100. */
export const MAX_WORD_CHARS = 2 ** 31 - 1;

/** Longest string or regular expression of a Split or Replace, in UTF-16 units; the longest we know of has 600. */
export const MAX_REGEX_LENGTH = 4096;

/** Deepest nesting of groups and classes in a regular expression: parsing, compiling and matching recurse this far. */
export const MAX_REGEX_DEPTH = 32;

/** Most instructions of a regular expression, after bounded repetitions are written out; the largest we know of has 200. */
export const MAX_REGEX_PROGRAM = 4096;

/** Most characters that one repetition may count, Oniguruma's own limit. */
export const MAX_REGEX_REPEAT = 100_000;

/** Most different properties in a regular expression: looking all of Unicode up takes 50 ms for each. */
export const MAX_REGEX_PROPERTIES = 32;

/** Most bytes that one search takes for its stack, and for the failures that it remembers: a match of 4 million choices. */
export const MAX_REGEX_MEMORY = 1 << 26;

/** Longest piece of a FixedLength pre-tokenizer, far above any text. */
export const MAX_FIXED_LENGTH = 2 ** 31 - 1;

/** Largest tokenizer file: the largest tokenizer.json in use are about 35 MB. */
export const MAX_FILE_BYTES = 256 * 1024 * 1024;

/** Largest charsmap in GGUF metadata; NFKC's has 240 kB. */
export const MAX_CHARSMAP_BYTES = 1 << 24;

/** Most sentinels of a T5 vocabulary; known ones have 100 or 300. */
export const MAX_EXTRA_IDS = 10_000;
