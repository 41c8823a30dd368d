import { describe, expect, it } from 'vitest';
import { type ContributorHandle, type ContributorState, IDLE } from '../../src/page/contributor-state.ts';
import { LazyContributor } from '../../src/page/lazy-contributor.ts';

const OPTIONS = {
  serverUrl: 'http://localhost',
  name: 'tab',
  memoryBudgetBytes: 1,
  createWorker: () => {
    throw new Error('not here');
  },
};

class Fake implements ContributorHandle {
  static made: Fake[] = [];
  readonly calls: string[] = [];
  state = IDLE;
  #listener: (state: ContributorState) => void = () => {};

  constructor() {
    Fake.made.push(this);
  }
  subscribe(listener: (state: ContributorState) => void) {
    this.#listener = listener;
    return () => {};
  }
  async join() {
    this.calls.push('join');
    this.show('waiting');
  }
  async leave() {
    this.calls.push('leave');
    this.show('idle');
  }
  close() {
    this.calls.push('close');
  }
  show(phase: ContributorState['phase']) {
    this.state = { ...IDLE, phase };
    this.#listener(this.state);
  }
}

function lazy(load: () => Promise<typeof Fake>) {
  Fake.made = [];
  const contributor = new LazyContributor(OPTIONS, load);
  const phases: string[] = [];
  contributor.subscribe(({ phase }) => phases.push(phase));
  return { contributor, phases };
}

describe('the code of a contribution', () => {
  it('is loaded by Join, once', async () => {
    let loads = 0;
    const { contributor, phases } = lazy(async () => {
      loads++;
      return Fake;
    });
    expect(loads).toBe(0);
    await contributor.join();
    await contributor.leave();
    await contributor.join();
    expect(loads).toBe(1);
    expect(phases).toEqual(['detecting', 'waiting', 'idle', 'waiting']);
    expect(Fake.made.map(({ calls }) => calls)).toEqual([['join', 'leave', 'join']]);
    contributor.close();
    expect(Fake.made[0]!.calls.at(-1)).toBe('close');
  });

  it('that comes after Leave was pressed is not used', async () => {
    let resolve = (_: typeof Fake): void => {};
    const promise = new Promise<typeof Fake>((done) => {
      resolve = done;
    });
    const { contributor, phases } = lazy(() => promise);
    const joining = contributor.join();
    await contributor.leave();
    resolve(Fake);
    await joining;
    expect(phases).toEqual(['detecting', 'idle']);
    expect(Fake.made).toEqual([]);
  });

  it('that does not come says what to do, and Join may be pressed again', async () => {
    let isThere = false;
    const { contributor } = lazy(async () => {
      if (!isThere) throw new TypeError('Failed to fetch dynamically imported module');
      return Fake;
    });
    await contributor.join();
    expect(contributor.state.phase).toBe('failed');
    expect(contributor.state.error?.message).toContain('reload the page');
    isThere = true;
    await contributor.join();
    expect(contributor.state.phase).toBe('waiting');
  });
});
