import { randomUUID, sign } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { makeSelfSigned, type SelfSigned } from './certificate.ts';

export interface Credential {
  readonly username: string;
  readonly password: string;
}

/** One entry of a registry token's `access` claim. */
export interface Access {
  readonly type: string;
  readonly name: string;
  readonly actions: readonly string[];
}

/** One request for a token, as it was asked. */
export interface TokenRequest {
  readonly method: string;
  /** The query of a GET, the form of a POST. */
  readonly parameters: URLSearchParams;
  readonly authorization: string | undefined;
  /** 200 or 401. */
  readonly status: number;
  /** What the token allows. */
  readonly access: readonly Access[];
}

/** What a request without a credential gets: 401, a token for nothing (as Docker Hub does), or a token to pull. */
export type AnonymousAnswer = 'refused' | 'nothing' | 'pull';

export interface TokenIssuerOptions {
  /** Whoever gives it gets all that is asked; by default nobody does. */
  readonly credential?: Credential;
  readonly expiresInSeconds?: number;
  readonly anonymous?: AnonymousAnswer;
  readonly now?: () => number;
  /** Where it listens and what its realm names; by default 127.0.0.1, and `localhost`. */
  readonly address?: string;
  /** Its tokens are for another repository as well, as those of registries that know no scopes. */
  readonly isWide?: boolean;
}

/** A token server for Distribution registries (distribution-spec, «Token Authentication»). */
export interface TokenIssuer {
  /** Named by `localhost`: crane refuses a realm whose host is a loopback address. */
  readonly realm: string;
  readonly issuer: string;
  readonly service: string;
  /** PEM of the certificate that a registry must trust. */
  readonly certificatePem: string;
  readonly requests: readonly TokenRequest[];
  /** What it accepts now. */
  readonly credential: Credential | undefined;
  setCredential(credential: Credential | undefined): void;
  setExpiresIn(seconds: number): void;
  setAnonymous(answer: AnonymousAnswer): void;
  close(): Promise<void>;
}

interface Policy {
  readonly isWide: boolean;
  credential: Credential | undefined;
  expiresInSeconds: number;
  anonymous: AnonymousAnswer;
}

const issuer = 'test-token-issuer';
const service = 'test-registry';

/** Starts a token server that accepts both forms of the request: GET with Basic, and POST of an OAuth2 form. */
export async function startTokenIssuer(options: TokenIssuerOptions = {}): Promise<TokenIssuer> {
  const policy: Policy = {
    isWide: options.isWide ?? false,
    credential: options.credential,
    expiresInSeconds: options.expiresInSeconds ?? 300,
    anonymous: options.anonymous ?? 'refused',
  };
  const now = options.now ?? Date.now;
  const certificate = await makeSelfSigned([issuer]);
  const requests: TokenRequest[] = [];
  const server = createServer(async (request, response) => {
    const asked = await readRequest(request);
    const granted = grant(asked, policy);
    requests.push({ ...asked, status: granted === undefined ? 401 : 200, access: granted?.access ?? [] });
    response.setHeader('content-type', 'application/json');
    if (granted === undefined) {
      response.statusCode = 401;
      response.end(JSON.stringify({ errors: [{ code: 'UNAUTHORIZED', message: 'incorrect username or password' }] }));
      return;
    }
    const issuedAtSeconds = Math.floor(now() / 1000);
    const token = signToken(certificate, granted, issuedAtSeconds, policy.expiresInSeconds);
    const issued_at = new Date(issuedAtSeconds * 1000).toISOString();
    response.end(JSON.stringify({ token, access_token: token, expires_in: policy.expiresInSeconds, issued_at }));
  });
  server.listen(0, options.address ?? '127.0.0.1');
  await once(server, 'listening');
  return {
    realm: `http://${options.address ?? 'localhost'}:${(server.address() as AddressInfo).port}/token`,
    issuer,
    service,
    certificatePem: certificate.certificatePem,
    requests,
    get credential() {
      return policy.credential;
    },
    setCredential: (credential) => {
      policy.credential = credential;
    },
    setExpiresIn: (seconds) => {
      policy.expiresInSeconds = seconds;
    },
    setAnonymous: (answer) => {
      policy.anonymous = answer;
    },
    close: async () => {
      server.close();
      server.closeAllConnections();
      await once(server, 'close');
    },
  };
}

type Asked = Pick<TokenRequest, 'method' | 'parameters' | 'authorization'>;

async function readRequest(request: IncomingMessage): Promise<Asked> {
  const method = request.method ?? 'GET';
  const query = new URL(request.url ?? '/', 'http://localhost').searchParams;
  const parameters = method === 'POST' ? new URLSearchParams(await text(request)) : query;
  return { method, parameters, authorization: request.headers.authorization };
}

interface Granted {
  readonly subject: string;
  readonly access: readonly Access[];
}

function grant(asked: Asked, policy: Policy): Granted | undefined {
  const given = readCredential(asked);
  const wanted = asked.parameters.getAll('scope').flatMap(parseScope);
  if (given !== undefined) {
    const isRight = given.username === policy.credential?.username && given.password === policy.credential.password;
    const further = policy.isWide ? [{ type: 'repository', name: 'of/others', actions: ['pull', 'push'] }] : [];
    return isRight ? { subject: given.username, access: [...wanted, ...further] } : undefined;
  }
  if (policy.anonymous === 'refused') return undefined;
  if (policy.anonymous === 'nothing') return { subject: '', access: [] };
  return { subject: '', access: wanted.map((access) => ({ ...access, actions: onlyPull(access.actions) })) };
}

function readCredential({ parameters, authorization }: Asked): Credential | undefined {
  const username = parameters.get('username');
  const password = parameters.get('password');
  if (username !== null && password !== null) return { username, password };
  const encoded = /^basic (?<encoded>.+)$/i.exec(authorization ?? '')?.groups?.['encoded'];
  if (encoded === undefined) return undefined;
  const [user = '', ...rest] = Buffer.from(encoded, 'base64').toString().split(':');
  return { username: user, password: rest.join(':') };
}

/** `repository:team/app:pull,push`, several separated by spaces. A name may hold a colon, as in `host:5000/app`. */
function parseScope(scope: string): Access[] {
  return scope.split(' ').flatMap((part) => {
    const [type, ...rest] = part.split(':');
    const actions = rest.pop();
    if (type === undefined || actions === undefined) return [];
    return [{ type, name: rest.join(':'), actions: actions.split(',') }];
  });
}

function onlyPull(actions: readonly string[]): string[] {
  return actions.filter((action) => action === 'pull');
}

/** Distribution 3 and 2.8 agree on one way to find the key: the chain in the `x5c` header. */
function signToken(signer: SelfSigned, granted: Granted, issuedAtSeconds: number, expiresInSeconds: number): string {
  const header = { typ: 'JWT', alg: 'ES256', x5c: [signer.certificateBase64] };
  const claims = {
    iss: issuer,
    sub: granted.subject,
    aud: service,
    iat: issuedAtSeconds,
    nbf: issuedAtSeconds,
    exp: issuedAtSeconds + expiresInSeconds,
    jti: randomUUID(),
    access: granted.access,
  };
  const content = `${base64Json(header)}.${base64Json(claims)}`;
  const signature = sign('sha256', Buffer.from(content), { key: signer.key, dsaEncoding: 'ieee-p1363' });
  return `${content}.${signature.toString('base64url')}`;
}

function base64Json(value: unknown): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url');
}
