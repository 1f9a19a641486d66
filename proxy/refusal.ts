import { isUtf8 } from 'node:buffer';
import type { OutgoingHttpHeaders } from 'node:http';
import { redact } from '../credentials/credential.ts';
import type { Grant, GrantWant } from '../credentials/grant.ts';
import { whatRegistrySaidTo } from '../credentials/registry-errors.ts';
import { credentialOf } from '../credentials/secret.ts';
import { ProxyError } from '../platform/errors.ts';
import { downstreamHeaders } from './headers.ts';
import type { Held } from './relay.ts';

/** A refusal of the registry's in our words: its challenge is not the caller's to answer. */
export function denial(answer: Held, { connector, repository }: GrantWant, grant: Grant, host: string): ProxyError {
  const said = whatRegistrySaidTo(grant, connector, repository, answer.body.toString('utf8'));
  const who =
    connector.secret === undefined ? 'access without a credential (the connector has none)' : 'its credential';
  const suffix = said === '' ? '' : `: ${said}`;
  const message = `the registry ${host} refused ${who} for ${repository} with ${answer.status}${suffix}`;
  return new ProxyError('UPSTREAM_DENIED', message);
}

/**
 * A registry's error as the caller may have it: as it stands, but for our credential and grant where it repeats them,
 * as some do that show a request for debugging.
 */
export function withoutSecrets(
  answer: Held,
  { connector, repository }: GrantWant,
  grant: Grant,
): { headers: OutgoingHttpHeaders; body: Buffer } {
  const read = credentialOf(connector, repository);
  const authorization = grant.kind === 'authorization' ? grant.value : undefined;
  const clean = (text: string): string => redact(text, read.ok ? read.credential : undefined, authorization);
  const headers = Object.entries(downstreamHeaders(answer.headers)).map(([name, value]) => [
    name,
    Array.isArray(value) ? value.map(clean) : clean(String(value)),
  ]);
  // What is encoded is no text to look into, and what repeats a request does not encode it first.
  const isText = answer.headers['content-encoding'] === undefined && isUtf8(answer.body);
  const body = isText ? Buffer.from(clean(answer.body.toString('utf8'))) : answer.body;
  return { headers: Object.fromEntries(headers), body };
}
