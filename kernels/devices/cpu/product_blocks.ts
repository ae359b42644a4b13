import { nothing, op, vector, wholeNumber, Writer } from "./code_writer.ts";
import { depthwiseBlocks, writeDepthwise } from "./depthwise_blocks.ts";
import { Layout } from "./memory_layout.ts";

/** Rows of a tile. */
const heights = [6, 4] as const;
/** Numbers of vectors of four columns, and whether engines may join two of them: then tiles pass through memory. */
const columns = [
  { width: 4, joined: true },
  { width: 2, joined: true },
  { width: 2, joined: false },
] as const;

/** Number of parameters of products, the same as of depthwise blocks. */
const parameters = ["a", "pitch", "c", "row", "depth", "tiles", "start"] as const;

/** A kind of block. */
interface Block {
  /** How the numbers of a are adjacent. */
  readonly along: "rows" | "columns";
  /** Rows of a tile. */
  readonly height: number;
  /** Vectors of a row of a tile. */
  readonly width: number;
  /** Whether engines may join two vectors. */
  readonly joined: boolean;
}

/** All kinds, in the order of the table; `gemm.ts` computes their positions. */
const blocks: readonly Block[] = columns.flatMap(({ width, joined }) =>
  heights.flatMap((height) =>
    (["rows", "columns"] as const).map((along) => ({ along, height, width, joined }))
  )
);

/**
 * Writes a function: tiles of c, one below the other, become or gain a product, c[m][n] += sum over k < depth of a[m][k]
 * b[k][n].
 *
 * The panel of b and the tile lie at constant addresses, which saves a bounds check at each access and so a third of
 * the time. V8's `--experimental-wasm-revectorize` joins neighbouring operations on four numbers into one on eight,
 * from two neighbouring stores back to loads, if there is no check between them; so joined tiles pass through memory.
 * Sums go over k in order, so the bits depend on neither. A panel of depth 13 = 8 + 4 + 1 has parts of 8, 4 and 1
 * lines, which begin at line 8, 4 and 1.
 *
 * Parameters: the address of a; bytes from one row of a to the next, or from one column to the next if each column's
 * numbers are adjacent (`along`); the address of c and the bytes from row to row; the depth, below twice `panelLines`; the
 * number of tiles; 0 to add to c, 1 to set it, else the address of what each row of c begins with.
 */
function writeBlock(to: Writer, { along, height, width, joined }: Block, tile: number, fused: boolean): void {
  const panel = tile + Layout.tileBytes;
  /** Bytes from where a tile of c is kept to where the next one is made. */
  const made = Layout.tileBytes / 2;
  // The locals: parameters, pointers to rows of a, where in c, a factor, vectors of the line of b, sums, vectors of a.
  const [a, pitch, c, row, depth, tiles, start] = parameters.keys();
  const pointers = along === "rows" ? height : 1;
  const pointer = (r: number) => parameters.length + (along === "rows" ? r : 0);
  const target = parameters.length + pointers;
  const factor = target + 1;
  const line = (v: number) => factor + 1 + v;
  const firstSum = factor + 1 + width;
  const four = (r: number) => firstSum + height * width + r;
  const sums = Array.from({ length: height * width }, (_, i) => ({
    local: firstSum + i,
    kept: tile + 16 * i,
    r: Math.floor(i / width),
    v: i % width,
  }));
  const eachInC = (write: (sum: typeof sums[number]) => void) =>
    sums.forEach((sum) => {
      if (sum.v === 0 && sum.r > 0) to.advance(target, target, op.get, row);
      write(sum);
    });
  const loadFour = (local: number, from: number, offset: number) => {
    to.take(op.get, from);
    to.access(op.load, offset);
    to.take(op.set, local);
  };
  const goToC = () => {
    to.take(op.get, c);
    to.take(op.set, target);
  };
  const copyFromC = () =>
    eachInC(({ kept, v }) =>
      to.store(kept, () => {
        to.take(op.get, target);
        to.access(op.load, 16 * v);
      })
    );

  to.number(2);
  to.take(pointers + 1, wholeNumber);
  to.take(1 + width + sums.length + height, vector);
  if (joined) {
    to.take(op.get, start);
    to.byte(op.isZero);
    to.take(op.if, nothing);
    goToC();
    copyFromC();
    to.byte(op.end);
  }
  to.take(op.loop, nothing);
  to.take(op.get, a);
  to.take(op.set, pointer(0));
  for (let r = 1; r < pointers; r++) to.advance(pointer(r), pointer(r - 1), op.get, pitch);
  if (along === "rows") to.advance(a, pointer(height - 1), op.get, pitch);
  else to.advance(a, a, op.constant, 4 * height);
  to.take(op.get, start);
  to.take(op.if, nothing);
  to.take(op.get, start);
  to.take(op.constant, 1);
  to.byte(op.minus);
  to.take(op.if, nothing);
  for (const { local, r, v } of sums) {
    if (v === 0) {
      to.take(op.get, start);
      to.access(op.splat, 4 * r);
      to.take(op.set, factor);
    }
    to.take(op.get, factor);
    to.take(op.set, local);
  }
  to.advance(start, start, op.constant, 4 * height);
  to.byte(op.else);
  for (const { local } of sums) {
    to.zeros();
    to.take(op.set, local);
  }
  to.byte(op.end);
  to.byte(op.else);
  if (joined) {
    // The next tile is copied now: its numbers would still be on their way to memory when they are loaded in pairs.
    for (const { local, kept } of sums) to.load(kept, local);
    to.take(op.get, tiles);
    to.take(op.constant, 1);
    to.byte(op.isGreater);
    to.take(op.if, nothing);
    to.take(op.get, row);
    to.take(op.constant, height);
    to.byte(op.product);
    to.take(op.get, c);
    to.byte(op.plus);
    to.take(op.set, target);
    copyFromC();
    to.byte(op.end);
  } else {
    goToC();
    eachInC(({ local, v }) => {
      to.take(op.get, target);
      to.access(op.load, 16 * v);
      to.take(op.set, local);
    });
  }
  to.byte(op.end);
  for (let lines: number = Layout.panelLines; lines >= 1; lines /= 2) {
    to.take(op.get, depth);
    to.take(op.constant, lines);
    to.byte(op.and);
    to.take(op.if, nothing);
    for (let k = 0; k < lines; k++) {
      for (let v = 0; v < width; v++) to.load(panel + 16 * ((lines + k) * width + v), line(v));
      for (const { local, r, v } of sums) {
        if (v === 0 && joined && (along === "columns" || lines >= 4)) {
          if (along === "rows") {
            if (k % 4 === 0) loadFour(four(r), pointer(r), 4 * k);
            to.lane(four(r), k % 4);
          } else {
            // The first four numbers of a column, then the last four.
            const first = r >= 4 ? height - 4 : 0;
            if (r === 0 || r === 4) loadFour(four(first), pointer(r), 4 * first);
            to.lane(four(first), r - first);
          }
          to.take(op.set, factor);
        } else if (v === 0) {
          to.take(op.get, pointer(r));
          to.access(op.splat, along === "rows" ? 4 * k : 4 * r);
          to.take(op.set, factor);
        }
        to.multiplyAdd(local, factor, line(v), fused);
      }
      if (along === "columns") to.advance(pointer(0), pointer(0), op.get, pitch);
    }
    if (along === "rows") {
      for (let r = 0; r < height; r++) to.advance(pointer(r), pointer(r), op.constant, 4 * lines);
    }
    to.byte(op.end);
  }
  if (joined) {
    for (const { local, kept } of sums) to.store(kept + made, () => to.take(op.get, local));
  }
  goToC();
  eachInC(({ local, kept, v }) => {
    to.take(op.get, target);
    if (joined) {
      to.take(op.constant, 0);
      to.access(op.load, kept + made);
    } else to.take(op.get, local);
    to.access(op.store, 16 * v);
  });
  to.advance(c, target, op.get, row);
  to.take(op.get, tiles);
  to.take(op.constant, 1);
  to.byte(op.minus);
  to.take(op.tee, tiles);
  to.take(op.branchIf, 0);
  to.byte(op.end);
  to.byte(op.end);
}

/** A module that exports a table of all blocks with a tile at an address. */
function blocksModule(tile: number, fused: boolean): Uint8Array<ArrayBuffer> {
  const to = new Writer();
  const all = [
    ...blocks.map((block) => () => writeBlock(to, block, tile, fused)),
    ...depthwiseBlocks.map((block) => () => writeDepthwise(to, block, tile, fused)),
  ];
  const pages = Math.ceil((tile + Layout.blockBytes) / 65536);
  const maxPages = 65536;
  const isShared = 3;
  for (const byte of [0, 97, 115, 109, 1, 0, 0, 0]) to.byte(byte); // magic number and version
  to.section(1, [parameters], () => {
    to.take(0x60, parameters.length);
    for (const _ of parameters) to.byte(wholeNumber);
    to.number(0);
  });
  to.section(2, ["memory"], (name) => {
    to.text("env");
    to.text(name);
    to.take(2, isShared);
    to.number(pages);
    to.number(maxPages);
  });
  to.section(3, all, () => to.number(0));
  to.section(4, [all.length], (size) => { // a table of functions
    to.take(0x70, 0);
    to.number(size);
  });
  to.section(7, ["table"], (name) => {
    to.text(name);
    to.take(1, 0);
  });
  to.section(9, [blocks], () => { // from 0 on
    to.take(0, op.constant);
    to.take(0, op.end);
    to.number(all.length);
    all.forEach((_, i) => to.number(i));
  });
  to.section(10, all, (write) => to.sized(write));
  return to.bytes;
}

/** Address of a thread's tile, which its panel follows. */
export const blockScratch = (thread: number): number => Layout.blocks + thread * Layout.blockBytes;

const compiled = new Map<string, WebAssembly.Module>();

/** The products of blocks of a thread, each compiled once. */
export function productBlocks(thread: number, fused: boolean): WebAssembly.Module {
  const key = `${thread} ${fused}`;
  let module = compiled.get(key);
  if (!module) {
    module = new WebAssembly.Module(blocksModule(blockScratch(thread), fused));
    compiled.set(key, module);
  }
  return module;
}

/** The products of blocks of a thread. */
export interface BlockExports extends Record<string, WebAssembly.ExportValue> {
  readonly table: WebAssembly.Table;
}

/** Maximum number of probes. */
const maxProbes = 100;
/** Milliseconds between probes: engines optimise code after running it for a while. */
const pauseMs = 10;
/** The widest blocks of six rows with and without joined vectors. */
const probed = [true, false].map((joined) => blocks.findIndex((block) => block.joined === joined));
/** Shortest time per column of both, in milliseconds: in the first probe, and so far. */
const times = probed.map(() => ({ first: Infinity, least: Infinity }));
let probes = 0;
let probedAt = -Infinity;
/** Lines that repeat every eight numbers look the same at both widths. */
const probeValues = Float32Array.from({ length: Layout.edge / 4 }, (_, i) => Math.sin(1 + i % 8));

/** What the measurements so far say about an engine. */
export interface VectorWidth {
  /** Whether it joins two vectors into one. */
  readonly isWide: boolean;
  /** Whether the answer is likely to stay, since narrow blocks are optimised, too. */
  readonly isLikely: boolean;
  /** Whether the answer is final. */
  readonly isSettled: boolean;
}

/** Whether this engine joins two vectors into one, by the measurements so far. */
export function vectorWidth(): VectorWidth {
  const [wide, narrow] = times;
  const isWide = wide.least < 0.9 * narrow.least;
  const isSettled = probes >= maxProbes;
  // Code that is not optimised yet is several times slower.
  return { isWide, isLikely: isSettled || isWide && narrow.least < narrow.first / 3, isSettled };
}

/** Times a product by both kinds of blocks of the first thread, because no engine reports whether it joins vectors. */
export function probeWidth({ table }: BlockExports, memory: WebAssembly.Memory): void {
  if (performance.now() - probedAt < pauseMs) return;
  const tile = blockScratch(0);
  const panel = tile + Layout.tileBytes;
  const values = new Float32Array(memory.buffer, tile, probeValues.length);
  const lines = probed.map((index, i) => {
    values.set(probeValues);
    const run = table.get(index)!;
    const { width } = blocks[index];
    const measured = times[i];
    // Processors switch the upper halves of vectors off after a while, and need microseconds to switch them on.
    for (let round = 0; round < 5; round++) {
      const start = performance.now();
      run(panel, 0, tile, 0, Layout.panelLines, 40, 1);
      measured.least = Math.min(measured.least, (performance.now() - start) / width);
    }
    if (probes === 0) measured.first = measured.least;
    return values.slice(0, 8);
  });
  probes += 1;
  probedAt = performance.now();
  if (lines[0].every((value, i) => value === lines[1][i])) return;
  console.warn("Wide vectors give different results in this engine: the CPU device continues without them");
  probes = maxProbes;
  times[0].least = Infinity;
}
