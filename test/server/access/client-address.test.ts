import { describe, expect, it } from 'vitest';
import { addressGroup, clientAddress } from '../../../src/server/access/client-address.ts';

describe('the address of a client', () => {
  it.each([
    ['203.0.113.7', undefined, 0, '203.0.113.7'],
    ['::ffff:203.0.113.7', undefined, 0, '203.0.113.7'],
    ['fe80::1%eth0', undefined, 0, 'fe80::1'],
    // Without a proxy of ours anyone may have written the header.
    ['203.0.113.7', '198.51.100.1', 0, '203.0.113.7'],
    ['127.0.0.1', '198.51.100.1', 1, '198.51.100.1'],
    // What the client wrote himself stands before what the proxy appended.
    ['127.0.0.1', '10.0.0.1, 198.51.100.1', 1, '198.51.100.1'],
    ['127.0.0.1', '10.0.0.1,198.51.100.1,192.0.2.9', 2, '198.51.100.1'],
    ['127.0.0.1', '198.51.100.1', 2, '198.51.100.1'],
    ['127.0.0.1', '198.51.100.1:4711', 1, '198.51.100.1'],
    ['127.0.0.1', '[2001:db8::1]:4711', 1, '2001:db8::1'],
    ['127.0.0.1', 'unknown', 1, '127.0.0.1'],
    ['127.0.0.1', undefined, 1, '127.0.0.1'],
  ])('at %s, forwarded for %s by %i proxies, is %s', (socket, header, proxies, expected) => {
    expect(clientAddress(socket, header, proxies)).toBe(expected);
  });
});

describe('what an address is counted as', () => {
  it.each([
    ['203.0.113.7', '203.0.113.7'],
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
    ['2001:DB8:1:2::', '2001:db8:1:2::/64'],
    ['2001:db8::1', '2001:db8:0:0::/64'],
    ['::1', '0:0:0:0::/64'],
    ['2001:db8:1:2::7', '2001:db8:1:2::/64'],
    ['unknown', 'unknown'],
  ])('%s: %s', (address, group) => {
    expect(addressGroup(address)).toBe(group);
  });
});
