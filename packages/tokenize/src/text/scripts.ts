/** The scripts of characters, as the pre-tokenizer UnicodeScripts tells them apart. */

/**
 * The scripts of the reference's table (Unicode 9). What Unicode has added to these scripts since then counts here and
 * not there, where it has no script; later scripts count as none in both.
 */
const SCRIPTS =
  "ZyyyQaaiLatnGrekCyrlArmnHebrArabSyrcThaaDevaBengGuruGujrOryaTamlTeluKndaMlymSinhThaiLaooTibtMymrGeorHangEthiCherCansOgamRunrKhmrMongHiraKanaBopoHaniYiiiItalGothDsrtTglgHanoBuhdTagbLimbTaleLinbUgarShawOsmaCprtBraiBugiCoptTaluGlagTfngSyloXpeoKharBaliXsuxPhnxPhagNkooSundLepcOlckVaiiSaurKaliRjngLyciCariLydiChamLanaTavtAvstEgypSamrLisuBamuJavaMteiArmiSarbPrtiPhliOrkhKthiBatkBrahMandCakmMercMeroMiaoShrdSoraTakrAghbBassDuplElbaGranHmngKhojLinaMahjManiMendModiMrooNarbNbatPalmPaucPermPhlpSiddSindTirhWaraAhomHluwHatrMultHungSgnwAdlmBhksMarcNewaOsgeTang".match(
    /[A-Z][a-z]+/g,
  ) as string[];
const HAN = SCRIPTS.indexOf("Hani") + 1;

let tests: readonly RegExp[] | undefined;
const pages: (Uint8Array | undefined)[] = [];

/** A number for each script, 0 for none. Hiragana, Katakana and the long vowel mark count as Han; the space as none. */
export function scriptOf(code: number): number {
  const page = pages[code >>> 8] ?? fill(code >>> 8);
  return page[code & 0xff];
}

function fill(index: number): Uint8Array {
  tests ??= SCRIPTS.map((script) => new RegExp(`\\p{Script=${script}}`, "u"));
  const page = new Uint8Array(256);
  let last = 0;
  for (let low = 0; low < 256; low++) {
    const code = index * 256 + low;
    const character = String.fromCodePoint(code);
    // Neighbours mostly share their script.
    if (!tests[last].test(character))
      last = Math.max(
        tests.findIndex((test) => test.test(character)),
        0,
      );
    page[low] = tests[last].test(character) ? counted(code, last) : 0;
  }
  pages[index] = page;
  return page;
}

function counted(code: number, index: number): number {
  if (code === 0x20) return 0;
  if (code === 0x30fc || SCRIPTS[index] === "Hira" || SCRIPTS[index] === "Kana") return HAN;
  // Common in the reference's table: the Armenian full stop and the Arabic letter mark. Devanagari: two accents.
  if (code === 0x589 || code === 0x61c) return 1;
  if (code === 0x953 || code === 0x954) return SCRIPTS.indexOf("Deva") + 1;
  return index + 1;
}
