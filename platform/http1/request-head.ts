import type { Dispatcher } from 'undici';
import { invalidRequest } from './errors.ts';

type Headers = Dispatcher.DispatchOptions['headers'];

/** How requests begin on a connection. */
export interface RequestLine {
  /** Before the path: nothing, or the origin where a proxy has to know it. */
  readonly prefix: string;
  /** Headers of every request, each with its line's end: Host, and what a proxy wants to see. */
  readonly fixed: string;
}

/** What a request says about its body: nothing, how many bytes, or that they come in chunks. */
export type RequestFraming = undefined | number | 'chunked';

const token = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
/** Latin-1 without controls, but for the tab (RFC 9110, section 5.5). */
const value = /^[\t\x20-\x7e\x80-\xff]*$/;
const path = /^\/[\x21-\x7e]*$/;
/** Methods for which no body is news worth a header. */
const bodiless: ReadonlySet<string> = new Set(['GET', 'HEAD', 'DELETE', 'OPTIONS', 'TRACE']);
/** The client says these, and nobody else: a second one would make two requests of one. */
const ours: ReadonlySet<string> = new Set([
  'connection',
  'content-length',
  'expect',
  'host',
  'keep-alive',
  'proxy-authorization',
  'proxy-connection',
  'trailer',
  'transfer-encoding',
  'upgrade',
]);
/** Names of headers that were found to be valid: there are few. */
const knownNames = new Set<string>();
const knownNamesMax = 256;

/**
 * The head of a request, with the empty line behind it.
 * @throws Http1Error UND_ERR_INVALID_ARG for what could be read as anything else than one request
 */
export function requestHead(
  line: RequestLine,
  request: Pick<Dispatcher.DispatchOptions, 'method' | 'path' | 'headers'>,
  framing: RequestFraming,
  isExpecting: boolean,
): string {
  const { method } = request;
  if (!bodiless.has(method) && (!token.test(method) || method === 'CONNECT')) throw invalidRequest('method');
  if (!path.test(request.path)) throw invalidRequest('path');
  let head = `${method} ${line.prefix}${request.path} HTTP/1.1\r\n${line.fixed}`;
  head += headerLines(request.headers);
  if (framing === 'chunked') head += 'transfer-encoding: chunked\r\n';
  else if (framing !== undefined || !bodiless.has(method)) head += `content-length: ${framing ?? 0}\r\n`;
  return isExpecting ? `${head}expect: 100-continue\r\n\r\n` : `${head}\r\n`;
}

function headerLines(headers: Headers): string {
  if (headers === undefined || headers === null) return '';
  let lines = '';
  if (Array.isArray(headers)) {
    for (let at = 0; at < headers.length; at += 2) lines += headerLine(String(headers[at]), headers[at + 1]);
  } else if (Symbol.iterator in headers) {
    for (const [name, values] of headers as Iterable<[string, unknown]>) lines += headerLine(name, values);
  } else {
    for (const name in headers) lines += headerLine(name, headers[name]);
  }
  return lines;
}

function headerLine(name: string, values: unknown): string {
  if (values === undefined || values === null) return '';
  if (!knownNames.has(name)) checkName(name);
  if (!Array.isArray(values)) return `${name}: ${checked(values, name)}\r\n`;
  return values.map((one) => `${name}: ${checked(one, name)}\r\n`).join('');
}

function checkName(name: string): void {
  if (!token.test(name)) throw invalidRequest('header name');
  if (ours.has(name.toLowerCase())) throw invalidRequest(`header ${name}: it is the client's to set`);
  if (knownNames.size < knownNamesMax) knownNames.add(name);
}

function checked(one: unknown, name: string): string {
  const text = typeof one === 'string' ? one : typeof one === 'number' ? String(one) : undefined;
  if (text === undefined || !value.test(text)) throw invalidRequest(`value of header ${name}`);
  return text;
}
