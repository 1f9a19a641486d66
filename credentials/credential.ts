/** What proves to a registry who we are. Values never leave the process that holds them except to the registry and its realm. */
export type Credential =
  | { readonly kind: 'password'; readonly username: string; readonly password: string }
  /** An OAuth2 refresh token, as `docker login` keeps it for some registries. */
  | { readonly kind: 'identityToken'; readonly username: string; readonly token: string };

/** The `Authorization` value of Basic authentication. */
export function basicAuthorization(credential: Credential): string {
  return `Basic ${Buffer.from(`${credential.username}:${secretOf(credential)}`, 'utf8').toString('base64')}`;
}

const secretOf = (credential: Credential): string =>
  credential.kind === 'password' ? credential.password : credential.token;

/** Every spelling in which a secret could show up in somebody's answer: raw, in JSON, base64, hex, percent-encoded. */
function spellingsOf(text: string): readonly string[] {
  // Half a surrogate pair would make encodeURIComponent throw.
  const secret = text.toWellFormed();
  const inJson = JSON.stringify(secret).slice(1, -1);
  const inGoJson = inJson.replace(/[<>&]/g, (character) => `\\u00${character.charCodeAt(0).toString(16)}`);
  const hex = Buffer.from(secret, 'utf8').toString('hex');
  return [secret, inJson, inGoJson, hex, hex.toUpperCase(), ...base64Spellings(secret), ...percentSpellings(secret)];
}

/**
 * In both alphabets, by itself or behind something, as a user name and a colon, which shifts it by up to two bytes;
 * without padding, and without the end, which is another one where more follows.
 */
function base64Spellings(text: string): readonly string[] {
  return (['base64', 'base64url'] as const).flatMap((alphabet) =>
    [0, 1, 2].flatMap((shift) => {
      const whole = Buffer.from('\0'.repeat(shift) + text, 'utf8')
        .toString(alphabet)
        .replace(/=+$/, '');
      const own = shift === 0 ? whole : whole.slice(4);
      return [own, own.slice(0, Math.floor(own.length / 4) * 4)];
    }),
  );
}

/** As JavaScript, Go and forms write it, with either case of the digits. */
function percentSpellings(text: string): readonly string[] {
  const common = encodeURIComponent(text);
  const strict = common.replace(/[!'()*]/g, (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`);
  const upper = [common, strict, common.replaceAll('%20', '+'), strict.replaceAll('%20', '+')];
  return [...upper, ...upper.map((spelling) => spelling.replace(/%../g, (digits) => digits.toLowerCase()))];
}

/** Whether a text holds the secret of a credential, in any of its spellings. */
export function reveals(text: string, credential: Credential): boolean {
  return spellingsOf(secretOf(credential)).some((spelling) => spelling !== '' && text.includes(spelling));
}

/** An authorization of somebody's; `Basic authentication` is none. */
const authorizations = /\b([Bb]asic|BASIC|[Bb]earer|BEARER)\s+(?=\S*(?:\d|[a-z][A-Z]))[A-Za-z0-9\-._~+/=]{8,}/g;

/** `text` without the credential, and without what looks like an authorization of any kind. */
export function redact(text: string, credential: Credential | undefined, authorization?: string): string {
  const secrets = credential === undefined ? [] : [...spellingsOf(secretOf(credential))];
  if (credential !== undefined) secrets.push(...base64Spellings(`${credential.username}:${secretOf(credential)}`));
  if (authorization !== undefined) secrets.push(...spellingsOf(authorization.replace(/^\S+\s+/, '')));
  const longestFirst = [...new Set(secrets)].filter((secret) => secret !== '').sort((a, b) => b.length - a.length);
  const cleaned = longestFirst.reduce((rest, secret) => rest.replaceAll(secret, '[redacted]'), text);
  return withoutBeginnings(cleaned, longestFirst).replace(authorizations, '$1 [redacted]');
}

/** The same without any of several credentials. */
export const redactAll = (text: string, credentials: readonly Credential[]): string =>
  credentials.reduce((rest, credential) => redact(rest, credential), text);

/** Less of a secret than this is no help to anybody. */
const beginningMin = 4;

/** A text that was cut off, which shows by a `…`, may end within a secret. */
function withoutBeginnings(text: string, secrets: readonly string[]): string {
  const parts = text.split('…');
  return parts.map((part, at) => (at < parts.length - 1 ? withoutBeginning(part, secrets) : part)).join('…');
}

function withoutBeginning(part: string, secrets: readonly string[]): string {
  for (const secret of secrets) {
    for (let length = Math.min(secret.length, part.length); length >= beginningMin; length -= 1) {
      if (part.endsWith(secret.slice(0, length))) return `${part.slice(0, -length)}[redacted]`;
    }
  }
  return part;
}

export function isSameCredential(a: Credential, b: Credential): boolean {
  if (a.kind !== b.kind || a.username !== b.username) return false;
  return a.kind === 'password'
    ? b.kind === 'password' && a.password === b.password
    : 'token' in b && a.token === b.token;
}

/**
 * Adds a credential to those that somebody was shown, and may repeat; the oldest goes where there are more than `max`.
 * @returns it, or the equal one that is there already
 */
export function noteShown(shown: Credential[], credential: Credential, max: number): Credential {
  const known = shown.find((one) => isSameCredential(one, credential));
  if (known !== undefined) return known;
  shown.push(credential);
  if (shown.length > max) shown.shift();
  return credential;
}
