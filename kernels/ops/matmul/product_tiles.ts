import type { Workgroups } from "../../devices/device.ts";

/** How a workgroup computes rows x columns of a matrix product, `depth` terms of every sum at a time. */
export interface ProductTile {
  readonly rows: number;
  readonly columns: number;
  readonly depth: number;
  /** Rows and columns that each lane holds in registers; multiples of four. */
  readonly laneRows: number;
  readonly laneColumns: number;
  /** Whether it is too flat for products with more rows, which would load too much. */
  readonly flat?: boolean;
}

/**
 * All tiles, in the order of trial: those with the fewest loads per arithmetic operation first. A lane of 8 x 8 does 64
 * multiply-adds for 16 numbers read from workgroup memory, one of 4 x 4 does 16 for 8. The slices of each fit the 16
 * KiB of workgroup memory that every WebGPU device has.
 */
export const tiles: readonly ProductTile[] = [
  { rows: 128, columns: 128, depth: 8, laneRows: 8, laneColumns: 8 },
  { rows: 64, columns: 128, depth: 8, laneRows: 8, laneColumns: 8 },
  { rows: 64, columns: 64, depth: 16, laneRows: 8, laneColumns: 4 },
  { rows: 32, columns: 64, depth: 16, laneRows: 4, laneColumns: 4 },
  { rows: 32, columns: 32, depth: 16, laneRows: 4, laneColumns: 4 },
  { rows: 16, columns: 128, depth: 16, laneRows: 4, laneColumns: 4, flat: true },
  { rows: 16, columns: 64, depth: 16, laneRows: 4, laneColumns: 4, flat: true },
  { rows: 4, columns: 256, depth: 8, laneRows: 4, laneColumns: 4, flat: true },
];

/** Groups that fill a large GPU eight times, so that a last round with idle cores matters little; with fewer groups, a smaller tile is better. */
const enoughGroups = 1024;

/** Size of `batches` products of [rows, depth] and [depth, columns]. */
export interface ProductSize {
  readonly rows: number;
  readonly columns: number;
  readonly batches: number;
}

/** Number of groups needed to cover products with a tile. */
function groupsOf({ rows, columns, batches }: ProductSize, tile: ProductTile): number {
  return batches * Math.ceil(rows / tile.rows) * Math.ceil(columns / tile.columns);
}

/** Number of elements computed with a tile, including those beyond the edges. */
function computedWith(size: ProductSize, tile: ProductTile): number {
  return groupsOf(size, tile) * tile.rows * tile.columns;
}

/** Indices of the tiles that waste little work beyond the edges. */
function frugalTiles(size: ProductSize): number[] {
  const computed = tiles.map((tile) =>
    tile.flat && size.rows > tile.rows ? Infinity : computedWith(size, tile)
  );
  const most = 1.25 * Math.min(...computed);
  return [...tiles.keys()].filter((i) => computed[i] <= most);
}

/** Index of the tile for a product: the first frugal one that fills the GPU, else the one with most groups. */
export function chooseTile(size: ProductSize): number {
  const frugal = frugalTiles(size);
  return frugal.find((i) => groupsOf(size, tiles[i]) >= enoughGroups) ??
    frugal.reduce((best, i) => groupsOf(size, tiles[i]) > groupsOf(size, tiles[best]) ? i : best);
}

/** Groups of a product with the tile of fewest loads, even if they do not fill the GPU. */
export function fewestGroups(size: ProductSize): number {
  return groupsOf(size, tiles[frugalTiles(size)[0]]);
}

/** Lanes of a workgroup with a tile. */
export function lanesOf({ rows, columns, laneRows, laneColumns }: ProductTile): number {
  return rows / laneRows * columns / laneColumns;
}

/** Workgroups for a product with a tile. */
export function productGroups(size: ProductSize, tile: ProductTile): Workgroups {
  return { count: groupsOf(size, tile), lanes: lanesOf(tile) };
}

/** Name of a tile: its rows, columns and depth. */
export function nameOfTile({ rows, columns, depth }: ProductTile): string {
  return `${rows}x${columns}x${depth}`;
}

/** Whether a tile may be the fastest on some GPU: it computes at most twice as much as the most frugal one. */
export function isWorthTiming(size: ProductSize, tile: ProductTile): boolean {
  if (tile.flat && size.rows > tile.rows) return false;
  return computedWith(size, tile) <= 2 * Math.min(...tiles.map((other) => computedWith(size, other)));
}
