import { ProxyError } from '../platform/errors.ts';
import type { RegistryTransport } from '../platform/transport.ts';
import { type Answer, ask, headerOf, retryAfterOf } from './ask.ts';
import { type Challenge, parseChallenges } from './challenge.ts';
import type { Credential } from './credential.ts';
import { whatRegistrySaid } from './registry-errors.ts';

/**
 * How the registry wants to be authenticated to, by its answer at `/v2/`: no challenge at all where it is open.
 * `credential` is not sent: it is kept out of what is told of a refusal.
 * @throws ProxyError
 */
export async function ping(
  transport: RegistryTransport,
  credential: Credential | undefined,
  signal: AbortSignal,
): Promise<readonly Challenge[]> {
  const url = new URL('/v2/', transport.origin);
  const answer = await ask(transport, { method: 'GET', url }, signal);
  if (answer.status >= 200 && answer.status < 300) {
    // Front ends answer every path with their page.
    const isPage = /^text\/html\b/i.test(headerOf(answer, 'content-type') ?? '');
    if (!isPage || headerOf(answer, 'docker-distribution-api-version') !== undefined) return [];
    throw new ProxyError('UPSTREAM_PROTOCOL', `${url.host} answered a web page at /v2/, where a registry answers JSON`);
  }
  const challenges = parseChallenges(answer.headers['www-authenticate']);
  if (answer.status === 401 && challenges.length > 0) return challenges;
  throw pingRefusal(answer, whatRegistrySaid(answer.text, credential), url.host);
}

function pingRefusal(answer: Answer, said: string, host: string): ProxyError {
  const { status } = answer;
  const headers = retryAfterOf(answer);
  const suffix = said === '' ? '' : ` (${said})`;
  if (status === 429) return new ProxyError('UPSTREAM_LIMITED', `${host} limits our requests${suffix}`, { headers });
  if (status >= 500)
    return new ProxyError('UPSTREAM_UNREACHABLE', `${host} answered ${status} at /v2/${suffix}`, { headers });
  const hint = status === 401 ? 'without a challenge' : 'where a registry answers 200 or 401';
  return new ProxyError('UPSTREAM_PROTOCOL', `${host} answered ${status} at /v2/, ${hint}${suffix}`);
}
