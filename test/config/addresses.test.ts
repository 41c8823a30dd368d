import { BlockList, isIP } from 'node:net';
import { describe, expect, it } from 'vitest';
import { classifyAddress, isCidr, literalAddress, matchesCidr } from '../../src/config/addresses.ts';

describe('classifyAddress', () => {
  it.each([
    ['127.0.0.1', 'loopback'],
    ['127.255.255.255', 'loopback'],
    ['::1', 'loopback'],
    ['::ffff:127.0.0.1', 'loopback'],
    ['::ffff:7f00:1', 'loopback'],
    ['64:ff9b::7f00:1', 'loopback'],
    ['2002:7f00:1::', 'loopback'],
    ['::127.0.0.1', 'loopback'],
    ['0.0.0.0', 'unspecified'],
    ['0.1.2.3', 'unspecified'],
    ['::', 'unspecified'],
    ['::ffff:0.0.0.0', 'unspecified'],
    ['10.0.0.5', 'private'],
    ['172.16.0.1', 'private'],
    ['172.31.255.255', 'private'],
    ['192.168.1.1', 'private'],
    ['100.64.0.1', 'private'],
    ['100.127.255.255', 'private'],
    ['198.18.0.1', 'private'],
    ['240.0.0.1', 'private'],
    ['fc00::1', 'private'],
    ['fd12:3456::1', 'private'],
    ['fec0::1', 'private'],
    ['100::1', 'private'],
    ['64:ff9b:1::a00:1', 'private'],
    ['64:ff9b::10.0.0.1', 'private'],
    ['::ffff:0:10.0.0.1', 'private'],
    ['2002:c0a8:0101::1', 'private'],
    ['2001:0:a00:1::1', 'private'],
    ['169.254.1.1', 'link-local'],
    ['fe80::1', 'link-local'],
    ['fe80::1%eth0', 'link-local'],
    ['febf::1', 'link-local'],
    ['169.254.169.254', 'metadata'],
    ['169.254.170.2', 'metadata'],
    ['100.100.100.200', 'metadata'],
    ['168.63.129.16', 'metadata'],
    ['fd00:ec2::254', 'metadata'],
    ['FD00:0EC2:0:0:0:0:0:0254', 'metadata'],
    ['::ffff:169.254.169.254', 'metadata'],
    ['64:ff9b::a9fe:a9fe', 'metadata'],
    ['2002:a9fe:a9fe::1', 'metadata'],
    ['224.0.0.1', 'multicast'],
    ['255.255.255.255', 'multicast'],
    ['ff02::1', 'multicast'],
    ['8.8.8.8', 'public'],
    ['172.15.255.255', 'public'],
    ['172.32.0.0', 'public'],
    ['100.63.255.255', 'public'],
    ['100.128.0.0', 'public'],
    ['126.255.255.255', 'public'],
    ['128.0.0.0', 'public'],
    ['2606:4700::1111', 'public'],
    ['64:ff9b::8.8.8.8', 'public'],
    ['::ffff:8.8.8.8', 'public'],
  ])('%s is %s', (ip, kind) => {
    expect(classifyAddress(ip)).toBe(kind);
  });

  it.each([
    '',
    'localhost',
    '127.1',
    '0177.0.0.1',
    '1.2.3.4.5',
    '256.1.1.1',
    '::1::',
    '1:2:3',
    ':1',
    '[::1]',
    'g::',
    '1.2.3.4::',
  ])('refuses %j, which is no address', (text) => {
    expect(isIP(text)).toBe(0);
    expect(() => classifyAddress(text)).toThrow(expect.objectContaining({ code: 'ADDRESS_REFUSED' }));
  });
});

describe('matchesCidr', () => {
  const ranges = [
    '10.0.0.0/8',
    '10.1.2.3',
    '192.168.0.5/16',
    '172.16.0.0/12',
    '0.0.0.0/0',
    'fd00::/8',
    '2001:db8::/33',
    '::/0',
    '1.2.3.4/32',
    '1.2.3.4/31',
  ];
  const addresses = [
    '10.0.0.1',
    '10.1.2.3',
    '11.0.0.0',
    '192.168.255.255',
    '192.169.0.0',
    '172.31.0.1',
    '172.32.0.1',
    'fd00::1',
    'fe00::1',
    '2001:db8:7fff::1',
    '2001:db8:8000::1',
    '1.2.3.4',
    '1.2.3.5',
    '::ffff:10.1.2.3',
  ];

  it.each(ranges)('agrees with node:net about %s', (cidr) => {
    const [address = '', prefix] = cidr.split('/');
    const list = new BlockList();
    const family = isIP(address) === 4 ? 'ipv4' : 'ipv6';
    if (prefix === undefined) list.addAddress(address, family);
    else list.addSubnet(address, Number(prefix), family);
    // An IPv4-mapped address is IPv4 here, and never in an IPv6 range; node:net sees all of IPv4 in ::/0.
    for (const ip of addresses.filter((ip) => family === 'ipv4' || !ip.includes('.'))) {
      expect([ip, matchesCidr(ip, cidr)]).toEqual([ip, list.check(ip, isIP(ip) === 4 ? 'ipv4' : 'ipv6')]);
    }
  });

  it('takes a mapped range as the IPv4 range it is', () => {
    expect(matchesCidr('10.0.0.1', '::ffff:10.0.0.0/104')).toBe(true);
    expect(matchesCidr('11.0.0.1', '::ffff:10.0.0.0/104')).toBe(false);
  });

  it.each([
    '',
    '10.0.0.0/33',
    '::/129',
    '10.0.0/8',
    '10.0.0.0/',
    '10.0.0.0/08',
    '10.0.0.0/8/8',
    '10.0.0.0/-1',
    'example.com',
    'fe80::1%eth0',
  ])('%j is no range, and holds nothing', (text) => {
    expect(isCidr(text)).toBe(false);
    expect(matchesCidr('10.0.0.1', text)).toBe(false);
  });
});

it('tells a literal address from a name, as URL writes them', () => {
  const hostname = (url: string) => literalAddress(new URL(url).hostname);
  expect(hostname('http://[::1]:80')).toBe('::1');
  expect(hostname('http://0x7f.1/')).toBe('127.0.0.1');
  expect(hostname('http://2130706433/')).toBe('127.0.0.1');
  expect(hostname('http://localhost')).toBeNull();
  expect(hostname('http://10.0.0.5.nip.io')).toBeNull();
});
