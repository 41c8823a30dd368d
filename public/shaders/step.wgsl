// Shared piece: what changes from one submit to the next. One uniform buffer, one 256-byte slot per dispatch group
// (dynamic offset), written once per step.
struct Step {
  rows: u32,      // rows this dispatch computes
  base: u32,      // first of them within the micro-batch
  round_f16: u32, // 1: layer outputs are rounded to f16 (the wire's format), in every split
  blocks: u32,    // KV blocks of the longest row
}
@group(0) @binding(0) var<uniform> step: Step;
