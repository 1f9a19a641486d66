import { readFile, stat } from 'node:fs/promises';
import { parse } from 'yaml';
import { z } from 'zod';
import { type ConnectorKey, formatKey, parseKey } from '../connectors/address.ts';
import type { Action } from '../credentials/grant.ts';
import { fileSignature } from '../platform/file-signature.ts';
import { type KnownCaller, type LocalCallers, tokenDigest } from './caller.ts';

const sha256Hex = /^[0-9a-f]{64}$/;

const connectorPattern = z
  .string()
  .trim()
  .refine(
    (text) => text === '*' || parseKey(text.replace(/\/\*$/, '/any'), '') !== undefined,
    'must be "namespace/connector", "namespace/*" or "*"',
  );
/** Shorter texts are no tokens, and may be quoted. */
const tokenLengthMin = 16;

const callersSchema = z.strictObject({
  callers: z.array(
    z
      .strictObject({
        name: z.string().min(1),
        token: z
          .string()
          .min(tokenLengthMin, `must have at least ${tokenLengthMin} characters`)
          .regex(/^\S+$/, 'must hold no white space')
          .optional(),
        tokenSha256: z.string().regex(sha256Hex, 'must be 64 lower-case hexadecimal digits').optional(),
        connectors: z.array(connectorPattern),
        actions: z.array(z.enum(['pull', 'push', 'delete'])).default(['pull']),
      })
      .refine((caller) => (caller.token === undefined) !== (caller.tokenSha256 === undefined), {
        message: 'needs either token or tokenSha256',
      }),
  ),
});

/** A callers file that cannot be used. The message names file and field, and no value. */
export class CallersFileError extends Error {
  constructor(file: string, reason: string) {
    super(`${file}: ${reason}`);
    this.name = 'CallersFileError';
  }
}

/**
 * Reads callers from YAML or JSON: for each its name, its token (or the SHA-256 of it, so that the file holds no
 * secret), the connectors that it may use and what it may do there.
 * @throws CallersFileError
 */
export function parseCallers(text: string, file: string): LocalCallers {
  let value: unknown;
  try {
    // At a quieter level the library would return what it made of a broken text.
    value = parse(text, { maxAliasCount: 0, logLevel: 'error' });
  } catch (error) {
    const line = (error as { linePos?: { line: number }[] }).linePos?.[0]?.line;
    throw new CallersFileError(line === undefined ? file : `${file}:${line}`, 'is not YAML or JSON');
  }
  const parsed = callersSchema.safeParse(value);
  if (!parsed.success) {
    const reasons = parsed.error.issues.map((issue) => `${issue.path.join('.') || 'callers'}: ${messageOf(issue)}`);
    throw new CallersFileError(file, reasons.join('; '));
  }
  const byDigest = new Map<string, KnownCaller>();
  for (const { name, token, tokenSha256, connectors, actions } of parsed.data.callers) {
    const digest = token === undefined ? (tokenSha256 ?? '') : tokenDigest(token);
    if (byDigest.has(digest)) throw new CallersFileError(file, `caller "${name}" has the token of another caller`);
    byDigest.set(digest, { name, may: permission(connectors, actions) });
  }
  return { identify: (token) => (token === undefined ? undefined : byDigest.get(tokenDigest(token))) };
}

/** What is wrong, without a token that somebody wrote where the name of a field belongs. */
function messageOf(issue: z.core.$ZodIssue): string {
  if (issue.code !== 'unrecognized_keys') return issue.message;
  const keys = issue.keys.map((key) => (key.length < tokenLengthMin ? `"${key}"` : 'a key too long to be one'));
  return `unknown fields: ${keys.join(', ')}`;
}

function permission(patterns: readonly string[], actions: readonly Action[]) {
  const names = new Set(patterns);
  return (action: Action, connector: ConnectorKey): boolean =>
    actions.includes(action) &&
    (names.has('*') || names.has(`${connector.namespace}/*`) || names.has(formatKey(connector)));
}

export interface CallersFile extends LocalCallers {
  close(): void;
}

/**
 * Callers from a file that is looked at every `pollMs`; a version that cannot be used is reported and the last good
 * one goes on.
 * @throws CallersFileError when the file cannot be used at the start
 */
export async function openCallersFile(
  file: string,
  options: { pollMs?: number; onReload?: (error: CallersFileError | undefined) => void } = {},
): Promise<CallersFile> {
  let signature = await signatureOf(file);
  let current = parseCallers(await readText(file), file);
  const look = async (): Promise<void> => {
    const now = await signatureOf(file).catch((error: CallersFileError) => error.message);
    if (now === signature) return;
    signature = now;
    try {
      current = parseCallers(await readText(file), file);
      options.onReload?.(undefined);
    } catch (error) {
      options.onReload?.(error as CallersFileError);
    }
  };
  let isLooking = false;
  const timer = setInterval(async () => {
    // On a slow file system an older look must not end after a newer one.
    if (isLooking) return;
    isLooking = true;
    await look().finally(() => {
      isLooking = false;
    });
  }, options.pollMs ?? 1000).unref();
  return {
    identify: (token) => current.identify(token),
    close: () => clearInterval(timer),
  };
}

async function readText(file: string): Promise<string> {
  return readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
    throw new CallersFileError(file, `cannot be read (${error.code})`);
  });
}

async function signatureOf(file: string): Promise<string> {
  const facts = await stat(file, { bigint: true }).catch((error: NodeJS.ErrnoException) => {
    throw new CallersFileError(file, `cannot be read (${error.code})`);
  });
  return fileSignature(facts);
}
