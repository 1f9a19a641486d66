import { type Credential, redact, redactAll } from './credential.ts';
import type { Grant } from './grant.ts';
import { credentialsBehind, originOf } from './grant-origin.ts';

/** A sentence of the registry's longer than this says nothing more. */
const saidLengthMax = 300;

/**
 * What a registry or its token server said in an error body, in one line, for people: codes and messages of an OCI
 * error body or an OAuth2 error, without anything that looks like a credential. Empty when it said nothing readable.
 */
export function whatRegistrySaid(body: string, credential: Credential | undefined, authorization?: string): string {
  const sentences = readErrors(body).map((entry) => entry.filter((part) => part !== '').join(': '));
  const said = [...new Set(sentences)].filter((sentence) => sentence !== '').join('; ');
  const printable = redact(said, credential, authorization).replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]+/gu, ' ');
  return printable.length > saidLengthMax ? `${printable.slice(0, saidLengthMax)}…` : printable;
}

/** The same of an answer to a request that carried `grant`: it must repeat neither that nor what it was made from. */
export function whatRegistrySaidTo(grant: Grant, body: string): string {
  return redactFor(grant)(whatRegistrySaid(body, originOf(grant)?.credential, authorizationOf(grant)));
}

/** `text` of an answer to a request that carried `grant`, without that and without what it was made from. */
export function redactFor(grant: Grant): (text: string) => string {
  const [first, ...others] = credentialsBehind(grant);
  return (text) => redactAll(redact(text, first, authorizationOf(grant)), others);
}

const authorizationOf = (grant: Grant): string | undefined =>
  grant.kind === 'authorization' ? grant.value : undefined;

function readErrors(body: string): string[][] {
  let parsed: unknown;
  try {
    parsed = JSON.parse(body);
  } catch {
    return [];
  }
  if (typeof parsed !== 'object' || parsed === null) return [];
  const { errors, error, error_description, details, message } = parsed as Record<string, unknown>;
  if (Array.isArray(errors)) {
    return errors.slice(0, 5).map((entry) => [textOf(entry?.code), textOf(entry?.message)]);
  }
  return [[textOf(error), textOf(error_description ?? details ?? message)]];
}

const textOf = (value: unknown): string => (typeof value === 'string' ? value : '');
