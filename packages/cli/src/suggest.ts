/** "Did you mean": the known name that a mistyped one is closest to. */

/** More edits than this part of the longer name make it another word. */
const MAX_EDITED = 0.4;

/** The closest of the names, null if none is close. */
export function closest(name: string, names: readonly string[]): string | null {
  let best: string | null = null;
  let bestEdits = Number.POSITIVE_INFINITY;
  for (const candidate of names) {
    const edits = editDistance(name, candidate);
    if (edits < bestEdits && edits <= MAX_EDITED * Math.max(name.length, candidate.length)) {
      best = candidate;
      bestEdits = edits;
    }
  }
  return best;
}

/** Levenshtein's distance: insertions, deletions and replacements. */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const replaced = (row[j - 1] as number) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(replaced, (row[j] as number) + 1, (next[j - 1] as number) + 1));
    }
    row = next;
  }
  return row[b.length] as number;
}
