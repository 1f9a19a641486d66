import { createPublicKey, X509Certificate } from 'node:crypto';
import { verifySignature } from './http-signature.ts';
import { type Exchange, type ServiceAnswer, serviceError } from './service.ts';
import type { SessionTokens } from './session-tokens.ts';

export interface FederationOptions {
  /** PEM of the root that chains have to end at. */
  readonly root: string;
  readonly sessions: SessionTokens;
  readonly now: () => number;
  /** Claims of the session token of an instance. */
  readonly claims: Readonly<Record<string, unknown>>;
}

interface X509Request {
  readonly certificate: string;
  readonly intermediateCertificates: readonly string[];
  readonly publicKey: string;
  readonly purpose: string;
}

/** `POST /v1/x509`: a certificate chain and a signature by the leaf's key for a session token. */
export function answerFederation(exchange: Exchange, options: FederationOptions): ServiceAnswer {
  const { request, body, authority } = exchange;
  if (request.method !== 'POST' || request.url !== '/v1/x509') return serviceError(404, 'NotFound');
  const asked = JSON.parse(body) as X509Request;
  const leaf = new X509Certificate(Buffer.from(asked.certificate, 'base64'));
  const chain = [
    leaf,
    ...asked.intermediateCertificates.map((text) => new X509Certificate(Buffer.from(text, 'base64'))),
  ];
  const tenancy = /opc-tenant:(\S+)/.exec(leaf.subject)?.[1];
  const keyId = `${tenancy}/fed-x509/${leaf.fingerprint.toLowerCase()}`;
  const verdict = verifySignature({
    request,
    body,
    authority,
    now: options.now(),
    keyOf: (claimed) => (claimed === keyId ? leaf.publicKey : undefined),
  });
  if (
    !verdict.ok ||
    asked.purpose !== 'DEFAULT' ||
    !isTrusted(chain, new X509Certificate(options.root), options.now())
  ) {
    return serviceError(401, 'NotAuthenticated', `refused: ${verdict.ok ? 'chain' : verdict.reason}`);
  }
  const publicKey = createPublicKey({ key: Buffer.from(asked.publicKey, 'base64'), format: 'der', type: 'spki' });
  return { status: 200, body: { token: options.sessions.issue(publicKey, options.claims) } };
}

function isTrusted(chain: readonly X509Certificate[], root: X509Certificate, now: number): boolean {
  return chain.every((certificate, index) => {
    const issuer = chain[index + 1] ?? root;
    const isCurrent = Date.parse(certificate.validFrom) <= now && now < Date.parse(certificate.validTo);
    return isCurrent && issuer.ca && certificate.checkIssued(issuer) && certificate.verify(issuer.publicKey);
  });
}
