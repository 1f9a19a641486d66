import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { mayReach, type NetworkZone, outermost, zoneOf } from '../../platform/network-zone.ts';

const zones: NetworkZone[] = ['public', 'private', 'loopback', 'forbidden'];

/** Hosts as somebody may write them into a URL, by the zone of what they mean. */
const hosts: Readonly<Record<NetworkZone, string>> = {
  public: `8.8.8.8 172.32.0.1 172.15.255.255 192.169.0.1 100.63.0.1 100.128.0.1 126.1.1.1 128.0.0.1 169.253.0.1 1.1
    0x08080808 134744072 [2001:4860:4860::8888] [2606:4700::1111] [::ffff:8.8.8.8] [64:ff9b::8.8.8.8] [2002:808:808::1]`,
  private: `10.0.0.1 172.16.0.1 172.31.255.255 192.168.255.1 100.64.0.1 100.127.255.255 198.18.0.1 10.1 167772161
    0xa.1 012.0.0.1 １０.0.0.1 10。0。0。1 %31%30.0.0.1 [fc00::1] [fdff::1] [::ffff:10.0.0.1] [::ffff:c0a8:1]
    [::10.0.0.1] [64:ff9b::10.0.0.1] [2002:a00:1::1] [2002:c0a8:101::]`,
  loopback: `127.0.0.1 127.255.255.254 127.1 127.0.1 2130706433 0x7f000001 0x7f.1 0177.0.0.1 017700000001 127.0.0.1.
    １２７.０.０.１ 127。0。0。1 %31%32%37.0.0.1 [::1] [0:0:0:0:0:0:0:1] [::0001] [::ffff:127.0.0.1] [::ffff:7f00:1]
    [0:0:0:0:0:FFFF:7F00:0001] [::127.0.0.1] [64:ff9b::127.0.0.1] [2002:7f00:1::]`,
  forbidden: `0.0.0.0 0 0.1.2.3 169.254.169.254 2852039166 0xa9fea9fe 0251.0376.0251.0376 169.254.170.2 169.16689662
    224.0.0.1 239.255.255.255 240.0.0.1 255.255.255.255 192.0.0.192 100.100.100.200 168.63.129.16 [::] [::2]
    [fe80::1] [febf::1] [fec0::1] [ff02::1] [fd00:ec2::254] [fd00:ec2::23] [fd00:c1::a9fe:a9fe] [fd20:ce::254]
    [fd00:42::42] [::ffff:169.254.169.254] [::ffff:a9fe:a9fe] [::169.254.169.254] [::ffff:0:0] [::ffff:0:127.0.0.1]
    [64:ff9b::169.254.169.254] [64:ff9b:1::7f00:1] [2002:a9fe:a9fe::1] [2001:0:7f00:1::]`,
};

describe.each(zones)('%s is', (zone) => {
  test.each(hosts[zone].split(/\s+/))('http://%s/', (host) => {
    expect(zoneOf(new URL(`http://${host}/`).hostname.replace(/^\[|\]$/g, ''))).toBe(zone);
  });
});

test.each(['', 'localhost', '127.1', '0177.0.0.1', '2130706433', '[::1]', '1.2.3.4.5', '%', ' 127.0.0.1', '::1::'])(
  'what is no address is forbidden: %j',
  (text) => {
    expect(zoneOf(text)).toBe('forbidden');
  },
);

test('a scope changes no zone', () => {
  expect(['fe80::1%eth0', '::1%lo', 'fc00::1%3'].map(zoneOf)).toEqual(['forbidden', 'loopback', 'private']);
});

test('every spelling of an IPv4 address inside IPv6 has its zone', () => {
  const embeddings = ['::ffff:', '::', '64:ff9b::', '0:0:0:0:0:ffff:'];
  fc.assert(
    fc.property(fc.ipV4(), fc.constantFrom(...embeddings), (address, prefix) => {
      fc.pre(!/^0\.0\.0\.[01]$/.test(address));
      expect(zoneOf(prefix + address)).toBe(zoneOf(address));
    }),
  );
  fc.assert(fc.property(fc.ipV6(), (address) => zones.includes(zoneOf(address))));
});

test('a registry may send us outwards and to its own kind, and nobody to what is forbidden', () => {
  const reach = Object.fromEntries(zones.map((from) => [from, zones.filter((to) => mayReach(from, to))]));
  expect(reach).toEqual({
    public: ['public'],
    private: ['public', 'private'],
    loopback: ['public', 'private', 'loopback'],
    forbidden: ['public', 'private', 'loopback'],
  });
});

test('of several zones the outermost counts', () => {
  expect(outermost(['loopback', 'public', 'private'])).toBe('public');
  expect(outermost(['loopback', 'private'])).toBe('private');
  expect(outermost([])).toBe('forbidden');
});
