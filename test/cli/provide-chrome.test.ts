import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { type ChromeSource, provideChrome } from '../../src/cli/browser/provide-chrome.ts';

const CHROME = { path: '/opt/chrome', version: '148.0.1' };

function machine(source: Partial<ChromeSource>): ChromeSource {
  const fetch = () => Promise.reject(new Error('getaddrinfo ENOTFOUND storage.example'));
  return { find: () => null, fetch, named: undefined, ...source };
}

beforeEach(() => void vi.spyOn(process.stderr, 'write').mockReturnValue(true));
afterEach(() => void vi.restoreAllMocks());

it('takes the browser that is there', async () => {
  expect(await provideChrome(undefined, machine({ find: () => CHROME }))).toBe(CHROME);
  expect(process.stderr.write).not.toHaveBeenCalled();
});

it('fetches one where there is none, and says so', async () => {
  let isThere = false;
  const source = machine({
    find: () => (isThere ? CHROME : null),
    fetch: async () => {
      isThere = true;
    },
  });
  expect(await provideChrome(undefined, source)).toBe(CHROME);
  expect(process.stderr.write).toHaveBeenCalledWith('No Chrome on this machine: fetching one …\n');
});

it('says what to do where fetching fails, or brings one that does not start', async () => {
  await expect(provideChrome(undefined, machine({}))).rejects.toMatchObject({
    code: 'NO_BROWSER',
    message: expect.stringMatching(/CHROME_PATH.*getaddrinfo ENOTFOUND storage\.example/),
  });
  await expect(provideChrome(undefined, machine({ fetch: async () => {} }))).rejects.toMatchObject({
    code: 'NO_BROWSER',
    message: expect.stringContaining('system libraries'),
  });
});

it('is not told as a missing browser where it was stopped', async () => {
  const stop = new AbortController();
  const fetch: ChromeSource['fetch'] = async (_, { signal }) => {
    stop.abort(new Error('Ctrl-C'));
    signal?.throwIfAborted();
  };
  await expect(provideChrome(stop.signal, machine({ fetch }))).rejects.toMatchObject({ code: 'ABORTED' });
});

it('fetches nothing in place of a browser that was named', async () => {
  const fetch = vi.fn();
  await expect(provideChrome(undefined, machine({ named: '/no/chrome', fetch }))).rejects.toThrow(
    '/no/chrome',
  );
  expect(fetch).not.toHaveBeenCalled();
});
