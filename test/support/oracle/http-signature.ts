import { createHash, type KeyObject, verify } from 'node:crypto';
import type { IncomingMessage } from 'node:http';

/** Oracle's services refuse dates that are further from their clock. */
const skewMaxMs = 5 * 60_000;
const headersOfAll = ['(request-target)', 'host'];
const headersOfBodies = ['content-type', 'content-length', 'x-content-sha256'];

export interface SignedRequest {
  readonly request: IncomingMessage;
  readonly body: string;
  /** `host:port` that the request has to be for. */
  readonly authority: string;
  /** Milliseconds since the epoch. */
  readonly now: number;
  /** The key that belongs to a keyId; undefined where it is nobody's. */
  readonly keyOf: (keyId: string) => KeyObject | undefined;
}

export type Verdict = { readonly ok: true; readonly keyId: string } | { readonly ok: false; readonly reason: string };

const refuse = (reason: string): Verdict => ({ ok: false, reason });

/**
 * Verifies a request signature as Oracle's services do («Request Signatures», signature version 1): RSA-SHA256 over the
 * request target, the host, a date, and for bodies their type, length and digest.
 */
export function verifySignature({ request, body, authority, now, keyOf }: SignedRequest): Verdict {
  const parameters = parse(request.headers.authorization);
  if (parameters === undefined) return refuse('no signature');
  const { keyId = '', algorithm, headers = 'date', signature = '', version } = parameters;
  if (version !== '1' || algorithm !== 'rsa-sha256') return refuse('version or algorithm');
  const signed = headers.split(' ');
  const problem = headersProblem(request, signed, authority) ?? dateProblem(request, signed, now);
  if (problem !== undefined) return refuse(problem);
  if (createHash('sha256').update(body).digest('base64') !== request.headers['x-content-sha256'] && body !== '') {
    return refuse('digest of the body');
  }
  const key = keyOf(keyId);
  if (key === undefined) return refuse('unknown key');
  const lines = signed.map((name) => `${name}: ${signedValue(request, name)}`).join('\n');
  const isRight = verify('sha256', Buffer.from(lines), key, Buffer.from(signature, 'base64'));
  return isRight ? { ok: true, keyId } : refuse('signature');
}

function parse(authorization: string | undefined): Record<string, string> | undefined {
  if (!authorization?.startsWith('Signature ')) return undefined;
  const pairs = [...authorization.slice('Signature '.length).matchAll(/(\w+)="([^"]*)"(?:,|$)/g)];
  return Object.fromEntries(pairs.map(([, name = '', value = '']) => [name, value]));
}

function headersProblem(request: IncomingMessage, signed: readonly string[], authority: string): string | undefined {
  const hasBody = request.method === 'POST';
  const wanted = hasBody ? [...headersOfAll, ...headersOfBodies] : headersOfAll;
  const missing = wanted.find((name) => !signed.includes(name));
  if (missing !== undefined) return `${missing} is not signed`;
  return request.headers.host === authority ? undefined : 'host';
}

function dateProblem(request: IncomingMessage, signed: readonly string[], now: number): string | undefined {
  const name = ['x-date', 'date'].find((candidate) => signed.includes(candidate));
  if (name === undefined) return 'no date is signed';
  const skewMs = Math.abs(now - Date.parse(String(request.headers[name])));
  return skewMs <= skewMaxMs ? undefined : 'date';
}

function signedValue(request: IncomingMessage, name: string): string {
  if (name === '(request-target)') return `${request.method?.toLowerCase()} ${request.url}`;
  return String(request.headers[name] ?? '');
}
