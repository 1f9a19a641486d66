import type { OutgoingHttpHeaders } from 'node:http';
import { type CallResult, call } from '../../support/call.ts';

export interface Send {
  readonly headers?: OutgoingHttpHeaders;
  readonly body?: string | Uint8Array;
  /** With `Transfer-Encoding: chunked`; otherwise a body has a `Content-Length`. */
  readonly isChunked?: boolean;
}

/** One request with its answer, in words that are the same on both sides. */
export interface Exchange {
  readonly method: string;
  readonly status: number | undefined;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
  readonly failure: string | undefined;
}

/** A way to a registry: straight, or through the proxy. Every answer is kept. */
export interface Side {
  /** What stands before a repository: nothing, or `namespaces/…/connectors/…/`. */
  readonly prefix: string;
  /** The repository's name in `from` of a mount, and that of one that is not there. */
  readonly repository: string;
  readonly unknown: string;
  /** Sends to `tail` of the repository: `manifests/v1`. */
  send(method: string, tail: string, options?: Send): Promise<CallResult>;
  /** Sends to `tail` of the other repository. */
  sendOther(method: string, tail: string, options?: Send): Promise<CallResult>;
  /** Sends to `path` of the registry: `/v2/`. */
  sendBase(method: string, path: string, options?: Send): Promise<CallResult>;
  /** Sends to the Location of `answer`, with `query` added. */
  follow(answer: CallResult, method: string, query?: string, options?: Send): Promise<CallResult>;
  readonly exchanges: readonly Exchange[];
}

export interface SideOptions {
  readonly origin: string;
  readonly prefix: string;
  /** As the registry knows it. */
  readonly repository: string;
  readonly headers: OutgoingHttpHeaders;
}

/** Of one connection only, different at every look, or ours to answer. */
const ignored: ReadonlySet<string> = new Set([
  'connection',
  'date',
  'keep-alive',
  'transfer-encoding',
  'www-authenticate',
]);

export function openSide({ origin, prefix, repository, headers }: SideOptions): Side {
  const exchanges: Exchange[] = [];
  const normalize = (text: string): string => text.replaceAll(repository, 'parity/repository');
  const read = (method: string, url: string, answer: CallResult): Exchange => ({
    method,
    status: answer.status,
    headers: Object.fromEntries(
      Object.entries(answer.headers)
        .filter(([name]) => !ignored.has(name))
        .map(([name, value]) => [name, normalize(normalizeHeader(name, String(value), new URL(url), origin, prefix))]),
    ),
    body: normalize(answer.body.toString('latin1')),
    failure: answer.failure,
  });
  const sendTo = async (method: string, url: string, options: Send = {}): Promise<CallResult> => {
    const chunked = options.isChunked === true ? { 'transfer-encoding': 'chunked' } : {};
    const answer = await call(url, {
      method,
      headers: { ...headers, ...options.headers, ...chunked },
      ...(options.body !== undefined && { body: options.body }),
    });
    exchanges.push(read(method, url, answer));
    return answer;
  };
  const under = (name: string, tail: string) => `${origin}/v2/${prefix}${name}/${tail}`;
  return {
    prefix,
    repository: `${prefix}${repository}`,
    unknown: `${prefix}${repository}-unknown`,
    exchanges,
    send: (method, tail, options) => sendTo(method, under(repository, tail), options),
    sendOther: (method, tail, options) => sendTo(method, under(`${repository}-other`, tail), options),
    sendBase: (method, path, options) => sendTo(method, `${origin}${path}`, options),
    follow: (answer, method, query = '', options) => {
      const { location } = answer.headers;
      if (location === undefined) throw new Error(`there is no Location to follow in an answer ${answer.status}`);
      const url = new URL(location, origin);
      if (query !== '') url.search = url.search === '' ? query : `${url.search}&${query}`;
      return sendTo(method, url.href, options);
    },
  };
}

function normalizeHeader(name: string, value: string, url: URL, origin: string, prefix: string): string {
  if (name === 'docker-upload-uuid') return '<uuid>';
  if (name === 'location') return mapBack(new URL(value, url), origin, prefix);
  if (name !== 'link') return value;
  return value.replace(/<([^>]+)>/g, (_, target: string) => `<${mapBack(new URL(target, url), origin, prefix)}>`);
}

/** The address as the registry would have written it, without its host; addresses of uploads are alike. */
function mapBack(target: URL, origin: string, prefix: string): string {
  const start = `/v2/${prefix}`;
  if (target.origin !== origin || !target.pathname.startsWith(start)) return target.href;
  const path = `/v2/${target.pathname.slice(start.length)}`;
  return `${path}${target.search}`.replace(/(\/blobs\/uploads\/)[^/]+$/, '$1<upload>');
}
