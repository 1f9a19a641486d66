import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  basicOf,
  entryProblem,
  type ImagePullSecret,
  imagePullSecretSchema,
  isEntryFor,
} from '../../connectors/image-pull-secrets.ts';
import { parseImageReference, repositoryOf } from '../../connectors/image-reference.ts';
import { arbitraryText } from '../platform/arbitrary-text.ts';

const base64 = (text: string | Uint8Array) => Buffer.from(text).toString('base64');
const vault: ImagePullSecret = {
  secretType: 'VAULT',
  registryEndpoint: 'r.example.com',
  secretId: 'ocid1.vaultsecret.x',
};
const basic: ImagePullSecret = {
  secretType: 'BASIC',
  registryEndpoint: 'r.example.com',
  username: base64('robot'),
  password: base64('secret'),
};
const secret: ImagePullSecret = {
  secretType: 'SECRET',
  registryEndpoint: 'r.example.com',
  secretRef: { name: 'robot' },
};
const without = (entry: ImagePullSecret, field: keyof ImagePullSecret): ImagePullSecret => {
  const { [field]: _, ...rest } = entry;
  return rest as ImagePullSecret;
};
const at = (registryEndpoint: string): ImagePullSecret => ({ ...vault, registryEndpoint });

describe('an entry', () => {
  test.each([vault, basic, secret])('of type $secretType has no problem when it is whole', (entry) => {
    expect(entryProblem(entry)).toBeUndefined();
  });

  test.each<[field: string, message: RegExp, entry: ImagePullSecret]>([
    ['secretId', /needed by secretType VAULT/, without(vault, 'secretId')],
    ['username', /needed by secretType BASIC/, without(basic, 'username')],
    ['password', /needed by secretType BASIC/, without(basic, 'password')],
    ['secretRef', /needed by secretType SECRET/, without(secret, 'secretRef')],
    ['secretId', /does not belong to secretType BASIC: leave it out/, { ...basic, secretId: 'x' }],
    ['password', /does not belong to secretType VAULT/, { ...vault, password: base64('x') }],
    ['username', /does not belong to secretType SECRET/, { ...secret, username: base64('x') }],
    ['secretRef', /does not belong to secretType VAULT/, { ...vault, secretRef: { name: 'x' } }],
    ['registryEndpoint', /no host\[:port\]\[\/path\]/, at('https://')],
    ['registryEndpoint', /no host/, at('user:secret@r.example.com')],
    ['registryEndpoint', /no host/, at('*.example.com')],
    ['registryEndpoint', /no host/, at('r.example.com/a b')],
    ['registryEndpoint', /no host/, at('r.example.com:99999')],
    ['registryEndpoint', /no host/, at('ftp://r.example.com')],
    ['registryEndpoint', /no host/, at('/team')],
  ])('is wrong in its %s: %s', (field, message, entry) => {
    expect(entryProblem(entry)).toMatchObject({ field, message: expect.stringMatching(message) });
  });

  test.each<[what: string, value: string, text: string | undefined]>([
    ['padded', 'cm9ib3Q=', 'robot'],
    ['without its padding', 'cm9ib3Q', 'robot'],
    ['wrapped, as `base64` does it', 'Y2FuYXJ5LW9mLWEt\nbG9uZw==\n', 'canary-of-a-long'],
    ['of a text beyond ASCII', base64('pässwörd€'), 'pässwörd€'],
    ['of whatever there is', base64('a b c"\\'), 'a b c"\\'],
    ['empty', '', undefined],
    ['only white space', ' \n', undefined],
    ['only padding', '====', undefined],
    ['one character, which stands for nothing', 'c', undefined],
    ['one character too long', 'cm9ib3Q=c', undefined],
    ['the plain text', 'secret-password!', undefined],
    ['in the alphabet of URLs', base64(Buffer.from([0xc3, 0xbf, 0xc3, 0xbe])).replaceAll('/', '_'), undefined],
    ['of bytes that are no text', base64(Buffer.from([0xff, 0xfe, 0x80])), undefined],
  ])('of type BASIC reads base64 that is %s', (_what, value, text) => {
    for (const field of ['username', 'password'] as const) {
      const entry = { ...basic, [field]: value };
      const problem = entryProblem(entry);
      expect(basicOf(entry)?.[field]).toBe(text);
      if (text !== undefined) expect(problem).toBeUndefined();
      else expect(problem).toEqual({ field, message: 'is not the base64 of a text that is not empty' });
    }
  });

  // RFC 7617, section 2: what is sent would be read as another user's.
  test('of type BASIC has no user name with a colon', () => {
    expect(entryProblem({ ...basic, username: base64('robot:admin') })).toMatchObject({ field: 'username' });
  });

  test('tells nothing of what it holds, whatever that is', () => {
    const odd = fc.record({ username: arbitraryText(), password: arbitraryText(), registryEndpoint: arbitraryText() });
    fc.assert(
      fc.property(odd, (fields) => {
        const canary = 'canary-7f3a';
        const entry = { ...basic, ...fields, password: `${fields.password}\0${canary}` };
        expect(entryProblem(entry)?.message ?? '').not.toContain(canary);
        expect(() => isEntryFor(entry, fields.registryEndpoint, 'team/app')).not.toThrow();
      }),
    );
  });
});

test.each<[what: string, entry: object]>([
  ['of no type', { registryEndpoint: 'r.example.com' }],
  ['of another type', { ...vault, secretType: 'vault' }],
  ['without an endpoint', { secretType: 'VAULT', secretId: 'x' }],
  ['with an endpoint that is empty', { ...vault, registryEndpoint: '' }],
  ['with a field that there is not', { ...secret, secretRef: { name: 'a', namespace: 'other' } }],
  ['with a password that is too long', { ...basic, password: 'x'.repeat(8193) }],
])('an entry %s is no entry', (_what, entry) => {
  expect(imagePullSecretSchema.safeParse(entry).success).toBe(false);
});

describe('an endpoint', () => {
  test.each<[endpoint: string, image: string, isFor: boolean]>([
    ['r.example.com', 'r.example.com/app', true],
    ['r.example.com/', 'r.example.com/team/app', true],
    ['r.example.com', 'other.example.com/app', false],
    ['example.com', 'r.example.com/app', false],
    ['R.Example.COM', 'r.example.com/app', true],
    ['r.example.com', 'R.example.com/app', true],
    ['https://r.example.com/team', 'r.example.com/team/app', true],
    ['http://r.example.com', 'r.example.com/app', true],
    ['r.example.com:5000', 'r.example.com:5000/app', true],
    ['r.example.com:05000', 'r.example.com:5000/app', true],
    ['r.example.com:5000', 'r.example.com/app', false],
    ['r.example.com', 'r.example.com:5000/app', false],
    ['[FD00::0:1]:5000', '[fd00::1]:5000/app', true],
    ['r.example.com/v2/', 'r.example.com/team/app', true],
    ['r.example.com/v2', 'r.example.com/team/app', true],
    ['https://index.docker.io/v1/', 'nginx', true],
    ['docker.io', 'registry-1.docker.io/library/nginx', true],
    ['index.docker.io', 'docker.io/team/app', true],
    ['registry-1.docker.io:443', 'team/app', true],
    ['docker.io/team', 'team/app:v1', true],
    ['docker.io/team', 'nginx', false],
    ['docker.io/library/', 'nginx', true],
    ['r.example.com/team', 'r.example.com/team', true],
    ['r.example.com/team', 'r.example.com/team/app', true],
    ['r.example.com/team', 'r.example.com/team-a/app', true],
    ['r.example.com/team/', 'r.example.com/team-a/app', false],
    ['r.example.com/team/', 'r.example.com/team/app', true],
    ['r.example.com/team', 'r.example.com/tea/app', false],
    ['r.example.com/team/app', 'r.example.com/team', false],
    ['r.example.com/Team', 'r.example.com/team/app', false],
    ['r.example.com/team', 'r.example.com/other/team', false],
    ['*.example.com', 'r.example.com/app', false],
    ['user@r.example.com', 'r.example.com/app', false],
  ])('%s is for %s: %s', (endpoint, image, isFor) => {
    const { registry, repository } = imageOf(image);
    expect(isEntryFor(at(endpoint), registry, repository)).toBe(isFor);
  });

  test('is for what begins with its path, character by character, and for nothing else', () => {
    const path = fc.stringMatching(/^[a-z0-9/._-]{0,12}$/).filter((text) => !/^v[12]\/?$/.test(text));
    const repository = fc.stringMatching(/^[a-z0-9]{1,4}(?:\/[a-z0-9-]{1,4}){0,3}$/);
    fc.assert(
      fc.property(path, repository, fc.nat(12), (prefix, name, length) => {
        expect(isEntryFor(at(`r.example.com/${prefix}`), 'r.example.com', name)).toBe(name.startsWith(prefix));
        expect(isEntryFor(at(`r.example.com/${name.slice(0, length)}`), 'r.example.com', name)).toBe(true);
        expect(isEntryFor(at(`r.example.com/${name.slice(0, length)}`), 'r.example.org', name)).toBe(false);
      }),
    );
  });
});

// Oracle's documentation, «Vault Secrets for Image Pull Authorization».
describe('the examples of Container Instances', () => {
  test('one entry, and an image below its path', () => {
    const entry: ImagePullSecret = {
      secretType: 'VAULT',
      registryEndpoint: 'example.registry.io/container-instance-user',
      secretId: 'ocid1.vaultsecret.oc1.<region_code>.<unique_ID>',
    };
    const image = 'example.registry.io/container-instance-user/example-image:latest';
    expect(entryProblem(entry)).toBeUndefined();
    expect(secretIdsFor(image, [entry])).toEqual(['ocid1.vaultsecret.oc1.<region_code>.<unique_ID>']);
  });

  test.each([
    ['example.registry.io/abc/one:latest', ['secret.ocid.abc', 'secret.ocid.one']],
    ['example.registry.io/abc/two:latest', ['secret.ocid.abc', 'secret.ocid.two']],
  ])('three entries, of which two are for %s, in their order', (image, secretIds) => {
    const entries: ImagePullSecret[] = [
      {
        secretType: 'VAULT',
        registryEndpoint: 'example.registry.io/abc',
        secretId: 'secret.ocid.abc',
      },
      {
        secretType: 'VAULT',
        registryEndpoint: 'example.registry.io/abc/one',
        secretId: 'secret.ocid.one',
      },
      {
        secretType: 'VAULT',
        registryEndpoint: 'example.registry.io/abc/two',
        secretId: 'secret.ocid.two',
      },
    ];
    expect(secretIdsFor(image, entries)).toEqual(secretIds);
  });
});

function imageOf(image: string): { registry: string; repository: string } {
  const parsed = parseImageReference(image);
  if (!parsed.ok) throw new Error(parsed.reason);
  return { registry: parsed.reference.registry, repository: repositoryOf(parsed.reference) };
}

function secretIdsFor(image: string, entries: readonly ImagePullSecret[]): readonly (string | undefined)[] {
  const { registry, repository } = imageOf(image);
  return entries.filter((entry) => isEntryFor(entry, registry, repository)).map(({ secretId }) => secretId);
}
