/** Checks of arguments that come from outside, with errors that say what was expected and what was got. */

/** An integer in [min, max], returned. */
export function checkInteger(name: string, value: number, min: number, max = Number.MAX_SAFE_INTEGER): number {
  if (!Number.isSafeInteger(value) || value < min || value > max) {
    const range = max === Number.MAX_SAFE_INTEGER ? `at least ${min}` : `from ${min} to ${max}`;
    throw new RangeError(`${name}: expected an integer ${range}, got ${String(value)}`);
  }
  return value;
}

/** A finite number, returned. */
export function checkFinite(name: string, value: number): number {
  if (typeof value !== "number" || !Number.isFinite(value)) {
    throw new RangeError(`${name}: expected a finite number, got ${String(value)}`);
  }
  return value;
}

/** An array of floats. */
function checkFloat32Array(name: string, value: Float32Array): void {
  // Not instanceof: arrays from another realm (a test runner's, an iframe's) are as good.
  if (Object.prototype.toString.call(value) !== "[object Float32Array]") {
    throw new TypeError(`${name}: expected a Float32Array, got ${Object.prototype.toString.call(value)}`);
  }
}

/** An array of rows of floats: how many rows of that width it holds. */
export function checkRows(name: string, value: Float32Array, width: number, shape: string): number {
  checkFloat32Array(name, value);
  if (value.length % width !== 0) {
    throw new RangeError(`${name}: expected ${shape}, that is a multiple of ${width} numbers, got ${value.length}`);
  }
  return value.length / width;
}

/** An array of floats with as many as `length` says, returned. */
export function checkFloats(name: string, value: Float32Array, length: number, shape = ""): Float32Array {
  checkFloat32Array(name, value);
  if (value.length !== length)
    throw new RangeError(`${name}: expected ${`${length} numbers ${shape}`.trimEnd()}, got ${value.length}`);
  return value;
}

/** One of the given strings, returned. */
export function checkChoice<T extends string>(name: string, value: T, choices: readonly T[]): T {
  if (!choices.includes(value)) {
    throw new RangeError(
      `${name}: expected one of ${choices.map((c) => `"${c}"`).join(", ")}, got ${JSON.stringify(value)}`,
    );
  }
  return value;
}

/** An options object without unknown keys: an option that nothing reads is a mistake, not a wish. */
export function checkOptions(where: string, options: object, known: readonly string[]): void {
  if (typeof options !== "object" || options === null) {
    throw new TypeError(`${where}: expected an options object, got ${String(options)}`);
  }
  for (const key of Object.keys(options)) {
    if (!known.includes(key)) throw new TypeError(`${where}: unknown option "${key}"; known are ${known.join(", ")}`);
  }
}

/** MHA, GQA and MQA share key/value heads evenly: H % G = 0. */
export function checkHeads(heads: number, kvHeads: number): void {
  checkInteger("heads", heads, 1);
  checkInteger("kvHeads", kvHeads, 1);
  if (heads % kvHeads !== 0) {
    throw new RangeError(
      `heads: expected a multiple of kvHeads, got ${heads} query heads for ${kvHeads} key/value heads`,
    );
  }
}
