import { describe, expect, it, vi } from "vitest";
import { expectBadFile } from "../formats/testing";
import { CheckedSource } from "./checked";
import { pathProblem } from "./path";
import type { FileSource } from "./source";

const bytes = new Uint8Array([1, 2, 3, 4, 5]);
const read: FileSource["read"] = async (path, start, end) => (path === "a" ? bytes.subarray(start, end) : null);

describe("CheckedSource", () => {
  it("reads exactly, or says what is missing", async () => {
    for (const source of [{ read }, { read, size: async (path: string) => (path === "a" ? 5 : null) }]) {
      const files = new CheckedSource({ ...source, name: "somewhere" });
      expect(await files.readExactly("a", 1, 4)).toEqual(new Uint8Array([2, 3, 4]));
      expect(await files.readSome("a", 3, 9)).toEqual(new Uint8Array([4, 5]));
      expect(await files.readSome("a", 9, 12)).toEqual(new Uint8Array(0));
      expect(await files.readSome("b", 0, 1)).toBeNull();
      expect([await files.exists("a"), await files.exists("b")]).toEqual([true, false]);
      await expectBadFile(files.readExactly("a", 2, 8), { file: "a", problem: /^a: ends at byte 5, 8 were needed/ });
      await expectBadFile(files.readExactly("b", 0, 1), {
        file: "b",
        problem: /^b: there is no such file in somewhere$/,
      });
      expect(await files.list()).toBeNull();
    }
  });

  it("asks for nothing beyond a size that is known", async () => {
    const spy = vi.fn(read);
    const files = new CheckedSource({ read: spy, size: async () => 5 });
    await expectBadFile(files.readExactly("a", 0, 2 ** 50));
    expect(spy).not.toHaveBeenCalled();
  });

  it("asks for a size once, and again after a failure", async () => {
    const size = vi
      .fn<(path: string) => Promise<number>>()
      .mockRejectedValueOnce(new Error("offline"))
      .mockResolvedValue(5);
    const files = new CheckedSource({ read, size });
    await expect(files.size("a")).rejects.toThrow("offline");
    expect([await files.size("a"), await files.size("a")]).toEqual([5, 5]);
    expect(size).toHaveBeenCalledTimes(2);
  });

  it.each([
    ["nothing", undefined, /read\("a"\) must give a Uint8Array or null, not undefined/],
    ["an ArrayBuffer", new ArrayBuffer(2), /not ArrayBuffer/],
    ["a string", "ab", /not String/],
    ["an array", [1, 2], /not Array/],
    ["a Uint16Array", new Uint16Array(2), /not Uint16Array/],
    ["more than asked for", new Uint8Array(3), /read\("a", 0, 2\) gave 3 bytes/],
  ])("throws a TypeError for a read that gives %s", async (_, given, message) => {
    const files = new CheckedSource({ read: async () => given as unknown as Uint8Array });
    const reading = files.readSome("a", 0, 2);
    await expect(reading).rejects.toThrow(TypeError);
    await expect(reading).rejects.toThrow(message);
  });

  it.each([-1, 1.5, Number.NaN, "5"])("throws a TypeError for a size of %s", async (size) => {
    const files = new CheckedSource({ read, size: async () => size as number });
    await expect(files.exists("a")).rejects.toThrow(TypeError);
  });

  it("throws a TypeError for a list that is none, and for positions that are none", async () => {
    const files = new CheckedSource({ read, list: async () => [1] as unknown as string[] });
    await expect(files.list()).rejects.toThrow(TypeError);
    for (const [start, end] of [
      [-1, 2],
      [3, 2],
      [0, Number.NaN],
      [0.5, 1],
    ]) {
      await expect(files.readSome("a", start, end)).rejects.toThrow(TypeError);
    }
  });

  it("hands on Buffers as plain Uint8Arrays", async () => {
    const files = new CheckedSource({ read: async () => Buffer.from([1, 2, 3]).subarray(1) });
    const got = await files.readExactly("a", 0, 2);
    expect(got.constructor).toBe(Uint8Array);
    expect([...got]).toEqual([2, 3]);
  });

  it("lets a source's own errors and an abort through", async () => {
    const failing = new CheckedSource({
      read: async () => {
        throw new Error("offline");
      },
    });
    await expect(failing.readExactly("a", 0, 1)).rejects.toThrow("offline");
    const spy = vi.fn(read);
    const signal = AbortSignal.abort(new Error("enough"));
    await expect(new CheckedSource({ read: spy }).readExactly("a", 0, 1, { signal })).rejects.toThrow("enough");
    expect(spy).not.toHaveBeenCalled();
  });

  it("reads text: UTF-8, at most so long, without its byte order mark", async () => {
    const text = (content: Uint8Array) => new CheckedSource({ read: async (_, s, e) => content.subarray(s, e) });
    expect(await text(new TextEncoder().encode("\ufeffä\ufeff")).readText("t", 100)).toBe("ä\ufeff");
    await expectBadFile(text(new Uint8Array([0xc3, 0x28])).readText("t", 100), {
      problem: /^t: the file is not valid UTF-8/,
    });
    await expectBadFile(text(new Uint8Array(11)).readText("t", 10), { problem: /longer than the 10 bytes/ });
    const sized = new CheckedSource({ read, size: async () => 5 });
    await expectBadFile(sized.readText("a", 4), { problem: /longer than the 4 bytes/ });
    await expectBadFile(new CheckedSource({ read }).readText("b", 4), { problem: /no such file/ });
  });

  it("closes once, and reads no more", async () => {
    const close = vi.fn(async () => {});
    const files = new CheckedSource({ read, close });
    await Promise.all([files.close(), files.close()]);
    await files.close();
    expect(close).toHaveBeenCalledTimes(1);
    await expect(files.readSome("a", 0, 1)).rejects.toThrow(/closed/);
    await new CheckedSource({ read }).close();
  });

  it.each(["../../etc/passwd", "/etc/passwd", "a/../../b", "..", "a\\b", "C:\\a", "c:a", "a\0b", "", "a".repeat(2000)])(
    "refuses the path %j, whatever the source would do",
    async (path) => {
      const spy = vi.fn(read);
      await expectBadFile(new CheckedSource({ read: spy }).readSome(path, 0, 1), { file: path });
      expect(spy).not.toHaveBeenCalled();
    },
  );

  it("takes folders below, and dots in names", () => {
    expect(["a", "a/b.c", "..a", "a..", ".a/...", "ab:c"].map(pathProblem).filter((problem) => problem)).toEqual([]);
  });
});
