import { parseJsonObject } from '../../platform/json.ts';
import { readJwt } from '../../platform/jwt.ts';
import { tokenIn } from '../token-answer.ts';
import { misconfigured, OracleError } from './errors.ts';
import { registryOrigin } from './hosts.ts';
import type { OracleSettings, RegistryLogin } from './oracle.ts';
import { refusal } from './refusal.ts';
import type { Reply } from './send.ts';
import type { AskSigned } from './service.ts';
import { lifeMsMax } from './session.ts';

const defaultPath = '/20180419/docker/token';
/** The distribution token specification's, where the answer names no life; OCIR's own is an hour. */
const defaultLifeMs = 60_000;

export interface RegistryTokenOptions {
  readonly settings: OracleSettings;
  readonly ask: AskSigned;
  readonly now: () => number;
}

/**
 * A token of OCIR, which is the password of user BEARER_TOKEN. It is given to whoever is known: whether an image may be
 * pulled is decided at the pull.
 * @throws OracleError
 */
export async function fetchRegistryToken(
  host: string,
  { settings, ask, now }: RegistryTokenOptions,
  signal: AbortSignal,
): Promise<RegistryLogin> {
  const url = tokenUrl(host, settings);
  const whom = `the registry ${url.host}`;
  const startedAt = now();
  const reply = await ask({ step: 'token', whom, url }, signal);
  if (reply.status !== 200) {
    const advice = {
      401: 'it does not know this principal: is the registry of the same realm and region?',
      403: 'no policy lets this principal read repositories there',
      404: 'it has no token endpoint: is it OCIR?',
    };
    throw refusal(reply, { step: 'token', whom, now, advice });
  }
  return readLogin(reply, whom, startedAt);
}

function tokenUrl(host: string, { registryProtocol, registryTokenPath = defaultPath }: OracleSettings): URL {
  const path = registryTokenPath.startsWith('/') ? registryTokenPath : `/${registryTokenPath}`;
  const isHost = /^(?:[A-Za-z0-9.-]+|\[[0-9A-Fa-f:]+\])(?::\d{1,5})?$/.test(host);
  const text = `${registryOrigin(host, registryProtocol)}${path}`;
  if (!isHost || !URL.canParse(text)) {
    throw misconfigured('the registry is no host with an optional port');
  }
  return new URL(text);
}

function readLogin({ text }: Reply, whom: string, startedAt: number): RegistryLogin {
  const fields = parseJsonObject(text) ?? {};
  const token = tokenIn(fields);
  if (token === undefined) throw new OracleError('token', 'Protocol', `${whom} answered 200 without a token`);
  const own = ownExpiry(token);
  // A JWT that says when it ends needs no word of the answer.
  const stated =
    statedExpiry(fields['expires_in'], startedAt) ?? (Number.isFinite(own) ? own : startedAt + defaultLifeMs);
  const expiresAt = Math.min(stated, own, startedAt + lifeMsMax);
  if (expiresAt <= startedAt) {
    throw new OracleError(
      'token',
      'Protocol',
      `${whom} gave a token that has expired: is the clock of this machine right?`,
    );
  }
  return { token, expiresAt };
}

function statedExpiry(expiresIn: unknown, startedAt: number): number | undefined {
  const seconds = typeof expiresIn === 'string' && expiresIn.trim() !== '' ? Number(expiresIn) : expiresIn;
  const isStated = typeof seconds === 'number' && Number.isFinite(seconds) && seconds > 0;
  return isStated ? startedAt + seconds * 1000 : undefined;
}

function ownExpiry(token: string): number {
  const exp = readJwt(token)?.claims['exp'];
  return typeof exp === 'number' && Number.isFinite(exp) ? exp * 1000 : Number.POSITIVE_INFINITY;
}
