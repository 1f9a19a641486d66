import { isUtf8 } from 'node:buffer';
import type { OutgoingHttpHeaders } from 'node:http';
import { gunzipSync } from 'node:zlib';
import { formatKey } from '../connectors/address.ts';
import type { Grant, GrantWant } from '../credentials/grant.ts';
import { credentialsBehind, originOf } from '../credentials/grant-origin.ts';
import { redactFor, whatRegistrySaidTo } from '../credentials/registry-errors.ts';
import { ProxyError } from '../platform/errors.ts';
import { downstreamHeaders } from './headers.ts';
import type { Held } from './relay.ts';

const decodedBytesMax = 262_144;

/** A refusal of the registry's in our words: its challenge is not the caller's to answer. */
export function denial(answer: Held, { repository }: GrantWant, grant: Grant, host: string): ProxyError {
  const said = whatRegistrySaidTo(grant, answer.body.toString('utf8'));
  const who = grant.kind === 'anonymous' ? 'access without a credential' : 'its credential';
  const advice = originOf(grant)?.advice;
  const suffix = [said === '' ? '' : `: ${said}`, advice === undefined ? '' : `; ${advice}`].join('');
  const message = `the registry ${host} refused ${who} for ${repository} with ${answer.status}${suffix}`;
  return new ProxyError('UPSTREAM_DENIED', message);
}

/**
 * A registry's error as the caller may have it: as it stands, but for our credential and grant where it repeats them,
 * as some do that show a request for debugging. What cannot be looked through is replaced by words of ours.
 */
export function passedOn(
  answer: Held,
  { connector }: GrantWant,
  grant: Grant,
): { headers: OutgoingHttpHeaders; body: Buffer } {
  const clean = redactFor(grant);
  const headers = Object.entries(downstreamHeaders(answer.headers))
    .filter(([name]) => name !== 'content-encoding')
    .map(([name, value]) => [name, Array.isArray(value) ? value.map(clean) : clean(String(value))]);
  const text = textOf(answer);
  if (text !== undefined)
    return { headers: Object.fromEntries(headers), body: Buffer.from(clean(text.value), text.encoding) };
  const message = `the registry answered ${answer.status} with a body that cannot be read`;
  const body = Buffer.from(new ProxyError('UPSTREAM_PROTOCOL', message).toBody(formatKey(connector.key)));
  return { headers: { ...Object.fromEntries(headers), 'content-type': 'application/json' }, body };
}

/** The body as text, byte for byte where it is no UTF-8; undefined for one that is cut, encoded, or of wide characters. */
function textOf({ body, headers, isWhole }: Held): { value: string; encoding: 'utf8' | 'latin1' } | undefined {
  const plain = isWhole ? decoded(body, headers['content-encoding']) : undefined;
  if (plain === undefined || plain.includes(0)) return undefined;
  const encoding = isUtf8(plain) ? 'utf8' : 'latin1';
  return { value: plain.toString(encoding), encoding };
}

function decoded(body: Buffer, encoding: string | undefined): Buffer | undefined {
  if (encoding === undefined || encoding === '' || encoding === 'identity') return body;
  if (encoding !== 'gzip' && encoding !== 'x-gzip') return undefined;
  try {
    return gunzipSync(body, { maxOutputLength: decodedBytesMax });
  } catch {
    return undefined;
  }
}

const secretsByGrant = new WeakMap<Grant, { readonly count: number; readonly secrets: readonly string[] }>();

/**
 * Takes out of the head of an answer what repeats our grant or the password behind it: there is no honest reason for
 * it. Bodies of answers that succeed are not looked into.
 */
export function withoutEchoes(headers: OutgoingHttpHeaders, grant: Grant): void {
  const secrets = secretsBehind(grant);
  if (secrets.length === 0) return;
  for (const name in headers) {
    if (repeats(String(headers[name]), secrets)) delete headers[name];
  }
}

/** Whether a URL repeats our grant or the password behind it. */
export function isEcho(url: string, grant: Grant): boolean {
  const secrets = secretsBehind(grant);
  return secrets.length > 0 && repeats(url, secrets);
}

const percentDecoded = (text: string): string => {
  if (!text.includes('%')) return text;
  return text.replace(/(?:%[0-9a-f]{2})+/gi, (run) => Buffer.from(run.replaceAll('%', ''), 'hex').toString('utf8'));
};

/** As they are, percent-encoded, or as forms have them. */
function repeats(text: string, secrets: readonly string[]): boolean {
  const readings = [text];
  if (text.includes('%')) readings.push(percentDecoded(text));
  // Media types have a plus sign, too, and most answers have a media type.
  if (text.includes('+')) readings.push(percentDecoded(text.replaceAll('+', ' ')));
  return readings.some((reading) => secrets.some((secret) => reading.includes(secret)));
}

/** What is shorter is no secret, and would be found in honest texts. */
const secretLengthMin = 8;

function secretsBehind(grant: Grant): readonly string[] {
  const credentials = credentialsBehind(grant);
  const known = secretsByGrant.get(grant);
  if (known?.count === credentials.length) return known.secrets;
  const found = [
    grant.kind === 'authorization' ? grant.value.replace(/^\S+\s+/, '') : '',
    ...credentials.map((credential) => (credential.kind === 'password' ? credential.password : credential.token)),
  ];
  const secrets = found.map((secret) => secret.toWellFormed()).filter((secret) => secret.length >= secretLengthMin);
  secretsByGrant.set(grant, { count: credentials.length, secrets });
  return secrets;
}
