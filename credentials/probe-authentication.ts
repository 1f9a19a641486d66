import { ProxyError } from '../platform/errors.ts';
import type { RegistryTransport } from '../platform/transport.ts';
import { type Answer, ask, retryAfterOf } from './ask.ts';
import { bearerOf, type Challenge, parseChallenges } from './challenge.ts';
import { basicAuthorization, type Credential } from './credential.ts';
import { exchangeToken, scopeOf, tokenRequest } from './exchange.ts';
import { failureOf, type LivenessReason, limited, type ProbeFailure, type ProbeLimits } from './probe.ts';
import { whatRegistrySaid } from './registry-errors.ts';
import { isLetIn, tagsPath } from './tag-list.ts';

export type AuthenticationReason =
  | LivenessReason
  | 'CredentialRefused'
  | 'CredentialRequired'
  /** Its source is away. */
  | 'CredentialUnavailable'
  /** Its source has none for us. */
  | 'CredentialUnusable'
  | 'RepositoryDenied'
  | 'RepositoryNotFound'
  | 'SchemeUnsupported'
  | 'TokenRefused'
  | 'TokenServerFailed'
  | 'TokenServerForbidden';

/** What was proved: that the credential is taken, that a repository can be pulled from, or that there is nothing to prove. */
export interface Authenticated {
  readonly ok: true;
  readonly reason: 'CredentialAccepted' | 'RepositoryReadable' | 'NothingToProve';
  readonly message: string;
}

/** `detail` differs where the same is to be said in other words: which of several credentials works. */
export type AuthenticationOutcome = (Authenticated | ProbeFailure<AuthenticationReason>) & { readonly detail?: string };

export interface AuthenticationQuestion {
  readonly transport: RegistryTransport;
  /** How the registry answered at `/v2/`. */
  readonly challenges: readonly Challenge[];
  readonly credential: Credential | undefined;
  /** What to correct where it is refused, by default the Secret of auth. */
  readonly where?: string | undefined;
  /** A repository, as the registry's API names it, that pulling from proves the credential. */
  readonly repository: string | undefined;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
}

/**
 * Whether a credential works: a token is asked for with it, or it is shown as Basic, and the registry takes that; with a
 * repository, also that it may be pulled from. Without a credential only a repository can be proved.
 */
export async function probeAuthentication(
  question: AuthenticationQuestion,
  limits: ProbeLimits,
): Promise<AuthenticationOutcome> {
  try {
    return await limited(limits, (signal) => new Probe(question, signal).run(question.challenges));
  } catch (error) {
    limits.signal.throwIfAborted();
    return failureOf(error, new URL(question.transport.origin).host);
  }
}

const failure = (reason: AuthenticationReason, message: string): ProbeFailure<AuthenticationReason> => ({
  ok: false,
  reason,
  message,
});

class Probe {
  readonly #question: AuthenticationQuestion;
  readonly #signal: AbortSignal;
  readonly #host: string;

  constructor(question: AuthenticationQuestion, signal: AbortSignal) {
    this.#question = question;
    this.#signal = signal;
    this.#host = new URL(question.transport.origin).host;
  }

  get #where(): string {
    return this.#question.where ?? 'the Secret in spec.auth.secretRef';
  }

  async run(challenges: readonly Challenge[]): Promise<AuthenticationOutcome> {
    if (challenges.length === 0) return this.#open();
    const bearer = bearerOf(challenges);
    if (bearer !== undefined) return this.#bearer(bearer);
    if (challenges.some(({ scheme }) => scheme === 'basic')) return this.#basic();
    const schemes = challenges.map(({ scheme }) => scheme).join(', ');
    return failure('SchemeUnsupported', `${this.#host} wants ${schemes}; supported are Bearer with a realm, and Basic`);
  }

  async #open(): Promise<AuthenticationOutcome> {
    const { repository } = this.#question;
    if (repository === undefined) return nothingToProve(`${this.#host} asks for no credential`);
    const answer = await this.#get(tagsPath(repository));
    const challenges = parseChallenges(answer.headers['www-authenticate']);
    // Open at /v2/ and closed at a repository: the challenge comes only now.
    if (answer.status === 401 && challenges.length > 0) return this.run(challenges);
    return this.#judgeRepository(answer, repository, undefined);
  }

  async #bearer(challenge: Challenge): Promise<AuthenticationOutcome> {
    const { repository, credential } = this.#question;
    const exchange = (scopes: readonly string[]) => this.#exchange(challenge, scopes);
    if (credential === undefined) {
      if (repository !== undefined)
        return this.#repository(repository, () => exchange([scopeOf(repository, ['pull'])]));
      return nothingToProve(
        'there is no credential; name auth.params repository to have public access to one repository probed',
      );
    }
    // As `docker login` does, without a scope: a refusal is then about the credential, and not about a repository.
    const login = await exchange([]);
    if (typeof login !== 'string') return login;
    if (repository !== undefined) return this.#repository(repository, () => exchange([scopeOf(repository, ['pull'])]));
    const answer = await this.#get('/v2/', login);
    if (answer.status >= 200 && answer.status < 300) return this.#accepted();
    if (answer.status !== 401 && answer.status !== 403) return this.#unexpected(answer, '/v2/', login);
    const said = this.#said(answer, login);
    return failure(
      'TokenRefused',
      `${this.#host} refused with ${answer.status} the token that its own token server gave${said}: compare the registry's settings of realm and service with its token server's`,
    );
  }

  async #basic(): Promise<AuthenticationOutcome> {
    const { repository, credential } = this.#question;
    if (credential === undefined) {
      const message = `${this.#host} lets nobody in without a credential: name a Secret in spec.auth.secretRef`;
      return failure('CredentialRequired', message);
    }
    const authorization = basicAuthorization(credential);
    const answer = await this.#get('/v2/', authorization);
    if (answer.status === 401 || answer.status === 403) {
      const said = this.#said(answer, authorization);
      const message = `${this.#host} refused the credential with ${answer.status}${said}: correct ${this.#where}`;
      return failure('CredentialRefused', message);
    }
    if (answer.status < 200 || answer.status >= 300) return this.#unexpected(answer, '/v2/', authorization);
    return repository === undefined ? this.#accepted() : this.#repository(repository, async () => authorization);
  }

  async #repository(
    repository: string,
    authorize: () => Promise<string | ProbeFailure<AuthenticationReason>>,
  ): Promise<AuthenticationOutcome> {
    const authorization = await authorize();
    if (typeof authorization !== 'string') {
      // The credential was taken a moment ago: what is refused now is the repository.
      const isAboutRepository = ['CredentialRefused', 'CredentialRequired'].includes(authorization.reason);
      return isAboutRepository ? { ...authorization, reason: 'RepositoryDenied' } : authorization;
    }
    return this.#judgeRepository(await this.#get(tagsPath(repository), authorization), repository, authorization);
  }

  #judgeRepository(answer: Answer, repository: string, authorization: string | undefined): AuthenticationOutcome {
    const { status } = answer;
    const who = this.#question.credential === undefined ? 'everybody' : 'the credential';
    if (isLetIn(answer)) {
      return { ok: true, reason: 'RepositoryReadable', message: `${who} may pull ${repository} from ${this.#host}` };
    }
    const said = this.#said(answer, authorization);
    if (status === 401 || status === 403) {
      const message = `${this.#host} does not let ${who} pull ${repository} (${status})${said}: grant that right in the registry, or name another repository in spec.auth.params`;
      return failure('RepositoryDenied', message);
    }
    if (status === 404) {
      const message = `${this.#host} has no repository ${repository}, or hides it from ${who}${said}: correct repository in spec.auth.params, or grant the right to pull it`;
      return failure('RepositoryNotFound', message);
    }
    return this.#unexpected(answer, tagsPath(repository), authorization);
  }

  /** The `Authorization` value of a token, or why there is none. */
  async #exchange(
    challenge: Challenge,
    scopes: readonly string[],
  ): Promise<string | ProbeFailure<AuthenticationReason>> {
    const { transport, credential, now } = this.#question;
    try {
      const request = tokenRequest(challenge, scopes, credential);
      return `Bearer ${(await exchangeToken(transport, request, now, this.#signal)).token}`;
    } catch (error) {
      this.#signal.throwIfAborted();
      return tokenServerFailure(error, this.#host, this.#where);
    }
  }

  #unexpected(answer: Answer, path: string, authorization: string | undefined): ProbeFailure<AuthenticationReason> {
    const { status } = answer;
    const message = `${this.#host} answered ${status} at ${path}${this.#said(answer, authorization)}`;
    const code = status === 429 ? 'UPSTREAM_LIMITED' : status >= 500 ? 'UPSTREAM_UNREACHABLE' : 'UPSTREAM_PROTOCOL';
    return failureOf(new ProxyError(code, message, { headers: retryAfterOf(answer) }), this.#host);
  }

  #accepted(): Authenticated {
    return { ok: true, reason: 'CredentialAccepted', message: `${this.#host} takes the credential` };
  }

  #get(path: string, authorization?: string): Promise<Answer> {
    const { transport } = this.#question;
    const headers = authorization === undefined ? {} : { authorization };
    return ask(transport, { method: 'GET', url: new URL(path, transport.origin), headers }, this.#signal);
  }

  #said(answer: Answer, authorization: string | undefined): string {
    const said = whatRegistrySaid(answer.text, this.#question.credential, authorization);
    return said === '' ? '' : ` (${said})`;
  }
}

function tokenServerFailure(error: unknown, host: string, where: string): ProbeFailure<AuthenticationReason> {
  const code = error instanceof ProxyError ? error.code : undefined;
  const failed = failureOf(error, host);
  const { message } = failed;
  if (code === 'CREDENTIAL_REFUSED') {
    return failure('CredentialRefused', `${message}: correct ${where}, or the account's rights`);
  }
  if (code === 'TARGET_FORBIDDEN') return failure('TokenServerForbidden', message);
  if (code === 'UPSTREAM_LIMITED') return failed;
  return { ...failed, reason: 'TokenServerFailed', message: `no token could be had: ${message}` };
}

const nothingToProve = (message: string): Authenticated => ({ ok: true, reason: 'NothingToProve', message });
