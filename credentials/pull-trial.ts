import { ProxyError } from '../platform/errors.ts';
import type { RegistryTransport } from '../platform/transport.ts';
import { type Answer, ask, retryAfterOf } from './ask.ts';
import { bearerOf, type Challenge, parseChallenges } from './challenge.ts';
import { basicAuthorization, type Credential } from './credential.ts';
import { exchangeToken, scopeOf, tokenRequest } from './exchange.ts';
import { ping } from './ping.ts';
import { whatRegistrySaid } from './registry-errors.ts';
import { isLetIn, tagsPath } from './tag-list.ts';

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
 * Finds out whether a credential pulls from a repository: exchanges it for a token of that scope, and lists one tag, or
 * where that is refused asks for a manifest.
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
  return judge(question, answer, authorization, signal);
}

/** The same with what a token exchange gave, or with none. */
export async function tryAuthorization(
  question: PullQuestion,
  authorization: string | undefined,
  signal: AbortSignal,
): Promise<PullTrial> {
  return judge(question, await listTags(question, authorization, signal), authorization, signal);
}

const listTags = (question: PullQuestion, authorization: string | undefined, signal: AbortSignal): Promise<Answer> =>
  get(question, tagsPath(question.repository), authorization, signal);

function get(
  { transport }: PullQuestion,
  path: string,
  authorization: string | undefined,
  signal: AbortSignal,
): Promise<Answer> {
  const url = new URL(path, transport.origin);
  const headers = authorization === undefined ? {} : { headers: { authorization } };
  return ask(transport, { method: 'GET', url, ...headers }, signal);
}

async function authorizationFor(
  { transport, repository, credential, now }: PullQuestion,
  challenges: readonly Challenge[],
  signal: AbortSignal,
): Promise<string | undefined> {
  const bearer = bearerOf(challenges);
  if (bearer !== undefined) {
    const request = tokenRequest(bearer, [scopeOf(repository, ['pull'])], credential);
    const { token } = await exchangeToken(transport, request, now, signal);
    return `Bearer ${token}`;
  }
  const isBasic = challenges.some(({ scheme }) => scheme === 'basic');
  return isBasic && credential !== undefined ? basicAuthorization(credential) : undefined;
}

const denied = (message: string): PullTrial => ({ verdict: 'denied', message });

/** No content has it. */
const digestOfNobody = `sha256:${'0'.repeat(64)}`;

/**
 * To list tags is another right than to pull, in some registries, and some do not list any: what is refused there is
 * asked for a manifest that nobody has. That is missing only for who may pull.
 */
async function judge(
  question: PullQuestion,
  tags: Answer,
  authorization: string | undefined,
  signal: AbortSignal,
): Promise<PullTrial> {
  if (isLetIn(tags)) return { verdict: 'allowed', message: '' };
  const said = (answer: Answer): string => {
    const words = whatRegistrySaid(answer.text, question.credential, authorization);
    const { host } = new URL(question.transport.origin);
    return `${host} answered ${answer.status}${words === '' ? '' : ` (${words})`}`;
  };
  // Who hides what one may not see calls everything missing.
  if (tags.status === 404) return { verdict: 'unclear', message: said(tags) };
  const manifest = await get(question, `/v2/${question.repository}/manifests/${digestOfNobody}`, authorization, signal);
  if (manifest.status === 404 && /"MANIFEST_UNKNOWN"/.test(manifest.text)) return { verdict: 'allowed', message: '' };
  if ([manifest, tags].every(isPassing)) {
    const code = manifest.status === 429 ? 'UPSTREAM_LIMITED' : 'UPSTREAM_UNREACHABLE';
    throw new ProxyError(code, said(manifest), { headers: retryAfterOf(manifest) });
  }
  const refusal = [manifest, tags].find(({ status }) => status === 401 || status === 403);
  return refusal === undefined ? { verdict: 'unclear', message: said(tags) } : denied(said(refusal));
}

const isPassing = ({ status }: Answer): boolean => status === 429 || status >= 500;
