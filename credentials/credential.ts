/** What proves to a registry who we are. Values never leave the process that holds them except to the registry and its realm. */
export type Credential =
  | { readonly kind: 'password'; readonly username: string; readonly password: string }
  /** An OAuth2 refresh token, as `docker login` keeps it for some registries. */
  | { readonly kind: 'identityToken'; readonly username: string; readonly token: string };

/** The `Authorization` value of Basic authentication. */
export function basicAuthorization(credential: Credential): string {
  const secret = credential.kind === 'password' ? credential.password : credential.token;
  return `Basic ${Buffer.from(`${credential.username}:${secret}`, 'utf8').toString('base64')}`;
}

/** Every spelling in which a credential could show up in somebody's answer: raw, base64, percent-encoded. */
function spellingsOf(credential: Credential): readonly string[] {
  const secret = credential.kind === 'password' ? credential.password : credential.token;
  const basic = basicAuthorization(credential).slice('Basic '.length);
  return [secret, basic, Buffer.from(secret).toString('base64'), encodeURIComponent(secret)].filter(
    (text) => text !== '',
  );
}

/** `text` without the credential, and without what looks like an authorization of any kind. */
export function redact(text: string, credential: Credential | undefined, authorization?: string): string {
  const secrets = credential === undefined ? [] : [...spellingsOf(credential)];
  if (authorization !== undefined) secrets.push(authorization.replace(/^\S+\s+/, ''));
  const longestFirst = secrets.filter((secret) => secret !== '').sort((a, b) => b.length - a.length);
  const cleaned = longestFirst.reduce((rest, secret) => rest.replaceAll(secret, '[redacted]'), text);
  return cleaned.replace(/\b(Basic|Bearer)\s+[A-Za-z0-9\-._~+/=]{8,}/gi, '$1 [redacted]');
}
