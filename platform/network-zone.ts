import { BlockList, isIP, isIPv4, isIPv6 } from 'node:net';

/**
 * How far inside an address lies. `forbidden` are addresses no registry has a reason to send us to: link-local (the
 * clouds' metadata services live there), unspecified, multicast and reserved ranges.
 */
export type NetworkZone = 'public' | 'private' | 'loopback' | 'forbidden';

type Range = readonly [address: string, prefixBits: number];

// IANA special-purpose address registries (RFC 6890 and its updates).
const loopback: readonly Range[] = [
  ['127.0.0.0', 8],
  ['::1', 128],
];
const privateRanges: readonly Range[] = [
  ['10.0.0.0', 8],
  ['172.16.0.0', 12],
  ['192.168.0.0', 16],
  ['100.64.0.0', 10],
  ['198.18.0.0', 15],
  ['fc00::', 7],
];
const forbidden: readonly Range[] = [
  ['0.0.0.0', 8],
  ['169.254.0.0', 16],
  ['192.0.0.0', 24],
  ['224.0.0.0', 4],
  ['240.0.0.0', 4],
  ['::', 128],
  ['fe80::', 10],
  ['fec0::', 10],
  ['ff00::', 8],
  // IPv4 inside IPv6 where the way out of it is the network's affair: Teredo, NAT64 of a site, SIIT.
  ['2001::', 32],
  ['64:ff9b:1::', 48],
  ['::ffff:0:0:0', 96],
  // Metadata services outside the link-local ranges: AWS, Oracle Cloud, Google Cloud and Scaleway over IPv6, Alibaba
  // Cloud, Azure's wire server.
  ['fd00:ec2::', 32],
  ['fd00:c1::a9fe:a9fe', 128],
  ['fd20:ce::254', 128],
  ['fd00:42::42', 128],
  ['100.100.100.200', 32],
  ['168.63.129.16', 32],
];

function toBlockList(ranges: readonly Range[]): BlockList {
  const list = new BlockList();
  for (const [address, bits] of ranges) list.addSubnet(address, bits, isIPv6(address) ? 'ipv6' : 'ipv4');
  return list;
}

const zones: readonly (readonly [NetworkZone, BlockList])[] = [
  ['forbidden', toBlockList(forbidden)],
  ['loopback', toBlockList(loopback)],
  ['private', toBlockList(privateRanges)],
];

/** The zone of an IP address (without brackets). What is no address is forbidden. */
export function zoneOf(address: string): NetworkZone {
  const plain = address.split('%', 1)[0] ?? '';
  if (isIP(plain) === 0) return 'forbidden';
  const embedded = isIPv6(plain) ? embeddedIpv4(plain) : undefined;
  if (embedded !== undefined) return zoneOf(embedded);
  const family = isIPv4(plain) ? 'ipv4' : 'ipv6';
  return zones.find(([, list]) => list.check(plain, family))?.[0] ?? 'public';
}

/** The IPv4 address inside an IPv6 one: mapped (::ffff/96), compatible (::/96), NAT64 (64:ff9b::/96), 6to4 (2002::/16). */
function embeddedIpv4(address: string): string | undefined {
  const groups = ipv6Groups(address);
  const [first, second, third] = groups;
  if (first === 0x2002) return dotted(second ?? 0, third ?? 0);
  const head = groups.slice(0, 6);
  const isMapped = head.slice(0, 5).every((group) => group === 0) && head[5] === 0xffff;
  const isCompatible = head.every((group) => group === 0) && (groups[6] !== 0 || (groups[7] ?? 0) > 1);
  const isNat64 = first === 0x64 && second === 0xff9b && head.slice(2).every((group) => group === 0);
  return isMapped || isCompatible || isNat64 ? dotted(groups[6] ?? 0, groups[7] ?? 0) : undefined;
}

const dotted = (high: number, low: number): string => [high >> 8, high & 255, low >> 8, low & 255].join('.');

/** The eight 16-bit groups. The URL parser spells every form of address in one way first. */
function ipv6Groups(address: string): number[] {
  const spelled = new URL(`http://[${address}]`).hostname.slice(1, -1);
  const [left = '', right] = spelled.split('::');
  const parse = (text: string): number[] =>
    text === '' ? [] : text.split(':').map((group) => Number.parseInt(group, 16));
  const head = parse(left);
  const tail = right === undefined ? [] : parse(right);
  return [...head, ...new Array<number>(8 - head.length - tail.length).fill(0), ...tail];
}

const depth: Readonly<Record<NetworkZone, number>> = { public: 0, private: 1, loopback: 2, forbidden: 3 };

/** Whether a registry in zone `from` may send us to zone `to`: only outwards or to its own kind, and never to `forbidden`. */
export const mayReach = (from: NetworkZone, to: NetworkZone): boolean => to !== 'forbidden' && depth[to] <= depth[from];

/** The zone that grants least: a name that resolves to a public address counts as public whatever else it resolves to. */
export function outermost(zonesFound: readonly NetworkZone[]): NetworkZone {
  return zonesFound.reduce((a, b) => (depth[b] < depth[a] ? b : a), 'forbidden' as NetworkZone);
}
