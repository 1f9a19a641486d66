import { createPublicKey } from 'node:crypto';
import { type Exchange, type ServiceAnswer, serviceError } from './service.ts';
import type { SessionTokens } from './session-tokens.ts';

/** Of the one pod that the cluster knows. */
export const serviceAccountToken = 'service-account-token-canary';

/** Beside the API server of an OKE cluster: a service account token for a session token, as base64 of JSON. */
export function answerProxymux(
  { request, body }: Exchange,
  sessions: SessionTokens,
  claims: Readonly<Record<string, unknown>>,
): ServiceAnswer {
  if (request.url !== '/resourcePrincipalSessionTokens') return serviceError(404, 'NotFound');
  if (request.headers.authorization !== `Bearer ${serviceAccountToken}`) return serviceError(401, 'NotAuthenticated');
  const { podKey } = JSON.parse(body) as { podKey: string };
  const publicKey = createPublicKey({ key: Buffer.from(podKey, 'base64'), format: 'der', type: 'spki' });
  const token = `ST$${sessions.issue(publicKey, claims)}`;
  return { status: 200, body: Buffer.from(JSON.stringify({ token })).toString('base64') };
}
