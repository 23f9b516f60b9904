/** Two predictions into one. */

/**
 * Classifier-free guidance (Ho and Salimans 2022), in place: from the unconditional scores past the conditional ones.
 *
 * @param conditional [V], becomes unconditional + (conditional - unconditional) * scale
 * @param unconditional [V], what the model says without the condition
 * @param scale 1 changes nothing; more follows the condition more closely
 * @throws RangeError for rows of different lengths
 */
export function applyGuidance(conditional: Float32Array, unconditional: Float32Array, scale: number): void {
  if (conditional.length !== unconditional.length) {
    throw new RangeError(`unconditional: expected ${conditional.length} scores, got ${unconditional.length}`);
  }
  for (let i = 0; i < conditional.length; i++) {
    conditional[i] = unconditional[i] + (conditional[i] - unconditional[i]) * scale;
  }
}
