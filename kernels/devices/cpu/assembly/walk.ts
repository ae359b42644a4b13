// How a kernel walks through an array along four axes, as stored in a call; the fields are in the order of its words.

/** Elements from one position of each axis to the next; 0 where the array is repeated. */
@unmanaged
export class Walk {
  s0: i32;
  s1: i32;
  s2: i32;
  s3: i32;

  /** Bytes to the row at these positions of the first three axes. */
  rowAt(i0: i32, i1: i32, i2: i32): usize {
    return (<usize> (i0 * this.s0 + i1 * this.s1 + i2 * this.s2)) << 2;
  }

  /** Bytes from one element of a row to the next. */
  get step(): usize {
    return (<usize> this.s3) << 2;
  }
}
