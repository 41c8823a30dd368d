import { afterEach, describe, expect, it } from 'vitest';
import type { ShoalError } from '../../src/config/errors.ts';
import { HIGH_WATER_BYTES, MAX_FRAME_BYTES, MAX_SEND_QUEUE_BYTES } from '../../src/config/limits.ts';
import type { Transport } from '../../src/mesh/transport.ts';

/** Two ends that are not yet open, and what a test may do to what lies between. */
export interface TransportFixture {
  readonly a: Transport;
  readonly b: Transport;
  open(): void;
  /** What `a` sends waits, and counts as not yet sent, until `resume`. */
  stall(): void;
  resume(): void;
  /** The connection is lost; both ends hear of it. */
  lose(): void;
  dispose(): void;
}

/** A turn of the event loop, tasks and messages of ports included. */
const turn = () => new Promise<void>((done) => setTimeout(done, 1));

async function until(condition: () => boolean): Promise<void> {
  for (let turns = 0; !condition(); turns++) {
    if (turns > 3_000) throw new Error('the condition did not come true');
    await turn();
  }
}

function frameOf(length: number, seed: number): Uint8Array {
  return Uint8Array.from({ length }, (_, i) => (i * 13 + (i >> 8) + seed * 101) & 0xff);
}

function collect(transport: Transport): Uint8Array[] {
  const frames: Uint8Array[] = [];
  transport.onFrame((frame) => frames.push(frame));
  return frames;
}

function same(got: Uint8Array | undefined, sent: Uint8Array | undefined): boolean {
  return got !== undefined && sent !== undefined && Buffer.compare(got, sent) === 0;
}

/** What every Transport promises (src/mesh/transport.ts). */
export function describeTransport(name: string, makeFixture: () => TransportFixture): void {
  describe(`transport contract: ${name}`, () => {
    let fixture: TransportFixture;
    afterEach(() => fixture.dispose());

    function make(options: { open: boolean } = { open: true }): TransportFixture {
      fixture = makeFixture();
      if (options.open) fixture.open();
      return fixture;
    }

    it('delivers frames of every size whole and in order, both ways', async () => {
      const { a, b } = make();
      const [atA, atB] = [collect(a), collect(b)];
      const sizes = [1, 44, 4_587, 4_588, 4_589, 9_176, 65_536, 300_000, 1, 1];
      const frames = sizes.map((size, i) => frameOf(size, i));
      for (const frame of frames) {
        void a.send(frame);
        void b.send(frame);
      }
      await until(() => atA.length === frames.length && atB.length === frames.length);
      for (const got of [atA, atB]) {
        expect(got.map((frame, i) => same(frame, frames[i]))).toEqual(frames.map(() => true));
      }
      expect(a.stats.framesSent).toBe(frames.length);
      expect(b.stats.framesReceived).toBe(frames.length);
      expect(b.stats.bytesReceived).toBe(a.stats.bytesSent);
      expect(a.stats.bytesSent).toBeGreaterThanOrEqual(sizes.reduce((sum, size) => sum + size));
    });

    it('keeps small frames behind the large ones that were sent before them', async () => {
      const { a, b } = make();
      const got = collect(b);
      for (let i = 0; i < 20; i++) void a.send(frameOf(i % 2 === 0 ? 100_000 : 28, i));
      await until(() => got.length === 20);
      expect(got.map((frame) => frame.length)).toEqual(
        Array.from({ length: 20 }, (_, i) => (i % 2 === 0 ? 100_000 : 28)),
      );
    });

    it('takes frames while connecting and sends them when it opens', async () => {
      const { a, b, open } = make({ open: false });
      const got = collect(b);
      let opened = 0;
      a.onOpen(() => opened++);
      const sent = a.send(frameOf(10, 1));
      await turn();
      expect([a.state, opened, got.length]).toEqual(['connecting', 0, 0]);
      open();
      await sent;
      await until(() => got.length === 1);
      expect([a.state, opened]).toEqual(['open', 1]);
      let late = 0;
      a.onOpen(() => late++);
      expect(late).toBe(1);
    });

    it('keeps frames that came before there was a receiver', async () => {
      const { a, b } = make();
      await a.send(frameOf(10, 1));
      await a.send(frameOf(20, 2));
      await until(() => b.stats.framesReceived === 2);
      const got = collect(b);
      expect(got.map((frame) => frame.length)).toEqual([10, 20]);
      await a.send(frameOf(30, 3));
      await until(() => got.length === 3);
    });

    it('allows one receiver', () => {
      const { b } = make();
      collect(b);
      expect(() => collect(b)).toThrow(/exactly one receiver/);
    });

    it('does not read a frame after its send resolved', async () => {
      const { a, b } = make();
      const got = collect(b);
      const frame = frameOf(50_000, 1);
      await a.send(frame);
      frame.fill(0);
      await until(() => got.length === 1);
      expect(same(got[0], frameOf(50_000, 1))).toBe(true);
    });

    it('holds senders back above the high-water mark and lets them go on below', async () => {
      const { a, b, stall, resume } = make();
      const got = collect(b);
      stall();
      let resolved = 0;
      const frames = Math.ceil(HIGH_WATER_BYTES / 50_000) + 10;
      const sends = Array.from({ length: frames }, (_, i) =>
        a.send(frameOf(50_000, i)).then(() => resolved++),
      );
      await turn();
      await turn();
      expect(resolved).toBeLessThan(frames);
      resume();
      await Promise.all(sends);
      await until(() => got.length === frames);
      expect(got.every((frame, i) => same(frame, frameOf(50_000, i)))).toBe(true);
    });

    it('refuses a send beyond the bound of its queue, and keeps what it took', async () => {
      const { a, b, stall, resume } = make();
      const got = collect(b);
      stall();
      const largest = new Uint8Array(MAX_FRAME_BYTES);
      const taken = Array.from({ length: MAX_SEND_QUEUE_BYTES / MAX_FRAME_BYTES }, () => a.send(largest));
      await expect(a.send(largest)).rejects.toMatchObject({ code: 'OVERLOADED' });
      resume();
      await Promise.all(taken);
      await until(() => got.length === taken.length);
    });

    it('refuses empty and oversized frames and stays open', async () => {
      const { a, b } = make();
      const got = collect(b);
      await expect(a.send(new Uint8Array(0))).rejects.toMatchObject({ code: 'FRAME_INVALID' });
      await expect(a.send(new Uint8Array(MAX_FRAME_BYTES + 1))).rejects.toMatchObject({
        code: 'FRAME_TOO_LARGE',
      });
      await a.send(frameOf(5, 1));
      await until(() => got.length === 1);
    });

    it('tells both ends once when one closes', async () => {
      const { a, b } = make();
      const reasons: ShoalError[] = [];
      a.onClose((reason) => reasons.push(reason));
      b.onClose((reason) => reasons.push(reason));
      a.close();
      a.close();
      await until(() => reasons.length === 2);
      await turn();
      expect(reasons.map((reason) => reason.code)).toEqual(['LINK_FAILED', 'LINK_FAILED']);
      expect([a.state, b.state]).toEqual(['closed', 'closed']);
      await expect(a.send(frameOf(1, 1))).rejects.toMatchObject({ code: 'LINK_FAILED' });
      await expect(b.send(frameOf(1, 1))).rejects.toMatchObject({ code: 'LINK_FAILED' });
      let late: ShoalError | null = null;
      b.onClose((reason) => {
        late = reason;
      });
      expect(late).toMatchObject({ code: 'LINK_FAILED' });
    });

    it('rejects what waits when the connection is lost', async () => {
      const { a, b, stall, lose } = make();
      stall();
      const sends = Array.from({ length: 20 }, (_, i) => a.send(frameOf(50_000, i)));
      const settled = Promise.allSettled(sends);
      let heard = 0;
      a.onClose(() => heard++);
      b.onClose(() => heard++);
      await turn();
      lose();
      const states = (await settled).map((result) => result.status);
      expect(states).toContain('rejected');
      await until(() => heard === 2);
    });

    it('closed while connecting, never opens', async () => {
      const { a, open } = make({ open: false });
      let opened = 0;
      a.onOpen(() => opened++);
      const waiting = a.send(frameOf(3, 1));
      a.close();
      await expect(waiting).rejects.toMatchObject({ code: 'LINK_FAILED' });
      open();
      await turn();
      expect([a.state, opened]).toEqual(['closed', 0]);
    });
  });
}
