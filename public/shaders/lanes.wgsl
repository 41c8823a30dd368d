// Shared piece: the one order in which a sum over K is taken (docs/KERNELS.md, "One order of summation").
// K is cut into blocks of 32; block b belongs to lane b mod LANES; a lane sums its blocks in sequence; the lane sums are
// merged pairwise by a tree with doubling strides. `push_lane` does that tree for lanes arriving in order 0, 1, 2 …
// The includer declares `alias Sum` (f32, vec4<f32> or mat4x4<f32>) and `override LANES` (1, 2, 4, 8, 16 or 32).
struct LaneStack { p0: Sum, p1: Sum, p2: Sum, p3: Sum, p4: Sum, p5: Sum }

fn push_lane(stack: ptr<function, LaneStack>, lane: u32, sum: Sum) {
  var a = sum;
  if ((lane & 1u) == 0u) { (*stack).p0 = a; return; }
  a = (*stack).p0 + a;
  if ((lane & 2u) == 0u) { (*stack).p1 = a; return; }
  a = (*stack).p1 + a;
  if ((lane & 4u) == 0u) { (*stack).p2 = a; return; }
  a = (*stack).p2 + a;
  if ((lane & 8u) == 0u) { (*stack).p3 = a; return; }
  a = (*stack).p3 + a;
  if ((lane & 16u) == 0u) { (*stack).p4 = a; return; }
  (*stack).p5 = (*stack).p4 + a;
}

fn merged_lanes(stack: ptr<function, LaneStack>) -> Sum {
  if (LANES == 1u) { return (*stack).p0; }
  if (LANES == 2u) { return (*stack).p1; }
  if (LANES == 4u) { return (*stack).p2; }
  if (LANES == 8u) { return (*stack).p3; }
  if (LANES == 16u) { return (*stack).p4; }
  return (*stack).p5;
}
