import type { Dispatcher } from 'undici';
import { toProxyError } from '../platform/network-error.ts';
import { readBounded } from '../platform/read-bounded.ts';
import type { RegistryTransport } from '../platform/transport.ts';

/** An answer small enough to be held: a challenge, a token, an error. */
export interface Answer {
  readonly status: number;
  readonly headers: Dispatcher.ResponseData['headers'];
  readonly text: string;
}

export interface Question {
  readonly method: 'GET' | 'HEAD' | 'POST';
  readonly url: URL;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}

/** A token of 100 KiB has been seen; nothing that belongs here is larger than this. */
const bodyBytesMax = 256 * 1024;
const timeoutMs = 30_000;

/**
 * Sends a small request to the registry or to where it sends us, and reads the answer up to 256 KiB.
 * @throws ProxyError for what fails on the way; the abort reason when `signal` aborts
 */
export async function ask(transport: RegistryTransport, question: Question, signal: AbortSignal): Promise<Answer> {
  const { method, url, headers = {}, body } = question;
  const limited = AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]);
  try {
    const response = await transport.dispatcherFor(url).request({
      origin: url.origin,
      path: `${url.pathname}${url.search}`,
      method,
      headers: { 'user-agent': 'oci-connector', ...headers },
      signal: limited,
      ...(body === undefined ? {} : { body }),
    });
    const { bytes } = await readBounded(response.body, bodyBytesMax);
    return { status: response.statusCode, headers: response.headers, text: bytes.toString('utf8') };
  } catch (error) {
    signal.throwIfAborted();
    throw toProxyError(error, url.host);
  }
}

/** `Retry-After` of an answer, as headers for who asked us. */
export function retryAfterOf(answer: Answer): Readonly<Record<string, string>> {
  const value = headerOf(answer, 'retry-after');
  return value === undefined ? {} : { 'retry-after': value };
}

/** The first value of a header that may be repeated. */
export function headerOf(answer: Pick<Answer, 'headers'>, name: string): string | undefined {
  const value = answer.headers[name];
  return Array.isArray(value) ? value[0] : value;
}
