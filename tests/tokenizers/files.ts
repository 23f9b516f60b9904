/** The tokenizer.json files that libraries make of BERT's vocab.txt, GPT-2's two files and T5's sentencepiece model. */

function special(id: number, content: string): object {
  return { id, content, single_word: false, lstrip: false, rstrip: false, normalized: false, special: true };
}

/** What transformers makes of BERT's vocab.txt. */
export function bertJson(vocabTxt: string, lowercase: boolean): object {
  const tokens = vocabTxt.replace(/\n$/, "").split("\n");
  const vocab = Object.fromEntries(tokens.map((token, id) => [token, id]));
  const [cls, sep] = ["[CLS]", "[SEP]"].map((id) => ({ SpecialToken: { id, type_id: 0 } }));
  const [a, b] = ["A", "B"].map((id, typeId) => ({ Sequence: { id, type_id: typeId } }));
  return {
    version: "1.0",
    added_tokens: ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"].map((token) => special(vocab[token], token)),
    normalizer: {
      type: "BertNormalizer",
      clean_text: true,
      handle_chinese_chars: true,
      strip_accents: null,
      lowercase,
    },
    pre_tokenizer: { type: "BertPreTokenizer" },
    post_processor: {
      type: "TemplateProcessing",
      single: [cls, a, sep],
      pair: [cls, a, sep, b, { SpecialToken: { id: "[SEP]", type_id: 1 } }],
      special_tokens: Object.fromEntries(["[CLS]", "[SEP]"].map((id) => [id, { id, ids: [vocab[id]], tokens: [id] }])),
    },
    decoder: { type: "WordPiece", prefix: "##", cleanup: true },
    model: {
      type: "WordPiece",
      unk_token: "[UNK]",
      continuing_subword_prefix: "##",
      max_input_chars_per_word: 100,
      vocab,
    },
  };
}

/** GPT-2's two files in one. */
export function gpt2Json(vocabJson: string, mergesText: string): object {
  const vocab = JSON.parse(vocabJson) as Record<string, number>;
  const lines = mergesText.split("\n").filter((line) => line !== "" && !line.startsWith("#version"));
  const byteLevel = { type: "ByteLevel", add_prefix_space: false, trim_offsets: false, use_regex: true };
  return {
    version: "1.0",
    added_tokens: [special(vocab["<|endoftext|>"], "<|endoftext|>")],
    normalizer: null,
    pre_tokenizer: byteLevel,
    post_processor: byteLevel,
    decoder: byteLevel,
    model: {
      type: "BPE",
      dropout: null,
      unk_token: null,
      continuing_subword_prefix: "",
      end_of_word_suffix: "",
      fuse_unk: false,
      byte_fallback: false,
      ignore_merges: false,
      vocab,
      merges: lines,
    },
  };
}

/** What transformers makes of T5's .model: its pieces and charsmap, the hundred sentinels, and `</s>` at the end. */
export function t5Json(model: Uint8Array): object {
  const { pieces, charsmap } = sentencePiece(model);
  // Older libraries know `add_prefix_space` alone.
  const metaspace = {
    type: "Metaspace",
    replacement: "▁",
    prepend_scheme: "always",
    add_prefix_space: true,
    split: true,
  };
  const eos = { SpecialToken: { id: "</s>", type_id: 0 } };
  const [a, b] = ["A", "B"].map((id) => ({ Sequence: { id, type_id: 0 } }));
  const sentinels = Array.from({ length: 100 }, (_, i): [string, number] => [`<extra_id_${99 - i}>`, 0]);
  return {
    version: "1.0",
    added_tokens: [
      ...["<pad>", "</s>", "<unk>"].map((token, id) => special(id, token)),
      ...sentinels.map(([token], i) => special(pieces.length + i, token)),
    ],
    normalizer: { type: "Precompiled", precompiled_charsmap: charsmap },
    pre_tokenizer: { type: "Sequence", pretokenizers: [{ type: "WhitespaceSplit" }, metaspace] },
    post_processor: {
      type: "TemplateProcessing",
      single: [a, eos],
      pair: [a, eos, b, eos],
      special_tokens: { "</s>": { id: "</s>", ids: [1], tokens: ["</s>"] } },
    },
    decoder: metaspace,
    model: { type: "Unigram", unk_id: 2, vocab: [...pieces, ...sentinels], byte_fallback: false },
  };
}

/** Fields of a protocol buffer: of each, its number and where its value lies. Enough for a file that is known. */
function* fields(bytes: Uint8Array): Generator<{ field: number; value: Uint8Array }> {
  let at = 0;
  const varint = (): number => {
    let result = 0;
    for (let scale = 1; ; scale *= 128) {
      const byte = bytes[at++];
      result += (byte & 127) * scale;
      if (byte < 128) return result;
    }
  };
  while (at < bytes.length) {
    const tag = varint();
    const start = at;
    let length = 4;
    if ((tag & 7) === 0) {
      varint();
      length = at - start;
    } else if ((tag & 7) === 2) length = varint();
    at += (tag & 7) === 0 ? 0 : length;
    yield { field: Math.floor(tag / 8), value: bytes.subarray(at - length, at) };
  }
}

/** The pieces of a sentencepiece model with their scores, and its charsmap in base64. */
export function sentencePiece(model: Uint8Array): { pieces: [string, number][]; charsmap: string } {
  const pieces: [string, number][] = [];
  let charsmap = "";
  for (const { field, value } of fields(model)) {
    if (field === 1) {
      let piece = "";
      let score = 0;
      for (const part of fields(value)) {
        if (part.field === 1) piece = new TextDecoder().decode(part.value);
        if (part.field === 2) score = new DataView(part.value.buffer, part.value.byteOffset).getFloat32(0, true);
      }
      pieces.push([piece, score]);
    }
    if (field === 3) {
      for (const part of fields(value)) if (part.field === 2) charsmap = Buffer.from(part.value).toString("base64");
    }
  }
  return { pieces, charsmap };
}
