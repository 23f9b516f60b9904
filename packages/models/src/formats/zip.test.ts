import { describe, expect, it } from "vitest";
import { UnsupportedModelError } from "../errors";
import { u16, type ZipOptions, type ZipPart, zip } from "./pytorch-testing";
import { concat, expectBadFile, inMemory, u32, utf8, worksOrIsRefused } from "./testing";
import { locateEntry, readEntry, readZipDirectory } from "./zip";

const F = "model.bin";
const A: ZipPart = { name: "m/a", data: utf8("first") };
const B: ZipPart = { name: "m/b", data: utf8("second one") };

/** Every entry's data as text. */
async function contents(file: Uint8Array, options = {}): Promise<Record<string, string>> {
  const files = inMemory({ [F]: file }, options);
  const directory = await readZipDirectory(files, F);
  const found: Record<string, string> = {};
  for (const [name, entry] of directory.entries) {
    found[name] = new TextDecoder().decode(await readEntry(files, directory, entry, 1000));
  }
  return found;
}

const BOTH = { "m/a": "first", "m/b": "second one" };

describe("an archive is read", () => {
  it.each<[string, readonly ZipPart[], ZipOptions]>([
    ["plain", [A, B], {}],
    [
      "with sizes behind the data, aligned, in UTF-8",
      [
        { ...A, flags: 0x808, padding: 60 },
        { ...B, flags: 0x808 },
      ],
      {},
    ],
    ["with a zip64 end", [A, B], { zip64: true }],
    ["with zip64 sizes", [{ ...A, wide: true }, B], { zip64: true }],
    ["with a comment", [A, B], { comment: utf8("a comment") }],
    ["with a comment as long as can be, over an end record inside", [A, B], { comment: endInside(65_535) }],
    ["with something between entries and directory", [A, B], { between: new Uint8Array(100) }],
  ])("%s", async (_, parts, options) => {
    expect(await contents(zip(parts, options))).toEqual(BOTH);
    expect(await contents(zip(parts, options), { sizes: false })).toEqual(BOTH);
  });

  it("of which the directory is not within the last 64 KiB", async () => {
    const many = Array.from({ length: 2000 }, (_, i) => ({ name: `m/${i}`, data: utf8(`${i}`) }));
    const found = await contents(zip(many));
    expect(Object.keys(found)).toHaveLength(2000);
    expect(found["m/1234"]).toBe("1234");
  });

  it("that has no entry", async () => expect(await contents(zip([]))).toEqual({}));

  it("whose sources do not tell sizes, at any size", async () => {
    for (const length of [0, 1, 65_000, 65_536, 65_537, 131_072, 1_000_001]) {
      const file = zip([A, { name: "m/long", data: new Uint8Array(length) }]);
      const files = inMemory({ [F]: file }, { sizes: false });
      const { entries } = await readZipDirectory(files, F);
      expect(entries.get("m/long")?.size).toBe(length);
    }
  });
});

/** A comment that holds what looks like an end record, with a comment that does not end with the file. */
function endInside(length: number): Uint8Array {
  const comment = new Uint8Array(length);
  comment.set(concat(u32(0x06054b50), new Uint8Array(16), u16(7)), 100);
  return comment;
}

describe("an archive is refused", () => {
  it.each<[string, readonly ZipPart[], ZipOptions, RegExp]>([
    [
      "an entry of another name in its own header",
      [{ ...A, directoryName: utf8("m/c") }],
      {},
      /"m\/c" has another name/,
    ],
    ["an entry that leaves the folder", [{ ...A, name: "../a" }], {}, /"\.\.\/a" is a path that leaves/],
    ["an absolute name", [{ ...A, name: "/etc/passwd" }], {}, /"\/etc\/passwd" is an absolute path/],
    ["no name", [{ ...A, name: "" }], {}, /"" is an empty file name/],
    [
      "a name that is not UTF-8",
      [{ ...A, directoryName: Uint8Array.of(0xff) }],
      {},
      /the name of zip entry 0 is not valid/,
    ],
    ["a name twice", [A, A], {}, /"m\/a" is there twice/],
    ["an entry within another", [A, { ...B, offset: 10 }], {}, /"m\/a" takes bytes 0 to 38, and "m\/b" begins at 10/],
    ["two entries of the same bytes", [A, { ...B, offset: 0 }], {}, /they overlap/],
    [
      "an entry that is longer than it can be",
      [{ ...A, size: 99, stored: 99 }, B],
      {},
      /"m\/a" takes bytes .* overlap/,
    ],
    ["an entry that runs into the directory", [{ ...A, size: 6, stored: 6 }], {}, /and the directory begins at 38/],
    [
      "an entry that runs on by its alignment",
      [{ ...A, padding: 4, size: 7, stored: 7 }, B],
      {},
      /"m\/a" has 5 bytes by its own header, and 7/,
    ],
    [
      "an entry with sizes behind it that runs on by its alignment",
      [{ ...A, flags: 8, padding: 4, size: 22, stored: 22 }, B],
      {},
      /"m\/a" ends at byte 63, and what follows it begins at 62/,
    ],
    ["an entry past the end", [{ ...A, offset: 1e9 }], {}, /they overlap/],
    [
      "an entry at a place that is no number",
      [{ ...A, offset: 2 ** 53, wide: true }],
      {},
      /has the size or place 9007199254740992: beyond/,
    ],
    ["64-bit sizes that are not there", [{ ...A, offset: 0xffffffff }], {}, /"m\/a" has no 64-bit size/],
    ["an entry that grows as it is stored", [{ ...A, size: 500 }], {}, /is stored, and has 5 bytes of 500/],
    ["an entry that begins elsewhere", [{ ...A, offset: 1 }], { between: utf8("x") }, /has no header at byte 1/],
    ["flags that differ", [{ ...A, directoryFlags: 8 }], {}, /is described otherwise by its own header/],
    ["unknown flags", [{ ...A, flags: 0x20 }], {}, /has unknown flags \(20\)/],
    ["more entries than there are", [A], { count: 2 }, /has 1 entries, and is said to have 2/],
    ["fewer entries than there are", [A, B], { count: 1 }, /more than the 1 entries/],
    ["entries without end", [A], { zip64: true, count: 1e9 }, /1000000000 zip entries, more than 100000/],
    ["a directory at another place", [A], { directoryStart: 0 }, /directory is said to be bytes 0 to 49, and should/],
    ["a directory of another size", [A], { directoryBytes: 48 }, /and should end at 87/],
    ["a directory of all ones", [A], { directoryBytes: 0xffffffff }, /should end at/],
    ["several parts", [A], { disk: 1 }, /in several parts/],
    ["several parts, in zip64", [A], { disk: 1, zip64: true }, /in several parts/],
  ])("for %s", (_, parts, options, problem) => expectBadFile(contents(zip(parts, options)), { file: F, problem }));

  it.each<[string, ZipPart, RegExp]>([
    ["deflate", { ...A, method: 8 }, /compression of "m\/a" "deflate" is not supported \(supported: stored\); unpack/],
    ["a bomb", { ...A, method: 8, size: 2 ** 32 - 2 }, /compression of "m\/a" "deflate"/],
    ["an unknown method", { ...A, method: 77 }, /compression of "m\/a" 77 /],
    ["encryption", { ...A, flags: 1 }, /encryption of "m\/a"/],
    ["strong encryption", { ...A, flags: 0x41 }, /encryption of "m\/a"/],
  ])("for %s, by the entry's name", async (_, part, problem) => {
    const files = inMemory({ [F]: zip([part]) });
    const directory = await readZipDirectory(files, F);
    const locating = locateEntry(files, directory, directory.entries.get("m/a")!);
    await expect(locating).rejects.toThrow(UnsupportedModelError);
    await expect(locating).rejects.toThrow(problem);
  });

  it("where the zip64 end says otherwise, or is not there", async () => {
    const file = zip([A, B], { zip64: true });
    const damaged = (at: number, ...bytes: readonly number[]) => {
      const copy = file.slice();
      copy.set(bytes, at < 0 ? copy.length + at : at);
      return contents(copy);
    };
    await expectBadFile(damaged(-14, 9, 0), { problem: /do not say the same/ }); // entries on this disk
    await expectBadFile(damaged(-22 - 20 - 56, 0), { problem: /has no zip64 end record at byte/ });
    await expectBadFile(damaged(-22 - 20 + 8, 255, 255, 255), { problem: /at byte 16777215, where it cannot be/ });
    await expectBadFile(damaged(-22 - 20 + 15, 255), { problem: /beyond every file/ });
    await expectBadFile(damaged(-22 - 20 - 56 + 47, 255), { problem: /beyond every file/ });
  });

  it("for a directory that is larger than any", async () => {
    const size = 40_000_022;
    const end = concat(u32(0x06054b50), new Uint8Array(4), u16(1), u16(1), u32(40_000_000), u32(0), u16(0));
    const tailed = inMemory({}, { sizes: { [F]: size } });
    tailed.readExactly = async (_, start) => {
      const bytes = new Uint8Array(size - start);
      bytes.set(end, bytes.length - end.length);
      return bytes;
    };
    await expectBadFile(readZipDirectory(tailed, F), { problem: /directory has 40000000 bytes, more than/ });
  });

  it("for an entry that is longer than its reader takes", async () => {
    const files = inMemory({ [F]: zip([A]) });
    const directory = await readZipDirectory(files, F);
    await expectBadFile(readEntry(files, directory, directory.entries.get("m/a")!, 4), {
      problem: /"m\/a" has 5 bytes, more than 4/,
    });
  });

  it("cut off anywhere, and with anything behind it", async () => {
    for (const options of [{}, { zip64: true }]) {
      const file = zip([A, B], options);
      for (let length = 0; length < file.length; length++) {
        expect(await worksOrIsRefused(() => contents(file.subarray(0, length))), `${length}`).toBe(false);
      }
      await expectBadFile(contents(concat(file, utf8("x"))), { problem: /without an end/ });
    }
  });
});
