/** Random texts of the kinds that tokenizers get wrong, made by fast-check from a seed. */

import { readFileSync } from "node:fs";
import fc from "fast-check";
import { repository } from "../support/fixtures";
import { awkwardTexts } from "../support/tokenizer-fixtures";

const points = (...codes: readonly number[]): string[] => codes.map((code) => String.fromCodePoint(code));
const range = (from: number, to: number): string[] =>
  points(...Array.from({ length: to - from + 1 }, (_, i) => from + i));

/** Characters and short texts, by what is special about them. Each kind is as likely as any other. */
const KINDS: Readonly<Record<string, readonly string[]>> = {
  // Unicode's white spaces, and what other definitions count as one
  spaces: [
    ...range(0x2000, 0x200d),
    ..." \t\n\v\f\r\u001c\u001f\u0085\u00a0\u1680\u180e\u2028\u2029\u202f\u205f\u2060\u3000\ufeff",
  ],
  newlines: ["\r\n", "\n\n", " \n", "\n ", "\r", "  \r\n  "],
  controls: [
    ...range(0, 0x1f),
    ...range(0x7f, 0x9f),
    "\u00ad",
    ...range(0x202a, 0x202e),
    ...range(0x2060, 0x206f),
    ...points(0xfff9, 0xe0001, 0xe0041, 0x110bd),
  ],
  combining: [
    ..."\u0300\u0301\u0302\u0303\u0308\u0327\u0323\u0338\u0345\u034f\u0483\u0591\u05b0\u064b\u0653\u093c\u094d\u09be\u0e31\u0e49\u0f71\u1ab0\u1dc0\u20d0\u20dd\u20e3\u302a\u3099\u309a\ufe00\ufe0f\ufe20",
    ...points(0x1d165, 0x1d16d, 0xe0100, 0x11131),
  ],
  jamo: [
    ..."\u1100\u1112\u115f\u1160\u1161\u1175\u11a7\u11a8\u11c2\ua960\ud7b0\ud7cb\uac00\uac01\ud7a3\u3131\u3163\uffa0\uffa1\uffc2",
  ],
  case: [
    ..."ΣσςİıſßẞŉǰΐΰﬀﬁﬃﬆAZÅKÅÉéÇçŒœØøĐđŁłÞÐǅǆǄᎠꭰᲐაႠⅧⓐⒶꞀꭓ",
    "ΑΣ",
    "ΑΣ ",
    "ΣΑΣ",
    "I\u0307",
    "i\u0307",
    ...points(0x10400, 0x10428, 0x1e900, 0x1e922, 0x16e40),
  ],
  compatibility: [
    ..."ﷺ㍿㌀①½⅓²₂ªº™℡…‥ｱﾞﾊﾟﾡ￥ＡｚＺ０ﹽ︵﹏ﬤיּשּׁﻹẛ\u0344\u0958\u212a\u2126\u1e9b\u0f73\u0387\u037e\u2000\ufb1d\u3392㋿",
    ...points(0x1d400, 0x1d7d8, 0x1f100, 0x1f1e6, 0x2f800, 0x1d15e, 0x1fbf0),
  ],
  emoji: ["😀", "👍🏽", "👩‍👩‍👧‍👦", "🏴󠁧󠁢󠁥󠁮󠁧󠁿", "🇩🇪", "🇩", "1️⃣", "❤️", "❤", "‍", "🏽", "🧑‍🚀", "©️", "☃", "🫠", "🫩"],
  digits: [
    ..."0123456789٠٩۵०९০๐០０９²³¹½¼Ⅳⅷ〇一二十百萬万",
    ...points(0x1d7ce, 0x1d7ff, 0x10107, 0x1e950, 0x11c50),
    "12",
    "345",
    "6789",
    "1,000.50",
    "3.14e-10",
    "1st",
  ],
  punctuation: [
    ...range(0x21, 0x2f),
    ..."[]{}^_`|~@<>=?:;¡¿«»·§¶“”‘’—–…†‡‰′″、。「」『』！？，．：；・〜｡､﹁﹂$+€£¥¢₹×÷±№°©®^¨´¸˜",
    "...",
    "!!!",
    "--",
    "==",
    "//",
    "://",
    "##",
    "##ing",
    "n't",
    " .",
    " ,",
    " '",
  ],
  contractions: [
    "'s",
    "'t",
    "'re",
    "'ve",
    "'m",
    "'ll",
    "'d",
    "'S",
    "'RE",
    "'LL",
    "'ſ",
    "’s",
    "’re",
    "''s",
    "don't",
    "I'm",
    "L'été",
    "o'clock",
    "'",
    "' s",
  ],
  chinese: [
    ..."㐀䶿一丁龥鿿豈龎々〆〇中文字机器学习",
    ...points(0x20000, 0x2a6df, 0x2a700, 0x2b740, 0x2b820, 0x2ceb0, 0x2f800, 0x30000, 0x31350, 0x2ebf0),
    "你好",
    "世界",
    "東京",
  ],
  scripts: [
    ..."aàбїαшאבمحहिनக்ஷกาខ្មែរあアんー각ᄀ한ทำไมြန်မာಕ್ಷქართული",
    ...points(0x10330, 0x12000, 0x13000, 0x1f600, 0x16f00, 0x1b000),
    "क्षि",
    "ကြီး",
    "नमस्ते",
    "สวัสดี",
  ],
  encodings: [
    ..."▁ĠĊÂâĀģŃ¤",
    "▁▁",
    "▁a",
    " ▁",
    "Ġthe",
    "ĉ",
    "</w>",
    "<0x0A>",
    "<0xE2>",
    "<0xZZ>",
    "<unk>",
    "<s>",
    "</s>",
    "<pad>",
    "[UNK]",
    "[CLS]",
    "[MASK]",
    "[SEP]",
    "<|endoftext|>",
    "<extra_id_0>",
    "<|im_start|>",
  ],
  // beside the surrogates, the ends of planes, private use
  edges: points(
    0xd7ff,
    0xe000,
    0xf8ff,
    0xfdd0,
    0xfdef,
    0xfffc,
    0xfffd,
    0xfffe,
    0xffff,
    0x10000,
    0x1fffe,
    0x1ffff,
    0xf0000,
    0x10ffff,
    0x100000,
  ),
  unassigned: points(
    0x378,
    0x379,
    0x530,
    0x5cf,
    0xe00,
    0x1ff0,
    0x2065,
    0x2fe0,
    0xa7dd,
    0x1ffff,
    0x3ffff,
    0x50000,
    0xe0fff,
    0x11fff,
    0x1faff,
  ),
  // Characters of Unicode 14 to 17, which the reference's tables may or may not have
  recent: points(
    0x870,
    0x1df5,
    0x2c2f,
    0x20c0,
    0x20c1,
    0xa7c0,
    0xa7cb,
    0xa7da,
    0x1c89,
    0x1c8a,
    0x10570,
    0x10597,
    0x10d50,
    0x10d70,
    0x16ea0,
    0x16ebb,
    0x11240,
    0x1e4d0,
    0x1fae8,
    0x31350,
    0x323b0,
    0x11b60,
    0x10eb0,
    0x1ccf0,
  ),
  surrogates: ["\ud800", "\udbff", "\udc00", "\udfff", "\ud83d", "\ude00", "\udc00\ud800"],
  ascii: range(0x20, 0x7e),
};

const AWKWARD = Object.values(awkwardTexts().texts).filter((text) => text.length <= 100);
const WORDS = readFileSync(repository("tests/fixtures/tokenizers/make/multilingual.txt"), "utf8").match(/\S+/g) ?? [];

/**
 * Texts of a dozen pieces, seldom longer than a hundred units, lone surrogates and all. `own` are texts that mean
 * something to the tokenizer: tokens of its vocabulary, added tokens.
 */
export function awkwardText(own: readonly string[]): fc.Arbitrary<string> {
  const atom = fc.oneof(...Object.values(KINDS).map((kind) => fc.constantFrom(...kind)));
  const word = fc.constantFrom(...WORDS);
  const ownPiece = own.length === 0 ? word : fc.constantFrom(...own);
  const anything = fc.oneof(
    fc.integer({ min: 0, max: 0x10ffff }).map((code) => String.fromCodePoint(code)),
    // neighbours share a script
    fc
      .tuple(
        fc.integer({ min: 0, max: 0x3ff }),
        fc.array(fc.integer({ min: 0, max: 127 }), { minLength: 1, maxLength: 6 }),
      )
      .map(([block, offsets]) => String.fromCodePoint(...offsets.map((offset) => block * 128 + offset))),
  );
  const run = fc
    .tuple(fc.oneof(atom, ownPiece), fc.integer({ min: 2, max: 40 }))
    .map(([piece, times]) => piece.repeat(Math.ceil(times / piece.length)));
  const stack = fc
    .tuple(
      fc.constantFrom(..."aeıÅ가ก한 ☃1"),
      fc.array(fc.constantFrom(...KINDS.combining), { minLength: 1, maxLength: 5 }),
    )
    .map(([base, marks]) => base + marks.join(""));
  const almost = fc
    .tuple(ownPiece, fc.integer({ min: 0, max: 30 }), fc.nat(7))
    .map(([piece, at, how]) => damaged(piece, at, how));
  const piece = fc.oneof(
    { weight: 6, arbitrary: atom },
    { weight: 3, arbitrary: word },
    { weight: 2, arbitrary: fc.constant(" ") },
    { weight: 2, arbitrary: ownPiece },
    { weight: 1, arbitrary: almost },
    { weight: 1, arbitrary: anything },
    { weight: 1, arbitrary: run },
    { weight: 1, arbitrary: stack },
    { weight: 1, arbitrary: fc.constantFrom(...AWKWARD) },
  );
  return fc.array(piece, { maxLength: 12, size: "max" }).map((pieces) => pieces.join(""));
}

/** Characters by the thousand that are much alike: Unicode itself gives them no properties of their own. */
const ALIKE =
  /[\p{Co}\p{Cn}\p{Unified_Ideograph}\u{ac00}-\u{d7a3}\p{Script=Tangut}\p{Script=Cuneiform}\p{Script=Egyptian_Hieroglyphs}]/u;

/** Every so many characters, from where the seed says, each between letters, after a space and before a digit. */
export function everyCharacter(step: number, seed: number): string[] {
  const texts: string[] = [];
  let text = "";
  const alike = (code: number): boolean => code < 0x110000 && ALIKE.test(String.fromCodePoint(code));
  for (let code = seed % step; code < 0x110000; code += step) {
    if (code >= 0xd800 && code < 0xe000) continue;
    // Of these, where they begin and end, and a few in between.
    if (code % 256 > 1 && alike(code) && alike(code - 1) && alike(code + 1)) continue;
    const character = String.fromCodePoint(code);
    text += `x${character}y ${character}1 `;
    if (text.length > 200) {
      texts.push(text);
      text = "";
    }
  }
  return [...texts, text];
}

/** Something that is nearly a token. */
function damaged(piece: string, at: number, how: number): string {
  const cut = Math.min(at, piece.length);
  switch (how) {
    case 0:
      return piece.slice(0, cut);
    case 1:
      return piece.slice(cut);
    case 2:
      return `${piece.slice(0, cut)} ${piece.slice(cut)}`;
    case 3:
      return piece.toUpperCase();
    case 4:
      return `${piece}\u0301`;
    case 5:
      return piece + piece;
    case 6:
      return `x${piece}y`;
    default:
      return `  ${piece}  `;
  }
}
