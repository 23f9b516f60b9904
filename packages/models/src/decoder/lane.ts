/** Prompts and the texts that grow from them, in one cache: each pass writes its rows side by side. */

import type { KvCache } from "@qkv/core";
import type { GenerationLane } from "../generate/generate";
import type { Branch } from "../generate/search";
import { Branches } from "./branches";
import type { DecoderNetwork } from "./network";
import type { CachePool, Room, RoomPool, ScratchPool } from "./pools";
import { CHUNK_ROWS, chunksOf, type Memory, type Segment } from "./segments";

/** A generation begins with room for so many tokens of each sequence; its cache grows with them. */
const FIRST_ROOM = 256;

/** What lanes borrow from. */
export interface LanePools {
  readonly caches: CachePool;
  readonly scratches: ScratchPool<unknown>;
  readonly rooms: RoomPool;
}

/** A prompt, and how many positions it and what follows may take. */
export interface LanePrompt {
  readonly ids: readonly number[];
  readonly positions: number;
  readonly memory: Memory | null;
}

export class DecoderLane implements GenerationLane {
  readonly #network: DecoderNetwork;
  readonly #pools: LanePools;
  readonly #prompts: readonly LanePrompt[];
  /** Rows that the whole generation can need. */
  readonly #mostRows: number;
  readonly #logits: Room;
  readonly #scratch: unknown;
  /** null where one sequence has the cache to itself. */
  readonly #branches: Branches | null;
  #cache: KvCache;
  /** Of each row of the last pass, the source that it tells of. */
  #memories: readonly (Memory | null)[];

  /** @param width most sequences of a prompt */
  constructor(network: DecoderNetwork, pools: LanePools, prompts: readonly LanePrompt[], width: number) {
    this.#network = network;
    this.#pools = pools;
    this.#prompts = prompts;
    this.#memories = prompts.map(({ memory }) => memory);
    const rowsOf = (room: (left: number) => number) =>
      prompts.reduce((rows, { ids, positions }) => rows + ids.length + width * room(positions - ids.length), 0);
    this.#mostRows = rowsOf((left) => left);
    const sequences = width * prompts.length;
    this.#branches = sequences === 1 ? null : new Branches(network.arena, pools.rooms, sequences);
    this.#scratch = pools.scratches.take();
    let logits: Room | null = null;
    try {
      logits = pools.rooms.take(4 * sequences * network.vocabSize);
      this.#logits = logits;
      this.#cache = pools.caches.take(rowsOf((left) => Math.min(left, FIRST_ROOM)));
    } catch (error) {
      if (logits !== null) pools.rooms.give(logits);
      pools.scratches.give(this.#scratch);
      throw error;
    }
  }

  *start(due: () => boolean): Generator<void, void> {
    const { vocabSize } = this.#network;
    let base = 0;
    const texts = this.#prompts.map(({ ids, memory }) => {
      const text = { ids, memory, cache: this.#cache, start: 0, base };
      base += ids.length;
      return text;
    });
    for (const chunk of chunksOf(texts)) {
      yield* this.#network.forward(this.#scratch, chunk, null, due);
      let row = 0;
      for (const { sequence, first, ids } of chunk) {
        row += ids.length;
        if (first + ids.length === texts[sequence].ids.length) {
          this.#network.logits(this.#scratch, row - 1, 1, this.#logits.address + 4 * sequence * vocabSize);
        }
      }
    }
    const rows = texts.map(({ base, ids }) => ({ row: base, length: ids.length }));
    this.#branches?.start(rows, Math.max(...rows.map(({ length }) => length)) + FIRST_ROOM);
  }

  *step(branches: readonly Branch[], due: () => boolean): Generator<void, void> {
    const row = this.#cache.length;
    this.#reserve(row + branches.length);
    this.#branches?.fork(
      branches.map(({ parent }) => parent),
      row,
    );
    this.#memories = branches.map(({ parent }) => this.#memories[parent]);
    const segments = branches.map(({ id }, b) => this.#segment(b, id, row + b));
    for (let at = 0; at < segments.length; at += CHUNK_ROWS) {
      const chunk = segments.length <= CHUNK_ROWS ? segments : segments.slice(at, at + CHUNK_ROWS);
      yield* this.#network.forward(this.#scratch, chunk, null, due);
      const out = this.#logits.address + 4 * at * this.#network.vocabSize;
      this.#network.logits(this.#scratch, 0, chunk.length, out);
    }
  }

  logits(row: number): Float32Array {
    const { arena, vocabSize } = this.#network;
    return arena.f32(this.#logits.address + 4 * row * vocabSize, vocabSize);
  }

  release(): void {
    this.#branches?.release();
    this.#pools.rooms.give(this.#logits);
    this.#pools.caches.give(this.#cache);
    this.#pools.scratches.give(this.#scratch);
  }

  #segment(branch: number, id: number, row: number): Segment {
    const position = this.#branches === null ? row : this.#branches.length(branch) - 1;
    return {
      sequence: branch,
      ids: [id],
      first: 0,
      position,
      cache: this.#cache,
      row,
      base: 0,
      keyRows: this.#branches?.rows(branch) ?? null,
      reach: position + 1,
      memory: this.#memories[branch],
    };
  }

  #reserve(rows: number): void {
    if (rows <= this.#cache.capacity) return;
    const larger = this.#pools.caches.take(Math.min(this.#mostRows, Math.max(rows, 2 * this.#cache.capacity)));
    larger.copyFrom(this.#cache);
    this.#pools.caches.give(this.#cache);
    this.#cache = larger;
  }
}
