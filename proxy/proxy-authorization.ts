import { type ConnectorKey, formatKey, parseKey } from '../connectors/address.ts';

/** What a client of the forward proxy says of itself. */
export interface ProxyAuthorization {
  /** At least one, each once, in the order in which they were named. */
  readonly connectors: readonly ConnectorKey[];
  readonly token: string;
}

export type ParsedProxyAuthorization =
  | { readonly ok: true; readonly authorization: ProxyAuthorization }
  | { readonly ok: false; readonly reason: string };

/** Of all that clients of a forward proxy have to send. */
const usage = 'the user name is <namespace>/<connector>[,<namespace>/<connector>], the password is the token';
/** Each costs the API server a question. */
const connectorsMax = 8;
const headerLengthMax = 24_576;
const basicForm = /^\s*basic\s+([A-Za-z0-9+/_-]+=*)\s*$/i;

const refuse = (reason: string): ParsedProxyAuthorization => ({ ok: false, reason });

/**
 * Reads a `Proxy-Authorization` header: Basic, whose user name names connectors and whose password is the token. Slashes
 * and commas may be percent-encoded, as proxy URLs have them and as some clients send them on.
 */
export function parseProxyAuthorization(header: string | undefined): ParsedProxyAuthorization {
  if (header === undefined || header.trim() === '') return refuse(`Proxy-Authorization is needed: ${usage}`);
  if (header.length > headerLengthMax) return refuse('Proxy-Authorization is too long');
  if (/^\s*bearer\b/i.test(header)) return refuse(`Bearer names no connector, send Basic: ${usage}`);
  const encoded = basicForm.exec(header)?.[1];
  if (encoded === undefined) return refuse(`Proxy-Authorization is not Basic: ${usage}`);
  const text = Buffer.from(encoded, 'base64').toString('utf8');
  const colon = text.indexOf(':');
  const token = text.slice(colon + 1);
  if (colon === -1 || token === '') return refuse(`the token is missing: ${usage}`);
  return parseUser(text.slice(0, colon), token);
}

function parseUser(user: string, token: string): ParsedProxyAuthorization {
  const names = user.replace(/%2f/gi, '/').replace(/%2c/gi, ',').split(',');
  if (names.length > connectorsMax) return refuse(`more than ${connectorsMax} connectors are named`);
  const connectors = new Map<string, ConnectorKey>();
  for (const name of names) {
    // No namespace is implied: the caller's own would be a guess.
    const key = name.includes('/') ? parseKey(name, '') : undefined;
    if (key === undefined) return refuse(`the user name has to name connectors with their namespaces: ${usage}`);
    connectors.set(formatKey(key), key);
  }
  return { ok: true, authorization: { connectors: [...connectors.values()], token } };
}
