// Functions of `product_blocks.ts`, which each thread imports from a module of its own.

export declare function rows6x16(
  a: usize,
  pitch: usize,
  c: usize,
  row: usize,
  depth: i32,
  tiles: i32,
  fresh: i32,
): void;

export declare function rows6x8(
  a: usize,
  pitch: usize,
  c: usize,
  row: usize,
  depth: i32,
  tiles: i32,
  fresh: i32,
): void;

export declare function rows4x16(
  a: usize,
  pitch: usize,
  c: usize,
  row: usize,
  depth: i32,
  tiles: i32,
  fresh: i32,
): void;

export declare function rows4x8(
  a: usize,
  pitch: usize,
  c: usize,
  row: usize,
  depth: i32,
  tiles: i32,
  fresh: i32,
): void;

export declare function columns6x16(
  a: usize,
  pitch: usize,
  c: usize,
  row: usize,
  depth: i32,
  tiles: i32,
  fresh: i32,
): void;

export declare function columns6x8(
  a: usize,
  pitch: usize,
  c: usize,
  row: usize,
  depth: i32,
  tiles: i32,
  fresh: i32,
): void;

export declare function columns4x16(
  a: usize,
  pitch: usize,
  c: usize,
  row: usize,
  depth: i32,
  tiles: i32,
  fresh: i32,
): void;

export declare function columns4x8(
  a: usize,
  pitch: usize,
  c: usize,
  row: usize,
  depth: i32,
  tiles: i32,
  fresh: i32,
): void;
