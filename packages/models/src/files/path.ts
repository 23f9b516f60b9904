/** Which file names a source may be asked for: shard names come from index files that nobody vouches for. */

/** Longer than any real name in a checkpoint, and below what file systems allow. */
const MAX_PATH_LENGTH = 1024;

/**
 * What is wrong with a relative, "/"-separated path, or null if it stays within its folder.
 * Symbolic links are followed (the Hub's cache is made of them): only the text is judged.
 */
export function pathProblem(path: string): string | null {
  if (path === "") return "is an empty file name";
  if (path.length > MAX_PATH_LENGTH) return `is a file name of ${path.length} characters (at most ${MAX_PATH_LENGTH})`;
  if (path.includes("\0")) return "is a file name with a NUL character";
  if (path.includes("\\")) return 'is a file name with a backslash (folders are separated by "/")';
  if (path.startsWith("/") || /^[A-Za-z]:/.test(path)) return "is an absolute path, not one within the model's folder";
  if (path.split("/").includes("..")) return "is a path that leaves the model's folder";
  return null;
}
