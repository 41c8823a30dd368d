import { Writable } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { formatOf, type LogFormat, loggerTo } from '../../src/cli/log.ts';
import { Secret } from '../../src/config/secret.ts';

const KEY = 'sk-shoal-AbCdEfGhIjKlMnOpQrStUvWxYz_-0123456789';
const PLAIN = 'hunter2-hunter2';

function capture(format: LogFormat) {
  let text = '';
  const destination = new Writable({
    write(line, _encoding, done) {
      text += line;
      done();
    },
  });
  return { log: loggerTo(format, { level: 'info', destination }), text: () => text };
}

it.each([
  [undefined, true, 'pretty'],
  [undefined, false, 'json'],
  [undefined, undefined, 'json'],
  ['json', true, 'json'],
  ['pretty', false, 'pretty'],
  ['loud', true, 'pretty'],
])('SHOAL_LOG=%s, on a terminal %s: %s', (wanted, isTerminal, format) => {
  expect(formatOf(wanted, isTerminal)).toBe(format);
});

describe.each(['json', 'pretty'] as const)('the log as %s', (format) => {
  it('writes no key and no headers, however they come in', async () => {
    const { log, text } = capture(format);
    const headers = { authorization: `Bearer ${PLAIN}`, 'x-api-key': PLAIN };
    log.info({ headers, apiKey: PLAIN, node: { bearer_token: PLAIN, url: 'http://kept' } }, 'a request');
    log.info({ config: { node: { api_key: PLAIN } } }, `with ${KEY} and Bearer ${PLAIN}`);
    log.info({ secret: new Secret(PLAIN) }, `secret ${new Secret(PLAIN)}`);
    const error = Object.assign(new Error(`sent Bearer ${PLAIN}`, { cause: new Error(`with ${KEY}`) }), {
      code: 'ECONNRESET',
      request: { headers },
      response: { body: PLAIN },
    });
    log.error({ err: error }, 'failed');
    log.error(error);
    log.child({ headers }).info({ req: { headers } }, 'child');
    await expect.poll(text).toContain('child');
    expect(text()).not.toContain(PLAIN);
    expect(text()).not.toContain(KEY.slice(9));
    for (const kept of ['http://kept', 'a request', 'ECONNRESET', 'Bearer ***', 'sk-***']) {
      expect(text()).toContain(kept);
    }
  });
});

it('writes one JSON object a line, with the level and the time', () => {
  const { log, text } = capture('json');
  log.warn({ a: 1 }, 'two\nlines');
  log.debug('not this');
  const lines = text().trim().split('\n');
  expect(lines).toHaveLength(1);
  expect(JSON.parse(lines[0]!)).toEqual({ level: 40, time: expect.any(Number), a: 1, msg: 'two\nlines' });
});

it('writes for people on one line', async () => {
  const { log, text } = capture('pretty');
  log.info({ a: 1 }, 'hello');
  await expect.poll(text).toMatch(/^\[\d\d:\d\d:\d\d\] INFO: hello \{"a":1\}\n$/);
});

it('lets nobody steer the terminal, or forge a line, by his name or his error', async () => {
  const { log, text } = capture('pretty');
  const evil = 'e\u001b]0;title\u0007v\u009b31m\u007fi\rl\n[00:00:00] INFO: forged \\u001b \\n "q"';
  log.info({ name: evil, models: [evil] }, `${evil} lends`);
  log.error({ err: new Error(`failed: ${evil}`) }, 'of an error');
  log.info('last');
  await expect.poll(text).toContain('last');
  expect(text()).not.toMatch(/(?!\n)\p{Cc}/u);
  expect(text()).not.toMatch(/^\[00:00:00\]/m);
  // A backslash that somebody wrote stays one.
  expect(text()).toContain('forged \\u001b \\n "q" lends');
});
