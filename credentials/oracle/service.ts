import { setTimeout as sleep } from 'node:timers/promises';
import { retryAfterMs } from '../../platform/retry-after.ts';
import { misconfigured, OracleError, type OracleStep } from './errors.ts';
import { inStep } from './in-step.ts';
import { loadCommon } from './sdk.ts';
import { type Reply, send } from './send.ts';
import type { Session, Sessions } from './session.ts';
import type { Surroundings } from './surroundings.ts';

export interface SignedQuestion {
  readonly step: OracleStep;
  /** Who is asked, as messages name it. */
  readonly whom: string;
  readonly url: URL;
}

/** Asks a service of Oracle's in the principal's name. */
export type AskSigned = (question: SignedQuestion, signal: AbortSignal) => Promise<Reply>;

const firstWaitMs = 200;
const longestWaitMs = 2_000;
const attemptsMax = 5;

/**
 * GETs with a signature. Answers that may be another one a little later are asked for again, as long as the step lasts;
 * after a 401 once more with a new session, where there is one: tokens are withdrawn before they expire.
 */
export function signedService(surroundings: Surroundings, sessions: Sessions): AskSigned {
  const askOnce = (question: SignedQuestion, session: Session, signal: AbortSignal): Promise<Reply> => {
    const { step, whom } = question;
    return inStep({ step, whom, timeoutMs: surroundings.stepTimeoutMs }, signal, (within) =>
      askPatiently(surroundings, question, session, within),
    );
  };
  return async (question, signal) => {
    const session = await sessions.current(signal);
    const reply = await askOnce(question, session, signal);
    if (reply.status !== 401) return reply;
    const renewed = await sessions.renewed(session, signal);
    return renewed === session ? reply : askOnce(question, renewed, signal);
  };
}

async function askPatiently(
  surroundings: Surroundings,
  question: SignedQuestion,
  session: Session,
  signal: AbortSignal,
): Promise<Reply> {
  let waitedMs = 0;
  for (let attempt = 1; ; attempt += 1) {
    const outcome = await askAtOnce(surroundings, question, session, signal);
    const waitMs = attempt < attemptsMax ? waitOf(outcome, attempt, surroundings) : undefined;
    // The other half is for the answers, so that what was answered last is told of, not that time is up.
    if (waitMs === undefined || waitedMs + waitMs > surroundings.stepTimeoutMs / 2) {
      if (outcome instanceof OracleError) throw outcome;
      return outcome;
    }
    waitedMs += waitMs;
    await sleep(waitMs, undefined, { signal });
  }
}

async function askAtOnce(
  { dispatchers, now }: Surroundings,
  { step, url }: SignedQuestion,
  session: Session,
  signal: AbortSignal,
): Promise<Reply | OracleError> {
  try {
    const headers = await signedHeaders(session, url, now());
    return await send(dispatchers.for(url), step, { method: 'GET', url, headers }, signal);
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof OracleError) return error;
    // What cannot be signed is repeated in what is thrown.
    return misconfigured('a request cannot be signed in the name of this principal');
  }
}

/** How long to wait before it is asked again; undefined where that would not help. Spread, so that nodes do not come together. */
function waitOf(outcome: Reply | OracleError, attempt: number, { random, now }: Surroundings): number | undefined {
  const spreadMs = Math.min(firstWaitMs * 2 ** (attempt - 1), longestWaitMs) * (0.5 + random() / 2);
  if (outcome instanceof OracleError) return outcome.isRetryable ? spreadMs : undefined;
  const { status, headers } = outcome;
  if (status !== 429 && status !== 409 && status < 500) return undefined;
  return Math.max(spreadMs, retryAfterMs(headers['retry-after'], now()) ?? 0);
}

/** The SDK's signer signs `x-date`, `(request-target)` and `host`. */
async function signedHeaders(session: Session, url: URL, now: number): Promise<Record<string, string>> {
  const { DefaultRequestSigner } = await loadCommon();
  const signer = new DefaultRequestSigner({
    getKeyId: async () => session.keyId,
    getPrivateKey: () => session.privateKey,
    getPassphrase: () => null,
  });
  const headers = new Headers({ 'x-date': new Date(now).toUTCString() });
  await signer.signHttpRequest({ method: 'GET', uri: url.href, headers });
  return Object.fromEntries(headers);
}
