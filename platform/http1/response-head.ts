import type { IncomingHttpHeaders } from 'node:http';

/** How the body is framed as far as the headers say: its bytes, or one of the two below. */
export const chunkedLength = -1;
/** Up to the end of the connection. */
export const unknownLength = -2;

export interface ResponseHead {
  readonly status: number;
  /** The reason phrase, which says nothing. */
  readonly message: string;
  /** Names in lower case; an array where a name was repeated. Without a prototype. */
  readonly headers: IncomingHttpHeaders;
  /** Bytes of the body, `chunkedLength` or `unknownLength`; whether there is a body also depends on request and status. */
  readonly length: number;
  readonly isKeptAlive: boolean;
  /** What the server says of how long it keeps an idle connection. */
  readonly keepAliveSeconds: number | undefined;
}

const statusLine = /^HTTP\/1\.([01]) ([1-9]\d\d)(?: ([\t\x20-\x7e\x80-\xff]*))?$/;
const token = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
/** Control characters, and a CR or an LF that is alone. */
const forbidden = /[\0-\x08\v\f\x0e-\x1f\x7f]|\r(?!\n)|(?<!\r)\n/;

const common = (
  'Accept-Ranges Age Alt-Svc Cache-Control Connection Content-Disposition Content-Encoding Content-Length Content-Range ' +
  'Content-Type Date Docker-Content-Digest Docker-Distribution-Api-Version Docker-Upload-UUID ETag Expires Keep-Alive ' +
  'Last-Modified Link Location OCI-Subject Range RateLimit-Limit RateLimit-Remaining Retry-After Server Set-Cookie ' +
  'Strict-Transport-Security Transfer-Encoding Vary Via WWW-Authenticate X-Cache X-Content-Type-Options X-Request-Id'
).split(' ');
const lowerCase: ReadonlyMap<string, string> = new Map(
  common.flatMap((name) => [name, name.toLowerCase()].map((spelling) => [spelling, name.toLowerCase()])),
);

type Headers = Record<string, string | string[]>;

/** An object without a prototype to speak of, and yet with a shape that V8 knows: `__proto__` is a name like any other. */
class Bare {
  [name: string]: string | string[];
}
Object.setPrototypeOf(Bare.prototype, null);
Reflect.deleteProperty(Bare.prototype, 'constructor');

/**
 * Reads the head of an answer as a stranger's: nothing that two readers could understand in two ways is let through.
 * @param text Latin-1, up to the end of its last line and without the empty one
 * @returns the head, or the code of what is wrong with it
 */
export function parseResponseHead(text: string): ResponseHead | string {
  if (forbidden.test(text)) return 'HPE_INVALID_HEADER_TOKEN';
  const firstEnd = text.indexOf('\r\n');
  const found = statusLine.exec(text.slice(0, firstEnd));
  if (found === null) return 'HPE_INVALID_CONSTANT';
  const headers = parseHeaders(text, firstEnd + 2);
  if (typeof headers === 'string') return headers;
  const isOld = found[1] === '0';
  const length = lengthOf(headers, isOld);
  if (typeof length === 'string') return length;
  const { connection, 'keep-alive': keepAlive } = headers;
  return {
    status: Number(found[2]),
    message: found[3] ?? '',
    headers,
    length,
    isKeptAlive: connection === undefined ? !isOld : staysOpen(String(connection), isOld),
    keepAliveSeconds: keepAlive === undefined ? undefined : secondsOf(String(keepAlive)),
  };
}

function parseHeaders(text: string, from: number): Headers | string {
  const headers: Headers = new Bare();
  for (let at = from; at < text.length; ) {
    const end = text.indexOf('\r\n', at);
    const colon = text.indexOf(':', at);
    if (colon < 0 || colon > end) return 'HPE_INVALID_HEADER_TOKEN';
    const written = text.slice(at, colon);
    const name = lowerCase.get(written) ?? (token.test(written) ? written.toLowerCase() : undefined);
    if (name === undefined) return 'HPE_INVALID_HEADER_TOKEN';
    const value = withoutSpace(text, colon + 1, end);
    const before = headers[name];
    if (before === undefined) headers[name] = value;
    else if (typeof before === 'string') headers[name] = [before, value];
    else before.push(value);
    at = end + 2;
  }
  return headers;
}

function withoutSpace(text: string, from: number, to: number): string {
  let [start, end] = [from, to];
  while (start < end && isSpace(text.charCodeAt(start))) start += 1;
  while (end > start && isSpace(text.charCodeAt(end - 1))) end -= 1;
  return text.slice(start, end);
}

const isSpace = (code: number): boolean => code === 0x20 || code === 0x09;

/**
 * RFC 9112, section 6.3. The same length twice is refused with the others that are repeated: whoever sends it joins two
 * answers, or is read by something on the way that takes the other one. So does llhttp.
 */
function lengthOf({ 'transfer-encoding': coding, 'content-length': length }: Headers, isOld: boolean): number | string {
  if (coding !== undefined) {
    if (length !== undefined) return 'HPE_UNEXPECTED_CONTENT_LENGTH';
    // HTTP/1.0 has no chunks (section 6.1): somebody on the way passed on what it did not understand.
    const isChunked = typeof coding === 'string' && coding.toLowerCase() === 'chunked' && !isOld;
    return isChunked ? chunkedLength : 'HPE_INVALID_TRANSFER_ENCODING';
  }
  if (length === undefined) return unknownLength;
  if (typeof length !== 'string') return 'HPE_UNEXPECTED_CONTENT_LENGTH';
  const bytes = /^\d{1,16}$/.test(length) ? Number(length) : Number.NaN;
  return Number.isSafeInteger(bytes) ? bytes : 'HPE_INVALID_CONTENT_LENGTH';
}

function staysOpen(connection: string, isOld: boolean): boolean {
  const options = connection.toLowerCase().split(',');
  const says = (option: string) => options.some((one) => one.trim() === option);
  return isOld ? says('keep-alive') && !says('close') : !says('close');
}

function secondsOf(keepAlive: string): number | undefined {
  const [, seconds] = /(?:^|,)[ \t]*timeout=(\d{1,9})(?:[ \t]*,|$)/i.exec(keepAlive) ?? [];
  return seconds === undefined ? undefined : Number(seconds);
}
