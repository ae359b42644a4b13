// An axis of a convolution, as stored in a call; the fields are in the order of its words.

/** Target position p = phase + spread i reads the source at stride i + (phase + origin + step r) / spread, for tap r. */
@unmanaged
export class Axis {
  source: i32;
  target: i32;
  taps: i32;
  step: i32;
  origin: i32;
  stride: i32;
  spread: i32;
  /** The lowest source position that a tap reads, and how many there are from it on. */
  low: i32;
  length: i32;
}
