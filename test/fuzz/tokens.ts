import fc from 'fast-check';
import { parseChallenges } from '../../credentials/challenge.ts';
import { exchangeToken } from '../../credentials/exchange.ts';
import { ProxyError } from '../../platform/errors.ts';
import { readJwt } from '../../platform/jwt.ts';
import { RegistryTransport } from '../../platform/transport.ts';
import { type Fuzzed, fuzzed, mutated, promise } from './fuzzed.ts';

const quoted = fc.constantFrom(
  'https://auth.example.com/token',
  'a,b',
  'a\\"b',
  'a=b',
  '',
  'repository:x:pull,push',
  'é',
);
const params = fc
  .array(fc.tuple(fc.constantFrom('realm', 'service', 'scope', 'REALM', 'error', '__proto__'), quoted), {
    maxLength: 4,
  })
  .map((list) => list.map(([name, value]) => `${name}="${value}"`).join(','));
const challenges = fc
  .array(fc.tuple(fc.constantFrom('Bearer', 'Basic', 'Negotiate abc==', 'bearer', 'Digest'), params), { maxLength: 3 })
  .map((list) => list.map((parts) => parts.join(' ')).join(', '));

const challenge = fuzzed(
  'WWW-Authenticate',
  fc.property(mutated(challenges), (header) => {
    const found = parseChallenges(header);
    for (const { scheme, params: read } of found) {
      promise(/^[!#$%&'*+\-.^_`|~0-9a-z]+$/.test(scheme), 'no scheme', scheme);
      promise(header.toLowerCase().includes(scheme), 'a scheme that is not there', scheme);
      for (const [name, value] of read) {
        promise(name === name.toLowerCase() && header.toLowerCase().includes(name), 'a name that is not there', name);
        // Characters come in their order, less backslashes.
        let at = 0;
        for (const character of value) {
          at = header.indexOf(character, at) + 1;
          promise(at > 0, 'a value that is not there', { header, value });
        }
      }
    }
    promise(JSON.stringify(parseChallenges([header])) === JSON.stringify(found), 'read in another way', header);
  }),
);

const part = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');
const jwts = fc
  .tuple(
    fc.oneof(fc.dictionary(fc.string(), fc.jsonValue()), fc.jsonValue()),
    fc.jsonValue(),
    fc.constantFrom('sig', '', '='),
  )
  .map(([header, claims, signature]) => `${part(header)}.${part(claims)}.${signature}`);
const isRecord = (value: unknown): boolean => typeof value === 'object' && value !== null && !Array.isArray(value);

const jwt = fuzzed(
  'JWT',
  fc.property(mutated(jwts), (token) => {
    const found = readJwt(token);
    if (found === undefined) return;
    promise(isRecord(found.header) && isRecord(found.claims), 'no records', found);
    promise(/^[\w-]+\.[\w-]+\.[\w-]+$/.test(token), 'characters that no token has', token);
    promise(JSON.stringify(JSON.parse(found.texts[1])) === JSON.stringify(found.claims), 'other claims', found);
    promise(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString() === found.texts[1], 'another text', found);
  }),
);

const secret = 'Canary+of=the/Password';
const credential = { kind: 'password', username: 'robot', password: secret } as const;
const startedAt = 1_800_000_000_000;
const tokens = mutated(fc.constantFrom('abc.def.ghi', 'a b', 'a\r\nHost: evil', '', secret, 'x'.repeat(200)));
const texts = fc.oneof(
  {
    weight: 4,
    arbitrary: fc
      .record(
        {
          token: fc.oneof(tokens, fc.jsonValue()),
          access_token: fc.oneof(tokens, fc.jsonValue()),
          expires_in: fc.oneof(fc.double(), fc.constantFrom(300, '300', 1e300, -1, 0, null, [60], '')),
          issued_at: fc.oneof(
            fc.constantFrom('2027-01-15T08:00:00Z', 'x', '', '9999-12-31T00:00:00Z', '0001-01-01T00:00:00Z'),
            fc.jsonValue(),
          ),
          __proto__: fc.jsonValue(),
        },
        { requiredKeys: [] },
      )
      .map((body) => JSON.stringify(body)),
  },
  mutated(fc.json()),
);
const statuses = fc.oneof(
  { weight: 8, arbitrary: fc.constant(200) },
  fc.constantFrom(201, 302, 400, 401, 403, 404, 405, 429, 500),
);

const real = new RegistryTransport({ origin: 'https://registry.example.com', resolve: async () => [] });

/** A transport whose every answer is this one. */
function answering(status: number, headers: Record<string, string>, text: string): RegistryTransport {
  const answer = async () => ({ statusCode: status, headers, body: [Buffer.from(text)] });
  return Object.assign(Object.create(real), {
    origin: real.origin,
    target: (location: string, base: string) => real.target(location, base),
    dispatcherFor: () => ({ request: answer }),
  }) as RegistryTransport;
}

const token = fuzzed(
  'answer of a token server',
  fc.asyncProperty(
    statuses,
    texts,
    mutated(fc.constantFrom('https://auth.example.com/token', 'https://x.example.com/?a=b')),
    mutated(fc.constantFrom('/token2', 'https://elsewhere.example.com/', `https://${secret.toLowerCase()}/`)),
    async (status, text, realm, location) => {
      const asked = { realm, service: 'registry', scopes: ['repository:a:pull'], credential };
      const transport = answering(status, { location }, text);
      const found = await exchangeToken(transport, asked, () => startedAt, new AbortController().signal).catch(
        (error: unknown) => {
          promise(error instanceof ProxyError, 'an exception that is no answer', String(error));
          return error;
        },
      );
      if (found instanceof ProxyError) {
        return promise(!found.message.includes(secret), 'the password in a message', found.message);
      }
      promise(/^[\x21-\x7e]{1,131072}$/.test(found.token), 'what no header has', found.token);
      promise(
        found.expiresAt >= startedAt && found.expiresAt <= startedAt + 3_600_000,
        'lives too long',
        found.expiresAt,
      );
    },
  ),
);

export const tokensAndChallenges: readonly Fuzzed[] = [challenge, jwt, token];
