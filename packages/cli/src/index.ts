/** One import for the whole library: what `@qkv/core`, `@qkv/models` and `@qkv/tokenize` export. */

export * from "@qkv/core";
export * from "@qkv/models";
export * from "@qkv/tokenize";
