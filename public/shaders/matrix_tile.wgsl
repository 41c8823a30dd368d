// Shared piece: one tile of a weight matrix: outputs [TILE_START, TILE_START + TILE_OUTPUTS) of it, K = BLOCKS × 32.
// A paired matrix (gate and up) computes outputs gate 0, up 0, gate 1, up 1 … and stores all gates, then all ups.
override BLOCKS: u32;
override LANES: u32;
override TILE_START: u32;
override TILE_OUTPUTS: u32;
override PAIRED: bool;

fn stored_row(o: u32) -> u32 {
  let clamped = min(o, TILE_OUTPUTS - 1u);
  if (PAIRED) { return (clamped & 1u) * (TILE_OUTPUTS / 2u) + clamped / 2u; }
  return clamped;
}
