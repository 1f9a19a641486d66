import type { Dispatcher } from 'undici';
import { networkErrorCode, networkErrorSentence } from '../../platform/network-error.ts';
import { readBounded } from '../../platform/read-bounded.ts';
import { OracleError, type OracleStep } from './errors.ts';

export interface Question {
  readonly method: string;
  readonly url: URL;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string | undefined;
}

/** An answer that is held: nothing that belongs here is large. */
export interface Reply {
  readonly status: number;
  /** By names in lower case. */
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly text: string;
}

/** A token of 100 KiB has been seen; a secret has 25 KiB at most. */
const bodyBytesMax = 256 * 1024;

/**
 * Sends one small request and reads the whole answer, up to 256 KiB. Redirects are answers: what we sign is for one
 * host.
 * @throws OracleError `Unavailable` or `Protocol`; the reason of `signal`
 */
export async function send(
  dispatcher: Dispatcher,
  step: OracleStep,
  { method, url, headers, body }: Question,
  signal: AbortSignal,
): Promise<Reply> {
  try {
    const response = await dispatcher.request({
      origin: url.origin,
      path: `${url.pathname}${url.search}`,
      method: method as Dispatcher.HttpMethod,
      headers: { 'user-agent': 'oci-connector', accept: 'application/json', ...headers },
      body: body ?? null,
      signal,
    });
    return { status: response.statusCode, headers: response.headers, text: await readText(response.body, step, url) };
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof OracleError) throw error;
    // No cause: what a parser could not read may repeat what we said.
    throw new OracleError(step, 'Unavailable', `${url.host}: ${networkErrorSentence(networkErrorCode(error))}`);
  }
}

async function readText(body: Dispatcher.ResponseData['body'], step: OracleStep, url: URL): Promise<string> {
  const { bytes, isWhole } = await readBounded(body, bodyBytesMax);
  if (isWhole) return bytes.toString('utf8');
  throw new OracleError(step, 'Protocol', `${url.host} answered with more than ${bodyBytesMax / 1024} KiB`);
}
