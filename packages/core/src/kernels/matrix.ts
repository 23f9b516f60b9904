/** What every implementation checks of the rows that it is given. */

import { checkInteger } from "../check";
import { infiniteScale } from "../dtypes/blocks";
import { blockSizes, type Dtype, isQuantized, rowBytes } from "../dtypes/dtype";
import type { Matrix } from "./kernels";

/**
 * What a matrix may be: rows of Q6_K, whose blocks of 256 have scales of their own inside, only in whole blocks.
 *
 * @throws RangeError
 */
export function checkMatrix(dtype: Dtype, rows: number, columns: number): void {
  checkInteger("rows", rows, 0);
  checkInteger("columns", columns, 0);
  if (dtype === "Q6_K" && columns % blockSizes.Q6_K.elements !== 0) {
    throw new RangeError(`rows of ${columns} elements are no whole number of Q6_K blocks of 256`);
  }
}

/**
 * Bytes of a row, once the rows to be written are known to fit.
 *
 * @throws RangeError for a part of a row, rows past the end, a scale that is infinite or NaN
 */
export function checkRows({ rows, columns, dtype }: Matrix, row: number, bytes: Uint8Array): number {
  const size = rowBytes(dtype, columns);
  const count = size === 0 ? 0 : bytes.length / size;
  if (!Number.isInteger(count) || !Number.isInteger(row) || row < 0 || row + count > rows) {
    throw new RangeError(
      `rows of ${size} bytes: ${bytes.length} bytes from row ${row} on do not fit a matrix of ${rows} rows`,
    );
  }
  if (isQuantized(dtype)) {
    const block = infiniteScale(dtype, bytes);
    if (block >= 0) {
      const inRow = row + Math.floor((block * blockSizes[dtype].bytes) / size);
      throw new RangeError(`a block of row ${inRow} has a scale that is no finite number`);
    }
  }
  return size;
}
