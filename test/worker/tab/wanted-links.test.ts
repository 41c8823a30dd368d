import { beforeEach, describe, expect, it } from 'vitest';
import { ShoalError } from '../../../src/config/errors.ts';
import {
  LINK_LINGER_MS,
  LINK_RETRY_MAX_MS,
  LINK_RETRY_MIN_MS,
  MAX_LINKS,
} from '../../../src/config/limits.ts';
import { type Connector, WantedLinks } from '../../../src/worker/tab/wanted-links.ts';
import { FakeTimers } from '../../support/fake-timers.ts';

/** Counts attempts as the real one does: a new one a `connect`, unless there is one. */
class FakeConnector implements Connector {
  readonly calls: string[] = [];
  readonly attempts = new Map<string, number>();
  readonly on = new Map<string, 'connecting' | 'open'>();

  connect(peer: string): void {
    if (this.on.has(peer)) return;
    this.attempts.set(peer, (this.attempts.get(peer) ?? 0) + 1);
    this.on.set(peer, 'connecting');
    this.calls.push(`connect ${peer}`);
  }
  drop(peer: string, attempt?: number): void {
    if (attempt !== undefined && attempt < (this.attempts.get(peer) ?? 0)) return;
    if (this.on.delete(peer)) this.calls.push(`drop ${peer}`);
  }
  isOpen(peer: string): boolean {
    return this.on.get(peer) === 'open';
  }
}

const REASON = new ShoalError('LINK_FAILED', 'no attempt came through');
let timers: FakeTimers;
let connector: FakeConnector;
let links: WantedLinks;
let down: string[];
let dropped: string[];
let kept: string[];

beforeEach(() => {
  timers = new FakeTimers();
  connector = new FakeConnector();
  [down, dropped, kept] = [[], [], []];
  links = new WantedLinks({
    connector,
    timers,
    dropLink: (peer) => dropped.push(peer),
    onKept: (peer) => kept.push(peer),
    onDown: (peer) => down.push(peer),
  });
});

const opens = (peer: string) => connector.on.set(peer, 'open');
const falls = (peer: string) => {
  const attempt = connector.attempts.get(peer)!;
  connector.on.delete(peer);
  links.fell(peer, attempt);
};
const fails = (peer: string) => {
  connector.on.delete(peer);
  links.failed(peer, REASON);
};
const news = () => connector.calls.splice(0);

describe('a wanted link', () => {
  it('that falls is made again at once, and then with a back-off that doubles', async () => {
    links.want(['a']);
    news();
    opens('a');
    falls('a');
    await timers.advance(0);
    expect(news()).toEqual(['connect a']);
    for (let delayMs = LINK_RETRY_MIN_MS; delayMs < LINK_RETRY_MAX_MS; delayMs *= 2) {
      opens('a');
      falls('a');
      await timers.advance(delayMs - 1);
      expect(news()).toEqual([]);
      await timers.advance(1);
      expect(news()).toEqual(['connect a']);
    }
    opens('a');
    await timers.advance(LINK_RETRY_MAX_MS);
    falls('a');
    await timers.advance(0);
    expect(news()).toEqual(['connect a']);
  });

  it('falls once, though the worker and the connector both tell', async () => {
    links.want(['a']);
    opens('a');
    falls('a');
    await timers.advance(0);
    expect(connector.attempts.get('a')).toBe(2);
    links.fell('a', 1);
    await timers.advance(LINK_RETRY_MAX_MS);
    expect(connector.attempts.get('a')).toBe(2);
    expect(timers.pending).toBe(0);
  });

  it('that the worker finds silent is ended before it is made again', async () => {
    links.want(['a']);
    opens('a');
    news();
    links.fell('a', 1);
    await timers.advance(0);
    expect(news()).toEqual(['drop a', 'connect a']);
  });

  it('that does not come is told, and tried for as long as it is wanted', async () => {
    links.want(['a']);
    news();
    fails('a');
    expect(down).toEqual(['a']);
    await timers.advance(LINK_RETRY_MIN_MS - 1);
    expect(news()).toEqual([]);
    await timers.advance(1);
    expect(news()).toEqual(['connect a']);
    for (let tries = 0; tries < 20; tries++) {
      fails('a');
      await timers.advance(LINK_RETRY_MAX_MS);
    }
    expect(news()).toHaveLength(20);
    links.want([]);
    connector.on.delete('a');
    links.failed('a', REASON);
    expect(down).toHaveLength(21);
    await timers.advance(LINK_RETRY_MAX_MS);
    expect(news()).toEqual([]);
  });
});

describe('a link that is wanted no more', () => {
  it('stays a while, for it is often wanted again', async () => {
    links.want(['a', 'b']);
    for (const peer of ['a', 'b']) opens(peer);
    news();
    links.want(['b']);
    await timers.advance(LINK_LINGER_MS - 1);
    links.want(['a', 'b']);
    await timers.advance(LINK_LINGER_MS);
    expect([news(), dropped]).toEqual([[], []]);
    // The server, which wanted it no more, has to hear that it is there.
    expect(kept).toEqual(['a']);
    links.want(['b']);
    links.want(['b']);
    await timers.advance(LINK_LINGER_MS);
    expect([news(), dropped]).toEqual([['drop a'], ['a']]);
    expect(timers.pending).toBe(0);
  });

  it('is not made again when it falls, until it is wanted again', async () => {
    links.want(['a']);
    opens('a');
    links.want([]);
    falls('a');
    news();
    await timers.advance(1_000);
    expect(news()).toEqual([]);
    links.want(['a']);
    expect(news()).toEqual(['connect a']);
  });

  it('goes before its time where a tab would have too many', () => {
    const many = (letter: string) => Array.from({ length: MAX_LINKS }, (_, i) => `${letter}${i}`);
    links.want(many('a'));
    for (const peer of many('a')) opens(peer);
    links.want(many('b').slice(1));
    expect(dropped).toHaveLength(MAX_LINKS - 1);
    expect(connector.on.size).toBe(MAX_LINKS);
  });
});

describe('while nobody carries signals', () => {
  it('nothing is begun; then what is not open is made anew, whatever was on its way', async () => {
    links.want(['a', 'b', 'c']);
    opens('a');
    opens('b');
    links.paused();
    expect(links.isServed).toBe(false);
    falls('b');
    await timers.advance(10 * LINK_RETRY_MAX_MS);
    news();
    links.want(['a', 'b', 'c']);
    expect(news()).toEqual(['connect b', 'drop c', 'connect c']);
    expect(timers.pending).toBe(0);
  });

  it('no retry comes through either', async () => {
    links.want(['a']);
    fails('a');
    links.paused();
    news();
    await timers.advance(LINK_RETRY_MAX_MS);
    expect(news()).toEqual([]);
  });
});

it('closed, leaves no timer', () => {
  links.want(['a', 'b']);
  fails('a');
  links.want(['a']);
  links.close();
  expect(timers.pending).toBe(0);
});
