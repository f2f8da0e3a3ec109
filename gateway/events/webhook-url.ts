/** Where webhooks may be sent: HTTPS, or this very machine; never into a private network unless the operator allows it. */
import { BlockList, isIP } from 'node:net';
import type { Parsed } from '#protocol/settings';

const URL_MAX = 2048;

/** Ranges that are no place of the public internet (IANA special-purpose registries, RFC 6890 and followers): [network, prefix]. */
const PRIVATE_V4 = [
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  ['169.254.0.0', 16],
  ['172.16.0.0', 12],
  ['192.0.0.0', 24],
  ['192.0.2.0', 24],
  ['192.88.99.0', 24],
  ['192.168.0.0', 16],
  ['198.18.0.0', 15],
  ['198.51.100.0', 24],
  ['203.0.113.0', 24],
  ['224.0.0.0', 3],
] as const;
/** With the ranges that carry an IPv4 address: what is behind a translator is not ours to judge. Mapped ones are looked up as IPv4. */
const PRIVATE_V6 = [
  ['::', 96],
  ['64:ff9b::', 96],
  ['64:ff9b:1::', 48],
  ['100::', 64],
  ['2001::', 23],
  ['2001:db8::', 32],
  ['2002::', 16],
  ['fc00::', 7],
  ['fe80::', 10],
  ['ff00::', 8],
] as const;

const privateRanges = new BlockList();
for (const [network, prefix] of PRIVATE_V4) privateRanges.addSubnet(network, prefix, 'ipv4');
for (const [network, prefix] of PRIVATE_V6) privateRanges.addSubnet(network, prefix, 'ipv6');

/** Whether an address is none of the public internet; what is no address counts as private. */
export function isPrivateAddress(address: string): boolean {
  const family = isIP(address);
  if (family === 0) return true;
  return privateRanges.check(address, family === 4 ? 'ipv4' : 'ipv6');
}

/** This machine, by a name or number that says so. */
export function isLoopbackHost(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127\.\d{1,3}\.\d{1,3}\.\d{1,3}$/.test(host);
}

/** The host as sockets take it: IPv6 without its brackets. */
export function hostOf(url: URL): string {
  return url.hostname.replace(/^\[|\]$/g, '');
}

/**
 * @param isPrivateAllowed by the operator: then private addresses and plain HTTP to them are taken
 * @returns the address as it is called, or what is wrong with it
 */
export function webhookUrl(text: string, isPrivateAllowed: boolean): Parsed<string> {
  if (text.length > URL_MAX || !URL.canParse(text)) return { problem: 'expected a URL' };
  const url = new URL(text);
  const host = hostOf(url);
  if (url.username !== '' || url.password !== '' || url.hash !== '') {
    return { problem: 'expected no credentials and no fragment' };
  }
  const isHere = isLoopbackHost(host);
  const isPrivate = isIP(host) !== 0 && isPrivateAddress(host);
  if (url.protocol !== 'https:' && !(url.protocol === 'http:' && (isHere || isPrivateAllowed))) {
    return { problem: 'expected https, or http to this machine' };
  }
  if (isPrivate && !isHere && !isPrivateAllowed) return { problem: 'expected a public address' };
  return { value: url.href };
}
