import { existsSync, readdirSync, readlinkSync } from "node:fs";
import { mkdir, mkdtemp, open, rm, symlink, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { openSafetensors } from "../formats/safetensors";
import { writeSafetensors } from "../formats/safetensors-write";
import { expectBadFile } from "../formats/testing";
import { type OpenedSource, openSource } from "./open";

let folder = "";
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "qkv-open-"));
  await mkdir(join(folder, "sub"));
  await writeFile(join(folder, "a"), "hello");
  await writeFile(join(folder, "sub", "b"), "below");
  await writeFile(join(folder, "empty"), "");
});
afterAll(() => rm(folder, { recursive: true }));

/** Files below the folder that this process has open; null where the system does not tell. */
function openFiles(): string[] | null {
  if (!existsSync("/proc/self/fd")) return null;
  const targets = readdirSync("/proc/self/fd").map((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`);
    } catch {
      return ""; // the descriptor of the listing itself
    }
  });
  return targets.filter((target) => target.startsWith(folder)).map((target) => target.slice(folder.length + 1));
}

async function using(source: Parameters<typeof openSource>[0], use: (opened: OpenedSource) => Promise<void>) {
  const opened = await openSource(source);
  try {
    await use(opened);
  } finally {
    await opened.files.close();
  }
  expect(openFiles() ?? []).toEqual([]);
}

const text = (bytes: Uint8Array | null) => bytes && new TextDecoder().decode(bytes);

describe("a folder on disk", () => {
  it("reads its files, each through one handle that close() frees", () =>
    using(folder, async ({ files, file }) => {
      expect(file).toBeNull();
      expect(files.name).toBe(folder);
      const reads = await Promise.all(Array.from({ length: 5 }, (_, i) => files.readSome("a", i, 4)));
      expect(reads.map(text)).toEqual(["hell", "ell", "ll", "l", ""]);
      expect(text(await files.readSome("a", 3, 1e15))).toBe("lo");
      expect(text(await files.readExactly("sub/b", 0, 5))).toBe("below");
      expect((await files.readSome("empty", 0, 5))?.length).toBe(0);
      expect(openFiles() ?? ["a", "sub/b", "empty"]).toEqual(["a", "sub/b", "empty"]);
      expect((await files.list())?.sort()).toEqual(["a", "empty"]);
    }));

  it("has no file where there is none, or a folder, or a name that is too long", () =>
    using(folder, async ({ files }) => {
      for (const path of ["c", "sub", "a/b", "x".repeat(500)]) {
        expect(await files.readSome(path, 0, 1)).toBeNull();
        expect(await files.size(path)).toBeNull();
        expect(await files.exists(path)).toBe(false);
      }
      await expectBadFile(files.readExactly("c", 0, 1), { problem: /^c: there is no such file in .*qkv-open-/ });
      expect([await files.size("a"), await files.size("empty")]).toEqual([5, 0]);
    }));

  it("sees a file that came later", () =>
    using(folder, async ({ files }) => {
      expect(await files.readSome("later", 0, 1)).toBeNull();
      await writeFile(join(folder, "later"), "!");
      expect(text(await files.readSome("later", 0, 1))).toBe("!");
      await rm(join(folder, "later"));
    }));

  it("follows links, as the Hub's cache is made of them", () =>
    using(folder, async ({ files }) => {
      await symlink(join("sub", "b"), join(folder, "linked"));
      expect(text(await files.readSome("linked", 0, 5))).toBe("below");
      expect(await files.list()).toContain("linked");
      await rm(join(folder, "linked"));
    }));

  it("refuses what is no file, before it would wait for it", async () => {
    if (!existsSync("/dev/null")) return;
    await using("/dev", ({ files }) => expectBadFile(files.readSome("null", 0, 1), { problem: /not a regular file/ }));
    await expectBadFile(openSource("/dev/null"), { problem: /neither a folder nor a regular file/ });
  });

  it("reads behind 4 GiB, in pieces, and hears a signal between them", async () => {
    const path = join(folder, "sparse");
    const handle = await open(path, "w");
    await handle.write("end", 2 ** 32 + 5);
    await handle.close();
    await using(folder, async ({ files }) => {
      expect(await files.size("sparse")).toBe(2 ** 32 + 8);
      expect(text(await files.readExactly("sparse", 2 ** 32 + 5, 2 ** 32 + 8))).toBe("end");
      const start = 2 ** 32 - 70 * 2 ** 20; // two pieces
      const bytes = await files.readExactly("sparse", start, 2 ** 32 + 8);
      expect([bytes.length, text(bytes.subarray(-4))]).toEqual([70 * 2 ** 20 + 8, "\0end"]);
      const aborting = new AbortController();
      const reading = files.readExactly("sparse", 0, 200 * 2 ** 20, { signal: aborting.signal });
      setTimeout(() => aborting.abort(new Error("enough")));
      await expect(reading).rejects.toThrow("enough");
    });
    await rm(path);
  });

  it("says so when a file shrinks while it is open", () =>
    using(folder, async ({ files }) => {
      const path = join(folder, "shrinking");
      await writeFile(path, "0123456789");
      await files.readExactly("shrinking", 0, 10);
      await truncate(path, 4);
      await expectBadFile(files.readExactly("shrinking", 2, 10), { problem: /ends at byte 4, 10 were needed/ });
      await rm(path);
    }));

  it("leaves nothing open when close() meets reads under way, nor after errors", async () => {
    const { files } = await openSource(folder);
    const reads = Promise.allSettled(["a", "sub/b", "../a", "c"].map((path) => files.readExactly(path, 0, 100)));
    await files.close();
    const results = await reads;
    expect(results.every((result) => result.status === "rejected")).toBe(true);
    await files.close();
    expect(openFiles() ?? []).toEqual([]);
    await expect(files.readSome("a", 0, 1)).rejects.toThrow(/closed/);
  });
});

it("a checkpoint that is refused leaves nothing open", () =>
  using(folder, async ({ files }) => {
    const shard = writeSafetensors([{ name: "a", shape: [4], data: new Float32Array(4) }]);
    const map = { a: "good", b: "cut" };
    await writeFile(join(folder, "index.json"), JSON.stringify({ weight_map: map }));
    await writeFile(join(folder, "good"), shard);
    await writeFile(join(folder, "cut"), shard.subarray(0, -1));
    await expectBadFile(openSafetensors(files, { path: "index.json" }), {
      file: "cut",
      tensor: "a",
      problem: /truncated/,
    });
    expect(openFiles() ?? ["index.json", "good", "cut"]).toEqual(["index.json", "good", "cut"]);
  }));

describe("openSource", () => {
  it("opens a file on disk as its folder and its name", () =>
    using(join(folder, "a"), async ({ files, file }) => {
      expect(file).toBe("a");
      expect(text(await files.readExactly("a", 0, 5))).toBe("hello");
      expect(text(await files.readExactly("sub/b", 0, 5))).toBe("below");
    }));

  it("says when there is nothing at a path", async () => {
    const path = join(folder, "none");
    await expectBadFile(openSource(path), { file: path, problem: /there is no such file or folder/ });
    await expectBadFile(openSource(join(folder, "a", "b")), { problem: /there is no such file or folder/ });
  });

  it("says that paths need Node where there is none", async () => {
    vi.stubGlobal("process", undefined);
    const error = await openSource("model").catch((thrown: unknown) => thrown);
    vi.unstubAllGlobals();
    expect(String(error)).toMatch(/^Error: "model" is a path, and there is no file system here: pass a File/);
  });

  it("opens a Blob and a File as a source of one file", async () => {
    await using(new Blob(["hello"]), async ({ files, file }) => {
      expect(file).toBe("blob");
      expect(text(await files.readSome("blob", 1, 9))).toBe("ello");
      expect([await files.size("blob"), await files.size("x"), await files.readSome("x", 0, 1)]).toEqual([
        5,
        null,
        null,
      ]);
      await expectBadFile(files.readExactly("blob", 0, 6), { problem: /ends at byte 5, 6 were needed/ });
    });
    for (const [given, name] of [
      ["model.gguf", "model.gguf"],
      ["C:\\models\\x.gguf", "x.gguf"],
      ["a/..", "blob"],
    ]) {
      const named = Object.assign(new Blob(["hello"]), { name: given });
      await using(named, async ({ files, file }) => {
        expect([file, files.name, await files.list()]).toEqual([name, name, [name]]);
      });
    }
  });

  it("opens whatever reads", () =>
    using({ read: async () => new Uint8Array(1) }, async ({ files, file }) => {
      expect([file, files.name]).toEqual([null, ""]);
      expect(await files.readExactly("any", 0, 1)).toEqual(new Uint8Array(1));
    }));

  it.each([undefined, null, 5, "", {}, [], { read: 5 }])("throws a TypeError for %j", async (source) => {
    await expect(openSource(source as unknown as Blob)).rejects.toThrow(TypeError);
  });
});
