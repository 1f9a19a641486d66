import { ProxyError } from '../platform/errors.ts';
import type { Candidate } from './candidates.ts';
import { type Credential, isSameCredential, noteShown, redactAll } from './credential.ts';
import type { ProbeFailure, ProbeLimits } from './probe.ts';
import {
  type AuthenticationOutcome,
  type AuthenticationQuestion,
  type AuthenticationReason,
  probeAuthentication,
} from './probe-authentication.ts';

export interface CandidatesQuestion extends Omit<AuthenticationQuestion, 'credential' | 'where'> {
  /** In the order in which they are tried; none for an open registry. */
  readonly candidates: readonly Candidate[];
  /** What the registry was shown for the connector, and may repeat; what is read now is added. */
  readonly shown: Credential[];
}

/** Of more entries than these a probe would take its time. */
const probedMax = 8;

const refusals: ReadonlySet<string> = new Set(['CredentialRefused', 'TokenRefused', 'RepositoryDenied']);

/**
 * Whether one of several credentials works; messages name the entries, those that do not work as well. Every candidate
 * is looked at, because each may be for other repositories.
 */
export async function probeCandidates(
  question: CandidatesQuestion,
  limits: ProbeLimits,
): Promise<AuthenticationOutcome> {
  const outcome = await probeAll(question, limits);
  // A registry may repeat one credential when it refuses another.
  return { ...outcome, message: redactAll(outcome.message, question.shown) };
}

type OneQuestion = Omit<CandidatesQuestion, 'candidates'>;

async function probeAll(
  { candidates, ...question }: CandidatesQuestion,
  limits: ProbeLimits,
): Promise<AuthenticationOutcome> {
  const [only, ...others] = candidates;
  if (only === undefined) return probeAuthentication({ ...question, credential: undefined }, limits);
  if (others.length === 0) return probeOne(only, question, limits);
  const found: { readonly label: string; readonly outcome: AuthenticationOutcome }[] = [];
  for (const candidate of candidates.slice(0, probedMax)) {
    found.push({ label: candidate.label, outcome: await probeOne(candidate, question, limits) });
  }
  const failed = found.filter(({ outcome }) => !outcome.ok);
  const more = candidates.length > probedMax ? [`${candidates.length - probedMax} more are not probed`] : [];
  const told = [...failed.map(({ label, outcome }) => labelled(label, outcome.message)), ...more].join(' | ');
  const detail = found.map(({ label, outcome }) => `${label} ${outcome.reason}`).join(', ');
  const worked = found.find(({ outcome }) => outcome.ok);
  if (worked !== undefined) {
    const message = labelled(worked.label, worked.outcome.message);
    return { ...worked.outcome, detail, message: told === '' ? message : `${message} | ${told}` };
  }
  return { ...(failed[0]?.outcome as ProbeFailure<AuthenticationReason>), detail, message: told };
}

const labelled = (label: string, message: string): string =>
  message.replace(/^\w+: /, '').startsWith(label) ? message : `${label}: ${message}`;

async function probeOne(
  candidate: Candidate,
  { shown, ...question }: OneQuestion,
  limits: ProbeLimits,
): Promise<AuthenticationOutcome> {
  const { where } = candidate;
  const credential = await readFor(candidate, limits, false);
  if ('ok' in credential) return credential;
  noteShown(shown, credential, shownMax);
  const outcome = await probeAuthentication({ ...question, credential, where }, limits);
  if (outcome.ok || !candidate.isRemote || !refusals.has(outcome.reason)) return outcome;
  // It may have changed since it was read.
  const again = await readFor(candidate, limits, true);
  if (!('ok' in again) && !isSameCredential(again, credential)) {
    noteShown(shown, again, shownMax);
    return probeAuthentication({ ...question, credential: again, where }, limits);
  }
  return candidate.advice === undefined ? outcome : { ...outcome, message: `${outcome.message}; ${candidate.advice}` };
}

/** More than a connector has, with some versions of each. */
const shownMax = 64;

async function readFor(
  candidate: Candidate,
  { signal }: ProbeLimits,
  isFresh: boolean,
): Promise<Credential | ProbeFailure<AuthenticationReason>> {
  try {
    return await candidate.read(signal, isFresh);
  } catch (error) {
    signal.throwIfAborted();
    if (!(error instanceof ProxyError)) throw error;
    const reason = error.code === 'CONNECTOR_UNUSABLE' ? 'CredentialUnusable' : 'CredentialUnavailable';
    return { ok: false, reason, message: error.message };
  }
}
