/** What is summarized: texts of the kind that t5-titler was made for. */

import { Tokenizer } from "../../packages/tokenize/src/index";
import { LENGTHS, type TitledText } from "./protocol";

/** Cut to the lengths that are measured. Speed does not depend on what it says. */
const LONG =
  "summarize agent step: intent: Moving the tide tables to a new format | actions: read_file, edit_file, bash, grep, create_file " +
  "| files: tides.py, harbour.py, tables.yaml, README.md | symbols: TideTable.height, predict_day, HARMONICS, read_gauge " +
  "| notes: The clerk of a small harbour works out the tide tables a year ahead: he splits the heights measured at the pier into " +
  "waves, and adds those up for every hour to come. The old files keep one number in a line, which takes minutes to read, so the " +
  "tables move into one file for each year, with the waves at its head and the hours below. The reader checks both against each " +
  "other and names the first hour that differs. Two tests fail as the year begins at noon, which was the custom before 1925, and " +
  "the new reader begins at midnight; both are kept, and the file says which it is. After that the command line gets an option for " +
  "the pier, so that other harbours can use it, and the old format is read for one more year. The gauge was under water in 1953, " +
  "and its heights of that night were put in by hand: they are marked now, and left out when the waves are worked out anew. The " +
  "printed tables stay as they are, for the boats that still hang them beside the wheel, in large letters and without any waves.";

/** Texts whose states and titles are compared. @param json the model's tokenizer.json */
export function titledTexts(json: string): readonly TitledText[] {
  const tokenizer = Tokenizer.fromTokenizerJson(json);
  return TITLED.map((each) => ({ ...each, ids: [...tokenizer.encode(each.text, { truncation: null }).ids] }));
}

/** Ids of sources of exactly `LENGTHS` tokens, `</s>` among them. @param json the model's tokenizer.json */
export function makeSources(json: string): readonly (readonly number[])[] {
  const tokenizer = Tokenizer.fromTokenizerJson(json);
  return LENGTHS.map((length) => {
    const { ids } = tokenizer.encode(LONG, { truncation: { maxLength: length } });
    if (ids.length !== length) throw new Error(`a source of ${ids.length} tokens in place of ${length}`);
    return [...ids];
  });
}

/** Steps of agents, and their titles by transformers 5.23.0 and torch 2.15.0, as tests/fixtures/goldens/make/real.py has them. */
const TITLED: readonly { readonly text: string; readonly title: string }[] = [
  {
    text: "summarize agent step: intent: Fixing login redirect bug | actions: read_file, edit_file | files: auth.py, session.py | symbols: login_required, redirect_to",
    title: "Fix login redirect bug",
  },
  {
    text: "summarize agent step: actions: bash, grep | files: package.json, tsconfig.json | notes: The build fails because the compiler cannot find the module. I will pin the version.",
    title: "Debug build failure",
  },
  {
    text: "summarize agent step: actions: create_file | files: test_parser.py | symbols: parse_header, HeaderError | notes: Add tests for malformed headers.",
    title: "Create test file",
  },
  {
    text: "summarize agent step: intent: Exploring the repository",
    title: "Locate and examine repository",
  },
  {
    text: "summarize agent step: actions: sql, read_file | files: schema.sql, migrate.py | symbols: user_id, ADD_COLUMN, Migration.run | notes: Añadir la columna “émail” naïvely, then backfill 10,000 rows.",
    title: "Perform final migration audit",
  },
  {
    text: "summarize agent step: intent: Refactoring the cache layer | actions: read_file, edit_file, bash, grep, view, create_file | files: cache.py, store.py, lru.py, config.yaml, README.md | symbols: CacheStore.get, evict_oldest, MAX_ENTRIES, ttl_seconds, _lock | notes: The cache keeps every entry forever, so memory grows without bound. Let us add a maximum size and a time to live, move the eviction out of the request path into a background task, and keep the old interface so that callers need no change. The tests show that two threads can evict the same entry, which raises a KeyError in evict_oldest under load. I will guard the map with a lock, count hits and misses, and write the numbers to the metrics endpoint every minute.",
    title: "Refactor and document cache storage",
  },
];
