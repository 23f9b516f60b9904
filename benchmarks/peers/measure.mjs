/**
 * One contender, measured once, in a process of its own: so are its start-up and its memory. Started by run.ts, which it
 * sends a `Measurement`. Plain JavaScript, because it runs under any Node, without a loader.
 */

const { contender, settings, shortPrompt, longPrompt, decode, startedAt } = /** @type {import("./contender").Job} */ (
  JSON.parse(process.argv[2])
);

const { load } = /** @type {{ load: import("./contender").Load }} */ (await import(`./contenders/${contender}.mjs`));
const loadStart = performance.now();
const model = await load(settings);
const loadMs = performance.now() - loadStart;

/**
 * Times a generation. The first token ends the prefill; the rate is that of all that follow.
 *
 * @param {number[]} prompt
 * @param {number} count
 */
async function time(prompt, count) {
  /** @type {number[]} */
  const ids = [];
  let firstAt = 0;
  let lastAt = 0;
  let cores = 0;
  const cpuStart = process.cpuUsage();
  const start = performance.now();
  await model.generate(prompt, count + 1, (id) => {
    lastAt = performance.now();
    if (ids.length === 0) {
      firstAt = lastAt;
      cores = cpuMs(process.cpuUsage(cpuStart)) / (firstAt - start);
    }
    ids.push(id);
  });
  if (ids.length !== count + 1) throw new Error(`expected ${count + 1} tokens, got ${ids.length}`);
  return { ids, firstAt, prefillMs: firstAt - start, cores, rate: (1000 * count) / (lastAt - firstAt) };
}

/** @param {NodeJS.CpuUsage} usage of all threads, in microseconds */
function cpuMs({ user, system }) {
  return (user + system) / 1000;
}

const afterShort = await time(shortPrompt, decode); // also warms up what follows
const afterLong = await time(longPrompt, decode);

/** @type {import("./contender").Measurement} */
const measurement = {
  loadMs,
  firstTokenMs: performance.timeOrigin + afterShort.firstAt - startedAt,
  prefill: (1000 * longPrompt.length) / afterLong.prefillMs,
  decodeShort: afterShort.rate,
  decodeLong: afterLong.rate,
  peakRssMB: (process.resourceUsage().maxRSS * 1024) / 1e6,
  cores: afterLong.cores,
  cpuMs: cpuMs(process.cpuUsage()),
  ids: afterShort.ids,
  note: model.note ?? null,
};
process.send?.(measurement, () => process.exit()); // some contenders leave threads and timers behind
