// Matrix products on one thread. The innermost part is made by `product_blocks.ts`: a tile of c, of six or four rows and
// sixteen or eight columns, gains the product of rows of a and a panel of b. Tile and panel have constant addresses.

import { Layout } from "../memory_layout.ts";
import { fillRow, warm } from "./rows.ts";
import { add, firstLanes, madd, splat, storeFirst } from "./simd.ts";
import { me } from "./threads.ts";

/** Deepest part of a panel. */
export const DEPTH: i32 = Layout.panelLines;
/** Deepest of several panels, a sum of a few parts: deeper ones pass over their results less often. */
const MOST_DEPTH: i32 = 112;

/** This thread's tile. */
export function tileAddress(): usize {
  return <usize> Layout.blocks + (<usize> me) * <usize> Layout.blockBytes;
}

/** This thread's panel; each part of a power of two lines begins at that line. */
export function panelAddress(): usize {
  return tileAddress() + <usize> Layout.tileBytes;
}

/** Columns of a panel if enough are left. */
export function panelColumns(left: i32): i32 {
  return load<i32>(Layout.wide) && left > 8 ? 16 : 8;
}

/** Depth of the next panel. */
export function panelDepth(left: i32): i32 {
  if (left < 2 * DEPTH) return left;
  const panels = (left + MOST_DEPTH - 1) / MOST_DEPTH;
  return ((left + panels - 1) / panels + 15) & ~15;
}

/** Stores four lines of four adjacent numbers as columns, `pitch` bytes apart. */
export function storeColumns(v0: v128, v1: v128, v2: v128, v3: v128, to: usize, pitch: usize): void {
  const low = i32x4.shuffle(v0, v1, 0, 4, 1, 5), high = i32x4.shuffle(v0, v1, 2, 6, 3, 7);
  const low2 = i32x4.shuffle(v2, v3, 0, 4, 1, 5), high2 = i32x4.shuffle(v2, v3, 2, 6, 3, 7);
  v128.store(to, i32x4.shuffle(low, low2, 0, 1, 4, 5));
  v128.store(to + pitch, i32x4.shuffle(low, low2, 2, 3, 6, 7));
  v128.store(to + 2 * pitch, i32x4.shuffle(high, high2, 0, 1, 4, 5));
  v128.store(to + 3 * pitch, i32x4.shuffle(high, high2, 2, 3, 6, 7));
}

/** Packs lines of b, which has adjacent columns; missing ones become zeros. */
function packLines(b: usize, bk: usize, columns: i32, lines: i32, to: usize, pitch: usize): void {
  const whole: usize = (<usize> (columns >> 2)) << 4;
  if (bk == pitch && whole == pitch) {
    memory.copy(to, b, (<usize> lines) * pitch);
    return;
  }
  const mask = firstLanes(columns & 3);
  for (; lines > 0; lines--, b += bk, to += pitch) {
    if (whole == pitch) {
      const p = v128.load(b), q = v128.load(b, 16);
      v128.store(to, p);
      v128.store(to, q, 16);
      if (pitch == 32) continue;
      const r = v128.load(b, 32), s = v128.load(b, 48);
      v128.store(to, r, 32);
      v128.store(to, s, 48);
      continue;
    }
    let n: usize = 0;
    for (; n < whole; n += 16) v128.store(to + n, v128.load(b + n));
    if (columns & 3) {
      v128.store(to + n, v128.and(v128.load(b + n), mask));
      n += 16;
    }
    for (; n < pitch; n += 16) v128.store(to + n, splat(0));
  }
}

/** Packs lines of b, whose lines are adjacent in each column. */
function packTransposed(b: usize, bn: usize, columns: i32, lines: i32, to: usize, pitch: usize): void {
  let n = 0;
  for (; n + 4 <= columns; n += 4, b += bn << 2, to += 16) {
    const b1 = b + bn, b2 = b1 + bn, b3 = b2 + bn;
    let at: usize = 0;
    let out = to;
    let k = lines;
    for (; k >= 4; k -= 4, at += 16, out += pitch << 2) {
      storeColumns(v128.load(b + at), v128.load(b1 + at), v128.load(b2 + at), v128.load(b3 + at), out, pitch);
    }
    for (; k > 0; k--, at += 4, out += pitch) {
      store<f32>(out, load<f32>(b + at));
      store<f32>(out, load<f32>(b1 + at), 4);
      store<f32>(out, load<f32>(b2 + at), 8);
      store<f32>(out, load<f32>(b3 + at), 12);
    }
  }
  for (let missing = (<i32> (pitch >> 2)) - n; missing > 0; missing--, n++, b += bn, to += 4) {
    let at = b, out = to;
    for (let k = lines; k > 0; k--, at += 4, out += pitch) {
      store<f32>(out, n < columns ? load<f32>(at) : 0);
    }
  }
}

/** First column of the panel that holds column n of a matrix. */
function panelStart(n: i32): i32 {
  return load<i32>(Layout.wide) ? n & ~15 : n & ~7;
}

/** Bytes to column n of a matrix of K lines that is stored in panels, one after another. */
export function panelOffset(n: i32, K: i32): usize {
  return (<usize> (panelStart(n) * (K - 1) + n)) << 2;
}

/** Bytes of a line of the panel that holds column n of N. */
export function panelPitch(n: i32, N: i32): usize {
  return (<usize> panelColumns(N - panelStart(n))) << 2;
}

/** Packs b[depth][columns] as this thread's panel, in parts of a power of two; strides are in bytes, one of them 4. */
function packPanel(b: usize, bk: usize, bn: usize, columns: i32, depth: i32, pitch: usize): void {
  for (let lines = DEPTH; lines > 0; lines >>= 1) {
    if (!(depth & lines)) continue;
    const to = panelAddress() + (<usize> lines) * pitch;
    if (bn == 4) packLines(b, bk, columns, lines, to, pitch);
    else packTransposed(b, bn, columns, lines, to, pitch);
    b += (<usize> lines) * bk;
  }
}

/** Copies rows of at most 16 numbers. */
function copyTile(from: usize, fromPitch: usize, to: usize, toPitch: usize, rows: i32, columns: i32): void {
  for (; rows > 0; rows--, from += fromPitch, to += toPitch) {
    for (let n = 0; n < columns; n += 4) {
      const at: usize = (<usize> n) << 2;
      storeFirst(to + at, v128.load(from + at), columns - n);
    }
  }
}

/**
 * Tiles of c of six or four rows, by a block of the thread's table; `byRow` is whether the rows of a are contiguous.
 */
function tiles(
  six: bool, byRow: bool, wide: bool, a: usize, pitch: usize, c: usize, cm: usize, depth: i32, count: i32,
  start: usize,
): void {
  // The order of `product_blocks.ts`: wide ones, narrow ones beside them, and those of engines without wide ones.
  let block = 0;
  if (!wide) block = load<i32>(Layout.wide) ? 4 : 8;
  if (!six) block += 2;
  if (!byRow) block += 1;
  call_indirect<void>(block, a, pitch, c, cm, depth, count, start);
}

/**
 * Number of tiles of six rows among `even` rows of M, of which tiles of four make up the rest. Both make up all even
 * numbers except two. A product of few rows should use one kind of tile: the code of both does not fit in the instruction
 * cache.
 *
 * @param isTail whether the panel is narrow beside wide ones
 */
function sixesOf(M: i32, even: i32, isTail: bool): i32 {
  if (!isTail && M <= 64 && (M & 3) == 0 && M % 6 != 0) return 0;
  return even % 6 == 2 ? even / 6 - 1 : even / 6;
}

/**
 * c[m][n] = or += sum over k of a[m][k] b[k][n], for columns of one packed panel. Strides are in bytes; am or ak is 4.
 *
 * @param columns number of columns of c, at most 16 if the panel is wide, else 8
 * @param start 0 to add to c, 1 to set it, else the address of what each row of c begins with
 */
export function timesPanel(
  M: i32, depth: i32, a: usize, am: usize, ak: usize, c: usize, cm: usize, columns: i32, wide: bool,
  start: usize,
): void {
  const byRow = ak == 4;
  const pitch = byRow ? am : ak;
  const whole = columns == (wide ? 16 : 8);
  const even = M < 4 ? 0 : M & ~1;
  const sixes = sixesOf(M, even, !wide && load<i32>(Layout.wide) != 0);
  for (let m = 0; m < M;) {
    const isRest = m >= even;
    const six = m < 6 * sixes;
    // A single row is repeated for the whole tile, since there may be no memory after it.
    let rows = six ? 6 : 4;
    if (isRest) rows = byRow ? 1 : M - m;
    const at = a + (<usize> m) * am, to = c + (<usize> m) * cm;
    const first = start > 1 ? start + ((<usize> m) << 2) : start;
    if (whole && !isRest) {
      const count = six ? sixes : (even - m) >> 2;
      tiles(six, byRow, wide, at, pitch, to, cm, depth, count, first);
      m += rows * count;
      continue;
    }
    const tile = tileAddress();
    const line: usize = wide ? 64 : 32;
    if (!first) copyTile(to, cm, tile, line, rows, columns);
    else if (first > 1) fillRows(tile, line, rows, columns, first);
    tiles(six, byRow, wide, at, isRest && byRow ? 0 : pitch, tile, line, depth, 1, <usize> (first == 1));
    copyTile(tile, line, to, cm, rows, columns);
    m += rows;
  }
}

/** c[m] = or += sum over k of a[k][m] b[k]: a column of c, sixteen or four rows at a time. Strides are in bytes. */
function timesColumn(
  M: i32, depth: i32, a: usize, ak: usize, b: usize, bk: usize, c: usize, cm: usize, isFirst: bool,
): void {
  const tile = tileAddress();
  for (let m = 0, rows = 0; m < M; m += rows, a += (<usize> rows) << 2, c += (<usize> rows) * cm) {
    rows = M - m < 16 ? min(4, M - m) : 16;
    if (isFirst) memory.fill(tile, 0, 64);
    else copyTile(c, cm, tile, 4, rows, 1);
    let p = v128.load(tile), q = v128.load(tile, 16), r = v128.load(tile, 32), s = v128.load(tile, 48);
    for (let k: usize = 0, from = a; k < <usize> depth; k++, from += ak) {
      const x = v128.load_splat<f32>(b + k * bk);
      p = madd(v128.load(from), x, p);
      if (rows < 16) continue;
      q = madd(v128.load(from, 16), x, q);
      r = madd(v128.load(from, 32), x, r);
      s = madd(v128.load(from, 48), x, s);
    }
    v128.store(tile, p);
    v128.store(tile, q, 16);
    v128.store(tile, r, 32);
    v128.store(tile, s, 48);
    copyTile(tile, 4, c, cm, rows, 1);
  }
}

/** Reads lines of numbers in order, which the processor can prefetch: panels read a few numbers of each. */
function warmLines(from: usize, step: usize, lines: i32, numbers: i32): void {
  for (; lines > 0; lines--, from += step) warm(from, (<usize> numbers) << 2, panelAddress());
}

/**
 * Copies lines to scratch, an odd number of cache lines apart, and returns their pitch: with a pitch of 512 bytes, or a
 * multiple, they would share few sets of the cache, and push each other out.
 */
function spreadLines(from: usize, step: usize, lines: i32, numbers: i32): usize {
  const bytes: usize = (<usize> numbers) << 2;
  const pitch: usize = ((bytes & ~63) + 64) | 64;
  for (let to = tileAddress() + <usize> Layout.spread; lines > 0; lines--, from += step, to += pitch) {
    memory.copy(to, from, bytes);
  }
  return pitch;
}

/**
 * c = a b, or c += a b. Strides are in bytes: am or ak is 4, so is bk or bn, and c's columns are adjacent. If bn is 0, b
 * is stored in panels, see `panelOffset`, and N is a multiple of 8.
 *
 * @param start 0 to add to c, 1 to set it, else the address of what each row of c begins with
 * @param bias address of what is added to each column at the end, or 0
 */
export function gemm(
  M: i32, N: i32, K: i32, a: usize, am: usize, ak: usize, b: usize, bk: usize, bn: usize, c: usize, cm: usize,
  start: usize, bias: usize = 0,
): void {
  for (let k = 0; k < K;) {
    const depth = panelDepth(K - k);
    const first = k == 0 ? start : 0;
    const right = b + (<usize> k) * bk;
    let left = a + (<usize> k) * ak;
    let step = ak;
    if (!(ak & 511) && M <= Layout.spreadColumns && N >= 64) { // fewer panels would not pay for the copy
      step = spreadLines(left, ak, depth, M);
      left = tileAddress() + <usize> Layout.spread;
    } else if (ak != 4) warmLines(left, ak, depth, M);
    if (bn == 4) warmLines(right, bk, depth, N);
    for (let n = 0; n < N;) {
      // A panel for one column would be mostly zeros.
      if (n == N - 1 && am == 4 && start <= 1 && !bias) {
        timesColumn(M, depth, left, step, right + (<usize> n) * bn, bk, c + ((<usize> n) << 2), cm, first == 1);
        break;
      }
      const most = panelColumns(N - n);
      const columns = min(most, N - n);
      const pitch: usize = (<usize> most) << 2;
      if (bn) packPanel(right + (<usize> n) * bn, bk, bn, columns, depth, pitch);
      else packPanel(b + ((<usize> (n * K + k * most)) << 2), pitch, 4, columns, depth, pitch);
      const to = c + ((<usize> n) << 2);
      const isLast = k + depth == K;
      const added = bias && isLast ? bias + ((<usize> n) << 2) : 0;
      n += columns;
      if (columns == most || M > Layout.edgeRows) {
        timesPanel(M, depth, left, am, step, to, cm, columns, most == 16, first);
        if (added) addToRows(to, cm, M, columns, added);
        continue;
      }
      // Results with fewer columns than a tile stay in scratch until they are complete.
      const edge = tileAddress() + <usize> Layout.edge;
      if (k == 0 && !start) {
        memory.fill(edge, 0, (<usize> M) * pitch);
        copyTile(to, cm, edge, pitch, M, columns);
      }
      timesPanel(M, depth, left, am, step, edge, pitch, most, most == 16, first);
      if (added) addToRows(edge, pitch, M, most, added);
      if (isLast) copyTile(edge, pitch, to, cm, M, columns);
    }
    k += depth;
  }
}

/** Adds one row of at most 16 numbers to each row of c. */
function addToRows(c: usize, cm: usize, M: i32, columns: i32, values: usize): void {
  if (columns < 16) {
    for (; M > 0; M--, c += cm) {
      for (let n = 0; n < columns; n += 4) {
        const at: usize = (<usize> n) << 2;
        storeFirst(c + at, add(v128.load(c + at), v128.load(values + at)), columns - n);
      }
    }
    return;
  }
  const p = v128.load(values), q = v128.load(values, 16), r = v128.load(values, 32), s = v128.load(values, 48);
  for (; M > 0; M--, c += cm) {
    v128.store(c, add(v128.load(c), p));
    v128.store(c, add(v128.load(c, 16), q), 16);
    v128.store(c, add(v128.load(c, 32), r), 32);
    v128.store(c, add(v128.load(c, 48), s), 48);
  }
}

/** Sets each row of c to one number, or to zero. */
function fillRows(c: usize, cm: usize, M: i32, N: i32, values: usize): void {
  for (let m: usize = 0; m < <usize> M; m++, c += cm) {
    fillRow(c, values ? load<f32>(values + (m << 2)) : 0, N);
  }
}
