import type { Frame } from '../../../src/mesh/frame.ts';
import { Links } from '../../../src/mesh/links.ts';
import { systemTimers } from '../../../src/mesh/timers.ts';
import type { FromWorker, ToWorker } from './messages.ts';

const ASK = 1;
const ECHO = 2;
const waiting = new Map<number, (frame: Frame) => void>();
let nextNumber = 0;

const links = new Links({
  timers: systemTimers,
  onOpen: (peer) => tell({ type: 'open', peer }),
  onDown: (peer, reason) => tell({ type: 'down', peer, code: reason.code, message: reason.message }),
  onFrame: (peer, frame) => {
    const [entry] = frame.entries;
    if (entry?.epoch === ASK) void links.send(peer, { ...frame, entries: [{ ...entry, epoch: ECHO }] });
    else waiting.get(frame.microBatch)?.(frame);
  },
});

addEventListener('message', ({ data }: MessageEvent<ToWorker>) => {
  if (data.type === 'channel') links.accept(data.peer, data.attempt, data.end);
  else void echo(data.peer, data.payloadBytes);
});

/** All frames are on their way at once, so that back-pressure and order are exercised too. */
async function echo(peer: string, payloadBytes: readonly number[]): Promise<void> {
  const results = await Promise.all(payloadBytes.map((bytes) => echoOne(peer, bytes)));
  tell({ type: 'echoed', frames: results.length, wrong: results.filter((same) => !same).length });
}

async function echoOne(peer: string, payloadBytes: number): Promise<boolean> {
  const number = nextNumber++;
  const payload = Uint8Array.from(
    { length: payloadBytes },
    (_, i) => (i * 31 + (i >> 8) * 7 + number) & 0xff,
  );
  const echoed = new Promise<Frame>((resolve) => waiting.set(number, resolve));
  await links.send(peer, frameOf(ASK, number, payload));
  const frame = await echoed;
  waiting.delete(number);
  return frame.payload.length === payload.length && frame.payload.every((byte, i) => byte === payload[i]);
}

function frameOf(epoch: number, number: number, payload: Uint8Array): Frame {
  const entry = { sequence: 1, position: number, epoch, count: 1, sample: true, truncate: false };
  return { kind: 'activation', dtype: 'f16', microBatch: number, entries: [entry], payload };
}

function tell(message: FromWorker): void {
  postMessage(message);
}
