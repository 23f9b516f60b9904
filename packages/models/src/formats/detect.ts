/** Which format a file has, by what is in it: names lie, and users rename. */

import { ModelFileError } from "../errors";
import type { CheckedSource } from "../files/checked";
import { HEADER_BYTES, layoutLlama2c, llama2cVersion, parseLlama2cHeader, unsupportedLlama2c } from "./llama2c";
import { LOOK_BYTES, olderPytorch } from "./pytorch";
import { MAX_HEADER_BYTES } from "./safetensors";

export type WeightFormat = "gguf" | "safetensors" | "pytorch" | "llama2.c";

const FORMATS = ["safetensors", "GGUF", "PyTorch's .bin", "llama2.c"];

/** Formats that are none of ours, by how they begin (one character a byte): what to say of them. */
const OTHERS: readonly (readonly [beginnings: readonly string[], what: string])[] = [
  [["\x89HDF\r\n"], "an HDF5 file (Keras, TensorFlow): look for the model's safetensors"],
  [["lmgg", "fmgg", "tjgg"], "a file in ggml's format before GGUF: convert it to GGUF"],
  [["version https://git-lfs"], "a Git LFS pointer, not the file itself: fetch it with git lfs pull"],
  [["<!DOCTYPE", "<!doctype", "<html", "<?xml"], "a web page: the download went wrong"],
  [["\x1f\x8b", "BZh", "\xfd7zXZ", "\x28\xb5\x2f\xfd", "7z\xbc\xaf"], "compressed: unpack it first"],
  [["\x80\x02", "\x80\x03", "\x80\x04", "\x80\x05"], "a Python pickle that torch.save did not write"],
  [["PK\x05\x06"], "an empty zip archive"],
  [["{", "["], "JSON: name the folder or the weights, not a config"],
];

/**
 * The format of a weight file.
 *
 * Throws UnsupportedModelError for PyTorch's older formats and llama2.c's later versions (real, and not read here), and
 * ModelFileError for a file that is missing, empty, or of no format that is known.
 */
export async function detectFormat(files: CheckedSource, path: string): Promise<WeightFormat> {
  const size = await files.size(path);
  const bytes = await files.readSome(path, 0, LOOK_BYTES);
  if (bytes === null) throw files.missing(path);
  const fail = (problem: string) => new ModelFileError(problem, { file: path });
  if (bytes.length === 0) throw fail("is empty");
  const text = Array.from(bytes, (byte) => String.fromCharCode(byte)).join("");

  if (text.startsWith("GGUF")) return "gguf";
  if (text.startsWith("PK\x03\x04")) return "pytorch"; // a zip: its reader says if torch.save wrote it
  const older = olderPytorch(bytes, path);
  if (older !== null) throw older;
  const version = llama2cVersion(bytes);
  if (version !== null) throw unsupportedLlama2c(version, path);

  const headerBytes =
    bytes.length < 9 ? 0 : Number(new DataView(bytes.buffer, bytes.byteOffset, 8).getBigUint64(0, true));
  if (text[8] === "{" && headerBytes <= MAX_HEADER_BYTES) return "safetensors";

  const llama2c = bytes.length < HEADER_BYTES ? { problem: "it is too short" } : parseLlama2cHeader(bytes);
  if (!("problem" in llama2c)) {
    const { end } = layoutLlama2c(llama2c, path);
    if (size === null || size === end) return "llama2.c";
    throw fail(`begins like a llama2.c checkpoint of ${end} bytes, and has ${size}: it is truncated or something else`);
  }
  if (text[8] === "{") return "safetensors"; // with a header length that its reader will refuse
  const other = OTHERS.find(([beginnings]) => beginnings.some((beginning) => text.startsWith(beginning)));
  if (other !== undefined) throw fail(`is ${other[1]}`);
  // A protobuf whose first fields are ir_version and producer_name.
  if (text[0] === "\x08" && text[2] === "\x12") throw fail("is an ONNX model: look for what it was exported from");
  throw fail(`is of no known format (${FORMATS.join(", ")})`);
}
