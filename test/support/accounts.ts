import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { parseBasic } from './registry/credential.ts';
import type { Clock } from './registry/exchange.ts';
import type { Access, RecordedRequest } from './registry/request-log.ts';
import { type Registry, type RegistryOptions, startRegistry } from './registry.ts';
import type { TokenGrant } from './token-issuer.ts';

export interface Account {
  password: string;
  /** Repositories that it pulls from. */
  pulls: readonly string[];
  /** And those that it pushes to as well, by default none. */
  pushes?: readonly string[];
}

export interface AccountRegistryOptions extends Omit<RegistryOptions, 'auth' | 'clock'> {
  /** Milliseconds since the epoch. */
  readonly now?: () => number;
  /** What a token that lacks a right is answered with, by default 403 as in Oracle's registry. */
  readonly lackingRightStatus?: 401 | 403 | 404;
  /** Who has no right gets no token. By default everybody with a password does, and the registry decides. */
  readonly isDecidedByTokens?: boolean;
  /** What the token server says to whom it refuses. */
  readonly refusal?: () => string;
  readonly expiresInSeconds?: number;
}

/** A registry with tokens and several accounts, which have different rights. */
export interface AccountRegistry extends AsyncDisposable {
  readonly registry: Registry;
  /** By user name; may be changed at any time. */
  readonly accounts: Record<string, Account>;
  /** `user status scope,…` of each request for a token, in the order of arrival. */
  readonly exchanges: string[];
  /** Answers every request for a token instead, while it is set. */
  readonly fault: { status: number | undefined; headers?: Readonly<Record<string, string>> };
  /** Users whose tokens were tried on the list of tags. */
  trials(): (string | undefined)[];
  close(): Promise<void>;
}

/** Whose token a request brought. */
export function accountOf({ headers }: Pick<RecordedRequest, 'headers'>): string | undefined {
  const [, claims] = /^Bearer [^.]+\.([^.]+)/.exec(headers.authorization ?? '') ?? [];
  return claims === undefined ? undefined : JSON.parse(Buffer.from(claims, 'base64url').toString()).sub;
}

export const isTrial = ({ url }: Pick<RecordedRequest, 'url'>): boolean =>
  isTagsTrial({ url }) || url.endsWith(`/manifests/sha256:${'0'.repeat(64)}`);

const isTagsTrial = ({ url }: Pick<RecordedRequest, 'url'>): boolean => url.endsWith('/tags/list?n=1');

export async function startAccountRegistry(
  accounts: Record<string, Account>,
  options: AccountRegistryOptions = {},
): Promise<AccountRegistry> {
  const { now = Date.now, lackingRightStatus = 403, isDecidedByTokens = false, refusal, ...others } = options;
  const { expiresInSeconds = 300, ...registryOptions } = others;
  const exchanges: string[] = [];
  const fault: AccountRegistry['fault'] = { status: undefined };
  const grantAccess = (asked: readonly Access[], username = '') =>
    asked.map((access) => ({ ...access, actions: rightsOf(accounts[username], access) })).filter(hasActions);
  const server = createServer((request, response) => {
    const given = parseBasic(request.headers.authorization);
    const scopes = new URL(request.url ?? '/', 'http://localhost').searchParams.getAll('scope');
    const account = given && accounts[given.username];
    const isKnown = account !== undefined && account.password === given?.password;
    const isAllowed = !isDecidedByTokens || scopes.every((scope) => account && mayPull(account, scope));
    const status = fault.status ?? (isKnown && isAllowed ? 200 : 401);
    exchanges.push([given?.username, status, scopes.join(',')].join(' '));
    const message = refusal?.() ?? 'incorrect username or password';
    const body =
      status === 200
        ? { token: registry.issueToken(scopes, given?.username), expires_in: expiresInSeconds }
        : { errors: [{ code: 'UNAUTHORIZED', message }] };
    response.writeHead(status, { 'content-type': 'application/json', ...fault.headers }).end(JSON.stringify(body));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const realm = `http://127.0.0.1:${(server.address() as AddressInfo).port}/token`;
  const clock: Clock = { now, sleep: () => Promise.resolve() };
  const registry = await startRegistry({
    ...registryOptions,
    clock,
    auth: { kind: 'token', realm, lackingRightStatus, grantAccess, expiresInSeconds, makeToken },
  });
  const close = async () => {
    server.close();
    server.closeAllConnections();
    await registry.close();
  };
  return {
    registry,
    accounts,
    exchanges,
    fault,
    trials: () => registry.requests.filter(isTagsTrial).map(accountOf),
    close,
    [Symbol.asyncDispose]: close,
  };
}

const hasActions = ({ actions }: Access): boolean => actions.length > 0;
const mayPull = ({ pulls }: Account, scope: string): boolean => pulls.includes(scope.split(':')[1] ?? '');

function rightsOf(account: Account | undefined, { name, actions }: Access): string[] {
  const { pulls = [], pushes = [] } = account ?? {};
  const rights = [...(pulls.includes(name) ? ['pull'] : []), ...(pushes.includes(name) ? ['pull', 'push'] : [])];
  return actions.filter((action) => rights.includes(action));
}

/** A JWT that says whose it is and what it is for; nobody checks its signature. */
function makeToken({ username, access, expiresAt }: TokenGrant): string {
  const encode = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const claims = { sub: username, access, exp: Math.floor(expiresAt / 1000), jti: randomUUID() };
  return `${encode({ alg: 'none' })}.${encode(claims)}.c2lnbmF0dXJl`;
}
