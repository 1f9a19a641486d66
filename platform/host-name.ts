import { isIPv4, isIPv6 } from 'node:net';

const hostLengthMax = 253;
const label = '[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?';
const dnsName = new RegExp(`^(?:${label}\\.)*${label}$`);
/** `127.1`, `0x7f000001`, `2130706433`: what some programs take for an address. A top-level domain has a letter. */
const oddAddress = /(?:^|\.)(?:\d+|0x[0-9a-f]*)$/;

/**
 * A host in the one spelling that is compared, dialled and certified: a DNS name in lower case, or an IP address without
 * brackets. Undefined for anything else: wildcards, names that end with a dot, odd addresses.
 */
export function canonicalHost(text: string): string | undefined {
  if (isIPv4(text)) return text;
  // A zone, as in fe80::1%eth0, means something on one machine only.
  if (isIPv6(text)) return text.includes('%') ? undefined : new URL(`http://[${text}]`).hostname.slice(1, -1);
  const name = text.toLowerCase();
  const isName = name.length <= hostLengthMax && dnsName.test(name) && !oddAddress.test(name);
  return isName ? name : undefined;
}
