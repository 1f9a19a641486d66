import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import { z } from 'zod';
import type { ResolvedConnector } from '../connectors/connector.ts';
import { ProxyError } from '../platform/errors.ts';
import type { SealingKeys } from '../platform/sealing-keys.ts';
import { queryNames } from './query-names.ts';

/** Where an upload goes on at the registry, or at a host that the registry named. */
export interface UploadAddress {
  readonly connector: ResolvedConnector;
  /** As the registry's API names it. */
  readonly repository: string;
  readonly url: URL;
}

/** The registry's own addresses may end earlier; each answer of an upload has a new one. */
const lifeMs = 24 * 3_600_000;
/** A request target of ours has 16 KiB in all. */
const sealedLengthMax = 12_288;
const nonceBytes = 12;
const tagBytes = 16;
const algorithm = 'aes-256-gcm';

/** Connector, its origin, repository, URL, seconds since the epoch. */
const content = z.tuple([z.string(), z.string(), z.string(), z.url(), z.number()]);

/**
 * Seals an upload's address: a path component that says nothing, that only we can have made, and that is of use for this
 * repository of this connector alone. Whatever the registry put into the address comes back with it: nothing has to be
 * remembered, and any replica can go on.
 * @throws ProxyError UPSTREAM_PROTOCOL for an address that is too long
 */
export function sealUpload({ connector, repository, url }: UploadAddress, keys: SealingKeys, now: number): string {
  const { id, key } = keys.current;
  const expiresAt = Math.floor((now + lifeMs) / 1000);
  const text = JSON.stringify([connector.uid, connector.address.origin, repository, url.href, expiresAt]);
  const nonce = randomBytes(nonceBytes);
  const cipher = createCipheriv(algorithm, key, nonce);
  const sealed = Buffer.concat([nonce, cipher.update(text, 'utf8'), cipher.final(), cipher.getAuthTag()]);
  const address = `${id}.${sealed.toString('base64url')}`;
  if (address.length <= sealedLengthMax) return address;
  throw new ProxyError('UPSTREAM_PROTOCOL', `the registry's address of the upload is too long (${url.href.length})`);
}

/**
 * Reads what `sealUpload` made.
 * @throws ProxyError UPLOAD_UNKNOWN for anything else, for what has expired, and for another repository or connector
 */
export async function openUpload(
  sealed: string,
  connector: ResolvedConnector,
  repository: string,
  keys: SealingKeys,
  now: number,
): Promise<URL> {
  const fields = content.safeParse(await decrypt(sealed, keys)).data;
  if (fields === undefined) throw unknown('is none of ours: begin a new one');
  const [uid, origin, name, href, expiresAt] = fields;
  const isSame = uid === connector.uid && origin === connector.address.origin && name === repository;
  if (!isSame) throw unknown('is of another repository, or of a registry that the connector has no more');
  if (expiresAt * 1000 <= now) throw unknown('has expired: begin a new one');
  return new URL(href);
}

const unknown = (message: string): ProxyError => new ProxyError('UPLOAD_UNKNOWN', `the upload ${message}`);

const form = /^([A-Za-z0-9_-]{1,64})\.([A-Za-z0-9_-]+)$/;

async function decrypt(sealed: string, keys: SealingKeys): Promise<unknown> {
  const [, id = '', text = ''] = sealed.length > sealedLengthMax ? [] : (form.exec(sealed) ?? []);
  const bytes = Buffer.from(text, 'base64url');
  if (bytes.length <= nonceBytes + tagBytes) return undefined;
  if (keys.find(id) === undefined) await keys.refresh?.();
  const found = keys.find(id);
  if (found === undefined) return undefined;
  const opener = createDecipheriv(algorithm, found.key, bytes.subarray(0, nonceBytes), { authTagLength: tagBytes });
  opener.setAuthTag(bytes.subarray(-tagBytes));
  try {
    const plain = Buffer.concat([opener.update(bytes.subarray(nonceBytes, -tagBytes)), opener.final()]);
    return JSON.parse(plain.toString('utf8'));
  } catch {
    return undefined;
  }
}

/**
 * The address with what the caller put into its query (`digest`), after the registry's own parameters, which stay as
 * they are: a caller can add to them, replace none, and make no mount of an upload under way.
 */
export function withCallersQuery(url: URL, query: string): URL {
  const own = new Set(['mount', 'from', ...url.search.slice(1).split('&').flatMap(queryNames)]);
  const added = query
    .slice(1)
    .split('&')
    .filter((pair) => pair !== '' && !queryNames(pair).some((name) => own.has(name)));
  if (added.length === 0) return url;
  const whole = new URL(url);
  // As text: URLSearchParams would spell the registry's parameters anew, and some are signed as they stand.
  whole.search = url.search === '' ? `?${added.join('&')}` : `${url.search}&${added.join('&')}`;
  return whole;
}
