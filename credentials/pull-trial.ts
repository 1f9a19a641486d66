import { ProxyError } from '../platform/errors.ts';
import type { RegistryTransport } from '../platform/transport.ts';
import { type Answer, ask, retryAfterOf } from './ask.ts';
import { type Challenge, parseChallenges } from './challenge.ts';
import { basicAuthorization, type Credential } from './credential.ts';
import { exchangeToken } from './exchange.ts';
import { ping } from './ping.ts';
import { whatRegistrySaid } from './registry-errors.ts';

export interface PullQuestion {
  readonly transport: RegistryTransport;
  /** As the registry's API names it. */
  readonly repository: string;
  readonly credential: Credential | undefined;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
}

/** Whether a registry lets somebody pull from a repository, and what it said if not. */
export interface PullTrial {
  /** `unclear`: it says neither that it does nor that it does not, as where the repository is not there. */
  readonly verdict: 'allowed' | 'denied' | 'unclear';
  /** For people, without any credential; empty where there is nothing to say. */
  readonly message: string;
}

/**
 * Finds out whether a credential pulls from a repository: exchanges it for a token of that scope, and lists one tag.
 * @throws ProxyError UPSTREAM_… where the registry cannot be asked: that says nothing of the credential
 */
export async function tryPull(question: PullQuestion, signal: AbortSignal): Promise<PullTrial> {
  const challenges = await ping(question.transport, question.credential, signal);
  return tryWith(question, challenges, signal);
}

/** The same where the registry's challenges are known. */
export async function tryWith(
  question: PullQuestion,
  challenges: readonly Challenge[],
  signal: AbortSignal,
): Promise<PullTrial> {
  let authorization: string | undefined;
  try {
    authorization = await authorizationFor(question, challenges, signal);
  } catch (error) {
    if (error instanceof ProxyError && error.code === 'CREDENTIAL_REFUSED') return denied(error.message);
    throw error;
  }
  const answer = await listTags(question, authorization, signal);
  const shown = parseChallenges(answer.headers['www-authenticate']);
  // Open at /v2/ and closed at a repository: the challenge comes only now.
  if (challenges.length === 0 && answer.status === 401 && shown.length > 0) return tryWith(question, shown, signal);
  return judge(question, answer, authorization);
}

/** The same with what a token exchange gave, or with none. */
export async function tryAuthorization(
  question: PullQuestion,
  authorization: string | undefined,
  signal: AbortSignal,
): Promise<PullTrial> {
  return judge(question, await listTags(question, authorization, signal), authorization);
}

function listTags({ transport, repository }: PullQuestion, authorization: string | undefined, signal: AbortSignal) {
  const url = new URL(`/v2/${repository}/tags/list?n=1`, transport.origin);
  const headers = authorization === undefined ? {} : { headers: { authorization } };
  return ask(transport, { method: 'GET', url, ...headers }, signal);
}

async function authorizationFor(
  { transport, repository, credential, now }: PullQuestion,
  challenges: readonly Challenge[],
  signal: AbortSignal,
): Promise<string | undefined> {
  const bearer = challenges.find(({ scheme, params }) => scheme === 'bearer' && params.get('realm'));
  if (bearer !== undefined) {
    const { params } = bearer;
    const request = {
      realm: params.get('realm') ?? '',
      service: params.get('service') || undefined,
      scopes: [`repository:${repository}:pull`],
      credential,
    };
    const { token } = await exchangeToken(transport, request, now, signal);
    return `Bearer ${token}`;
  }
  const isBasic = challenges.some(({ scheme }) => scheme === 'basic');
  return isBasic && credential !== undefined ? basicAuthorization(credential) : undefined;
}

const denied = (message: string): PullTrial => ({ verdict: 'denied', message });

function judge({ transport, credential }: PullQuestion, answer: Answer, authorization: string | undefined): PullTrial {
  const { status } = answer;
  // Not every registry lists tags; one that says so has let us in.
  if ((status >= 200 && status < 300) || status === 405 || status === 501) return { verdict: 'allowed', message: '' };
  const said = whatRegistrySaid(answer.text, credential, authorization);
  const message = `${new URL(transport.origin).host} answered ${status}${said === '' ? '' : ` (${said})`}`;
  if (status === 401 || status === 403) return denied(message);
  if (status === 429) throw new ProxyError('UPSTREAM_LIMITED', message, { headers: retryAfterOf(answer) });
  if (status >= 500) throw new ProxyError('UPSTREAM_UNREACHABLE', message, { headers: retryAfterOf(answer) });
  return { verdict: 'unclear', message };
}
